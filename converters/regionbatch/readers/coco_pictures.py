"""The names and pictures of the images that COCO files list."""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from regionbatch.pictures import size
from regionbatch.readers.files import SPLIT_NAME, PictureFinder, match_split, unshared

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from pathlib import Path

    from regionbatch.findings import Report
    from regionbatch.readers.files import Tree


class Source(NamedTuple):
    """One JSON file of a data set."""

    name: str
    split: str
    prefix: str
    """What makes the names of its images relative to the data set."""
    finder: PictureFinder | None


class Listed(msgspec.Struct, gc=False):
    """One image as a file lists it."""

    source: Source
    name: str
    """With `/`; as in the file otherwise."""
    path: str
    """The same from the data set's folder on; as it is, if it leaves the data set."""
    outside: bool
    """Whether it does."""
    width: int
    height: int


def finder(tree: Tree, name: str, split: str, splits: Collection[str], image_dir: Path | None) -> PictureFinder:
    """Looks beside the JSON, in its parent, and in the folders that exports put pictures in.

    A folder elsewhere that is called like another split has that one's pictures only.
    """
    folder = name.rpartition("/")[0]
    parent = folder.rpartition("/")[0]
    words = name.rpartition("/")[2].rpartition(".")[0].split("_")
    parts = dict.fromkeys(("", words[-1], split, *(word for word in words[:1] if SPLIT_NAME.fullmatch(word))))
    below = [*(f"{top}/{part}".strip("/") for part in parts for top in ("", "images")), "data"]
    if image_dir and (meant := match_split(image_dir.name.rstrip("-_0123456789"), splits)) and split not in meant:
        image_dir = None
    inside = [f"{base}/{sub}".strip("/") for base in (folder, parent) for sub in below]
    return PictureFinder(tree, [*inside, "", "images"], image_dir, [*dict.fromkeys(reversed(below))])


def named(images: Sequence[Listed], report: Report) -> tuple[list[str], list[str]]:
    """The name of each image and the path of its picture, which is empty where there is none.

    The name is the picture's path, or else the listed one. A picture that several names lead to is that of those whose
    whole path it ends with. What two splits list under one name and have no picture of are two images.
    """
    names, paths = [image.path for image in images], [""] * len(images)
    found: dict[int, tuple[str, str]] = {}
    for source, rows in _by_source(images):
        if (finder := source.finder) and any(finder.may_find(images[row].name) for row in rows):
            found |= {row: hit for row in rows if (hit := _picture(images[row], finder, report))}
    for row, (name, path) in unshared(found, [image.name for image in images]).items():
        names[row], paths[row] = name, path
    for row in _in_two_splits(images):
        source = images[row].source
        if not (paths[row] or images[row].outside) and source.split:
            names[row] = f"{source.prefix}{source.split}/{images[row].name}"
    return names, paths


def _by_source(images: Sequence[Listed]) -> Iterator[tuple[Source, range]]:
    """The files, and the rows of what each lists: they stand one behind the other."""
    start = 0
    while start < len(images):
        source = images[start].source
        end = bisect_left(range(len(images)), 1, start, key=lambda row: images[row].source is not source)
        yield source, range(start, end)
        start = end


def _picture(image: Listed, finder: PictureFinder, report: Report) -> tuple[str, str] | None:
    """The picture of an image; of several, the one that has the declared size, or else the first."""
    hits = finder.find_every(image.name)
    if len(hits) < 2:
        return hits[0] if hits else None
    chosen = next((hit for hit in hits if size(hit[1]) == (image.width, image.height)), hits[0])
    report.note("picture_chosen", chosen[0], ", ".join(name for name, _ in hits))
    return chosen


def _in_two_splits(images: Sequence[Listed]) -> list[int]:
    """The rows of images that another file lists too."""
    if not images or images[0].source is images[-1].source:
        return []
    first: dict[str, Source] = {}
    shared = {image.path for image in images if first.setdefault(image.path, image.source) is not image.source}
    return [row for row, image in enumerate(images) if image.path in shared]
