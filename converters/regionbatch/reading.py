"""The way from a path to a dataset: pick a reader, parse, measure pictures, judge the boxes, account."""

from __future__ import annotations

import os
from contextlib import nullcontext
from dataclasses import MISSING, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch import plugins
from regionbatch.clean import clean
from regionbatch.codes import CODES
from regionbatch.dataset import MARKS, Dataset, PlacedAnnotations, References
from regionbatch.errors import DatasetError, DatasetNotFoundError, OptionError, PluginError, StrictError
from regionbatch.files.paths import scheme_of
from regionbatch.files.text import checked_encoding
from regionbatch.files.tree import Tree
from regionbatch.findings import FindingLog
from regionbatch.image_sizes import measured, report_absent
from regionbatch.image_table import ImageTable
from regionbatch.options import GivenAs, choices_of, is_path, is_repeatable, means_the_same
from regionbatch.swapped_axes import report_swapped_axes

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from dataclasses import Field
    from os import PathLike

    from numpy.typing import NDArray
    from pycocotools.coco import COCO

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import Findings, Progress
    from regionbatch.image_table import Rejected
    from regionbatch.options import ReadOptions
    from regionbatch.plugins import Reader


def read(
    source: str | PathLike[str] | COCO,
    *,
    format: str | Reader | None = None,  # noqa: A002 - the word that a caller looks for
    drop: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    max_clip: float | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    **options: Any,  # noqa: ANN401 - checked against the reader's own dataclass
) -> Dataset:
    """Read a dataset: COCO, Pascal VOC, YOLO, or what a plugin reads.

    Args:
        source: A folder, an annotation file, or a loaded `pycocotools.coco.COCO`.
        format: `coco`, `voc`, `yolo` or a plugin's name, or a reader; None: found out.
        drop: Marks to leave out: crowd, difficult, truncated, occluded.
        only: Classes to keep; None: all.
        max_clip: Leave out boxes of which a larger share than this, 0 to 1, is outside the image; None: none.
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
    max_clip = _checked_share("max_clip", max_clip)
    log = FindingLog(progress)
    if isinstance(source, (str, Path)) or hasattr(source, "__fspath__"):
        name, placed = _read_path(source, format, options, log)
        root = path if (path := Path(source)).is_dir() else path.parent
        images_sought = True
    else:
        name, root = "coco", Path()
        placed = _read_loaded(source, format, options, log)
        images_sought = bool(options.get("image_dir"))
    if placed.mode.absolute or placed.angle is not None:
        placed = measured(placed, log)
    if placed.mode.absolute:
        report_swapped_axes(placed, log)
    images, tags, regions, ledger = clean(placed, log, drop, only, max_clip)
    if images_sought:
        report_absent(images, log)
    dataset = Dataset(name, root, images, tags, regions, log.findings(), ledger, log.decisions)
    if strict:
        refuse_doubt(dataset.findings, dataset.root)
    return dataset


def _checked_share(option: str, value: float | str | None) -> float | None:
    """Return the value of an option that is a share, 0 to 1; the command gives it as text."""
    if value is None:
        return None
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not 0 <= number <= 1:
        flag = f"--{option.replace('_', '-')}"
        raise OptionError(f"{flag}: not a number from 0 to 1: {value!r:.60}. Give 0.5, for example.", option=option)
    return number


def _read_path(
    given: str | PathLike[str], format_: str | Reader | None, options: dict[str, Any], log: FindingLog
) -> tuple[str, PlacedAnnotations]:
    """Return the name of the format of a path, and its annotations."""
    if not os.fspath(given):
        raise OptionError("DATASET: an empty name; name a folder or a file, or . for this folder")
    if scheme := scheme_of(given):
        raise DatasetNotFoundError(f"{given}: only local datasets can be read: '{scheme}'. Download it first.")
    path = Path(given)
    if not os.path.exists(path):  # noqa: PTH110 - pathlib's raises where a name is too long
        raise DatasetNotFoundError(f"{path}: there is no such file or folder; check the path")
    tree = Tree.at(path)
    if format_ is None:
        name, reader, why = plugins.detect(tree)
        log.decide("format", name, why)
    elif isinstance(format_, str):
        name, reader = format_, plugins.get(format_)
    else:
        name, reader = type(format_).__name__, format_
    declared = make_options(reader, name, options, tree.root)
    for folder in declared.image_dir:
        if os.path.isdir(inside := tree.root / folder) and not os.path.samefile(folder, inside):  # noqa: PTH112, PTH121
            log.decide("image_dir", str(folder), f"the one in the current folder, not {inside}")
    with nullcontext() if reader is format_ else plugins.named_if_broken(name):
        placed = _read_tree(tree, reader, declared, log)
    asked = options.get("split")
    if asked and placed.images.splits and placed.images.splits != [asked]:
        log.decide("split", ", ".join(placed.images.splits), f"the nearest to {asked}")
    return name, placed


def _read_tree(tree: Tree, reader: Reader, options: Any, log: FindingLog) -> PlacedAnnotations:  # noqa: ANN401 - its own
    """Read the annotations of a tree and find their images."""
    tree.encoding = options.encoding
    if options.encoding is not None:
        log.decide("encoding", options.encoding, "as asked")
    references = reader.references(tree, options, log)
    outside = tree.missing((*references.files, *references.others, *references.superseded))
    if outside is not None:
        raise PluginError(f"{outside}: the reader refers to a file that is not in the dataset. Update its package.")
    table = ImageTable(tree, options.image_dir, references, log)
    _count_rejected(tree, reader, table.rejected, options, log)
    raw = reader.read(tree, table.accepted, options, log)
    if references.superseded:
        _count_superseded(tree, reader, references.superseded, raw, options, log)
    placed = _placed(raw, table, log)
    if not tree.named:
        tree.report_strays(log, *references.extensions, reported=table.blocked)
    return placed


def _placed(raw: RawAnnotations, table: ImageTable, log: FindingLog) -> PlacedAnnotations:
    """Return annotations with the images that their references are about.

    Boxes of label files that turned out not to be part of the dataset are dropped.
    """
    images, rows = table.finish(raw.images)
    for reference, lost in table.lost.items():
        boxes = np.flatnonzero(raw.image == reference)
        values = [lost.reason] * len(boxes) if lost.reason else None
        log.add(lost.code, raw.file[boxes], raw.where[boxes], values, place=raw.place)
    if table.lost:
        raw = _without(raw, np.isin(raw.image, [*table.lost]))
    return PlacedAnnotations(
        raw.mode,
        raw.box,
        rows[raw.image],
        raw.tag,
        images,
        raw.tags,
        raw.file,
        raw.where,
        raw.place,
        raw.marks,
        raw.angle,
    )


def _without(raw: RawAnnotations, lost: NDArray[np.bool_]) -> RawAnnotations:
    """Return annotations without some of their boxes."""
    kept = ~lost
    now = np.cumsum(kept) - 1
    return replace(
        raw,
        box=raw.box[kept],
        image=raw.image[kept],
        tag=raw.tag[kept],
        file=raw.file[kept],
        where=raw.where[kept],
        marks={mark: now[found[kept[found]]] for mark, found in raw.marks.items()},
        angle=None if raw.angle is None else raw.angle[kept],
    )


def _count_rejected(
    tree: Tree,
    reader: Reader,
    rejected: Sequence[Rejected],
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
) -> None:
    """Count the boxes of label files that are not part of the dataset as dropped, each with its place."""
    boxes = _boxes_in(tree, reader, [each.file for each in rejected], options) if rejected else {}
    for each in rejected:
        where = boxes.get(each.file)
        if where is None:
            _drop_unknown(each.file, "not a part of the dataset, and nobody knows what is in it", log)
            continue
        if not where:
            log.add("ignored_file", log.file(each.file), value=[each.reason])
            continue
        log.read(boxes=len(where))
        values = [each.reason] * len(where) if each.reason else None
        log.add(each.code, log.file(each.file), where, values)


def _drop_unknown(file: str, why: str, log: FindingLog) -> None:
    """Report a file whose boxes cannot be counted, as an image that is lost."""
    log.read(images=1)
    log.add("unreadable_file", log.file(file), value=[why])


def _count_superseded(
    tree: Tree,
    reader: Reader,
    files: Iterable[str],
    read: RawAnnotations,
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
) -> None:
    """Count the boxes of files that others are read in place of, as far as the others do not have them."""
    images, boxes = {*read.images.names}, {*_boxes_by_name(read)}
    for file in files:
        try:
            other = reader.read(tree, [file], options, FindingLog())
        except DatasetError as error:
            _drop_unknown(file, str(error), log)
            continue
        elsewhere = np.fromiter((name not in images for name in other.images.names), np.bool_, len(other.images))
        lost = elsewhere[other.image]
        if other.mode is read.mode:
            lost |= np.fromiter((box not in boxes for box in _boxes_by_name(other)), np.bool_, len(other))
        where = other.where[lost]
        log.read(boxes=len(where))
        values = ["the files that are read do not have it"] * len(where)
        log.add("unlisted_label", log.file(file), where, values, place=other.place)


def _boxes_by_name(raw: RawAnnotations) -> Iterator[tuple[str, ...]]:
    """Yield the image and the numbers of each box, as text, so that rounding makes no difference."""
    for image, box in zip(raw.image.tolist(), raw.box.tolist(), strict=True):
        yield (raw.images.names[image], *(f"{number:.5g}" for number in box))


def _boxes_in(tree: Tree, reader: Reader, files: list[str], options: Any) -> dict[str, list[int]]:  # noqa: ANN401
    """Return where the boxes of some files are, by file; 0 where only their number is known.

    Files that cannot be read are missing.

    They are read together. If that ends in an error about them as a whole, halves of them are.
    """
    aside = FindingLog()
    found: dict[str, list[int]] = {}
    try:
        raw = reader.read(tree, files, options, aside)
    except DatasetError:
        if len(files) > 1:
            half = len(files) // 2
            parts = (_boxes_in(tree, reader, part, options) for part in (files[:half], files[half:]))
            return {file: where for part in parts for file, where in part.items()}
        return {files[0]: [0] * aside.boxes_read} if aside.boxes_read else {}
    found.update((aside.files[code], []) for code in raw.images.file.tolist())
    for file, where in zip(raw.file.tolist(), raw.where.tolist(), strict=True):
        found.setdefault(aside.files[file], []).append(where)
    for finding in aside.findings():
        if (CODES[finding.code].effect, CODES[finding.code].unit) == ("dropped", "box"):
            found.setdefault(finding.file, []).append(finding.where)
    return {file: sorted(where) for file, where in found.items()}


def _read_loaded(
    source: COCO, format_: str | Reader | None, options: dict[str, Any], log: FindingLog
) -> PlacedAnnotations:
    """Return the annotations of a loaded COCO."""
    from regionbatch.readers.coco.reader import CocoReader  # noqa: PLC0415 - NumPy and pycocotools, only where needed

    if not isinstance(getattr(source, "dataset", None), dict):
        raise OptionError(f"source: a path or a loaded COCO is needed, got {type(source).__name__}; give one of them")
    if not (format_ in (None, "coco") or isinstance(format_, CocoReader)):
        raise OptionError(f"format: a loaded COCO is read as coco, got {format_}; leave it out", option="format")
    coco = CocoReader()
    declared = make_options(coco, "coco", options)
    raw = coco.read_loaded(source.dataset, declared, log)
    return _placed(raw, ImageTable(Tree.empty(), declared.image_dir, References({log.files[0]: ""}), log), log)


def make_options(reader: Reader, name: str, given: Mapping[str, Any], root: Path | None = None) -> Any:  # noqa: ANN401 - the reader's own dataclass
    """Return the options of a reader, made of keyword arguments.

    Args:
        reader: The reader.
        name: What it is called in messages.
        given: The keyword arguments.
        root: The folder of the dataset: a folder of images that is not in the current folder may be in it, because
            messages show paths of the dataset.

    Raises:
        OptionError: An option is unknown, or has a value that is not allowed.
    """
    known = {field.name: field for field in fields(reader.options)}
    plain: dict[str, Any] = {}
    for key, value in given.items():
        as_option, plain[key] = value if isinstance(value, GivenAs) else (known.get(key), value)
        if as_option is None or key not in known or not means_the_same(as_option, known[key]):
            raise _not_taken(name, key, known, as_option)
        _check_choices(key, plain[key], choices_of(known[key]))
    declared = reader.options(**{key: _as_declared(known[key], plain[key]) for key in plain})
    folders = tuple(_image_dir(folder, root) for folder in declared.image_dir)
    encoding = None if declared.encoding is None else checked_encoding(declared.encoding)
    return replace(declared, image_dir=folders, encoding=encoding) if folders or encoding else declared


def _image_dir(given: Path, root: Path | None) -> Path:
    for folder in (given, root / given) if root is not None else (given,):
        if os.path.isdir(folder):  # noqa: PTH112 - as above
            return folder
    raise OptionError(f"--image-dir: there is no such folder, got {given}; check the path", option="image_dir")


def _check_choices(
    key: str,
    value: Any,  # noqa: ANN401 - the value of any option
    choices: Sequence[str],
) -> None:
    values = value if isinstance(value, (tuple, list)) else [value]
    for one in values if choices else ():
        if str(one) not in choices:
            told = f"no such choice, got {one}; known: {', '.join(choices)}"
            raise OptionError(f"--{key.replace('_', '-')}: {told}", option=key)


def _not_taken(name: str, key: str, known: Iterable[str], as_option: Field[Any] | None) -> OptionError:
    """Return the error for an option that a reader does not take; it names the readers that do."""
    takers = [one.name for one in plugins.option_classes() if _takes(one.options, key, as_option)]
    belongs = f"it is an option of {' and '.join(takers)}; " if takers else ""
    told = f"the {name} reader has no such option; {belongs}{name} takes {', '.join(known)}"
    return OptionError(f"--{key.replace('_', '-')}: {told}", option=key)


def _takes(options: type[ReadOptions] | None, key: str, as_option: Field[Any] | None) -> bool:
    """Return whether options include one of a name that means what was asked for."""
    own = next((field for field in fields(options) if field.name == key), None) if options else None
    return own is not None and (as_option is None or means_the_same(own, as_option))


def _as_declared(field: Any, value: Any) -> Any:  # noqa: ANN401 - the value of any option
    if value is None:
        return None if field.default is MISSING else field.default
    convert = Path if is_path(field) else str
    if not is_repeatable(field):
        return convert(value)
    one = isinstance(value, (str, os.PathLike))
    return tuple(map(convert, [value] if one else value))


def refuse_doubt(findings: Findings, place: str | PathLike[str]) -> None:
    """Raise if a box was dropped or adjusted without being asked for, or a decision is doubtful.

    Raises:
        StrictError: It names the codes, with the first place of each.
    """
    doubtful = findings.doubtful()
    counts = {code: count for code, count in findings.counts().items() if code in doubtful or _is_loss(code)}
    if counts:
        firsts = "\n".join(f"  {findings.first(code, 1)[0].message}" for code in counts)
        told = ", ".join(f"{count} {code}" for code, count in counts.items())
        raise StrictError(f"{place}: strict reading found {told}; correct the files, or do without --strict\n{firsts}")


def _is_loss(code: str) -> bool:
    rule = CODES[code]
    return rule.effect != "noted" and not rule.asked
