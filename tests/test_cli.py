"""The command: what it prints, what it writes, and the status it ends with."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest

import regionbatch as rb
from helpers import (
    ROOT,
    Box,
    Result,
    command,
    environment,
    ids_of,
    mentions,
    process,
    write_coco,
    write_id_files,
    write_json,
    write_voc,
)
from regionbatch.cases import Case
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

posix = pytest.mark.skipif(sys.platform == "win32", reason="signals, pipes and terminals of POSIX")
COMMANDS = sorted(commands.commands)
GOOD: Box = ("größe 1.jpg", "猫", (20, 10, 80, 60))
CLIPPED: Box = ("größe 1.jpg", "big cat", (-20, 10, 80, 60))
EMPTY: Box = ("größe 1.jpg", "big cat", (20, 10, 0, 60))


class Place:
    """A folder with a dataset, whose names have blanks and letters of many scripts, and ids for it."""

    def __init__(self, folder: Path, *boxes: Box) -> None:
        self.folder = folder
        self.data = write_coco(folder / "my größe 猫", boxes, name="instances 1.json")
        self.ids = write_id_files(folder, rb.read(self.data))
        self.out = folder / "out put"

    def convert(self, *options: str | Path, to: str | Path | None = None) -> Result:
        return command("convert", self.data, "-o", to or self.out, *self.ids, *options)

    def written(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in self.out.iterdir()}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Two boxes, both good."""
    return Place(tmp_path, GOOD, ("b.jpg", "big cat", (0, 0, 5, 5)))


@pytest.fixture
def lossy(tmp_path: Path) -> Place:
    """One good box, one clipped, one dropped."""
    return Place(tmp_path, GOOD, CLIPPED, EMPTY)


def test_what_is_cut_too_much_is_left_out_as_asked(place: Place, tmp_path: Path) -> None:
    data = write_coco(tmp_path / "d", [GOOD, ("b.jpg", "big cat", (150, 10, 900, 60))])
    told = command("inspect", data)
    assert told.status == 0
    assert mentions(told.stdout, "mostly_outside", "94.4 % outside", "--max-clip")
    inspect: list[str | Path] = ["inspect", data]
    for words in (inspect, ["convert", data, "-o", tmp_path / "o", *place.ids]):
        assert command(*words, "--strict").status == 1
        run = command(*words, "--max-clip", "0.5", "--strict", "--json")
        assert run.status == 0, "what was asked for is no loss"
        assert run.json["boxes"]["dropped"] == {"left_out": 1}


def test_what_was_left_out_as_asked_is_told_too(lossy: Place) -> None:
    result = command("inspect", lossy.data, "--only", "猫")
    assert mentions(result.stdout, 2, "left_out")


def test_a_report_never_replaces_the_data(lossy: Place) -> None:
    labels = next(path for path in lossy.data.rglob("*") if path.is_file())
    content = labels.read_bytes()
    result = command("inspect", lossy.data, "--report", labels)
    assert (result.status, mentions(result.stderr, labels)) == (1, True)
    assert labels.read_bytes() == content
    both = lossy.folder / "o.jsonl"
    result = lossy.convert("--report", both, to=both)
    assert (result.status, mentions(result.stderr, "--report", both)) == (2, True)
    result = lossy.convert("--report", lossy.folder / "o" / "r.json", to=lossy.folder / "o")
    assert (result.status, mentions(result.stderr, "--report", "r.json")) == (2, True)


def test_an_empty_name_is_not_this_folder() -> None:
    result = command("inspect", "")
    assert (result.status, mentions(result.stderr, "DATASET"), result.stderr.count("\n")) == (2, True, 1)


@pytest.mark.parametrize("target", [".", ".."])
def test_the_output_cannot_be_this_folder(
    lossy: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """It would be replaced, and whoever is in it would be nowhere."""
    (tmp_path / "empty" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "here")
    before = sorted(tmp_path.rglob("*"))
    result = lossy.convert("--overwrite", to=target)
    assert (result.status, result.stderr.count("\n")) == (1, 1)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "empty" / "here").samefile(".")


def test_a_folder_called_like_markup(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "set [/b] [v1]", [("a.jpg", "cat", (1, 2, 30, 4))])
    result = command("inspect", folder)
    assert (result.status, result.stderr) == (0, "")
    assert mentions(result.stdout.splitlines()[0], folder, "coco", "annotations.json")


def test_names_tell_the_terminal_nothing(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "set", [("a.jpg", "\x1b[31mred\n[bold]", (20, 10, 80, 60))])
    run = command("inspect", data)
    assert "\x1b" not in run.stdout
    assert "\\x1b[31mred\\n[bold]" in run.stdout


def test_inspect_tells_what_is_there(lossy: Place) -> None:
    run = command("inspect", lossy.data)
    assert run.stderr == ""
    assert mentions(run.stdout, "coco", "猫", "big cat", "clipped", "empty_box", "instances 1.json: annotation 3")
    assert re.search(r"\b3\b.*\b1\b.*\b1\b.*\b1\b", run.stdout), "what became of the boxes"
    assert sorted(path.name for path in lossy.data.iterdir()) == ["instances 1.json"], "it changes nothing"


def test_inspect_shows_no_more_classes_and_splits_than_somebody_reads(tmp_path: Path) -> None:
    categories = [{"id": number, "name": f"class {number}"} for number in range(1003)]
    (tmp_path / "a.json").write_text(json.dumps({"images": [], "annotations": [], "categories": categories}), "utf-8")
    shown = command("inspect", tmp_path).stdout
    assert mentions(shown, "class 999", "3 more")
    assert "class 1000" not in shown


def test_convert_writes_what_the_library_makes(place: Place) -> None:
    run = place.convert()
    dataset = rb.read(place.data)
    batches = rb.batches(dataset, tag_ids=place.ids[1], image_ids=place.ids[3])
    assert run.status == 0
    assert place.written() == {"batch-00001.json": batches[0].to_json()}
    assert mentions(run.stdout, 2, 1, place.out)


@pytest.mark.parametrize("subcommand", ["inspect", "convert"])
def test_statuses(place: Place, subcommand: str) -> None:
    def run(*options: str) -> int:
        if subcommand == "inspect":
            return command("inspect", place.data, *options).status
        return place.convert("--overwrite", *options).status

    assert run() == 0
    place.data = write_coco(place.folder / "again", [GOOD, CLIPPED])
    assert run() == 0, "an adjusted box is in"
    place.data = write_coco(place.folder / "lossy", [GOOD, CLIPPED, EMPTY])
    assert run() == 3
    assert run("--accept-drops") == 0
    assert run("--only", "猫") == 0, "what was asked for is no loss"
    assert run("--strict") == 1
    assert run("--strict", "--accept-drops") == 1, "strict is about the files, whoever accepts what"
    assert run("--unknown") == 2


def test_strict_writes_nothing(lossy: Place) -> None:
    run = lossy.convert("--strict")
    assert run.status == 1
    assert mentions(run.stderr, "1 empty_box", "1 clipped")
    assert not lossy.out.exists()
    report = lossy.folder / "why.json"
    assert lossy.convert("--strict", "--report", report).status == 1
    assert json.loads(report.read_bytes())["counts"] == command("inspect", lossy.data, "--json").json["findings"]
    assert not lossy.out.exists()
    assert command("convert", lossy.data, "-o", lossy.folder / "o.jsonl", *lossy.ids, "--strict").status == 1
    assert not (lossy.folder / "o.jsonl").exists()


def test_strict_stops_at_what_the_ids_bring_about(place: Place) -> None:
    """Two classes of one id make one region of two; nothing is wrong with the files themselves."""
    place.data = write_coco(place.folder / "twice", [GOOD, ("größe 1.jpg", "big cat", GOOD[2])])
    tags = write_json(place.folder / "t.json", dict.fromkeys(["猫", "big cat"], ids_of(["x"])["x"]))
    options: list[str | Path] = ["--tags", tags, *place.ids[2:]]
    strict = command("convert", place.data, "-o", place.out, *options, "--strict")
    assert strict.status == 1
    assert mentions(strict.stderr, 1, "duplicate")
    assert not place.out.exists()
    assert command("convert", place.data, "-o", place.out, *options).status == 3


def test_json_is_nothing_but_json_and_what_the_library_says(lossy: Place) -> None:
    dataset = rb.read(lossy.data)
    seen = command("inspect", lossy.data, "--json")
    assert seen.stderr == ""
    assert seen.json == rb.summary(dataset)
    made = lossy.convert("--json")
    assert made.stderr == ""
    batches = rb.batches(dataset, tag_ids=lossy.ids[1], image_ids=lossy.ids[3])
    assert made.json == {**rb.summary(dataset, batches), "output": str(lossy.out)}


def test_formats() -> None:
    run = command("formats")
    assert run.status == 0
    listed = command("formats", "--json").json
    assert {"coco", "voc", "yolo"} <= set(listed)
    for name, one in listed.items():
        assert mentions(run.stdout, name, *one["options"])
    own = ["voc_boxes", "voc_origin", "voc_angles", "bbox_format"]
    assert listed["voc"]["options"] == ["split", "image_dir", "encoding", *own]


def test_payloads_on_standard_output_are_alone_there(place: Place) -> None:
    run = place.convert(to="-")
    assert run.status == 0
    assert [json.loads(line) for line in run.stdout.splitlines()]
    assert len(run.stdout.splitlines()) == 1
    assert mentions(run.stderr, 2, 1)
    assert place.convert("-q", to="-") == (0, run.stdout, "")
    xml = place.convert("--payload", "xml", to="-")
    assert xml.stdout.startswith("<ImageRegionCreateBatch>")


def test_quiet_prints_errors_only(lossy: Place) -> None:
    assert lossy.convert("-q") == (3, "", "")
    assert command("inspect", "-q", lossy.data) == (3, "", "")
    again = lossy.convert("-q")
    assert (again.status, again.stdout) == (1, "")
    assert mentions(again.stderr, lossy.out, "--overwrite")


def test_verbose_tells_more(tmp_path: Path) -> None:
    place = Place(tmp_path, *[("a.jpg", "cat", (number, 5, 0, 5)) for number in range(9)])
    brief, long = command("inspect", place.data), command("inspect", "-v", place.data)
    place_of = "instances 1.json: annotation {}".format
    assert mentions(brief.stdout, place_of(3), 6, "--report")
    assert not mentions(brief.stdout, place_of(4))
    assert mentions(long.stdout, place_of(9))


def test_a_report_has_every_finding(lossy: Place) -> None:
    lines: list[list[str | Path]] = [["inspect", lossy.data], ["convert", lossy.data, "-o", lossy.out, *lossy.ids]]
    for words in lines:
        path = lossy.folder / f"{words[0]}.json"
        assert command(*words, "--report", path).status == 3
        told = json.loads(path.read_text(encoding="utf-8"))
        assert [finding["code"] for finding in told["findings"] if finding["severity"] == "error"] == ["empty_box"]


def test_a_report_that_cannot_be_written_is_an_error(lossy: Place) -> None:
    (lossy.folder / "file").touch()
    run = command("inspect", lossy.data, "--report", lossy.folder / "file" / "r.json", "--accept-drops")
    assert run.status == 1
    assert mentions(run.stderr, lossy.folder / "file" / "r.json")
    assert run.stderr.count("\n") == 1


def test_classes_are_renamed(place: Place) -> None:
    tags = write_json(place.folder / "t.json", ids_of(["cat", "Big"]))
    renames = write_json(place.folder / "m.json", {"猫": "nothing", "big cat": "Big"})
    options: list[str | Path] = ["--tags", tags, *place.ids[2:], "--map", "猫=cat", "--map-file", renames]
    run = command("convert", place.data, "-o", place.out, *options)
    assert run.status == 0
    entries = json.loads(place.written()["batch-00001.json"])["regions"]
    assert [entry["tagId"] for entry in entries] == [ids_of(["cat"])["cat"], ids_of(["Big"])["Big"]]


NOT_READ = {
    "coco/sibling-of-other-images": 3,
    "coco/sibling-of-other-boxes": 3,
    "coco/sibling-of-other-images-as-asked": 0,
    "coco/labelme-beside-coco": 3,
    "coco/split-of-detections": 3,
    "coco/instances-beside-captions-and-keypoints": 0,
    "voc/cut-off-beside-annotations": 3,
    "voc/xml-beside-annotations": 3,
    "voc/image-sets-one-split": 0,
    "vott/several-kinds": 0,
    "vott/several-kinds-of-other-images": 3,
    "yolo/unlisted-label": 3,
    "yolo/list-that-leaves-out": 3,
    "yolo/stale-labels-and-predictions": 3,
    "yolo/one-split": 0,
}


@pytest.mark.parametrize(("case", "status"), NOT_READ.items(), ids=NOT_READ)
def test_boxes_that_are_not_read_end_in_status_3(case: str, status: int) -> None:
    """Unless somebody asked for a part of the dataset, or another file has them."""
    found = Case(ROOT / "fixtures" / case, case)
    options = [f"--{name.replace('_', '-')}={value}" for name, value in found.expected.get("options", {}).items()]
    run = command("inspect", found.input, *options)
    assert run.status == status
    assert ("(dropped)" in run.stdout) == bool(status)


@posix
def test_a_folder_of_labels_elsewhere_is_lost(tmp_path: Path) -> None:
    """A link that leads out of the dataset is not followed, and nobody knows what is behind it."""
    data, away = tmp_path / "data", tmp_path / "away"
    write_voc(data / "train" / "Annotations", [("a.jpg", "cat", (1, 2, 30, 40))])
    write_voc(away, [("b.jpg", "cat", (1, 2, 30, 40))])
    (data / "images").symlink_to(away)
    assert command("inspect", data).status == 0, "images may be anywhere"
    (data / "val").mkdir()
    (data / "val" / "Annotations").symlink_to(away)
    run = command("inspect", data)
    assert (run.status, mentions(run.stdout, "unreadable_file", "val/Annotations")) == (3, True)


def test_a_map_settles_classes_that_may_be_one(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "d", [("a.jpg", "rbc", (1, 2, 30, 4)), ("a.jpg", "RBC", (50, 2, 30, 4))])
    ids = write_id_files(tmp_path, rb.read(data))
    refused = command("convert", data, "-o", tmp_path / "no", *ids, "--strict")
    assert (refused.status, mentions(refused.stderr, "similar_tags", "rbc: 1, RBC: 1")) == (1, True)
    assert not (tmp_path / "no").exists()
    for words in (["rbc=RBC"], ["rbc=rbc"]):
        run = command("convert", data, "-o", tmp_path / words[0], *ids, "--strict", "--map", *words)
        assert (run.status, "similar_tags" in run.stdout) == (0, False)


def test_what_has_no_id_can_be_left_out(place: Place) -> None:
    tags = write_json(place.folder / "t.json", ids_of(["猫"]))
    options: list[str | Path] = ["--tags", tags, *place.ids[2:]]
    run = command("convert", place.data, "-o", place.out, *options)
    assert run.status == 1
    assert mentions(run.stderr, 1, "big cat")
    assert not place.out.exists()
    run = command("convert", place.data, "-o", place.out, *options, "--skip-unresolved", "--json")
    assert run.status == 0
    assert run.json["boxes"] == {"read": 2, "kept": 1, "adjusted": {}, "dropped": {"unresolved": 1}}


def test_a_second_run_is_refused_and_an_overwriting_one_is_the_same(place: Place) -> None:
    assert place.convert().status == 0
    first = place.written()
    again = place.convert()
    assert again.status == 1
    assert mentions(again.stderr, place.out, "--overwrite")
    assert again.stderr.count("\n") == 1
    assert place.convert("--overwrite").status == 0
    assert place.written() == first


@pytest.mark.parametrize("overwrite", [False, True])
def test_what_a_killed_run_put_aside_is_given_back_and_that_is_told(place: Place, overwrite: bool) -> None:
    assert place.convert().status == 0
    place.out.rename(place.out.with_name(f".{place.out.name}.0123abcd.old"))
    result = place.convert(*["--overwrite"] * overwrite)
    assert result.status == (0 if overwrite else 1)
    first, *_ = result.stderr.splitlines()
    assert mentions(first, place.out)
    assert place.out.is_dir()
    assert not [path for path in place.out.parent.iterdir() if path.suffix == ".old"]


def test_an_output_that_exists_is_told_before_the_work(place: Place) -> None:
    place.convert()
    run = command("convert", place.folder / "nothing", "-o", place.out, *place.ids)
    assert (run.status, mentions(run.stderr, place.out, "--overwrite")) == (1, True)


def test_an_option_of_another_format_is_wrong_usage(place: Place) -> None:
    run = command("inspect", place.data, "--voc-origin", "1")
    assert run.status == 2
    assert mentions(run.stderr, "--voc-origin", "coco")


# --- mistakes

MISTAKES: dict[str, tuple[str, int, list[str]]] = {
    "no such path": ("inspect {here}/nothing", 1, ["nothing"]),
    "no such format": ("inspect {data} --format cooc", 1, ["--format", "cooc", "coco"]),
    "no such format at all": ("inspect {data} --format x", 1, ["--format", "x", "coco", "voc", "yolo"]),
    "another format": ("inspect {data} --format voc", 1, ["XML"]),
    "no dataset": ("inspect {empty}", 1, ["empty", "--format"]),
    "a picture": ("inspect {here}/a.png", 1, ["a.png", "--format"]),
    "no such split": ("inspect {data} --split night", 1, ["--split", "night"]),
    "no such folder of pictures": ("inspect {data} --image-dir {here}/none", 2, ["--image-dir", "none"]),
    "no such mark": ("inspect {data} --drop blurred", 2, ["--drop", "blurred", "crowd"]),
    "no such class": ("inspect {data} --only dog", 2, ["--only", "dog", "猫", "big cat"]),
    "no share": ("inspect {data} --max-clip 2", 2, ["--max-clip", "2"]),
    "a share in words": ("convert {data} -o {out} {ids} --max-clip half", 2, ["--max-clip", "half"]),
    "a share of a local upload": ("upload {data} --local --max-clip=-1", 2, ["--max-clip", "-1"]),
    "no such choice": ("inspect {data} --coco-boxes inches", 2, ["--coco-boxes", "inches", "auto", "pixels"]),
    "no such option": ("inspect {data} --colour", 2, ["--colour"]),
    "an option of a plugin without a value": ("inspect {data} -O colour", 2, ["--option", "NAME=VALUE", "colour"]),
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
    "no ids": ("convert {data} -o {out}", 2, ["--tags"]),
    "no output": ("convert {data} {ids}", 2, ["--output"]),
    "no such ids": ("convert {data} -o {out} --tags {here}/x.json {images}", 1, ["x.json"]),
    "ids that are no JSON": ("convert {data} -o {out} --tags {here}/broken.json {images}", 1, ["broken.json:2"]),
    "ids that are none": ("convert {data} -o {out} --tags {here}/bad.json {images}", 1, ["bad.json", "猫", "7"]),
    "ids of other names": ("convert {data} -o {out} --tags {here}/images.json {images}", 1, ["2", "猫", "--map"]),
    "images as tags": ("convert {data} -o {out} {ids} --images {here}/tags.json", 1, ["2", "b.jpg"]),
    "a map without =": ("convert {data} -o {out} {ids} --map 猫", 2, ["--map", "OLD=NEW", "猫"]),
    "a map of nothing": ("convert {data} -o {out} {ids} --map dog=cat", 1, ["--map", "dog", "猫"]),
    "no such map": ("convert {data} -o {out} {ids} --map-file {here}/x.json", 1, ["x.json"]),
    "XML lines": ("convert {data} -o {here}/o.jsonl {ids} --payload xml", 2, ["o.jsonl", "--payload", "xml"]),
    "JSON twice": ("convert {data} -o - {ids} --json", 2, ["--json", "-o"]),
    "an output in a file": ("convert {data} -o {here}/a.png/out {ids}", 1, ["a.png"]),
    "an output that is a file": ("convert {data} -o {here}/a.png {ids}", 1, ["a.png"]),
    "an output of something else": ("convert {data} -o {data} {ids} --overwrite", 1, ["instances 1.json"]),
    "a report on a folder": ("inspect {data} --report {data}", 2, ["--report"]),
    "names of classes nowhere": ("inspect {yolo} --names {here}/x.txt", 1, ["--names", "x.txt"]),
    "no names of classes": ("inspect {yolo}", 1, ["--names"]),
}


@pytest.mark.parametrize(("line", "status", "tokens"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_answered_with_what_to_do(place: Place, line: str, status: int, tokens: list[str]) -> None:
    """One line on standard error, nothing on standard output, nothing written, and never a traceback."""
    here = place.folder
    (here / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (here / "broken.json").write_text('{"images": [], "annotations": [{"id": 1,\n', encoding="utf-8")
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
                word.format(here=here, data=place.data, out=place.out, empty=here / "empty", yolo=here / "yolo")
            )
    run = command(*words)
    assert run.status == status, run
    assert run.stdout == ""
    assert mentions(run.stderr, *tokens)
    message = run.stderr[run.stderr.index("Error: ") :]
    assert message.count("\n") == 1, "one line"
    assert "Traceback" not in run.stderr
    assert sorted(here.rglob("*")) == before


# --- processes


def wait_for(run: subprocess.Popen[str]) -> tuple[int, str]:
    """The status and standard error of a process."""
    _, stderr = run.communicate(timeout=60)
    return run.returncode, stderr


def start(*words: str | Path, **options: object) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    line = [sys.executable, "-m", "regionbatch_cli", *map(str, words)]
    return subprocess.Popen(line, env=environment(), encoding="utf-8", **pipes)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def large(tmp_path: Path) -> Place:
    """More payloads than a pipe holds."""
    return Place(tmp_path, *[("a.jpg", "cat", (number / 50, 5, 5, 5)) for number in range(6400)])


def test_the_module_is_the_command(place: Place) -> None:
    run = process("-m", "regionbatch_cli", "convert", place.data, "-o", place.out, *place.ids, cwd=place.folder)
    assert (run.returncode, run.stderr) == (0, "")
    assert len(place.written()) == 1
    version = process("-m", "regionbatch_cli", "--version", cwd=place.folder)
    assert mentions(version.stdout, "regionbatch", rb.__version__)


def test_a_relative_path_will_do(place: Place) -> None:
    run = process("-m", "regionbatch_cli", "inspect", ".", cwd=place.data)
    assert (run.returncode, run.stderr) == (0, "")


@posix
def test_a_reader_that_has_enough_ends_the_run_quietly(large: Place) -> None:
    run = start("convert", large.data, "-o", "-", *large.ids)
    if run.stdout is None:
        pytest.fail("no pipe")
    assert len(json.loads(run.stdout.readline())["regions"]) == 64
    run.stdout.close()
    run.stdout = None
    status, stderr = wait_for(run)
    assert (status, stderr) == (1, ""), "not 0: it did not get everything"


@posix
@pytest.mark.parametrize("words", ["inspect {data}", "inspect {data} --json", "formats", "--help", "convert --help"])
def test_a_reader_that_is_gone_ends_the_run_quietly(place: Place, words: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = start(*[word.format(data=place.data) for word in words.split()], stdout=write_end)
    os.close(write_end)
    assert wait_for(run) == (1, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the device that is always full is Linux's")  # noqa: PTH110
@pytest.mark.parametrize("words", ["inspect {data}", "inspect {data} --json", "convert {data} -o - {ids}", "formats"])
def test_standard_output_on_a_full_disk_is_an_error(place: Place, words: str) -> None:
    line = words.format(data="{data}", ids=" ".join(["{}"] * 4)).split()
    ids = iter(place.ids)
    line = [str(place.data) if word == "{data}" else next(ids) if word == "{}" else word for word in line]
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        run = start(*line, stdout=full)
    status, stderr = wait_for(run)
    assert status == 1
    assert mentions(stderr, os.strerror(errno.ENOSPC)), stderr
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_ctrl_c_stops_and_leaves_nothing_half_written(place: Place, overwrite: bool) -> None:
    """The run waits for its table of ids in a pipe, so it is known where it is when it is stopped."""
    if overwrite:
        place.convert()
    before = place.written() if overwrite else None
    pipe = place.folder / "tags.csv"
    os.mkfifo(pipe)
    options: list[str | Path] = ["--tags", pipe, *place.ids[2:], *(["--overwrite"] if overwrite else [])]
    run = start("convert", place.data, "-o", place.out, *options)
    writer = os.open(pipe, os.O_WRONLY)  # returns when the run has opened the other end
    run.send_signal(signal.SIGINT)
    status, stderr = wait_for(run)
    os.close(writer)
    assert status == 130
    assert len(stderr.strip().splitlines()) == 1
    assert "Traceback" not in stderr
    assert (place.written() if place.out.exists() else None) == before


def test_nothing_moves_in_a_pipe(large: Place) -> None:
    run = process("-m", "regionbatch_cli", "convert", large.data, "-o", large.out, *large.ids, FORCE_COLOR="")
    assert run.stderr == ""
    assert not re.search(r"[\x1b\r\b]", run.stdout)


@posix
def test_a_terminal_has_a_progress_bar(large: Place) -> None:
    """And standard output, which is a pipe here, has none."""
    ours, theirs = os.openpty()
    line = [sys.executable, "-m", "regionbatch_cli", "convert", str(large.data), "-o", str(large.out), *large.ids]
    run = subprocess.Popen(line, env=environment(TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = b"".join(read_terminal(ours))
    stdout, _ = run.communicate(timeout=60)
    assert b"\x1b[" in shown
    assert b"100%" in shown
    assert b"\x1b[" not in stdout


def read_terminal(handle: int) -> Iterator[bytes]:
    """What a terminal shows until its other side is closed, which Linux tells with an error."""
    try:
        while part := os.read(handle, 4096):
            yield part
    except OSError:
        pass
    finally:
        os.close(handle)


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_names_that_the_terminal_cannot_show(lossy: Place, encoding: str) -> None:
    for words in ([lossy.data], [lossy.data, "--json"], [lossy.data, "--only", "nothing"], ["猫"]):
        run = subprocess.run(
            [sys.executable, "-m", "regionbatch_cli", "inspect", *map(str, words)],
            env=environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert run.returncode in (1, 2, 3)
        assert b"Traceback" not in run.stderr


# --- help


def test_help_of_all() -> None:
    run = command("--help")
    assert run.status == 0
    assert all(name in run.stdout for name in COMMANDS)
    assert mentions(run.stdout, 0, 1, 2, 3), "the exit statuses"
    assert re.search(r"^ +regionbatch inspect ", run.stdout, re.MULTILINE), "an example"
    assert command("-h").stdout == run.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_help_of_each_command(name: str) -> None:
    run = command(name, "--help")
    assert run.status == 0
    assert re.search(rf"^ +regionbatch {name}\b", run.stdout, re.MULTILINE), "it has an example"
    one = commands.commands[name]
    assert one.help
    for parameter in one.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{parameter.name} has no help"
            assert re.search(r"\.( \[default: .*\])?$", parameter.help), f"{parameter.name}: a sentence"
            assert parameter.hidden or all(spelling in run.stdout for spelling in parameter.opts)


def test_an_option_means_the_same_wherever_it_stands() -> None:
    meanings: dict[str, str | None] = {}
    for one in commands.commands.values():
        for parameter in one.params:
            if isinstance(parameter, click.Option) and parameter.name != "as_json":
                for spelling in parameter.opts:
                    assert meanings.setdefault(spelling, parameter.help) == parameter.help, spelling
