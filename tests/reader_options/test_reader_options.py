"""Options of the built-in readers on the command line, and `image_dir`."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import click
import pytest

import regionbatch as rb
from helpers import (
    ROOT,
    command,
    mentions,
    process,
    write_coco,
    write_voc,
    write_yolo,
)
from option_plugins import COMMANDS, DATASET_COMMANDS, coco, groups
from regionbatch import plugins
from regionbatch.options import ReadOptions, YoloOptions, own_options
from regionbatch_cli.main import commands
from regionbatch_cli.reader_options import DatasetCommand, ReaderOption

if TYPE_CHECKING:
    from pathlib import Path


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


def test_an_absent_folder_is_named_to_its_end(
    two_folders: tuple[Path, Path, Path], tmp_path: Path
) -> None:
    """Temporary folders have long names on macOS, and so have the folders of users."""
    absent = tmp_path / ("long" * 30) / "none"
    run = command("inspect", two_folders[0], "--image-dir", absent)
    assert run.status == 2
    assert mentions(run.stderr, "--image-dir", absent)


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
