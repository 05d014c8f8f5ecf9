"""Readers of other packages: found, listed, chosen; broken ones, and two of one name."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, get_args

import numpy as np
import pytest
from PIL import Image

import regionbatch as rb
from helpers import ROOT, environment, ids_of, process, raises_mentioning, write_json
from regionbatch.boxes import BoxMode
from regionbatch.codes import CODES
from regionbatch.dataset import MARKS, ImageReferences, RawAnnotations, References
from regionbatch.errors import PluginError
from regionbatch.findings import Place
from regionbatch.options import ReadOptions

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Sequence
    from pathlib import Path

    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog

EXAMPLE = ROOT / "tests" / "plugin_example"
SCENE = ROOT / "fixtures" / "scene" / "coco"


class Site(NamedTuple):
    """A folder that packages are installed into, as `pip install --target` would; nothing is fetched or built."""

    folder: Path

    def install(self, name: str, readers: dict[str, str], module: str = "", code: str = "") -> None:
        """Install a package of one module, which names its readers as entry points."""
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        lines = "".join(f"{key} = {value}\n" for key, value in readers.items())
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[regionbatch.readers]\n{lines}", encoding="utf-8")
        if module:
            (self.folder / f"{module}.py").write_text(code, encoding="utf-8")

    def install_example(self) -> None:
        """Install the example as its pyproject.toml says."""
        project = tomllib.loads((EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        self.install(project["name"], project["entry-points"]["regionbatch.readers"])
        shutil.copytree(EXAMPLE / "regionbatch_csv", self.folder / "regionbatch_csv")

    def run(self, *arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run Python with what is installed here."""
        paths = os.pathsep.join([environment()["PYTHONPATH"], str(self.folder)])
        return process(*arguments, cwd=cwd, PYTHONPATH=paths)

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the command with what is installed here."""
        return self.run("-m", "regionbatch_cli", *arguments)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path / "site")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A dataset that only the example can read."""
    folder = tmp_path / "set"
    folder.mkdir()
    text = "image,width,height,tag,left,top,right,bottom\na.jpg,200,100,cat,20,10,60,40\n"
    (folder / "boxes.csv").write_text(text, encoding="utf-8")
    return folder


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# The example.


def test_formats_lists_the_example(site: Site) -> None:
    site.install_example()
    listed = json_of(site.command("formats", "--json"))
    assert list(listed) == ["coco", "voc", "yolo", "cvat", "vott", "csv"]
    assert listed["csv"]["origin"] == "regionbatch-csv"
    assert listed["csv"]["options"] == ["split", "image_dir", "encoding", "delimiter"]
    assert listed["csv"]["trouble"] is None
    text = site.command("formats").stdout
    assert "csv (regionbatch-csv): a CSV table with the columns" in text
    assert re.search(r"delimiter +what separates columns +, \| ; \| tab", text)


def test_the_example_reads_what_no_other_claims(site: Site, table: Path) -> None:
    site.install_example()
    told = json_of(site.command("inspect", table, "--json"))
    assert told["format"] == "csv"
    assert told["classes"] == {"cat": 1}
    assert told["boxes"]["read"] == 1
    assert told["decisions"]["format"] == "csv (boxes.csv)"


def test_the_example_converts(site: Site, table: Path, tmp_path: Path) -> None:
    site.install_example()
    tags, images = (write_json(tmp_path / f"{name}.json", ids_of([name])) for name in ("cat", "a.jpg"))
    payload = json_of(site.command("convert", table, "-o", "-", "--tags", tags, "--images", images))
    entry = payload["regions"][0]
    assert [entry[key] for key in ("left", "top", "width", "height")] == [0.1, 0.1, 0.2, 0.3]


def test_an_option_of_the_example(site: Site, table: Path) -> None:
    site.install_example()
    path = table / "boxes.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",", "\t"), encoding="utf-8")
    assert "boxes.csv:1" in site.command("inspect", table).stderr
    assert json_of(site.command("inspect", table, "-O", "delimiter=tab", "--json"))["classes"] == {"cat": 1}
    refused = site.command("inspect", table, "-O", "delimiter=|")
    assert refused.returncode == 2
    assert "--delimiter: no such choice, got |" in refused.stderr


def test_built_in_readers_go_first(site: Site) -> None:
    site.install_example()
    assert json_of(site.command("inspect", SCENE, "--json"))["format"] == "coco"


def test_the_example_passes_its_own_tests(site: Site, tmp_path: Path) -> None:
    site.install_example()
    shutil.copytree(EXAMPLE / "tests", tmp_path / "tests")
    done = site.run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path / "tests", cwd=tmp_path)
    assert done.returncode == 0, done.stdout
    cases = len(list((EXAMPLE / "tests" / "cases").iterdir()))
    passed = re.search(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert passed
    assert int(passed[1]) >= 10 * cases
    assert "skipped" not in done.stdout


def test_the_kit_needs_no_pytest_to_be_imported(site: Site) -> None:
    code = "import regionbatch.testing, sys; raise SystemExit('pytest' in sys.modules)"
    assert site.run("-c", code).returncode == 0


def test_an_image_outside_the_dataset_is_never_opened(site: Site, table: Path, tmp_path: Path) -> None:
    """A name that leads out is reported, and stays a name; nothing is uploaded for it."""
    site.install_example()
    for name in ("secret/private.jpg", "set/a.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.effect_noise((200, 100), 60).save(tmp_path / name)
    private = tmp_path / "secret" / "private.jpg"
    rows = "".join(f"{name},200,100,dog,20,10,60,40\n" for name in ("../secret/private.jpg", str(private)))
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
    assert str(table / "boxes.csv") in opened, "what is opened is seen"
    refused = site.command("upload", table, "--local", "--json")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "../secret/private.jpg" in refused.stderr
    uploaded = json_of(site.command("upload", table, "--local", "--json", "--skip-unresolved"))
    assert (uploaded["created"], uploaded["new_images"]) == (1, 1)
    assert uploaded["boxes"]["dropped"] == {"unresolved": 2}
    assert (uploaded["verification"]["matched"], uploaded["verification"]["missing"]) == (1, 0)


def test_a_plugin_takes_several_image_folders_for_nothing(site: Site, table: Path, tmp_path: Path) -> None:
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
        "    told.append([found.findings.counts(), dict(found.ledger.dropped)])\n"
        "print(json.dumps(told))\n"
    )
    with_both, with_one, with_none = json_of(site.run("-c", f"told = []\n{code}"))
    assert with_both == [{}, {}]
    assert with_one == [{"unknown_image_size": 1, "image_not_on_disk": 1}, {"unknown_image_size": 1}]
    assert with_none == [{"unknown_image_size": 1, "image_not_on_disk": 2}, {"unknown_image_size": 1}]


@pytest.mark.parametrize("name", ["a.json", "annotations.xml", "boxes"])
def test_a_single_file_reaches_the_plugin_that_knows_it(site: Site, tmp_path: Path, name: str) -> None:
    site.install("mine", {"mine": "mine:Mine"}, "mine", MINE)
    (tmp_path / name).write_text("mine\n", encoding="utf-8")
    inspected = json_of(site.command("inspect", tmp_path / name, "--json"))
    assert inspected["format"] == "mine"
    assert inspected["classes"] == {"cat": 1}
    assert inspected["decisions"]["format"] == f"mine ({name})"


MINE = """
import numpy as np
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.files.text import UnreadableError
from regionbatch.options import ReadOptions

class Mine:
    title, options = "files that begin with mine", ReadOptions

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
            ImageReferences([f"{number}.jpg" for number in each], file, size, size), ["cat"], file, each + 1,
        )
"""


class Labels:
    """A reader of label files about one image each, which do not say which."""

    title: ClassVar[str] = "label files"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def __init__(self, order: int = 1, *more: str) -> None:
        self.order, self.more = order, more

    def detect(self, tree: Tree) -> str | None:
        return next(tree.candidates(".label"), None)

    def references(self, tree: Tree, options: ReadOptions, log: FindingLog) -> References:  # noqa: ARG002
        files = dict.fromkeys([*tree.candidates(".label"), *self.more], "")
        return References(files, one_image_each=True, declares_names=False)

    def read(self, tree: Tree, files: Sequence[str], options: ReadOptions, log: FindingLog) -> RawAnnotations:  # noqa: ARG002
        file = log.add_files(files)[:: self.order]
        log.read(boxes=len(file), images=len(file))
        none = np.zeros(len(file), np.int32)
        box = np.full((len(file), 4), 0.25)
        images = ImageReferences([""] * len(file), file, none, none)
        each = np.arange(len(file), dtype=np.int32)
        return RawAnnotations(BoxMode.XYWH_REL, box, each, none, images, ["cat"], file, (each + 1).astype(np.int64))


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


def test_images_in_another_order_than_the_files_are_an_error(labels: Path) -> None:
    with raises_mentioning(PluginError, "order"):
        rb.read(labels, format=Labels(-1))


# Plugins with a defect.

DETECTS = "def detect(self, tree): return 'its own folder' if tree.root.name == 'set' else None"
READER = f"""
from regionbatch.options import ReadOptions
class Reader:
    title, options = "a thing", ReadOptions
    {DETECTS}
    def references(self, tree, options, log): raise NotImplementedError
    def read(self, tree, files, options, log): raise NotImplementedError
"""

BROKEN = {
    "a module that is not there": ("", "ModuleNotFoundError"),
    "a class that is not there": ("x = 1\n", "AttributeError"),
    "an error when imported": ("raise ValueError('half installed')\n", "ValueError: half installed"),
    "syntax that is none": ("class Reader(:\n", "SyntaxError"),
    "an error when made": (
        "class Reader:\n    def __init__(self): raise OSError('no licence')\n",
        "OSError: no licence",
    ),
    "no read": (
        READER.replace("def read(", "def reed("),
        "lacks title, options (a dataclass), detect, references or read",
    ),
    "no references": (
        READER.replace("def references", "def refers"),
        "lacks title, options (a dataclass), detect, references or read",
    ),
    "a reader of the contract before": (
        READER.replace("def detect(self, tree)", "def claims(self, path)"),
        "lacks title, options (a dataclass), detect, references or read",
    ),
    "options that are no dataclass": (
        READER.replace("ReadOptions\n    def", "dict\n    def"),
        "lacks title, options (a dataclass)",
    ),
}


@pytest.mark.parametrize(("code", "told"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_passed_over(site: Site, table: Path, code: str, told: str) -> None:
    site.install("half-done", {"half": "half_done:Reader"}, "half_done" if code else "", code)
    site.install_example()
    formats = site.command("formats")
    assert formats.returncode == 0, formats.stderr
    assert "half (half-done): broken: " in formats.stdout
    assert told in formats.stdout
    assert "csv (regionbatch-csv): a CSV table" in formats.stdout
    assert json_of(site.command("inspect", SCENE, "--json"))["format"] == "coco"
    assert json_of(site.command("inspect", table, "--json"))["format"] == "csv"
    chosen = site.command("inspect", table, "--format", "half")
    assert chosen.returncode == 1
    assert "half" in chosen.stderr
    assert "half-done" in chosen.stderr
    assert "Traceback" not in chosen.stderr


def test_a_broken_plugin_is_named_where_nobody_claims_the_path(site: Site, tmp_path: Path) -> None:
    site.install("half-done", {"half": "half_done:Reader"})
    (tmp_path / "set").mkdir()
    done = site.command("inspect", tmp_path / "set")
    assert done.returncode == 1
    assert "half-done" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_whose_detect_raises_is_named_and_passed_over(site: Site, table: Path, tmp_path: Path) -> None:
    raising = READER.replace(DETECTS, "def detect(self, tree): return 1 / 0")
    site.install("rash", {"rash": "rash:Reader"}, "rash", raising)
    site.install_example()
    assert json_of(site.command("inspect", table, "--json"))["format"] == "csv"
    (tmp_path / "empty").mkdir()
    done = site.command("inspect", tmp_path / "empty")
    assert done.returncode == 1
    assert "rash" in done.stderr
    assert "ZeroDivisionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_plugins_of_one_name_are_an_error_that_names_both(site: Site, table: Path) -> None:
    site.install_example()
    site.install("other-csv", {"csv": "other_csv:Reader"}, "other_csv", READER)
    done = site.command("inspect", table, "--format", "csv")
    assert done.returncode == 1
    assert "csv: two readers have this name, got regionbatch-csv and other-csv" in done.stderr.replace(
        "other-csv and regionbatch-csv", "regionbatch-csv and other-csv"
    )
    formats = site.command("formats")
    assert formats.returncode == 0
    assert formats.stdout.count("broken: csv: two readers have this name") == 2


def test_a_plugin_that_shadows_a_built_in_reader_is_an_error(site: Site) -> None:
    site.install("my-coco", {"coco": "my_coco:Reader"}, "my_coco", READER)
    done = site.command("inspect", SCENE, "--format", "coco")
    assert done.returncode == 1
    assert "coco: two readers have this name, got regionbatch itself and my-coco; uninstall one" in done.stderr
    assert f"{SCENE}: coco" in site.command("inspect", SCENE).stdout  # plugins are not asked where ours claims
    assert "coco (my-coco): broken: " in site.command("formats").stdout


def test_two_plugins_that_claim_one_path_are_an_error(site: Site, table: Path) -> None:
    site.install_example()
    site.install("other", {"other": "other:Reader"}, "other", READER)
    done = site.command("inspect", table)
    assert done.returncode == 1
    assert (
        "more than one format is here, got csv: boxes.csv; other: its own folder; choose one with --format"
        in done.stderr
    )


def test_a_name_that_is_nearly_right(site: Site, table: Path) -> None:
    site.install_example()
    assert "got cvs; did you mean csv?" in site.command("inspect", table, "--format", "cvs").stderr


RAISING = """
from regionbatch.options import ReadOptions

class Raising:
    title, options = "raises", ReadOptions

    def detect(self, tree):
        return "always" if tree.named.endswith(".raises") else None

    def references(self, tree, options, log):
        raise KeyError(tree.named)

    def read(self, tree, files, options, log):
        return None
"""


def test_what_a_plugin_raises_is_told_as_its_own(site: Site, tmp_path: Path) -> None:
    site.install("raising", {"raises": "raising:Raising"}, "raising", RAISING)
    (tmp_path / "a.raises").touch()
    run = site.command("inspect", tmp_path / "a.raises")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "Error: raises: the reader is broken, it raised KeyError: 'a.raises'; update the package that brings it\n"
    )


GUIDE_CASES: dict[str, tuple[str, dict[str, str], str]] = {
    "plain": (
        "TestBoxes",
        {"a.boxes": "a.jpg 200 100\ncat 20 10 60 40\ndog 100 50 150 75\nb.jpg 100 100\ncat 0 0 50 50\n"},
        """
regions = [
  ["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3],
  ["a.jpg", "dog", 0.5, 0.5, 0.25, 0.25],
  ["b.jpg", "cat", 0, 0, 0.5, 0.5],
]

[findings]
image_not_on_disk = 2
""",
    ),
    "sizes": (
        "TestBoxes",
        {"a.boxes": "a.jpg 200 100\ncat 20 10 40 30\n"},
        """
regions = [["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]

[options]
numbers = "size"

[findings]
image_not_on_disk = 1
""",
    ),
    "broken": (
        "TestBoxes",
        {"a.boxes": "cat 1 2 3 4\na.jpg 200 x\ncat 1 2 3 4\nb.jpg 200 100\ncat 1 2 3\ncat 20 10 60 40\n"},
        """
regions = [["b.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]

[boxes]
dropped = {unknown_image = 2, not_a_box = 1}

[images]
dropped = {not_an_image = 1}

[findings]
image_not_on_disk = 1

[places]
not_a_box = "a.boxes:5"
""",
    ),
    "shapes": (
        "TestShapes",
        {
            "labels/a.json": json.dumps(
                {
                    "image": "x/a.jpg",
                    "width": 200,
                    "height": 100,
                    "shapes": [
                        {"label": "cat", "points": [[20, 10], [60, 40], [30, 20]]},
                        {"label": "dog", "points": []},
                    ],
                }
            )
            + "\n",
            "labels/b.json": '{"shapes": []}\n',
            "images/a.jpg": "",
        },
        """
regions = [["images/a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]

[boxes]
adjusted = {box_from_shape = 1}
dropped = {not_a_box = 1}

[images]
dropped = {unreadable_file = 1}

[places]
box_from_shape = "labels/a.json: object 1"
not_a_box = "labels/a.json: object 2"
unreadable_file = "labels/b.json"
""",
    ),
}


def test_the_readers_of_the_guide_pass_the_kit(site: Site, tmp_path: Path) -> None:
    """The guide's blocks as they are: two readers, and the three lines of the tests."""
    text = (ROOT / "converters" / "README.md").read_text(encoding="utf-8").partition("## How to write a reader")[2]
    code = "\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL))
    code = code.replace('Path("cases")', f"Path({str(tmp_path / 'TestBoxes')!r})")
    code += "\n\nclass TestShapes(ReaderTests):\n    reader = ShapesReader\n"
    code += f"    cases = Path({str(tmp_path / 'TestShapes')!r})\n"
    (tmp_path / "test_guide.py").write_text(code, "utf-8")
    for name, (tests, files, expected) in GUIDE_CASES.items():
        case = tmp_path / tests / name
        for path, content in files.items():
            (case / "input" / path).parent.mkdir(parents=True, exist_ok=True)
            (case / "input" / path).write_text(content, encoding="utf-8")
        (case / "case.toml").write_text(expected.lstrip(), encoding="utf-8")
    done = site.run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path, cwd=tmp_path)
    passed = re.search(r"^(\d+) passed in .*\n\Z", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    assert int(passed[1]) >= 10 * len(GUIDE_CASES)


def test_the_guide_lists_codes_with_their_effects() -> None:
    text = (ROOT / "converters" / "README.md").read_text(encoding="utf-8").partition("## How to write a reader")[2]
    listed = dict(re.findall(r"^\| `(\w+)` \| (dropped|adjusted|noted) \|", text, re.MULTILINE))
    assert len(listed) > 10
    assert listed == {name: CODES[name].effect for name in listed}
    assert all(f"`{mark}`" in text for mark in MARKS)
    assert all(f"`{mode.name}`" in text for mode in BoxMode)
    assert all(f'`"{place}"`' in text for place in get_args(Place))
