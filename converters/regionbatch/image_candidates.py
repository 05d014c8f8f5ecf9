"""The ranked table, one reference at a time: which images are candidates, and which of them is chosen.

The cost of a reference does not depend on how many images share its name: it looks up groups of images by folder, key
and end of path, and the groups keep their answers.
"""

from __future__ import annotations

from enum import IntEnum
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from regionbatch.files.image_index import ENCODED, EXACT, WHOLE_NAME, forms_of, spelling
from regionbatch.files.paths import MAX_DEPTH, fold, folder_key, is_image, joined, path_parts, resolved_path

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from regionbatch.files.image_index import Group, Groups, ImageIndex, Kin, Lookup, Size
    from regionbatch.files.paths import SplitWords


class Rank(IntEnum):
    """How an image is found; the smallest is best."""

    DECLARED = 1
    """The whole declared path, from the declaring file's folder, the root or an image folder elsewhere."""
    BESIDE = 2
    """`labels/x` and `images/x`: the folders differ in one part, a label word there and an image word here."""
    SAME_FOLDER = 3
    KEY = 4
    """Folders of one key and one split."""
    PATH_END = 5
    """The declared path, or what is not shared by all names of its file, ends the image's path."""
    LOOSE = 6
    """Folders of one key, of which only one names a split."""
    NAME_ONLY = 7
    SECOND_NAME = 8
    """Nothing has the label file's name; an image has its second one."""
    NONE = 99


class Choice(NamedTuple):
    """What one reference chooses before the others have their say."""

    rank: int = Rank.NONE
    distance: int = 0
    """How little of the path agrees, as a negative number; counts within a rank only."""
    spelling: int = EXACT
    images: Sequence[int] = ()
    """The image; or several, of which none is better."""
    ambiguous: bool = False
    by_size: bool = False
    """Whether the declared size decided against a better path."""


class Candidates(NamedTuple):
    """Images of one rank, all of one spelling of the wanted name."""

    rank: int
    distance: int
    group: Group
    name: str
    penalty: int = EXACT
    """Added to the spelling: the wanted name had to be decoded."""


class Declaration(NamedTuple):
    """What a declaring file says about the folders of its images."""

    home: str
    """Its folder."""
    splits: SplitWords
    """Those that its own name, or else its folder, names."""
    subsets: Sequence[tuple[str, ...]]
    """Keys that may stand between its folder's and that of a name; the empty one is among them."""
    shared: int
    """How many leading folders all its names share."""

    def allows(self, kin: Kin) -> bool:
        """Return whether an image folder elsewhere is not called like another split."""
        return not kin.root_splits.differs(self.splits)

    def of_split(self, groups: Groups, splits: SplitWords) -> Groups:
        """Return the groups whose folders name no other split than those of a name."""
        return {kin: group for kin, group in _of_split(groups, splits).items() if self.allows(kin)}


def declaration_of(file: str, shared: int, split: str = "", *, second_name: bool = False) -> Declaration:
    """Return what a declaring file says about the folders of its images.

    Args:
        file: Its path.
        shared: How many leading folders all its names share.
        split: The split that it declares for its images; goes before what its path says.
        second_name: Whether it is a label file: then only its folder counts.
    """
    home, _, base = file.rpartition("/")
    if second_name:
        return Declaration(home, folder_key(home).splits, ((),), shared)
    stem = base.rpartition(".")[0]
    declared = folder_key(split)
    found = [declared.parts, folder_key(stem.rpartition("_")[2]).parts]
    splits = declared.splits or folder_key(stem).splits or folder_key(home).splits
    return Declaration(home, splits, [*dict.fromkeys([(), *found])], shared)


def by_label(lookup: Lookup, file: str) -> list[Candidates]:
    """Return the candidates of a label file, by ranks 2, 3, 4, 6 and 7."""
    folder, _, base = file.rpartition("/")
    own = base[: base.rfind(".")]
    key = folder_key(folder)
    whole = is_image(own) and fold(own) in lookup.bases
    penalty = WHOLE_NAME if is_image(own) else EXACT  # a.txt goes before a.jpg.txt

    def candidates(rank: int, distance: int, groups: Groups) -> Iterator[Candidates]:
        return (Candidates(rank, distance, group, own, penalty) for group in groups.values())

    found: list[Candidates] = []
    for form in forms_of(own, whole=whole):
        found += candidates(Rank.SAME_FOLDER, 0, lookup.same_folder(folder, form))
        for groups in lookup.beside(folder, form):
            found += candidates(Rank.BESIDE, 0, _of_split(groups, key.splits))
        for kin, group in _of_split(lookup.with_key(key.parts, form), key.splits).items():
            if not kin.of_labels:
                found += candidates(*_rank_of_key(kin, key.splits), {kin: group})
        for start in range(len(key.parts) + 1):
            end = key.parts[start:]
            groups = _of_split(lookup.with_longer_key(end, form), key.splits)
            found += candidates(Rank.NAME_ONLY, -len(end), groups)
            groups = _of_split(lookup.with_key(end, form), key.splits) if start else {}
            found += candidates(Rank.NAME_ONLY, -len(end), groups)
    return found


def _rank_of_key(kin: Kin, splits: SplitWords) -> tuple[int, int]:
    """Return the rank of a folder that has the key, and the distance: equal numbers of splits go first."""
    if kin.splits.same(splits):
        return Rank.KEY, int(kin.splits.numbers != splits.numbers)
    return Rank.LOOSE, 0


def by_declared_name(lookup: Lookup, name: str, declaration: Declaration) -> list[Candidates]:
    """Return the candidates of a declared name, by ranks 1 and 4 to 7."""
    found: list[Candidates] = []
    without_query = name.partition("?")[0]
    for text in dict.fromkeys((name, without_query, unquote(without_query))):
        parts = path_parts(text)
        if 0 < len(parts) <= MAX_DEPTH:
            penalty = EXACT if text == name else ENCODED
            found += (
                Candidates(rank, distance, group, parts[-1], penalty)
                for rank, distance, group in _by_path(lookup, parts, declaration)
            )
            if ".." in text and (path := resolved_path(declaration.home, text)):
                groups = (group for kin, group in lookup.at_path(path).items() if not kin.elsewhere)
                found += (Candidates(Rank.DECLARED, 0, group, parts[-1], penalty) for group in groups)
    return found


def _by_path(lookup: Lookup, parts: list[str], declaration: Declaration) -> Iterator[tuple[int, int, Group]]:
    path, home = "/".join(parts), declaration.home
    key = folder_key("/".join(parts[:-1]))
    splits = key.splits or declaration.splits
    for kin, group in lookup.at_path(path).items():
        if declaration.allows(kin):
            yield Rank.DECLARED, 0, group
    for kin, group in lookup.at_path(joined(home, path)).items():
        if not kin.elsewhere:
            yield Rank.DECLARED, 0, group
    home_parts = folder_key(home).parts
    keys = dict.fromkeys(top + subset + key.parts for top in ((), home_parts) for subset in declaration.subsets)
    for form in forms_of(parts[-1], whole=is_image(parts[-1])):
        for wanted in keys:
            for kin, group in declaration.of_split(lookup.with_key(wanted, form), splits).items():
                if not kin.of_labels:
                    yield *_rank_of_key(kin, splits), group
    yield from _by_path_end(lookup, parts, splits, declaration)


def _by_path_end(
    lookup: Lookup, parts: list[str], splits: SplitWords, declaration: Declaration
) -> Iterator[tuple[int, int, Group]]:
    rest = parts[min(declaration.shared, len(parts) - 1) :]
    for length in range(len(parts), len(rest) - 1, -1):
        end = "/".join(parts[-length:])
        groups = lookup.with_path_end(end)
        if length == len(parts) > 1:  # a declared path with a folder counts also across splits
            groups = {kin: group for kin, group in groups.items() if declaration.allows(kin)}
        else:
            groups = declaration.of_split(groups, splits)
        # Where both paths have more in front, these folders contradict each other.
        sure = length > 1 and length in (len(parts), len(rest))
        yield from ((Rank.PATH_END if sure else Rank.NAME_ONLY, -length, group) for group in groups.values())
        if length > 1 and not sure:
            whole = declaration.of_split(lookup.at_path(end), splits)
            yield from ((Rank.PATH_END, -length, group) for group in whole.values())
    for path in (rest, [*path_parts(declaration.home), *rest]):
        for group in declaration.of_split(lookup.at_path("/".join(path)), splits).values():
            yield Rank.PATH_END, -len(rest), group


def _of_split(groups: Groups, splits: SplitWords) -> Groups:
    """Return the groups whose folders do not name another split."""
    return {kin: group for kin, group in groups.items() if not kin.splits.differs(splits)}


def choose(index: ImageIndex, candidates: Iterable[Candidates], size: Size, last: str, *, shared: bool) -> Choice:
    """Return what a reference takes of its candidates.

    Args:
        index: All images.
        candidates: Images by rank.
        size: The declared width and height; (0, 0): none.
        last: The base name of the second name, which decides between several; empty: none.
        shared: Whether several images in one folder are all taken.
    """
    ranked = sorted(candidates, key=_order)
    sized = min(size) > 0
    if sized and (chosen := _only_one_of_size(index, ranked, size)):
        return chosen
    contradicting: set[int] = set()
    for (rank, distance), groups in groupby(ranked, key=_order):
        tier = [*groups]
        if sized and rank == Rank.LOOSE:
            contradicting.update(image for one in tier for image in one.group.best(one.name, last)[1])
            tier = [one._replace(group=one.group.fitting(size)) for one in tier]
        spelled, images = _best_spelled(index, tier, last)
        images = [image for image in images if image not in contradicting or rank == Rank.LOOSE]
        if not images:
            continue
        if len(images) == 1 and rank == Rank.NAME_ONLY and sized and not index.fits(images[0], size):
            return Choice()
        ambiguous = len(images) > 1 and not (shared and index.in_one_folder(images))
        return Choice(rank, distance, spelled, images, ambiguous)
    return Choice()


def _order(one: Candidates) -> tuple[int, int]:
    return one.rank, one.distance


def _best_spelled(index: ImageIndex, tier: Iterable[Candidates], last: str) -> tuple[int, list[int]]:
    """Return how the best-spelled images of a rank are spelled, and these; image folders elsewhere go first."""
    best, images = EXACT, dict[int, None]()
    for one in tier:
        spelled, found = one.group.best(one.name, last)
        spelled += one.penalty
        if found and (not images or spelled < best):
            best, images = spelled, dict.fromkeys(found)
        elif found and spelled == best:
            images.update(dict.fromkeys(found))
    left = [image for image in images if index.is_named(image)] or [*images]
    if len(left) > 1 and last:
        left = [image for image in left if fold(index.names[image]) == fold(last)] or left
    return best, left


def _only_one_of_size(index: ImageIndex, ranked: list[Candidates], size: Size) -> Choice | None:
    """Return the one candidate of ranks 1 to 6 that has the declared size, if there are several and just one has it."""
    good = [one for one in ranked if one.rank <= Rank.LOOSE]
    images = {image for one in good for image in one.group.images[:2]}
    if len(images) < 2:
        return None
    fitting = {image: one for one in reversed(good) for image in one.group.of_size(size)[:2]}
    if len(fitting) != 1:
        return None
    [(image, one)] = fitting.items()
    spelled = spelling(one.name, index.names[image])
    first = _best_spelled(index, [other for other in ranked if _order(other) == _order(ranked[0])], "")[1]
    return Choice(one.rank, one.distance, spelled + one.penalty, (image,), by_size=image not in first)
