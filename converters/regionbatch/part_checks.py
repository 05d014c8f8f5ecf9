"""Check that a reader returns and reports the same for any number of parts."""

from __future__ import annotations

import pickle
from typing import TYPE_CHECKING, Any

import regionbatch
from regionbatch.case_checks import expect_equal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.cases import Case
    from regionbatch.dataset import RawAnnotations
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.reader_contract import PartsReader

_NUMBERS_OF_PARTS = (1, 2, 7)


def check_parts(case: Case, reader: PartsReader, options: Mapping[str, Any]) -> None:
    """Read a case in different numbers of parts, and compare each result with that of `read`."""
    expected = regionbatch.read(case.input, format=reader, **options)
    for n in _NUMBERS_OF_PARTS:
        in_parts: Any = _InParts(reader, n)
        found = regionbatch.read(case.input, format=in_parts, **options)
        for what in ("tags", "ledger", "decisions"):
            values = getattr(found, what), getattr(expected, what)
            expect_equal(case, f"{what} read in {n} parts", *values)
        expect_equal(case, f"regions read in {n} parts", list(found), list(expected))
        findings = list(found.findings), list(expected.findings)
        expect_equal(case, f"findings read in {n} parts", *findings)


class _InParts:
    """A reader that reads in parts. The parts are pickled, as if other processes read them."""

    def __init__(self, reader: PartsReader, n: int) -> None:
        self.title = reader.title
        self.options = reader.options
        self.detect = reader.detect
        self.references = reader.references
        self._reader = reader
        self._n = n

    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,  # noqa: ANN401 - the reader's own dataclass
        log: FindingLog,
    ) -> RawAnnotations:
        reader = self._reader
        jobs = reader.parts(tree, files, options, self._n)
        calls = (_copied((reader.read_part, job)) for job in jobs)
        results = (_copied(read_part(*job)) for read_part, job in calls)
        return reader.merge(tree, files, options, log, jobs, results)


def _copied(value: Any) -> Any:  # noqa: ANN401 - of a reader
    """Return a value as another process would get it.

    Raises:
        AssertionError: The value cannot be pickled.
    """
    try:
        text = pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(f"a part cannot be pickled: {error}.") from error
    return pickle.loads(text)  # noqa: S301 - just made
