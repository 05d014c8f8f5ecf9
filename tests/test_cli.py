"""What `inspect`, `convert` and `formats` print and write, and their exit statuses."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from cli_helpers import CLIPPED, EMPTY, GOOD, ConvertFolder, posix
from helpers import (
    ROOT,
    command,
    ids_of,
    mentions,
    write_coco,
    write_id_files,
    write_json,
    write_voc,
)
from regionbatch.cases import Case

if TYPE_CHECKING:
    from pathlib import Path


def test_max_clip_leaves_out_boxes_that_are_mostly_outside(
    place: ConvertFolder, tmp_path: Path
) -> None:
    data = write_coco(tmp_path / "d", [GOOD, ("b.jpg", "big cat", (150, 10, 900, 60))])
    result = command("inspect", data)
    assert result.status == 0
    assert mentions(result.stdout, "mostly_outside", "94.4 % outside", "--max-clip")
    inspect: list[str | Path] = ["inspect", data]
    for words in (inspect, ["convert", data, "-o", tmp_path / "o", *place.ids]):
        assert command(*words, "--strict").status == 1
        run = command(*words, "--max-clip", "0.5", "--strict", "--json")
        assert run.status == 0, "what was asked for is no loss"
        assert run.json["boxes"]["dropped"] == {"left_out": 1}


def test_boxes_left_out_on_request_are_reported(lossy: ConvertFolder) -> None:
    result = command("inspect", lossy.data, "--only", "猫")
    assert mentions(result.stdout, 2, "left_out")


def test_a_report_never_replaces_other_files(lossy: ConvertFolder) -> None:
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


def test_an_empty_dataset_name_is_a_usage_error() -> None:
    result = command("inspect", "")
    assert (result.status, result.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("target", [".", ".."])
def test_the_output_cannot_be_the_current_folder(
    lossy: ConvertFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """If it were replaced, the shell would be in a folder that no longer exists."""
    (tmp_path / "empty" / "here").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "empty" / "here")
    before = sorted(tmp_path.rglob("*"))
    result = lossy.convert("--overwrite", to=target)
    assert (result.status, result.stderr.count("\n")) == (1, 1)
    assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "empty" / "here").samefile(".")


def test_a_folder_name_that_looks_like_markup_is_printed_as_it_is(tmp_path: Path) -> None:
    folder = write_coco(tmp_path / "set [/b] [v1]", [("a.jpg", "cat", (1, 2, 30, 4))])
    result = command("inspect", folder)
    assert (result.status, result.stderr) == (0, "")
    assert mentions(result.stdout.splitlines()[0], folder, "coco", "annotations.json")


def test_control_characters_in_names_are_escaped(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "set", [("a.jpg", "\x1b[31mred\n[bold]", (20, 10, 80, 60))])
    run = command("inspect", data)
    assert "\x1b" not in run.stdout
    assert "\\x1b[31mred\\n[bold]" in run.stdout


def test_inspect_prints_content_and_findings(lossy: ConvertFolder) -> None:
    run = command("inspect", lossy.data)
    assert run.stderr == ""
    assert mentions(
        run.stdout,
        "coco",
        "猫",
        "big cat",
        "clipped",
        "empty_box",
        "instances 1.json: annotation 3",
    )
    assert re.search(r"\b3\b.*\b1\b.*\b1\b.*\b1\b", run.stdout), "what became of the boxes"
    assert sorted(path.name for path in lossy.data.iterdir()) == ["instances 1.json"], (
        "it changes nothing"
    )


def test_inspect_limits_the_number_of_classes(tmp_path: Path) -> None:
    categories = [{"id": number, "name": f"class {number}"} for number in range(1003)]
    (tmp_path / "a.json").write_text(
        json.dumps({"images": [], "annotations": [], "categories": categories}), "utf-8"
    )
    shown = command("inspect", tmp_path).stdout
    assert mentions(shown, "class 999", "3 more")
    assert "class 1000" not in shown


def test_convert_writes_the_payloads_of_the_library(place: ConvertFolder) -> None:
    run = place.convert()
    dataset = rb.read(place.data)
    batches = rb.batches(dataset, tag_ids=place.ids[1], image_ids=place.ids[3])
    assert run.status == 0
    assert place.written() == {"batch-00001.json": batches[0].to_json()}
    assert mentions(run.stdout, 2, 1, place.out)


@pytest.mark.parametrize("subcommand", ["inspect", "convert"])
def test_exit_statuses(place: ConvertFolder, subcommand: str) -> None:
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
    assert run("--strict", "--accept-drops") == 1, "--strict fails on the files in any case"
    assert run("--unknown") == 2


def test_strict_writes_nothing(lossy: ConvertFolder) -> None:
    run = lossy.convert("--strict")
    assert run.status == 1
    assert mentions(run.stderr, "1 empty_box", "1 clipped")
    assert not lossy.out.exists()
    report = lossy.folder / "why.json"
    assert lossy.convert("--strict", "--report", report).status == 1
    assert (
        json.loads(report.read_bytes())["counts"]
        == command("inspect", lossy.data, "--json").json["findings"]
    )
    assert not lossy.out.exists()
    assert (
        command(
            "convert", lossy.data, "-o", lossy.folder / "o.jsonl", *lossy.ids, "--strict"
        ).status
        == 1
    )
    assert not (lossy.folder / "o.jsonl").exists()


def test_strict_fails_on_duplicates_caused_by_equal_ids(place: ConvertFolder) -> None:
    """Two classes with one ID make one region of two, although the files are correct."""
    place.data = write_coco(place.folder / "twice", [GOOD, ("größe 1.jpg", "big cat", GOOD[2])])
    tags = write_json(place.folder / "t.json", dict.fromkeys(["猫", "big cat"], ids_of(["x"])["x"]))
    options: list[str | Path] = ["--tag-ids", tags, *place.ids[2:]]
    strict = command("convert", place.data, "-o", place.out, *options, "--strict")
    assert strict.status == 1
    assert mentions(strict.stderr, 1, "duplicate")
    assert not place.out.exists()
    assert command("convert", place.data, "-o", place.out, *options).status == 3


def test_json_is_the_summary_of_the_library_and_nothing_else(lossy: ConvertFolder) -> None:
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
        assert mentions(
            run.stdout, name, *(f"--{option.replace('_', '-')}" for option in one["options"])
        )
    own = ["voc_boxes", "voc_origin", "voc_angles", "bbox_format"]
    assert listed["voc"]["options"] == ["split", "image_dir", "encoding", *own]


def test_standard_output_has_payloads_and_nothing_else(place: ConvertFolder) -> None:
    run = place.convert(to="-")
    assert run.status == 0
    assert [json.loads(line) for line in run.stdout.splitlines()]
    assert len(run.stdout.splitlines()) == 1
    assert mentions(run.stderr, 2, 1)
    assert place.convert("-q", to="-") == (0, run.stdout, "")
    xml = place.convert("--payload", "xml", to="-")
    assert xml.stdout.startswith("<ImageRegionCreateBatch>")


def test_quiet_prints_errors_only(lossy: ConvertFolder) -> None:
    assert lossy.convert("-q") == (3, "", "")
    assert command("inspect", "-q", lossy.data) == (3, "", "")
    again = lossy.convert("-q")
    assert (again.status, again.stdout) == (1, "")
    assert mentions(again.stderr, lossy.out, "--overwrite")


def test_verbose_prints_more_places(tmp_path: Path) -> None:
    place = ConvertFolder(tmp_path, *[("a.jpg", "cat", (number, 5, 0, 5)) for number in range(9)])
    brief, long = command("inspect", place.data), command("inspect", "-v", place.data)
    place_of = "instances 1.json: annotation {}".format
    assert mentions(brief.stdout, place_of(3), 6, "--report")
    assert not mentions(brief.stdout, place_of(4))
    assert mentions(long.stdout, place_of(9))


def test_a_report_has_every_finding(lossy: ConvertFolder) -> None:
    lines: list[list[str | Path]] = [
        ["inspect", lossy.data],
        ["convert", lossy.data, "-o", lossy.out, *lossy.ids],
    ]
    for words in lines:
        path = lossy.folder / f"{words[0]}.json"
        assert command(*words, "--report", path).status == 3
        result = json.loads(path.read_text(encoding="utf-8"))
        assert [
            finding["code"] for finding in result["findings"] if finding["severity"] == "error"
        ] == ["empty_box"]


def test_a_report_that_cannot_be_written_is_an_error(lossy: ConvertFolder) -> None:
    (lossy.folder / "file").touch()
    run = command(
        "inspect", lossy.data, "--report", lossy.folder / "file" / "r.json", "--accept-drops"
    )
    assert run.status == 1
    assert mentions(run.stderr, lossy.folder / "file" / "r.json")
    assert run.stderr.count("\n") == 1


def test_classes_are_renamed(place: ConvertFolder) -> None:
    tags = write_json(place.folder / "t.json", ids_of(["cat", "Big"]))
    renames = write_json(place.folder / "m.json", {"猫": "nothing", "big cat": "Big"})
    options: list[str | Path] = [
        "--tag-ids",
        tags,
        *place.ids[2:],
        "--rename",
        "猫=cat",
        "--rename-file",
        renames,
    ]
    run = command("convert", place.data, "-o", place.out, *options)
    assert run.status == 0
    entries = json.loads(place.written()["batch-00001.json"])["regions"]
    assert [entry["tagId"] for entry in entries] == [ids_of(["cat"])["cat"], ids_of(["Big"])["Big"]]


NOT_READ = {
    "coco/sibling-of-other-images": 3,
    "coco/sibling-of-other-boxes": 3,
    "coco/sibling-of-other-images-as-asked": 0,
    "coco/labelme-next-to-coco": 3,
    "coco/split-of-detections": 3,
    "coco/instances-next-to-captions-and-keypoints": 0,
    "voc/truncated-next-to-annotations": 3,
    "voc/xml-next-to-annotations": 3,
    "voc/image-sets-one-split": 0,
    "vott/several-kinds": 0,
    "vott/several-kinds-of-other-images": 3,
    "yolo/unlisted-label": 3,
    "yolo/list-that-leaves-out": 3,
    "yolo/stale-labels-and-predictions": 3,
    "yolo/one-split": 0,
}


@pytest.mark.parametrize(("case", "status"), NOT_READ.items(), ids=NOT_READ)
def test_boxes_that_are_not_read_give_status_3(case: str, status: int) -> None:
    """The status is 0 if an option selects a part of the dataset, or another file has the boxes."""
    found = Case(ROOT / "fixtures" / case, case)
    options = [
        f"--{name.replace('_', '-')}={value}"
        for name, value in found.expected.get("options", {}).items()
    ]
    run = command("inspect", found.input, *options)
    assert run.status == status
    assert bool(re.search(r"^error: ", run.stdout, re.MULTILINE)) == bool(status)


@posix
def test_labels_beyond_a_link_out_of_the_dataset_are_reported(tmp_path: Path) -> None:
    """A link that leads out of the dataset is not followed, so its content is unknown."""
    data, away = tmp_path / "data", tmp_path / "away"
    write_voc(data / "train" / "Annotations", [("a.jpg", "cat", (1, 2, 30, 40))])
    write_voc(away, [("b.jpg", "cat", (1, 2, 30, 40))])
    (data / "images").symlink_to(away)
    assert command("inspect", data).status == 0, "images may be anywhere"
    (data / "val").mkdir()
    (data / "val" / "Annotations").symlink_to(away)
    run = command("inspect", data)
    assert (run.status, mentions(run.stdout, "unreadable_file", "val/Annotations")) == (3, True)


def test_renaming_resolves_similar_class_names(tmp_path: Path) -> None:
    data = write_coco(
        tmp_path / "d", [("a.jpg", "rbc", (1, 2, 30, 4)), ("a.jpg", "RBC", (50, 2, 30, 4))]
    )
    ids = write_id_files(tmp_path, rb.read(data))
    refused = command("convert", data, "-o", tmp_path / "no", *ids, "--strict")
    assert (
        refused.status,
        mentions(refused.stderr, "similar_tags", "rbc (1 box), RBC (1 box)"),
    ) == (1, True)
    assert not (tmp_path / "no").exists()
    for words in (["rbc=RBC"], ["rbc=rbc"]):
        run = command(
            "convert", data, "-o", tmp_path / words[0], *ids, "--strict", "--rename", *words
        )
        assert (run.status, "similar_tags" in run.stdout) == (0, False)


def test_boxes_without_an_id_can_be_left_out(place: ConvertFolder) -> None:
    tags = write_json(place.folder / "t.json", ids_of(["猫"]))
    options: list[str | Path] = ["--tag-ids", tags, *place.ids[2:]]
    run = command("convert", place.data, "-o", place.out, *options)
    assert run.status == 1
    assert mentions(run.stderr, 1, "big cat")
    assert not place.out.exists()
    run = command("convert", place.data, "-o", place.out, *options, "--skip-unresolved", "--json")
    assert run.status == 0
    assert run.json["boxes"] == {"read": 2, "kept": 1, "adjusted": {}, "dropped": {"unresolved": 1}}


def test_a_second_run_needs_overwrite_and_writes_the_same(place: ConvertFolder) -> None:
    assert place.convert().status == 0
    first = place.written()
    again = place.convert()
    assert again.status == 1
    assert mentions(again.stderr, place.out, "--overwrite")
    assert again.stderr.count("\n") == 1
    assert place.convert("--overwrite").status == 0
    assert place.written() == first


@pytest.mark.parametrize("overwrite", [False, True])
def test_the_output_that_a_killed_run_set_aside_is_restored(
    place: ConvertFolder, overwrite: bool
) -> None:
    assert place.convert().status == 0
    place.out.rename(place.out.with_name(f".{place.out.name}.0123abcd.old"))
    result = place.convert(*["--overwrite"] * overwrite)
    assert result.status == (0 if overwrite else 1)
    first, *_ = result.stderr.splitlines()
    assert mentions(first, place.out)
    assert place.out.is_dir()
    assert not [path for path in place.out.parent.iterdir() if path.suffix == ".old"]


def test_an_existing_output_is_an_error_before_the_dataset_is_read(place: ConvertFolder) -> None:
    place.convert()
    run = command("convert", place.folder / "nothing", "-o", place.out, *place.ids)
    assert (run.status, mentions(run.stderr, place.out, "--overwrite")) == (1, True)


def test_an_option_of_another_format_is_a_usage_error(place: ConvertFolder) -> None:
    run = command("inspect", place.data, "--voc-origin", "1")
    assert run.status == 2
    assert mentions(run.stderr, "--voc-origin", "coco")
