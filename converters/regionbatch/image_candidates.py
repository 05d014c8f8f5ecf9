"""Find the candidate images of one reference by the ranked table, and choose among them.

The cost of a reference does not depend on how many images have its name: images are looked up in
groups by folder, key and path suffix, and each group caches its answers.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from regionbatch.files.paths import (
    MAX_DEPTH,
    folder_key,
    is_image,
    joined,
    normalise_name,
    path_parts,
    resolved_path,
)
from regionbatch.files.spelling import Spelling, forms_of_wanted, spelling_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regionbatch.files.image_index import FolderTraits, ImageIndex, Size
    from regionbatch.files.image_lookup import Groups, ImageGroup, ImageLookup
    from regionbatch.files.paths import SplitWords


class Rank(IntEnum):
    """How an image was found; the smallest rank is best."""

    DECLARED_PATH = 1
    """At the whole declared path below the declaring file's folder, the root or an `image_dir`."""
    PARALLEL_FOLDER = 2
    """`labels/x` and `images/x`: a label word in one path, an image word in the other."""
    SAME_FOLDER = 3
    SAME_KEY = 4
    """In a folder with the same key and split."""
    PATH_SUFFIX = 5
    """The image's path ends with the declared path, perhaps without the folders all names share."""
    LOOSE_KEY = 6
    """In a folder with the same key, but only one of the two paths contains a split."""
    NAME_ONLY = 7
    SECOND_NAME = 8
    """No image has the label file's name, but one has its second name."""
    NONE = 99


class Choice(NamedTuple):
    """The images that one reference chooses, before all references are compared."""

    rank: int = Rank.NONE
    distance: int = 0
    """Orders the matches of one rank: the number of path parts that agree, negated."""
    spelling: int = Spelling.EXACT
    images: Sequence[int] = ()
    """The image, or several that are equally good."""
    ambiguous: bool = False
    by_size: bool = False
    """Whether the declared size outweighed a better path."""


class Candidates(NamedTuple):
    """Images of one rank that were looked up by one spelling of the wanted name."""

    rank: int
    distance: int
    group: ImageGroup
    name: str
    penalty: int = Spelling.EXACT
    """Added to the spelling if the wanted name was decoded or includes an image extension."""


class Declaration(NamedTuple):
    """What a declaring file says about the folders of its images."""

    home: str
    """The folder of the declaring file."""
    splits: SplitWords
    """The splits that the file declares, or that its name or its folder contains."""
    subsets: Sequence[tuple[str, ...]]
    """Keys that may come between its folder and the declared path, including the empty key."""
    shared: int
    """The number of leading folders that all declared names share."""

    def allows(self, traits: FolderTraits) -> bool:
        """Return whether the name of an external image folder agrees with the declared splits."""
        return not traits.root_splits.differs(self.splits)

    def of_split(self, groups: Groups, splits: SplitWords) -> Groups:
        """Return the groups whose folders contradict neither `splits` nor the declared splits."""
        allowed = _of_split(groups, splits).items()
        return {traits: group for traits, group in allowed if self.allows(traits)}

    def keys(self, key: tuple[str, ...]) -> list[tuple[str, ...]]:
        """Return the keys that an image's folder may have, from the key of its declared folder."""
        found: dict[tuple[str, ...], None] = {}
        for top in ((), folder_key(self.home).parts):
            for subset in self.subsets:
                found[top + subset + key] = None
        return [*found]


def declaration_of(file: str, shared: int, split: str = "") -> Declaration:
    """Return what a declaring file says about the folders of its images.

    Args:
        file: The path of the file.
        shared: The number of leading folders that all its names share.
        split: The split that the file declares for its images. It takes precedence over the path.
    """
    home, _, base = file.rpartition("/")
    stem = base.rpartition(".")[0]
    declared = folder_key(split)
    subsets = dict.fromkeys([(), declared.parts, folder_key(stem.rpartition("_")[2]).parts])
    splits = declared.splits or folder_key(stem).splits or folder_key(home).splits
    return Declaration(home, splits, [*subsets], shared)


def declaration_of_label(file: str, shared: int) -> Declaration:
    """Return what the folder of a label file says about the image with its second name."""
    home = file.rpartition("/")[0]
    return Declaration(home, folder_key(home).splits, ((),), shared)


def by_label(lookup: ImageLookup, file: str) -> list[Candidates]:
    """Return the candidates of a label file, by ranks 2, 3, 4, 6 and 7."""
    folder, _, base = file.rpartition("/")
    own = base[: base.rfind(".")]
    whole = is_image(own) and normalise_name(own) in lookup.base_names
    # A label file a.txt takes precedence over a.jpg.txt.
    penalty = Spelling.WHOLE_NAME if is_image(own) else Spelling.EXACT
    found: list[Candidates] = []
    for form in forms_of_wanted(own, whole=whole):
        for rank, distance, group in _by_folder(lookup, folder, form):
            found.append(Candidates(rank, distance, group, own, penalty))
    return found


def _by_folder(
    lookup: ImageLookup, folder: str, form: str
) -> Iterator[tuple[int, int, ImageGroup]]:
    """Yield rank, distance and images for a label file, by its folder and a form of its name."""
    key, splits = folder_key(folder)
    for group in lookup.in_folder(folder, form).values():
        yield Rank.SAME_FOLDER, 0, group
    for groups in lookup.in_parallel_folders(folder, form):
        for group in _of_split(groups, splits).values():
            yield Rank.PARALLEL_FOLDER, 0, group
    for traits, group in _of_split(lookup.with_key(key, form), splits).items():
        if not traits.of_labels:
            yield *_rank_of_key(traits, splits), group
    for start in range(len(key) + 1):
        suffix = key[start:]
        for group in _of_split(lookup.with_longer_key(suffix, form), splits).values():
            yield Rank.NAME_ONLY, -len(suffix), group
        if start:
            for group in _of_split(lookup.with_key(suffix, form), splits).values():
                yield Rank.NAME_ONLY, -len(suffix), group


def _rank_of_key(traits: FolderTraits, splits: SplitWords) -> tuple[int, int]:
    """Return rank and distance of a folder with the same key, equal split numbers first."""
    if traits.splits.same(splits):
        return Rank.SAME_KEY, int(traits.splits.numbers != splits.numbers)
    return Rank.LOOSE_KEY, 0


def by_declared_name(lookup: ImageLookup, name: str, declaration: Declaration) -> list[Candidates]:
    """Return the candidates of a declared name, by ranks 1 and 4 to 7."""
    found: list[Candidates] = []
    without_query = name.partition("?")[0]
    for text in dict.fromkeys((name, without_query, unquote(without_query))):
        parts = path_parts(text)
        if not 0 < len(parts) <= MAX_DEPTH:
            continue
        penalty = Spelling.EXACT if text == name else Spelling.ENCODED
        for rank, distance, group in _by_path(lookup, parts, declaration):
            found.append(Candidates(rank, distance, group, parts[-1], penalty))
        if ".." in text:
            groups = _at_resolved_path(lookup, declaration.home, text)
            rank = Rank.DECLARED_PATH
            found += [Candidates(rank, 0, group, parts[-1], penalty) for group in groups]
    return found


def _at_resolved_path(lookup: ImageLookup, home: str, path: str) -> Iterator[ImageGroup]:
    """Yield the images at a path with `..`, relative to the folder of the declaring file."""
    resolved = resolved_path(home, path)
    return _in_dataset(lookup.at_path(resolved)) if resolved else iter(())


def _in_dataset(groups: Groups) -> Iterator[ImageGroup]:
    for traits, group in groups.items():
        if not traits.external:
            yield group


def _by_path(
    lookup: ImageLookup, parts: list[str], declaration: Declaration
) -> Iterator[tuple[int, int, ImageGroup]]:
    """Yield rank, distance and images for the parts of a declared path."""
    path = "/".join(parts)
    for traits, group in lookup.at_path(path).items():
        if declaration.allows(traits):
            yield Rank.DECLARED_PATH, 0, group
    for group in _in_dataset(lookup.at_path(joined(declaration.home, path))):
        yield Rank.DECLARED_PATH, 0, group
    key = folder_key("/".join(parts[:-1]))
    splits = key.splits or declaration.splits
    keys = declaration.keys(key.parts)
    for form in forms_of_wanted(parts[-1], whole=is_image(parts[-1])):
        for wanted in keys:
            groups = declaration.of_split(lookup.with_key(wanted, form), splits)
            for traits, group in groups.items():
                if not traits.of_labels:
                    yield *_rank_of_key(traits, splits), group
    yield from _by_path_suffix(lookup, parts, splits, declaration)


def _by_path_suffix(
    lookup: ImageLookup, parts: list[str], splits: SplitWords, declaration: Declaration
) -> Iterator[tuple[int, int, ImageGroup]]:
    """Yield rank, distance and images whose path ends like the declared path."""
    own = parts[min(declaration.shared, len(parts) - 1) :]
    for length in range(len(parts), len(own) - 1, -1):
        suffix = "/".join(parts[-length:])
        groups = lookup.with_path_suffix(suffix)
        if length == len(parts) > 1:  # A whole declared path with a folder may cross splits.
            found = [group for traits, group in groups.items() if declaration.allows(traits)]
        else:
            found = [*declaration.of_split(groups, splits).values()]
        # If both paths have more folders, these contradict each other, and only the name agrees.
        certain = length > 1 and length in (len(parts), len(own))
        for group in found:
            yield Rank.PATH_SUFFIX if certain else Rank.NAME_ONLY, -length, group
        if length > 1 and not certain:
            for group in declaration.of_split(lookup.at_path(suffix), splits).values():
                yield Rank.PATH_SUFFIX, -length, group
    for path in (own, [*path_parts(declaration.home), *own]):
        for group in declaration.of_split(lookup.at_path("/".join(path)), splits).values():
            yield Rank.PATH_SUFFIX, -len(own), group


def _of_split(groups: Groups, splits: SplitWords) -> Groups:
    """Return the groups whose folders are not of another split."""
    return {traits: group for traits, group in groups.items() if not traits.splits.differs(splits)}


def choose(
    index: ImageIndex,
    candidates: Iterable[Candidates],
    size: Size,
    second_name: str,
    *,
    shared: bool,
) -> Choice:
    """Choose the images of a reference among the candidates.

    Args:
        index: All images.
        candidates: Images by rank.
        size: Declared width and height in pixels; (0, 0) if they are not declared.
        second_name: The base name of the second name, which decides between several images; empty
            if there is none.
        shared: Whether to choose all images if several are in one folder.
    """
    ranked = sorted(candidates, key=_order)
    sized = min(size) > 0
    if sized and (chosen := _only_one_of_size(index, ranked, size)):
        return chosen
    contradicting: set[int] = set()
    for (rank, distance), group in groupby(ranked, key=_order):
        tier = [*group]
        if sized and rank == Rank.LOOSE_KEY:
            contradicting = _best_images(tier, second_name)
            tier = [one._replace(group=one.group.fitting(size)) for one in tier]
        spelling, images = _best_spelled(index, tier, second_name)
        if rank != Rank.LOOSE_KEY:
            images = [image for image in images if image not in contradicting]
        if images:
            ambiguous = len(images) > 1 and not (shared and index.in_one_folder(images))
            choice = Choice(rank, distance, spelling, images, ambiguous)
            return Choice() if _has_wrong_size(index, choice, size) else choice
    return Choice()


def _has_wrong_size(index: ImageIndex, choice: Choice, size: Size) -> bool:
    """Return whether an image that matches only by name has another size than declared."""
    if choice.rank != Rank.NAME_ONLY or len(choice.images) > 1 or min(size) <= 0:
        return False
    return not index.fits(choice.images[0], size)


def _best_images(tier: Iterable[Candidates], second_name: str) -> set[int]:
    """Return the images that would be chosen from the candidates regardless of their size."""
    found: set[int] = set()
    for one in tier:
        found.update(one.group.best(one.name, second_name)[1])
    return found


def _order(one: Candidates) -> tuple[int, int]:
    return one.rank, one.distance


def _best_spelled(
    index: ImageIndex, tier: Iterable[Candidates], second_name: str
) -> tuple[int, list[int]]:
    """Return the best spelling in a rank and its images, preferring those in an `image_dir`."""
    best: int = Spelling.EXACT
    found: dict[int, None] = {}
    for one in tier:
        spelling, images = one.group.best(one.name, second_name)
        spelling += one.penalty
        if not images or (found and spelling > best):
            continue
        if spelling < best:
            found.clear()
        best = spelling
        found.update(dict.fromkeys(images))
    chosen = [image for image in found if index.is_in_image_dir(image)] or [*found]
    if len(chosen) > 1 and second_name:
        chosen = index.named(second_name, chosen) or chosen
    return best, chosen


def _only_one_of_size(index: ImageIndex, ranked: list[Candidates], size: Size) -> Choice | None:
    """Return the candidate of ranks 1 to 6 with the declared size if there is exactly one.

    Return None if there is just one candidate: its size then has nothing to decide.
    """
    good = [one for one in ranked if one.rank <= Rank.LOOSE_KEY]
    if len({image for one in good for image in one.group.images[:2]}) < 2:
        return None  # before any image file is opened
    fitting: dict[int, Candidates] = {}
    for one in reversed(good):
        fitting |= dict.fromkeys(one.group.of_size(size)[:2], one)
    if len(fitting) != 1:
        return None
    [(image, one)] = fitting.items()
    spelling = spelling_of(index.names[image], one.name) + one.penalty
    best_tier = [other for other in ranked if _order(other) == _order(ranked[0])]
    best_by_path = _best_spelled(index, best_tier, "")[1]
    return Choice(one.rank, one.distance, spelling, (image,), by_size=image not in best_by_path)
