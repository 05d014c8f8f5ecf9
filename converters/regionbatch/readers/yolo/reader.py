"""YOLO: a text file per image, as Ultralytics, darknet, labelImg and Label Studio write them.

Sources of the rules: Ultralytics' description of its datasets (rows, data.yaml, `images` next to `labels`) and
darknet's (obj.data, obj.names).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.errors import DatasetError, DatasetNotFoundError
from regionbatch.files.splits import split_of_folder
from regionbatch.files.text import UnreadableError, sniffed
from regionbatch.findings import FindingLog, as_text
from regionbatch.options import YoloOptions
from regionbatch.readers.helper import Helper
from regionbatch.readers.yolo import evidence, tables
from regionbatch.readers.yolo import rows as rows_of
from regionbatch.readers.yolo.class_names import ClassNames, Labels, class_names, shortened
from regionbatch.readers.yolo.descriptions import find_configs
from regionbatch.readers.yolo.label_files import begins_with_row, first_row, label_files, may_be_label
from regionbatch.readers.yolo.places import (
    apart,
    folders_of,
    forgotten_folders,
    forgotten_lists,
    home_of,
    label_homes,
    leads_somewhere,
    list_files,
    listed_images,
    places_of,
    wanted_splits,
)
from regionbatch.unknown_formats import is_row_of_others

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.dataset import ListedImage
    from regionbatch.files.tree import Tree
    from regionbatch.options import ReadOptions
    from regionbatch.readers.yolo.descriptions import Config

_HELPED = 20_000
"""Label files from which on a helper is worth its start."""

_SAMPLE, _MOST_LOOKED_AT = 20, 1000
"""Label files with something in them that detection looks at, and text files at all; empty ones tell nothing."""


class YoloReader:
    """Reads YOLO datasets; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of YOLO label files with a data.yaml, obj.data or classes.txt"
    options: ClassVar[type[ReadOptions]] = YoloOptions

    def detect(self, tree: Tree) -> str | None:
        """Return a data.yaml or obj.data with names, or a label file whose first line is numbers."""
        for name in tree.candidates(".yaml", ".yml", ".data"):
            if name.count("/") < 3 and name.lower().endswith(_DESCRIPTIONS) and _mentions(tree, name):
                return name
        if tree.named:
            return None
        looked_at = islice(tree.files(".txt"), _MOST_LOOKED_AT)
        filled = (name for name in looked_at if may_be_label(tree, name) and first_row(tree, name))
        rows = (name for name in islice(filled, _SAMPLE) if begins_with_row(tree, name))
        return next((name for name in rows if not is_row_of_others(b" ".join(first_row(tree, name)))), None)

    def references(self, tree: Tree, options: YoloOptions, log: FindingLog) -> References:
        """Return the label files, and the folders and lists of images."""
        configs = find_configs(tree, FindingLog(), names=False)  # what is found in them is reported by `read`
        with_splits = [config for config in configs if config.splits]
        lists = _lists(tree, configs)
        governed = bool(with_splits) and not with_splits[0].is_deep
        places = places_of(tree, with_splits[0], options.split, log) if governed else None
        if places is not None:
            together = apart(with_splits, tree)
            for config in together[1:]:
                places |= places_of(tree, config, options.split, log) or {}
            _report_others(tree, together, [config for config in with_splits if config not in together], log)
            return _by_places(tree, places, lists, with_splits[0].file, options, log)
        files = {file: split_of_folder(file) for file in label_files(tree, lists, log)}
        if governed:
            _decide_by_folders(with_splits[0], files, log)
        folders = {split_of_folder(f"{folder}/") for folder, _ in tree.folders() if tree.has_images(folder)}
        splits = wanted_splits(options.split, {*folders, *files.values()} - {""}, str(tree.root))
        if not files and not any(tree.has_images(folder) for folder, _ in tree.folders()):
            raise DatasetError(
                f"{tree.root}: no images and no label files here; check the folder, or --format", option="format"
            )
        return References(
            files,
            one_image_each=True,
            declares_names=False,
            image_folders={"": None},
            extensions=(".txt",),
            splits=splits,
        )

    def read(self, tree: Tree, files: Sequence[str], options: YoloOptions, log: FindingLog) -> RawAnnotations:
        """Read label files."""
        configs = find_configs(tree, log, names=options.names is None)
        log.read(images=len(files))
        counting = _counting(tree, configs)
        keypoints = next((config.keypoints for config in counting if config.keypoints), 0)
        first = len(log.files)
        rows, image, file, codes = _read_rows(tree, files, options.yolo_rows, keypoints, log)
        if options.yolo_rows == "auto":
            evidence.refuse_two_shapes(rows, counting)
            evidence.refuse_tracks(rows, file, log)
        rows, image, file = _without_pixels(rows, image, file, log)
        unit = _rotation_unit(rows, options.yolo_rows, keypoints, file, log)
        names = class_names(tree, configs, options.names, Labels(files, first, file), log)
        if options.yolo_first_class == "auto":
            first_class = evidence.first_class(rows, names, file, log)
            if options.split is not None and evidence.lacks_first(rows, names, file):
                _refuse_by_other_splits(tree, configs, options, keypoints)
        else:
            first_class = int(options.yolo_first_class)
            log.decide("yolo_first_class", options.yolo_first_class, "as asked")
        unknown = np.zeros(len(codes), np.int32)
        images = ImageReferences([""] * len(codes), codes, unknown, unknown)
        return _annotations(rows, image, file, images, names, first_class, unit, log)


_DESCRIPTIONS = (".yaml", ".yml", ".data")


def _mentions(tree: Tree, name: str) -> bool:
    """Return whether a description has one of the keys `names` and `train`."""
    try:
        text = sniffed(tree.read(name)[:65536])
    except UnreadableError:
        return False
    keys = (line.split(b":")[0].split(b"=")[0].strip() for line in text.splitlines())
    return any(key in (b"names", b"train") for key in keys)


def _counting(tree: Tree, configs: Sequence[Config]) -> Sequence[Config]:
    """Return the descriptions whose `kpt_shape` counts: that of the splits, or all where each is of a dataset apart."""
    described = [config for config in configs if config.splits]
    if described and described[0].is_deep:
        return [config for config in described if leads_somewhere(tree, config)]
    return described[:1] or configs


def _decide_by_folders(config: Config, files: Mapping[str, str], log: FindingLog) -> None:
    """Say that a description leads nowhere, and that its folder is read as it is.

    Raises:
        DatasetNotFoundError: There is no label file to read in place of it.
    """
    wanted = ", ".join(entry for entries in config.splits.values() for entry in entries)
    if not files:
        raise DatasetNotFoundError(
            f"{config.file}: none of its folders is here, got {as_text(wanted) or 'no paths'}; "
            "correct the paths in it, or name the folder of the dataset instead",
            place=config.file,
        )
    log.decide("split", "by folders", f"nothing that {config.file} names is here: {as_text(wanted)}", doubtful=True)


def _report_others(tree: Tree, together: Sequence[Config], others: Sequence[Config], log: FindingLog) -> None:
    """Say which of several descriptions the splits were taken from, if others lead somewhere too."""
    if len(together) > 1:
        log.decide("split", f"by {shortened([each.file for each in together])}", "each is about its own folder")
    config = together[0]
    here = [other for other in others if leads_somewhere(tree, other)]
    different = [other for other in here if all(_meant(other) != _meant(each) for each in together)]
    for other in (different or here)[:1]:
        shown = f"{other.file} says something else" if different else f"{other.file} says the same"
        log.decide("split", f"by {config.file}", shown, doubtful=bool(different))


def _meant(config: Config) -> tuple[object, ...]:
    return config.file.rpartition("/")[0], config.home, config.splits, config.keypoints


def _by_places(
    tree: Tree, places: dict[str, str], lists: set[str], file: str, options: YoloOptions, log: FindingLog
) -> References:
    """Return the label files and images of the folders and lists that a description names, or forgets."""
    if forgotten := forgotten_lists(tree, places, log):
        places = places | forgotten
        for place, split in forgotten.items():
            log.decide("split", f"all, also {split}", f"{place} lists images that are here, though {file} forgets it")
    folders = {place: split for place, split in places.items() if place not in tree}
    listed = [
        each for place, split in places.items() if place in tree for each in listed_images(tree, place, split, log)
    ]
    labels = [*label_files(tree, {*lists, *forgotten}, log)]
    homes = label_homes(tree, folders)
    if options.split is None:
        nowhere = {
            folder for folder in {label.rpartition("/")[0] for label in labels} if home_of(folder, homes) is None
        }
        unlisted = [label for label in labels if label.rpartition("/")[0] in nowhere] if nowhere else []
        if listed:
            unlisted = [*_without_listed(unlisted, listed)]
        more = forgotten_folders(tree, unlisted, places, folders_of(tree, listed))
        for split in dict.fromkeys(more.values()):
            log.decide("split", f"all, also {split}", "its folder is here, though no line of the dataset names it")
        folders |= more
        homes |= label_homes(tree, more)
    folder_of = [label.rpartition("/")[0] for label in labels]
    split_of = {folder: homes.get(home_of(folder, homes) or "", "") for folder in {*folder_of}}
    files = {label: split_of[folder] for label, folder in zip(labels, folder_of, strict=True)}
    return References(
        files,
        one_image_each=True,
        declares_names=False,
        label_folders=[*homes],
        image_folders=folders,
        listed=listed,
        extensions=(".txt",),
        splits=wanted_splits(options.split, set(places.values()) - {""}, file, file=file),
    )


def _without_listed(labels: Sequence[str], listed: Sequence[ListedImage]) -> Iterator[str]:
    """Yield the label files of whose name no listed image is."""
    names = {each.name.replace("\\", "/").rpartition("/")[2] for each in listed}
    stems = {name.rpartition(".")[0] for name in names} | names
    return (label for label in labels if label.rpartition("/")[2][:-4] not in stems)


def _read_rows(
    tree: Tree, labels: Sequence[str], kind: str, keypoints: int, log: FindingLog
) -> tuple[rows_of.Rows, NDArray[np.int32], NDArray[np.int32], NDArray[np.int32]]:
    """Return the rows of label files, the image and the file of each row, and the file of each image.

    Files that cannot be read have no image.
    """
    files = log.add_files(labels)
    readable = np.ones(len(labels), np.bool_)
    parsed: list[rows_of.Rows] = []
    image_of: list[NDArray[np.int32]] = []
    start = 0
    for block in _blocks([tree.on_disk(label) for label in labels]):
        here = slice(start, start := start + block.files)
        rows, spoilt = rows_of.interpret(tables.tabulate(block), kind, keypoints, log, files[here])
        unreadable = block.unreadable | dict.fromkeys(spoilt, tables.TOO_MANY_BAD_ROWS)
        for number, why in unreadable.items():
            log.note("unreadable_file", labels[here][number], why)
            readable[here][number] = False
        for number in block.guessed:
            log.note("odd_encoding", labels[here][number])
        parsed.append(rows)
        image_of.append((rows.file + here.start).astype(np.int32))
        log.progress("reading label files", start, len(labels))
    rows = rows_of.Rows(*(np.concatenate(columns) for columns in zip(*parsed, strict=True)))
    image = np.concatenate(image_of)
    codes = (np.cumsum(readable) - 1).astype(np.int32)
    return rows, codes[image], files[image], files[readable]


def _blocks(paths: list[str]) -> Iterator[tables.Block]:
    """Yield the label files, some at a time. Of many, a helper reads the second half meanwhile."""
    if len(paths) < _HELPED:
        yield from tables.load(paths)
        return
    half = len(paths) // 2
    with Helper(tables.load, paths[half:]) as helper:
        yield from tables.load(paths[:half])
        helped = helper.items()
        yield from tables.load(paths[half:]) if helped is None else helped


def _without_pixels(
    rows: rows_of.Rows, image: NDArray[np.int32], file: NDArray[np.int32], log: FindingLog
) -> tuple[rows_of.Rows, NDArray[np.int32], NDArray[np.int32]]:
    """Return the rows, and the image and file of each, without those that are in pixels: they are dropped."""
    far = rows_of.far(rows)
    evidence.refuse_pixels(rows, far, file, log)
    if not far.any():
        return rows, image, file
    log.add("pixel_row", file[far], rows.line[far], rows.box[far])
    return rows.take(~far), image[~far], file[~far]


def _refuse_by_other_splits(tree: Tree, configs: Sequence[Config], options: YoloOptions, keypoints: int) -> None:
    """Raise the error of `evidence.first_class` if the whole dataset counts from 1, though one split does not show it.

    Raises:
        AmbiguousDatasetError: It may count from 1.
    """
    log = FindingLog()  # the other splits are not read: nothing else in them matters
    labels = [*label_files(tree, _lists(tree, configs), log)]
    first = len(log.files)
    rows, _, file, _ = _read_rows(tree, labels, options.yolo_rows, keypoints, log)
    try:
        names = class_names(tree, configs, options.names, Labels(labels, first, file), log)
    except DatasetError:  # lists of the other splits
        return
    evidence.first_class(rows, names, file, log)


def _lists(tree: Tree, configs: Sequence[Config]) -> set[str]:
    """Return the lists of images and of class names that descriptions name."""
    return {*list_files(tree, configs), *(config.names_file for config in configs)}


def _rotation_unit(rows: rows_of.Rows, kind: str, keypoints: int, file: NDArray[np.int32], log: FindingLog) -> str:
    """Return the unit of the rotations of the rows, and decide what the rows are; empty: they have none."""
    unit = kind.removeprefix("xywhr-") if kind.startswith("xywhr-") else ""
    how = "as asked"
    if kind == "auto":
        how = "by their length"
        if keypoints:
            how += f"; kpt_shape says that boxes have {5 + keypoints} numbers"
        evidence.refuse_other_lengths(keypoints, log)
        evidence.refuse_keypoints(rows, file, log)
        unit = evidence.rotation_unit(rows, file, log)
        if not unit:
            evidence.doubt_order(rows, log)
    shapes = int(np.count_nonzero(rows.shape))
    told = f"boxes: {len(rows.box) - shapes}, rows of points: {shapes}; {how}"
    log.decide("yolo_rows", f"xywhr-{unit}" if unit else kind, told)
    return unit


def _annotations(
    rows: rows_of.Rows,
    image: NDArray[np.int32],
    file: NDArray[np.int32],
    images: ImageReferences,
    names: ClassNames,
    first_class: int,
    unit: str,
    log: FindingLog,
) -> RawAnnotations:
    tag = names.tag(file, rows.tag - first_class if first_class else rows.tag)
    named = tag >= 0
    if not named.all():
        unknown = ~named
        log.add("unknown_class", file[unknown], rows.line[unknown], rows.tag[unknown])
        rows, tag = rows.take(named), tag[named]
        image, file = image[named], file[named]
    extra = ~rows.shape & (rows.length > (6 if unit else 5))
    return RawAnnotations(
        mode=BoxMode.CXCYWH_REL,
        box=rows.box,
        image=image,
        tag=tag,
        images=images,
        tags=names.tags,
        file=file,
        where=rows.line,
        marks={"box_from_shape": np.flatnonzero(rows.shape), "extra_column": np.flatnonzero(extra)},
        angle=_angles(rows, unit) if unit else None,
    )


def _angles(rows: rows_of.Rows, unit: str) -> NDArray[np.float64]:
    """Return the rotation of each row in radians."""
    angle = np.where(~rows.shape & (rows.length >= 6), rows.last, 0.0)
    return np.deg2rad(angle) if unit == "degrees" else angle
