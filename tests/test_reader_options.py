"""Options of built-in readers and plugins on the command line, and repeated `--image-dir`."""

from __future__ import annotations

import inspect
import json
import os
import re
import sys
from importlib import metadata
from typing import TYPE_CHECKING, Any

import click
import pytest

import regionbatch as rb
from helpers import (
    ROOT,
    command,
    environment,
    mentions,
    process,
    write_coco,
    write_id_files,
    write_voc,
    write_yolo,
)
from regionbatch import installed, plugins
from regionbatch.options import ReadOptions, YoloOptions, own_options
from regionbatch_cli.main import commands
from regionbatch_cli.reader_options import DatasetCommand, ReaderOption

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMANDS = ["convert", "inspect", "upload", "verify"]
DATASET_COMMANDS = {name: commands.commands[name] for name in COMMANDS}

DELIMITER = (
    'delimiter: str = option("character between columns", ("comma", "tab"), default="comma")'
)
FREE_DELIMITER = 'delimiter: str = option("string between columns", default=" ")'

OPTIONS = """
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path
from regionbatch.options import ReadOptions, option

@dataclass(frozen=True, kw_only=True)
class Options(ReadOptions):
    {fields}
"""

READER = """
import numpy as np
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
{imports}

class Reader:
    title = "a {extension} file: rows of image and four numbers in an image of 200 x 100"
    options = Options

    def detect(self, tree):
        found = (f"{{path}}: a {extension} file" for path in tree.candidates(".{extension}"))
        return next(found, None)

    def references(self, tree, options, log):
        return References(dict.fromkeys(tree.files(".{extension}"), ""))

    def read(self, tree, files, options, log):
        delimiter = {{"comma": ",", "tab": "\\t"}}.get(options.delimiter, options.delimiter)
        rows = [(log.file(file), row.split(delimiter)) for file in files
                for row in tree.read(file).decode().splitlines()]
        log.read(boxes=len(rows), images=len(rows))
        count = np.arange(len(rows), dtype=np.int32)
        file = np.array([code for code, _ in rows], np.int32)
        sides = np.full(len(rows), 200, np.int32), np.full(len(rows), 100, np.int32)
        box = np.array([row[1:] for _, row in rows], np.float64).reshape(-1, 4)
        images = ImageReferences([row[0] for _, row in rows], file, *sides)
        line = count.astype(np.int64) + 1
        return RawAnnotations(
            BoxMode.XYXY_ABS, box, count, count * 0, images, ["thing"], file, line
        )
"""


class Site:
    """A folder of installed packages that this process can import."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []
        folder.mkdir()

    def add(self, name: str, entries: str, **modules: str) -> None:
        """Install a package with entry points and modules."""
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(entries, encoding="utf-8")
        for module, code in modules.items():
            (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
            self.modules.append(module)

    def add_reader(
        self, name: str, fields: str = DELIMITER, *, light: bool = True, extra: str = ""
    ) -> None:
        """Install a package `regionbatch-NAME` with a reader of files `*.NAME`."""
        module = f"rb_{name.replace('-', '_')}"
        entries = f"[regionbatch.readers]\n{name} = {module}:Reader\n"
        options = OPTIONS.format(fields=fields)
        if light:
            entries += f"[regionbatch.options]\n{name} = {module}_options:Options\n"
            imports = f"from {module}_options import Options"
            reader = READER.format(imports=imports, extension=name)
            self.add(
                f"regionbatch-{name}",
                entries,
                **{module: reader + extra, f"{module}_options": options},
            )
        else:
            reader = READER.format(
                imports=options.replace("from __future__ import annotations\n", ""), extension=name
            )
            self.add(f"regionbatch-{name}", entries, **{module: reader + extra})

    def run(self, *arguments: str | Path) -> Any:
        """Run the command in a process of its own."""
        paths = os.pathsep.join([environment()["PYTHONPATH"], str(self.folder)])
        return process("-m", "regionbatch_cli", *arguments, PYTHONPATH=paths)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(made.folder)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)


def table(folder: Path, name: str = "csv", delimiter: str = ",") -> Path:
    """Write a dataset of one box that only a plugin can read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"boxes.{name}").write_text(
        delimiter.join(["a.jpg", "20", "10", "60", "40"]) + "\n", encoding="utf-8"
    )
    return folder


def coco(folder: Path) -> Path:
    return write_coco(folder, [("a.jpg", "cat", (20, 10, 80, 60))])


def groups(text: str) -> dict[str, str]:
    """Return the groups of options in a help text, by their titles."""
    parts = re.split(r"^(\S.* options(?: \(.*\))?):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


# Built-in readers.


def test_the_command_knows_the_options_that_each_reader_takes() -> None:
    for one in plugins.built_in_options():
        assert one.options is plugins.get(one.name).options, one.name
    assert [one.name for one in plugins.built_in_options()] == list(plugins.BUILT_IN)


def test_no_option_of_a_reader_can_be_an_argument_of_read() -> None:
    parameters = inspect.signature(rb.read).parameters.values()
    named = {one.name for one in parameters if one.kind is not inspect.Parameter.VAR_KEYWORD}
    assert named == plugins.ARGUMENTS_OF_READ


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_a_group_of_options_for_each_reader(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    found = groups(command(name, "--help").stdout)
    assert mentions(found["Input options"], "--format", "--split", "--image-dir")
    for one in plugins.built_in_options():
        options = own_options(one.options or ReadOptions)
        flags = [f"--{field.name.replace('_', '-')}" for field in options]
        assert mentions(found.get(f"{one.name.upper()} format options", ""), *flags), one.name
    for title, text in found.items():
        assert ("--yolo-rows" in text) is (title == "YOLO format options")
    assert "--option" not in "".join(found.values())


@pytest.mark.parametrize("arguments", [[], *([name] for name in sorted(commands.commands))])
def test_help_fits_into_80_columns(arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    text = command(*arguments, "--help").stdout
    assert max(map(len, text.splitlines())) <= 80
    assert "..." not in text.replace("[ARGS]...", "").replace("[CODE]...", ""), (
        "a summary that is cut short"
    )


@pytest.mark.parametrize("name", COMMANDS)
def test_all_commands_take_the_options_of_all_readers(name: str) -> None:
    fields = {
        name
        for one in plugins.built_in_options()
        for name in (one.options or ReadOptions).__dataclass_fields__
    }
    own = [
        parameter
        for parameter in DATASET_COMMANDS[name].params
        if isinstance(parameter, ReaderOption)
    ]
    assert sorted(parameter.field.name for parameter in own) == sorted(fields)


def test_an_option_of_a_reader_reaches_it(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "set", [("a.jpg", "cat", (0.5, 0.5, 1, 1))])
    (pixels, normalised) = (
        command("inspect", folder, "--coco-boxes", choice, "--json").json["decisions"]
        for choice in ("pixels", "normalised")
    )
    assert pixels != normalised


def test_the_error_for_an_option_of_another_reader_names_that_reader(tmp_path: Path) -> None:
    folder = coco(tmp_path / "set")
    for option, reader in (("--voc-origin", "voc"), ("--yolo-rows", "yolo")):
        run = command("inspect", folder, option, "auto" if reader == "yolo" else "1")
        assert run.status == 2
        assert mentions(run.stderr, option, "coco", reader)
    with pytest.raises(rb.OptionError) as caught:
        rb.read(folder, voc_origin="1")
    assert caught.value.option == "voc_origin"
    assert mentions(caught.value, "--voc-origin", "coco", "voc")


# Repeated --image-dir.


@pytest.fixture
def two_folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    """Return a COCO dataset without declared sizes, and two other folders with one image each."""
    boxes = [(f"{name}.png", "cat", (2, 1, 8, 6)) for name in "ab"]
    folder = write_coco(tmp_path / "set", boxes, images={"a.png": (0, 0), "b.png": (0, 0)})
    places = tmp_path / "one", tmp_path / "two"
    for place, name in zip(places, "ab", strict=True):
        place.mkdir()
        header = (
            b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
            + (20).to_bytes(4, "big")
            + (10).to_bytes(4, "big")
        )
        (place / f"{name}.png").write_bytes(header + b"\x08\x02\x00\x00\x00")
    return folder, *places


def test_image_dir_may_be_repeated(two_folders: tuple[Path, Path, Path]) -> None:
    folder, one, two = two_folders
    once = command("inspect", folder, "--image-dir", one, "--json")
    assert (once.status, once.json["boxes"]["kept"]) == (3, 1)
    both = command("inspect", folder, "--image-dir", one, "--image-dir", two, "--json")
    assert (both.status, both.json["boxes"]["kept"]) == (0, 2)
    assert both.json == rb.summary(rb.read(folder, image_dir=(one, two)))


def test_each_folder_of_image_dir_must_exist(
    two_folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    folder, one, _ = two_folders
    run = command("inspect", folder, "--image-dir", one, "--image-dir", tmp_path / "none")
    assert (run.status, run.stdout) == (2, "")
    assert mentions(run.stderr, "--image-dir", tmp_path / "none")


@pytest.mark.parametrize("write", [write_voc, write_yolo])
def test_all_readers_take_image_dir(write: Any, tmp_path: Path) -> None:
    numbers = (0.5, 0.5, 0.1, 0.1) if write is write_yolo else (1, 2, 30, 40)
    folder = write(tmp_path / "set", [("a.jpg", "cat", numbers)])
    (tmp_path / "set" / "a.jpg").touch()
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
    run = command(
        "inspect", folder, "--image-dir", tmp_path / "one", "--image-dir", tmp_path / "two"
    )
    assert run.status in (0, 3), run.stderr


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
    ids = write_id_files(tmp_path, rb.read(folder, delimiter="tab"))
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
        rb.read(folder, part=("x", "z"))
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
    assert mentions(listed.json["half"]["trouble"], "half", "half-done")
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
    monkeypatch.setattr(installed, "_metadata_folders", None)
    assert installed.entry_points("regionbatch.readers") == folders


def test_the_first_of_two_packages_with_the_same_name_counts(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.add_reader("csv")
    later = Site(tmp_path / "later")
    later.add("Regionbatch.CSV", "[regionbatch.readers]\nold = rb_old:Reader\n")
    monkeypatch.setattr(sys, "path", [*sys.path, str(later.folder), str(tmp_path / "nowhere")])
    assert [point.name for point in installed.entry_points("regionbatch.readers")] == ["csv"]


def test_the_options_module_imports_no_reader() -> None:
    """Help is made from it, and must be fast."""
    run = process("-c", "import regionbatch.options, sys; print('numpy' in sys.modules)")
    assert run.stdout == "False\n"
    assert issubclass(YoloOptions, ReadOptions)
    assert (ROOT / "converters" / "regionbatch" / "options.py").is_file()


def test_all_commands_that_read_a_dataset_have_the_same_class() -> None:
    for name, one in commands.commands.items():
        assert isinstance(one, DatasetCommand) is (name in COMMANDS)
        assert isinstance(one, click.Command)


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
