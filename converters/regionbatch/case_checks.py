"""Checks of the conformance kit: compare what a reader returns with what a case expects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.report import summary

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from regionbatch.cases import Case
    from regionbatch.dataset import Dataset, ImageReferences, RawAnnotations
    from regionbatch.errors import RegionBatchError

TOLERANCE = 1e-6
"""Largest difference of a number of a region from the expected one."""

Row = tuple[Any, ...]
"""A region as (image, tag, left, top, width, height)."""


def expect(condition: object, message: str) -> None:
    """Fail a test. An assertion would do nothing under `python -O`."""
    if not condition:
        raise AssertionError(message)


def expect_equal(case: Case, what: str, actual: object, expected: object) -> None:
    """Fail a test if two values differ."""
    expect(actual == expected, f"{case.path}: {what}: expected {expected!r}, found {actual!r}.")


def check_dataset(case: Case, dataset: Dataset) -> None:
    """Compare a dataset with everything that a case expects."""
    read = f"the dataset was read: {dataset.ledger}"
    expect(not case.expects_error, f"{case.path}: expected an error, but {read}.")
    check_rows(case, [tuple(row) for row in dataset], case.rows())
    found = summary(dataset)
    for key in ("boxes", "images", "findings"):
        expect_equal(case, key, found[key], case.expected[key])
    for code, place in case.expected.get("places", {}).items():
        places = [finding.place for finding in dataset.findings.first(code, 1)]
        expect_equal(case, f"place of the first {code}", places, [place])
    for option, value in case.expected.get("decisions", {}).items():
        decision = dataset.decisions.get(option, "")
        is_same = decision == value or decision.startswith(f"{value} (")
        expect(
            is_same, f"{case.path}: decision on {option}: expected {value!r}, found {decision!r}."
        )
    if "tags" in case.expected:
        expect_equal(case, "tags", sorted(dataset.tags), sorted(case.expected["tags"]))


def check_error(case: Case, error: RegionBatchError) -> None:
    """Compare an error with the one that a case expects."""
    expected = case.expected["error"]
    expect_equal(case, "type of the error", type(error).__name__, expected["type"])
    for attribute in ("option", "place"):
        if attribute in expected:
            actual = getattr(error, attribute)
            expect_equal(case, f"{attribute} of the error", actual, expected[attribute])


def check_rows(case: Case, actual: Iterable[Row], expected: Iterable[Row]) -> None:
    """Compare regions in any order, numbers within `TOLERANCE`."""
    actual_rows = sorted(actual, key=_rounded)
    expected_rows = sorted(expected, key=_rounded)
    for row, wanted in zip(actual_rows, expected_rows, strict=False):
        is_same = row[:2] == wanted[:2]
        is_same = is_same and np.allclose(row[2:], wanted[2:], rtol=0, atol=TOLERANCE)
        expect(is_same, f"{case.path}: region: expected {wanted}, found {row}.")
    expect_equal(case, "number of regions", len(actual_rows), len(expected_rows))


def _rounded(row: Row) -> Row:
    return (*row[:2], *(round(number, 5) for number in row[2:]))


def check_types(
    case: Case, columns: RawAnnotations | ImageReferences, types: Mapping[str, str]
) -> None:
    """Check the NumPy types of columns."""
    for name, wanted in types.items():
        actual = getattr(columns, name).dtype
        expected = np.dtype(wanted)
        expect(actual == expected, f"{case.path}: {name} must be {expected}, but is {actual}.")


def check_codes(case: Case, name: str, codes: np.ndarray[Any, Any], count: int) -> None:
    """Check that codes are indexes into a table of a given length."""
    if len(codes):
        is_inside = codes.min() >= 0 and codes.max() < count
        expect(is_inside, f"{case.path}: {name} must be indexes below {count}, but is {codes}.")
