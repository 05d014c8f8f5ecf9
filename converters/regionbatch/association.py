"""Which image file each reference is about: one ranked table for all formats.

A reference is a label file, which is about the image of its own name, or a name that a file declares. The ranks
(`image_candidates.Rank`) were derived from 161,402 references of 140 public datasets. Whole folders are matched as sets
of names; what these leave over goes through the table one by one. Then three rules look at all references together: a
weak match needs a folder of weak matches, an image has one owner, and equals get nothing.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby, repeat
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.image_index import MAX_RIVALS, Lookup
from regionbatch.files.paths import LABEL_WORDS, base_name, fold, folder_key, image_stem, is_image, joined, path_parts
from regionbatch.image_candidates import Rank, by_declared_name, by_label, choose, declaration_of
from regionbatch.matches import Matches, Outcome

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from regionbatch.files.image_index import ImageIndex
    from regionbatch.image_candidates import Candidates, Choice, Declaration
    from regionbatch.matches import ReferenceTable

    _Place = tuple[str, str]
    """The folder of label files; or a declaring file, and the folder that its names begin with."""


def associate(index: ImageIndex, table: ReferenceTable) -> Matches:
    """Find the image of each reference.

    Args:
        index: The images that may be meant.
        table: The references.

    Returns:
        A row for each reference. An image belongs to one label file, or to one declared path.
    """
    matches = Matches.empty(len(table))
    matching = _LabelMatching if table.by_label else _DeclaredMatching
    matching(index, table, matches).run()
    _judge_whole_folders(index, table, matches)
    _settle_owners(table, matches)
    return matches


class _Matching:
    """Matches whole folders first, then what is left one by one."""

    def __init__(self, index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
        self.index, self.table, self.matches = index, table, matches
        self._repeated = index.repeated_stems() if table.sizes is not None else set()

    def run(self) -> None:
        """Match everything."""
        if not len(self.index):
            return
        for place, rows in self._groups():
            found = self._best_folder(place)
            if found is not None:
                self._match_folder(rows, *found)
        left = np.flatnonzero(self.matches.image < 0).tolist()
        if left:
            self._match_rows(left)

    def _groups(self) -> Iterator[tuple[_Place, dict[str, int]]]:
        """Yield references that lie in one folder or file, by the names to look for as a set."""
        raise NotImplementedError

    def _best_folder(self, place: _Place) -> tuple[Mapping[str, int], Rank] | None:
        """Return the images of the one folder that is best for a group, by name; None: there is none, or several."""
        raise NotImplementedError

    def _match_rows(self, left: list[int]) -> None:
        raise NotImplementedError

    def _match_folder(self, rows: Mapping[str, int], images: Mapping[str, int], rank: Rank) -> None:
        # In the order of the rows: in the order of a set, memory is read at random, in four times the time.
        found = np.fromiter(map(images.get, rows, repeat(-1)), np.int32, len(rows))
        row = np.fromiter(rows.values(), np.int64, len(rows))
        good = found >= 0
        if self._repeated:
            pairs = zip(row.tolist(), found.tolist(), strict=True)
            good &= np.fromiter((image >= 0 and self._is_sure(row, image) for row, image in pairs), bool, len(rows))
        self.matches.take(row[good], found[good], rank)

    def _is_sure(self, row: int, image: int) -> bool:
        """Return whether a declared size cannot decide for another image of the name."""
        name, size = self.index.names[image], self.table.size(row)
        repeated = fold(name[: name.rfind(".")]) in self._repeated
        return not repeated or size == (0, 0) or self.index.size(image) == size


def _runs(places: Sequence[str], names: list[str]) -> Iterator[tuple[str, dict[str, int]]]:
    """Yield references of one place that follow each other, by their names; the first of a name counts."""
    start = 0
    for place, run in groupby(places):
        end = start + sum(1 for _ in run)
        yield place, dict(zip(reversed(names[start:end]), range(end - 1, start - 1, -1), strict=True))
        start = end


class _LabelMatching(_Matching):
    """Matches label files."""

    def _groups(self) -> Iterator[tuple[_Place, dict[str, int]]]:
        cut = [file.rpartition("/") for file in self.table.files]
        stems = [base[: base.rfind(".")] for _, _, base in cut]
        for folder, rows in _runs([folder for folder, _, _ in cut], stems):
            plain = "." not in "".join(rows)
            yield (folder, ""), rows if plain else {stem: row for stem, row in rows.items() if not is_image(stem)}

    def _best_folder(self, place: _Place) -> tuple[Mapping[str, int], Rank] | None:
        index, folder = self.index, place[0]
        key = folder_key(folder)
        of_key = index.of_key(key.parts, key.splits)
        for rank, folders in (
            (Rank.BESIDE, index.beside(folder, LABEL_WORDS)),
            (Rank.SAME_FOLDER, [one for one in index.at_path(folder) if not index.folders[one].kin.elsewhere]),
            (Rank.KEY, of_key),
        ):
            if folders:
                return (index.unique_stems(folders[0]), rank) if len(folders) == 1 else None
        return None

    def _match_rows(self, left: list[int]) -> None:
        table, index = self.table, self.index
        stems = {row: table.files[row].rpartition("/")[2].rpartition(".")[0] for row in left}
        lookup = Lookup(index, stems.values())
        nameless: list[int] = []
        for row, stem in stems.items():
            last = base_name(table.name(row))
            if lookup.has(stem):
                candidates = by_label(lookup, table.files[row])
                self.matches.take_choice(row, choose(index, candidates, table.size(row), last, shared=table.shared))
            elif last:
                nameless.append(row)
        if nameless:
            self._match_second_names(nameless)

    def _match_second_names(self, rows: list[int]) -> None:
        """Match label files of whose name no image is by their second name, unless another file is called so."""
        table, index = self.table, self.index
        own: dict[str, set[str]] = defaultdict(set)
        for file in table.files:
            own[_label_stem(file)].add(file)
        shared = len(_common_folders(table.names))
        lasts = {row: base_name(table.name(row)) for row in rows}
        lookup = Lookup(index, lasts.values())
        for row, last in lasts.items():
            if not lookup.has(last) or own.get(fold(image_stem(last)), set()) - {table.files[row]}:
                continue
            declaration = declaration_of(table.files[row], shared, second_name=True)
            size = table.size(row)
            choice = choose(index, by_declared_name(lookup, table.name(row), declaration), size, last, shared=False)
            if size != (0, 0) and not all(index.fits(image, size) for image in choice.images):
                self.matches.doubtful.add(row)
            if choice.rank <= Rank.PATH_END:  # weaker ones stay what they are
                choice = choice._replace(rank=Rank.SECOND_NAME, distance=choice.rank)
            self.matches.take_choice(row, choice)
            self.matches.by_second_name.add(row)


class _DeclaredMatching(_Matching):
    """Matches declared names."""

    def __init__(self, index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
        super().__init__(index, table, matches)
        self._places: Sequence[str] = ()
        """The declaring file of each reference, with the split that it declares."""
        self._declared: Mapping[str, Declaration] = {}
        self._bare: dict[str, set[str]] = defaultdict(set)
        """The names without a folder, by place."""
        self._crowds: dict[tuple[str, int], int] = {}

    def _declarations(self) -> Mapping[str, Declaration]:
        """Return what each declaring file says, by the file and the split that it declares."""
        names: dict[str, list[str]] = defaultdict(list)
        splits: dict[str, str] = {}
        for row, (place, name) in enumerate(zip(self._places, self.table.names, strict=True)):
            names[place].append(name)
            splits[place] = self.table.split(row)
        shared = {place: len(_common_folders(of_place)) for place, of_place in names.items()}
        return {place: declaration_of(place.partition("\0")[0], shared[place], splits[place]) for place in names}

    def _groups(self) -> Iterator[tuple[_Place, dict[str, int]]]:
        table = self.table
        pairs = zip(table.files, table.splits, strict=True) if len(table.splits) else ()
        self._places = [f"{file}\0{split}" for file, split in pairs] or table.files
        self._declared = self._declarations()
        for file, rows in _runs(self._places, [*table.names]):
            self._bare[file] |= {name for name in rows if "/" not in name}
            if "/" not in "".join(rows):
                yield (file, ""), rows
                continue
            by_folder: dict[str, dict[str, int]] = defaultdict(dict)
            for name, row in rows.items():
                folder, _, base = name.rpartition("/")
                by_folder[folder][base] = row
            for folder, bases in by_folder.items():
                yield (file, folder), bases

    def _judge_stray(self, row: int, choice: Choice, candidates: Sequence[Candidates]) -> Choice:
        """Return the choice for a name without a folder: ambiguous, if it is a stray next to the folder of the others.

        A file in the root or next to a JSON may be a preview, a mask or a rest, where another folder has more of the
        names and this one too.
        """
        if choice.rank != Rank.DECLARED or choice.ambiguous or choice.by_size or "/" in self.table.names[row]:
            return choice
        here = self._crowd(row, self.index.folder_of[choice.images[0]])
        rivals = [image for one in candidates if one.rank == Rank.KEY for image in one.group.images[:MAX_RIVALS]]
        better = [image for image in rivals if self._crowd(row, self.index.folder_of[image]) > here]
        home = self._declared[self._places[row]].home
        at_home = [one for one in self.index.at_path(home) if home and not self.index.folders[one].kin.elsewhere]
        left_home = any(self._crowd(row, one) > here for one in at_home)
        return choice._replace(images=[*choice.images, *better], ambiguous=bool(better) or left_home)

    def _crowd(self, row: int, folder: int) -> int:
        """Return how many names without a folder of a declaring file a folder has."""
        place = self._places[row]
        if (place, folder) not in self._crowds:
            names = self.index.unique_names(folder).keys() & self._bare[place]
            self._crowds[place, folder] = len(names)
        return self._crowds[place, folder]

    def _best_folder(self, place: _Place) -> tuple[Mapping[str, int], Rank] | None:
        file, folder = place
        index, declaration = self.index, self._declared[file]
        path = "/".join(path_parts(folder))
        if path != folder.removeprefix("./"):
            return None
        here = [one for one in index.at_path(joined(declaration.home, path)) if not index.folders[one].kin.elsewhere]
        declared = {*here, *(one for one in index.at_path(path) if declaration.allows(index.folders[one].kin))}
        key = folder_key(path)
        splits = key.splits or declaration.splits
        home = folder_key(declaration.home).parts
        keys = {top + subset + key.parts for top in ((), home) for subset in declaration.subsets}
        found = {one for each in keys for one in index.of_key(each, splits)} - declared
        folders = [one for one in found if declaration.allows(index.folders[one].kin)]
        if len(declared) == 1:
            names = index.unique_names(declared.pop())
            twice = {name for one in folders for name in index.unique_names(one).keys() & names} if not path else ()
            return {name: names[name] for name in names if name not in twice} if twice else names, Rank.DECLARED
        return (index.unique_names(folders[0]), Rank.KEY) if not declared and len(folders) == 1 else None

    def _match_rows(self, left: list[int]) -> None:
        table, index = self.table, self.index
        bases = {row: base_name(table.names[row]) for row in left}
        without_query = {row: base_name(table.names[row].partition("?")[0]) for row in left if "?" in table.names[row]}
        lookup = Lookup(index, {*bases.values(), *without_query.values()})
        for row, base in bases.items():
            if not lookup.has(base) and not lookup.has(without_query.get(row, base)):
                continue
            candidates = by_declared_name(lookup, table.names[row], self._declared[self._places[row]])
            choice = choose(index, candidates, table.size(row), "", shared=False)
            self.matches.take_choice(row, self._judge_stray(row, choice, candidates))


def _label_stem(file: str) -> str:
    base = file.rpartition("/")[2]
    return fold(image_stem(base[: base.rfind(".")]))


def _common_folders(names: Iterable[str]) -> list[str]:
    """Return the leading folders that all names share; empty names are none."""
    common: list[str] | None = None
    for folder in {name.replace("\\", "/").rpartition("/")[0] for name in names if name}:
        parts = path_parts(folder)
        same = 0
        while common and same < min(len(common), len(parts)) and common[same] == parts[same]:
            same += 1
        common = parts if common is None else common[:same]
    return common or []


def _judge_whole_folders(index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
    """Loose and weak matches hold only for folders most of whose files have such an image, and no better one.

    Images in a folder that somebody named hold.
    """
    weak = np.isin(matches.rank, (Rank.LOOSE, Rank.NAME_ONLY))
    if table.by_label and (matches.rank == Rank.BESIDE).any():
        _judge_twins(index, table, matches)
    if not weak.any():
        return
    places = [file.rpartition("/")[0] for file in table.files] if table.by_label else table.files
    codes = {place: code for code, place in enumerate(dict.fromkeys(places))}
    place = np.fromiter(map(codes.__getitem__, places), np.int32, len(places))
    files, weakly = np.bincount(place), np.bincount(place, weights=weak)
    sure = matches.rank <= Rank.PATH_END
    few, settled = weakly * 2 < files, np.bincount(place, weights=sure) > 0
    folder_of = np.asarray([*index.folder_of, -1], np.int32)
    taken = {*np.unique(folder_of[matches.image[sure]]).tolist()}
    twins = {code for name, code in codes.items() if table.by_label and index.beside(name, LABEL_WORDS)}
    for row in np.flatnonzero(weak).tolist():
        here, folder = int(place[row]), index.folders[index.folder_of[matches.image[row]]]
        if folder.kin.named:
            continue
        if few[here]:
            loose = matches.rank[row] == Rank.LOOSE
            matches.passed_over[places[row], folder.path] += 1
            matches.reject(row, Outcome.NOT_ON_DISK if loose else Outcome.ORPHAN)
        elif settled[here] or here in twins:
            matches.passed_over[places[row], folder.path] += 1
            matches.reject(row, Outcome.ORPHAN)
        elif taken.intersection(index.folder_of[image] for image in matches.images_of(row)):
            matches.reject(row, Outcome.UNLISTED_LABEL)


def _judge_twins(index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
    """Label files of a folder whose images are in the folder next to it have none in their own, or in a similar one."""
    places = [file.rpartition("/")[0] for file in table.files]
    with_twin = {places[row] for row in np.flatnonzero(matches.rank == Rank.BESIDE).tolist()}
    others = np.isin(matches.rank, (Rank.SAME_FOLDER, Rank.KEY))
    for row in np.flatnonzero(others).tolist():
        folder = index.folders[index.folder_of[matches.image[row]]]
        if places[row] in with_twin and not folder.kin.named:
            matches.passed_over[places[row], folder.path] += 1
            matches.reject(row, Outcome.ORPHAN)


def _settle_owners(table: ReferenceTable, matches: Matches) -> None:
    """An image belongs to one label file, or to one declared path: to the best claim; of equal ones, to none."""
    for rows in [*_contested(matches)]:
        claims = {row: (matches.rank[row], matches.distance[row], matches.spelling[row]) for row in rows}
        best = min(claims.values())
        winners = [row for row in rows if claims[row] == best]
        owners = {_owner(table, row) for row in winners}
        contested = set.intersection(*(set(matches.images_of(row)) for row in rows))
        for row in rows:
            if len(owners) == 1 and _owner(table, row) in owners:
                continue
            if len(owners) > 1 and claims[row] == best:
                outcome = Outcome.AMBIGUOUS
            else:
                outcome = Outcome.SECOND_LABEL if table.by_label else Outcome.ORPHAN
            matches.winner[row] = next(one for one in winners if one != row)
            matches.reject(row, outcome, [one for one in matches.images_of(row) if one not in contested])


def _contested(matches: Matches) -> Iterator[list[int]]:
    """Yield the references that have one image, where they are several."""
    claimed = matches.image[matches.image >= 0]
    several = [image for images in matches.more.values() for image in images[1:]]
    counts = np.bincount(np.concatenate([claimed, np.asarray(several, np.int32)]))
    if not (counts > 1).any():
        return
    claims: dict[int, list[int]] = defaultdict(list)
    for row in np.flatnonzero(matches.image >= 0).tolist():
        for image in matches.images_of(row):
            if counts[image] > 1:
                claims[image].append(row)
    yield from claims.values()


def _owner(table: ReferenceTable, row: int) -> tuple[str, str]:
    file = table.files[row]
    return (file, "") if table.by_label else (file.rpartition("/")[0], table.names[row])
