"""Plugins that fail, and plugins with the same name: what the command and the library report."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers import ROOT, PluginSite, json_of, mentions, write_csv_table

if TYPE_CHECKING:
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene" / "coco"


@pytest.fixture
def site(tmp_path: Path) -> PluginSite:
    return PluginSite(tmp_path / "site")


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return write_csv_table(tmp_path / "set")


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
    "a module that does not exist": ("", ["ModuleNotFoundError"]),
    "a class that does not exist": ("x = 1\n", ["AttributeError"]),
    "an error while it is imported": (
        "raise ValueError('half installed')\n",
        ["ValueError", "half installed"],
    ),
    "a syntax error": ("class Reader(:\n", ["SyntaxError"]),
    "an error while it is made": (
        "class Reader:\n    def __init__(self): raise OSError('no licence')\n",
        ["OSError", "no licence"],
    ),
    "no read": (READER.replace("def read(", "def reed("), ["read"]),
    "no references": (READER.replace("def references", "def refers"), ["references"]),
    "a method of an earlier contract": (
        READER.replace("def detect(self, tree)", "def claims(self, path)"),
        ["detect"],
    ),
    "options that are not a dataclass": (
        READER.replace("ReadOptions\n    def", "dict\n    def"),
        ["options"],
    ),
}


@pytest.mark.parametrize(("code", "tokens"), BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_is_named_and_skipped(
    site: PluginSite, table: Path, code: str, tokens: list[str]
) -> None:
    site.install("half-done", {"half": "half_done:Reader"}, "half_done" if code else "", code)
    site.install_example()
    formats = site.command("formats")
    assert formats.returncode == 0, formats.stderr
    assert mentions(formats.stdout, "half", "half-done", *tokens)
    assert "csv (regionbatch-csv): a CSV table" in formats.stdout
    assert json_of(site.command("inspect", SCENE, "--json"))["format"] == "coco"
    assert json_of(site.command("inspect", table, "--json"))["format"] == "csv"
    chosen = site.command("inspect", table, "--format", "half")
    assert chosen.returncode == 1
    assert mentions(chosen.stderr, "half", "half-done", *tokens)
    assert "Traceback" not in chosen.stderr


def test_a_broken_plugin_is_named_if_no_reader_recognises_the_dataset(
    site: PluginSite, tmp_path: Path
) -> None:
    site.install("half-done", {"half": "half_done:Reader"})
    (tmp_path / "set").mkdir()
    done = site.command("inspect", tmp_path / "set")
    assert done.returncode == 1
    assert "half-done" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_plugin_with_a_failing_detect_is_named_and_skipped(
    site: PluginSite, table: Path, tmp_path: Path
) -> None:
    raising = READER.replace(DETECTS, "def detect(self, tree): return 1 / 0")
    site.install("rash", {"rash": "rash:Reader"}, "rash", raising)
    site.install_example()
    assert json_of(site.command("inspect", table, "--json"))["format"] == "csv"
    (tmp_path / "empty").mkdir()
    done = site.command("inspect", tmp_path / "empty")
    assert done.returncode == 1
    assert mentions(done.stderr, "rash", "ZeroDivisionError")
    assert "Traceback" not in done.stderr


def test_two_plugins_with_the_same_name_are_an_error_that_names_both(
    site: PluginSite, table: Path
) -> None:
    site.install_example()
    site.install("other-csv", {"csv": "other_csv:Reader"}, "other_csv", READER)
    done = site.command("inspect", table, "--format", "csv")
    assert done.returncode == 1
    assert mentions(done.stderr, "csv", "regionbatch-csv", "other-csv")
    formats = site.command("formats")
    assert formats.returncode == 0
    assert mentions(formats.stdout, "regionbatch-csv", "other-csv")


def test_a_plugin_with_the_name_of_a_built_in_format_is_an_error(site: PluginSite) -> None:
    site.install("my-coco", {"coco": "my_coco:Reader"}, "my_coco", READER)
    done = site.command("inspect", SCENE, "--format", "coco")
    assert done.returncode == 1
    assert mentions(done.stderr, "coco", "regionbatch", "my-coco")
    detected = site.command("inspect", SCENE)
    assert f"{SCENE}: coco" in detected.stdout, "plugins are not asked if a built-in reader matches"
    assert mentions(site.command("formats").stdout, "my-coco")


def test_two_plugins_that_recognise_a_dataset_are_an_error(site: PluginSite, table: Path) -> None:
    site.install_example()
    site.install("other", {"other": "other:Reader"}, "other", READER)
    done = site.command("inspect", table)
    assert done.returncode == 1
    assert mentions(done.stderr, table, "csv", "boxes.csv", "other", "its own folder", "--format")


def test_a_misspelt_format_is_a_usage_error_with_the_nearest_name(
    site: PluginSite, table: Path
) -> None:
    site.install_example()
    done = site.command("inspect", table, "--format", "cvs")
    assert done.returncode == 2
    assert mentions(done.stderr, "--format", "cvs", "csv")
    code = f"""
import json, regionbatch
try:
    regionbatch.read({str(table)!r}, format="cvs")
except regionbatch.OptionError as error:
    print(json.dumps([error.option, error.value, error.choices]))
"""
    option, value, choices = json_of(site.run("-c", code))
    assert (option, value) == ("format", "cvs")
    assert choices == ["coco", "voc", "yolo", "cvat", "vott", "csv"]


RAISING = """
from regionbatch.options import ReadOptions

class Raising:
    title, options = "raises", ReadOptions

    def detect(self, tree):
        return "always" if tree.named.endswith(".raises") else None

    def references(self, tree, options, log):
        tree.beginning(tree.named)
        raise KeyError("x")

    def read(self, tree, files, options, log):
        return None
"""


def test_an_exception_of_a_plugin_names_the_plugin_its_package_and_the_file(
    site: PluginSite, tmp_path: Path
) -> None:
    site.install("raising-package", {"raises": "raising:Raising"}, "raising", RAISING)
    path = tmp_path / "a.raises"
    path.touch()
    run = site.command("inspect", path)
    assert (run.returncode, run.stdout) == (1, "")
    assert mentions(run.stderr, "a.raises", "raises", "raising-package", "KeyError")
    assert "Traceback" not in run.stderr
    code = f"""
import json, regionbatch
try:
    regionbatch.read({str(path)!r})
except regionbatch.PluginError as error:
    print(json.dumps([error.place, type(error.__cause__).__name__]))
"""
    assert json_of(site.run("-c", code)) == ["a.raises", "KeyError"]
