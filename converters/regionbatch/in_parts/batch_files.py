"""The result of a conversion in parts: numbers in memory, payloads and findings in files."""

from __future__ import annotations

import json
from collections.abc import Collection
from io import BufferedReader
from typing import TYPE_CHECKING, Any

from regionbatch.batch import Batch, Entry
from regionbatch.files.storage import storage_of, stored_path
from regionbatch.findings.finding import Finding, arrow_of, sum_of_counts
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import PurePath

    import pyarrow as pa

    from regionbatch.findings import Decision, Findings, Ledger

_BUFFER = 2**20


class FileFindings:
    """All findings of a conversion in parts. Iterating reads them from the files."""

    def __init__(
        self,
        own: Findings,
        files: Sequence[PurePath],
        parts: tuple[Mapping[str, int], Mapping[str, int], Mapping[str, Sequence[Finding]]],
    ) -> None:
        """Keep the counts.

        Args:
            own: The findings that do not belong to a part.
            files: The files with the findings of the parts.
            parts: For the findings in `files`, by code: how many, how many doubtful, and the first
                ones.
        """
        self._own = own
        self._files = [stored_path(file) for file in files]
        self._counts, self._doubtful, self._first = parts

    def __iter__(self) -> Iterator[Finding]:
        """Yield all findings."""
        yield from self._own
        for line in lines_of(self._files):
            yield Finding(**json.loads(line))

    def __len__(self) -> int:
        """Return the number of findings."""
        return len(self._own) + sum(self._counts.values())

    def __repr__(self) -> str:
        """Return a summary, such as `FileFindings({'empty_box': 2})`."""
        return f"FileFindings({self.counts()})"

    def counts(self) -> dict[str, int]:
        """Return the number of findings of each code, in the order of the documentation."""
        return sum_of_counts([self._own.counts(), self._counts])

    def doubtful(self) -> dict[str, int]:
        """Return the number of findings of each code that make strict mode fail without a loss."""
        return sum_of_counts([self._own.doubtful(), self._doubtful])

    def first(self, code: str, most: int = 3) -> list[Finding]:
        """Return the first findings of one code; if 20 do not suffice, in the order of the files.

        Args:
            code: A finding code.
            most: How many to return at most.
        """
        found = [*self._own.first(code, most), *self._first.get(code, ())][:most]
        if len(found) < min(most, self.counts().get(code, 0)):
            found = [each for each in self if each.code == code][:most]
        return found

    def to_arrow(self) -> pa.Table:
        """Return the findings as a PyArrow table; see `Findings.to_arrow`."""
        return arrow_of(self)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Return `to_arrow()` as a stream: the Arrow PyCapsule interface."""
        return self.to_arrow().__arrow_c_stream__(requested_schema)


class BatchFiles:
    """The payloads that `rb.convert` wrote in parts. Iterating reads them from the files.

    Example:
        >>> from concurrent.futures import ThreadPoolExecutor
        >>> with ThreadPoolExecutor(2) as executor:
        ...     written = rb.convert(
        ...         "fixtures/scene/voc",
        ...         "in parts",
        ...         tag_ids="fixtures/scene/tags.json",
        ...         image_ids="fixtures/scene/images.json",
        ...         executor=executor,
        ...     )
        >>> written
        BatchFiles(1 batch, 12 regions)
        >>> [path.name for path in written.files]
        ['part-00001.jsonl']
        >>> [len(batch) for batch in written]
        [12]
    """

    def __init__(
        self,
        files: Sequence[PurePath],
        summary: Mapping[str, Any],
        findings: FileFindings,
        ledger: Ledger,
        decisions: Mapping[str, Decision],
    ) -> None:
        """Keep the numbers. Only `convert` creates such an object."""
        self.files = files
        """The files with payloads, in order."""
        self._stored = [stored_path(file) for file in files]
        self.summary = summary
        """What `summary.json` contains."""
        self.findings = findings
        """All findings."""
        self.ledger = ledger
        """The account of all boxes and images, with regions without IDs as dropped."""
        self.decisions = decisions
        """What was decided about the whole dataset, by the option that overrides it."""

    def __len__(self) -> int:
        """Return the number of batches."""
        return int(self.summary["batches"])

    def __iter__(self) -> Iterator[Batch]:
        """Yield all batches."""
        for line in lines_of(self._stored):
            yield Batch(line[:-1])

    def __repr__(self) -> str:
        """Return the type and the numbers of batches and regions."""
        batches_shown = counted(len(self), "batch", "batches")
        return f"BatchFiles({batches_shown}, {counted(len(self.regions), 'region')})"

    @property
    def regions(self) -> Collection[Entry]:
        """The entries of all batches."""
        return _Entries(self)


class _Entries(Collection[Entry]):
    """The entries of all batches, which are counted without reading them."""

    def __init__(self, batches: BatchFiles) -> None:
        self._batches = batches

    def __len__(self) -> int:
        return sum(self._batches.summary["classes"].values())

    def __iter__(self) -> Iterator[Entry]:
        for batch in self._batches:
            yield from batch

    def __contains__(self, entry: object) -> bool:
        return any(each == entry for each in self)


def lines_of(files: Iterable[str]) -> Iterator[bytes]:
    """Yield the lines of some files."""
    for path in files:
        with BufferedReader(storage_of(path).open(path), _BUFFER) as file:
            yield from file
