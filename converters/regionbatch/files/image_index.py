"""The image files of a dataset and of every image folder elsewhere, to be found by name, folder, key or end of path.

Folders are few and are looked up first: whole folders are then matched as sets of names. What sets leave over is looked
up name by name in groups of images, whose answers are kept, so that n files of one name do not cost n look-ups each.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from regionbatch.files.image_headers import image_size
from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    MASK_FOLDERS,
    SplitWords,
    fold,
    folder_key,
    image_stem,
    is_image,
    is_label_folder,
    joined,
    with_word_replaced,
)
from regionbatch.files.tree import images_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from regionbatch.files.tree import Tree

    Size = tuple[int, int]
    Groups = dict["Kin", "Group"]

EXACT, WHOLE_NAME, OTHER_CASE, ENCODED, SECOND_EXTENSION = range(5)
"""How the name of an image differs from the wanted one; from `OTHER_CASE` on it is reported."""

_ANY_WORD = _ANY_EXTENSION = "\0"
"""In place of a role word in the path of a folder, or of an extension: no name of a file has this character."""


MAX_RIVALS = 64
"""The most equally good images that are compared further."""


class Kin(NamedTuple):
    """What the folders of a group of images have in common."""

    splits: SplitWords
    """Those that their paths name, and that of an image folder elsewhere."""
    root_splits: SplitWords
    """Those that the name of an image folder elsewhere names."""
    elsewhere: bool
    """Whether the folder is in an image folder outside the dataset."""
    named: bool
    """Whether somebody named the folder, or one above it, as one of images: it goes first, and is certain."""
    of_labels: bool
    """Whether the last role word in the path is one of labels: what lies there is seldom the image itself."""


class ImageFolder(NamedTuple):
    """A folder with images."""

    tree: int
    """0: of the dataset; from 1 on: of an image folder elsewhere."""
    path: str
    parts: tuple[str, ...]
    """Its key; see `folder_key`."""
    kin: Kin
    first: int
    """The number of its first image; the others follow."""
    names: list[str]


class ImageIndex:
    """Numbered images, folder by folder."""

    def __init__(self, trees: Sequence[Tree], named: Sequence[str] = ()) -> None:
        """Take the trees: first that of the dataset, then those of image folders elsewhere. They are listed later.

        Args:
            trees: The trees.
            named: Folders of the dataset that somebody named as folders of images: they count as those elsewhere.
        """
        self._trees, self._named = trees, [fold(f"{folder}/") if folder else "" for folder in named]
        self._root_splits = [SplitWords(), *(folder_key(tree.root.name).splits for tree in trees[1:])]
        self.folders: list[ImageFolder] = []
        self.folder_of: list[int] = []
        """The number of each image's folder."""
        self.names: list[str] = []
        """The base name of each image."""
        self._absent: set[int] = set()
        self._paths: list[str] = []
        self._sizes: dict[int, Size] = {}
        self._by_key: dict[tuple[str, ...], list[int]] = defaultdict(list)
        self._by_path: dict[str, list[int]] = defaultdict(list)
        self._by_word: dict[str, list[int]] = defaultdict(list)
        self._stems: dict[int, dict[str, int]] = {}

    def __len__(self) -> int:
        """Return how many images there are."""
        return len(self.names)

    def add_tree(self, tree: int) -> None:
        """Add all images of a tree but those in folders of masks."""
        for path, listing in self._trees[tree].folders():
            if names := images_of(listing):
                self.add_folder(tree, path, names)

    def add_folder(self, tree: int, path: str, names: list[str], *, absent: bool = False) -> None:
        """Add images of one folder, which may also be `absent` from the disk; each image once."""
        folded = fold(path)
        if not MASK_FOLDERS.isdisjoint(folded.split("/")):
            return
        number, key, root_splits = len(self.folders), folder_key(path), self._root_splits[tree]
        kin = Kin(
            key.splits.joined(root_splits), root_splits, tree > 0, self._is_named(tree, folded), is_label_folder(path)
        )
        self.folders.append(ImageFolder(tree, path, key.parts, kin, len(self), names))
        if absent:
            self._absent.update(range(len(self), len(self) + len(names)))
        self.names += names
        self.folder_of += [number] * len(names)
        self._by_key[key.parts].append(number)
        self._by_path[folded].append(number)
        for path_with_any in with_word_replaced(folded, IMAGE_WORDS, _ANY_WORD):
            self._by_word[path_with_any].append(number)

    def _is_named(self, tree: int, folded: str) -> bool:
        return tree > 0 or any(f"{folded}/".startswith(top) for top in self._named)

    def path(self, image: int) -> str:
        """Return the path of an image, relative to its tree."""
        return joined(self.folders[self.folder_of[image]].path, self.names[image])

    def paths(self) -> list[str]:
        """Return the paths of all images, relative to their trees.

        An image elsewhere whose path another tree has too is named from its tree's own folder on.
        """
        if len(self._paths) < len(self):
            self._paths = [joined(folder.path, name) for folder in self.folders for name in folder.names]
            if len(self._trees) > 1 and len(set(self._paths)) < len(self._paths):
                counts = Counter(self._paths)
                for image in [image for image in range(len(self)) if counts[self._paths[image]] > 1]:
                    tree = self.folders[self.folder_of[image]].tree
                    if tree:
                        self._paths[image] = joined(self._trees[tree].root.name, self._paths[image])
        return self._paths

    def all_on_disk(self) -> list[str]:
        """Return the paths to open of all images; empty for those that are absent."""
        found: list[str] = []
        for folder in self.folders:
            top = self._trees[folder.tree].on_disk(joined(folder.path, "x")[:-1])
            found += [top + name for name in folder.names]
        for image in self._absent:
            found[image] = ""
        return found

    def is_elsewhere(self, image: int) -> bool:
        """Return whether an image lies in an image folder outside the dataset."""
        return self.folders[self.folder_of[image]].tree > 0

    def is_named(self, image: int) -> bool:
        """Return whether somebody named the folder of an image as one of images."""
        return self.folders[self.folder_of[image]].kin.named

    def on_disk(self, image: int) -> str:
        """Return the path to open; empty for an image that is absent."""
        if image in self._absent:
            return ""
        return self._trees[self.folders[self.folder_of[image]].tree].on_disk(self.path(image))

    def fits(self, image: int, size: Size) -> bool:
        """Return whether the size of an image does not contradict a declared one."""
        return self.size(image) in (size, size[::-1], (0, 0))

    def in_one_folder(self, images: Iterable[int]) -> bool:
        """Return whether images lie in one folder."""
        return len({self.folder_of[image] for image in images}) == 1

    def size(self, image: int) -> Size:
        """Return width and height as stored, read once; (0, 0) if they cannot be read."""
        if image not in self._sizes:
            path = self.on_disk(image)
            self._sizes[image] = image_size(path) if path else (0, 0)
        return self._sizes[image]

    def of_key(self, parts: tuple[str, ...], splits: SplitWords) -> list[int]:
        """Return the folders of images that have a key and a split; those with its very numbers, if there are any."""
        kin = {folder: self.folders[folder].kin for folder in self._by_key.get(parts, ())}
        same = [folder for folder, one in kin.items() if one.splits.same(splits) and not one.of_labels]
        return [folder for folder in same if kin[folder].splits.numbers == splits.numbers] or same

    def at_path(self, folder: str) -> list[int]:
        """Return the folders of a path in any tree, whatever its case."""
        return self._by_path.get(fold(folder), [])

    def beside(self, label_folder: str, label_words: Collection[str]) -> list[int]:
        """Return the folders whose path has an image word where that of a label folder has a label word."""
        ways = with_word_replaced(fold(label_folder), label_words, _ANY_WORD)
        return [folder for way in ways for folder in self._by_word.get(way, ())]

    def repeated_stems(self) -> set[str]:
        """Return the names without extension, folded, that several images have."""
        names = [*map(fold, self.names)]
        counts = Counter(name[: name.rfind(".")] for name in names)
        return {stem for stem, count in counts.items() if count > 1} if len(counts) < len(names) else set()

    def unique_stems(self, folder: int) -> Mapping[str, int]:
        """Return the images of a folder by their names without extension, those of one stem left out."""
        if folder not in self._stems:
            names, first = self.folders[folder].names, self.folders[folder].first
            stems = [name[: name.rfind(".")] for name in names]
            found = dict(zip(stems, range(first, first + len(stems)), strict=True))
            if len(found) < len(stems):
                for stem, count in Counter(stems).items():
                    if count > 1:
                        del found[stem]
            self._stems[folder] = found
        return self._stems[folder]

    def unique_names(self, folder: int) -> Mapping[str, int]:
        """Return the images of a folder by their names."""
        names, first = self.folders[folder].names, self.folders[folder].first
        return dict(zip(names, range(first, first + len(names)), strict=True))


class Group:
    """Images among which a reference chooses; what it answers once, it knows."""

    __slots__ = ("_best", "_by_form", "_by_size", "_fitting", "_index", "images")

    def __init__(self, index: ImageIndex, images: Iterable[int] = ()) -> None:
        """Start with some images."""
        self._index = index
        self.images = [*images]
        self._best: dict[tuple[str, str], tuple[int, list[int]]] = {}
        self._by_form: dict[str, list[int]] = {}
        self._by_size: dict[Size, list[int]] | None = None
        self._fitting: dict[Size, Group] = {}

    def best(self, name: str, last: str) -> tuple[int, list[int]]:
        """Return how the images that are spelled best differ from a name, and the first `MAX_RIVALS` of these.

        Args:
            name: The wanted name.
            last: A second name, which decides between several; empty: none.
        """
        # What no image is called exactly is looked for once, however many spellings of it are wanted.
        exact = self._called(name)
        key = (name if exact else f"\0{fold(name)}"), last
        if key not in self._best:
            self._best[key] = self._find_best(name, last, exact)
        return self._best[key]

    def _called(self, name: str) -> list[int]:
        """Return the images that have a name with its extension, without it, or without a second one."""
        if not self._by_form:
            for image in self.images:
                whole = self._index.names[image]
                stem = image_stem(whole)
                for form in {whole, stem, image_stem(stem)}:
                    self._by_form.setdefault(form, []).append(image)
        return self._by_form.get(name, [])

    def _find_best(self, name: str, last: str, exact: list[int]) -> tuple[int, list[int]]:
        names = self._index.names
        for images in (exact, self.images):
            spelled = [spelling(name, names[image]) for image in images]
            best = min(spelled, default=OTHER_CASE)
            if best < OTHER_CASE:
                break
        found = [image for image, how in zip(images, spelled, strict=True) if how == best]
        if len(found) > 1 and last:
            found = [image for image in found if fold(names[image]) == fold(last)] or found
        return (best if found else EXACT), found[:MAX_RIVALS]

    def of_size(self, size: Size) -> list[int]:
        """Return the images that have a size."""
        if self._by_size is None:
            self._by_size = defaultdict(list)
            for image in self.images:
                self._by_size[self._index.size(image)].append(image)
        return self._by_size.get(size, [])

    def fitting(self, size: Size) -> Group:
        """Return the images whose size does not contradict a declared one: the same, transposed, or unknown."""
        if size not in self._fitting:
            sizes = dict.fromkeys((size, size[::-1], (0, 0)))
            self._fitting[size] = Group(self._index, [image for each in sizes for image in self.of_size(each)])
        return self._fitting[size]


def spelling(wanted: str, name: str) -> int:
    """Return how the name of an image differs from the wanted one, which may lack the extension."""
    stem = image_stem(name)
    if wanted != stem and wanted == image_stem(stem):
        return SECOND_EXTENSION
    if wanted in (stem, name):
        return EXACT if wanted == name or not is_image(stem) else WHOLE_NAME
    return OTHER_CASE if fold(wanted) in (fold(stem), fold(name)) else ENCODED


class Lookup:
    """The images of some names, in groups by folder, key and end of path."""

    def __init__(self, index: ImageIndex, names: Iterable[str]) -> None:
        """Look for images of these names in all folders."""
        self._index = index
        self._wanted = {form for name in names for form in (fold(name), fold(unquote(name)))}
        self._groups: dict[tuple[object, ...], Groups] = {}
        self.bases: set[str] = set()
        """The folded names of the images found, with extension."""
        self._found: set[str] = set()
        for folder in index.folders:
            self._add(folder)

    def _add(self, folder: ImageFolder) -> None:
        folded = fold(folder.path)
        beside = [*with_word_replaced(folded, IMAGE_WORDS, _ANY_WORD)]
        for image, name in _matching(folder, self._wanted):
            self.bases.add(fold(name))
            self._found |= _names(name)
            paths = [joined(folded, fold(name)), joined(folded, fold(image_stem(name))) + _ANY_EXTENSION]
            keys: list[tuple[object, ...]] = [("path", path) for path in paths]
            keys += [("path end", end) for path in paths for end in _ends(path.split("/"))]
            for form in _forms(name, self._wanted):
                keys += [] if folder.kin.elsewhere else [("same", folded, form)]
                keys += [("beside", way, form) for way in beside]
                keys.append(("key", folder.parts, form))
                keys += [("key end", folder.parts[start:], form) for start in range(1, len(folder.parts) + 1)]
            for key in keys:
                self._put(key, folder.kin, image)

    def _put(self, key: tuple[object, ...], kin: Kin, image: int) -> None:
        groups = self._groups.setdefault(key, {})
        if kin not in groups:
            groups[kin] = Group(self._index)
        groups[kin].images.append(image)

    def has(self, name: str) -> bool:
        """Return whether any image answers to a name."""
        return fold(name) in self._found or ("%" in name and fold(unquote(name)) in self._found)

    def same_folder(self, folder: str, form: str) -> Groups:
        """Return the images of a form (see `forms_of`) in a folder of the dataset."""
        return self._groups.get(("same", fold(folder), form), {})

    def beside(self, label_folder: str, form: str) -> Iterator[Groups]:
        """Yield the images in folders that have an image word where a label folder has a label word."""
        for way in with_word_replaced(fold(label_folder), LABEL_WORDS, _ANY_WORD):
            yield self._groups.get(("beside", way, form), {})

    def with_key(self, parts: tuple[str, ...], form: str) -> Groups:
        """Return the images in folders of a key."""
        return self._groups.get(("key", parts, form), {})

    def with_longer_key(self, parts: tuple[str, ...], form: str) -> Groups:
        """Return the images in folders whose key ends with these parts and has more."""
        return self._groups.get(("key end", parts, form), {})

    def at_path(self, path: str) -> Groups:
        """Return the images of a whole path in any tree; of any extension, if the path has none."""
        return self._groups.get(("path", _form_of_path(path)), {})

    def with_path_end(self, end: str) -> Groups:
        """Return the images whose path ends so; of any extension, if the end has none."""
        return self._groups.get(("path end", _form_of_path(end)), {})


def forms_of(name: str, *, whole: bool) -> list[str]:
    """Return the forms of a wanted name, by which `Lookup` finds images; `whole`: they must share its extension."""
    mark = "" if whole else _ANY_EXTENSION
    return [*dict.fromkeys((fold(name) + mark, fold(unquote(name)) + mark))]


def _form_of_path(path: str) -> str:
    return fold(path) + ("" if is_image(path) else _ANY_EXTENSION)


def _ends(parts: list[str]) -> Iterator[str]:
    for start in range(len(parts)):
        yield "/".join(parts[start:])


def _names(name: str) -> set[str]:
    """Return the folded names that an image answers to: with its extension, without it, and without a second one."""
    stem = image_stem(name)
    names = {name, stem, image_stem(stem)}
    return {fold(each) for each in names | set(map(unquote, names))}


def _forms(name: str, wanted: set[str]) -> set[str]:
    whole = {fold(name), fold(unquote(name))}
    return (whole & wanted) | {each + _ANY_EXTENSION for each in _names(name) & wanted}


def _matching(folder: ImageFolder, wanted: set[str]) -> Iterator[tuple[int, str]]:
    """Yield the images of a folder that answer to a wanted name, most of the others passed over quickly."""
    plain = "".join(folder.names)
    if not plain.isascii() or "%" in plain:
        candidates: Iterable[tuple[int, str]] = enumerate(folder.names, folder.first)
    else:
        candidates = (
            (image, name)
            for image, name in enumerate(folder.names, folder.first)
            if (lower := name.lower()) in wanted or (stem := lower[: lower.rfind(".")]) in wanted or is_image(stem)
        )
    for image, name in candidates:
        if not wanted.isdisjoint(_names(name)):
            yield image, name
