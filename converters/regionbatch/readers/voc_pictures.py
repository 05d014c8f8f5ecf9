"""Which picture each XML file is about, and what the image is called.

The file's own name is believed before its <filename>, which is often stale. No two XML files are one image: a picture
goes to the one file with the best claim to it, a name without a picture to the only file that gives it.
"""

from __future__ import annotations

from array import array
from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from regionbatch.readers.files import PictureFinder, fold, is_picture, leaves, pictures_of, tree_of, ways_up

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from regionbatch.findings import Report
    from regionbatch.readers.files import Tree

    Stems = dict[str, list[str]]
    """The paths of pictures by their folded stems."""

_PICTURE_FOLDERS = ("JPEGImages", "images", "Images", "imgs", "")
_LOOSE_FOLDERS = ("", "images", "JPEGImages")

_BY_FILE_NAME, _OF_NEIGHBOUR = 6, 7
"""The ranks of a picture that only <filename> leads to, and of one that a file in the same folder is called after."""
_HAS_PICTURE = 3
"""More steps than an image without a picture takes from its <filename> to its XML file's own name and whole path."""


class Picture(NamedTuple):
    """What was found for an XML file."""

    name: str = ""
    """Its path in the data set."""
    path: str = ""
    """The path to open; empty: there is none."""
    rank: int = _BY_FILE_NAME
    """How good the claim is; 0 is the best: the usual folder, the XML's own stem letter by letter."""
    chosen: bool = False
    """Whether it is the first of several that could as well be meant."""


class Pictures:
    """The pictures of a data set, for the XML files that are about them."""

    def __init__(self, tree: Tree, image_dir: Path | None, *, everywhere: bool) -> None:
        """Nothing is listed yet. `everywhere`: in all folders, if the usual ones hold no picture of a stem."""
        self._tree, self._image_dir = tree, image_dir
        self._wide = [tree_of(image_dir)] if image_dir else []
        if everywhere:
            self._wide.append(tree)
        self._indices: dict[Tree, Stems] = {}
        self._neighbours: dict[str, set[str]] = {}
        """By folder: the folded stems of its XML files."""
        self._usual: dict[str, tuple[dict[str, Picture], list[Stems], PictureFinder]] = {}
        """By the folder of XML files: what leaves no question, by stem, and the folders with pictures that belong."""

    def find(self, xml: str, file_name: str) -> Picture:
        """The picture of an XML file: in the usual folders, `image_dir`, anywhere; or else that of its <filename>."""
        folder, _, file = xml.rpartition("/")
        stem, last = file.rpartition(".")[0], file_name.rpartition("/")[2]
        if folder not in self._usual:
            self._usual[folder] = self._usual_of(folder)
        plain, usual, finder = self._usual[folder]
        if known := plain.get(stem):
            return known
        for stems in usual:
            if found := _called(stems, stem):
                return _pick(self._tree, found, stem, last, 0)
        for rank, tree in enumerate(self._wide, 1):
            index = self._index(tree)
            if index and (found := _of_one_folder(_called(index, stem), folder, last)):
                return _pick(tree, found, stem, last, 2 * rank)
        name, path = finder.find(file_name) if file_name and finder.may_find([file_name]) else ("", "")
        return Picture(name, path, _OF_NEIGHBOUR if path and self._is_of_neighbour(xml, name) else _BY_FILE_NAME)

    def _usual_of(self, folder: str) -> tuple[dict[str, Picture], list[Stems], PictureFinder]:
        home, annotations, sub = split_at_annotations(f"{folder}/" if folder else "")
        sub = sub.rstrip("/")
        places = [(home, name, sub) for name in (_PICTURE_FOLDERS if annotations else _LOOSE_FOLDERS)]
        below = ["/".join(part for part in place if part) for place in [*places, (home, annotations, sub)]]
        listed = [(place, listing) for place in dict.fromkeys(below) if (listing := self._tree.folder(place))]
        stems = [_by_stem(f"{place}/{name}" if place else name for name in pictures_of(one)) for place, one in listed]
        stems = [one for one in stems if one]
        plain = {
            stem: Picture(paths[0], self._tree.on_disk(paths[0]), 0)
            for paths in (stems[0].values() if stems else ())
            if len(paths) == 1 and not is_picture(stem := _without_ending(paths[0]))
        }
        return plain, stems, PictureFinder(self._tree, [*below, home, *ways_up(folder), ""], self._image_dir)

    def _is_of_neighbour(self, xml: str, picture: str) -> bool:
        """Whether another XML file of the folder has the stem of a picture, be it broken or of another split."""
        folder, stem = xml.rpartition("/")[0], fold(_without_ending(picture))
        if folder not in self._neighbours:
            listing = self._tree.folder(folder)
            files = listing.by_ending.get(".xml", ()) if listing else ()
            self._neighbours[folder] = {fold(_without_ending(file)) for file in files}
        return stem in self._neighbours[folder] and stem != fold(_without_ending(xml))

    def _index(self, tree: Tree) -> Stems:
        if tree not in self._indices:
            self._indices[tree] = _by_stem(tree.pictures())
        return self._indices[tree]


def _by_stem(pictures: Iterable[str]) -> Stems:
    stems: Stems = {}
    for path in pictures:
        stems.setdefault(fold(_without_ending(path)), []).append(path)
    return stems


def _called(stems: Stems, stem: str) -> list[str]:
    """The pictures with the stem of an XML file: those written alike, or else whatever their case and Unicode form.

    `a.jpg.xml` is about `a.jpg`, if that is there.
    """
    key = fold(stem)
    found = stems.get(key, [])
    if is_picture(stem):
        whole = stems.get(fold(_without_ending(stem)), [])
        found = [path for path in whole if fold(path.rpartition("/")[2]) == key] or found
    return [path for path in found if _alike(path, stem)] or found


def _alike(path: str, stem: str) -> bool:
    return stem in (_without_ending(path), path.rpartition("/")[2])


def _of_one_folder(pictures: list[str], folder: str, last: str) -> list[str]:
    """Pictures that lie in one folder: of several, those that <filename> names, in the one that mirrors the XML's."""
    if len(pictures) > 1:  # often a mask is called like its picture, but for the ending
        pictures = [path for path in pictures if path.rpartition("/")[2] == last] or pictures
    folders = {path.rpartition("/")[0] for path in pictures}
    if len(folders) > 1:
        folders = {folder} & folders or {one for one in folders if _mirrors(one, folder)}
    return [path for path in pictures if path.rpartition("/")[0] in folders] if len(folders) == 1 else []


def _mirrors(one: str, other: str) -> bool:
    """Whether two paths differ in one folder at most: `annots/x` and `images/x`, `x` and `images/x`."""
    left, right = one.split("/") if one else [], other.split("/") if other else []
    while left and right and left[0] == right[0]:
        left, right = left[1:], right[1:]
    while left and right and left[-1] == right[-1]:
        left, right = left[:-1], right[:-1]
    return len(left) <= 1 and len(right) <= 1


def _pick(tree: Tree, pictures: list[str], stem: str, last: str, rank: int) -> Picture:
    """Of pictures with one stem in one folder, the one that <filename> names, or else the first."""
    named = [path for path in pictures if path.rpartition("/")[2] == last] if len(pictures) > 1 else pictures
    path = (named or pictures)[0]
    return Picture(path, tree.on_disk(path), rank if _alike(path, stem) else rank + 1, not named)


def split_at_annotations(name: str) -> tuple[str, str, str]:
    """`devkit/Annotations/sub/a.xml` -> `devkit`, `Annotations`, `sub/a.xml`; loose files have no middle."""
    parts = name.split("/")
    for at, part in enumerate(parts[:-1]):
        if part.lower() == "annotations":
            return "/".join(parts[:at]), part, "/".join(parts[at + 1 :])
    return "/".join(parts[:-1]), "", parts[-1]


def _without_ending(path: str) -> str:
    return path.rpartition("/")[2].rpartition(".")[0]


class Claims:
    """What each image is called and where its picture is: columns, by the images' codes."""

    def __init__(self, report: Report) -> None:
        """Start empty."""
        self._report = report
        self.names: list[str] = []
        self.paths: list[str] = []
        self._ranks = array("b")
        self._file_names: list[str] = []
        self._files = array("l")
        """The XML files, as codes of `report.files`."""

    def add(self, file: int, file_name: str, picture: Picture) -> None:
        """Take the picture of an XML file, and its <filename>, with `/`."""
        report, image, xml = self._report, len(self.names), self._report.files[file]
        self.names.append(picture.name or file_name or _without_ending(xml))
        self.paths.append(picture.path)
        self._ranks.append(picture.rank)
        self._file_names.append(file_name)
        self._files.append(file)
        if picture.rank < _BY_FILE_NAME and _is_stale(file_name, picture.name):
            report.add("stale_filename", file, value=[file_name])
        if picture.chosen:
            report.add("picture_chosen", image, table=self.names)
        if leaves(file_name):
            report.add("outside_dataset", image, value=[file_name], table=self.names)

    def settle(self) -> None:
        """Make each picture and each name that of one XML file; what a file has to give up is reported."""
        lost = self._without_best_claim()
        for image in lost:
            self.paths[image] = ""
        steps = array("b", (_HAS_PICTURE if path else 0 for path in self.paths))
        given = {image: self.names[image] for image in lost}
        giving_way = lost or self._doubles(steps)
        while giving_way:
            for image in giving_way:
                given.setdefault(image, self.names[image])
                steps[image] += 1
                self.names[image] = self._own_name(image, whole=steps[image] > 1)
            giving_way = self._doubles(steps)
        for image in sorted(given):
            if self.names[image] != given[image] or image in lost:
                self._report.add("stale_filename", self._files[image], value=[given[image]])

    def _without_best_claim(self) -> set[int]:
        """The images whose picture another has a better claim to, or as good a one."""
        losers = {image for image, rank in enumerate(self._ranks) if rank == _OF_NEIGHBOUR}
        for images in _groups(self.paths):
            best = min(self._ranks[image] for image in images)
            winners = [image for image in images if self._ranks[image] == best]
            losers.update(image for image in images if len(winners) > 1 or image != winners[0])
        return losers

    def _doubles(self, steps: Sequence[int]) -> set[int]:
        """Of images with one name, those without a picture that have taken the fewest steps from their <filename>."""
        doubles: set[int] = set()
        for images in _groups(self.names):
            fewest = min(steps[image] for image in images)
            doubles.update(image for image in images if steps[image] == fewest < _HAS_PICTURE)
        return doubles

    def _own_name(self, image: int, *, whole: bool) -> str:
        """The path of an XML file without its Annotations, with the ending of its <filename>; or its `whole` path."""
        xml, file_name = self._report.files[self._files[image]], self._file_names[image]
        if whole:
            return xml
        home, _, rest = split_at_annotations(xml)
        stem = rest.rpartition(".")[0]
        ending = file_name[file_name.rfind(".") :] if is_picture(file_name) and not is_picture(stem) else ""
        return f"{home}/{stem}{ending}" if home else f"{stem}{ending}"


def _groups(names: Sequence[str]) -> Iterable[list[int]]:
    """The places of names that stand several times; empty ones are none."""
    often = {name for name, count in Counter(names).items() if count > 1 and name}
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(names) if often else ():
        if name in often:
            groups.setdefault(name, []).append(place)
    return groups.values()


def _is_stale(file_name: str, picture: str) -> bool:
    """Whether a <filename> is another's than the picture that has the XML's own stem."""
    last = file_name.rpartition("/")[2]
    if not last or last == picture.rpartition("/")[2]:
        return False
    return fold(_without_ending(picture)) not in (fold(last), fold(_without_ending(last)))
