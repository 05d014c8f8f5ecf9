"""Findings and decisions about images that were not found exactly where they were declared."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.cloud_paths import real_path
from regionbatch.files.paths import base_name, image_stem, is_label_word, normalise_name
from regionbatch.files.spelling import Spelling
from regionbatch.image_candidates import Rank
from regionbatch.image_names import own_stem
from regionbatch.matches import MatchOutcome
from regionbatch.wording import counted, listed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.image_index import ImageIndex
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.matches import Matches, ReferenceTable

_LISTED = 5
"""How many images, or pairs of folders, a finding or decision lists."""


def report_matches(
    index: ImageIndex,
    table: ReferenceTable,
    matches: Matches,
    name_of: Callable[[int], str],
    rows: NDArray[np.int64],
    log: FindingLog,
) -> None:
    """Report images that were found under another name or by a weak match, and ambiguous ones.

    Args:
        index: All images.
        table: The references.
        matches: Their matches.
        name_of: Returns the name of the image of a reference.
        rows: The references to report about.
        log: Where it is reported.
    """
    reported = np.zeros(len(table), np.bool_)
    reported[rows] = True
    inexact = matches.spelling >= Spelling.OTHER_CASE
    inexact[[*matches.by_size, *matches.by_second_name]] = True
    found = np.flatnonzero(inexact & (matches.image >= 0) & reported)
    _report_inexact(found, table, matches, name_of, log)
    ambiguous = (matches.outcome == MatchOutcome.AMBIGUOUS) & reported
    for row in np.flatnonzero(ambiguous).tolist():
        log.note("ambiguous_image", name_of(row), _rivals(index, table, matches, row))
    for rank in (Rank.LOOSE_KEY, Rank.NAME_ONLY):
        weak = np.flatnonzero((matches.rank == rank) & reported)
        if len(weak):
            _decide_folders(index, table, matches, weak.tolist(), rank, log)
    _report_passed_over(matches, log)


def _report_inexact(
    rows: NDArray[np.int64],
    table: ReferenceTable,
    matches: Matches,
    name_of: Callable[[int], str],
    log: FindingLog,
) -> None:
    if not len(rows):
        return
    names = [name_of(row) for row in rows.tolist()]
    wanted = [table.source(row) for row in rows.tolist()]
    is_doubtful = np.isin(rows, [*matches.doubtful])
    for doubtful in (False, True):
        here = np.flatnonzero(is_doubtful == doubtful).astype(np.int32)
        values = [wanted[at] for at in here]
        log.add("matched_loosely", here, value=values, table=names, doubtful=doubtful)


def _rivals(index: ImageIndex, table: ReferenceTable, matches: Matches, row: int) -> str:
    """Return what makes a reference ambiguous: several images, or an equally good reference."""
    if row in matches.rivals:
        return listed([index.paths()[image] for image in matches.rivals[row]], _LISTED)
    return f"also claimed by {table.source(matches.winner[row])}"


def _decide_folders(
    index: ImageIndex,
    table: ReferenceTable,
    matches: Matches,
    rows: Iterable[int],
    rank: Rank,
    log: FindingLog,
) -> None:
    """Log which image folders were chosen for which label folders or declaring files."""
    pairs: Counter[tuple[str, str]] = Counter()
    doubtful = False
    places = table.places()
    for row in rows:
        image = int(matches.image[row])
        folder = index.folder(image)
        if folder.traits.in_image_dir:
            continue
        pairs[places[row], folder.path] += 1
        size_agrees = table.size(row) != (0, 0) and table.size(row) == index.size(image)
        is_of_split = bool(folder.traits.splits)
        doubtful |= rank == Rank.NAME_ONLY or (is_of_split and not size_agrees)
    if not pairs:
        return
    reason = "only one of the two paths contains the name of a split"
    if rank == Rank.NAME_ONLY:
        reason = "only the image names match"
    first_folder = next(iter(pairs))[1]
    evidence = f"{_pairs(pairs)}; {reason}"
    log.decide("image_dir", first_folder or ".", evidence, doubtful=doubtful)


def _report_passed_over(matches: Matches, log: FindingLog) -> None:
    """Log that folders were not used because they contain too few of the images."""
    if matches.passed_over:
        log.decide(
            "image_dir",
            "none",
            f"{_pairs(matches.passed_over)}: not used, because most images are elsewhere. "
            "If the folder is right, choose it with `image_dir`",
        )


def _pairs(pairs: Mapping[tuple[str, str], int]) -> str:
    shown: list[str] = []
    for (place, folder), count in pairs.items():
        images = counted(count, "image")
        verb = "is" if count == 1 else "are"
        shown.append(f"{images} of {place or '.'} {verb} in {folder or '.'}")
    return listed(shown, _LISTED, "; ")


def report_names(
    index: ImageIndex,
    files: NDArray[np.int32],
    matches: Matches,
    table: ReferenceTable,
    names: Sequence[str],
    outside: Sequence[int],
    log: FindingLog,
) -> None:
    """Report declared names outside the dataset, and second names that were not used.

    Args:
        index: All images.
        files: The code of each reference's file.
        matches: The matches of the references.
        table: The references, their names with `/`.
        names: The name that the image of each reference got.
        outside: The rows of names that lead outside the dataset; see `rows_outside`.
        log: Where it is reported.
    """
    values = [table.name(row) for row in outside] if table.by_label else None
    log.add("outside_dataset", np.asarray(outside, np.int32), value=values, table=names)
    if not table.by_label or names == table.names:
        return
    for row, (declared, name) in enumerate(zip(table.names, names, strict=False)):
        if not declared or name.endswith(declared):
            continue
        if (doubtful := _is_stale(index, matches, table, row, name)) is not None:
            log.add("stale_filename", int(files[row]), value=[declared], doubtful=doubtful)


def _is_stale(
    index: ImageIndex, matches: Matches, table: ReferenceTable, row: int, name: str
) -> bool | None:
    """Judge whether the second name of a label file is out of date.

    Args:
        index: All images.
        matches: The matches of the references.
        table: The references.
        row: The label file.
        name: The name that its image got.

    Returns:
        Whether it is doubtful that the second name is out of date; None if it is not out of date.
    """
    declared = table.names[row]
    last = base_name(declared)
    found = matches.image[row] >= 0
    if not last or last == base_name(name) or (found and row in matches.by_second_name):
        return None
    accepted = (normalise_name(last), normalise_name(image_stem(last)))
    if normalise_name(image_stem(name.rpartition("/")[2])) not in accepted:
        if not found:
            return True
        size = table.size(row)
        return not (size == (0, 0) or index.fits(int(matches.image[row]), size))
    own = normalise_name(own_stem(table.files[row]))
    if not found and declared != name and own not in accepted:
        return True
    return None


def report_no_images(tree: Tree, index: ImageIndex, log: FindingLog) -> None:
    """Log where the images may be, if the dataset is a folder of labels without images."""
    root = real_path(tree.root)
    if is_label_word(root.name) and not tree.named and not len(index):
        parent = root.parent
        log.decide(
            "image_dir",
            "none",
            f"the folder contains only labels. Read {parent}, or choose a folder with `image_dir`",
        )
