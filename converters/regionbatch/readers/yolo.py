"""YOLO: a text file per picture, as Ultralytics, darknet, labelImg and Label Studio write them.

Sources of the rules: Ultralytics' description of its data sets (rows, data.yaml, `images` beside `labels`) and
darknet's (obj.data, obj.names).
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from regionbatch import boxes
from regionbatch.boxes import BoxMode
from regionbatch.dataset import Images, RawAnnotations
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.findings import as_text
from regionbatch.options import YoloOptions
from regionbatch.readers import yolo_rows
from regionbatch.readers.files import Tree, match_split, split_of_folder, tails, tree_of
from regionbatch.readers.helper import Helper
from regionbatch.readers.text import UnreadableError, as_utf8
from regionbatch.readers.yolo_config import (
    Config,
    class_names,
    find_configs,
    leads_somewhere,
    list_files,
    listed_pictures,
    read_darknet,
    read_yaml,
    split_entries,
)
from regionbatch.readers.yolo_pairs import (
    Pairs,
    begins_with_row,
    first_row,
    labels_among,
    may_be_label,
    picture_folder,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from regionbatch.findings import Report
    from regionbatch.options import ReadOptions

_HELPED = 20_000
"""Label files from which on a helper is worth its start."""

_SAMPLE, _MOST_LOOKED_AT = 20, 1000
"""Label files with something in them that detection looks at, and text files at all; empty ones tell nothing."""


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
        looked_at = islice(tree.files(".txt"), _MOST_LOOKED_AT)
        filled = (name for name in looked_at if may_be_label(tree, name) and first_row(tree, name))
        return next((name for name in islice(filled, _SAMPLE) if begins_with_row(tree, name)), None)

    def read(self, path: Path, options: YoloOptions, report: Report) -> RawAnnotations:
        """Read a folder, a data.yaml or an obj.data."""
        tree, configs = _open(path, report, names=options.names is None)
        names = class_names(tree, configs, options.names, report)
        pairs = Pairs(tree, report)
        _collect(tree, configs, options, pairs, report)
        report.read(images=len(pairs.pictures))
        counting = [config for config in configs if config.splits][:1] or configs
        keypoints = next((config.keypoints for config in counting if config.keypoints), 0)
        rows, image, file = _read_rows(tree, pairs, options.yolo_rows, keypoints, report)
        tree.report_strays(report, ".txt", told=pairs.told)
        how = "by their length" if options.yolo_rows == "auto" else "as asked"
        if keypoints:
            how += f"; kpt_shape says that boxes have {5 + keypoints} numbers"
        images = pairs.images(options.image_dir)
        return _annotations(rows, image, file, images, names, (options.yolo_rows, how), report)


def _mentions(tree: Tree, name: str, *words: bytes) -> bool:
    try:
        text = as_utf8(tree.read(name)[:65536])[0]
    except UnreadableError:
        return False
    return any(line.split(b":")[0].split(b"=")[0].strip() in words for line in text.splitlines())


def _open(path: Path, report: Report, *, names: bool) -> tuple[Tree, list[Config]]:
    """The files of a data set and what describes it; `names`: whether the class names in it matter."""
    if path.is_dir():
        tree = tree_of(path)
        return tree, find_configs(tree, report, names=names)
    suffix = path.suffix.lower()
    # An obj.data lies in a folder of the data set (its paths begin with that folder), a data.yaml at its top.
    tree = tree_of(path.parent)
    config = None
    if suffix == ".data":
        config = read_darknet(tree, path.name, report)
    elif suffix in (".yaml", ".yml"):
        config = read_yaml(tree, path.name, report, names=names, asked=True)
    if config is None:
        raise DatasetError(f"{path}: no YOLO data set; name the folder, its data.yaml or its obj.data")
    return tree, [config]


def _collect(tree: Tree, configs: list[Config], options: YoloOptions, pairs: Pairs, report: Report) -> None:
    """Fill `pairs` from the splits that a data.yaml or obj.data names, or from the whole folder."""
    with_splits = [config for config in configs if config.splits]
    unlisted: list[str] = []
    if not with_splits:
        pairs.add_folder("", None)
        pairs.finish()
        if options.split is not None:
            pairs.keep_splits(_wanted(options.split, set(pairs.pictures.values()) - {""}, str(tree.root)))
    else:
        config, *others = with_splits
        pairs.not_labels(list_files(tree, with_splits))
        places = _places(tree, config, options.split, report)
        _tell_others(tree, config, others, report)
        for place, split in places.items():
            if place in tree:
                for picture in listed_pictures(tree, place, report, pairs.label_of):
                    pairs.add_picture(picture, split)
            else:
                pairs.add_folder(place, split)
        if options.split is None and not pairs.has_all(tree):
            unlisted = _collect_unlisted(tree, set(places.values()) - {""}, pairs, report)
        pairs.finish()
        unlisted = labels_among(tree, pairs.leave_second_labels(pairs.unknown(unlisted)))
        report.add("unlisted_label", np.arange(len(unlisted), dtype=np.int32), table=unlisted)
    if not pairs.pictures:
        raise DatasetError(f"{tree.root}: no pictures and no label files here; check the folder, or --format")
    picture, label = pairs.strangers()
    if picture and (label or unlisted):
        raise DatasetError(
            f"{picture}: no label file belongs to any picture, got {as_text(label or unlisted[0])} for example; "
            "give them the pictures' names, and put the folder `labels` beside that of the pictures"
        )


def _places(tree: Tree, config: Config, split: str | None, report: Report) -> dict[str, str]:
    """The folders and list files of the splits, each once, and the split of each; empty: it cannot be known.

    Darknet often names one list as train and as valid: then it is train. But where entries that are written differently
    lead to one place, that is not what they mean.
    """
    entries = split_entries(tree, config, report)
    known = list(dict.fromkeys(entry.split for entry in entries))
    wanted = known if split is None else _wanted(split, known, config.file)
    found: dict[str, str] = {}
    for place in dict.fromkeys(entry.place for entry in entries if entry.split in wanted):
        here = [entry for entry in entries if entry.place == place]
        splits = list(dict.fromkeys(entry.split for entry in here))
        found[place] = next(one for one in splits if one in wanted)
        if len(splits) > 1 and len({next(tails(entry.text), "") for entry in here}) > 1:
            both = " and ".join(splits)
            if split is not None:
                raise AmbiguousDatasetError(
                    f"{config.file}: {both} lead to one folder, {place or '.'}, got --split {split}; "
                    "correct the paths in it, or do without --split"
                )
            found[place] = ""
            report.decide("split", f"none for {place or '.'}", f"{both} all lead there", doubtful=True)
    return found


def _tell_others(tree: Tree, config: Config, others: list[Config], report: Report) -> None:
    """Say which of several descriptions the splits were taken from, if others lead somewhere too."""
    here = [other for other in others if leads_somewhere(tree, other)]
    different = [other for other in here if _meant(other) != _meant(config)]
    for other in (different or here)[:1]:
        shown = f"{other.file} says something else" if different else f"{other.file} says the same"
        report.decide("split", f"by {config.file}", shown, doubtful=bool(different))


def _meant(config: Config) -> tuple[object, ...]:
    return config.file.rpartition("/")[0], config.home, config.splits, config.keypoints


def _wanted(split: str, known: Collection[str], place: str) -> list[str]:
    wanted = match_split(split, known)
    if not wanted:
        here = ", ".join(sorted(known)) or "no splits"
        raise DatasetError(f"{place}: no such split, got --split {split or repr(split)}; here is {here}")
    return wanted


def _collect_unlisted(tree: Tree, listed: set[str], pairs: Pairs, report: Report) -> list[str]:
    """Take folders called like a split that the data.yaml does not name (often `test`); the label files left over."""
    unlisted = [file for file in pairs.unknown(tree.files(".txt")) if may_be_label(tree, file)]
    taken = {picture.rpartition("/")[0] + "/" for picture in pairs.pictures}
    for split in dict.fromkeys(filter(None, map(split_of_folder, unlisted))):
        if match_split(split, listed) or any(match_split(one, [split]) for one in listed):
            continue
        tops = {_top_of(name, split) for name in unlisted if split_of_folder(name) == split}
        places = dict.fromkeys(place for top in sorted(tops) for place in (picture_folder(tree, top), top))
        if not any(folder.startswith(f"{place}/") for place in places for folder in taken):
            report.decide("split", f"all, also {split}", "its folder is here, though no line of the data set names it")
            for place in places:
                pairs.add_folder(place, split)
    return pairs.unknown(unlisted)


def _top_of(path: str, split: str) -> str:
    """The folder of a split that a path leads through."""
    parts = path.split("/")
    return "/".join(parts[: parts.index(split) + 1])


def _read_rows(
    tree: Tree, pairs: Pairs, kind: str, keypoints: int, report: Report
) -> tuple[yolo_rows.Rows, NDArray[np.int32], NDArray[np.int32]]:
    """The rows of all label files, and the image and the file of each. Unreadable files drop their picture."""
    of_pictures = list(map(pairs.label.get, pairs.pictures))
    unreadable = {label for label in of_pictures if label in pairs.blocked}
    for label in of_pictures:
        if label in unreadable:
            report.note("unreadable_file", label, pairs.blocked[label])
    codes = np.asarray(
        [code for code, label in enumerate(of_pictures) if label is not None and label not in unreadable], np.int32
    )
    labels = [of_pictures[code] or "" for code in codes.tolist()]
    files = report.add_files(labels)
    parsed: list[yolo_rows.Rows] = []
    image_of: list[NDArray[np.int32]] = []
    file_of: list[NDArray[np.int32]] = []
    start = 0
    for block in _blocks(list(map(tree.on_disk, labels))):
        here = slice(start, start := start + block.files)
        names = labels[here]
        for number, why in block.unreadable.items():
            report.note("unreadable_file", names[number], why)
            unreadable.add(names[number])
        for number in block.guessed:
            report.note("odd_encoding", names[number])
        table = yolo_rows.tabulate(block, report, files[here])
        rows = yolo_rows.interpret(table, kind, keypoints, report, files[here])
        parsed.append(rows)
        image_of.append(codes[here][rows.file])
        file_of.append(files[here][rows.file])
        report.progress("reading label files", start, len(labels))
    rows = yolo_rows.Rows(*(np.concatenate(columns) for columns in zip(*parsed, strict=True)))
    return rows, pairs.drop(unreadable)[np.concatenate(image_of)], np.concatenate(file_of)


def _blocks(paths: list[str]) -> Iterator[yolo_rows.Block]:
    """The label files, some at a time. Of many, a helper reads the second half meanwhile."""
    if len(paths) < _HELPED:
        yield from yolo_rows.load(paths)
        return
    half = len(paths) // 2
    with Helper(yolo_rows.load, paths[half:]) as helper:
        yield from yolo_rows.load(paths[:half])
        helped = helper.items()
        yield from yolo_rows.load(paths[half:]) if helped is None else helped


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
    nameless = [number for number, name in enumerate(names) if not name.strip()]
    if nameless:
        named &= ~np.isin(rows.tag, nameless)
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
    if len(last) and bool(np.all(last == np.floor(last))) and last.max() >= 2:
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
