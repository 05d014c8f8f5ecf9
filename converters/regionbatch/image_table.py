"""The images of a dataset: their files, names and splits, made of what `association` says of the references."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.association import associate
from regionbatch.dataset import Images, split_names
from regionbatch.errors import DatasetError, PluginError
from regionbatch.files.paths import fold, image_stem
from regionbatch.files.tree import Tree
from regionbatch.image_names import name_of_label, names_of_declared, names_of_label_files, own_stem, plain_names
from regionbatch.image_reports import report_matches, report_names, report_no_images
from regionbatch.image_scope import Scope, blocked_labels
from regionbatch.matches import Outcome, ReferenceTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.dataset import ImageReferences, References
    from regionbatch.findings import FindingLog
    from regionbatch.matches import Matches


_NOT_READ = (int(Outcome.SECOND_LABEL), int(Outcome.UNLISTED_LABEL))
_EXACT_ONLY = (int(Outcome.AMBIGUOUS), int(Outcome.ORPHAN), *_NOT_READ)
"""Whose images are looked up by exactly their names."""


class Rejected(NamedTuple):
    """A label file that is not part of the dataset: its boxes are counted as dropped."""

    file: str
    code: str
    """The finding."""
    reason: str
    """The label file that has its image; empty: none."""


class ImageTable:
    """Finds the images of a dataset: first those of label files by their paths, then those that the files name."""

    def __init__(self, tree: Tree, image_dirs: Sequence[Path], references: References, log: FindingLog) -> None:
        """List the images and match the label files."""
        self._tree, self._references, self._log = tree, references, log
        self._scope = Scope([tree, *map(Tree, image_dirs)], references, log)
        self._index = self._scope.index
        self.rejected: list[Rejected] = []
        self.accepted: list[str] = [*references.files]
        """The annotation files to read; a label file once for each of its images."""
        self.lost: dict[int, Rejected] = {}
        """Label files that turned out not to be part of the dataset when they were read, by their references."""
        self.blocked: set[str] = set()
        """Folded paths of what stands in the way of label files, and was reported with their images."""
        self._labels: list[str] = []
        """All label files on disk."""
        self._images = np.empty(0, np.int32)
        """The images of label files that are read."""
        self._rows = np.empty(0, np.int64)
        """The label file of each, by its place in `_labels`."""
        self._absent: dict[str, str] = {}
        """What the images are called of label files that are read and have none on disk."""
        self._doubtful: set[str] = set()
        """Label files whose image could not be decided."""
        report_no_images(tree, self._index, log)
        if references.one_image_each:
            self._labels = [*references.files, *references.others, *tree.blocked_files(*references.extensions)]
            self._accept(associate(self._index, ReferenceTable(self._labels, shared=not references.declares_names)))

    def _accept(self, matches: Matches) -> None:
        """Decide by their paths which label files are read."""
        self._matches = matches
        asked = self._asked()
        image = matches.image[: len(asked)]
        found = np.flatnonzero(image >= 0)
        more = [(one, row) for row, images in matches.more.items() for one in images[1:] if row < len(asked)]
        images = np.concatenate([image[found], np.asarray([one for one, _ in more], np.int32)])
        rows = np.concatenate([found, np.asarray([row for _, row in more], np.int64)])
        belongs = self._scope.wanted()[images] | (asked[rows] & ~self._scope.member[images])
        self._images, self._rows = images[belongs], rows[belongs]
        if self._references.scoped:
            order = np.argsort(self._images, kind="stable")
            self._images, self._rows = self._images[order], self._rows[order]
        without = (image < 0) & asked
        rejected = without & np.isin(matches.outcome[: len(asked)], (Outcome.SECOND_LABEL, Outcome.UNLISTED_LABEL))
        if self._references.label_folders is not None:
            rejected |= without & ~self._is_at_home(len(asked))
        for row in np.flatnonzero(rejected).tolist():
            self._reject(row)
        absent = np.flatnonzero(without & ~rejected).tolist()
        self._doubtful = {self._labels[row] for row in absent if matches.outcome[row] in _EXACT_ONLY}
        self._absent = self._name_absent([self._labels[row] for row in absent])
        self.accepted = [*map(self._labels.__getitem__, self._rows.tolist()), *self._absent]
        self._refuse_strangers()

    def _asked(self) -> NDArray[np.bool_]:
        """Return which of the files to read are of a split that was asked for."""
        of_file, splits = self._references.files, self._references.splits
        if splits is None:
            return np.ones(len(of_file), np.bool_)
        return np.fromiter((split in splits for split in of_file.values()), np.bool_, len(of_file))

    def _is_at_home(self, count: int) -> NDArray[np.bool_]:
        """Return which of the first label files are where they belong to the dataset also without an image."""
        homes = tuple(f"{home}/" if home else "" for home in self._references.label_folders or ())
        return np.fromiter((file.startswith(homes) for file in self._labels[:count]), np.bool_, count)

    def _reject(self, row: int) -> None:
        """Take a label file as one that is not part of the dataset."""
        reason = _reason(self._matches, row, self._labels)
        self.rejected.append(Rejected(self._labels[row], *reason))

    def _name_absent(self, files: Sequence[str]) -> dict[str, str]:
        """Return what the images of label files without one are called; a second file of a name is rejected."""
        if self._references.declares_names:
            return dict.fromkeys(files, "")
        taken = dict.fromkeys(self._index.paths(), "") if files else {}
        names: dict[str, str] = {}
        for file in files:
            name = name_of_label(self._tree, file)
            if name in taken:
                self.rejected.append(Rejected(file, "second_label", taken[name] or name))
            else:
                taken[name], names[file] = file, name
        return names

    def _refuse_strangers(self) -> None:
        """Raise an error if there are many images and label files, and no two have a name in common."""
        labels = [*self._absent, *(each.file for each in self.rejected)]
        if len(self._images) or not labels or not self._scope.wanted().any():
            return
        stems = {fold(own_stem(label)) for label in labels}
        on_disk = self._index.all_on_disk()
        here = [image for image in np.flatnonzero(self._scope.wanted()).tolist() if on_disk[image]]
        if not here or 2 * len(here) < len(self._absent):
            return
        if any(fold(image_stem(name)) in stems for name in self._index.names):
            return
        image = self._index.path(here[0])
        raise DatasetError(
            f"{image}: no label file matches an image (for example {labels[0]}). "
            "A label file needs its image's name, and lives in labels next to images.",
            place=image,
        )

    def finish(self, found: ImageReferences) -> tuple[Images, NDArray[np.int32]]:
        """Return the images of the dataset, and the row of each reference that a reader returned.

        Args:
            found: What the reader returned for the accepted files.
        """
        files = self._files_of(found)
        if self._references.one_image_each and not self._references.declares_names:
            return self._of_label_files(files)
        declared = split_names(found.split, found.splits) if found.splits else []
        return self._of_names(found if found.splits else self._with_splits(found, files), files, declared)

    def _files_of(self, found: ImageReferences) -> list[str]:
        """Return the file of each reference.

        Raises:
            PluginError: A reader returned another file than those it was to read.
        """
        known = self._log.files
        for code in {*found.file.tolist()}:
            if not 0 <= code < len(known) or known[code] not in self._references.files:
                raise PluginError(f"ImageReferences.file: {code} is not the code of a file to read. Update the reader.")
        return [known[code] for code in found.file.tolist()]

    def _with_splits(self, found: ImageReferences, files: list[str]) -> ImageReferences:
        """Return references with the splits of their files."""
        of_file = self._references.files
        splits = [*dict.fromkeys(filter(None, map(of_file.get, files)))]
        codes = {split: code for code, split in enumerate(splits)} | {"": -1}
        split = np.fromiter((codes[of_file[file]] for file in files), np.int32, len(files))
        return replace(found, split=split, splits=splits)

    def _of_names(
        self, found: ImageReferences, files: list[str], splits: Sequence[str]
    ) -> tuple[Images, NDArray[np.int32]]:
        """Return an image for each reference, by its names and declared size."""
        by_label = self._references.one_image_each
        read = set(files)
        others = [file for file in self._labels if file not in read] if by_label else []
        names = [*plain_names(found.names), *[""] * len(others)]
        sizes = np.pad(np.stack([found.width, found.height], axis=1), ((0, len(others)), (0, 0)))
        table = ReferenceTable([*files, *others], names, sizes, by_label, () if by_label else splits)
        matches = associate(self._index, table)
        images = matches.image[: len(files)].tolist()
        called = self._call(images, table, found)
        rows = np.arange(len(files))
        report_matches(self._index, table, matches, called.__getitem__, rows, self._log)
        report_names(self._index, found.file.tolist(), matches, table, called, self._log)
        on_disk = self._index.all_on_disk()
        paths = [on_disk[image] if image >= 0 else "" for image in images]
        exact = np.isin(matches.outcome[: len(files)], _EXACT_ONLY)
        for row in np.flatnonzero(np.isin(matches.outcome[: len(files)], _NOT_READ)).tolist():
            self.lost[row] = Rejected(files[row], *_reason(matches, row, table.files))
        return Images(called, found.width, found.height, paths, found.split, found.splits, exact), rows.astype(np.int32)

    def _call(self, images: list[int], table: ReferenceTable, found: ImageReferences) -> list[str]:
        """Return what the image of each reference is called."""
        paths = self._index.paths()
        called = [paths[image] if image >= 0 else "" for image in images]
        absent = [row for row, image in enumerate(images) if image < 0]
        if table.by_label:
            names = names_of_label_files(table.files, table.names, absent)
        else:
            splits = split_names(found.split, found.splits)
            declaring = [*self._references.files, *self._references.others]
            names = names_of_declared(table.files, table.names, splits, declaring, absent)
        for row, name in names.items():
            called[row] = name
        return called

    def _of_label_files(self, files: list[str]) -> tuple[Images, NDArray[np.int32]]:
        """Return all images that belong to the dataset, also those without a label file.

        An image whose label file was accepted and could not be read is not among them.
        """
        read = _kept(self.accepted, files)
        count = len(self._images)
        members = self._members(self._images[~read[:count]])
        absent = [file for file, kept in zip(self._absent, read[count:], strict=True) if kept]
        codes = np.concatenate(
            [np.searchsorted(members, self._images[read[:count]]), len(members) + np.arange(len(absent))]
        )
        rows, paths, on_disk = members.tolist(), self._index.paths(), self._index.all_on_disk()
        names = [paths[image] for image in rows] + [self._absent[file] for file in absent]
        split, splits = self._splits_of(members, absent)
        unknown = np.zeros(len(names), np.int32)
        uncertain = self._scope.uncertain
        exact_rows = [name in uncertain for name in names[: len(rows)]] if uncertain else [False] * len(rows)
        exact = np.asarray(exact_rows + [file in self._doubtful for file in absent], np.bool_)
        opened = [on_disk[image] for image in rows] + [""] * len(absent)
        self._report_label_files()
        return Images(names, unknown, unknown, opened, split, splits, exact), codes.astype(np.int32)

    def _members(self, unreadable: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the images of the dataset that are on disk or listed, without those whose label file is unreadable."""
        members = self._scope.wanted()
        alone = members.copy()
        alone[self._images] = False
        members[self._images] = True
        without = np.flatnonzero(alone).tolist()
        self._log.read(images=len(without))
        paths = self._index.paths()
        extension = next(iter(self._references.extensions), "")
        blocked = blocked_labels(self._tree, {image: paths[image] for image in without}, extension)
        for label, way, why in blocked.values():
            self._log.note("unreadable_file", label, why)
            self.blocked.add(way)
        members[[*unreadable.tolist(), *blocked]] = False
        return np.flatnonzero(members)

    def _splits_of(self, members: NDArray[np.int64], absent: Sequence[str]) -> tuple[NDArray[np.int32], list[str]]:
        """Return the split codes of images, and then of label files without one; and the names of the splits."""
        splits = [*self._scope.splits]
        codes = {split: code for code, split in enumerate(splits)} | {"": -1}
        of_files = [self._references.files[file] for file in absent]
        of_labels = [*self._references.files.values()]
        elsewhere = ~self._scope.member[self._images]
        of_images = {
            image: of_labels[row]
            for image, row in zip(self._images[elsewhere].tolist(), self._rows[elsewhere].tolist(), strict=True)
        }
        for split in (*of_files, *of_images.values()):
            codes.setdefault(split, len(codes) - 1)
        split_codes = self._scope.split[members]
        for at in np.flatnonzero(np.isin(members, [*of_images])).tolist():
            split_codes[at] = codes[of_images[int(members[at])]]
        found = np.concatenate([split_codes, np.asarray([codes[split] for split in of_files], np.int32)])
        used = [code for code in dict.fromkeys(found.tolist()) if code >= 0]
        names = {code: split for split, code in codes.items()}
        renumbered = np.full(len(codes), -1, np.int32)
        renumbered[used] = np.arange(len(used))
        return np.where(found >= 0, renumbered[found], np.int32(-1)), [names[code] for code in used]

    def _report_label_files(self) -> None:
        """Report how the images of the accepted label files were found."""
        matches, paths = self._matches, self._index.paths()
        accepted = np.unique(self._rows)
        if self._absent:
            rows = {file: row for row, file in enumerate(self._labels)}
            accepted = np.concatenate([accepted, [rows[file] for file in self._absent]])

        def name_of(row: int) -> str:
            return paths[matches.image[row]] if matches.image[row] >= 0 else self._absent[self._labels[row]]

        report_matches(self._index, ReferenceTable(self._labels), matches, name_of, accepted, self._log)
        for row, images in matches.more.items():
            if matches.outcome[row] == Outcome.SETTLED:
                shared = " and ".join(paths[image] for image in images)
                self._log.note("shared_label", self._labels[row], shared)


def _reason(matches: Matches, row: int, files: Sequence[str]) -> tuple[str, str]:
    """Return the finding for a label file that is not part of the dataset, and the one that has its image."""
    if matches.outcome[row] == Outcome.SECOND_LABEL:
        winner = matches.winner.get(row)
        return "second_label", "" if winner is None else files[winner]
    return "unlisted_label", ""


def _kept(accepted: Sequence[str], read: Sequence[str]) -> NDArray[np.bool_]:
    """Return which of the accepted files a reader returned an image for; it returns them in their order.

    Raises:
        PluginError: It returned others, or in another order.
    """
    if accepted == read:
        return np.ones(len(accepted), np.bool_)
    left = iter(read)
    wanted = next(left, None)
    kept = np.zeros(len(accepted), np.bool_)
    for at, file in enumerate(accepted):
        if file == wanted:
            kept[at] = True
            wanted = next(left, None)
    counts = Counter(accepted)
    halved = [file for file, count in Counter(read).items() if count != counts[file]]
    if wanted is not None or halved:
        wanted = wanted or halved[0]
        raise PluginError(
            f"{wanted}: the reader must return one image for each file, in the order of the files. Update its package."
        )
    return kept
