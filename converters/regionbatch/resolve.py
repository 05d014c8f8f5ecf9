"""Names become ids: class names tag ids, image names image ids. Never a guess: two candidates are an error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from regionbatch.errors import ResolveError
from regionbatch.findings import on_one_line
from regionbatch.readers.files import fold, is_picture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from regionbatch.findings import Report

_SHOWN = 10


Step: TypeAlias = "Callable[[str], str]"
"""One way of comparing names: two are the same if their keys are."""


def _base(name: str) -> str:
    return name.replace("\\", "/").rpartition("/")[2]


def _stem(name: str) -> str:
    """The base without the ending of a picture; other points are part of the name."""
    base = _base(name)
    return base.rpartition(".")[0] if is_picture(base) else base


def loose(name: str) -> str:
    """A name without regard to case, outer blanks and Unicode form."""
    return fold(name.strip())


def _loose_path(name: str) -> str:
    return loose(name.replace("\\", "/"))


TAG_STEPS: tuple[Step, ...] = (loose,)
IMAGE_STEPS: tuple[Step, ...] = (
    _loose_path,
    _base,
    lambda name: loose(_base(name)),
    _stem,
    lambda name: loose(_stem(name)),
)
"""What is tried after the name letter by letter: an image is found by its path, then by the last part of it, then by
that without its extension."""


def _is_sure(name: str, match: str) -> bool:
    """Whether one name of an image is the end of the other, but for the ending of a picture that only one has."""
    name, match = name.replace("\\", "/"), match.replace("\\", "/")
    if is_picture(name) != is_picture(match):
        name, match = (text.rpartition(".")[0] if is_picture(text) else text for text in (name, match))
    short, long = sorted((name, match), key=len)
    return short == long or long.endswith("/" + short)


def _is_elsewhere(name: str, match: str) -> bool:
    """Whether two names of an image name folders that contradict each other."""
    short, long = sorted((_loose_path(text).rpartition("/")[0] for text in (name, match)), key=len)
    return bool(short) and not f"/{long}".endswith(f"/{short}")


def resolve(
    kind: Literal["tag", "image"],
    names: Sequence[str],
    used: Iterable[int],
    table: Mapping[str, str],
    report: Report,
    *,
    rename: Mapping[str, str] | None = None,
    counts: Sequence[int] = (),
    skip: bool = False,
) -> list[str | None]:
    """The id in `table` of each name that is used; None for the others.

    A match that is not letter by letter is told, unless one name is the end of the other. `rename` maps names of the
    data set to names of the table and goes first, since somebody asked for it. `counts` has the boxes of each name, for
    messages. With `skip`, names that stay without an id are left None.

    Raises:
        ResolveError: Names without an id (unless `skip`), or with several; all are told at once.
    """
    steps = TAG_STEPS if kind == "tag" else IMAGE_STEPS
    found: list[str | None] = [None] * len(names)
    ids = table
    rename = rename or {}
    if unknown := sorted(set(rename) - set(names)):
        raise ResolveError(f"--map: no such class in the data set, got {', '.join(unknown)}; it has {_some(names)}")
    wanted = [rename.get(name, name) for name in names] if rename else names
    used = list(used)
    for code, id_ in zip(used, map(ids.get, [wanted[code] for code in used]), strict=True):
        found[code] = id_
    left = [code for code in used if found[code] is None]
    for code in used if rename else ():
        if wanted[code] != names[code]:
            report.note("mapped", names[code], wanted[code])
    if left:
        own = set(wanted)
        ids = {name: id_ for name, id_ in ids.items() if name not in own}  # those are the ids of others here
    for step in steps:
        left = _match(step, left, wanted, ids, found, kind, report)
    if left and not skip:
        raise _unresolved(kind, left, names, wanted, table, counts)
    if kind == "image":
        _refuse_shared(found, names, table)
    return found


def _match(
    step: Step,
    left: list[int],
    names: Sequence[str],
    ids: Mapping[str, str],
    found: list[str | None],
    kind: str,
    report: Report,
) -> list[int]:
    """Match what is left by one way of comparing; what is left after it."""
    if not left:
        return left
    table: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    for name in ids:
        key = step(name)
        twin = table.setdefault(key, name)
        if twin is not name and ids[twin] != ids[name]:
            several.setdefault(key, [twin]).append(name)
    still: list[int] = []
    for code in left:
        key = step(names[code])
        match = table.get(key)
        if match is None:
            still.append(code)
            continue
        if key in several:
            raise ResolveError(
                f"{on_one_line(names[code])}: several {kind}s could be meant, got {_some(several[key])}; "
                + ("say which with --map" if kind == "tag" else "give the ids by their paths")
            )
        found[code] = ids[match]
        if kind == "image" and _is_elsewhere(names[code], match):
            report.note("matched_elsewhere", names[code], match)
        elif kind == "tag" or not _is_sure(names[code], match):
            report.note("matched_loosely", names[code], match)
    return still


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
