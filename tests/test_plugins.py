"""Readers of other packages: finding, listing and choosing them, and what happens if they fail."""

from __future__ import annotations

import json
import re
import shutil
import sys
from dataclasses import replace
from importlib.metadata import PathDistribution
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
from PIL import Image

import regionbatch as rb
from helpers import (
    PLUGIN_EXAMPLE,
    ROOT,
    PluginSite,
    ids_of,
    json_of,
    mentions,
    raises_mentioning,
    run_pytest,
    write_csv_table,
    write_json,
)
from regionbatch import plugins
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.errors import PluginError
from regionbatch.files.tree import Tree
from regionbatch.options import ReadOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.metadata import Distribution
    from pathlib import Path

    from regionbatch.findings import FindingLog

SCENE = ROOT / "fixtures" / "scene" / "coco"


@pytest.fixture
def site(tmp_path: Path) -> PluginSite:
    return PluginSite(tmp_path / "site")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv_table(tmp_path / "set")


# The example.


def test_formats_lists_the_example(site: PluginSite) -> None:
    site.install_example()
    listed = json_of(site.command("formats", "--json"))
    assert list(listed) == ["coco", "voc", "yolo", "cvat", "vott", "csv"]
    assert listed["csv"]["origin"] == "regionbatch-csv"
    assert listed["csv"]["options"] == ["split", "image_dir", "encoding", "delimiter"]
    assert listed["csv"]["error"] is None
    text = site.command("formats").stdout
    assert "csv (regionbatch-csv): a CSV table with the columns" in text
    assert re.search(r"delimiter +column separator \[, \| ; \| tab\]", text)


class MetadataPathFinder:
    """The finder that importlib_metadata adds: it searches the same folders as Python."""

    def find_spec(self, *_: object) -> None:
        return None

    def find_distributions(self, *_: object) -> Iterable[Distribution]:
        pytest.fail("it reads all installed packages, at each call")


def test_folders_are_listed_without_the_standard_library(
    site: PluginSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are, even after Dask imported importlib_metadata: reading is then four times as fast."""
    site.install_example()
    monkeypatch.syspath_prepend(site.folder)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, MetadataPathFinder()])
    assert plugins.plugin_names() == ["csv"]


class OtherFinder(MetadataPathFinder):
    """Finds packages that are in no folder on `sys.path`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def find_distributions(self, *_: object) -> Iterable[Distribution]:
        return [PathDistribution(path) for path in self.folder.glob("*.dist-info")]


def test_packages_of_other_finders_are_listed(
    site: PluginSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.install_example()
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, OtherFinder(site.folder)])
    assert plugins.plugin_names() == ["csv"]


def test_the_example_reads_what_no_other_reader_recognises(site: PluginSite, table: Path) -> None:
    site.install_example()
    summary = json_of(site.command("inspect", table, "--json"))
    assert summary["format"] == "csv"
    assert summary["classes"] == {"cat": 1}
    assert summary["boxes"]["read"] == 1
    assert "boxes.csv" in str(summary["decisions"]["format"])


def test_the_example_converts(site: PluginSite, table: Path, tmp_path: Path) -> None:
    site.install_example()
    tags, images = (
        write_json(tmp_path / f"{name}.json", ids_of([name])) for name in ("cat", "a.jpg")
    )
    payload = json_of(
        site.command("convert", table, "-o", "-", "--tag-ids", tags, "--image-ids", images)
    )
    entry = payload["regions"][0]
    assert [entry[key] for key in ("left", "top", "width", "height")] == [0.1, 0.1, 0.2, 0.3]


def test_an_option_of_the_example(site: PluginSite, table: Path) -> None:
    site.install_example()
    path = table / "boxes.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8")
    assert "boxes.csv:1" in site.command("inspect", table).stderr
    assert json_of(site.command("inspect", table, "-O", "delimiter=tab", "--json"))["classes"] == {
        "cat": 1
    }
    rejected = site.command("inspect", table, "-O", "delimiter=|")
    assert rejected.returncode == 2
    assert mentions(rejected.stderr, "--delimiter", "|", "tab")


def test_built_in_readers_go_first(site: PluginSite) -> None:
    site.install_example()
    assert json_of(site.command("inspect", SCENE, "--json"))["format"] == "coco"


@pytest.mark.parametrize("name", ["coco", "cvat", "voc", "vott", "yolo"])
def test_a_derived_reader_can_call_the_built_in_one(name: str) -> None:
    base: Any = type(plugins.get(name))
    tree = Tree.at(ROOT / "fixtures" / "scene" / "voc")
    found = base.detect(base(), tree)
    assert found == plugins.get(name).detect(tree)
    assert bool(found) == (name == "voc")


def test_the_example_passes_its_own_tests(site: PluginSite, tmp_path: Path) -> None:
    site.install_example()
    shutil.copytree(PLUGIN_EXAMPLE / "tests", tmp_path / "tests")
    done = run_pytest(site.folder, cwd=tmp_path / "tests")
    assert done.returncode == 0, done.stdout
    cases = len(list((PLUGIN_EXAMPLE / "tests" / "cases").iterdir()))
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed
    assert int(passed[1]) >= 6 * cases
    assert "skipped" not in done.stdout


def test_the_conformance_kit_can_be_imported_without_pytest(site: PluginSite) -> None:
    code = "import regionbatch.testing, sys; raise SystemExit('pytest' in sys.modules)"
    assert site.run("-c", code).returncode == 0


def test_an_image_outside_the_dataset_is_never_opened(
    site: PluginSite, table: Path, tmp_path: Path
) -> None:
    """A path that leads out is reported and stays a name; nothing is uploaded for it."""
    site.install_example()
    for name in ("secret/private.jpg", "set/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((200, 100), 60).save(tmp_path / name)
    private = tmp_path / "secret" / "private.jpg"
    rows = "".join(
        f"{name},200,100,dog,20,10,60,40\n" for name in ("../secret/private.jpg", str(private))
    )
    with (table / "boxes.csv").open("a", encoding="utf-8") as file:
        file.write(rows)
    code = (
        "import json, sys, regionbatch\n"
        "opened = []\n"
        "sys.addaudithook(lambda event, given: event == 'open' and opened.append(str(given[0])))\n"
        f"found = regionbatch.read({str(table)!r}, format='csv')\n"
        "print(json.dumps([found.findings.counts(), list(found.images.paths), opened]))\n"
    )
    counts, paths, opened = json_of(site.run("-c", code))
    assert counts == {"image_not_on_disk": 2, "outside_dataset": 2}
    assert paths == [str(table / "a.jpg"), "", ""]
    assert not [path for path in opened if "private" in path]
    assert str(table / "boxes.csv") in opened, "the audit hook sees opened files"
    rejected = site.command("upload", table, "--local", "--json")
    assert rejected.returncode == 1
    assert json.loads(rejected.stdout)["complete"] is False
    assert "../secret/private.jpg" in rejected.stderr
    uploaded = json_of(site.command("upload", table, "--local", "--json", "--skip-unresolved"))
    assert (uploaded["created"], uploaded["new_images"]) == (1, 1)
    assert uploaded["boxes"]["dropped"] == {"unresolved": 2}
    assert (uploaded["verification"]["matched"], uploaded["verification"]["missing"]) == (1, 0)


def test_several_image_folders_work_for_a_plugin_without_its_help(
    site: PluginSite, table: Path, tmp_path: Path
) -> None:
    site.install_example()
    path = table / "boxes.csv"
    with path.open("a", encoding="utf-8") as file:
        file.write("b.jpg,0,0,cat,20,10,60,40\n")
    for name in ("one/a.jpg", "two/b.jpg"):
        (tmp_path / name).parent.mkdir()
        Image.new("L", (200, 100)).save(tmp_path / name)
    both = [str(tmp_path / "one"), str(tmp_path / "two")]
    code = (
        "import json, regionbatch\n"
        f"for given in ({both}, {both[0]!r}, []):\n"
        f"    found = regionbatch.read({str(table)!r}, format='csv', image_dir=given)\n"
        "    results.append([found.findings.counts(), dict(found.ledger.dropped)])\n"
        "print(json.dumps(results))\n"
    )
    with_both, with_one, with_none = json_of(site.run("-c", f"results = []\n{code}"))
    assert with_both == [{}, {}]
    assert with_one == [
        {"unknown_image_size": 1, "image_not_on_disk": 1},
        {"unknown_image_size": 1},
    ]
    assert with_none == [
        {"unknown_image_size": 1, "image_not_on_disk": 2},
        {"unknown_image_size": 1},
    ]


@pytest.mark.parametrize("name", ["a.json", "annotations.xml", "boxes"])
def test_a_single_file_reaches_the_plugin_that_recognises_it(
    site: PluginSite, tmp_path: Path, name: str
) -> None:
    site.install("mine", {"mine": "mine:Mine"}, "mine", MINE)
    (tmp_path / name).write_text("mine\n", encoding="utf-8")
    inspected = json_of(site.command("inspect", tmp_path / name, "--json"))
    assert inspected["format"] == "mine"
    assert inspected["classes"] == {"cat": 1}
    assert name in str(inspected["decisions"]["format"])


MINE = """
import numpy as np
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.files.text import UnreadableError
from regionbatch.options import ReadOptions

class Mine:
    title, options = "files that start with mine", ReadOptions

    def detect(self, tree):
        for path in tree.candidates(".mine"):
            try:
                if tree.beginning(path).startswith(b"mine"):
                    return path
            except UnreadableError:
                pass

    def references(self, tree, options, log):
        return References(dict.fromkeys(tree.candidates(".mine"), ""))

    def read(self, tree, files, options, log):
        log.read(boxes=len(files), images=len(files))
        file = log.add_files(list(files))
        size, each = np.full(len(files), 100, np.int32), np.arange(len(files), dtype=np.int32)
        return RawAnnotations(
            BoxMode.XYXY_ABS, np.full((len(files), 4), [10, 10, 20, 20.0]), each, each * 0,
            ImageReferences([f"{number}.jpg" for number in each], file, size, size),
            ["cat"], file, each + 1,
        )
"""


class Labels:
    """A reader of label files that belong to one image each and do not name it."""

    title: ClassVar[str] = "label files"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def __init__(self, order: int = 1, *more: str) -> None:
        self.order, self.more = order, more

    def detect(self, tree: Tree) -> str | None:
        return next(tree.candidates(".label"), None)

    def references(self, tree: Tree, options: ReadOptions, log: FindingLog) -> References:
        files = dict.fromkeys([*tree.candidates(".label"), *self.more], "")
        return References(files, one_image_each=True, declares_names=False)

    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: ReadOptions,
        log: FindingLog,
    ) -> RawAnnotations:
        file = log.add_files(files)[:: self.order]
        log.read(boxes=len(file), images=len(file))
        none = np.zeros(len(file), np.int32)
        box = np.full((len(file), 4), 0.25)
        images = ImageReferences([""] * len(file), file, none, none)
        each = np.arange(len(file), dtype=np.int32)
        return RawAnnotations(
            BoxMode.XYWH_REL, box, each, none, images, ["cat"], file, (each + 1).astype(np.int64)
        )


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    for name in ("set/a.label", "set/b.label", "set/a.jpg", "set/b.jpg", "secret.label"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "set"


def test_references_outside_the_dataset_are_an_error(labels: Path) -> None:
    assert len(rb.read(labels, format=Labels())) == 2
    for outside in ("../secret.label", str(labels.parent / "secret.label"), "nowhere.label"):
        with raises_mentioning(PluginError, outside):
            rb.read(labels, format=Labels(1, outside))


class OneTooMany(Labels):
    """Returns a reference with a code that no file has, after those of all files."""

    def read(self, *arguments: Any) -> RawAnnotations:
        found = super().read(*arguments)
        images = found.images
        columns = ("file", "width", "height", "split")
        more: dict[str, Any] = {
            name: np.append(getattr(images, name), np.int32(-1)) for name in columns
        }
        images = replace(images, names=[*images.names, ""], **more)
        return replace(found, images=images)


def test_a_reference_to_no_file_is_an_error(labels: Path) -> None:
    with raises_mentioning(PluginError, "-1"):
        rb.read(labels, format=OneTooMany())


def test_images_in_another_order_than_the_files_are_an_error(labels: Path) -> None:
    with raises_mentioning(PluginError, "order"):
        rb.read(labels, format=Labels(-1))
