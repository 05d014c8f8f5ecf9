"""YOLO: a text file per picture, as Ultralytics, darknet, labelImg and Label Studio write them.

Sources of the rules: Ultralytics' description of its data sets (rows, data.yaml, `images` beside `labels`) and
darknet's (obj.data, obj.names).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset import Images, RawAnnotations
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import as_text
from regionbatch.options import YoloOptions
from regionbatch.readers import yolo_rows
from regionbatch.readers.files import (
    PictureFinder,
    Tree,
    UnreadableError,
    as_utf8,
    match_split,
    pictures_of,
    split_of_folder,
    tree_of,
)
from regionbatch.readers.yolo_config import (
    Config,
    class_names,
    find_configs,
    listed_pictures,
    read_darknet,
    read_yaml,
    split_folders,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.findings import Report
    from regionbatch.options import ReadOptions
    from regionbatch.readers.files import Folder

_BLOCK = 2**22
"""Bytes of label text parsed at a time."""

_NOT_LABELS = frozenset(
    {"classes.txt", "requirements.txt", "license.txt", "train.txt", "val.txt", "valid.txt", "test.txt"}
)


class YoloReader:
    """Reads YOLO data sets; `regionbatch.plugins.Reader`."""

    title: ClassVar[str] = "a folder of YOLO label files with a data.yaml, obj.data or classes.txt"
    options: ClassVar[type[ReadOptions]] = YoloOptions

    def claims(self, path: Path) -> str | None:
        """Why this is YOLO: a data.yaml with names, an obj.data, or label files whose first line is numbers."""
        if path.is_file():
            return "a data file" if path.suffix.lower() in (".yaml", ".yml", ".data") else None
        tree = tree_of(path)
        for name in tree.files(".yaml", ".yml", ".data"):
            if name.count("/") < 3 and _mentions(tree, name, b"names", b"train"):
                return name
        for _, name in zip(range(20), filter(_may_be_label, tree.files(".txt")), strict=False):
            try:
                first = as_utf8(tree.read(name)[:400])[0].split(b"\n")[0].split()
            except UnreadableError:
                continue
            if len(first) >= 5 and all(map(yolo_rows.NUMBER.fullmatch, first[1:5])):
                return name
        return None

    def read(self, path: Path, options: YoloOptions, report: Report) -> RawAnnotations:
        """Read a folder, a data.yaml or an obj.data."""
        tree, configs = _open(path, report)
        names = class_names(tree, configs, options.names, report)
        labels = _Pairs(tree, report)
        _collect(tree, configs, options, labels, report)
        report.read(images=len(labels.pictures))
        keypoints = next((config.keypoints for config in configs if config.keypoints), 0)
        rows, image, file = _read_rows(tree, labels, options.yolo_rows, keypoints, report)
        tree.report_strays(report, ".txt")
        how = "by their length" if options.yolo_rows == "auto" else "as asked"
        if keypoints:
            how += f"; kpt_shape says that boxes have {5 + keypoints} numbers"
        return _annotations(rows, image, file, labels.images(options), names, (options.yolo_rows, how), report)


def _mentions(tree: Tree, name: str, *words: bytes) -> bool:
    try:
        text = as_utf8(tree.read(name)[:65536])[0]
    except UnreadableError:
        return False
    return any(line.split(b":")[0].split(b"=")[0].strip() in words for line in text.splitlines())


def _may_be_label(name: str) -> bool:
    last = name.rpartition("/")[2].lower()
    return (
        last.endswith(".txt")
        and last not in _NOT_LABELS
        and not last.startswith("readme")
        and "imagesets/" not in name.lower()
    )


def _open(path: Path, report: Report) -> tuple[Tree, list[Config]]:
    if path.is_dir():
        tree = tree_of(path)
        return tree, find_configs(tree, report)
    suffix = path.suffix.lower()
    # An obj.data lies in a folder of the data set (its paths begin with that folder), a data.yaml at its top.
    tree = tree_of(path.parent)
    read = read_darknet if suffix == ".data" else read_yaml
    config = read(tree, path.name, report) if suffix in (".data", ".yaml", ".yml") else None
    if config is None:
        raise DatasetError(f"{path}: no YOLO data set; name the folder, its data.yaml or its obj.data")
    return tree, [config]


class _Pairs:
    """Pictures and the label file of each."""

    def __init__(self, tree: Tree, report: Report) -> None:
        self._tree, self._report = tree, report
        self.pictures: dict[str, str] = {}
        """The split of each picture, by its path."""
        self.label: dict[str, str] = {}
        """The label file of each picture that has one."""
        self._absent: set[str] = set()
        """The pictures that are not on disk."""
        self._used: set[str] = set()
        self._unpaired: dict[str, str] = {}
        """The split of each label file without a picture."""

    def label_of(self, picture: str) -> str:
        """Where the label file of a picture is: the last `images` of its path made `labels`, or beside it.

        If it is nowhere, the first of the two places.
        """
        folder, _, name = picture.rpartition("/")
        label = f"{name[: name.rfind('.')]}.txt"
        tops = [f"{top}/" if top else "" for top in (label_folder(folder), folder)]
        return next((top for top in tops if top + label in self._tree), tops[0]) + label

    def add_picture(self, picture: str, split: str) -> None:
        """Take a picture, once."""
        if picture not in self.pictures:
            self.pictures[picture] = split
            label = self.label_of(picture)
            if label in self._tree:
                self.label[picture] = label
                self._used.add(label)
            if picture not in self._tree:
                self._absent.add(picture)

    def add_folder(self, top: str, split: str | None) -> None:
        """Take all pictures below a folder, and its label files that have none; without a split, by folder names."""
        for folder, listing in self._tree.folders(top):
            self._add_listed(folder, listing, split)
        for place in dict.fromkeys((label_folder(top), top)):
            for folder, listing in self._tree.folders(place):
                prefix = f"{folder}/" if folder else ""
                labels = {prefix + name for name in listing.by_ending.get(".txt", ())} - self._used
                for label in sorted(filter(_may_be_label, labels)):
                    self._unpaired.setdefault(label, split_of_folder(label) if split is None else split)

    def _add_listed(self, folder: str, listing: Folder, split: str | None) -> None:
        """Take the pictures of one folder. The same as `add_picture` of each, in a few steps for all."""
        names = pictures_of(listing)
        prefix = f"{folder}/" if folder else ""
        pictures = [prefix + name for name in names]
        new = [picture for picture in pictures if picture not in self.pictures] if self.pictures else pictures
        self.pictures.update(dict.fromkeys(new, split_of_folder(prefix) if split is None else split))
        for place in dict.fromkeys((folder, label_folder(folder))):  # the second wins
            there = self._tree.folder(place)
            top = f"{place}/" if place else ""
            if there and ".txt" in there.by_ending:
                self.label |= {
                    picture: top + label
                    for picture, name in zip(pictures, names, strict=True)
                    if (label := name[: name.rfind(".")] + ".txt") in there.files
                }
        self._used.update(filter(None, map(self.label.get, pictures)))

    def has_all(self, tree: Tree) -> bool:
        """Whether all text files of a tree are known to be label files: told by counting."""
        return len(self._used) == sum(len(listing.by_ending.get(".txt", ())) for _, listing in tree.folders())

    def unknown(self, labels: Iterable[str]) -> list[str]:
        """Those of some label files that belong to no split yet."""
        return [label for label in labels if label not in self._used and label not in self._unpaired]

    def finish(self) -> None:
        """Pair what is left by name, if the name is the only one; label files still left name pictures not on disk."""
        for label in self._used & set(self._unpaired):
            del self._unpaired[label]
        if self._unpaired:
            self._pair_by_name()
        for label, split in self._unpaired.items():
            folder, _, name = label.rpartition("/")
            home = picture_folder(folder)
            picture = f"{home}/{name[:-4]}" if home else name[:-4]
            self.pictures[picture] = split
            self.label[picture] = label
            self._absent.add(picture)
        if len(set(self.label.values())) < len(self.label):
            self._report_shared()

    def _pair_by_name(self) -> None:
        lonely = _by_stem(picture for picture in self.pictures if picture not in self.label)
        for stem, labels in _by_stem(self._unpaired).items():
            if len(labels) == 1 and len(lonely.get(stem, ())) == 1:
                self.label[lonely[stem][0]] = labels[0]
                del self._unpaired[labels[0]]

    def _report_shared(self) -> None:
        by_label: dict[str, str] = {}
        for picture, label in self.label.items():
            if by_label.setdefault(label, picture) != picture:
                self._report.add("shared_label", 0, value=[f"{by_label[label]} and {picture}"], table=[label])

    def drop(self, labels: Collection[str]) -> NDArray[np.int32]:
        """Leave out the pictures of some label files; the new code of each picture before, (m,)."""
        if not labels:
            return np.arange(len(self.pictures), dtype=np.int32)
        gone = {picture for picture, label in self.label.items() if label in labels}
        stays = np.fromiter((picture not in gone for picture in self.pictures), np.bool_, len(self.pictures))
        self.pictures = {picture: split for picture, split in self.pictures.items() if picture not in gone}
        return (np.cumsum(stays) - 1).astype(np.int32)

    def keep_splits(self, splits: Collection[str]) -> None:
        """Leave out all pictures of other splits."""
        self.pictures = {picture: split for picture, split in self.pictures.items() if split in splits}
        self.label = {picture: label for picture, label in self.label.items() if picture in self.pictures}

    def images(self, options: YoloOptions) -> Images:
        """The pictures as a table."""
        names = list(self.pictures)
        paths = ["" if name in self._absent else self._tree.on_disk(name) for name in names]
        if options.image_dir and self._absent:
            finder = PictureFinder(self._tree, [], options.image_dir)
            for row, path in enumerate(paths):
                if not path:
                    names[row], paths[row] = _found_elsewhere(finder, names[row])
        splits = list(dict.fromkeys(split for split in self.pictures.values() if split))
        codes = {split: code for code, split in enumerate(splits)}
        nothing = np.zeros(len(names), np.int32)
        split = np.fromiter((codes.get(split, -1) for split in self.pictures.values()), np.int32, len(names))
        return Images(names, nothing, nothing, paths, split, splits)


def _found_elsewhere(finder: PictureFinder, name: str) -> tuple[str, str]:
    for candidate in (name, *(f"{name}{extension}" for extension in (".jpg", ".jpeg", ".png", ".bmp", ".gif"))):
        found, path = finder.find(candidate)
        if path:
            return found, path
    return name, ""


def label_folder(folder: str) -> str:
    """The folder of the labels of a folder of pictures: the last `images` in it becomes `labels`."""
    return _swap_last(folder, "images", "labels")


def picture_folder(folder: str) -> str:
    """The folder of the pictures of a folder of labels."""
    return _swap_last(folder, "labels", "images")


def _swap_last(folder: str, old: str, new: str) -> str:
    parts = folder.split("/")
    for at in range(len(parts) - 1, -1, -1):
        if parts[at].lower() == old:
            return "/".join([*parts[:at], new, *parts[at + 1 :]])
    return folder


def _by_stem(paths: Iterable[str]) -> dict[str, list[str]]:
    stems: dict[str, list[str]] = {}
    for path in paths:
        stems.setdefault(path.rpartition("/")[2].rpartition(".")[0], []).append(path)
    return stems


def _collect(tree: Tree, configs: list[Config], options: YoloOptions, labels: _Pairs, report: Report) -> None:
    """Fill `labels` from the splits that a data.yaml or obj.data names, or from the whole folder."""
    config = next((config for config in configs if config.splits), None)
    if config is None:
        labels.add_folder("", None)
        labels.finish()
        if options.split:
            labels.keep_splits(_wanted(options.split, set(labels.pictures.values()) - {""}, str(tree.root)))
    else:
        places = split_folders(tree, config, report)
        splits = _wanted(options.split, places, config.file) if options.split else list(places)
        _collect_places([(split, place) for split in splits for place in places[split]], tree, labels, report)
        if not options.split:
            _collect_unlisted(tree, set(splits), labels, report)
        labels.finish()
    if not labels.pictures:
        raise DatasetError(f"{tree.root}: no pictures and no label files here; check the folder, or --format")


def _collect_places(places: list[tuple[str, str]], tree: Tree, labels: _Pairs, report: Report) -> None:
    """Take the folders and list files of the splits, each once: darknet often names one list as train and as valid."""
    first: dict[str, str] = {}
    for split, place in places:
        first.setdefault(place, split)
    for place, split in first.items():
        if place in tree:
            for picture in listed_pictures(tree, place, report, labels.label_of):
                labels.add_picture(picture, split)
        else:
            labels.add_folder(place, split)


def _wanted(split: str, known: Collection[str], place: str) -> list[str]:
    wanted = match_split(split, known)
    if not wanted:
        here = ", ".join(sorted(known)) or "no splits"
        raise DatasetError(f"{place}: no such split, got --split {split}; here is {here}")
    return wanted


def _collect_unlisted(tree: Tree, listed: set[str], labels: _Pairs, report: Report) -> None:
    """Take folders called like a split that the data.yaml does not name (often `test`); report other label files."""
    if labels.has_all(tree):
        return
    unlisted = list(filter(_may_be_label, labels.unknown(tree.files(".txt"))))
    for split in dict.fromkeys(filter(None, map(split_of_folder, unlisted))):
        if not match_split(split, listed):
            tops = {name[: name.index(f"{split}/") + len(split)] for name in unlisted if split_of_folder(name) == split}
            report.decide("split", f"all, also {split}", "its folder is here, though no line of the data set names it")
            for top in sorted(tops):
                labels.add_folder(top, split)
    rest = labels.unknown(unlisted)
    report.add("unlisted_label", np.arange(len(rest), dtype=np.int32), table=rest)


def _read_rows(
    tree: Tree, labels: _Pairs, kind: str, keypoints: int, report: Report
) -> tuple[yolo_rows.Rows, NDArray[np.int32], NDArray[np.int32]]:
    """The rows of all label files, and the image and the file of each. Unreadable files drop their picture."""
    of_pictures = list(map(labels.label.get, labels.pictures))
    codes = np.asarray([code for code, label in enumerate(of_pictures) if label is not None], np.int32)
    paths = [label for label in of_pictures if label is not None]
    files = report.add_files(paths)
    parsed: list[yolo_rows.Rows] = []
    image_of: list[NDArray[np.int32]] = []
    file_of: list[NDArray[np.int32]] = []
    unreadable: set[str] = set()
    for start, texts in _blocks(tree, paths, unreadable, report):
        block = slice(start, start + len(texts))
        table = yolo_rows.tabulate(texts, report, files[block])
        rows = yolo_rows.interpret(table, kind, keypoints, report, files[block])
        parsed.append(rows)
        image_of.append(codes[block][rows.file])
        file_of.append(files[block][rows.file])
        report.progress("reading label files", block.stop, len(paths))
    rows = yolo_rows.Rows(*(np.concatenate(columns) for columns in zip(*parsed, strict=True)))
    return rows, labels.drop(unreadable)[np.concatenate(image_of)], np.concatenate(file_of)


def _blocks(tree: Tree, labels: list[str], unreadable: set[str], report: Report) -> Iterator[tuple[int, list[bytes]]]:
    """The texts of label files, as many at a time as fit into a block, and the number of the first."""
    texts: list[bytes] = []
    size, first = 0, 0
    for number, label in enumerate(labels):
        try:
            text = tree.read(label)
            if not text.isascii():
                text, guessed = as_utf8(text)
                if guessed:
                    report.add("odd_encoding", 0, table=[label])
        except UnreadableError as error:
            report.add("unreadable_file", 0, value=[str(error)], table=[label])
            unreadable.add(label)
            text = b""
        texts.append(text)
        size += len(text)
        if size >= _BLOCK:
            yield first, texts
            texts, size, first = [], 0, number + 1
    yield first, texts


def _annotations(
    rows: yolo_rows.Rows,
    image: NDArray[np.int32],
    file: NDArray[np.int32],
    images: Images,
    names: list[str],
    decided: tuple[str, str],
    report: Report,
) -> RawAnnotations:
    _refuse_tracks(rows, file, report)
    far = yolo_rows.far(rows)
    _refuse_pixels(rows, far, file, report)
    if far.any():
        report.add("pixel_row", file[far], rows.line[far], rows.box[far])
        rows = rows.take(~far)
        image, file = image[~far], file[~far]
    named = (rows.tag >= 0) & (rows.tag < len(names))
    if not named.all():
        unknown = ~named
        report.add("unknown_class", file[unknown], rows.line[unknown], rows.tag[unknown])
        rows = rows.take(named)
        image, file = image[named], file[named]
    shapes = int(np.count_nonzero(rows.shape))
    told = f"{len(rows.box) - shapes} boxes and {shapes} polygons or turned boxes"
    report.decide("yolo_rows", decided[0], f"{told}, {decided[1]}")
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


def _refuse_tracks(rows: yolo_rows.Rows, file: NDArray[np.int32], report: Report) -> None:
    """Raise AmbiguousDatasetError if all rows of seven end as track ids do: what the seven are cannot be known."""
    last = rows.last[~np.isnan(rows.last)]
    if len(last) and bool(np.all((last >= 1) & (last == np.floor(last)))) and last.max() >= 2:
        at = int(np.argmax(rows.last >= 2))
        raise AmbiguousDatasetError(
            f"{report.files[file[at]]}:{rows.line[at]}: rows of 7 numbers may be points, or a box, its confidence and "
            f"a track id, got {rows.last[at]:.10g} at the end; say which: --yolo-rows polygon or --yolo-rows box"
        )


def _refuse_pixels(rows: yolo_rows.Rows, far: NDArray[np.bool_], file: NDArray[np.int32], report: Report) -> None:
    """Raise AmbiguousDatasetError if most rows reach far beyond 1: then they are pixels, or of another format."""
    words = [finding for finding in report.findings().first("not_a_row", 1000) if _pixels_after_word(finding.value)]
    count = int(np.count_nonzero(boxes.finite(rows.box))) + len(words)
    found = int(np.count_nonzero(far)) + len(words)
    if found * 2 > count:
        if far.any():
            first = int(np.argmax(far))
            at, value = f"{report.files[file[first]]}:{rows.line[first]}", as_text(rows.box[first])
        else:
            at, value = words[0].place, words[0].value
        raise AmbiguousDatasetError(
            f"{at}: coordinates must be shares from 0 to 1, got {value}, one of {found} of {count} rows with numbers "
            "beyond 2; these look like pixels or another format: convert them, or check --format and --yolo-rows"
        )


def _pixels_after_word(row: str) -> bool:
    try:
        first, *numbers = row.split()
        return not first.lstrip("-").isdigit() and len(numbers) >= 4 and max(map(float, numbers[:4])) > 2
    except ValueError:
        return False
