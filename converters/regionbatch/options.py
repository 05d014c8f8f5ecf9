"""What a caller can choose when reading, by format. Nothing heavy is imported: the command shows these in its help.

The API takes the fields by keyword (`voc_origin=0`), the command as options (`--voc-origin 0`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import Field
    from pathlib import Path


def option(text: str, choices: Sequence[str] = (), *, default: Any = None) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Make a dataclass field with a help text and the values that are allowed; none named: any."""
    return field(default=default, metadata={"help": text, "choices": tuple(choices)})


def is_path(option: Field[Any]) -> bool:
    """Whether the value of an option is a path. Its type may be written as text, and mostly is."""
    return "Path" in str(option.type)


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What every reader takes."""

    split: str | None = option("read this split only")
    image_dir: Path | None = option("look for the pictures in this folder too")


@dataclass(frozen=True, kw_only=True)
class CocoOptions(ReadOptions):
    """What the COCO reader takes besides."""

    coco_boxes: str = option("what COCO boxes are in", ("auto", "pixels", "normalised"), default="auto")
    bbox_format: str = option("order of the numbers; auto: as the file says", ("auto", "ltwh", "ltrb"), default="auto")
    coco_json: str | None = option("read this JSON of the folder, by its path in it")


@dataclass(frozen=True, kw_only=True)
class VocOptions(ReadOptions):
    """What the Pascal VOC reader takes besides."""

    voc_origin: str = option("number of the first pixel in VOC boxes", ("auto", "0", "1"), default="auto")


@dataclass(frozen=True, kw_only=True)
class YoloOptions(ReadOptions):
    """What the YOLO reader takes besides."""

    names: Path | None = option("file with the class names: data.yaml, or one name a line")
    yolo_rows: str = option(
        "what YOLO rows are: auto tells by their length; box takes four numbers, whatever follows",
        ("auto", "box", "confidence-first", "polygon"),
        default="auto",
    )
