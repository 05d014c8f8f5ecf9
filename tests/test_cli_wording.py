"""Messages of the library in the words of the command, old option names, and tracebacks."""

from __future__ import annotations

import json
import os
import pickle
import re
from shutil import copytree
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from cli_helpers import GOOD, ConvertFolder
from helpers import ROOT, command, write_coco, write_yolo
from regionbatch.findings.codes import CODES
from regionbatch_cli.main import commands
from regionbatch_cli.reader_options import ReaderOption
from regionbatch_cli.wording import flags_by_keyword, in_command_words

if TYPE_CHECKING:
    from pathlib import Path

FLAGS = {
    "image_dir": "--image-dir",
    "coco_boxes": "--coco-boxes",
    "rename": "--rename",
    "skip_unresolved": "--skip-unresolved",
    "max_clip": "--max-clip",
    "only": "--only",
    "without_option": "",
}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Name it with `image_dir`.", "Name it with --image-dir."),
        ('Use `coco_boxes="pixels"`.', "Use --coco-boxes pixels."),
        ("Use `skip_unresolved=True`.", "Use --skip-unresolved."),
        ("`max_clip=0.5`", "--max-clip 0.5"),
        ('`rename={"cat": "feline"}`', "--rename cat=feline"),
        ('`rename={"big cat": "cat"}`', "--rename 'big cat=cat'"),
        ('`only=["a", "b"]`', "--only a --only b"),
        ('`coco_boxes="pixels"` or `image_dir`', "--coco-boxes pixels or --image-dir"),
        ("Set A or in `without_option`.", "Set A."),
        ("Set A or in `image_dir`.", "Set A or in --image-dir."),
        ("Set A, or pass a function as `image_dir`.", "Set A."),
        ("Set `without_option`.", "Set `without_option`."),
        ("`something_else` stays", "`something_else` stays"),
        ("no backticks: image_dir", "no backticks: image_dir"),
    ],
)
def test_keywords_become_options(text: str, expected: str) -> None:
    assert in_command_words(text, FLAGS) == expected


@pytest.mark.parametrize("url", ["az://me:word@data/set", "az://data/set?sig=word"])
def test_an_argument_that_the_command_lacks_is_left_out(url: str) -> None:
    """Its alternative, the environment, stays."""
    for arguments in (["inspect", url], ["convert", ROOT / "fixtures/scene/voc", "-o", url]):
        tables = [f"--{name}-ids={ROOT}/fixtures/scene/{name}s.json" for name in ("tag", "image")]
        run = command(*arguments, *(tables if "convert" in arguments else []))
        assert run.status != 0
        assert "environment" in run.stderr
        assert "storage" not in run.stderr.replace(str(ROOT), "")
    with pytest.raises(rb.DatasetNotFoundError) as caught:
        rb.read(url)
    assert "`storage_options`" in str(caught.value)


def test_values_from_the_dataset_stay_as_they_are() -> None:
    """A class may be called `image_dir`, with the backticks."""
    text = "no such class: 'a `image_dir`'. See `image_dir`."
    expected = "no such class: 'a `image_dir`'. See --image-dir."
    assert in_command_words(text, FLAGS, ["a `image_dir`"]) == expected


def test_every_option_of_a_reader_has_a_flag() -> None:
    with commands.make_context("regionbatch", ["inspect", "x"], resilient_parsing=True) as ctx:
        flags = flags_by_keyword(ctx)
    for one in commands.commands.values():
        for parameter in one.params:
            if isinstance(parameter, ReaderOption):
                assert flags[parameter.field.name] == parameter.flag
    keywords = ("tag_ids", "image_ids", "rename", "project_id", "journal", "create_tags", "tier")
    for keyword in (*keywords, "shrink", "overwrite", "payload", "skip_unresolved", "strict"):
        assert flags[keyword] == f"--{keyword.replace('_', '-')}"


def test_texts_of_codes_have_no_keyword_left() -> None:
    text = command("explain", "--json").stdout + command("explain").stdout
    assert "`" not in text
    assert command("explain", *CODES).stdout.count("`") == 0


def test_errors_name_options_of_the_command(tmp_path: Path) -> None:
    data = write_coco(tmp_path / "set", [("a.jpg", "cat", (50, 5, 20, 20)), GOOD])
    for arguments in (["--only", "dog"], ["--drop", "tall"], ["--voc-origin", "1"]):
        run = command("inspect", data, *arguments)
        assert run.stderr.startswith(f"Error: {arguments[0]}: ")
        assert "`" not in run.stderr
    run = command("inspect", write_yolo(tmp_path / "none", []))
    assert "`" not in run.stderr


def test_findings_and_decisions_name_options_of_the_command(tmp_path: Path) -> None:
    folder = ROOT / "fixtures" / "coco" / "corners-at-the-edge"
    report = tmp_path / "report.json"
    run = command("inspect", folder, "--report", report)
    assert re.search(r"^  --bbox-format: ltwh ", run.stdout, re.MULTILINE)
    assert not re.search(r"^ +bbox_format", run.stdout, re.MULTILINE)
    assert "`" not in run.stdout
    content = json.loads(report.read_bytes())
    assert "`" not in report.read_text(encoding="utf-8")
    [doubt] = [one for one in content["findings"] if one["code"] == "doubtful_decision"]
    assert doubt["place"] == "--bbox-format"
    assert doubt["message"].startswith("--bbox-format: ")


def test_a_strict_error_names_the_option_of_an_uncertain_decision() -> None:
    folder = ROOT / "fixtures" / "coco" / "corners-at-the-edge" / "input"
    with pytest.raises(rb.StrictError) as caught:
        rb.read(folder, strict=True)
    codes = [finding.code for finding in caught.value.findings]
    assert isinstance(caught.value.value, dict)
    assert codes == [*caught.value.value]
    [doubt] = [each for each in caught.value.findings if each.code == "doubtful_decision"]
    assert doubt.place == "bbox_format"
    assert pickle.loads(pickle.dumps(caught.value)).findings == caught.value.findings
    run = command("inspect", folder, "--strict", "--json")
    assert run.status == 1
    lines = run.stderr.splitlines()
    assert len(lines) == 1 + len(codes)
    assert "--strict" in lines[0]
    assert [line for line in lines if line.startswith("  --bbox-format: ")]
    assert "`" not in run.stderr


@pytest.mark.skipif(os.name == "nt", reason="no name has lines on Windows")
def test_a_strict_error_says_what_failed_if_the_name_of_the_dataset_has_lines(
    tmp_path: Path,
) -> None:
    copytree(ROOT / "fixtures" / "coco" / "corners-at-the-edge" / "input", tmp_path / "a\nb")
    run = command("inspect", tmp_path / "a\nb", "--strict", "--quiet")
    assert run.status == 1
    assert "do not use --strict" in run.stderr


# Old names of options.

OLD_NAMES = {"--tag-ids": "--tags", "--image-ids": "--images", "--rename": "--map"}


def test_old_names_have_the_same_effect_and_one_warning(lossy: ConvertFolder) -> None:
    assert lossy.convert("--rename", "big cat=dog").status == 1, "no such tag"
    new = lossy.convert("--rename", "big cat=big cat")
    written = lossy.written()
    old_ids = [OLD_NAMES.get(word, word) for word in lossy.ids]
    words: list[str | Path] = [
        "convert",
        lossy.data,
        "-o",
        lossy.out,
        *old_ids,
        "--map",
        "big cat=big cat",
    ]
    old = command(*words, "--overwrite")
    assert (old.status, old.stdout, lossy.written()) == (new.status, new.stdout, written)
    assert old.stderr.count("\n") == 1
    for name in OLD_NAMES:
        assert name in old.stderr
    assert command(*words, "--overwrite", "--quiet").stderr == ""
    as_json = command(*words, "--overwrite", "--json")
    assert as_json.json["boxes"]["read"] == 3
    assert as_json.stderr.count("\n") == 1


def test_a_rename_may_be_given_by_both_names(lossy: ConvertFolder) -> None:
    run = lossy.convert("--map", "猫=猫", "--rename", "dog=cat")
    assert run.status == 2
    assert "dog" in run.stderr
    run = lossy.convert("--rename", "猫=猫", "--map", "dog=cat")
    assert run.status == 2
    assert "dog" in run.stderr


def test_an_option_under_both_names_is_a_usage_error(lossy: ConvertFolder) -> None:
    run = lossy.convert("--tags", lossy.ids[1])
    assert run.status == 2
    assert "--tag-ids" in run.stderr
    assert not lossy.out.exists()


def test_an_old_name_is_checked_like_the_new_one(lossy: ConvertFolder) -> None:
    words: list[str | Path] = ["convert", lossy.data, "-o", lossy.out, *lossy.ids[2:]]
    assert command(*words).status == 2
    assert command(*words, "--tags", lossy.folder / "none.json").status == 2


def test_old_names_are_not_in_the_help() -> None:
    for name in ("convert", "upload", "verify"):
        text = command(name, "--help").stdout
        assert not re.search(r"--(tags|images|map|map-file|project)\b(?!-)", text)


# Tracebacks.


def test_verbose_shows_the_traceback_of_the_cause(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text('{"images": [], "annotations": [], "categories": [}', encoding="utf-8")
    data = ConvertFolder(tmp_path, GOOD)
    words: list[str | Path] = [
        "convert",
        data.data,
        "-o",
        data.out,
        "--tag-ids",
        broken,
        *data.ids[2:],
    ]
    brief = command(*words)
    assert (brief.status, brief.stderr.count("\n")) == (1, 1)
    verbose = command(*words, "-v")
    assert verbose.status == 1
    assert verbose.stderr.startswith("Traceback")
    assert verbose.stderr.endswith(brief.stderr)


@pytest.mark.parametrize("option", ["-v", "--verbose"])
def test_an_unexpected_error_is_one_line(
    lossy: ConvertFolder, monkeypatch: pytest.MonkeyPatch, option: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("boom")

    monkeypatch.setattr("regionbatch.reading.read", fail)
    run = command("inspect", lossy.data)
    assert (run.status, run.stdout, run.stderr.count("\n")) == (1, "", 1)
    assert run.stderr.startswith("Error: unexpected ZeroDivisionError: boom")
    assert "-v" in run.stderr
    verbose = command("inspect", lossy.data, option)
    assert verbose.status == 1
    assert verbose.stderr.startswith("Traceback")
    assert verbose.stderr.splitlines()[-1] == "Error: unexpected ZeroDivisionError: boom"


# JSON.


def test_json_has_one_form_with_quiet(lossy: ConvertFolder) -> None:
    loud = command("inspect", lossy.data, "--json")
    quiet = command("inspect", lossy.data, "--json", "--quiet")
    assert quiet.stdout == loud.stdout
    assert (quiet.stderr, loud.stderr) == ("", "")
