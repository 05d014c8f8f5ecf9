"""Mistakes in calls, one for each error: wrong arguments, ID tables, outputs and plugins."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import regionbatch
from helpers import ROOT, batches_of, id_of
from messages.causes import dataset
from messages.cloud_mistakes import CLOUD_MISTAKES
from messages.odd_readers import Counting, Disordered, Foreign, Outside
from messages.table_mistakes import TABLE_MISTAKES
from regionbatch import plugins
from regionbatch.batching import Batch, Entry
from regionbatch.boxes import BoxMode
from regionbatch.cleaning import clean
from regionbatch.dataset import (
    Images,
    PlacedAnnotations,
)
from regionbatch.dataset.columns import columns_on_disk
from regionbatch.files import atomic_write, unfinished_output
from regionbatch.findings import FindingLog
from regionbatch.installed import EntryPoint
from regionbatch.limits import get_tier
from regionbatch.names.renames import normalise_renames, read_renames
from regionbatch.names.table_files import LARGEST_TABLE
from regionbatch.names.uuids import checked_project
from regionbatch.readers.coco.json_stream import ArrayStream
from regionbatch.readers.coco.json_text import document

if TYPE_CHECKING:
    from collections.abc import Callable


def two_labels(reader: Counting) -> Callable[[Path], object]:
    """Read a folder with two label files."""

    def run(folder: Path) -> object:
        for name in ("a.txt", "b.txt"):
            (folder / name).touch()
        return regionbatch.read(folder, format=reader)

    return run


def cleaned(*paths: str) -> Callable[[Path], object]:
    """Clean annotations of images called a.jpg that have these paths."""
    nothing, sizes = np.empty(0, np.int32), np.zeros(len(paths), np.int32)
    images = Images(["a.jpg"] * len(paths), sizes, sizes, paths, sizes - 1)
    placed = PlacedAnnotations(
        BoxMode.XYWH_REL,
        np.empty((0, 4)),
        nothing,
        nothing,
        images,
        [],
        nothing,
        np.empty(0, np.int64),
    )
    return lambda _: clean(placed, FindingLog())


class Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def without_temporary_folder(folder: Path) -> None:
    """Read columns into temporary files whose folder is gone."""
    with pytest.MonkeyPatch.context() as patch, columns_on_disk():
        patch.setattr(tempfile, "tempdir", str(folder / "gone"))
        regionbatch.read(ROOT / "fixtures" / "scene" / "yolo")


def pieces_of(text: str) -> Callable[[Path], object]:
    """Run only the splitter: a reader would have looked at the file before."""

    def run(folder: Path) -> None:
        (folder / "a.json").write_text(text, encoding="utf-8")
        with document(folder / "a.json") as opened:
            list(ArrayStream(opened, {}))

    return run


def huge_table(folder: Path) -> object:
    """Read an ID table that is larger than any project's; the file is sparse."""
    path = folder / "ids.json"
    path.touch()
    os.truncate(path, LARGEST_TABLE + 1)
    return regionbatch.read_ids(path)


def ids_from(text: str | bytes, name: str = "ids.json") -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return regionbatch.read_ids(folder / name)

    return run


def renames_from(text: str, name: str = "map.json") -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        (folder / name).write_bytes(text.encode())
        return read_renames((), folder / name)

    return run


def batched(
    images: Any, tags: dict[str, str], *names: str, **more: Any
) -> Callable[[Path], object]:
    return lambda folder: regionbatch.batches(
        dataset(folder, *names), tag_ids=tags, image_ids=images, **more
    )


def written(
    target: str, *, before: str = "", content: str = "", **more: Any
) -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        batches = batches_of(dataset(folder / "set"))
        if before:
            (folder / before).parent.mkdir(parents=True, exist_ok=True)
            (folder / before).write_text(content, encoding="utf-8")
        return regionbatch.write(
            batches, Path() if target == os.curdir else folder / target, **more
        )

    return run


def swapped(function: str, *, before: bool, appears: str) -> Callable[[Path], object]:
    """Write to `o` in a folder; once a function of `whole` has run, a file appears there."""

    def do(folder: Path) -> object:
        batches = [Batch(b"")]
        if before:
            regionbatch.write(batches, folder / "o")
        real = getattr(atomic_write, function)

        def and_then(*given: object) -> object:
            found = real(*given)
            (mine := next(folder.glob(appears), folder / "o") / "mine.txt").parent.mkdir(
                exist_ok=True
            )
            mine.touch()
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(atomic_write, function, and_then)
            return regionbatch.write(batches, folder / "o", overwrite=True)

    return do


def refused(owner: Any, function: str, do: Callable[[Path], object]) -> Callable[[Path], object]:
    """Do something while the operating system refuses one of its functions."""

    def run(folder: Path) -> object:
        real = getattr(owner, function)

        def refuse(path: Any, *more: Any, **options: Any) -> object:
            if str(folder) in str(path):
                raise PermissionError(13, "Permission denied")
            return real(path, *more, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(owner, function, refuse)
            return do(folder)

    return run


def plugged(format: str, *values: str, options: str = "") -> Callable[[Path], object]:  # noqa: A002 - as in `read`
    def run(folder: Path) -> object:
        points = [EntryPoint(plugins.GROUP, format, value, value) for value in values]
        declared = [
            EntryPoint(plugins.OPTIONS_GROUP, format, options, value) for value in values if options
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(
                plugins,
                "entry_points",
                lambda group: points if group == plugins.GROUP else declared,
            )
            return regionbatch.read(folder, format=format)

    return run


def loaded(content: dict[str, Any], **options: Any) -> Callable[[Path], object]:
    return lambda _: regionbatch.read(SimpleNamespace(dataset=content), **options)


def closed_file() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


def report_on(name: str) -> Callable[[Path], object]:
    """Write a report of a dataset to a path in its folder."""

    def do(folder: Path) -> None:
        read = dataset(folder)
        (folder / "mine.json").write_text('{"images": []}', encoding="utf-8")
        regionbatch.write_report(folder / name, read)

    return do


def page_on(name: str, result: Any = None, **options: Any) -> Callable[[Path], object]:
    """Write an HTML page of a dataset to a path in its folder."""

    def do(folder: Path) -> None:
        read = dataset(folder)
        (folder / "mine.html").write_text("<p>mine", encoding="utf-8")
        regionbatch.write_html(read, folder / name, result, **options)

    return do


CAT = {"cat": id_of("cat")}
CALL_MISTAKES: dict[str, Callable[[Path], object]] = {
    **CLOUD_MISTAKES,
    "an invalid project ID": lambda _: checked_project("1-2"),
    "a JSON that was deleted": lambda folder: document(folder / "a.json").__enter__(),
    "an empty JSON": pieces_of(""),
    "JSON without an object": pieces_of("\n []"),
    # Ids
    "a missing ID file": lambda folder: regionbatch.read_ids(folder / "x.json"),
    "IDs in another encoding": ids_from(b"\xff\xfe\xff"),
    "IDs that are not JSON": ids_from('{\n"a": }'),
    "IDs that are a number": ids_from("5"),
    "an ID without a name": ids_from('[{"id": "x"}]'),
    "a duplicate ID": ids_from(f'[{{"name": "cat", "id": "{id_of("a")}", "id": "{id_of("b")}"}}]'),
    "an ID that is not a UUID": ids_from("cat,7", "ids.csv"),
    "a name with two IDs": ids_from(
        f"cat,{id_of('a')}\ncat,{id_of('b')}".upper().replace("CAT", "cat"), "ids.csv"
    ),
    "IDs of a wrong type": batched([], CAT),
    # Renaming
    "a rename that is not a mapping": lambda _: normalise_renames("cat=feline"),  # type: ignore[arg-type] # the mistake
    "a rename without =": lambda _: read_renames(["cat"]),
    "a missing rename file": lambda folder: read_renames((), folder / "x.csv"),
    "a rename file that is not JSON": renames_from("{"),
    "a rename file with three columns": renames_from("a,b,c", "map.csv"),
    "a class with two new names": renames_from("a,b\na,c", "map.csv"),
    # Resolving
    "a rename of an unknown class": batched({"a": id_of("a")}, CAT, rename={"dog": "cat"}),
    "a class that is not in the ID table": batched({"a": id_of("a")}, {"dog": id_of("dog")}),
    "an image that is not in the ID table": batched({"b": id_of("b")}, CAT),
    "a class that could be two": batched({"a": id_of("a")}, {"Cat": id_of("1"), "CAT": id_of("2")}),
    "an image that could be two": batched({"x/a": id_of("1"), "y/a": id_of("2")}, CAT),
    "two images with one ID": batched({"a": id_of("a")}, CAT, "x/a", "y/a"),
    # Output
    "lines of XML": written("o.jsonl", payload="xml"),
    "a file in place of a folder": written("o", before="o"),
    "an output that exists": written("o.jsonl", before="o.jsonl"),
    "an output with other things": written("o", before="o/mine.txt", overwrite=True),
    "an output inside a file": written("f/o", before="f"),
    "a missing folder for temporary files": without_temporary_folder,
    "a full disk": lambda _: regionbatch.write([Batch(b"")], Full()),
    "an output of an impossible name": written("o" * 5000),
    "an output in the current folder": written(os.curdir),
    "an output that is something else": written(
        "o.jsonl", before="o.jsonl", content="{}", overwrite=True
    ),
    "an unknown payload format": written("o", payload="yaml"),
    "an output that is text": lambda folder: regionbatch.write(
        batches_of(dataset(folder)),
        io.StringIO(),  # type: ignore[arg-type]
    ),
    "an output that is closed": lambda _: regionbatch.write([], closed_file()),
    "an output with an empty name for a report": lambda folder: regionbatch.write_report(
        "", dataset(folder)
    ),
    "an unknown pricing tier": lambda _: get_tier("X"),
    "a format that is neither a name nor a reader": lambda folder: regionbatch.read(
        folder,
        format=5,  # type: ignore[arg-type]
    ),
    "a huge ID table": huge_table,
    "a CSV table with a huge cell": ids_from("a," + "b" * 200_000, "ids.csv"),
    "a missing ID": ids_from('{"cat": null}'),
    "an entry that is not valid": lambda _: Batch.of([Entry("a", "b", 0, 0, 1, 1)]),
    "a batch by hand that is too long": lambda _: Batch.of(
        [Entry(id_of("a"), id_of("b"), 0, 0, 1, 1)] * 65
    ),
    "an output in a cloud": lambda _: regionbatch.write([], "s3://bucket/o"),
    "a dataset in a cloud": lambda _: regionbatch.read("az://container/set"),
    "an output that is a device": lambda _: regionbatch.write([], os.devnull),
    "an output that appears": swapped("_sync_files", before=False, appears="o"),
    "an output that changes": swapped("_sync_files", before=True, appears="o"),
    "an output that appears in a swap": swapped("_checked_files", before=True, appears="nothing"),
    "an output that changes in a swap": swapped("_checked_files", before=True, appears=".o.*.old"),
    "an output that looks like a file": written("o.xml"),
    "an output without a name": lambda _: regionbatch.write([], ""),
    "an output that cannot be flushed": refused(
        atomic_write, "_sync_files", lambda folder: regionbatch.write([Batch(b"")], folder / "o")
    ),
    "a report on a folder": report_on("."),
    "a report on labels": report_on("mine.json"),
    "a report inside a file": report_on("mine.json/r"),
    "a report that cannot be opened": refused(unfinished_output, "hidden_name", report_on("r")),
    "a dataset in a closed folder": refused(
        os, "stat", lambda folder: regionbatch.read(folder / "set")
    ),
    "a page on a folder": page_on("."),
    "a page that cannot be opened": refused(unfinished_output, "hidden_name", page_on("r.html")),
    "a page on another page": page_on("mine.html"),
    "a page inside a file": page_on("mine.html/r"),
    "a page with a negative number of images": page_on("r.html", images=-1),
    "a page of another object": page_on("r.html", result="uploaded"),
    "an empty name": lambda _: regionbatch.read(""),
    "a split of a loaded COCO": loaded({"images": []}, split="val"),
    "a loaded COCO as another format": loaded({"images": []}, format="voc"),
    "a loaded COCO with a dict of annotations": loaded({"images": [], "annotations": {}}),
    "neither a path nor a loaded COCO": lambda _: regionbatch.read(None),  # type: ignore[arg-type]
    "a path that is a number": lambda _: regionbatch.read_ids(5),  # type: ignore[arg-type]
    "a dataset as payloads": lambda folder: regionbatch.write(
        dataset(folder),  # type: ignore[arg-type]
        folder / "out",
    ),
    # Filtering, renaming, joining, splitting
    "a mask of numbers": lambda folder: dataset(folder).where([0, 1]),  # type: ignore[list-item]
    "a short mask": lambda folder: dataset(folder).where([True] * 5),
    "a class without a new name": lambda folder: dataset(folder).rename({"cat": ""}),
    "no parts": lambda folder: dataset(folder).split_by(0),
    "a column that does not exist": lambda folder: dataset(folder).split_by("colour"),
    "no datasets": lambda _: regionbatch.concat([]),
    "paths of datasets": lambda _: regionbatch.concat(["a"]),  # type: ignore[list-item]
    # Plugins
    "two readers with one name": plugged("csv", "a:A", "b:B"),
    "a reader that cannot be loaded": plugged("csv", "no_such_module:Reader"),
    "a class that is not a reader": plugged("csv", "json:JSONDecoder"),
    "a reader that counts wrong": lambda folder: regionbatch.read(folder, format=Counting()),
    "a reader with an option that lacks a default": plugged(
        "odd", "messages.odd_readers:WithOddOptions"
    ),
    "a reader with other options than declared": plugged(
        "raising", "messages.odd_readers:Raising", options="regionbatch.options:CocoOptions"
    ),
    "a reader that raises": plugged("raising", "messages.odd_readers:Raising"),
    "two images with one name": cleaned("x/a.jpg", "y/a.jpg"),
    "a reader that refers to a file outside": two_labels(Outside()),
    "a reader that returns the image of another file": two_labels(Foreign()),
    "a reader that returns images in another order": two_labels(Disordered()),
    **TABLE_MISTAKES,
}
