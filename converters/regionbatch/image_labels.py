"""Match label files by their paths with the images that they describe."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from regionbatch.association import associate
from regionbatch.dataset import Images
from regionbatch.dataset.columns import distinct_codes
from regionbatch.errors import DatasetError, PluginError
from regionbatch.files.paths import image_stem, normalise_name
from regionbatch.image_names import name_of_label, own_stem
from regionbatch.image_reports import report_matches
from regionbatch.image_scope import blocked_labels
from regionbatch.matches import MatchOutcome, ReferenceTable, is_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.image_scope import Scope
    from regionbatch.matches import Matches

NOT_READ = (int(MatchOutcome.SECOND_LABEL), int(MatchOutcome.UNLISTED_LABEL))
"""Label files with these outcomes are not part of the dataset."""
EXACT_ONLY = (int(MatchOutcome.AMBIGUOUS), int(MatchOutcome.REJECTED), *NOT_READ)
"""When IDs are resolved, the names of references with these outcomes must match exactly."""


class Rejected(NamedTuple):
    """A label file that is not part of the dataset: its boxes are counted as dropped."""

    file: str
    code: str
    """The code of the finding."""
    reason: str
    """The label file that its image belongs to; empty if there is none."""

    @classmethod
    def of(cls, row: int, matches: Matches, files: Sequence[str]) -> Rejected:
        """Return a label file that lost its image.

        Args:
            row: Its reference.
            matches: All matches.
            files: The label files of all references.
        """
        if matches.outcome[row] == MatchOutcome.SECOND_LABEL:
            winner = matches.winner.get(row)
            return cls(files[row], "second_label", "" if winner is None else files[winner])
        return cls(files[row], "unlisted_label", "")


class LabelledImages:
    """Decides by their paths which label files are read, and which images they describe."""

    def __init__(self, tree: Tree, scope: Scope, references: References, log: FindingLog) -> None:
        """Match the label files on disk.

        Raises:
            DatasetError: There are images and label files, but none match.
        """
        self._tree = tree
        self._scope = scope
        self._index = scope.index
        self._references = references
        self._log = log
        blocked_files = tree.blocked_files(*references.extensions)
        self.files: list[str] = [*references.files, *references.others, *blocked_files]
        """All label files on disk."""
        self.rejected: list[Rejected] = []
        self.blocked: set[str] = set()
        """Normalised paths that cannot be opened and are reported with their images."""
        table = ReferenceTable(self.files, shared=not references.declares_names)
        self._matches = associate(self._index, table)
        wanted = self._in_wanted_splits()
        self._images, self._rows = self._matched(wanted)
        """The images of label files that are read, and the row of each label file in `files`."""
        absent = self._reject_strangers(wanted & (self._matches.image[: len(wanted)] < 0))
        rows = np.asarray(absent, np.int64)
        exact_only = rows[is_one_of(self._matches.outcome[rows], EXACT_ONLY)].tolist()
        self._exact_only = {*map(self.files.__getitem__, exact_only)}
        # Built before they are needed: meanwhile, other processes may be reading the label files.
        self._paths = self._index.paths()
        self._on_disk = self._index.all_on_disk()
        self._absent = self._name_absent([self.files[row] for row in absent])
        """The names of images that are not on disk, by the label file."""
        self.accepted = [*map(self.files.__getitem__, self._rows.tolist()), *self._absent]
        """The label files to read, once for each of their images."""
        self._check_any_match()

    def _in_wanted_splits(self) -> NDArray[np.bool_]:
        """Return (n,), whether each of the n files to read belongs to a requested split."""
        splits = self._references.splits
        of_file = self._references.files
        if splits is None:
            return np.ones(len(of_file), np.bool_)
        return np.asarray([split in splits for split in of_file.values()], np.bool_)

    def _matched(self, wanted: NDArray[np.bool_]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
        """Return the images that label files describe, and the row of each label file."""
        image = self._matches.image[: len(wanted)]
        found = np.flatnonzero(image >= 0)
        more_images: list[int] = []
        more_rows: list[int] = []
        for row, all_images in self._matches.more.items():
            if row < len(wanted):
                more_images += all_images[1:]
                more_rows += [row] * (len(all_images) - 1)
        images = np.concatenate([image[found], np.asarray(more_images, np.int32)])
        rows = np.concatenate([found, np.asarray(more_rows, np.int64)])
        belongs = self._scope.wanted()[images] | (wanted[rows] & ~self._scope.member[images])
        images, rows = images[belongs], rows[belongs]
        if self._references.scoped:
            order = np.argsort(images, kind="stable")
            images, rows = images[order], rows[order]
        return images, rows

    def _reject_strangers(self, without_image: NDArray[np.bool_]) -> list[int]:
        """Reject label files outside the dataset, and return the others without images.

        Args:
            without_image: (n,), whether each of the n files to read lacks an image on disk.
        """
        count = len(without_image)
        rejected = without_image & np.isin(self._matches.outcome[:count], NOT_READ)
        if self._references.label_folders is not None:
            rejected |= self._outside_label_folders(without_image)
        for row in np.flatnonzero(rejected).tolist():
            self.rejected.append(Rejected.of(row, self._matches, self.files))
        return np.flatnonzero(without_image & ~rejected).tolist()

    def _outside_label_folders(self, among: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of some label files are in no folder that belongs to the dataset."""
        folders = self._references.label_folders or ()
        tops = tuple(f"{folder}/" if folder else "" for folder in folders)
        outside = among.copy()
        for row in np.flatnonzero(among).tolist():
            outside[row] = not self.files[row].startswith(tops)
        return outside

    def _name_absent(self, files: Sequence[str]) -> dict[str, str]:
        """Return the names of images that are not on disk; a second label file is rejected."""
        if self._references.declares_names:
            return dict.fromkeys(files, "")
        taken = dict.fromkeys(self._paths, "") if files else {}
        names: dict[str, str] = {}
        for file in files:
            name = name_of_label(self._tree, file)
            if name in taken:
                self.rejected.append(Rejected(file, "second_label", taken[name] or name))
            else:
                taken[name] = file
                names[file] = name
        return names

    def _check_any_match(self) -> None:
        """Raise an error if there are images and label files, but no name in common."""
        labels = [*self._absent, *(each.file for each in self.rejected)]
        if len(self._images) or not labels:
            return
        members = np.flatnonzero(self._scope.wanted()).tolist()
        here = [image for image in members if self._on_disk[image]]
        if not here or 2 * len(here) < len(self._absent):
            return
        stems = {normalise_name(own_stem(label)) for label in labels}
        if any(normalise_name(image_stem(name)) in stems for name in self._index.names):
            return
        image = self._index.path(here[0])
        raise DatasetError(
            f"{image}: no label file matches an image (for example {labels[0]}). "
            "A label file needs the name of its image, and belongs in a folder 'labels' next to "
            "'images', or next to its image.",
            place=image,
        )

    def images_of(self, files: list[str]) -> tuple[Images, NDArray[np.int32]]:
        """Return the images of the dataset, and the row of the image of each file.

        Images without a label file are included. Those whose label file was accepted but could not
        be read are not.

        Args:
            files: The accepted files that a reader read.
        """
        read = _are_read(self.accepted, files)
        count = len(self._images)
        members = self._members(self._images[~read[:count]])
        absent = [file for file, kept in zip(self._absent, read[count:], strict=True) if kept]
        rows_on_disk = np.searchsorted(members, self._images[read[:count]])
        rows = np.concatenate([rows_on_disk, len(members) + np.arange(len(absent))])
        split, splits = self._splits_of(members, absent)
        self._report()
        names = [*self._paths]
        opened = [*self._on_disk]
        if len(members) < len(names):
            names = [self._paths[image] for image in members.tolist()]
            opened = [self._on_disk[image] for image in members.tolist()]
        exact = np.zeros(len(members), np.bool_)
        if self._scope.uncertain:
            exact[:] = [name in self._scope.uncertain for name in names]
        exact = np.append(exact, [file in self._exact_only for file in absent]).astype(np.bool_)
        names += [self._absent[file] for file in absent]
        opened += [""] * len(absent)
        unknown = np.zeros(len(names), np.int32)
        images = Images(names, unknown, unknown, opened, split, splits, exact)
        return images, rows.astype(np.int32)

    def _members(self, unreadable: NDArray[np.int32]) -> NDArray[np.int64]:
        """Return the images of the dataset that are on disk or listed.

        Args:
            unreadable: The images whose label file could not be read; they are omitted.
        """
        members = self._scope.wanted()
        unlabelled = members.copy()
        unlabelled[self._images] = False
        members[self._images] = True
        without_label = np.flatnonzero(unlabelled).tolist()
        self._log.read(images=len(without_label))
        extension = next(iter(self._references.extensions), "")
        candidates = {image: self._paths[image] for image in without_label}
        blocked = blocked_labels(self._tree, candidates, extension)
        for label, blocked_path, reason in blocked.values():
            self._log.note("unreadable_file", label, reason)
            self.blocked.add(blocked_path)
        members[[*unreadable.tolist(), *blocked]] = False
        return np.flatnonzero(members)

    def _splits_of(
        self, members: NDArray[np.int64], absent: Sequence[str]
    ) -> tuple[NDArray[np.int32], list[str]]:
        """Return the split codes of images and of label files without one, and the splits."""
        codes = {"": -1} | {split: code for code, split in enumerate(self._scope.splits)}
        of_label = [*self._references.files.values()]
        # Images outside the dataset have the splits of their label files.
        outside = ~self._scope.member[self._images]
        split_of: dict[int, str] = {}
        for image, row in zip(self._images[outside], self._rows[outside], strict=True):
            split_of[int(image)] = of_label[row]
        of_absent = [self._references.files[file] for file in absent]
        for split in (*of_absent, *split_of.values()):
            codes.setdefault(split, len(codes) - 1)
        of_member = self._scope.split[members]
        for at in np.flatnonzero(np.isin(members, [*split_of])).tolist():
            of_member[at] = codes[split_of[int(members[at])]]
        absent_codes = np.asarray([codes[split] for split in of_absent], np.int32)
        return _renumbered(np.concatenate([of_member, absent_codes]), codes)

    def _report(self) -> None:
        """Report how the images of the accepted label files were found."""
        matches = self._matches
        paths = self._paths
        accepted = self._rows
        if self._absent:
            row_of = {file: row for row, file in enumerate(self.files)}
            accepted = np.concatenate([accepted, [row_of[file] for file in self._absent]])

        def name_of(row: int) -> str:
            image = matches.image[row]
            return paths[image] if image >= 0 else self._absent[self.files[row]]

        table = ReferenceTable(self.files)
        report_matches(self._index, table, matches, name_of, accepted, self._log)
        for row, images in matches.more.items():
            if matches.outcome[row] == MatchOutcome.MATCHED:
                shared = " and ".join(paths[image] for image in images)
                self._log.note("shared_label", self.files[row], shared)


def _renumbered(
    found: NDArray[np.int32], codes: dict[str, int]
) -> tuple[NDArray[np.int32], list[str]]:
    """Return codes from 0 on in the order of their first use, and the names of the used ones."""
    used = [code for code in distinct_codes(found) if code >= 0]
    names = {code: name for name, code in codes.items()}
    new_codes = np.full(len(codes), -1, np.int32)
    new_codes[used] = np.arange(len(used))
    return np.where(found >= 0, new_codes[found], np.int32(-1)), [names[code] for code in used]


def _are_read(accepted: Sequence[str], read: Sequence[str]) -> NDArray[np.bool_]:
    """Return for each accepted file whether a reader returned an image for it.

    Raises:
        PluginError: The reader returned other files, or in another order.
    """
    if accepted == read:
        return np.ones(len(accepted), np.bool_)
    remaining = iter(read)
    wanted = next(remaining, None)
    kept = np.zeros(len(accepted), np.bool_)
    for at, file in enumerate(accepted):
        if file == wanted:
            kept[at] = True
            wanted = next(remaining, None)
    counts = Counter(accepted)
    incomplete = [file for file, count in Counter(read).items() if count != counts[file]]
    if wanted is not None or incomplete:
        file = wanted or incomplete[0]
        raise PluginError(
            f"{file}: the reader must return one image for each file, in the order of the files. "
            "Update its package.",
            place=file,
        )
    return kept
