"""Record a conformance case: read its dataset and write the result to its `case.toml`.

python -m regionbatch.testing record READER FOLDER [--force]
"""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, cast

import regionbatch
from regionbatch import plugins
from regionbatch.cases import (
    CASE_FILE,
    CaseError,
    absolute_options,
    as_toml,
    complete_account,
    implied_findings,
    load,
)
from regionbatch.errors import OptionError, RegionBatchError
from regionbatch.findings.text import escape_unprintable, quoted
from regionbatch.report import summary

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.dataset import Dataset
    from regionbatch.plugins import Reader

KEPT = ("about", "read", "options", "draw")
"""Keys that are kept when a case file is replaced, because only a person can write them."""

DIGITS = 9
"""Decimals of a recorded number. Readers are compared within 1e-6."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status: 0 success, 1 error. A usage error exits with 2.
    """
    parser = _Parser(
        prog="python -m regionbatch.testing", description="Work with conformance cases of a reader."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("record", help="Read a dataset and write its case.toml.")
    command.add_argument(
        "reader", metavar="READER", help="Name of a registered format, or module:Class."
    )
    command.add_argument(
        "folder",
        metavar="FOLDER",
        type=Path,
        help="Folder of the case; its dataset is in input/.",
    )
    command.add_argument("--force", action="store_true", help="Replace an existing case.toml.")
    given = parser.parse_args(arguments)
    try:
        path = record(reader_named(given.reader), given.folder, force=given.force)
    except (CaseError, RegionBatchError, OSError) as error:
        sys.stderr.write(f"Error: {escape_unprintable(str(error))}\n")
        return 1
    sys.stdout.write(f"{path}: recorded. Check it by hand.\n")
    return 0


def reader_named(name: str) -> Reader:
    """Return the reader that a name stands for.

    Args:
        name: A registered format (`coco`), or a class (`mypackage.readers:MyReader`).

    Raises:
        CaseError: The class cannot be imported or made, or is not a reader.
        RegionBatchError: There is no such format, or its plugin fails.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        return plugins.get(name)
    try:
        reader = getattr(import_module(module), attribute)()
    except Exception as error:
        problem = quoted(f"{type(error).__name__}: {error}")
        raise CaseError(f"{name}: cannot load the reader: {problem}. Correct it.") from error
    missing = plugins.missing_parts(reader)
    if missing:
        problem = f"not a reader, it lacks: '{', '.join(missing)}'"
        raise CaseError(f"{name}: {problem}. See regionbatch.plugins.Reader.")
    return cast("Reader", reader)


def record(reader: Reader, folder: Path, *, force: bool = False) -> Path:
    """Read the dataset of a case and write its case file.

    Args:
        reader: The reader.
        folder: The folder of the case; the dataset is in its `input`.
        force: Replace an existing case file. Its `about`, `read`, `options` and `draw` are kept.

    Returns:
        The path of the case file.

    Raises:
        CaseError: There is no dataset, or the case file must not be replaced or cannot be used.
        OptionError: The existing case file has options that are wrong for the reader.
    """
    path = folder / CASE_FILE
    if not (folder / "input").is_dir():
        raise CaseError(f"{folder}: no folder 'input'. Put the dataset into it.")
    if path.exists() and not force:
        raise CaseError(f"{path}: already exists. Use --force to replace it.")
    before = load(path) if path.exists() else {}
    kept = {key: before[key] for key in KEPT if key in before}
    home = folder.absolute()
    dataset = home / "input" / kept.get("read", "")
    if not dataset.exists():
        raise CaseError(f"{dataset}: no such file. Correct 'read' in {path}.")
    options = absolute_options(home, kept.get("options", {}), reader.options)
    content = kept | _outcome(reader, dataset, options, str(home))
    try:
        text = as_toml(content).encode()
    except UnicodeEncodeError as error:  # a lone surrogate, which TOML cannot hold
        before_it = error.object[: error.start].rpartition('"')[2]
        name = before_it + error.object[error.start :].partition('"')[0]
        problem = f"a name in the dataset is not valid Unicode: {name!r}"
        raise CaseError(f"{path}: {problem}. Rename it.") from error
    path.write_bytes(text)
    return path


def _outcome(reader: Reader, path: Path, options: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return the result of reading a dataset as the content of a case file.

    Places and decisions that contain `folder` are left out, because a copy has another one.
    """
    try:
        dataset = regionbatch.read(path, format=reader, **options)
    except OptionError:
        raise
    except RegionBatchError as error:
        known = {"option": error.option, "place": error.place}
        attributes = {name: value for name, value in known.items() if value and folder not in value}
        return {"error": {"type": type(error).__name__, **attributes}}
    places = {code: dataset.findings.first(code, 1)[0].place for code in dataset.findings.counts()}
    decisions = {option: decision.value for option, decision in dataset.decisions.items()}
    return {
        **_counts(dataset),
        "places": {code: place for code, place in places.items() if folder not in place},
        "decisions": {option: value for option, value in decisions.items() if folder not in value},
    }


def _counts(dataset: Dataset) -> dict[str, Any]:
    """Return the regions, and the accounts and findings without what is derived from them."""
    rows = [
        [image, tag, *(round(number, DIGITS) for number in box)] for image, tag, *box in dataset
    ]
    found = summary(dataset)
    implied = implied_findings(found["boxes"], found["images"])
    codes = {**implied, **found["findings"]}
    counts = {code: found["findings"].get(code, 0) for code in codes}
    content: dict[str, Any] = {
        "regions": rows,
        "boxes": _shortened(found["boxes"], len(rows)),
        "images": _shortened(found["images"], len({row[0] for row in rows})),
        "findings": {
            code: count for code, count in counts.items() if count != implied.get(code, 0)
        },
    }
    if set(dataset.tags) != {row[1] for row in rows}:
        content["tags"] = list(dataset.tags)
    return content


def _shortened(account: Mapping[str, Any], left: int) -> dict[str, Any]:
    """Return an account without the counts that `complete_account` adds."""
    changed = {key: account[key] for key in ("adjusted", "dropped") if account[key]}
    derived = complete_account(changed, left)
    return ({} if account["read"] == derived["read"] else {"read": account["read"]}) | changed


class _Parser(argparse.ArgumentParser):
    """An argument parser that reports a usage error on one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"Error: {message}. See --help.\n")
