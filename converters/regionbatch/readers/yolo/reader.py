"""The YOLO reader: a text file per image, as Ultralytics, darknet, labelImg and Label Studio write.

Sources of the rules: the dataset documentation of Ultralytics (rows, data.yaml, `images` next to
`labels`) and that of darknet (obj.data, obj.names).
"""

from __future__ import annotations

from itertools import starmap
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations
from regionbatch.dataset.columns import computed, kept_rows, rows_of
from regionbatch.errors import DatasetError
from regionbatch.findings import FindingLog
from regionbatch.options import YoloOptions
from regionbatch.readers.yolo import row_checks
from regionbatch.readers.yolo.class_names import LabelFiles, find_class_names, folders_of
from regionbatch.readers.yolo.dataset_configs import find_configs
from regionbatch.readers.yolo.detection import detect
from regionbatch.readers.yolo.first_class import detect_first_class, some_class_0_is_unused
from regionbatch.readers.yolo.label_files import find_label_files
from regionbatch.readers.yolo.label_parts import (
    LabelPart,
    RowTable,
    divide,
    join_parts,
    read_label_files,
)
from regionbatch.readers.yolo.references import find_references, known_lists
from regionbatch.readers.yolo.rotation import detect_rotation_unit
from regionbatch.readers.yolo.rows import far_outside
from regionbatch.readers.yolo.split_sources import has_sources

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import References
    from regionbatch.files.tree import Tree
    from regionbatch.options import ReadOptions
    from regionbatch.readers.yolo.class_names import ClassNames
    from regionbatch.readers.yolo.dataset_configs import DatasetConfig
    from regionbatch.readers.yolo.rows import LabelRows


class YoloReader:
    """Reads YOLO datasets; see `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of YOLO label files with a data.yaml, obj.data or classes.txt"
    options: ClassVar[type[ReadOptions]] = YoloOptions

    def detect(self, tree: Tree) -> str | None:
        """Return what shows that this is a YOLO dataset; None if nothing does."""
        return detect(tree)

    def references(self, tree: Tree, options: YoloOptions, log: FindingLog) -> References:
        """Return the label files of a dataset, and the folders and lists of its images.

        Args:
            tree: The files of the dataset.
            options: The options of this reader.
            log: Where findings and decisions are reported.

        Raises:
            DatasetError: There is nothing to read.
        """
        return find_references(tree, options, log)

    def read(
        self, tree: Tree, files: Sequence[str], options: YoloOptions, log: FindingLog
    ) -> RawAnnotations:
        """Read label files.

        Args:
            tree: The files of the dataset.
            files: The paths of the label files.
            options: The options of this reader.
            log: Where findings and decisions are reported.

        Raises:
            DatasetError: Nothing can be read.
        """
        jobs = self.parts(tree, files, options, 1)
        return self.merge(tree, files, options, log, jobs, starmap(self.read_part, jobs))

    def parts(
        self, tree: Tree, files: Sequence[str], options: YoloOptions, n: int
    ) -> Sequence[tuple[Any, ...]]:
        """Divide label files into parts; see `regionbatch.plugins.PartsReader`."""
        configs = find_configs(tree, FindingLog(), names=options.names is None)
        keypoint_values = _first_keypoint_values(_configs_for_kpt_shape(tree, configs))
        return divide(tree, files, n, options.yolo_rows, keypoint_values)

    read_part = staticmethod(read_label_files)

    def merge(
        self,
        tree: Tree,
        files: Sequence[str],
        options: YoloOptions,
        log: FindingLog,
        jobs: Sequence[tuple[Any, ...]],  # noqa: ARG002 - see the contract
        results: Iterable[LabelPart],
    ) -> RawAnnotations:
        """Join the parts, and decide what all rows mean.

        Raises:
            DatasetError: Nothing can be read.
        """
        configs = find_configs(tree, log, names=options.names is None)
        log.read(images=len(files))
        with_kpt_shape = _configs_for_kpt_shape(tree, configs)
        keypoint_values = _first_keypoint_values(with_kpt_shape)
        first_code = len(log.files)
        folders = folders_of(files)  # while other processes read
        table = join_parts(results, files, log)
        if options.yolo_rows == "auto":
            row_checks.raise_if_kpt_shapes_differ(table.rows, with_kpt_shape)
            row_checks.check_for_track_ids(table.rows, table.file, log)
        table = _without_pixels(table, log)
        unit = _decide_row_format(table, options.yolo_rows, keypoint_values, log)
        labels = LabelFiles(folders, first_code, table.file)
        names = find_class_names(tree, configs, options.names, labels, log)
        if options.yolo_first_class == "auto":
            first_class = detect_first_class(table.rows, names, table.file, log)
            if options.split is not None and some_class_0_is_unused(table.rows, names, table.file):
                _check_first_class_of_all_splits(tree, configs, options, keypoint_values)
        else:
            first_class = int(options.yolo_first_class)
            log.decide("yolo_first_class", options.yolo_first_class, "as requested")
        return _annotations(table, names, first_class, unit, log)


def _configs_for_kpt_shape(tree: Tree, configs: Sequence[DatasetConfig]) -> Sequence[DatasetConfig]:
    """Return the configs whose `kpt_shape` counts.

    Only the one with the splits counts, or all if each belongs to a dataset of its own.
    """
    with_splits = [config for config in configs if config.splits]
    if with_splits and with_splits[0].only_names_count:
        return [config for config in with_splits if has_sources(tree, config)]
    return with_splits[:1] or configs


def _first_keypoint_values(configs: Sequence[DatasetConfig]) -> int:
    return next((config.keypoint_values for config in configs if config.keypoint_values), 0)


def _without_pixels(table: RowTable, log: FindingLog) -> RowTable:
    """Return the rows without those in pixels, which are dropped and reported."""
    rows = table.rows
    far = far_outside(rows)
    row_checks.raise_if_pixels(rows, far, table.file, log)
    if not far.any():
        return table
    log.add("pixel_row", table.file[far], rows.line[far], rows.box[far])
    return table.take(~far)


def _check_first_class_of_all_splits(
    tree: Tree, configs: Sequence[DatasetConfig], options: YoloOptions, keypoint_values: int
) -> None:
    """Raise an error if the classes of the whole dataset may be numbered from 1.

    One split alone does not always show it.

    Raises:
        AmbiguousDatasetError: They may be numbered from 1.
    """
    log = FindingLog()  # the other splits are not read: nothing else in them counts
    by_folder = find_label_files(tree, known_lists(tree, configs), log)
    labels = [label for _, labels in by_folder for label in labels]
    first_code = len(log.files)
    parts = divide(tree, labels, 1, options.yolo_rows, keypoint_values)
    table = join_parts(starmap(read_label_files, parts), labels, log)
    try:
        names = find_class_names(
            tree,
            configs,
            options.names,
            LabelFiles(folders_of(labels), first_code, table.file),
            log,
        )
    except DatasetError:  # about class lists of the other splits
        return
    detect_first_class(table.rows, names, table.file, log)


def _decide_row_format(
    table: RowTable, row_format: str, keypoint_values: int, log: FindingLog
) -> str:
    """Report how the rows are read, and return the unit of their rotations.

    Returns:
        `degrees` or `radians`; empty if the rows have no rotations.

    Raises:
        AmbiguousDatasetError: Nothing shows what the rows mean.
    """
    unit = row_format.removeprefix("xywhr-") if row_format.startswith("xywhr-") else ""
    reason = "as requested"
    if row_format == "auto":
        reason = "by number of columns"
        if keypoint_values:
            reason += f"; kpt_shape means {5 + keypoint_values} numbers per box"
        row_checks.raise_if_kpt_shape_does_not_fit(keypoint_values, log)
        row_checks.raise_if_keypoints(table.rows, table.file, log)
        unit = detect_rotation_unit(table.rows, table.file, log)
        if not unit:
            row_checks.check_order(table.rows, log)
    polygons = int(np.count_nonzero(table.rows.is_polygon))
    counts = f"boxes: {len(table.rows.box) - polygons}, polygons: {polygons}"
    log.decide("yolo_rows", f"xywhr-{unit}" if unit else row_format, f"{counts}; {reason}")
    return unit


def _annotations(
    table: RowTable, names: ClassNames, first_class: int, unit: str, log: FindingLog
) -> RawAnnotations:
    """Return the annotations; drop and report rows whose class has no name."""
    number, file = table.rows.class_number, table.file
    tag = computed(
        len(file), lambda block: names.tag(file[block], number[block] - first_class), np.int32
    )
    has_name = tag >= 0
    if not has_name.all():
        unknown = ~has_name
        log.add("unknown_class", file[unknown], table.rows.line[unknown], number[unknown])
        table = table.take(has_name)
        tag = kept_rows(tag, has_name)
    rows = table.rows
    has_extra_column = ~rows.is_polygon & (rows.length > (6 if unit else 5))
    no_size = np.zeros(len(table.files), np.int32)
    return RawAnnotations(
        mode=BoxMode.CXCYWH_REL,
        box=rows.box,
        image=table.image,
        tag=tag,
        images=ImageReferences([""] * len(table.files), table.files, no_size, no_size),
        tags=names.tags,
        file=table.file,
        where=rows.line,
        marks={
            "box_from_shape": rows_of(rows.is_polygon),
            "extra_column": rows_of(has_extra_column),
        },
        angle=_angles(rows, unit) if unit else None,
    )


def _angles(rows: LabelRows, unit: str) -> NDArray[np.float64]:
    """Return the rotation of each row in radians."""

    def of_block(block: slice) -> NDArray[np.float64]:
        is_rotated = ~rows.is_polygon[block] & (rows.length[block] >= 6)
        angle = np.where(is_rotated, rows.last[block], 0.0)
        return np.deg2rad(angle) if unit == "degrees" else angle

    return computed(len(rows.last), of_block, np.float64)
