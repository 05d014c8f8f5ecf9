"""Read a dataset: choose a reader, parse, find the images, and apply the rules to the boxes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from regionbatch import plugins
from regionbatch.argument_checks import check_path
from regionbatch.dataset import Dataset, PlacedAnnotations, References
from regionbatch.dataset.columns import computed, kept_rows, renumbered
from regionbatch.detection import detect
from regionbatch.errors import DatasetError, DatasetNotFoundError, OptionError, PluginError
from regionbatch.files.cloud_paths import UnusableUrlError, as_path, is_cloud, path_from
from regionbatch.files.folders import closed_folder
from regionbatch.files.paths import scheme_of
from regionbatch.files.storage import container_problem, kind_of, reopened_clouds
from regionbatch.files.tree import Tree
from regionbatch.findings.text import as_text, quoted
from regionbatch.image_table import ImageTable
from regionbatch.judging import Filters, judge, new_log
from regionbatch.option_values import check_keywords, checked_storage_options, make_options
from regionbatch.options import GivenAs
from regionbatch.part_reading import check_executor, part_executor, read_files
from regionbatch.unread_labels import count_rejected, count_superseded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from concurrent.futures import Executor
    from os import PathLike
    from typing import Unpack

    from numpy.typing import NDArray
    from pycocotools.coco import COCO

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import FindingLog, Progress
    from regionbatch.options import ReadKeywords
    from regionbatch.plugins import Reader


def read(  # long because its docstring is the reference for all arguments
    source: str | PathLike[str] | COCO | Mapping[str, Any],
    *,
    format: str | Reader | None = None,  # noqa: A002 - the word that a caller looks for
    drop: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    max_clip: float | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ReadKeywords],
) -> Dataset:
    """Read a COCO, Pascal VOC, YOLO, CVAT or VoTT dataset, or one in the format of a plugin.

    Args:
        source: A folder, an annotation file, the content of a COCO file as a dict, or a loaded
            `pycocotools.coco.COCO`. A URL such as `az://container/folder` is read from that cloud,
            which needs the extra `cloud`.
        format: Name of the format (`coco`, `voc`, `yolo`, `cvat`, `vott` or a plugin's), or a
            reader. [default: detected]
        drop: Leave out boxes with any of these marks: `crowd`, `difficult`, `truncated`,
            `occluded`.
        only: Classes to keep. [default: all]
        max_clip: Leave out boxes if more than this fraction of their area (0 to 1) is outside the
            image. [default: clip all boxes]
        strict: Raise an error if a box is dropped or adjusted, or a decision is uncertain.
        progress: Called with the current step, how many items are done, and how many there are.
            An exception that it raises cancels the run.
        executor: Reads parts of a dataset in other processes: any `concurrent.futures.Executor`,
            such as `client.get_executor()` of a Dask cluster. The result is always the same.
            [default: processes of this machine for large datasets, none for others]
        storage_options: Arguments of the file system of fsspec that opens URLs, such as
            credentials. [default: what fsspec finds in the environment]
        **options: Options of the reader, such as `split`, `image_dir` (a folder or several),
            `encoding`, `coco_boxes` or `voc_origin`; see `regionbatch.options`.

    Returns:
        The dataset with its boxes in normalised coordinates, its findings and its ledger.

    Raises:
        DatasetError: The dataset as a whole cannot be read. A bad record is a finding instead.
        OptionError: An option is unknown or has a value that is not allowed.
        PluginError: The reader of a plugin fails.
        StrictError: See `strict`.

    Example:
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> print(dataset.ledger)
        12 read = 12 kept + 0 adjusted + 0 dropped
        >>> next(iter(dataset))
        Region(image='images/market.jpg', tag='person', left=0.0, top=0.0, width=0.1875,
               height=0.625)
    """
    filters = Filters.checked(drop, only, max_clip, strict=strict)
    check_executor(executor)
    log = new_log(progress)
    given = cast("dict[str, Any]", options)  # checked against the reader's own dataclass
    urls = paths_in(source, *given.values())
    with reopened_clouds(urls, checked_storage_options(storage_options)):
        name, root, placed, has_image_folder = read_placed(source, format, given, log, executor)
        return judge(name, root, placed, log, filters, has_image_folder=has_image_folder)


class ReadAnnotations(NamedTuple):
    """What was read, before the rules are applied."""

    format: str
    """Name of the reader."""
    root: PurePath
    """The folder of the dataset."""
    placed: PlacedAnnotations
    has_image_folder: bool
    """Whether images that are not on disk are reported."""


def read_placed(
    source: str | PathLike[str] | COCO | Mapping[str, Any],
    format_: str | Reader | None,
    options: dict[str, Any],
    log: FindingLog,
    executor: Executor | None,
) -> ReadAnnotations:
    """Read annotations and find their images; the arguments are those of `read`."""
    if isinstance(source, (str, Path)) or hasattr(source, "__fspath__"):
        with _place_of_errors(source):
            return ReadAnnotations(*_read_path(source, format_, options, log, executor), True)
    placed = _read_loaded(source, format_, options, log)
    return ReadAnnotations("coco", Path(), placed, bool(options.get("image_dir")))


@contextmanager
def _place_of_errors(source: str | PathLike[str]) -> Iterator[None]:
    """Give errors about the dataset as a whole the path of the dataset as their place."""
    try:
        yield
    except DatasetError as error:
        if not error.place and not str(error).startswith(f"{error.option}: "):
            error.place = str(as_path(source))
        raise


def paths_in(*values: object) -> Iterator[str]:
    """Yield the URLs among the values of arguments."""
    waiting = [*values]
    while waiting:
        value = waiting.pop()
        if isinstance(value, GivenAs):
            waiting.append(value.value)
        elif isinstance(value, (list, tuple)):
            waiting += value
        elif isinstance(value, (str, PurePath)) and scheme_of(value):
            yield str(value)


class _ObservedTree(Tree):
    """A tree that remembers which file was opened last, to name it if a plugin fails."""

    last_opened = ""

    def on_disk(self, path: str) -> str:
        self.last_opened = path
        return super().on_disk(path)

    def file_being_read(self) -> str:
        """Return the file that was opened last, or the dataset if there is none."""
        return self.last_opened or self.source


def _read_path(
    source: str | PathLike[str],
    format_: str | Reader | None,
    options: dict[str, Any],
    log: FindingLog,
    executor: Executor | None,
) -> tuple[str, PurePath, PlacedAnnotations]:
    """Read a path, and return the name of its format, its folder and its annotations."""
    if format_ is None:
        check_keywords(options)  # before any request to a cloud
    tree = _tree_at(source)
    name, reader = _chosen_reader(tree, format_, log)
    declared = make_options(reader, name, options, tree.root)
    _report_image_folders(tree, declared.image_dir, log)
    guard: AbstractContextManager[None] = nullcontext()
    if reader is not format_:
        guard = plugins.named_if_broken(name, tree.file_being_read)
    with guard:
        placed = _read_tree(tree, name, reader, declared, log, executor)
    wanted = options.get("split")
    if wanted and placed.images.splits and placed.images.splits != [wanted]:
        log.decide("split", ", ".join(placed.images.splits), f"the nearest to {wanted}")
    path = as_path(source)
    return name, path.parent if tree.named else path, placed


def _tree_at(source: str | PathLike[str]) -> _ObservedTree:
    """Return the files of a dataset by its path."""
    if not os.fspath(source):
        raise OptionError(
            "source: empty path. Pass a folder or a file, or '.' for the current folder.",
            option="source",
            value=source,
        )
    check_path("source", source)
    shown = ""
    try:
        path = as_path(source)
        shown = os.fspath(source)
        kind = kind_of(path)
    except UnusableUrlError as error:
        shown = shown or error.place
        raise DatasetNotFoundError(
            f"{shown}: {error.problem}", place=shown, value=shown
        ) from error.__cause__
    if not kind:
        if folder := closed_folder(path):
            raise DatasetError(
                f"{path}: no permission to open the folder '{folder}'. Check its permissions.",
                place=str(path),
                value=str(source),
            )
        problem = container_problem(path) or "no such file or folder. Check the path."
        raise DatasetNotFoundError(
            f"{source if scheme_of(source) else path}: {problem}",
            place=str(source),
            value=str(source),
        )
    return cast("_ObservedTree", _ObservedTree.at(path))


def _chosen_reader(tree: Tree, format_: str | Reader | None, log: FindingLog) -> tuple[str, Reader]:
    """Return the given or detected format, by its name, and its reader."""
    if format_ is None:
        name, reader, reason = detect(tree)
        log.decide("format", name, reason)
        return name, reader
    if isinstance(format_, str):
        return format_, plugins.get(format_)
    if isinstance(format_, type) or plugins.missing_parts(format_):
        raise OptionError(
            f"format: neither a format name nor a reader: {quoted(as_text(format_))}. "
            f"Choose one of: {', '.join(plugins.format_names())}.",
            option="format",
            value=as_text(format_),
            choices=plugins.format_names(),
        )
    return type(format_).__name__, format_


def _report_image_folders(tree: Tree, folders: Iterable[PurePath], log: FindingLog) -> None:
    """Report image folders that exist both in the current folder and in the dataset."""
    for folder in folders:
        inside = path_from(tree.root, folder)
        if inside == folder or kind_of(inside) != "folder":
            continue
        if is_cloud(inside) or not os.path.samefile(folder, inside):  # noqa: PTH121 - as above
            log.decide("image_dir", str(folder), f"the one in the current folder, not {inside}")


def _read_tree(
    tree: Tree,
    name: str,
    reader: Reader,
    options: Any,  # noqa: ANN401 - the reader's own dataclass
    log: FindingLog,
    executor: Executor | None,
) -> PlacedAnnotations:
    """Read the annotations of a tree and find their images."""
    tree.encoding = options.encoding
    if options.encoding is not None:
        log.decide("encoding", options.encoding, "as requested")
    references = reader.references(tree, options, log)
    files = (*references.files, *references.others, *references.superseded)
    outside = None if plugins.is_built_in(reader) else tree.first_missing(files)
    if outside is not None:
        raise PluginError(
            f"{outside}: the reader '{name}' refers to a file that is not in the dataset. "
            "Update its package.",
            place=outside,
            value=outside,
        )
    with part_executor(reader, tree, references, options, executor) as chosen:
        table = ImageTable(tree, options.image_dir, references, log)
        count_rejected(tree, reader, table.rejected, options, log)
        raw = read_files(reader, tree, table.accepted, options, log, chosen)
    if references.superseded:
        count_superseded(tree, reader, references.superseded, raw, options, log)
    placed = assign_images(raw, table, log)
    if not tree.named:
        tree.report_blocked(log, *references.extensions, reported=table.blocked)
    return placed


def assign_images(raw: RawAnnotations, table: ImageTable, log: FindingLog) -> PlacedAnnotations:
    """Return annotations with the image of each box in place of its reference.

    Boxes of label files that turned out not to be part of the dataset are dropped.
    """
    images, rows = table.finish(raw.images)
    for reference, lost in table.lost.items():
        boxes = np.flatnonzero(raw.image == reference)
        values = [lost.reason] * len(boxes) if lost.reason else None
        log.add(lost.code, raw.file[boxes], raw.where[boxes], values, place=raw.place)
    if table.lost:
        is_lost = np.zeros(len(rows), np.bool_)
        is_lost[[*table.lost]] = True
        raw = _without(raw, is_lost[raw.image])
    return PlacedAnnotations(
        raw.mode,
        raw.box,
        computed(len(raw), lambda block: rows[raw.image[block]], np.int32),
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
    marks = {mark: renumbered(found[kept[found]], kept) for mark, found in raw.marks.items()}
    return replace(
        raw,
        box=kept_rows(raw.box, kept),
        image=kept_rows(raw.image, kept),
        tag=kept_rows(raw.tag, kept),
        file=kept_rows(raw.file, kept),
        where=kept_rows(raw.where, kept),
        marks=marks,
        angle=None if raw.angle is None else kept_rows(raw.angle, kept),
    )


def _read_loaded(
    source: COCO | Mapping[str, Any],
    format_: str | Reader | None,
    options: dict[str, Any],
    log: FindingLog,
) -> PlacedAnnotations:
    """Return the annotations of a loaded COCO."""
    from regionbatch.readers.coco.reader import CocoReader  # noqa: PLC0415 - NumPy and pycocotools, only where needed

    content = source if isinstance(source, Mapping) else getattr(source, "dataset", None)
    if not isinstance(content, Mapping):
        raise OptionError(
            f"source: neither a path nor a loaded COCO: '{type(source).__name__}'. "
            "Pass a path, or make a dataset from a table with `Dataset.from_arrow`.",
            option="source",
            value=type(source).__name__,
        )
    if not (format_ in (None, "coco") or isinstance(format_, CocoReader)):
        raise OptionError(
            f"format: a loaded COCO has the format coco: {quoted(as_text(format_))}. "
            "Leave out `format`.",
            option="format",
            value=as_text(format_),
            choices=["coco"],
        )
    reader = CocoReader()
    declared = make_options(reader, "coco", options)
    return place_loaded(reader.read_loaded(content, declared, log), declared.image_dir, log)


def place_loaded(
    raw: RawAnnotations, image_dirs: Sequence[PurePath], log: FindingLog
) -> PlacedAnnotations:
    """Return annotations that a program has in memory, with their images.

    Args:
        raw: The annotations, which all belong to the first file of the log.
        image_dirs: Folders of image files.
        log: Where findings are reported.
    """
    source = log.files[0]
    table = ImageTable(Tree.empty(source), image_dirs, References({source: ""}), log)
    return assign_images(raw, table, log)
