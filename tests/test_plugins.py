"""Readers of other packages: found, listed, chosen; broken ones, and two of one name."""

from __future__ import annotations

import json
import os
import re
import shutil
import tomllib
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from helpers import ROOT, environment, ids_of, process, write_json

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

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
    """A data set that only the example can read."""
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
    assert list(listed) == ["coco", "voc", "yolo", "csv"]
    assert listed["csv"]["origin"] == "regionbatch-csv"
    assert listed["csv"]["options"] == ["split", "image_dir", "delimiter"]
    assert listed["csv"]["trouble"] is None
    text = site.command("formats").stdout
    assert "csv (regionbatch-csv): a CSV table with the columns" in text
    assert re.search(r"delimiter +what stands between columns +, \| ; \| tab", text)


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


# Plugins with a defect.

CLAIMS = "def claims(self, path): return 'its own folder' if path.name == 'set' else None"
READER = f"""
from regionbatch.options import ReadOptions
class Reader:
    title, options = "a thing", ReadOptions
    {CLAIMS}
    def read(self, path, options, report): raise NotImplementedError
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
    "no read": (READER.replace("def read", "def reed"), "lacks title, options (a dataclass), claims or read"),
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


def test_a_plugin_whose_claims_raises_is_named_and_passed_over(site: Site, table: Path, tmp_path: Path) -> None:
    site.install(
        "rash", {"rash": "rash:Reader"}, "rash", READER.replace(CLAIMS, "def claims(self, path): return 1 / 0")
    )
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

    def claims(self, path):
        return "always" if path.suffix == ".raises" else None

    def read(self, path, options, report):
        raise KeyError(path.name)
"""


def test_what_a_plugin_raises_is_told_as_its_own(site: Site, tmp_path: Path) -> None:
    site.install("raising", {"raises": "raising:Raising"}, "raising", RAISING)
    (tmp_path / "a.raises").touch()
    run = site.command("inspect", tmp_path / "a.raises")
    assert (run.returncode, run.stdout) == (1, "")
    assert run.stderr == (
        "Error: raises: the reader is broken, it raised KeyError: 'a.raises'; update the package that brings it\n"
    )


def test_the_reader_of_the_guide_passes_the_kit(site: Site, tmp_path: Path) -> None:
    """The guide's blocks as they stand there: a reader, and the three lines of its tests."""
    text = (ROOT / "converters" / "README.md").read_text(encoding="utf-8").partition("## How to write a reader")[2]
    (tmp_path / "test_guide.py").write_text("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), "utf-8")
    case = tmp_path / "cases" / "plain"
    (case / "input").mkdir(parents=True)
    (case / "input" / "a.onebox").write_text("a.jpg 200 100 cat 20 10 60 40\n", encoding="utf-8")
    row = {"image": "a.jpg", "tag": "cat", "left": 0.1, "top": 0.1, "width": 0.2, "height": 0.3}
    write_json(case / "expected.jsonl", row)
    account = {"read": 1, "kept": 1, "adjusted": {}, "dropped": {}}
    told = {"boxes": account, "images": account, "findings": {"image_not_on_disk": 1}, "read": "a.onebox"}
    write_json(case / "findings.json", told)
    done = site.run("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", tmp_path, cwd=tmp_path)
    assert re.fullmatch(r"\.+ +\[100%\]\n1\d passed in .*\n", done.stdout), done.stdout
