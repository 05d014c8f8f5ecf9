"""The result of a run for programs: a summary as plain values, and a file with every finding."""

from __future__ import annotations

import json
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from regionbatch.cleaning import count_by
from regionbatch.dataset.dataset import check_dataset
from regionbatch.errors import OptionError, OutputError
from regionbatch.files.atomic_write import atomic_write
from regionbatch.files.output_paths import advice_on_writing, check_own_file, has_signature

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from os import PathLike
    from pathlib import PurePath

    import numpy as np
    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.dataset import Dataset, Images
    from regionbatch.findings import Account, Decision, Findings, Ledger
    from regionbatch.findings.finding import AllFindings

SCHEMA_VERSION = 1
"""Version of the summary's keys. It changes only if a key changes its meaning or disappears."""
_STARTS = (b'{\n "schema_version": ', b'{\n "format": "')
"""First bytes of a report; the second form was written before there was a schema version."""


def summary(dataset: Dataset, batches: Batches | None = None) -> dict[str, Any]:
    """Return the numbers of a dataset as plain values, ready for JSON.

    Args:
        dataset: The dataset, as `rb.read` returned it.
        batches: Its payloads. If they are given, the numbers are those after resolving names to
            IDs.

    Returns:
        The keys `schema_version`, `format`, `dataset` (its path), `boxes` and `images` (each with
        `read`, `kept`, and `adjusted` and `dropped` by code), `classes` and `splits` (each with the
        number of regions), `decisions` (by option: `value`, `evidence` and `doubtful`), `findings`
        (by code) and, with `batches`, their number.

    Example:
        >>> figures = rb.summary(rb.read("fixtures/scene/voc"))
        >>> figures["boxes"]
        {'read': 12, 'kept': 12, 'adjusted': {}, 'dropped': {}}
        >>> figures["splits"]
        {'train': 8, 'val': 4}
        >>> figures["decisions"]["voc_origin"]["value"]
        '0'
    """
    check_dataset(dataset)
    _check_batches(batches)
    result = dataset if batches is None else batches
    regions = result.regions
    figures = figures_of(
        dataset.format,
        dataset.root,
        dataset.images,
        dataset.tags,
        (count_by(regions.tag, dataset.tags), count_by(regions.image, dataset.images)),
        result.ledger,
        dataset.decisions,
        result.findings.counts(),
    )
    if batches is not None:
        figures["batches"] = len(batches)
    return figures


def _check_batches(batches: object) -> None:
    from regionbatch.batching import Batches  # noqa: PLC0415 - it loads the encoder of payloads

    if not (batches is None or isinstance(batches, Batches)):
        what = type(batches).__name__
        raise OptionError(
            f"batches: not Batches: '{what}'. Pass what `regionbatch.batches` returned; "
            "`BatchFiles` has its own `summary`.",
            option="batches",
            value=what,
        )


def figures_of(
    format: str,  # noqa: A002 - as in `Dataset`
    root: PurePath,
    images: Images,
    tags: Sequence[str],
    regions: tuple[NDArray[np.int64], NDArray[np.int64]],
    ledger: Ledger,
    decisions: Mapping[str, Decision],
    findings: Mapping[str, int],
) -> dict[str, Any]:
    """Return the keys of `summary`, except the number of batches.

    Args:
        format: Name of the reader.
        root: The path of the dataset.
        images: The images.
        tags: The class names.
        regions: The number of regions of each tag, and of each image.
        ledger: The account of boxes and images.
        decisions: The decisions by option.
        findings: The number of findings by code.
    """
    by_tag, by_image = regions
    return {
        "schema_version": SCHEMA_VERSION,
        "format": format,
        "dataset": str(root),
        "boxes": _account(ledger),
        "images": _account(ledger.images),
        "classes": dict(zip(tags, by_tag.tolist(), strict=True)),
        "splits": {
            name: int(by_image[images.split == code].sum())
            for code, name in enumerate(images.splits)
        },
        "decisions": {option: _decision(made) for option, made in decisions.items()},
        "findings": dict(findings),
    }


def write_report(
    path: str | PathLike[str],
    dataset: Dataset,
    batches: Batches | None = None,
    *,
    findings: Findings | None = None,
    more: Mapping[str, Any] | None = None,
) -> None:
    """Write the summary and every finding to a JSON file, one finding per line.

    The file has the keys of `rb.summary`, except that `counts` is the number of findings by code,
    and `findings` is the list of all findings.

    Args:
        path: The file, which may also be a pipe or a device. An earlier report is replaced. Missing
            folders above the file are created.
        dataset: The dataset, as `rb.read` returned it.
        batches: Its payloads; see `rb.summary`.
        findings: Findings to write instead of those of the dataset or the payloads.
        more: Other keys of the report, with plain values.

    Raises:
        OptionError: The path is empty or a URL.
        OutputError: The path has a file that is not a report, or it cannot be written.

    Example:
        >>> import json
        >>> from pathlib import Path
        >>> rb.write_report("report.json", rb.read("fixtures/scene/voc"))
        >>> json.loads(Path("report.json").read_text())["boxes"]["read"]
        12
    """
    check_dataset(dataset)
    _check_batches(batches)
    if findings is None:
        findings = dataset.findings if batches is None else batches.findings
    write_figures(path, summary(dataset, batches) | dict(more or {}), findings)


def write_figures(
    path: str | PathLike[str], figures: Mapping[str, Any], findings: AllFindings
) -> None:
    """Write a report of a summary and findings; see `write_report`."""
    path = check_report(path)
    content = {**figures, "counts": findings.counts()}
    content.pop("findings")
    try:
        with _opened(path) as file:
            file.write(as_json(content, indent=1)[:-2] + b',\n "findings": [')
            for number, finding in enumerate(findings):
                file.write((b",\n  " if number else b"\n  ") + as_json(finding._asdict()))
            file.write(b"\n ]\n}\n")
    except OutputError:
        raise
    except OSError as error:
        advice = advice_on_writing(path, error, "Choose another path.")
        raise OutputError(
            f"{path}: the report cannot be written: '{error.strerror or error}'. {advice}",
            place=str(path),
            option="path",
        ) from error


@contextmanager
def _opened(path: PurePath) -> Iterator[IO[bytes]]:
    """Open a report, which replaces an earlier one once it is complete."""
    if isinstance(path, Path) and path.exists() and not path.is_file():  # a pipe or a device
        with path.open("wb") as file:
            yield file
    else:
        with atomic_write(path, _is_report) as file:
            yield file


def check_report(path: str | PathLike[str], option: str = "path") -> PurePath:
    """Check before the work starts that a report can be written, and return its path.

    Only an earlier report may be replaced.

    Args:
        path: The file.
        option: The keyword argument that it is from.

    Raises:
        OptionError: The path is empty or a URL.
        OutputError: A folder or another file has this path, or the folder above cannot be written.
    """
    return check_own_file(path, option, _may_be_written, "a report")


def _may_be_written(path: PurePath) -> bool:
    """Return whether a path is a report, or a pipe or device."""
    is_pipe_or_device = isinstance(path, Path) and not path.is_file()
    return is_pipe_or_device or _is_report(path)


def _is_report(path: PurePath) -> bool:
    return has_signature(path, *_STARTS)


def as_json(content: object, indent: int = 0) -> bytes:
    """Return plain values as JSON in UTF-8.

    Args:
        content: The values.
        indent: Spaces at each level; 0 for a single line.
    """
    try:
        return msgspec.json.format(msgspec.json.encode(content), indent=indent)
    except UnicodeEncodeError:
        # A lone surrogate, from a JSON file or from a file name that is not UTF-8, is escaped.
        text = json.dumps(content, ensure_ascii=False, indent=indent or None)
        return text.encode(errors="backslashreplace")


def _account(account: Account) -> dict[str, Any]:
    return {
        "read": account.read,
        "kept": account.kept,
        "adjusted": dict(account.adjusted),
        "dropped": dict(account.dropped),
    }


def _decision(decision: Decision) -> dict[str, Any]:
    return {
        "value": decision.value,
        "evidence": decision.evidence,
        "doubtful": decision.doubtful,
    }
