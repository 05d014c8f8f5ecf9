"""Convert a dataset to payloads in one call, as the command does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from regionbatch.argument_checks import check_flags, check_path
from regionbatch.batching import batches
from regionbatch.files.storage import reopened_clouds
from regionbatch.judging import Filters, new_log, raise_if_strict
from regionbatch.names.tables import early_ids
from regionbatch.option_values import checked_storage_options
from regionbatch.output import check_payload, write
from regionbatch.output_target import check_target, folder_of_output, is_for_parts
from regionbatch.part_reading import check_executor, meanwhile
from regionbatch.reading import paths_in, read, read_placed
from regionbatch.resolved_ids import IdOptions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from concurrent.futures import Executor
    from os import PathLike
    from typing import Unpack

    from pycocotools.coco import COCO

    from regionbatch.batching import Batches
    from regionbatch.findings import Progress
    from regionbatch.in_parts.batch_files import BatchFiles
    from regionbatch.names.tables import Ids
    from regionbatch.options import ReadKeywords
    from regionbatch.output import BinaryFile, Payload
    from regionbatch.plugins import Reader


def convert(  # longer than 40 lines because of its arguments
    source: str | PathLike[str] | COCO | Mapping[str, Any],
    out: str | PathLike[str] | BinaryFile,
    *,
    tag_ids: Ids,
    image_ids: Ids,
    rename: Mapping[str, str] | None = None,
    skip_unresolved: bool = False,
    payload: Payload = "json",
    overwrite: bool = False,
    format: str | Reader | None = None,  # noqa: A002 - as in `read`
    drop: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    max_clip: float | None = None,
    strict: bool = False,
    progress: Progress | None = None,
    executor: Executor | None = None,
    storage_options: Mapping[str, Any] | None = None,
    **options: Unpack[ReadKeywords],
) -> Batches | BatchFiles:
    """Write a dataset as payloads: `read`, `batches` and `write` in one call.

    The command `regionbatch convert` calls this function.

    Args:
        source: A dataset, as `regionbatch.read` takes it.
        out: A folder, a `.jsonl` file or a binary file object, as `regionbatch.write` takes it.
        tag_ids: Tag IDs by class name, or a file of them.
        image_ids: Image IDs by image name, or a file of them.
        rename: Names to look up in `tag_ids`, by class name.
        skip_unresolved: Drop regions without an ID instead of raising an error.
        payload: `json` or `xml`.
        overwrite: Replace the output of an earlier run.
        format: Name of the format, or a reader. [default: detected]
        drop: Leave out boxes with any of these marks.
        only: Classes to keep. [default: all]
        max_clip: Leave out boxes if more than this fraction of their area is outside the image.
        strict: Raise an error, and write nothing, if a box is dropped or adjusted, or a decision is
            uncertain.
        progress: Called with the current step, how many items are done, and how many there are. An
            exception that it raises cancels the run, and nothing is written.
        executor: Reads parts of the dataset in other processes, as `regionbatch.read` takes it. If
            `out` is a folder and the payloads are JSON, these processes also write the payloads.
            Each part then has its own files `part-00001.jsonl` (one payload per line) and
            `findings-00001.ndjson`, and `summary.json` covers all parts. In a cloud, the summary is
            written last: a folder without it is incomplete. [default: processes of this machine for
            large datasets, none for others]
        storage_options: Arguments of the file system of fsspec for URLs in `source`, `out`,
            `tag_ids`, `image_ids` and `image_dir`, as `regionbatch.read` takes them.
        **options: Options of the reader, as `regionbatch.read` takes them.

    Returns:
        The payloads that were written, with the ledger and all findings; `BatchFiles` if other
        processes wrote them.

    Raises:
        DatasetError: The dataset cannot be read.
        ResolveError: A name has several IDs or, unless `skip_unresolved`, none.
        OutputError: The output exists, or cannot be written.
        OptionError: An option cannot be used.
        StrictError: See `strict`.

    Example:
        >>> batches = rb.convert(
        ...     "fixtures/scene/voc",
        ...     "converted.jsonl",
        ...     tag_ids="fixtures/scene/tags.json",
        ...     image_ids="fixtures/scene/images.json",
        ... )
        >>> len(batches), batches.ledger.kept
        (1, 12)
    """
    check_flags(strict=strict, overwrite=overwrite)
    check_payload(payload)
    paths = [out] if isinstance(out, (str, os.PathLike)) else []
    for path in paths:
        check_path("target", path)
    if executor is not None and is_for_parts(out, payload):
        return convert_in_parts(
            source,
            out,
            IdOptions(tag_ids, image_ids, rename, skip_unresolved),
            executor,
            format=format,
            drop=drop,
            only=only,
            max_clip=max_clip,
            strict=strict,
            overwrite=overwrite,
            progress=progress,
            storage_options=storage_options,
            **options,
        )
    opened = [*paths, *paths_in(tag_ids, image_ids)]
    with reopened_clouds(opened, checked_storage_options(storage_options)):
        for path in paths:
            check_target(path, overwrite=overwrite, payload=payload)  # before the work starts
        tags, images = early_ids(tag_ids, image_ids)
        with meanwhile(images.read):
            dataset = read(
                source,
                format=format,
                drop=drop,
                only=only,
                max_clip=max_clip,
                progress=progress,
                executor=executor,
                storage_options=storage_options,
                **options,
            )
        converted = batches(
            dataset,
            tag_ids=tags,
            image_ids=images,
            rename=rename,
            skip_unresolved=skip_unresolved,
        )
        if strict:
            raise_if_strict(converted.findings, dataset.root)
        write(converted, out, payload=payload, overwrite=overwrite, progress=progress)
        return converted


def convert_in_parts(
    source: str | PathLike[str] | COCO | Mapping[str, Any],
    out: str | PathLike[str],
    ids: IdOptions,
    executor: Executor,
    *,
    format: str | Reader | None = None,  # noqa: A002 - as in `read`
    drop: str | Iterable[str] = (),
    only: str | Iterable[str] | None = None,
    max_clip: float | None = None,
    strict: bool = False,
    overwrite: bool = False,
    progress: Progress | None = None,
    storage_options: Mapping[str, Any] | None = None,
    if_strict_fails: Callable[[BatchFiles], object] = lambda _: None,
    **options: Any,  # noqa: ANN401 - those of the reader
) -> BatchFiles:
    """Write a dataset to a folder; other processes each write a part of it.

    Args:
        source: See `convert`.
        out: A folder.
        ids: How names are resolved.
        executor: See `convert`.
        format: See `convert`.
        drop: See `convert`.
        only: See `convert`.
        max_clip: See `convert`.
        strict: See `convert`.
        overwrite: See `convert`.
        progress: See `convert`.
        storage_options: See `convert`.
        if_strict_fails: Called with the result before strict mode raises an error and deletes it.
        **options: Options of the reader.
    """
    from regionbatch.in_parts.convert import write_in_parts  # noqa: PLC0415 - slow to load

    check_flags(skip_unresolved=ids.skip_unresolved)
    check_executor(executor)
    storage = checked_storage_options(storage_options)
    with reopened_clouds([out, *paths_in(ids.tag_ids, ids.image_ids)], storage):
        target = folder_of_output(out, overwrite=overwrite)
        tags, images = early_ids(ids.tag_ids, ids.image_ids)
        filters = Filters.checked(drop, only, max_clip, strict=strict)
        log = new_log(progress)
        with reopened_clouds(paths_in(source, *options.values()), storage):
            return write_in_parts(
                lambda: read_placed(source, format, options, log, executor),
                target,
                ids._replace(tag_ids=tags, image_ids=images),
                filters,
                log,
                executor,
                overwrite=overwrite,
                if_strict_fails=if_strict_fails,
            )
