"""Find the image file that each reference means, by one ranked table for all formats.

A reference is a label file, which means the image with its name, or a name that a file declares.
The ranks (`image_candidates.Rank`) were derived from 161,402 references of 140 public datasets.
`image_matching` matches whole folders as sets of names, then the remaining references one by one.
This module then compares all references. A weak match counts only if most references of its folder
match weakly. Each image belongs to its best reference, or to none if several are equally good.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.paths import LABEL_WORDS
from regionbatch.image_candidates import Rank
from regionbatch.image_matching import DeclaredMatching, LabelMatching
from regionbatch.matches import Matches, MatchOutcome, is_one_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.image_index import ImageIndex
    from regionbatch.matches import ReferenceTable


def associate(index: ImageIndex, table: ReferenceTable) -> Matches:
    """Find the image of each reference.

    Args:
        index: The images that the references may mean.
        table: The n references.

    Returns:
        The n matches. Each image belongs to at most one label file or declared path.
    """
    matches = Matches.empty(len(table))
    matching = LabelMatching if table.by_label else DeclaredMatching
    matching(index, table, matches).run()
    if table.by_label:
        _prefer_parallel_folders(index, table, matches)
    _reject_weak_matches(index, table, matches)
    _give_images_one_owner(table, matches)
    return matches


def _prefer_parallel_folders(index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
    """Reject the other matches of a label folder that has matches in a parallel folder.

    These are matches in the label folder itself or in a folder with the same key.
    """
    parallel = matches.rank == Rank.PARALLEL_FOLDER
    others = is_one_of(matches.rank, (Rank.SAME_FOLDER, Rank.SAME_KEY))
    if not (parallel.any() and others.any()):
        return
    places = table.places()
    with_parallel = {places[row] for row in np.flatnonzero(parallel).tolist()}
    for row in np.flatnonzero(others).tolist():
        folder = index.folder(matches.image[row])
        if places[row] in with_parallel and not folder.traits.in_image_dir:
            matches.pass_over(row, places[row], folder.path, MatchOutcome.REJECTED)


def _reject_weak_matches(index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
    """Reject matches by a loose key or by name only, unless most references of a folder are such.

    Even then, the folder must not have a certain match or a parallel folder of images, and the
    images must not be in a folder with a certain match. Images in an `image_dir` are always kept.
    """
    weak = is_one_of(matches.rank, (Rank.LOOSE_KEY, Rank.NAME_ONLY))
    if not weak.any():
        return
    places = table.places()
    certain = matches.rank <= Rank.PATH_SUFFIX
    is_few, has_better = _judge_places(index, places, weak, certain, by_label=table.by_label)
    folder_of = np.asarray(index.folder_of, np.int32)
    taken = {*np.unique(folder_of[matches.image[certain]]).tolist()}
    for row in np.flatnonzero(weak).tolist():
        folder = index.folder(matches.image[row])
        if folder.traits.in_image_dir:
            continue
        if is_few[row] or has_better[row]:
            is_absent = is_few[row] and matches.rank[row] == Rank.LOOSE_KEY
            outcome = MatchOutcome.NOT_ON_DISK if is_absent else MatchOutcome.REJECTED
            matches.pass_over(row, places[row], folder.path, outcome)
        elif taken.intersection(index.folder_of[image] for image in matches.images_of(row)):
            matches.reject(row, MatchOutcome.UNLISTED_LABEL)


def _judge_places(
    index: ImageIndex,
    places: Sequence[str],
    weak: NDArray[np.bool_],
    certain: NDArray[np.bool_],
    *,
    by_label: bool,
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Judge the label folder, or the declaring file, of each of n references.

    Returns:
        (n,), whether fewer than half of the references of that place match weakly; and (n,),
        whether the place has certain matches or a parallel folder of images.
    """
    codes = {place: code for code, place in enumerate(dict.fromkeys(places))}
    place = np.fromiter(map(codes.__getitem__, places), np.int32, len(places))
    is_few = np.bincount(place, weights=weak) * 2 < np.bincount(place)
    has_better = np.bincount(place, weights=certain) > 0
    if by_label:
        for name, code in codes.items():
            has_better[code] |= bool(index.parallel_folders(name, LABEL_WORDS))
    return is_few[place], has_better[place]


def _give_images_one_owner(table: ReferenceTable, matches: Matches) -> None:
    """Assign each image to the label file or declared path that matches it best."""
    for rows in [*_contested(matches)]:
        _resolve_conflict(rows, table, matches)


def _resolve_conflict(rows: Sequence[int], table: ReferenceTable, matches: Matches) -> None:
    """Assign an image to its best reference, or to none if several are equally good."""
    quality: dict[int, tuple[int, int, int]] = {}
    for row in rows:
        quality[row] = (matches.rank[row], matches.distance[row], matches.spelling[row])
    best = min(quality.values())
    winners = [row for row in rows if quality[row] == best]
    owners = {_owner(table, row) for row in winners}
    contested = set.intersection(*({*matches.images_of(row)} for row in rows))
    for row in rows:
        if owners == {_owner(table, row)}:
            continue
        if quality[row] == best:
            outcome = MatchOutcome.AMBIGUOUS
        elif table.by_label:
            outcome = MatchOutcome.SECOND_LABEL
        else:
            outcome = MatchOutcome.REJECTED
        matches.winner[row] = next(other for other in winners if other != row)
        remaining = [image for image in matches.images_of(row) if image not in contested]
        matches.reject(row, outcome, remaining)


def _contested(matches: Matches) -> Iterator[list[int]]:
    """Yield the references of each image that several references match."""
    matched = matches.image >= 0
    others = [image for images in matches.more.values() for image in images[1:]]
    claimed = np.concatenate([matches.image[matched], np.asarray(others, np.int32)])
    counts = np.bincount(claimed)
    if not (counts > 1).any():
        return
    rows_of: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(matched).tolist():
        for image in matches.images_of(row):
            if counts[image] > 1:
                rows_of[image].append(row)
    yield from rows_of.values()


def _owner(table: ReferenceTable, row: int) -> tuple[str, str]:
    file = table.files[row]
    return (file, "") if table.by_label else (file.rpartition("/")[0], table.names[row])
