"""YOLO: a text file per image, as Ultralytics, darknet, labelImg and Label Studio write them.

Sources of the rules: Ultralytics' description of its datasets (rows, data.yaml, `images` next to `labels`) and
darknet's (obj.data, obj.names).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
from regionbatch.errors import AmbiguousDatasetError, DatasetError, DatasetNotFoundError
from regionbatch.files.splits import split_of_folder
from regionbatch.files.text import UnreadableError, as_utf8
from regionbatch.findings import FindingLog, as_text
from regionbatch.options import YoloOptions
from regionbatch.readers.helper import Helper
from regionbatch.readers.yolo import rows as rows_of
from regionbatch.readers.yolo.class_names import class_names
from regionbatch.readers.yolo.descriptions import find_configs
from regionbatch.readers.yolo.label_files import begins_with_row, first_row, label_files, may_be_label
from regionbatch.readers.yolo.places import (
    folders_of,
    forgotten_folders,
    forgotten_lists,
    label_folders,
    leads_somewhere,
    list_files,
    listed_images,
    places_of,
    wanted_splits,
)

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
        return next((name for name in islice(filled, _SAMPLE) if begins_with_row(tree, name)), None)

    def references(self, tree: Tree, options: YoloOptions, log: FindingLog) -> References:
        """Return the label files, and the folders and lists of images."""
        configs = find_configs(tree, FindingLog(), names=False)  # what is found in them is reported by `read`
        with_splits = [config for config in configs if config.splits]
        lists = {*list_files(tree, with_splits), *(config.names_file for config in configs)}
        places = places_of(tree, with_splits[0], options.split, log) if with_splits else None
        if places is not None:
            _report_others(tree, with_splits[0], with_splits[1:], log)
            return _by_places(tree, places, lists, with_splits[0].file, options, log)
        files = {file: split_of_folder(file) for file in label_files(tree, lists)}
        if with_splits:
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
        counting = [config for config in configs if config.splits][:1] or configs
        keypoints = next((config.keypoints for config in counting if config.keypoints), 0)
        rows, image, file, codes = _read_rows(tree, files, options.yolo_rows, keypoints, log)
        names = class_names(tree, configs, options.names, files, log)
        how = "by their length" if options.yolo_rows == "auto" else "as asked"
        if keypoints:
            how += f"; kpt_shape says that boxes have {5 + keypoints} numbers"
        unknown = np.zeros(len(codes), np.int32)
        images = ImageReferences([""] * len(codes), codes, unknown, unknown)
        return _annotations(rows, image, file, images, names, (options.yolo_rows, how), log)


_DESCRIPTIONS = (".yaml", ".yml", ".data")


def _mentions(tree: Tree, name: str) -> bool:
    """Return whether a description has one of the keys `names` and `train`."""
    try:
        text = as_utf8(tree.read(name)[:65536])[0]
    except UnreadableError:
        return False
    keys = (line.split(b":")[0].split(b"=")[0].strip() for line in text.splitlines())
    return any(key in (b"names", b"train") for key in keys)


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


def _report_others(tree: Tree, config: Config, others: list[Config], log: FindingLog) -> None:
    """Say which of several descriptions the splits were taken from, if others lead somewhere too."""
    here = [other for other in others if leads_somewhere(tree, other)]
    different = [other for other in here if _meant(other) != _meant(config)]
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
    labels = [*label_files(tree, {*lists, *forgotten})]
    homes = _homes(tree, folders)
    if options.split is None:
        nowhere = {
            folder for folder in {label.rpartition("/")[0] for label in labels} if _home_of(folder, homes) is None
        }
        unlisted = [label for label in labels if label.rpartition("/")[0] in nowhere] if nowhere else []
        if listed:
            unlisted = [*_without_listed(unlisted, listed)]
        more = forgotten_folders(tree, unlisted, places, folders_of(tree, listed))
        for split in dict.fromkeys(more.values()):
            log.decide("split", f"all, also {split}", "its folder is here, though no line of the dataset names it")
        folders |= more
        homes |= _homes(tree, more)
    folder_of = [label.rpartition("/")[0] for label in labels]
    split_of = {folder: homes.get(_home_of(folder, homes) or "", "") for folder in {*folder_of}}
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


def _homes(tree: Tree, folders: Mapping[str, str]) -> dict[str, str]:
    """Return the folders that label files of folders of images may be in, with their split."""
    homes: dict[str, str] = {}
    for folder, split in folders.items():
        beside = (found for way in label_folders(folder) if (found := tree.find_folder(way)) is not None)
        for home in (*beside, folder):
            homes.setdefault(home, split)
    return homes


def _home_of(folder: str, homes: Mapping[str, str]) -> str | None:
    """Return the deepest of some folders that a folder is, or is in; None: none."""
    while folder not in homes:
        if not folder:
            return None
        folder = folder.rpartition("/")[0]
    return folder


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
        for number, why in block.unreadable.items():
            log.note("unreadable_file", labels[here][number], why)
            readable[here][number] = False
        for number in block.guessed:
            log.note("odd_encoding", labels[here][number])
        table = rows_of.tabulate(block, log, files[here])
        rows = rows_of.interpret(table, kind, keypoints, log, files[here])
        parsed.append(rows)
        image_of.append((rows.file + here.start).astype(np.int32))
        log.progress("reading label files", start, len(labels))
    rows = rows_of.Rows(*(np.concatenate(columns) for columns in zip(*parsed, strict=True)))
    image = np.concatenate(image_of)
    codes = (np.cumsum(readable) - 1).astype(np.int32)
    return rows, codes[image], files[image], files[readable]


def _blocks(paths: list[str]) -> Iterator[rows_of.Block]:
    """Yield the label files, some at a time. Of many, a helper reads the second half meanwhile."""
    if len(paths) < _HELPED:
        yield from rows_of.load(paths)
        return
    half = len(paths) // 2
    with Helper(rows_of.load, paths[half:]) as helper:
        yield from rows_of.load(paths[:half])
        helped = helper.items()
        yield from rows_of.load(paths[half:]) if helped is None else helped


def _annotations(
    rows: rows_of.Rows,
    image: NDArray[np.int32],
    file: NDArray[np.int32],
    images: ImageReferences,
    names: list[str],
    decided: tuple[str, str],
    log: FindingLog,
) -> RawAnnotations:
    _refuse_tracks(rows, file, log)
    far = rows_of.far(rows)
    _refuse_pixels(rows, far, file, log)
    if far.any():
        log.add("pixel_row", file[far], rows.line[far], rows.box[far])
        rows = rows.take(~far)
        image, file = image[~far], file[~far]
    named = (rows.tag >= 0) & (rows.tag < len(names))
    nameless = [number for number, name in enumerate(names) if not name.strip()]
    if nameless:
        named &= ~np.isin(rows.tag, nameless)
    if not named.all():
        unknown = ~named
        log.add("unknown_class", file[unknown], rows.line[unknown], rows.tag[unknown])
        rows = rows.take(named)
        image, file = image[named], file[named]
    shapes = int(np.count_nonzero(rows.shape))
    told = f"{len(rows.box) - shapes} boxes and {shapes} polygons or turned boxes"
    log.decide("yolo_rows", decided[0], f"{told}, {decided[1]}")
    return RawAnnotations(
        mode=BoxMode.CXCYWH_REL,
        box=rows.box,
        image=image,
        tag=rows.tag.astype(np.int32),
        images=images,
        tags=names,
        file=file,
        where=rows.line,
        marks={"box_from_shape": np.flatnonzero(rows.shape), "extra_column": np.flatnonzero(rows.extra)},
    )


def _refuse_tracks(rows: rows_of.Rows, file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise AmbiguousDatasetError if all rows of seven end as track ids do: what the seven are cannot be known."""
    last = rows.last[~np.isnan(rows.last)]
    if len(last) and bool(np.all(last == np.floor(last))) and last.max() >= 2:
        at = int(np.argmax(rows.last >= 2))
        raise AmbiguousDatasetError(
            f"{log.files[file[at]]}:{rows.line[at]}: rows of 7 numbers may be points, or a box, its confidence and "
            f"a track id, got {rows.last[at]:.10g} at the end; say which: --yolo-rows polygon or --yolo-rows box",
            place=f"{log.files[file[at]]}:{rows.line[at]}",
            option="yolo_rows",
        )


def _refuse_pixels(rows: rows_of.Rows, far: NDArray[np.bool_], file: NDArray[np.int32], log: FindingLog) -> None:
    """Raise AmbiguousDatasetError if most rows reach far beyond 1: then they are pixels, or of another format."""
    words = [finding for finding in log.findings().first("not_a_row", 1000) if _pixels_after_word(finding.value)]
    count = int(np.count_nonzero(boxes.finite(rows.box))) + len(words)
    found = int(np.count_nonzero(far)) + len(words)
    if found * 2 > count:
        if far.any():
            first = int(np.argmax(far))
            at, value = f"{log.files[file[first]]}:{rows.line[first]}", as_text(rows.box[first])
        else:
            at, value = words[0].place, words[0].value
        raise AmbiguousDatasetError(
            f"{at}: coordinates must be shares from 0 to 1, got {value}, one of {found} of {count} rows with numbers "
            "beyond 2; these look like pixels or another format: convert them, or check --format and --yolo-rows",
            place=at,
            option="yolo_rows",
        )


def _pixels_after_word(row: str) -> bool:
    try:
        first, *numbers = row.split()
        return not first.lstrip("-").isdigit() and len(numbers) >= 4 and max(map(float, numbers[:4])) > 2
    except ValueError:
        return False
