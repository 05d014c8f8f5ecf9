"""Where the images of a YOLO dataset are: the folders and lists that its description names, and those it forgets."""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from regionbatch.dataset import ListedImage
from regionbatch.errors import AmbiguousDatasetError, DatasetError
from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    fold,
    folder_key,
    is_image,
    joined,
    leaves_dataset,
    path_suffixes,
    with_parents,
    with_word_replaced,
)
from regionbatch.files.splits import SPLIT_NAME, match_split, split_of_folder
from regionbatch.files.tree import read_lines
from regionbatch.findings import FindingLog
from regionbatch.readers.yolo.descriptions import SPLIT_KEYS

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence

    from regionbatch.files.paths import FolderKey
    from regionbatch.files.tree import Tree
    from regionbatch.readers.yolo.descriptions import Config


_LONGEST_END = 10
"""The most folders of the end of a path that is looked for: paths of other machines begin with more, and end with few.
"""
_MOST_WORDS = 3
"""The most folders of one path, from the last on, in whose place a label folder is looked for."""


class Entry(NamedTuple):
    """An entry of a split that was found."""

    split: str
    text: str
    """As written."""
    place: str
    """The folder or list file, by its relative path."""


def split_entries(tree: Tree, config: Config, log: FindingLog) -> list[Entry]:
    """Return the folders and list files of each split; those that are nowhere are reported, unless all are."""
    found: list[Entry] = []
    missing: list[str] = []
    for split, entries in config.splits.items():
        for text in entries:
            place = find_place(tree, config, text)
            if place is None:
                missing.append(f"{split}: {text}")
            else:
                found.append(Entry(split, text, place))
    for entry in missing if found else ():
        log.note("missing_split", config.file, entry)
    return found


def list_files(tree: Tree, configs: Iterable[Config]) -> Iterator[str]:
    """Yield the list files that the descriptions of a dataset name."""
    for config in configs:
        for text in chain.from_iterable(config.splits.values()):
            if text.lower().endswith(".txt") and (place := find_place(tree, config, text)) is not None:
                yield place


def leads_somewhere(tree: Tree, config: Config) -> bool:
    """Return whether an entry of any split is here."""
    return any(find_place(tree, config, text) is not None for text in chain.from_iterable(config.splits.values()))


def find_place(tree: Tree, config: Config, entry: str) -> str | None:
    """Return the folder or list file that an entry means: as written, without leading `..`, or by its end.

    The longest end that exists in a folder above the description is taken, so that a path of the author's machine
    finds the same folder here. Else a folder of images of the same key and split; else one that only has labels.
    """
    known = _PLACES.setdefault(tree, {})
    key = config.file, config.home, entry
    if key not in known:
        known[key] = _find_place(tree, config, entry)
    return known[key]


def _find_place(tree: Tree, config: Config, entry: str) -> str | None:
    ends = list(_short_suffixes(entry))
    if not ends and not leaves_dataset(entry):
        ends = [""]  # `.`, the folder itself
    is_list = entry.lower().endswith(".txt")
    ways = [way for end in ends for way in _ways(config, end)]
    for way in ways:
        found = tree.find(way) if is_list else tree.find_folder(way)
        if found is not None:
            return found
    if is_list:
        return None
    similar = (_similar_folder(tree, end) for end in ends)
    only_labels = (way for way in ways if any(tree.find_folder(each) is not None for each in label_folders(way)))
    return next((folder for folder in similar if folder), None) or next(only_labels, None)


def _ways(config: Config, end: str) -> Iterator[str]:
    """Yield the paths that an entry may mean, from the description's folder and from those above it."""
    bases = [*with_parents(config.file.rpartition("/")[0]), ""]
    for home in (*_short_suffixes(config.home), ""):
        for base in bases:
            yield joined(joined(base, home), end)


def _short_suffixes(path: str) -> Iterator[str]:
    return (end for end in path_suffixes(path) if end.count("/") < _LONGEST_END)


def _similar_folder(tree: Tree, path: str) -> str | None:
    """Return the one folder with images that has the key and the split of a path; None: there is none, or several."""
    if tree not in _FOLDERS:
        by_key: dict[FolderKey, list[str]] = {}
        for folder, _ in tree.folders():
            if folder and tree.has_images(folder):
                by_key.setdefault(folder_key(folder), []).append(folder)
        _FOLDERS[tree] = by_key
    key = folder_key(path)
    found = _FOLDERS[tree].get(key, ())
    return found[0] if len(found) == 1 and (key.parts or key.splits) else None


_FOLDERS: WeakKeyDictionary[Tree, dict[FolderKey, list[str]]] = WeakKeyDictionary()
"""The folders with images by their keys, of trees in use: many descriptions may look for many folders."""
_PLACES: WeakKeyDictionary[Tree, dict[tuple[str, str, str], str | None]] = WeakKeyDictionary()
"""The places of entries, by the description, its `path` and the entry: several ask for them."""


def label_folders(folder: str) -> Iterator[str]:
    """Yield the paths of the label folders that may belong to a folder of images, its own not among them."""
    parts = folder.split("/")
    places = [at for at in range(len(parts) - 1, -1, -1) if fold(parts[at]) in IMAGE_WORDS][:_MOST_WORDS]
    for word in LABEL_WORDS:
        for at in places:
            yield "/".join([*parts[:at], word, *parts[at + 1 :]])


def label_homes(tree: Tree, folders: Mapping[str, str]) -> dict[str, str]:
    """Return the folders that label files of folders of images may be in, with their split."""
    homes: dict[str, str] = {}
    for folder, split in folders.items():
        beside = (found for way in label_folders(folder) if (found := tree.find_folder(way)) is not None)
        for home in (*beside, folder):
            homes.setdefault(home, split)
    return homes


def home_of(folder: str, homes: Container[str]) -> str | None:
    """Return the deepest of some folders that a folder is, or is in; None: none."""
    while folder not in homes:
        if not folder:
            return None
        folder = folder.rpartition("/")[0]
    return folder


def homes_of(tree: Tree, config: Config) -> dict[str, str]:
    """Return the folders of the label files that a description is about; empty: nothing that it names is here."""
    folders: set[str] = set()
    for text in chain.from_iterable(config.splits.values()):
        place = find_place(tree, config, text)
        if place is not None:
            folders.update(_folders_listed(tree, place) if place in tree else [place])
    return label_homes(tree, dict.fromkeys(sorted(folders), ""))


def _folders_listed(tree: Tree, file: str) -> Iterator[str]:
    """Yield the folders of the images in a list, by the longest ends of their paths, from the list's folder upwards."""
    named = {each.name.replace("\\", "/").rpartition("/")[0] for each in listed_images(tree, file, "", FindingLog())}
    bases = (*with_parents(file.rpartition("/")[0]), "")
    for folder in named:
        ways = (joined(base, end) for end in (path_suffixes(folder) if folder else [""]) for base in bases)
        yield from islice((found for way in ways if (found := tree.find_folder(way)) is not None), 1)


def apart(configs: Sequence[Config], tree: Tree) -> list[Config]:
    """Return the first description, and those that describe other datasets: each in a folder of its own.

    Whether keypoints are in the rows is decided once for all, so it must be the same in all of them.
    """
    found = [configs[0]]
    if not _stays_below(tree, configs[0]):
        return found
    folders, above = {found[0].folder}, {*with_parents(found[0].folder)}
    for config in configs[1:]:
        alone = config.folder not in above and folders.isdisjoint(with_parents(config.folder))
        if alone and config.keypoints == found[0].keypoints and _stays_below(tree, config):
            found.append(config)
            folders.add(config.folder)
            above.update(with_parents(config.folder))
    return found


def _stays_below(tree: Tree, config: Config) -> bool:
    """Return whether all that a description names and that is here lies in the folder that it is in."""
    entries = chain.from_iterable(config.splits.values())
    places = [place for text in entries if (place := find_place(tree, config, text)) is not None]
    return bool(config.folder and places) and all(_is_in(place, config.folder) for place in places)


def _is_in(folder: str, other: str) -> bool:
    return f"{folder}/".startswith(f"{other}/")


def places_of(tree: Tree, config: Config, split: str | None, log: FindingLog) -> dict[str, str] | None:
    """Return the folders and list files of the splits, each once, with its split; empty: it cannot be known.

    Darknet often names one list as train and as valid: then it is train. But where entries that are written differently
    lead to one place, that is not what they mean. None: nothing that the description names is here.

    Raises:
        AmbiguousDatasetError: A split is asked for, and two lead to one folder.
    """
    entries = split_entries(tree, config, log)
    if not entries:
        return None
    found: dict[str, str] = {}
    by_place: dict[str, list[Entry]] = {}
    for entry in entries:
        by_place.setdefault(entry.place, []).append(entry)
    for place, here in by_place.items():
        splits = list(dict.fromkeys(entry.split for entry in here))
        wanted = match_split(split, splits) if split else splits
        found[place] = (wanted or splits)[0]
        if len(splits) > 1 and len({next(path_suffixes(entry.text), "") for entry in here}) > 1:
            both = " and ".join(splits)
            if wanted and split is not None:
                raise AmbiguousDatasetError(
                    f"{config.file}: {both} lead to one folder, {place or '.'}, got --split {split}; "
                    "correct the paths in it, or do without --split",
                    place=config.file,
                    option="split",
                )
            found[place] = ""
            log.decide("split", f"none for {place or '.'}", f"{both} all lead there", doubtful=True)
    return found


def wanted_splits(split: str | None, known: Collection[str], place: str, *, file: str = "") -> list[str] | None:
    """Return the splits that were asked for; None: all.

    Args:
        split: What was asked for.
        known: The splits of the dataset.
        place: What an error message begins with.
        file: The file that names the splits; empty: none.

    Raises:
        DatasetError: There is no such split.
    """
    if split is None:
        return None
    wanted = match_split(split, known)
    if not wanted:
        here = ", ".join(sorted(known)) or "no splits"
        raise DatasetError(
            f"{place}: no such split, got --split {split or repr(split)}; here is {here}", place=file, option="split"
        )
    return wanted


def forgotten_folders(
    tree: Tree, labels: Iterable[str], places: dict[str, str], taken: Collection[str]
) -> dict[str, str]:
    """Return folders called like a split that the description does not name (often `test`), with their split.

    Args:
        tree: The files of the dataset.
        labels: Label files that are in no folder or list of the dataset.
        places: The folders and lists of the description, by their split.
        taken: The folders of listed images.
    """
    listed = set(places.values()) - {""}
    folders = {*taken, *places}
    above = {each for folder in folders for each in (*with_parents(folder), "")}
    tops: dict[str, set[str]] = {}
    for name in labels:
        if split := split_of_folder(name):
            tops.setdefault(split, set()).add(_top_of(name, split))
    found: dict[str, str] = {}
    for split, of_split in tops.items():
        if match_split(split, listed) or any(match_split(one, [split]) for one in listed):
            continue
        here = [place for top in sorted(of_split) for place in dict.fromkeys((_image_folder(tree, top), top))]
        if above.isdisjoint(here):
            found |= dict.fromkeys(here, split)
    return found


def _image_folder(tree: Tree, folder: str) -> str:
    """Return the folder of images that belongs to a folder of labels: one that is here, or else the folder itself."""
    ways = (way for word in IMAGE_WORDS for way in with_word_replaced(folder, LABEL_WORDS, word))
    return next((found for way in ways if (found := tree.find_folder(way)) is not None), folder)


def _top_of(path: str, split: str) -> str:
    """Return the folder of a split that a path leads through."""
    parts = path.split("/")
    return "/".join(parts[: parts.index(split) + 1])


def forgotten_lists(tree: Tree, places: dict[str, str], log: FindingLog) -> dict[str, str]:
    """Return lists that are called like another split and name images here, next to those of the description."""
    known = set(places.values()) - {""}
    folders = {place.rpartition("/")[0] for place in places if place in tree}
    found: dict[str, str] = {}
    for folder in sorted(folders):
        listing = tree.folder(folder)
        for name in sorted(listing.by_extension.get(".txt", ()) if listing else ()):
            file, split = joined(folder, name), name[:-4]
            if file in places or not SPLIT_NAME.fullmatch(split) or match_split(split, known):
                continue
            listed = listed_images(tree, file, split, log)
            if listed and any(_is_here(tree, each.name) for each in listed):
                found[file] = SPLIT_KEYS.get(split.lower(), split)
    return found


def _is_here(tree: Tree, entry: str) -> bool:
    return any(tree.find(end) is not None for end in path_suffixes(entry))


def listed_images(tree: Tree, file: str, split: str, log: FindingLog) -> list[ListedImage]:
    """Return the entries of an image list; lines that name no image are reported by the one who looks for it."""
    lines = ((number, line.partition("\t")[0].strip()) for number, line in enumerate(read_lines(tree, file, log), 1))
    return [ListedImage(entry, file, number, split) for number, entry in lines if entry]


def folders_of(tree: Tree, listed: Iterable[ListedImage]) -> set[str]:
    """Return the folders here that entries of lists lie in, by the longest ends of their paths."""
    named = {each.name.replace("\\", "/").rpartition("/")[0] for each in listed if is_image(each.name)}
    found = (next((end for end in path_suffixes(folder) if tree.find_folder(end) is not None), "") for folder in named)
    return {folder for folder in found if folder}
