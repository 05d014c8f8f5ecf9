"""What type checkers know of the library: they find the mistakes of a program that uses it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable
from dataclasses import fields
from os import PathLike
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

import pytest

import regionbatch as rb
from helpers import ROOT, process
from regionbatch.options import BUILT_IN_OPTIONS, choices_of

if TYPE_CHECKING:
    from pathlib import Path


def test_the_keywords_of_read_are_the_options_of_the_readers() -> None:
    names = {"Iterable": Iterable, "Callable": Callable, "PathLike": PathLike}
    hints = get_type_hints(rb.ReadKeywords, localns=names)
    options = {
        field.name: field for reader in BUILT_IN_OPTIONS.values() for field in fields(reader)
    }
    assert {*hints} == {*options}
    for name, field in options.items():
        if choices := choices_of(field):
            assert get_origin(hints[name]) is Literal
            assert {str(value) for value in get_args(hints[name])} == {*choices}


USER_PROJECT = """
import regionbatch as rb

dataset = rb.read("a", split="train", coco_boxes="pixels", format="coco", voc_origin=0)
rb.read("a", spilt="train")  # wrong
rb.read("a", coco_boxes="inches")  # wrong
rb.read("a", progress=1)  # wrong
rb.read("a", strict="no")  # wrong
rb.write(dataset, "out")  # wrong
rb.batches("a", tag_ids={}, image_ids={})  # wrong
rb.batches(dataset, tag_ids={}, image_ids={}, skip_unresolved="no")  # wrong
rb.TrainingClient(3, "k")  # wrong
rb.convert("a", "out", tag_ids={}, image_ids={}, spilt="train")  # wrong
rb.Dataset.from_arrow(dataset, mode="XYWH")  # wrong
rb.Dataset.from_arrow(dataset, mode="XYWH_ABS", max_clp=0.5)  # wrong
rb.Dataset.from_arrow(3, mode="XYWH_ABS")  # wrong
dataset.where(dataset.regions.box[:, 2] > 0.1, reason=3)  # wrong
dataset.rename(["a"])  # wrong
rb.concat([1])  # wrong
dataset.split_by(3)["train"]  # wrong
dataset.split_by("split")["train"].where([True]).rename({"a": "b"}).split_by(2)[0].to_arrow()
rb.Dataset.from_arrow(dataset, mode="XYWH_ABS", image_dir="images", drop="crowd")
rb.Dataset.from_arrow(dataset.to_arrow(), mode=rb.BoxMode.XYWH_REL)
"""


def wrong_lines() -> set[int]:
    return {n for n, line in enumerate(USER_PROJECT.splitlines(), 1) if line.endswith("# wrong")}


@pytest.fixture
def user_project(tmp_path: Path) -> Path:
    path = tmp_path / "program.py"
    path.write_text(USER_PROJECT, encoding="utf-8")
    return path


def test_mypy_finds_mistakes_in_a_program(user_project: Path) -> None:
    """With the settings of this project: what mypy knows of its modules is in its cache."""
    pytest.importorskip("mypy", reason="mypy is not installed: pip install mypy")
    run = process("-m", "mypy", "--output", "json", user_project, cwd=ROOT)
    errors = [json.loads(line) for line in run.stdout.splitlines() if line.startswith("{")]
    found = {one["line"] for one in errors if one["file"].endswith(user_project.name)}
    assert found == wrong_lines(), run.stdout + run.stderr


def test_pyright_finds_mistakes_in_a_program(user_project: Path) -> None:
    pytest.importorskip("pyright", reason="pyright is not installed: pip install pyright")
    (user_project.parent / "pyrightconfig.json").write_text(
        json.dumps({"extraPaths": [str(ROOT / "converters")], "include": ["program.py"]}),
        encoding="utf-8",
    )
    run = process(
        "-m", "pyright", "--outputjson", "--pythonpath", sys.executable, cwd=user_project.parent
    )
    if not run.stdout.startswith("{"):
        pytest.skip(f"pyright cannot run: {run.stderr.strip()[-200:]}")
    found = {
        one["range"]["start"]["line"] + 1
        for one in json.loads(run.stdout)["generalDiagnostics"]
        if one["severity"] == "error"
    }
    assert found == wrong_lines(), run.stdout
