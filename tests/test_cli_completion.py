"""Shell completion: options, choices, formats, splits, classes, marks and codes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from click.shell_completion import ShellComplete

from cli_helpers import posix
from helpers import environment, write_coco, write_json, write_yolo
from regionbatch.findings.codes import CODES
from regionbatch_cli import completion
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from pathlib import Path


def completions(*words: str | Path, incomplete: str = "") -> list[str]:
    """Return what the shell offers for the next word."""
    shell = ShellComplete(commands, {}, "regionbatch", "_REGIONBATCH_COMPLETE")
    return [item.value for item in shell.get_completions([*map(str, words)], incomplete)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    boxes = [("a.jpg", "cat", (1, 2, 30, 4)), ("a.jpg", "big cat", (1, 2, 30, 4))]
    return write_coco(tmp_path / "data", boxes)


def test_commands_and_options_are_completed() -> None:
    assert completions(incomplete="in") == ["inspect"]
    assert completions("inspect", incomplete="--coco-b") == ["--coco-boxes"]
    options = completions("convert", incomplete="--")
    assert "--tag-ids" in options
    assert not {"--tags", "--images", "--map", "--option"} & {*options}


def test_choices_formats_and_marks_are_completed() -> None:
    assert completions("inspect", "--coco-boxes", incomplete="p") == ["pixels"]
    assert completions("upload", "--tier", incomplete="") == ["F0", "S0"]
    assert {"coco", "voc", "yolo", "cvat", "vott"} <= {*completions("inspect", "--format")}
    assert completions("inspect", "--format", incomplete="v") == ["voc", "vott"]
    assert completions("inspect", "--drop", incomplete="cr") == ["crowd"]
    assert completions("inspect", "--drop", incomplete="crowd,tr") == ["crowd,truncated"]
    assert "gbk" in completions("inspect", "--encoding")
    assert completions("verify", "--api-version") == ["3.2", "3.3"]


def test_codes_are_completed() -> None:
    assert completions("explain") == [*CODES]
    assert completions("explain", "clipped", incomplete="empty") == ["empty_box"]


def test_classes_of_the_dataset_are_completed(data: Path) -> None:
    assert completions("inspect", data, "--only") == ["cat", "big cat"]
    assert completions("inspect", data, "--only", "cat", "--only", incomplete="b") == ["big cat"]
    assert completions("convert", "-o", "x", data, "--keep", incomplete="c") == ["cat"]
    assert completions("inspect", "--only") == [], "the dataset is not known yet"


def test_splits_of_the_dataset_are_completed(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "train" / "labels", [("a.jpg", "cat", (0.5, 0.5, 0.1, 0.1))])
    (folder.parent / "images").mkdir()
    (folder.parent / "images" / "a.jpg").touch()
    write_json(tmp_path / "data.yaml", {"train": "train/images", "val": "", "names": ["cat"]})
    assert completions("inspect", tmp_path, "--split") == ["train"]
    assert completions("inspect", tmp_path, "--split", incomplete="v") == []


def test_what_cannot_be_read_is_not_completed(tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text("{", encoding="utf-8")
    assert completions("inspect", tmp_path, "--only") == []
    assert completions("inspect", tmp_path / "none", "--only") == []


def test_a_large_dataset_is_not_read(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completion, "_MOST_BYTES", 10)
    assert completions("inspect", data, "--only") == []


@posix
@pytest.mark.skipif(shutil.which("bash") is None, reason="bash")
def test_bash_completes(data: Path, tmp_path: Path) -> None:
    """With the script that the documentation installs."""
    script = tmp_path / "regionbatch"
    script.write_text(
        f'#!/bin/sh\nexec "{sys.executable}" -m regionbatch_cli "$@"\n', encoding="utf-8"
    )
    script.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    lines = [
        'eval "$(_REGIONBATCH_COMPLETE=bash_source regionbatch)"',
        f"COMP_WORDS=(regionbatch inspect '{data}' --only '') COMP_CWORD=4",
        "_regionbatch_completion regionbatch",
        'printf "%s\\n" "${COMPREPLY[@]}"',
    ]
    run = subprocess.run(
        ["bash", "--norc", "-c", "\n".join(lines)],
        env=environment(PATH=path),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert run.stdout.splitlines() == ["cat", "big cat"], run.stderr
