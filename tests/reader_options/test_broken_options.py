"""Options of broken plugins, when plugins are imported, and where packages are found."""

from __future__ import annotations

import sys
from importlib import metadata
from typing import TYPE_CHECKING

import pytest

from helpers import (
    command,
    mentions,
    process,
)
from option_plugins import DELIMITER, OPTIONS, READER, Site, coco, groups, table
from regionbatch import installed, plugins

if TYPE_CHECKING:
    from pathlib import Path


# Broken plugins, and when plugins are imported.

BROKEN = {
    "missing module": "",
    "error when imported": "raise ValueError('half installed')",
    "exit when imported": "raise SystemExit(5)",
    "invalid syntax": "class Options(:",
    "missing class": "x = 1",
    "not a dataclass": "class Options: pass",
    "wrong base class": "import dataclasses\n@dataclasses.dataclass\nclass Options: pass",
    "name of an argument of read": OPTIONS.format(fields='strict: str | None = option("strict")'),
    "no default": OPTIONS.format(fields="delimiter: str"),
    "other class than the reader's": OPTIONS.format(fields=DELIMITER)
    + "class Other(Options): pass\nOptions = Other\n",
}


@pytest.mark.parametrize("code", BROKEN.values(), ids=BROKEN)
def test_a_broken_plugin_does_not_affect_anything_else(
    site: Site, tmp_path: Path, code: str
) -> None:
    entries = "[regionbatch.readers]\nhalf = rb_half:Reader\n"
    entries += "[regionbatch.options]\nhalf = rb_half_options:Options\n"
    options = OPTIONS.format(fields=DELIMITER)
    reader = READER.format(
        imports=options.replace("from __future__ import annotations\n", ""), extension="half"
    )
    modules = {"rb_half": reader, **({"rb_half_options": code} if code else {})}
    site.add("half-done", entries, **modules)
    site.add_reader("csv")
    for arguments in ([], ["inspect"], ["convert"], ["upload"], ["verify"]):
        assert command(*arguments, "--help").status == 0
    assert mentions(
        groups(command("inspect", "--help").stdout)["csv format options (regionbatch-csv)"],
        "--delimiter",
    )
    folder = coco(tmp_path / "set")
    assert command("inspect", folder).status == 0
    assert command("inspect", folder, "--format", "coco", "--coco-boxes", "pixels").status == 0
    assert command("inspect", table(tmp_path / "table"), "--delimiter", "comma").status == 0
    unknown = command("inspect", folder, "--colour", "red")
    assert unknown.status == 2
    assert mentions(unknown.stderr, "--colour")
    listed = command("formats", "--json")
    assert listed.status == 0
    assert listed.json["half"]["options"] == []
    assert mentions(listed.json["half"]["error"], "half", "half-done")
    assert command("inspect", folder, "--format", "half").status == 1


def test_help_and_the_error_for_an_unknown_option_name_a_broken_plugin(
    site: Site, tmp_path: Path
) -> None:
    site.add("half-done", "[regionbatch.readers]\nhalf = rb_half:Reader\n")
    assert (
        "regionbatch formats"
        in groups(command("inspect", "--help").stdout)["half format options (half-done)"]
    )
    run = command("inspect", coco(tmp_path / "set"), "--colour", "red")
    assert run.status == 2
    assert mentions(run.stderr, "--colour", "half")


def test_two_plugins_with_the_same_name_are_both_broken(site: Site, tmp_path: Path) -> None:
    site.add_reader("csv")
    site.add("other-csv", "[regionbatch.readers]\ncsv = rb_csv:Reader\n")
    site.add("my-coco", "[regionbatch.readers]\ncoco = rb_csv:Reader\n")
    found = groups(command("inspect", "--help").stdout)
    for title in (
        "csv format options (regionbatch-csv)",
        "csv format options (other-csv)",
        "coco format options (my-coco)",
    ):
        assert mentions(found[title], "formats")
    assert mentions(found["COCO format options"], "--coco-boxes")
    assert command("inspect", coco(tmp_path / "set"), "--delimiter", "tab").status == 2


WATCHED = "import pathlib\npathlib.Path({marker!r}).touch()\n"


@pytest.mark.parametrize("light", [True, False])
def test_plugins_are_imported_only_when_they_are_needed(
    site: Site, tmp_path: Path, light: bool
) -> None:
    site.add_reader("csv", light=light)
    markers = {}
    for module in site.modules:
        markers[module] = tmp_path / module
        path = site.folder / f"{module}.py"
        code = path.read_text(encoding="utf-8").replace("from __future__ import annotations\n", "")
        path.write_text(WATCHED.format(marker=str(markers[module])) + code, encoding="utf-8")

    def imported_by(*arguments: str | Path) -> set[str]:
        run = site.run(*arguments)
        assert run.returncode == 0, run.stderr
        found = {module for module, marker in markers.items() if marker.exists()}
        for module in found:
            markers[module].unlink()
        return found

    folder = coco(tmp_path / "set")
    assert imported_by("--help") == set()
    assert imported_by("formats", "--help") == set()
    assert imported_by("inspect", folder, "--coco-boxes", "pixels") == set()
    assert imported_by("inspect", folder, "--format", "coco") == set()
    light_ones = {"rb_csv_options"} if light else {"rb_csv"}
    assert imported_by("inspect", "--help") == light_ones
    assert imported_by("inspect", table(tmp_path / "table"), "--delimiter=comma") == set(
        site.modules
    )


def test_help_with_a_plugin_imports_nothing_heavy(site: Site) -> None:
    site.add_reader("csv")
    code = (
        f"import sys; sys.path.insert(0, {str(site.folder)!r})\n"
        "from regionbatch_cli.main import commands\n"
        "try: commands.main(['inspect', '--help'])\nexcept SystemExit: pass\n"
        "heavy = {'numpy', 'lxml', 'rich', 'msgspec', 'importlib.metadata', 'email'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    run = process("-c", code)
    assert mentions(run.stdout, "--delimiter")
    assert run.stdout.splitlines()[-1] == "[]"


# Where packages are found.


def test_packages_are_found_as_by_the_standard_library(site: Site) -> None:
    site.add_reader("csv")
    site.add(
        "with-extras",
        "[console_scripts]\nx = y:z\n# no\n[regionbatch.readers]\nmore=rb_more.a:B.c [extra]\n",
    )
    here = {point.group for package in metadata.distributions() for point in package.entry_points}
    for group in here | {"regionbatch.readers", "none"}:
        expected = {
            (point.name, point.value.partition("[")[0].strip())
            for point in metadata.entry_points(group=group)
        }
        assert {(point.name, point.value) for point in installed.entry_points(group)} == expected, (
            group
        )
    found = {
        (point.name, point.distribution) for point in installed.entry_points("regionbatch.readers")
    }
    assert {("csv", "regionbatch-csv"), ("more", "with-extras")} <= found


def test_the_standard_library_is_used_if_packages_may_be_in_other_places(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_reader("csv")
    folders = installed.entry_points("regionbatch.readers")
    (tmp_path / "more.zip").touch()
    monkeypatch.syspath_prepend(tmp_path / "more.zip")
    monkeypatch.setattr(installed, "_packages_in", None)
    assert installed.entry_points("regionbatch.readers") == folders


def test_a_package_that_is_installed_later_is_found(site: Site) -> None:
    for name in ("csv", "tsv"):
        assert name not in plugins.plugin_names()
        site.add_reader(name)
        assert name in plugins.plugin_names()


def test_the_first_of_two_packages_with_the_same_name_counts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_reader("csv")
    later = Site(tmp_path / "later")
    later.add("Regionbatch.CSV", "[regionbatch.readers]\nold = rb_old:Reader\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(later.folder), str(tmp_path / "nowhere")])
    assert [point.name for point in installed.entry_points("regionbatch.readers")] == ["csv"]


def test_verbose_shows_the_traceback_of_a_plugin(site: Site, tmp_path: Path) -> None:
    fail = "\ndef fail(*_):\n    raise KeyError('no such column')\nReader.read = fail\n"
    site.add_reader("csv", extra=fail)
    folder = table(tmp_path / "set")
    run = command("inspect", folder)
    assert (run.status, run.stderr.count("\n")) == (1, 1)
    assert mentions(run.stderr, "csv", "KeyError")
    verbose = command("inspect", folder, "-v")
    assert verbose.status == 1
    assert "Traceback" in verbose.stderr
    assert "raise KeyError" in verbose.stderr
    assert verbose.stderr.endswith(run.stderr)
