"""What is reported about the images of references: everything that was not found exactly where it was declared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.image_index import OTHER_CASE
from regionbatch.files.paths import base_name, fold, image_stem, is_label_word
from regionbatch.image_candidates import Rank
from regionbatch.image_names import own_stem, rows_outside
from regionbatch.matches import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.image_index import ImageIndex
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.matches import Matches, ReferenceTable

_SHOWN = 5
"""Pairs of folders that a decision names."""


def report_matches(
    index: ImageIndex,
    table: ReferenceTable,
    matches: Matches,
    name_of: Callable[[int], str],
    rows: NDArray[np.int64],
    log: FindingLog,
) -> None:
    """Report images that were found by other names or weakly, and those that could not be decided.

    Args:
        index: All images.
        table: The references.
        matches: What was found.
        name_of: Returns what the image of a reference is called.
        rows: The references to report about.
        log: Where it is reported.
    """
    asked = np.zeros(len(table), np.bool_)
    asked[rows] = True
    loosely = matches.spelling >= OTHER_CASE
    loosely[[*matches.by_size, *matches.by_second_name]] = True
    found = np.flatnonzero(loosely & (matches.image >= 0) & asked)
    wanted = [table.files[row] if table.by_label else table.name(row) for row in found.tolist()]
    names = [*map(name_of, found.tolist())]
    doubtful = np.isin(found, [*matches.doubtful])
    for doubt in (False, True):
        here = np.flatnonzero(doubtful == doubt).astype(np.int32)
        log.add("matched_loosely", here, value=[wanted[at] for at in here], table=names, doubtful=doubt)
    for row in np.flatnonzero((matches.outcome == Outcome.AMBIGUOUS) & asked).tolist():
        log.note("ambiguous_image", name_of(row), _rivals(index, table, matches, row))
    for rank in (Rank.LOOSE, Rank.NAME_ONLY):
        weak = np.flatnonzero((matches.rank == rank) & asked)
        if len(weak):
            _decide_folders(index, table, matches, weak.tolist(), rank, log)
    _report_passed_over(matches, log)


def _rivals(index: ImageIndex, table: ReferenceTable, matches: Matches, row: int) -> str:
    """Return the images that an ambiguous reference may mean, or the reference with as good a claim to its image."""
    if row in matches.rivals:
        return _some([index.paths()[image] for image in matches.rivals[row]])
    other = matches.winner[row]
    return f"also claimed by {table.files[other] if table.by_label else table.name(other)}"


def _decide_folders(
    index: ImageIndex, table: ReferenceTable, matches: Matches, rows: Iterable[int], rank: Rank, log: FindingLog
) -> None:
    """Say which folders of images were taken for which label folders, or files, because of names only."""
    pairs: Counter[tuple[str, str]] = Counter()
    doubtful = False
    for row in rows:
        image = int(matches.image[row])
        folder = index.folders[index.folder_of[image]]
        if folder.kin.named:
            continue
        place = table.files[row].rpartition("/")[0] if table.by_label else table.files[row]
        pairs[place, folder.path] += 1
        agrees = table.size(row) != (0, 0) and table.size(row) == index.size(image)
        doubtful |= rank == Rank.NAME_ONLY or (bool(folder.kin.splits) and not agrees)
    if not pairs:
        return
    how = "by their names only" if rank == Rank.NAME_ONLY else "though only one of the folders names a split"
    first = next(iter(pairs))[1]
    log.decide("image_dir", first or ".", f"{_pairs(pairs)}, {how}", doubtful=doubtful)


def _report_passed_over(matches: Matches, log: FindingLog) -> None:
    """Say which folders may have the images of a label folder, or file, though too few to be sure."""
    if matches.passed_over:
        advice = "not taken, as most of its images are elsewhere. Name the folder with image_dir if it is right"
        log.decide("image_dir", "none", f"{_pairs(matches.passed_over)}, {advice}")


def _pairs(pairs: Mapping[tuple[str, str], int]) -> str:
    shown = [
        f"{count} {'image' if count == 1 else 'images'} of {folder or '.'} for {place or '.'}"
        for (place, folder), count in [*pairs.items()][:_SHOWN]
    ]
    return "; ".join(shown) + (f" and {len(pairs) - _SHOWN} more" if len(pairs) > _SHOWN else "")


def report_names(
    index: ImageIndex,
    files: Sequence[int],
    matches: Matches,
    table: ReferenceTable,
    names: Sequence[str],
    log: FindingLog,
) -> None:
    """Report declared names that lead out of the dataset, and second names of label files that are not believed.

    Args:
        index: All images.
        files: The code of each reference's file.
        matches: What was found.
        table: The references, their names with `/`.
        names: What the image of each reference is called.
        log: Where it is reported.
    """
    outside = rows_outside(table.files, table.names)
    values = [table.name(row) for row in outside] if table.by_label else None
    log.add("outside_dataset", np.asarray(outside, np.int32), value=values, table=names)
    if not table.by_label:
        return
    rows = zip(table.names, names, strict=False)
    differing = [row for row, (name, called) in enumerate(rows) if name and not called.endswith(name)]
    for row in differing:
        name, own, last = table.names[row], own_stem(table.files[row]), base_name(table.names[row])
        found = matches.image[row] >= 0
        if not last or (found and row in matches.by_second_name) or last == base_name(names[row]):
            continue
        called = fold(image_stem(names[row].rpartition("/")[2]))
        if called not in (fold(last), fold(image_stem(last))):
            sure = found and (table.size(row) == (0, 0) or index.fits(int(matches.image[row]), table.size(row)))
            log.add("stale_filename", files[row], value=[name], doubtful=not sure)
        elif not found and name != names[row] and fold(own) not in (fold(last), fold(image_stem(last))):
            log.add("stale_filename", files[row], value=[name], doubtful=True)


def report_no_images(tree: Tree, index: ImageIndex, log: FindingLog) -> None:
    """Say where the images may be, if the dataset is a folder for labels only and has none."""
    if is_label_word(tree.root.resolve().name) and not tree.named and not len(index):
        where = f"the folder holds labels only; read {tree.root.resolve().parent} instead, or name the folder of images"
        log.decide("image_dir", "none", where)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
