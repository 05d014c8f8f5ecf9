"""Names become ids: class names tag ids, image names image ids. Never a guess: two candidates are an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from regionbatch.dataset import tidy
from regionbatch.errors import ResolveError
from regionbatch.files.paths import MAX_DEPTH, ends_with, fold, folder_key, image_stem, is_image, path_parts
from regionbatch.findings import on_one_line
from regionbatch.similar import loose

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

    from regionbatch.findings import FindingLog

_SHOWN = 10


Finder: TypeAlias = "Callable[[str], list[str]]"
"""One way of finding the names of a table that a name may mean."""


def _by_case(ids: Mapping[str, str]) -> Finder:
    """Find names that differ in case, whitespace or Unicode form only."""
    table: dict[str, list[str]] = {}
    for name in ids:
        table.setdefault(loose(name), []).append(name)
    return lambda name: table.get(loose(name), [])


def _by_path(ids: Mapping[str, str], names: Iterable[str]) -> Finder:
    """Find names of images, of which one path ends the other; an extension may be missing on one side.

    Never across folders or splits that contradict each other: that is how association matches names too.
    """
    whole: dict[str, list[str]] = {}
    ends: dict[str, list[str]] = {}
    wanted = {form for name in names for form in _forms(name)}  # all ends of all names would be many
    for name in ids:
        for form in _forms(name):
            whole.setdefault(form, []).append(name)
            for end in wanted.intersection(_ends(form)):
                ends.setdefault(end, []).append(name)

    def find(name: str) -> list[str]:
        found: dict[str, None] = {}
        for form in _forms(name):
            found.update(dict.fromkeys(ends.get(form, ())))
            for end in (form, *_ends(form)):
                found.update(dict.fromkeys(whole.get(end, ())))
        return [other for other in found if is_image(name) != is_image(other) or _extension(name) == _extension(other)]

    return find


def _names_other_split(match: str, name: str, split: str) -> bool:
    """Return whether the folders of a match name another split than those of an image, or than its own split."""
    own = folder_key(name.replace("\\", "/").rpartition("/")[0]).splits or folder_key(split).splits
    return folder_key(match.replace("\\", "/").rpartition("/")[0]).splits.differs(own)


def _forms(name: str) -> set[str]:
    """Return the folded paths by which an image is compared: whole, and without the extension."""
    path = fold("/".join(path_parts(name)))
    return {path, image_stem(path)}


def _ends(path: str) -> Iterator[str]:
    """Yield the ends of a path, the longest first; of one that is deeper than any dataset's, those that are not."""
    parts = path.split("/")
    for start in range(max(1, len(parts) - MAX_DEPTH), len(parts)):
        yield "/".join(parts[start:])


def _extension(name: str) -> str:
    return fold(name[name.rfind(".") :]) if is_image(name) else ""


def _is_exact(name: str, match: str) -> bool:
    """Return whether one name of an image ends the other exactly, but for an extension that only one has."""
    name, match = ("/".join(path_parts(text)) for text in (name, match))
    if is_image(name) != is_image(match):
        name, match = image_stem(name), image_stem(match)
    return ends_with(name, match) or ends_with(match, name)


def resolve(
    kind: Literal["tag", "image"],
    names: Sequence[str],
    used: Iterable[int],
    table: Mapping[str, str],
    report: FindingLog,
    *,
    rename: Mapping[str, str] | None = None,
    counts: Sequence[int] = (),
    exact: Collection[int] = (),
    splits: Sequence[str] = (),
    skip: bool = False,
) -> list[str | None]:
    """Return the ID in `table` of each name that is used; None for the others.

    A match that is not exact is reported, unless one path ends the other. That of a tag is doubtful, unless the names
    differ only in what is never kept of a class name: outer whitespace, and the composed form.

    Args:
        kind: What the names are of.
        names: The names of the dataset.
        used: Codes of the names that need an ID.
        table: IDs by name.
        report: Where matches are reported.
        rename: Names of the table by names of the dataset; goes first, since somebody asked for it. What is renamed to
            its own name is matched exactly.
        counts: The boxes of each name, for messages.
        exact: Codes of names that are matched exactly or not at all: which image they are could not be decided.
        splits: The split of each image; empty: none.
        skip: Whether names without an ID are left None.

    Raises:
        ResolveError: Names without an ID (unless `skip`), or with several; all are reported at once.
    """
    found: list[str | None] = [None] * len(names)
    ids = table
    rename = rename or {}
    if unknown := sorted(set(rename) - set(names)):
        raise ResolveError(f"--map: no such class in the dataset, got {', '.join(unknown)}; it has {_some(names)}")
    wanted = [rename.get(name, name) for name in names] if rename else names
    used = list(used)
    for code, id_ in zip(used, map(ids.get, [wanted[code] for code in used]), strict=True):
        found[code] = id_
    left = [code for code in used if found[code] is None]
    for code in used if rename else ():
        if wanted[code] != names[code]:
            report.note("mapped", names[code], wanted[code])
    if left:
        own = {wanted[code] for code in used} if kind == "tag" else set(wanted)
        ids = {name: id_ for name, id_ in ids.items() if name not in own}  # those are the ids of others here
    meant = {code for code in left if rename.get(names[code]) == names[code]}  # called exactly so: somebody said it
    loosely = [code for code in left if code not in exact and code not in meant]
    if loosely:
        finder = _by_case(ids) if kind == "tag" else _by_path(ids, [wanted[code] for code in loosely])
        matched = _match(finder, loosely, wanted, ids, found, kind, splits, report)
        left = [code for code in left if code not in matched]
    if left and not skip:
        raise _unresolved(kind, left, names, wanted, table, counts)
    if kind == "image":
        _refuse_shared(found, names, table)
    return found


def _match(
    find: Finder,
    codes: Sequence[int],
    names: Sequence[str],
    ids: Mapping[str, str],
    found: list[str | None],
    kind: str,
    splits: Sequence[str],
    report: FindingLog,
) -> set[int]:
    """Find the IDs of names, and return those that were found."""
    matched: set[int] = set()
    for code in codes:
        matches = find(names[code])
        if kind == "image":
            split = splits[code] if splits else ""
            matches = [match for match in matches if not _names_other_split(match, names[code], split)]
        if len({ids[match] for match in matches}) > 1:
            raise ResolveError(
                f"{on_one_line(names[code])}: several {kind}s could be meant, got {_some(matches)}; "
                + ("say which with --map" if kind == "tag" else "give the ids by their paths")
            )
        if matches:
            found[code] = ids[matches[0]]
            matched.add(code)
            if kind == "tag":
                report.note("matched_loosely", names[code], matches[0], doubtful=tidy(matches[0]) != tidy(names[code]))
            elif not _is_exact(names[code], matches[0]):
                report.note("matched_loosely", names[code], matches[0])
    return matched


def _refuse_shared(found: Sequence[str | None], names: Sequence[str], ids: Mapping[str, str]) -> None:
    """Refuse two images that one entry of the table would serve, as `a/1.jpg` and `b/1.jpg` by `1.jpg`."""
    known = [id_ for id_ in found if id_ is not None]
    if len(set(known)) == len(known):
        return
    by_id: dict[str, int] = {}
    for code, id_ in enumerate(found):
        if id_ is None:
            continue
        twin = by_id.setdefault(id_, code)
        if twin != code and not (names[twin] in ids and names[code] in ids):
            raise ResolveError(
                f"{names[code]}: it and {names[twin]} would both be {id_}; give the ids by their paths, not by names"
            )


def _unresolved(
    kind: str,
    left: Sequence[int],
    names: Sequence[str],
    wanted: Sequence[str],
    ids: Mapping[str, str],
    counts: Sequence[int],
) -> ResolveError:
    boxes = int(np.asarray(counts)[list(left)].sum()) if len(counts) else 0
    shown = {code: names[code] + (f" as {wanted[code]}" if wanted[code] != names[code] else "") for code in left}
    listed = _some(
        [f"{name} ({counts[code]} boxes)" if len(counts) else name for code, name in shown.items()], most=100
    )
    advice = "add them, use --map old=new, or leave them out with --skip-unresolved"
    if kind == "image":
        advice = "add them, or leave them out with --skip-unresolved"
    return ResolveError(
        f"{kind} names: {len(left)} with {boxes} boxes have no id, got {listed}; {advice}; "
        f"the table has {_some(list(ids))}"
    )


def _some(names: Sequence[str], most: int = _SHOWN) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (on_one_line(", ".join(names[:most])) or "nothing") + more
