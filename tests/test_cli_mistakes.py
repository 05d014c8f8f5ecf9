"""Mistakes on the command line: one line that says what to do, and an exit status."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click
import pytest

from helpers import command, id_of, mentions, write_json, write_yolo
from messages.language import MESSAGE
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from pathlib import Path

    from cli_helpers import ConvertFolder


MISTAKES: dict[str, tuple[str, int, list[str]]] = {
    "no such path": ("inspect {here}/nothing", 1, ["nothing"]),
    "no such format": ("inspect {data} --format cooc", 2, ["--format", "cooc", "coco"]),
    "no such format at all": (
        "inspect {data} --format x",
        2,
        ["--format", "x", "coco", "voc", "yolo"],
    ),
    "another format": ("inspect {data} --format voc", 2, ["XML"]),
    "no dataset": ("inspect {empty}", 1, ["empty", "no files", "--format"]),
    "an image": ("inspect {here}/a.png", 1, ["a.png", "--format"]),
    "no such split": ("inspect {data} --split night", 2, ["--split", "night"]),
    "no such image folder": (
        "inspect {data} --image-dir {here}/none",
        2,
        ["--image-dir", "none"],
    ),
    "no such mark": ("inspect {data} --drop blurred", 2, ["--drop", "blurred", "crowd"]),
    "no mark between commas": ("inspect {data} --drop ,", 2, ["--drop", "crowd"]),
    "an empty mark": ("inspect {data} --drop=", 2, ["--drop", "crowd"]),
    "no such class": ("inspect {data} --only dog", 2, ["--only", "dog", "猫", "big cat"]),
    "a fraction above 1": ("inspect {data} --max-clip 2", 2, ["--max-clip", "2"]),
    "a fraction in words": (
        "convert {data} -o {out} {ids} --max-clip half",
        2,
        ["--max-clip", "half"],
    ),
    "a negative fraction": ("upload {data} --local --max-clip=-1", 2, ["--max-clip", "-1"]),
    "no such choice": (
        "inspect {data} --coco-boxes inches",
        2,
        ["--coco-boxes", "inches", "auto", "pixels"],
    ),
    "no such option": ("inspect {data} --colour", 2, ["--colour"]),
    "an option of a plugin without a value": (
        "inspect {data} -O colour",
        2,
        ["--option", "NAME=VALUE", "colour"],
    ),
    "an option of a plugin that is none": ("inspect {data} -O strict=1", 2, ["--option", "strict"]),
    "an option of a plugin that is given otherwise": (
        "inspect {data} -O split=x --split y",
        2,
        ["--option", "split"],
    ),
    "an option that no reader has": ("inspect {data} -O colour=red", 2, ["colour", "coco"]),
    "no argument": ("inspect", 2, ["DATASET"]),
    "no such command": ("inpsect {data}", 2, ["inpsect"]),
    "broken JSON": ("inspect {here}/broken.json", 1, ["broken.json:2"]),
    "other JSON": ("inspect {here}/tags.json", 1, ["tags.json"]),
    "an empty JSON": ("inspect {here}/empty.json", 1, ["empty.json"]),
    "no ids": ("convert {data} -o {out}", 2, ["--tag-ids"]),
    "no output": ("convert {data} {ids}", 2, ["--output"]),
    "no such ids": ("convert {data} -o {out} --tag-ids {here}/x.json {images}", 2, ["x.json"]),
    "IDs that are not JSON": (
        "convert {data} -o {out} --tag-ids {here}/broken.json {images}",
        1,
        ["broken.json:2"],
    ),
    "ids that are none": (
        "convert {data} -o {out} --tag-ids {here}/bad.json {images}",
        1,
        ["bad.json", "猫", "7"],
    ),
    "ids of other names": (
        "convert {data} -o {out} --tag-ids {here}/images.json {images}",
        1,
        ["2", "猫", "--rename"],
    ),
    "images as tags": (
        "convert {data} -o {out} {ids} --image-ids {here}/tags.json",
        1,
        ["2", "b.jpg"],
    ),
    "a rename without =": (
        "convert {data} -o {out} {ids} --rename 猫",
        2,
        ["--rename", "OLD=NEW", "猫"],
    ),
    "a map of nothing": (
        "convert {data} -o {out} {ids} --rename dog=cat",
        2,
        ["--rename", "dog", "猫"],
    ),
    "no such map": ("convert {data} -o {out} {ids} --rename-file {here}/x.json", 2, ["x.json"]),
    "XML lines": (
        "convert {data} -o {here}/o.jsonl {ids} --payload xml",
        2,
        ["o.jsonl", "--payload", "xml"],
    ),
    "JSON twice": ("convert {data} -o - {ids} --json", 2, ["--json", "-o"]),
    "an output in a file": ("convert {data} -o {here}/a.png/out {ids}", 1, ["a.png"]),
    "an output that is a file": ("convert {data} -o {here}/a.png {ids}", 1, ["a.png"]),
    "an output of something else": (
        "convert {data} -o {data} {ids} --overwrite",
        1,
        ["instances 1.json"],
    ),
    "a report on a folder": ("inspect {data} --report {data}", 2, ["--report"]),
    "a page on a folder": ("inspect {data} --html {data}", 2, ["--html"]),
    "a page on another file": ("inspect {data} --html {here}/tags.json", 1, ["tags.json"]),
    "a page on standard output": ("inspect {data} --html -", 2, ["--html"]),
    "a report on standard output": ("inspect {data} --report -", 2, ["--report"]),
    "images of no page": ("inspect {data} --html-images 9", 2, ["--html-images", "--html"]),
    "a page and a report": (
        "inspect {data} --html {here}/r --report {here}/r",
        2,
        ["--html", "--report"],
    ),
    "no such fault": ("serve --fault 505", 2, ["--fault", "505", "503"]),
    "an argument too many": ("formats extra", 2, ["extra"]),
    "no project": ("upload {data}", 2, ["--project-id"]),
    "IDs of no dataset": ("ids {here}/none -o {out}", 2, ["DATASET", "none"]),
    "names of classes nowhere": ("inspect {yolo} --names {here}/x.txt", 2, ["--names", "x.txt"]),
    "no names of classes": ("inspect {yolo}", 1, ["--names"]),
}


@pytest.mark.parametrize(("line", "status", "tokens"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_ends_with_one_line_that_says_what_to_do(
    place: ConvertFolder, line: str, status: int, tokens: list[str]
) -> None:
    """One line on standard error, nothing on standard output, nothing written, no traceback."""
    here = place.folder
    (here / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (here / "broken.json").write_text(
        '{"images": [], "annotations": [{"id": 1,\n', encoding="utf-8"
    )
    (here / "empty.json").touch()
    write_json(here / "bad.json", {"猫": "7", "big cat": "8"})
    (here / "empty").mkdir()
    (here / "yolo").mkdir()
    (here / "yolo" / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    before = sorted(here.rglob("*"))
    words: list[str | Path] = []
    for word in line.split():
        if word in ("{ids}", "{images}"):
            words += place.ids[2:] if word == "{images}" else place.ids
        else:
            words.append(
                word.format(
                    here=here,
                    data=place.data,
                    out=place.out,
                    empty=here / "empty",
                    yolo=here / "yolo",
                )
            )
    run = command(*words)
    assert run.status == status, run
    assert run.stdout == ""
    assert mentions(run.stderr, *tokens)
    message = run.stderr[run.stderr.index("Error: ") :]
    assert message.count("\n") == 1, "one line"
    assert is_message(run.stderr)
    assert sorted(here.rglob("*")) == before


# Wrong values of options.

WRONG_VALUES = {
    "--format": "cooc",
    "--split": "night",
    "--image-dir": "{here}/none",
    "--encoding": "utf-88",
    "--coco-boxes": "inches",
    "--bbox-format": "xyxy",
    "--coco-json": "other.json",
    "--voc-boxes": "inches",
    "--voc-origin": "2",
    "--voc-angles": "turns",
    "--names": "{here}/none.txt",
    "--yolo-rows": "circle",
    "--yolo-first-class": "2",
    "--drop": "tall",
    "--only": "dog",
    "--keep": "dog",
    "--max-clip": "1.5",
    "-o": "",
    "--save-ids": "",
    "--output": "{here}/o.xml",
    "--report": "{here}",
    "--html": "{here}",
    "--html-images": "-1",
    "--option": "colour",
    "-O": "colour=red",
    "--payload": "yaml",
    "--dask": "somewhere",
    "--tag-ids": "{here}/none.json",
    "--tags": "{here}/none.json",
    "--image-ids": "{here}/none.json",
    "--images": "{here}/none.json",
    "--rename": "dog=cat",
    "--map": "cat",
    "--rename-file": "{here}/none.json",
    "--map-file": "{here}/none.json",
    "--tier": "S9",
    "--project-id": "12345678-1234-5678-1234-56781234567",
    "--project": "12345678-1234-5678-1234-56781234567",
    "--endpoint": "ftp://example.com",
    "--key-file": "{here}/none.txt",
    "--api-version": "4",
    "--journal": "{here}",
    "--existing": "replace",
    "--prune-limit": "10%",
    "--port": "70000",
    "--database": "{here}",
    "--require-key": "{here}/none.txt",
    "--on-existing": "ignore",
    "--unknown-ids": "ignore",
    "--partial-status": "201",
    "--rate": "0",
    "--latency": "-1",
    "--listing-lag": "-1",
    "--read-lag": "soon",
    "--id-lag": "-1",
    "--late": "-1",
    "--fault": "nothing",
    "--fault-rate": "2",
    "--seed": "x",
    "--source-url": "none",
    "--stored-digits": "-1",
    "--page-size": "0",
    "--project-status": "Training",
}
SERVICE_OPTIONS = {
    "--project-id",
    "--project",
    "--key-file",
    "--api-version",
    "--journal",
    "--endpoint",
}
NO_WRONG_VALUE = {"--name", "--key"}
"""Any text is a name or a key."""


def options_with_values() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for name, one in commands.commands.items():
        for parameter in one.params:
            if isinstance(parameter, click.Option) and not parameter.is_flag:
                found += [(name, spelling) for spelling in parameter.opts]
    return found


def command_line(name: str, option: str, place: ConvertFolder) -> list[str | Path]:
    """Return a command line without mistakes, to which a wrong option is added."""
    if name == "serve":
        return [name]
    if name in ("projects", "ids"):
        service = ["--endpoint", "https://127.0.0.1:9", "--project-id", id_of("project")]
        return [name, *(["-o", str(place.out)] if name == "ids" else []), *service]
    data = place.data
    if option in ("--names", "--yolo-rows", "--yolo-first-class"):
        data = write_yolo(place.folder / "yolo", [("a.jpg", "cat", (0.5, 0.5, 0.1, 0.1))])
    words: list[str | Path] = [name, data]
    if name == "convert":
        words += ["-o", place.out]
        if option not in ("--tag-ids", "--tags"):
            words += place.ids[:2]
        if option not in ("--image-ids", "--images"):
            words += place.ids[2:]
    elif name == "verify" or option in SERVICE_OPTIONS:
        words += ["--endpoint", "https://127.0.0.1:9"]
        if option not in ("--project-id", "--project"):
            words += ["--project-id", id_of("project")]
    elif name == "upload":
        words += ["--local"]
    return words


CHECKED = [
    (name, option)
    for name, option in options_with_values()
    if option not in NO_WRONG_VALUE
    and (name, option) not in {("verify", "--rename"), ("ids", "--output")}
]
"""`verify` compares classes after the first call of the service; `ids` writes a folder."""


@pytest.mark.parametrize(("name", "option"), CHECKED)
def test_a_wrong_value_of_an_option_is_a_usage_error(
    place: ConvertFolder, name: str, option: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No server answers at the endpoint, so that the value is checked before the first call."""
    monkeypatch.setenv("VISION_TRAINING_KEY", "key")
    monkeypatch.chdir(place.folder)
    value = WRONG_VALUES[option].format(here=place.folder)
    run = command(*command_line(name, option, place), option, value)
    assert (run.status, run.stdout) == (2, ""), run
    assert is_message(run.stderr)
    assert not place.out.exists()


PATHS = [
    (name, parameter.opts[-1])
    for name, one in commands.commands.items()
    for parameter in one.params
    if isinstance(parameter, click.Option) and isinstance(parameter.type, click.Path)
]


@pytest.mark.parametrize(("name", "option"), PATHS)
def test_an_empty_path_is_not_an_option_left_out(
    place: ConvertFolder, name: str, option: str
) -> None:
    """Such as `--require-key "$UNSET"`, which would serve without a key."""
    run = command(*command_line(name, option, place), option, "")
    assert (run.status, run.stdout) == (2, ""), run
    assert f"Error: {option}: " in run.stderr
    assert is_message(run.stderr)
    assert not place.out.exists()


@pytest.mark.parametrize("value", ["", "s3://bucket/o", "o.xml", "o.json", "o.zip", "a" * 300])
def test_an_impossible_output_is_a_usage_error(place: ConvertFolder, value: str) -> None:
    for option, words in (("-o", ["convert", *place.ids]), ("--report", ["inspect"])):
        is_file_name = value.startswith("o.")
        if not (option == "--report" and is_file_name):
            run = command(*words, place.data, option, value)
            assert (run.status, run.stdout) == (2, ""), run
            assert is_message(run.stderr)


@pytest.mark.parametrize(
    ("line", "suggested"),
    [
        ("convert {data} --imagess x", "--image-ids, --html-images or --image-dir"),
        ("upload {data} --projec x", "--project-id"),
        ("explain --js", "--json"),
        ("explain emtpy_box", "empty_box, not_a_box or no_box"),
        ("inspct {data}", "inspect"),
    ],
)
def test_similar_names_are_suggested_but_no_old_ones(
    place: ConvertFolder, line: str, suggested: str
) -> None:
    run = command(*(word.format(data=place.data) for word in line.split()))
    assert run.status == 2
    assert run.stderr.endswith(f"Did you mean {suggested}?\n")


def is_message(stderr: str) -> bool:
    """Return whether the error has the form of all messages, without a traceback."""
    text = stderr.partition("Error: ")[2].rstrip("\n")
    return MESSAGE.fullmatch(text) is not None and "Traceback" not in stderr


def test_every_option_with_a_value_has_a_wrong_value_or_accepts_any() -> None:
    spellings = {spelling for _, spelling in options_with_values()}
    assert spellings == WRONG_VALUES.keys() | NO_WRONG_VALUE
