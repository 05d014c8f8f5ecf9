"""Match references with images: whole folders as sets of names, then the rest one by one."""

from __future__ import annotations

from collections import defaultdict
from functools import cached_property
from itertools import groupby, repeat
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.files.image_lookup import MAX_RIVALS, ImageLookup
from regionbatch.files.paths import (
    LABEL_WORDS,
    base_name,
    by_folder,
    folder_key,
    image_stem,
    is_image,
    joined,
    normalise_name,
    path_parts,
    without_extensions,
)
from regionbatch.image_candidates import (
    Rank,
    by_declared_name,
    by_label,
    choose,
    declaration_of,
    declaration_of_label,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.files.image_index import ImageIndex
    from regionbatch.image_candidates import Candidates, Choice, Declaration
    from regionbatch.matches import Matches, ReferenceTable

    _Place = tuple[str, str]
    """A declaring file, and the folder in its declared names."""


class _Matching:
    """Matches whole folders first, then the remaining references one by one."""

    def __init__(self, index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
        self.index = index
        self.table = table
        self.matches = matches
        self._repeated = index.repeated_stems() if table.sizes is not None else set()

    def run(self) -> None:
        """Match all references."""
        if not len(self.index):
            return
        for rows, images, rank in self._by_folder():
            self._match_folder(rows, images, rank)
        remaining = np.flatnonzero(self.matches.image < 0).tolist()
        if remaining:
            self._match_rows(remaining)

    def _by_folder(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], Rank]]:
        """Yield references of one place, and the images with exactly their names in one folder.

        The folder is the best one for the place; if several are equally good, nothing is yielded.
        An image is -1 if there is none.
        """
        raise NotImplementedError

    def _match_rows(self, rows: list[int]) -> None:
        raise NotImplementedError

    def _match_folder(self, rows: NDArray[np.int64], images: NDArray[np.int32], rank: Rank) -> None:
        matched = images >= 0
        if self._repeated:
            pairs = zip(rows.tolist(), images.tolist(), strict=True)
            certain = (image >= 0 and self._is_certain(row, image) for row, image in pairs)
            matched &= np.fromiter(certain, bool, len(rows))
        self.matches.set_exact(rows[matched], images[matched], rank)

    def _is_certain(self, row: int, image: int) -> bool:
        """Return whether no declared size can favour another image with the same name."""
        name = self.index.names[image]
        if normalise_name(name[: name.rfind(".")]) not in self._repeated:
            return True
        size = self.table.size(row)
        return size == (0, 0) or self.index.size(image) == size


class LabelMatching(_Matching):
    """Matches label files."""

    def _by_folder(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], Rank]]:
        start = 0
        for folder, names in by_folder(self.table.files):
            rows = np.arange(start, start + len(names))
            start += len(names)
            best = self._best_folder(folder)
            if best is None:
                continue
            images = self.index.with_stems_of(best[0], names)
            if "".join(names).count(".") > len(names):
                # Labels such as a.jpg.txt are matched one by one.
                images[[*map(is_image, without_extensions(names))]] = -1
            yield rows, _first_of_each(images), best[1]

    def _best_folder(self, folder: str) -> tuple[int, Rank] | None:
        """Return the best folder of images for label files; None if several are equally good."""
        index = self.index
        key = folder_key(folder)
        for rank, folders in (
            (Rank.PARALLEL_FOLDER, index.parallel_folders(folder, LABEL_WORDS)),
            (Rank.SAME_FOLDER, index.dataset_folders_at(folder)),
            (Rank.SAME_KEY, index.folders_with_key(key.parts, key.splits)),
        ):
            if folders:
                return (folders[0], rank) if len(folders) == 1 else None
        return None

    def _match_rows(self, rows: list[int]) -> None:
        table, index = self.table, self.index
        stems = {row: table.files[row].rpartition("/")[2].rpartition(".")[0] for row in rows}
        lookup = ImageLookup(index, stems.values())
        without_image: dict[int, str] = {}
        for row, stem in stems.items():
            second_name = base_name(table.name(row))
            if lookup.has(stem):
                candidates = by_label(lookup, table.files[row])
                size = table.size(row)
                choice = choose(index, candidates, size, second_name, shared=table.shared)
                self.matches.set_choice(row, choice)
            elif second_name:
                without_image[row] = second_name
        if without_image:
            self._match_second_names(without_image)

    def _match_second_names(self, second_names: Mapping[int, str]) -> None:
        """Match label files by their second names, unless other label files have these names."""
        files_of: dict[str, set[str]] = defaultdict(set)
        for file in self.table.files:
            files_of[_label_stem(file)].add(file)
        shared = len(_common_folders(self.table.names))
        lookup = ImageLookup(self.index, second_names.values())
        for row, name in second_names.items():
            others = files_of[normalise_name(image_stem(name))] - {self.table.files[row]}
            if lookup.has(name) and not others:
                self._match_second_name(row, name, lookup, shared)

    def _match_second_name(self, row: int, name: str, lookup: ImageLookup, shared: int) -> None:
        table, index = self.table, self.index
        size = table.size(row)
        declaration = declaration_of_label(table.files[row], shared)
        candidates = by_declared_name(lookup, table.name(row), declaration)
        choice = choose(index, candidates, size, name, shared=False)
        if size != (0, 0) and not all(index.fits(image, size) for image in choice.images):
            self.matches.doubtful.add(row)
        if choice.rank <= Rank.PATH_SUFFIX:  # Weaker matches keep their ranks.
            choice = choice._replace(rank=Rank.SECOND_NAME, distance=choice.rank)
        self.matches.set_choice(row, choice)
        self.matches.by_second_name.add(row)


class DeclaredMatching(_Matching):
    """Matches declared names."""

    def __init__(self, index: ImageIndex, table: ReferenceTable, matches: Matches) -> None:
        """Prepare to match the names of a table."""
        super().__init__(index, table, matches)
        self._places: Sequence[str] = table.files
        """The declaring file of each reference, with the split that it declares."""
        if len(table.splits):
            pairs = zip(table.files, table.splits, strict=True)
            self._places = [f"{file}\0{split}" for file, split in pairs]
        self._bare_names: dict[str, set[str]] = defaultdict(set)
        """The names without a folder, by place."""
        self._counts: dict[tuple[str, int], int] = {}
        """See `_count_bare_names`."""

    @cached_property
    def _declarations(self) -> Mapping[str, Declaration]:
        """What each place declares."""
        names: dict[str, list[str]] = defaultdict(list)
        for place, name in zip(self._places, self.table.names, strict=True):
            names[place].append(name)
        found: dict[str, Declaration] = {}
        for place, of_place in names.items():
            file, _, split = place.partition("\0")
            found[place] = declaration_of(file, len(_common_folders(of_place)), split)
        return found

    def _by_folder(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int32], Rank]]:
        for place, rows in self._groups():
            best = self._best_folder(place)
            if best is not None:
                images, rank = best
                # In the order of the rows: random access takes four times as long.
                found = np.fromiter(map(images.get, rows, repeat(-1)), np.int32, len(rows))
                yield np.fromiter(rows.values(), np.int64, len(rows)), found, rank

    def _groups(self) -> Iterator[tuple[_Place, dict[str, int]]]:
        """Yield each place (file and folder), with the first row of each name in it."""
        start = 0
        for file, run in groupby(self._places):
            end = start + sum(1 for _ in run)
            rows = _first_rows(self.table.names[start:end], start)
            start = end
            self._bare_names[file] |= {name for name in rows if "/" not in name}
            if "/" not in "".join(rows):
                yield (file, ""), rows
                continue
            by_folder: dict[str, dict[str, int]] = defaultdict(dict)
            for name, row in rows.items():
                folder, _, base = name.rpartition("/")
                by_folder[folder][base] = row
            for folder, bases in by_folder.items():
                yield (file, folder), bases

    def _best_folder(self, place: _Place) -> tuple[Mapping[str, int], Rank] | None:
        """Return the images of the best folder for a place by name; None if several are equal."""
        file, folder = place
        path = "/".join(path_parts(folder))
        if path != folder.removeprefix("./"):
            return None
        declaration = self._declarations[file]
        at_path = self._folders_at_path(path, declaration)
        with_key = self._folders_with_key(path, declaration) - at_path
        if len(at_path) == 1:
            names = self.index.images_by_name(at_path.pop())
            return names if path else self._without(names, with_key), Rank.DECLARED_PATH
        if not at_path and len(with_key) == 1:
            return self.index.images_by_name(with_key.pop()), Rank.SAME_KEY
        return None

    def _folders_at_path(self, path: str, declaration: Declaration) -> set[int]:
        index = self.index
        found = {*index.dataset_folders_at(joined(declaration.home, path))}
        for folder in index.folders_at(path):
            if declaration.allows(index.folders[folder].traits):
                found.add(folder)
        return found

    def _folders_with_key(self, path: str, declaration: Declaration) -> set[int]:
        index = self.index
        key = folder_key(path)
        splits = key.splits or declaration.splits
        found: set[int] = set()
        for wanted in declaration.keys(key.parts):
            for folder in index.folders_with_key(wanted, splits):
                if declaration.allows(index.folders[folder].traits):
                    found.add(folder)
        return found

    def _without(self, names: Mapping[str, int], folders: Iterable[int]) -> Mapping[str, int]:
        """Return images by name, without the names that also occur in other folders."""
        repeated: set[str] = set()
        for folder in folders:
            repeated |= self.index.images_by_name(folder).keys() & names
        if not repeated:
            return names
        return {name: image for name, image in names.items() if name not in repeated}

    def _match_rows(self, rows: list[int]) -> None:
        table, index = self.table, self.index
        names = {row: _base_names(table.names[row]) for row in rows}
        lookup = ImageLookup(index, {base for bases in names.values() for base in bases})
        for row, bases in names.items():
            if not any(map(lookup.has, bases)):
                continue
            declaration = self._declarations[self._places[row]]
            candidates = by_declared_name(lookup, table.names[row], declaration)
            choice = choose(index, candidates, table.size(row), "", shared=False)
            self.matches.set_choice(row, self._judge_stray(row, choice, candidates))

    def _judge_stray(self, row: int, choice: Choice, candidates: Sequence[Candidates]) -> Choice:
        """Return a choice as ambiguous if its image is a stray outside the folder of the others.

        A file in the root or next to a JSON file may be a preview, a mask or a leftover if another
        folder has more of the names, including this one.
        """
        is_certain = choice.rank == Rank.DECLARED_PATH and not choice.ambiguous
        if not is_certain or choice.by_size or "/" in self.table.names[row]:
            return choice
        folder_of = self.index.folder_of
        here = folder_of[choice.images[0]]
        rivals: list[int] = []
        for one in candidates:
            if one.rank == Rank.SAME_KEY:
                rivals += one.group.images[:MAX_RIVALS]
        better = [image for image in rivals if self._has_more_names(row, folder_of[image], here)]
        home = self._declarations[self._places[row]].home
        at_home = self.index.dataset_folders_at(home) if home else []
        has_left_home = any(self._has_more_names(row, folder, here) for folder in at_home)
        return choice._replace(
            images=[*choice.images, *better], ambiguous=bool(better) or has_left_home
        )

    def _has_more_names(self, row: int, folder: int, other: int) -> bool:
        return self._count_bare_names(row, folder) > self._count_bare_names(row, other)

    def _count_bare_names(self, row: int, folder: int) -> int:
        """Return how many of the declaring file's names without a folder are in a folder."""
        place = self._places[row]
        if (place, folder) not in self._counts:
            names = self.index.images_by_name(folder).keys() & self._bare_names[place]
            self._counts[place, folder] = len(names)
        return self._counts[place, folder]


def _first_of_each(images: NDArray[np.int32]) -> NDArray[np.int32]:
    """Return -1 instead of an image that occurred before."""
    if (np.diff(images) > 0).all():  # as usual
        return images
    first = np.unique(images, return_index=True)[1]
    found = np.full_like(images, -1)
    found[first] = images[first]
    return found


def _first_rows(names: Sequence[str], start: int) -> dict[str, int]:
    """Return the first row of each name.

    Args:
        names: The names of consecutive rows.
        start: The first of these rows.
    """
    rows = range(start + len(names) - 1, start - 1, -1)
    return dict(zip(reversed(names), rows, strict=True))


def _base_names(name: str) -> set[str]:
    """Return the base name of a declared name, with and without a query."""
    bases = {base_name(name)}
    if "?" in name:
        bases.add(base_name(name.partition("?")[0]))
    return bases


def _label_stem(file: str) -> str:
    base = file.rpartition("/")[2]
    return normalise_name(image_stem(base[: base.rfind(".")]))


def _common_folders(names: Iterable[str]) -> list[str]:
    """Return the leading folders that all names share; empty names are ignored."""
    common: list[str] | None = None
    for folder in {name.replace("\\", "/").rpartition("/")[0] for name in names if name}:
        parts = path_parts(folder)
        if common is None:
            common = parts
            continue
        same = 0
        while same < min(len(common), len(parts)) and common[same] == parts[same]:
            same += 1
        common = common[:same]
    return common or []
