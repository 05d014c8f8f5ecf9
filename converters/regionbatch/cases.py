"""Conformance cases on disk: what a `case.toml` may hold, and how it is read and written.

`regionbatch.testing` says what a case is and runs the tests. `regionbatch.recording` writes a case from what a reader
does.
"""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from regionbatch.options import is_path

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from regionbatch.options import ReadOptions

CASE_FILE = "case.toml"
"""The name of the file that says what is expected of a case."""

_UNSEEN = re.compile("[\x7f-\xa0\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ufeff]")
"""Characters that nobody sees in an editor, or sees as a plain blank."""

VALUES = ("about", "read", "tags", "regions")
"""The keys of a case file that hold plain values, in the order they are written."""

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
"""The tables of a case file in the order they are written, each with the keys it may hold; none named: any."""


class CaseError(ValueError):
    """A case that cannot be used as it is written."""


class Case:
    """One case: a folder with `input` and `case.toml`."""

    def __init__(self, path: Path, name: str) -> None:
        """Read the case file.

        Args:
            path: The folder of the case.
            name: The name of the case in test IDs.

        Raises:
            CaseError: The case file cannot be read, or holds something unknown.
        """
        self.path = path
        self.name = name
        self.expected: dict[str, Any] = complete(load(path / CASE_FILE))
        """What the case file holds, with the counts that it may leave out."""

    @property
    def input(self) -> Path:
        """The path that is read: `input`, or the file in it that the case names."""
        return self.path / "input" / str(self.expected.get("read", ""))

    @property
    def refused(self) -> bool:
        """Whether reading must raise an error."""
        return "error" in self.expected

    def rows(self) -> list[tuple[Any, ...]]:
        """The expected regions as (image, tag, left, top, width, height)."""
        return [tuple(region) for region in self.expected.get("regions", ())]

    def options(self, declared: type[ReadOptions]) -> dict[str, Any]:
        """The options for `regionbatch.read`, with paths made absolute."""
        return absolute_options(self.path, self.expected.get("options", {}), declared)


def cases_in(folder: Path) -> list[Case]:
    """Find all cases below a folder, sorted and named by their paths (`coco/crowd-rle`).

    Raises:
        FileNotFoundError: There is no case in the folder.
        CaseError: A case file cannot be used.
    """
    found = sorted(path.parent for path in folder.rglob(CASE_FILE) if "input" not in path.relative_to(folder).parts)
    if not found:
        raise FileNotFoundError(f"{folder}: no case here. A case is a folder with 'input' and '{CASE_FILE}'.")
    return [Case(path, f"{folder.name}/{path.relative_to(folder).as_posix()}") for path in found]


def load(path: Path) -> dict[str, Any]:
    """Read a case file and check its keys.

    Raises:
        CaseError: It is not TOML in UTF-8, or holds something unknown.
    """
    try:
        written = tomllib.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:  # not TOML, or not UTF-8
        raise CaseError(f"{path}: not a TOML file: {error}.") from error
    _check_keys(path, "", written, (*VALUES, *TABLES))
    for name, known in TABLES.items():
        table = written.get(name, {})
        if not isinstance(table, dict):
            raise CaseError(f"{path}: {name!r} must be a table.")
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
        The same content. Unless it expects an error, both accounts have all four entries, and `findings` has all codes.
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
    """Add what an account may leave out; `left` is how many records are left unless it says otherwise."""
    adjusted = dict(written.get("adjusted", {}))
    dropped = dict(written.get("dropped", {}))
    lost = sum(dropped.values())
    read = written.get("read", left + lost)
    kept = written.get("kept", read - lost - sum(adjusted.values()))
    return {"read": read, "kept": kept, "adjusted": adjusted, "dropped": dropped}


def implied_findings(*accounts: Mapping[str, Any]) -> dict[str, int]:
    """Count the findings that come with accounts: one for each record adjusted or dropped."""
    implied: dict[str, int] = {}
    for account in accounts:
        for part in (account["adjusted"], account["dropped"]):
            for code, count in part.items():
                implied[code] = implied.get(code, 0) + count
    return implied


def absolute_options(folder: Path, options: Mapping[str, Any], declared: type[ReadOptions]) -> dict[str, Any]:
    """Resolve the paths among options against the folder of the case."""
    paths = {field.name for field in fields(declared) if is_path(field)}

    def absolute(value: Any) -> Any:  # noqa: ANN401 - one path, or several
        return [folder / one for one in value] if isinstance(value, list) else folder / value

    return {name: absolute(value) if name in paths else value for name, value in options.items()}


def as_toml(content: Mapping[str, Any]) -> str:
    """Write the content of a case file, one region a line. Empty tables are left out."""
    blocks = ["".join(f"{key} = {_value(key, content[key])}\n" for key in VALUES if key in content)]
    for name in TABLES:
        if table := content.get(name):
            lines = [f"{_key(key)} = {_value(key, value)}\n" for key, value in table.items()]
            blocks.append("".join([f"[{name}]\n", *lines]))
    return "\n".join(block for block in blocks if block)


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key, key)


def _value(key: str, value: object) -> str:
    if isinstance(value, str):
        # JSON escapes a string as TOML does, except for the DEL character.
        return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(name)} = {_value(name, inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        items = [_value("", item) for item in value]
        if key == "regions" and items:
            return "[\n" + "".join(f"  {item},\n" for item in items) + "]"
        return f"[{', '.join(items)}]"
    return repr(value)


def _check_keys(path: Path, prefix: str, table: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in table if known else ():
        if key not in known:
            raise CaseError(f"{path}: unknown key '{prefix}{key}'. Known: {', '.join(known)}.")


def _check_regions(path: Path, regions: object) -> None:
    if not isinstance(regions, list):
        raise CaseError(f"{path}: 'regions' must be an array.")
    for region in regions:
        if not (isinstance(region, list) and len(region) == 6 and all(map(_is_number, region[2:]))):
            raise CaseError(f"{path}: a region must be [image, tag, left, top, width, height]: {region!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _check_error(path: Path, written: Mapping[str, Any]) -> None:
    if "type" not in written["error"]:
        raise CaseError(f"{path}: 'error' needs a 'type', the class name of the error.")
    for key in ("tags", "regions", "boxes", "images", "findings", "places", "decisions"):
        if key in written:
            raise CaseError(f"{path}: a case that expects an error has no '{key}'.")
