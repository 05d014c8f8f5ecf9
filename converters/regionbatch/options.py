"""Options of the readers, by format.

The library takes the fields by keyword (`voc_origin=0`), the command as options (`--voc-origin 0`).
This module imports nothing heavy, because the command shows the options in its help.
"""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypedDict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from dataclasses import Field
    from os import PathLike
    from pathlib import PurePath


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
        text: Help text: one phrase, which starts with a lower-case letter and has no full stop.
        choices: The allowed values; empty: any value.
        default: Value if the option is not given.
        metavar: Placeholder for the value in the command's help, such as `DIR`.

    Example:
        >>> from dataclasses import dataclass
        >>> from regionbatch.options import ReadOptions, choices_of, option
        >>> @dataclass(frozen=True, kw_only=True)
        ... class CsvOptions(ReadOptions):
        ...     delimiter: str = option("column separator", (",", ";"), default=",")
        >>> CsvOptions().delimiter
        ','
    """
    metadata = {"help": text, "choices": tuple(choices), "metavar": metavar}
    return field(default=default, metadata=metadata)


def is_path(option: Field[Any]) -> bool:
    """Return whether the value of an option is a path."""
    return "Path" in str(option.type)  # mostly a string, because of `from __future__ import …`


def is_repeatable(option: Field[Any]) -> bool:
    """Return whether an option takes several values."""
    return "tuple" in str(option.type)


def choices_of(option: Field[Any]) -> tuple[str, ...]:
    """Return the values that an option allows; empty: any value."""
    return tuple(option.metadata.get("choices") or ())


def means_the_same(one: Field[Any], other: Field[Any]) -> bool:
    """Return whether two options of the same name have the same type and choices."""
    return _meaning(one) == _meaning(other)


def _meaning(option: Field[Any]) -> tuple[bool, bool, tuple[str, ...]]:
    return is_path(option), is_repeatable(option), choices_of(option)


class GivenAs(NamedTuple):
    """A value together with the option that it was given for.

    The command passes it to `regionbatch.read` instead of the value. If the reader's own option of
    that name has another type or other choices, reading fails: two packages may use one name for
    different things.
    """

    option: Field[Any]
    value: Any


@dataclass(frozen=True, kw_only=True)
class ReadOptions:
    """Options of every reader."""

    split: str | None = option("read only this split", metavar="NAME")
    image_dir: tuple[PurePath, ...] = option(
        "also look for images in this folder",
        default=(),
        metavar="DIR",
    )
    encoding: str | None = option(
        "encoding of files that are not UTF-8 and declare no encoding, such as gbk or cp932",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class CocoOptions(ReadOptions):
    """Options of the COCO reader."""

    coco_boxes: str = option("unit of the boxes", ("auto", "pixels", "normalised"), default="auto")
    bbox_format: str = option(
        "order of the four numbers; auto: as the file states",
        ("auto", "ltwh", "ltrb"),
        default="auto",
    )
    coco_json: str | None = option(
        "read only this JSON file, given by its path in the dataset",
        metavar="NAME",
    )


@dataclass(frozen=True, kw_only=True)
class VocOptions(ReadOptions):
    """Options of the Pascal VOC reader."""

    voc_boxes: str = option("unit of the boxes", ("auto", "pixels", "normalised"), default="auto")
    voc_origin: str = option("coordinate of the first pixel", ("auto", "0", "1"), default="auto")
    voc_angles: str = option(
        "unit of the angles of robndbox", ("auto", "radians", "degrees"), default="auto"
    )
    bbox_format: str = option(
        "order of the four numbers; auto: corners (ltrb)",
        ("auto", "ltwh", "ltrb"),
        default="auto",
    )


@dataclass(frozen=True, kw_only=True)
class YoloOptions(ReadOptions):
    """Options of the YOLO reader."""

    names: PurePath | None = option(
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
        "number of the first class in rows",
        ("auto", "0", "1"),
        default="auto",
    )


class ReadKeywords(TypedDict, total=False):
    """The options of the built-in readers, which `regionbatch.read` takes as keywords.

    Type checkers and editors use it. A reader that is passed as `format` has its own options.

    Example:
        >>> from typing import Unpack
        >>> def read_split(path: str, **options: Unpack[rb.ReadKeywords]) -> rb.Dataset:
        ...     return rb.read(path, **options)
        >>> len(read_split("fixtures/scene/coco", split="val"))
        4
    """

    split: str | None
    image_dir: str | PathLike[str] | Iterable[str | PathLike[str]] | None
    encoding: str | None
    coco_boxes: Literal["auto", "pixels", "normalised"]
    bbox_format: Literal["auto", "ltwh", "ltrb"]
    coco_json: str | None
    voc_boxes: Literal["auto", "pixels", "normalised"]
    voc_origin: Literal["auto", "0", "1", 0, 1]
    voc_angles: Literal["auto", "radians", "degrees"]
    names: str | PathLike[str] | None
    yolo_rows: Literal[
        "auto", "box", "confidence-first", "polygon", "xywhr-degrees", "xywhr-radians"
    ]
    yolo_first_class: Literal["auto", "0", "1", 0, 1]


class RowKeywords(TypedDict, total=False):
    """Options of `Dataset.from_arrow` and `Dataset.from_arrays`; see `regionbatch.read`."""

    image_dir: str | PathLike[str] | Iterable[str | PathLike[str]]
    """Folder of the image files, or several."""
    drop: str | Iterable[str]
    only: str | Iterable[str] | None
    max_clip: float | None
    strict: bool
    progress: Callable[[str, int, int], None] | None


BUILT_IN_OPTIONS: dict[str, type[ReadOptions]] = {
    "coco": CocoOptions,
    "voc": VocOptions,
    "yolo": YoloOptions,
}
"""Options of the built-in readers that have their own; the others take `ReadOptions`.

Each reader names the same class as its `options`, but importing a reader imports NumPy too."""


def own_options(options: type[ReadOptions]) -> list[Field[Any]]:
    """Return the options of a reader without those that every reader has."""
    common = {each.name for each in fields(ReadOptions)}
    return [each for each in fields(options) if each.name not in common]
