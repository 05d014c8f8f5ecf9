"""The way from a path to a data set: pick a reader, parse, measure pictures, judge the boxes, account."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import MISSING, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regionbatch import plugins
from regionbatch.clean import clean
from regionbatch.codes import CODES
from regionbatch.dataset import Dataset
from regionbatch.errors import DatasetNotFoundError, OptionError, StrictError
from regionbatch.findings import Report
from regionbatch.options import is_path
from regionbatch.pictures import measured, report_absent
from regionbatch.readers.files import one_listing

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from pycocotools.coco import COCO

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import Findings, Progress
    from regionbatch.plugins import Reader

MARKS = ("crowd", "difficult", "truncated", "occluded")
"""What `drop` can leave out."""


def read(
    source: str | PathLike[str] | COCO,
    *,
    format: str | Reader | None = None,  # noqa: A002 - the word that a caller looks for
    drop: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - checked against the reader's own dataclass
) -> Dataset:
    """Read a data set: COCO, Pascal VOC, YOLO, or what a plugin reads.

    Args:
        source: A folder, an annotation file, or a loaded `pycocotools.coco.COCO`.
        format: `coco`, `voc`, `yolo` or a plugin's name, or a reader; None: found out.
        drop: Marks to leave out: crowd, difficult, truncated, occluded.
        only: Classes to keep; None: all.
        strict: Raise if a box is dropped or adjusted, or a decision is doubtful.
        progress: Called with what is done, how much of it, and how much there is.
        **options: The reader's own: `split`, `image_dir`, `coco_boxes`, `voc_origin`, … (see `regionbatch.options`).

    Raises:
        DatasetError: It cannot be read as a whole; a single bad record is a finding instead.
        OptionError: An option is unknown or has a value that is not allowed.
        StrictError: See `strict`.
    """
    drop = [drop] if isinstance(drop, str) else list(drop)
    only = [only] if isinstance(only, str) else only if only is None else list(only)
    for mark in drop:
        if mark not in MARKS:
            raise OptionError(f"--drop: no such mark, got {mark}; known: {', '.join(MARKS)}")
    report = Report(progress)
    if isinstance(source, (str, Path)) or hasattr(source, "__fspath__"):
        looked = True
        with one_listing():
            name, raw = _read_path(source, format, options, report)
        root = path if (path := Path(source)).is_dir() else path.parent
    else:
        name, root, looked = "coco", Path(), bool(options.get("image_dir"))
        raw = _read_loaded(source, format, options, report)
    if raw.mode.absolute:
        raw = measured(raw, report)
    images, tags, regions, ledger = clean(raw, report, drop, only)
    if looked:
        report_absent(images, report)
    dataset = Dataset(name, root, images, tags, regions, report.findings(), ledger, report.decisions)
    if strict:
        refuse_doubt(dataset.findings, dataset.root)
    return dataset


def _read_path(
    given: str | PathLike[str], format_: str | Reader | None, options: dict[str, Any], report: Report
) -> tuple[str, RawAnnotations]:
    """The name of the format of a path, and what its reader returns."""
    if not os.fspath(given):
        raise OptionError("DATASET: an empty name; name a folder or a file, or . for this folder")
    path = Path(given)
    if not os.path.exists(path):  # noqa: PTH110 - pathlib's raises where a name is too long
        raise DatasetNotFoundError(f"{path}: there is no such file or folder; check the path")
    if format_ is None:
        name, reader, why = plugins.detect(path)
        report.decide("format", name, why)
    elif isinstance(format_, str):
        name, reader = format_, plugins.get(format_)
    else:
        name, reader = type(format_).__name__, format_
    declared = _options(reader, name, options)
    with nullcontext() if reader is format_ else plugins.named_if_broken(name):
        raw = reader.read(path, declared, report)
    asked = options.get("split")
    if asked and raw.images.splits and raw.images.splits != [asked]:
        report.decide("split", ", ".join(raw.images.splits), f"the nearest to {asked}")
    return name, raw


def _read_loaded(source: COCO, format_: str | Reader | None, options: dict[str, Any], report: Report) -> RawAnnotations:
    """What the COCO reader makes of a loaded COCO."""
    from regionbatch.readers.coco import CocoReader  # noqa: PLC0415 - NumPy and pycocotools, only where needed

    if not isinstance(getattr(source, "dataset", None), dict):
        raise OptionError(f"source: a path or a loaded COCO is needed, got {type(source).__name__}; give one of them")
    if not (format_ in (None, "coco") or isinstance(format_, CocoReader)):
        raise OptionError(f"format: a loaded COCO is read as coco, got {format_}; leave it out")
    coco = CocoReader()
    return coco.read_loaded(source.dataset, _options(coco, "coco", options), report)


def _options(reader: Reader, name: str, given: dict[str, Any]) -> Any:  # noqa: ANN401 - the reader's own dataclass
    known = {field.name: field for field in fields(reader.options)}
    for key, value in given.items():
        shown = f"--{key.replace('_', '-')}"
        if key not in known:
            raise OptionError(f"{shown}: the {name} reader has no such option; it has {', '.join(known)}")
        choices = known[key].metadata.get("choices")
        if choices and str(value) not in choices:
            raise OptionError(f"{shown}: no such choice, got {value}; known: {', '.join(choices)}")
    if (folder := given.get("image_dir")) and not os.path.isdir(folder):  # noqa: PTH112 - as above
        raise OptionError(f"--image-dir: there is no such folder, got {folder}; check the path")
    return reader.options(**{key: _as_declared(known[key], value) for key, value in given.items()})


def _as_declared(field: Any, value: Any) -> Any:  # noqa: ANN401 - the value of any option
    if value is None:
        return None if field.default is MISSING else field.default
    return Path(value) if is_path(field) else str(value)


def refuse_doubt(findings: Findings, place: str | PathLike[str]) -> None:
    """Raise if a box was dropped or adjusted without being asked for, or a decision is doubtful.

    Raises:
        StrictError: It names the codes, with the first place of each.
    """
    counts = {code: count for code, count in findings.counts().items() if _doubtful(code)}
    if counts:
        firsts = "\n".join(f"  {findings.first(code, 1)[0].message}" for code in counts)
        told = ", ".join(f"{count} {code}" for code, count in counts.items())
        raise StrictError(f"{place}: strict reading found {told}; correct the files, or do without --strict\n{firsts}")


def _doubtful(code: str) -> bool:
    rule = CODES[code]
    return rule.doubtful or (rule.effect != "noted" and not rule.asked)
