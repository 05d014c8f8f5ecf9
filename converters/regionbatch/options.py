"""What a caller can choose when reading, by format.

Nothing heavy is imported: the command shows these in its help. The API takes the fields by keyword
(`voc_origin=0`), the command as options (`--voc-origin 0`).
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence
    from dataclasses import Field
    from pathlib import Path


def option(
    text: str,
    choices: Sequence[str] = (),
    *,
    default: Any = None,  # noqa: ANN401 - as dataclasses.field
    metavar: str = "",
) -> Any:  # noqa: ANN401 - as dataclasses.field
    """Declare an option of a reader, as the field of a dataclass.

    The type of the field is `str` or `Path`, with or without `| None`, or a tuple of one of them
    (`tuple[str, ...]`) for an option that can be given several times.

    Args:
        text: The help text: one phrase, without capital letter and full stop.
        choices: The values that are allowed; none: any.
        default: The value if the option is not given.
        metavar: What stands for the value in the help of the command, such as `DIR`.
    """
    metadata = {"help": text, "choices": tuple(choices), "metavar": metavar}
    return field(default=default, metadata=metadata)


def is_path(option: Field[Any]) -> bool:
    """Whether the value of an option is a path. Its type may be written as text, and mostly is."""
    return "Path" in str(option.type)


def is_repeatable(option: Field[Any]) -> bool:
    """Return whether an option takes several values."""
    return "tuple" in str(option.type)


def choices_of(option: Field[Any]) -> tuple[str, ...]:
    """Return the values that an option allows; none: any."""
    return tuple(option.metadata.get("choices") or ())


def means_the_same(one: Field[Any], other: Field[Any]) -> bool:
    """Return whether two options of one name are of one type and have the same choices."""
    return _meaning(one) == _meaning(other)


def _meaning(option: Field[Any]) -> tuple[bool, bool, tuple[str, ...]]:
    return is_path(option), is_repeatable(option), choices_of(option)


class GivenAs(NamedTuple):
    """A value, and the option that it was given as.

    `regionbatch.read` takes it in place of the value. It is an error if the reader's own option of
    that name does not mean the same: two packages may use one name for different things.
    """

    option: Field[Any]
    value: Any


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """What every reader takes."""

    split: str | None = option("read only this split", metavar="NAME")
    image_dir: tuple[Path, ...] = option(
        "look for images in this folder too",
        default=(),
        metavar="DIR",
    )
    encoding: str | None = option(
        "encoding of text that is not UTF-8 and declares no other, such as gbk or cp932",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class CocoOptions(ReadOptions):
    """What the COCO reader takes besides."""

    coco_boxes: str = option("unit of the boxes", ("auto", "pixels", "normalised"), default="auto")
    bbox_format: str = option(
        "order of the four numbers; auto: as the file states",
        ("auto", "ltwh", "ltrb"),
        default="auto",
    )
    coco_json: str | None = option(
        "read this JSON file, by its path in the dataset",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class VocOptions(ReadOptions):
    """What the Pascal VOC reader takes besides."""

    voc_boxes: str = option("unit of the boxes", ("auto", "pixels", "normalised"), default="auto")
    voc_origin: str = option("coordinate of the first pixel", ("auto", "0", "1"), default="auto")
    voc_angles: str = option("unit of the angles of robndbox", ("auto", "radians", "degrees"), default="auto")
    bbox_format: str = option(
        "order of the four numbers; auto: corners (ltrb)",
        ("auto", "ltwh", "ltrb"),
        default="auto",
    )


@dataclass(frozen=True, kw_only=True)
class YoloOptions(ReadOptions):
    """What the YOLO reader takes besides."""

    names: Path | None = option(
        "file with the class names: data.yaml, or one name per line",
        metavar="FILE",
    )
    yolo_rows: str = option(
        "how to read rows: auto (by number of columns), box (first four values; rest ignored), "
        "confidence-first, polygon, or xywhr (box and its rotation) in degrees or radians",
        ("auto", "box", "confidence-first", "polygon", "xywhr-degrees", "xywhr-radians"),
        default="auto",
    )
    yolo_first_class: str = option(
        "number that stands for the first class in rows",
        ("auto", "0", "1"),
        default="auto",
    )


BUILT_IN_OPTIONS: dict[str, type[ReadOptions]] = {
    "coco": CocoOptions,
    "voc": VocOptions,
    "yolo": YoloOptions,
}
"""Options of the built-in readers, as far as they have their own; the others take `ReadOptions`.

A reader names the same class as its `options`; but importing a reader imports NumPy as well."""


def own_options(options: type[ReadOptions]) -> list[Field[Any]]:
    """Return the options that a reader takes besides those that every reader takes."""
    common = {each.name for each in fields(ReadOptions)}
    return [each for each in fields(options) if each.name not in common]
