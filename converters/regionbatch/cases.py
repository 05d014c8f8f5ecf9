"""Read, check and write the `case.toml` files of conformance cases.

`regionbatch.testing` documents cases and runs the tests. `regionbatch.recording` writes a case from
the result of a reader.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from regionbatch.options import is_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from regionbatch.options import ReadOptions

CASE_FILE = "case.toml"
"""Name of the file with the expected result of a case."""

_INVISIBLE = re.compile("[\x7f-\xa0\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")
"""Characters that are invisible in an editor, or look like a space."""

VALUES = ("about", "read", "tags", "regions")
"""Keys of a case file with plain values, in the order they are written."""

TABLES: Mapping[str, tuple[str, ...]] = {
    "options": (),
    "boxes": ("read", "kept", "adjusted", "dropped"),
    "images": ("read", "kept", "adjusted", "dropped"),
    "findings": (),
    "places": (),
    "decisions": (),
    "error": ("type", "option", "place"),
    "draw": (),
}
"""Tables of a case file in the order they are written, each with its allowed keys; empty: any."""


class CaseError(ValueError):
    """A case file cannot be read, or contains something unknown."""


class Case:
    """One case: a folder with `input` and `case.toml`.

    Example:
        >>> from pathlib import Path
        >>> from regionbatch.testing import Case
        >>> case = Case(Path("fixtures/coco/crowd-rle"), "coco/crowd-rle")
        >>> case.input.as_posix()
        'fixtures/coco/crowd-rle/input'
    """

    def __init__(self, path: Path, name: str) -> None:
        """Read the case file.

        Args:
            path: The folder of the case.
            name: The name of the case in test IDs.

        Raises:
            CaseError: The case file cannot be read, or contains something unknown.
        """
        self.path = path
        self.name = name
        self.expected: dict[str, Any] = complete(load(path / CASE_FILE))
        """Content of the case file, with the counts that it may leave out."""

    @property
    def input(self) -> Path:
        """Path to read: `input`, or the file in it that the case names."""
        return self.path / "input" / str(self.expected.get("read", ""))

    @property
    def expects_error(self) -> bool:
        """Whether reading must raise an error."""
        return "error" in self.expected

    def rows(self) -> list[tuple[Any, ...]]:
        """Return the expected regions as (image, tag, left, top, width, height)."""
        return [tuple(region) for region in self.expected.get("regions", ())]

    def options(self, declared: type[ReadOptions]) -> dict[str, Any]:
        """Return the options for `regionbatch.read`, with absolute paths."""
        return absolute_options(self.path, self.expected.get("options", {}), declared)


def cases_in(folder: Path) -> list[Case]:
    """Find all cases below a folder, sorted and named by their paths (`coco/crowd-rle`).

    Args:
        folder: Folder that contains the folders of the cases.

    Raises:
        FileNotFoundError: The folder contains no case.
        CaseError: A case file cannot be used.
    """
    found: list[Path] = []
    for path in sorted(folder.rglob(CASE_FILE)):
        if "input" not in path.relative_to(folder).parts:
            found.append(path.parent)  # noqa: PERF401 - reads better than a long comprehension
    found.sort()
    if not found:
        raise FileNotFoundError(
            f"{folder}: no case found. A case is a folder with 'input' and '{CASE_FILE}'."
        )
    return [Case(path, f"{folder.name}/{path.relative_to(folder).as_posix()}") for path in found]


def load(path: Path) -> dict[str, Any]:
    """Read a case file and check its keys.

    Raises:
        CaseError: It is not TOML in UTF-8, or contains something unknown.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not TOML, or not UTF-8
        raise CaseError(f"{path}: not a TOML file: '{error}'. Correct it.") from error
    _check_keys(path, "", written, (*VALUES, *TABLES))
    for name, known in TABLES.items():
        table = written.get(name, {})
        if not isinstance(table, dict):
            raise CaseError(f"{path}: not a table: '{name}'. Write [{name}].")
        _check_keys(path, f"{name}.", table, known)
    _check_regions(path, written.get("regions", []))
    if "error" in written:
        _check_error(path, written)
    return written


def complete(written: Mapping[str, Any]) -> dict[str, Any]:
    """Add the counts that a case file may leave out.

    Args:
        written: The content of a case file.

    Returns:
        The same content. Unless it expects an error, both accounts have all four entries, and
        `findings` has all codes.
    """
    expected = dict(written)
    if "error" in expected:
        return expected
    regions = expected.setdefault("regions", [])
    boxes = complete_account(expected.get("boxes", {}), len(regions))
    images = complete_account(expected.get("images", {}), len({region[0] for region in regions}))
    findings = {**implied_findings(boxes, images), **expected.get("findings", {})}
    expected["boxes"] = boxes
    expected["images"] = images
    expected["findings"] = {code: count for code, count in findings.items() if count}
    return expected


def complete_account(written: Mapping[str, Any], left: int) -> dict[str, Any]:
    """Add the counts that an account may leave out.

    Args:
        written: The account in the case file.
        left: Number of records that are not dropped, if the account does not say otherwise.
    """
    adjusted = dict(written.get("adjusted", {}))
    dropped = dict(written.get("dropped", {}))
    lost = sum(dropped.values())
    read = written.get("read", left + lost)
    kept = written.get("kept", read - lost - sum(adjusted.values()))
    return {"read": read, "kept": kept, "adjusted": adjusted, "dropped": dropped}


def implied_findings(*accounts: Mapping[str, Any]) -> dict[str, int]:
    """Count the findings that accounts imply: one for each adjusted or dropped record."""
    implied: Counter[str] = Counter()
    for account in accounts:
        implied.update(account["adjusted"])
        implied.update(account["dropped"])
    return dict(implied)


def absolute_options(
    folder: Path, options: Mapping[str, Any], declared: type[ReadOptions]
) -> dict[str, Any]:
    """Return options with paths relative to the folder of the case made absolute."""
    paths = {field.name for field in fields(declared) if is_path(field)}
    absolute: dict[str, Any] = {}
    for name, value in options.items():
        if name not in paths:
            absolute[name] = value
        elif isinstance(value, list):
            absolute[name] = [folder / one for one in value]
        else:
            absolute[name] = folder / value
    return absolute


def as_toml(content: Mapping[str, Any]) -> str:
    """Return the content of a case file as TOML, one region per line, without empty tables."""
    plain = [f"{key} = {_value(key, content[key])}\n" for key in VALUES if key in content]
    blocks = ["".join(plain)]
    for name in TABLES:
        table = content.get(name)
        if table:
            lines = [f"{_key(key)} = {_value(key, value)}\n" for key, value in table.items()]
            blocks.append("".join([f"[{name}]\n", *lines]))
    return "\n".join(filter(None, blocks))


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _text(key)


def _value(key: str, value: object) -> str:
    """Return a value as TOML; `key` is its key."""
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        pairs = [f"{_key(name)} = {_value(name, inner)}" for name, inner in value.items()]
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, (list, tuple)):
        items = [_value("", item) for item in value]
        if key == "regions" and items:
            return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        return f"[{', '.join(items)}]"
    return repr(value)


def _text(text: str) -> str:
    """Return a string as TOML. JSON escapes strings the same way, except for DEL."""
    quoted = json.dumps(text, ensure_ascii=False)
    return _INVISIBLE.sub(lambda found: f"\\u{ord(found[0]):04x}", quoted)


def _check_keys(path: Path, prefix: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table:
        if known and key not in known:
            raise CaseError(f"{path}: unknown key: '{prefix}{key}'. Known: {', '.join(known)}.")


def _check_regions(path: Path, regions: object) -> None:
    if not isinstance(regions, list):
        raise CaseError(f"{path}: not an array: 'regions'. Write one region per line in [ ].")
    for region in regions:
        if not _is_region(region):
            raise CaseError(
                f"{path}: not a region: '{region!r}'. Write [image, tag, left, top, width, height]."
            )


def _is_region(value: object) -> bool:
    return isinstance(value, list) and len(value) == 6 and all(map(_is_number, value[2:]))


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_error(path: Path, written: Mapping[str, Any]) -> None:
    if "type" not in written["error"]:
        raise CaseError(f"{path}: [error] without 'type'. Add the class name of the error.")
    for key in ("tags", "regions", "boxes", "images", "findings", "places", "decisions"):
        if key in written:
            raise CaseError(f"{path}: key next to [error]: '{key}'. Remove one of them.")
