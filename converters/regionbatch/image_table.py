"""The images of a dataset: their files, names and splits, from the matches of its references."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.association import associate
from regionbatch.dataset import Images
from regionbatch.dataset.columns import distinct_codes, texts_of
from regionbatch.errors import PluginError
from regionbatch.files.tree import Tree
from regionbatch.image_labels import EXACT_ONLY, NOT_READ, LabelledImages, Rejected
from regionbatch.image_names import (
    names_of_declared,
    names_of_label_files,
    plain_names,
    rows_outside,
)
from regionbatch.image_reports import report_matches, report_names, report_no_images
from regionbatch.image_scope import Scope
from regionbatch.matches import ReferenceTable, is_one_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import PurePath

    from numpy.typing import NDArray

    from regionbatch.dataset import ImageReferences, References
    from regionbatch.findings import FindingLog


class ImageTable:
    """The images of a dataset: found by the paths of label files, then by the names in files."""

    def __init__(
        self, tree: Tree, image_dirs: Sequence[PurePath], references: References, log: FindingLog
    ) -> None:
        """List the images and match the label files.

        Args:
            tree: The files of the dataset.
            image_dirs: The folders that `image_dir` names.
            references: The annotation files that a reader found.
            log: Where matches are reported.
        """
        self._references = references
        self._log = log
        scope = Scope([tree, *map(Tree, image_dirs)], references, log)
        self._index = scope.index
        report_no_images(tree, self._index, log)
        self.accepted: list[str] = [*references.files]
        """The annotation files to read; a label file once for each of its images."""
        self.rejected: list[Rejected] = []
        """Label files whose paths show that they are not part of the dataset."""
        self.lost: dict[int, Rejected] = {}
        """Label files whose content shows that they are not part of the dataset, by reference."""
        self.blocked: set[str] = set()
        """Normalised paths that cannot be opened, and were reported with the images of labels."""
        self._labelled: LabelledImages | None = None
        if references.one_image_each:
            self._labelled = LabelledImages(tree, scope, references, log)
            self.accepted = self._labelled.accepted
            self.rejected = self._labelled.rejected
            self.blocked = self._labelled.blocked

    def finish(self, found: ImageReferences) -> tuple[Images, NDArray[np.int32]]:
        """Return the images of the dataset, and the row of the image of each reference.

        Args:
            found: The n references that the reader returned for the accepted files.

        Returns:
            The images, and their rows (n,).
        """
        files = self._files_of(found)
        if self._labelled is not None and not self._references.declares_names:
            return self._labelled.images_of(files)
        declared = texts_of(found.split, found.splits) if found.splits else []
        if not found.splits:
            found = self._with_splits(found)
        return self._of_names(found, files, declared)

    def _files_of(self, found: ImageReferences) -> list[str]:
        """Return the file of each reference.

        Raises:
            PluginError: A reader returned a file that it was not asked to read.
        """
        known = self._log.files
        first = max(0, int(found.file[0])) if len(found) else 0
        files = known[first : first + len(found)]
        if files == self.accepted and (found.file == np.arange(first, first + len(found))).all():
            return files  # registered in this order, as usual
        for code in distinct_codes(found.file):
            if not 0 <= code < len(known) or known[code] not in self._references.files:
                raise PluginError(
                    f"ImageReferences.file: not the code of a file to read: '{code}'. "
                    "Update the reader.",
                    value=code,
                )
        return texts_of(found.file, known)

    def _with_splits(self, found: ImageReferences) -> ImageReferences:
        """Return references with the splits of their files."""
        known = self._log.files
        used = distinct_codes(found.file)
        of_used = [self._references.files[known[code]] for code in used]
        splits = [*dict.fromkeys(filter(None, of_used))]
        codes = {"": -1} | {split: code for code, split in enumerate(splits)}
        new = np.full(len(known), -1, np.int32)
        new[used] = [codes[split] for split in of_used]
        return replace(found, split=new[found.file], splits=splits)

    def _of_names(
        self, found: ImageReferences, files: list[str], splits: Sequence[str]
    ) -> tuple[Images, NDArray[np.int32]]:
        """Return an image for each reference, matched by its names and declared size."""
        table = self._references_by_name(found, files, splits)
        matches = associate(self._index, table)
        images = matches.image[: len(files)]
        outcome = matches.outcome[: len(files)]
        outside = rows_outside(table.files, table.names)
        names = self._names_of(images, table, found, outside)
        rows = np.arange(len(files))
        report_matches(self._index, table, matches, names.__getitem__, rows, self._log)
        report_names(self._index, found.file, matches, table, names, outside, self._log)
        paths = texts_of(images, self._index.all_on_disk())
        for row in np.flatnonzero(is_one_of(outcome, NOT_READ)).tolist():
            self.lost[row] = Rejected.of(row, matches, table.files)
        exact = is_one_of(outcome, EXACT_ONLY)
        result = Images(names, found.width, found.height, paths, found.split, found.splits, exact)
        return result, rows.astype(np.int32)

    def _references_by_name(
        self, found: ImageReferences, files: list[str], splits: Sequence[str]
    ) -> ReferenceTable:
        """Return the references, then the label files that were not read: they match images too."""
        sizes = np.stack([found.width, found.height], axis=1)
        if self._labelled is None:
            return ReferenceTable(
                files, plain_names(found.names), sizes, by_label=False, splits=splits
            )
        read = {*files}
        others = [file for file in self._labelled.files if file not in read]
        names = [*plain_names(found.names), *[""] * len(others)]
        sizes = np.pad(sizes, ((0, len(others)), (0, 0)))
        return ReferenceTable([*files, *others], names, sizes)

    def _names_of(
        self,
        images: NDArray[np.int32],
        table: ReferenceTable,
        found: ImageReferences,
        outside: Sequence[int],
    ) -> list[str]:
        """Return the name of the image of each reference.

        Args:
            images: (n,), the image of each reference; -1: none.
            table: The references, their names with `/`.
            found: The n references as the reader returned them.
            outside: The rows of names that lead outside the dataset.
        """
        names = texts_of(images, self._index.paths())
        absent = np.flatnonzero(images < 0).tolist()
        if table.by_label:
            names_of_absent = names_of_label_files(table.files, table.names, absent)
        else:
            splits = texts_of(found.split, found.splits)
            declaring = [*self._references.files, *self._references.others]
            names_of_absent = names_of_declared(
                table.files, table.names, splits, declaring, absent, outside
            )
        if len(absent) == len(names):
            return names_of_absent
        for row, name in zip(absent, names_of_absent, strict=True):
            names[row] = name
        return names
