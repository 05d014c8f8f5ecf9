"""Options of plugins on the command line, and two options of one name."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from helpers import (
    command,
    mentions,
    write_id_files,
)
from option_plugins import COMMANDS, DELIMITER, FREE_DELIMITER, Site, coco, groups, table

if TYPE_CHECKING:
    from pathlib import Path


# Options of plugins.


@pytest.mark.parametrize("light", [True, False])
def test_an_option_of_a_plugin_is_an_option_of_the_command(
    site: Site, tmp_path: Path, light: bool
) -> None:
    site.add_reader("csv", light=light)
    found = groups(command("inspect", "--help").stdout)
    assert list(found).index("csv format options (regionbatch-csv)") > list(found).index(
        "YOLO format options"
    )
    assert mentions(found["csv format options (regionbatch-csv)"], "--delimiter", "comma", "tab")
    folder = table(tmp_path / "set", delimiter="\t")
    assert command("inspect", folder, "--delimiter", "tab", "--json").json["boxes"]["kept"] == 1
    assert command("inspect", folder, "--delimiter=tab", "--json").json["boxes"]["kept"] == 1
    assert command("inspect", folder).status == 1, "another delimiter"
    wrong = command("inspect", folder, "--delimiter", "dot")
    assert (wrong.status, wrong.stdout) == (2, "")
    assert mentions(wrong.stderr, "--delimiter", "dot", "comma", "tab")


@pytest.mark.parametrize("name", COMMANDS)
def test_all_commands_show_the_options_of_a_plugin(site: Site, name: str) -> None:
    site.add_reader("csv")
    assert mentions(
        groups(command(name, "--help").stdout)["csv format options (regionbatch-csv)"],
        "--delimiter",
    )


def test_convert_takes_an_option_of_a_plugin(site: Site, tmp_path: Path) -> None:
    site.add_reader("csv")
    folder = table(tmp_path / "set", delimiter="\t")
    dataset = rb.read(folder, delimiter="tab")  # type: ignore[call-arg] # of a plugin
    ids = write_id_files(tmp_path, dataset)
    run = command("convert", folder, "-o", "-", *ids, "--delimiter", "tab")
    assert run.status == 0, run.stderr
    assert len(json.loads(run.stdout)["regions"]) == 1


def test_the_error_for_an_option_of_a_plugin_names_the_plugin(site: Site, tmp_path: Path) -> None:
    site.add_reader("csv")
    for more in ([], ["--format", "coco"]):
        run = command("inspect", coco(tmp_path / "set"), "--delimiter", "tab", *more)
        assert (run.status, run.stdout) == (2, "")
        assert mentions(run.stderr, "--delimiter", "coco", "csv")
    run = command("inspect", table(tmp_path / "table"), "--voc-origin", "1")
    assert run.status == 2
    assert mentions(run.stderr, "--voc-origin", "csv", "voc")


def test_the_alias_option_still_works(site: Site, tmp_path: Path) -> None:
    site.add_reader("csv")
    folder = table(tmp_path / "set", delimiter="\t")
    assert command("inspect", folder, "-O", "delimiter=tab", "--json").json["boxes"]["kept"] == 1
    wrong = command("inspect", folder, "--option", "delimiter=dot")
    assert wrong.status == 2
    assert mentions(wrong.stderr, "--delimiter", "dot", "comma", "tab")


def test_a_repeatable_option_of_a_plugin(site: Site, tmp_path: Path) -> None:
    """The plugin gets a tuple of values, each checked against the choices if there are any."""
    fields = f'{DELIMITER}\n    extra: tuple[Path, ...] = option("another file", default=())'
    fields += '\n    part: tuple[str, ...] = option("a part", ("x", "y"), default=())'
    check = "\n_read = Reader.read\ndef read(self, tree, files, options, log):\n"
    check += "    extra = repr([str(path) for path in options.extra])\n"
    check += "    log.decide('extra', extra, type(options.extra).__name__)\n"
    check += "    log.decide('part', repr(options.part), '')\n"
    check += "    return _read(self, tree, files, options, log)\nReader.read = read\n"
    site.add_reader("csv", fields, extra=check)
    folder = table(tmp_path / "set")
    options = ["--extra", "p", "--extra", "q", "--part", "x", "--part", "y", "--part", "x"]
    decisions = command("inspect", folder, *options, "--json").json["decisions"]
    assert decisions["extra"]["value"] == "['p', 'q']"
    assert decisions["extra"]["evidence"] == "tuple"
    assert decisions["part"]["value"] == "('x', 'y', 'x')"
    assert command("inspect", folder, "--part", "z").status == 2
    with pytest.raises(rb.OptionError):
        rb.read(folder, part=("x", "z"))  # type: ignore[call-arg] # of a plugin
    listed = command("formats").stdout
    assert re.search(r"^ +--extra .*\(repeatable\)", listed, re.MULTILINE)
    assert command("formats", "--json").json["csv"]["repeatable"] == ["image_dir", "extra", "part"]


def test_formats_lists_the_options_of_all_readers(site: Site) -> None:
    site.add_reader("csv")
    listed = command("formats", "--json").json
    assert listed["csv"]["options"] == ["split", "image_dir", "encoding", "delimiter"]
    assert listed["coco"]["repeatable"] == ["image_dir"]
    text = command("formats").stdout
    assert re.search(
        r"^ +--delimiter +character between columns \[comma \| tab\]$", text, re.MULTILINE
    )
    assert len(re.findall(r"^ +--image-dir .*\(repeatable\)$", text, re.MULTILINE)) == len(listed)


# Two readers with options of one name.


def test_two_plugins_can_share_an_option_with_the_same_meaning(site: Site, tmp_path: Path) -> None:
    site.add_reader("csv")
    site.add_reader("tsv")
    found = groups(command("inspect", "--help").stdout)
    for name in ("csv", "tsv"):
        assert mentions(found[f"{name} format options (regionbatch-{name})"], "--delimiter")
        folder = table(tmp_path / name, name, "\t")
        assert command("inspect", folder, "--delimiter", "tab", "--json").json["format"] == name


def test_an_option_with_another_meaning_is_prefixed_with_its_format(
    site: Site, tmp_path: Path
) -> None:
    site.add_reader("csv")
    site.add_reader("my_txt", FREE_DELIMITER)
    found = groups(command("inspect", "--help").stdout)
    assert mentions(found["csv format options (regionbatch-csv)"], "--delimiter")
    assert mentions(found["my_txt format options (regionbatch-my_txt)"], "--my-txt-delimiter")
    assert re.search(r"^ +--my-txt-delimiter ", command("formats").stdout, re.MULTILINE)
    folder = table(tmp_path / "set", "my_txt", ";;")
    assert (
        command("inspect", folder, "--my-txt-delimiter", ";;", "--json").json["boxes"]["kept"] == 1
    )
    other = command("inspect", folder, "--delimiter", "tab")
    assert other.status == 2, "that is the option of csv"
    assert mentions(other.stderr, "--delimiter", "my_txt", "csv")
    other = command("inspect", table(tmp_path / "csv"), "--my-txt-delimiter", "x")
    assert other.status == 2
    assert mentions(other.stderr, "--my-txt-delimiter", "csv", "my_txt")
    both = command("inspect", folder, "--my-txt-delimiter", ";;", "--delimiter", "tab")
    assert both.status == 2
    assert mentions(both.stderr, "--my-txt-delimiter", "--delimiter")


def test_a_plugin_cannot_replace_a_built_in_option(site: Site, tmp_path: Path) -> None:
    """Not even if no other option makes the command load the plugins."""
    site.add_reader(
        "csv", f'{DELIMITER}\n    names: str = option("names", ("short", "long"), default="short")'
    )
    assert mentions(
        groups(command("inspect", "--help").stdout)["csv format options (regionbatch-csv)"],
        "--csv-names",
    )
    folder = table(tmp_path / "set")
    run = command("inspect", folder, "--names", "long")
    assert run.status == 2
    assert mentions(run.stderr, "--names", "csv", "yolo")
    assert command("inspect", folder, "--csv-names", "long").status == 0
    assert command("inspect", folder, "--csv-names", "x").status == 2


def test_an_option_of_the_command_keeps_its_name(site: Site, tmp_path: Path) -> None:
    """`--tag-ids` is an option of `convert` alone, but a name means the same in all commands."""
    site.add_reader(
        "csv",
        f"{DELIMITER}\n"
        '    tag_ids: str | None = option("IDs")\n'
        '    json: str | None = option("json")',
    )
    for name in COMMANDS:
        found = groups(command(name, "--help").stdout)["csv format options (regionbatch-csv)"]
        assert mentions(found, "--csv-tag-ids", "--csv-json")
    assert (
        command("inspect", table(tmp_path / "set"), "--csv-tag-ids", "x", "--csv-json", "y").status
        == 0
    )
