"""Merge classes and images that a dataset lists more than once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from unicodedata import category

import numpy as np

from regionbatch.dataset import normalise_label
from regionbatch.errors import AmbiguousDatasetError, OptionError
from regionbatch.findings.text import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import Images, PlacedAnnotations
    from regionbatch.findings import FindingLog

_MAX_CLASSES_SHOWN = 20


@dataclass(frozen=True, slots=True, eq=False)
class MergedTables:
    """The distinct classes and images of annotations."""

    tags: list[str]
    """Distinct normalised names."""
    tag_code: NDArray[np.int32]
    """The new code of each class as in the file; -1: it has no name."""
    images: Images
    """Distinct images."""
    image_code: NDArray[np.int32]
    """The new code of each image as listed."""
    wanted: NDArray[np.bool_] | None
    """Whether each tag was asked for by `only`; None: all."""


def merge_tables(
    raw: PlacedAnnotations, only: Collection[str] | None, log: FindingLog
) -> MergedTables:
    """Merge the classes and the images of annotations.

    Args:
        raw: The annotations.
        only: The classes to keep; None: all.
        log: Receives the findings.

    Raises:
        OptionError: `only` names a class that does not exist.
        AmbiguousDatasetError: Two image files have one name.
    """
    tags, tag_code = merge_tags(raw.tags, log)
    images, image_code = merge_images(raw.images, log)
    wanted = None if only is None else _wanted(only, tags)
    return MergedTables(tags, tag_code, images, image_code, wanted)


def _wanted(only: Collection[str], tags: Sequence[str]) -> NDArray[np.bool_]:
    wanted = {*map(normalise_label, only)}
    unknown = sorted(wanted.difference(tags))
    if unknown:
        what = "no such class" if len(unknown) == 1 else "no such classes"
        names = ", ".join(f"'{name}'" for name in unknown)
        more = ", …" if len(tags) > _MAX_CLASSES_SHOWN else ""
        known = ", ".join(f"'{tag}'" for tag in tags[:_MAX_CLASSES_SHOWN]) + more
        raise OptionError(
            escape_unprintable(f"only: {what}: {names}. The classes are: {known}."),
            option="only",
            value=unknown,
            choices=tags,
        )
    return np.asarray([name in wanted for name in tags], np.bool_)


def merge_tags(names: Sequence[str], log: FindingLog) -> tuple[list[str], NDArray[np.int32]]:
    """Merge classes that have one normalised name.

    Two spellings of one class are doubtful, and so is a name with a control character (Cc) or a
    lone surrogate of UTF-16 (Cs).

    Args:
        names: The class names as in the file.
        log: Receives the findings.

    Returns:
        The distinct normalised names, and the new code of each old class; -1: it has no name.
    """
    codes: dict[str, int] = {}
    spellings: dict[str, str] = {}
    new = np.full(len(names), -1, np.int32)
    for old, name in enumerate(names):
        label = normalise_label(name)
        if not label:
            continue
        if label != name:
            log.note("tag_renamed", label, name)
        if label in codes:
            log.note("tag_merged", label, doubtful=spellings[label] != name)
        elif any(category(character) in ("Cc", "Cs") for character in label):
            log.note("control_character", label)
        spellings.setdefault(label, name)
        new[old] = codes.setdefault(label, len(codes))
    return list(codes), new


def merge_images(images: Images, log: FindingLog) -> tuple[Images, NDArray[np.int32]]:
    """Merge images that have one name.

    Args:
        images: The images as listed.
        log: Receives the findings.

    Returns:
        The distinct images, and the new code of each old one.

    Raises:
        AmbiguousDatasetError: Two image files have one name.
    """
    own = np.arange(len(images), dtype=np.int32)
    if len({*images.names}) == len(images):
        return images, own
    codes = dict(zip(reversed(images.names), range(len(images) - 1, -1, -1), strict=True))
    first = np.fromiter((codes[name] for name in images.names), np.int32, len(images))
    twins = np.flatnonzero(first != own)
    kept = np.flatnonzero(first == own)
    _require_one_file(images, twins, first[twins])
    log.add("merged_image", twins.astype(np.int32), table=images.names)
    _report_two_sizes(images, twins, first[twins], log)
    new = np.zeros(len(images), np.int32)
    new[kept] = np.arange(len(kept))
    return images.take(kept), new[first]


def _require_one_file(images: Images, twins: NDArray[np.int64], first: NDArray[np.int32]) -> None:
    """Raise an error if two image files have one name: their boxes could belong to either."""
    for twin, other in zip(twins.tolist(), first.tolist(), strict=True):
        one = images.paths[other]
        another = images.paths[twin]
        if one and another and one != another:
            name = images.names[twin]
            raise AmbiguousDatasetError(
                f"{name}: two image files have this name: '{one}' and '{another}'. "
                "Rename one, or keep the datasets with these files apart.",
                place=name,
                value=name,
            )


def _report_two_sizes(
    images: Images, twins: NDArray[np.int64], first: NDArray[np.int32], log: FindingLog
) -> None:
    """Report images declared with two sizes. A box is normalised by the size declared with it."""
    size = np.stack([images.width, images.height], axis=1)
    differ = np.any(size[twins] != size[first], axis=1)
    differ &= np.all(size[twins] > 0, axis=1) & np.all(size[first] > 0, axis=1)
    pairs = np.hstack([size[first[differ]], size[twins[differ]]]).tolist()
    values = ["{} x {} and {} x {} declared".format(*pair) for pair in pairs]
    log.add("size_mismatch", twins[differ].astype(np.int32), value=values, table=images.names)
