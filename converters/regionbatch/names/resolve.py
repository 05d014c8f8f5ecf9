"""Resolve class names to tag IDs and image names to image IDs; two candidates are an error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from regionbatch.dataset import normalise_label
from regionbatch.errors import ResolveError
from regionbatch.names.finders import by_case, by_path, is_exact_path, names_other_split
from regionbatch.wording import counted, listed, quoted_names

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from regionbatch.findings import FindingLog
    from regionbatch.names.finders import Finder

_LISTED = 100
"""How many names without an ID a message lists."""


def resolve(
    kind: Literal["tag", "image"],
    names: Sequence[str],
    used: Iterable[int],
    table: Mapping[str, str],
    log: FindingLog,
    *,
    rename: Mapping[str, str] | None = None,
    counts: Sequence[int] = (),
    exact: Collection[int] = (),
    splits: Sequence[str] = (),
    skip: bool = False,
) -> list[str | None]:
    """Return the ID of each name that is used; None for the others.

    A match that is not exact is reported, unless one path ends with the other. An inexact match of
    a tag is doubtful, unless the names differ only in surrounding whitespace or Unicode form, which
    reading normalises anyway.

    Args:
        kind: What the names belong to.
        names: The n names of the dataset.
        used: Codes of the names that need an ID.
        table: IDs by name.
        log: Where matches are reported.
        rename: Names in the table by names of the dataset. A name that is renamed to itself is
            matched exactly.
        counts: (n,), the boxes of each name, for messages.
        exact: Codes of names that must match exactly, because it is unknown which image file they
            mean.
        splits: n splits of the images; empty strings for none.
        skip: Whether names without an ID stay None instead of raising an error.

    Raises:
        ResolveError: A name has several IDs or, unless `skip`, none. All names without an ID are
            reported at once.
    """
    rename = rename or {}
    wanted = names
    if rename:
        check_renames(rename, names)
        wanted = [rename.get(name, name) for name in names]
    lookup = _Lookup(kind, names, wanted, table, splits, counts)
    used = list(used)
    found = lookup.find_exact(used)
    _report_renames(used, names, wanted, log)
    missing = [code for code in used if found[code] is None] if None in found else []
    exact_only = {*exact} | {code for code in missing if rename.get(names[code]) == names[code]}
    if inexact := [code for code in missing if code not in exact_only]:
        found = lookup.find_inexact(inexact, used, found, log)
        missing = [code for code in missing if found[code] is None]
    if missing and not skip:
        raise lookup.error_of(missing)
    if kind == "image" and inexact:  # images with exact names are both in the table
        _check_unambiguous(found, names, table)
    return found


@dataclass(frozen=True, slots=True)
class _Lookup:
    """Names of the dataset and the table in which they are looked up."""

    kind: Literal["tag", "image"]
    names: Sequence[str]
    wanted: Sequence[str]
    """The names after renaming."""
    table: Mapping[str, str]
    splits: Sequence[str]
    counts: Sequence[int]

    @property
    def option(self) -> str:
        return f"{self.kind}_ids"

    def find_exact(self, used: Sequence[int]) -> list[str | None]:
        """Return the IDs of the names that the table has exactly; None for the others."""
        found: list[str | None] = [*map(self.table.get, self.wanted)]
        if len(used) < len(found):
            for code in {*range(len(found))}.difference(used):
                found[code] = None
        return found

    def find_inexact(
        self,
        codes: Sequence[int],
        used: Sequence[int],
        found: Sequence[str | None],
        log: FindingLog,
    ) -> list[str | None]:
        """Return the IDs found so far, with those of inexact matches added."""
        found = [*found]
        find = self._finder(codes, used)
        for code in codes:
            matches = self._same_split(code, find(self.wanted[code]))
            if not matches:
                continue
            self._check_one_id(code, matches)
            found[code] = self.table[matches[0]]
            self._report(code, matches[0], log)
        return found

    def _finder(self, codes: Iterable[int], used: Iterable[int]) -> Finder:
        """Return the finder of inexact matches; it skips exact names of other classes or images."""
        if self.kind == "tag":
            own = {self.wanted[code] for code in used}
            return by_case(name for name in self.table if name not in own)
        own = {*self.wanted}
        others = [name for name in self.table if name not in own]
        return by_path(others, [self.wanted[code] for code in codes])

    def _same_split(self, code: int, matches: list[str]) -> list[str]:
        if self.kind == "tag":
            return matches
        split = self.splits[code] if self.splits else ""
        name = self.wanted[code]
        return [match for match in matches if not names_other_split(match, name, split)]

    def _check_one_id(self, code: int, matches: Sequence[str]) -> None:
        if len({self.table[match] for match in matches}) == 1:
            return
        what = (
            f"{quoted_names([self.wanted[code]])} matches several entries: {quoted_names(matches)}"
        )
        advice = "Choose one with `rename`."
        if self.kind == "image":
            advice = "Add an entry with the image's own path."
        raise ResolveError(
            f"{self.option}: {what}. {advice}",
            option="rename" if self.kind == "tag" else self.option,
            value=self.names[code],
            choices=matches,
        )

    def _report(self, code: int, match: str, log: FindingLog) -> None:
        name = self.wanted[code]
        if self.kind == "tag":
            doubtful = normalise_label(match) != normalise_label(name)
            log.note("matched_loosely", name, match, doubtful=doubtful)
        elif not is_exact_path(name, match):
            log.note("matched_loosely", name, match)

    def error_of(self, missing: Sequence[int]) -> ResolveError:
        """Return the error about names without an ID."""
        boxes = sum(self.counts[code] for code in missing) if len(self.counts) else 0
        tags = self.kind == "tag"
        advice = "Add the missing IDs"
        if tags:
            advice += ", map the classes with `rename`,"
        contents = f"contains {quoted_names(self.table)}" if self.table else "is empty"
        return ResolveError(
            f"{self.option}: no ID for {counted(len(missing), self.kind)} "
            f"({counted(boxes, 'box', 'boxes')}): {listed(map(self._shown, missing), _LISTED)}. "
            f"The table {contents}. {advice} or use `skip_unresolved=True`.",
            option=self.option,
            value=[self.names[code] for code in missing],
            choices=[*self.table],
        )

    def _shown(self, code: int) -> str:
        shown = quoted_names([self.names[code]])
        if self.wanted[code] != self.names[code]:
            shown += f" as {quoted_names([self.wanted[code]])}"
        if len(self.counts):
            shown += f" ({counted(int(self.counts[code]), 'box', 'boxes')})"
        return shown


def check_renames(rename: Mapping[str, str], names: Sequence[str]) -> None:
    """Raise an error if a name is not one of the dataset's."""
    if unknown := sorted({*rename} - {*names}):
        raise ResolveError(
            f"rename: no such class in the dataset: {quoted_names(unknown)}. "
            f"The classes are: {quoted_names(names)}.",
            option="rename",
            value=unknown[0],
            choices=names,
        )


def _report_renames(
    used: Iterable[int], names: Sequence[str], wanted: Sequence[str], log: FindingLog
) -> None:
    if wanted is names:
        return
    for code in used:
        if wanted[code] != names[code]:
            log.note("mapped", names[code], wanted[code])


def _check_unambiguous(
    found: Sequence[str | None], names: Sequence[str], table: Mapping[str, str]
) -> None:
    """Raise an error if two images match one entry, as `a/1.jpg` and `b/1.jpg` match `1.jpg`."""
    known = [id_ for id_ in found if id_ is not None]
    if len({*known}) == len(known):
        return
    first_of: dict[str, int] = {}
    for code, id_ in enumerate(found):
        if id_ is None:
            continue
        first = first_of.setdefault(id_, code)
        both_listed = names[first] in table and names[code] in table
        if first != code and not both_listed:
            one, other = (quoted_names([names[each]]) for each in (first, code))
            raise ResolveError(
                f"image_ids: {one} and {other} would both get the ID '{id_}'. "
                "List the images by their paths, not by their names.",
                option="image_ids",
                value=id_,
                choices=(names[first], names[code]),
            )
