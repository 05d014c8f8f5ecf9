"""The account of a run for programs: a summary as plain values, and a file with every finding."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from regionbatch.errors import OutputError
from regionbatch.files.whole import begins_with, real_path, whole_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike
    from pathlib import Path

    from regionbatch.batching import Batches
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Account, Findings


def summary(dataset: Dataset, batches: Batches | None = None) -> dict[str, Any]:
    """The figures of a dataset as plain values, ready for JSON; with `batches`, of what is left after resolving."""
    told = dataset if batches is None else batches
    regions = dataset.regions if batches is None else batches.regions
    result: dict[str, Any] = {
        "format": dataset.format,
        "dataset": str(dataset.root),
        "boxes": _account(told.ledger),
        "images": _account(told.ledger.images),
        "classes": dict(zip(dataset.tags, np.bincount(regions.tag, minlength=len(dataset.tags)).tolist(), strict=True)),
        "splits": {
            split: int(np.count_nonzero(dataset.images.split[regions.image] == code))
            for code, split in enumerate(dataset.images.splits)
        },
        "decisions": dict(dataset.decisions),
        "findings": told.findings.counts(),
    }
    return result if batches is None else result | {"batches": len(batches)}


def write_report(
    path: str | PathLike[str],
    dataset: Dataset,
    batches: Batches | None = None,
    *,
    findings: Findings | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write the summary and every finding with its place to a JSON file, one finding a line.

    `findings` are told instead of those of the dataset or the batches; `more` goes beside the summary.

    Raises:
        OutputError: Something else than an earlier report is there, or the file cannot be written.
    """
    path = real_path(path)
    check_report(path)
    if findings is None:
        findings = dataset.findings if batches is None else batches.findings
    content = summary(dataset, batches) | dict(more or {})
    content.pop("findings")
    content["counts"] = findings.counts()
    try:
        # A pipe or a device is written to, not replaced.
        with path.open("wb") if path.exists() and not path.is_file() else whole_file(path, _is_ours) as file:
            file.write(as_json(content, indent=1)[:-2] + b',\n "findings": [')
            for number, finding in enumerate(findings):
                file.write((b",\n  " if number else b"\n  ") + as_json(finding._asdict()))
            file.write(b"\n ]\n}\n")
    except OutputError:
        raise
    except OSError as error:
        what = f"the report cannot be written, got {error.strerror or error}; choose another path"
        raise OutputError(f"{path}: {what}") from error


def check_report(path: str | PathLike[str]) -> None:
    """See, before the work begins, whether a report may be written to a path: it replaces nothing but a report.

    Raises:
        OutputError: It may not.
    """
    path = real_path(path)
    if path.is_dir():
        raise OutputError(f"{path}: a report is a file, got the name of a folder; choose another name")
    if path.is_file() and not _is_ours(path):
        raise OutputError(f"{path}: no place for a report, got a file of something else there; choose another name")


def _is_ours(path: Path) -> bool:
    return begins_with(path, _BEGIN)


_BEGIN = b'{\n "format": "'
"""How a report begins; the summary's first line."""


def as_json(content: object, indent: int = 0) -> bytes:
    """Plain values as JSON in UTF-8, on one line or indented."""
    try:
        return msgspec.json.format(msgspec.json.encode(content), indent=indent)
    except UnicodeEncodeError:  # a lone surrogate, from a JSON or from a file name that is no UTF-8: it is escaped
        return json.dumps(content, ensure_ascii=False, indent=indent or None).encode(errors="backslashreplace")


def _account(account: Account) -> dict[str, Any]:
    return {
        "read": account.read,
        "kept": account.kept,
        "adjusted": dict(account.adjusted),
        "dropped": dict(account.dropped),
    }
