"""The files that a part is written to, in a folder that several processes see."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import OptionError
from regionbatch.files.atomic_write import atomic_folder, remove_folder
from regionbatch.output_target import UNFINISHED, is_output, output_errors
from regionbatch.report import as_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from pathlib import PurePath

    from regionbatch.batching import Batches
    from regionbatch.findings import Findings

SUMMARY = "summary.json"


class OutputFile(NamedTuple):
    """A file of the output."""

    name: str
    bytes: int
    batches: int = 0
    regions: int = 0
    findings: int = 0

    def figures(self, *keys: str) -> dict[str, Any]:
        """Return the name, some of the numbers, and the size, as in the summary."""
        return {key: getattr(self, key) for key in ("name", *keys, "bytes")}


@dataclass(frozen=True, slots=True)
class OutputFolder(ABC):
    """The folder in which the files of all parts are collected."""

    path: PurePath
    """Where they are collected."""
    target: PurePath
    """Where they will be, for messages."""

    @property
    def marker(self) -> str:
        """A file by which other processes check that they see the same folder; empty: none."""
        return ""

    def write_payloads(self, number: int, batches: Batches) -> Iterator[OutputFile]:
        """Write the payloads of a part, one per line, and yield the file, unless there are none.

        Args:
            number: The number of the part, from 1.
            batches: The payloads.
        """
        if len(batches):
            name = f"part-{number:05}.jsonl"
            size = self.write(name, (lines.tobytes() for lines in batches.overwritten_lines()))
            yield OutputFile(name, size, len(batches), len(batches.rows))

    def write_findings(self, number: int, findings: Findings) -> Iterator[OutputFile]:
        """Write findings, one per line, and yield the file, unless there are none.

        Args:
            number: The number of the part, from 1; 0: the findings do not belong to a part.
            findings: The findings.
        """
        if len(findings):
            name = f"findings-{number:05}.ndjson"
            size = self.write(name, (as_json(each._asdict()) + b"\n" for each in findings))
            yield OutputFile(name, size, findings=len(findings))

    @abstractmethod
    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a file, which appears complete, and return its size.

        Raises:
            OptionError: This process does not see the folder.
            OutputError: The file cannot be written.
        """

    @abstractmethod
    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the last file, and delete what lost processes left."""

    @abstractmethod
    def check(self, file: OutputFile) -> None:
        """Check that a file that another process wrote is here.

        Raises:
            OptionError: The file is not here.
        """


class LocalFolder(OutputFolder):
    """A folder that takes its name once it is complete."""

    __slots__ = ()

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a file; see `OutputFolder`."""
        folder = Path(self.path)
        with output_errors(self.target):
            unfinished = folder / UNFINISHED / f"{name}.{os.urandom(8).hex()}"
            try:
                file = unfinished.open("xb")
            except FileNotFoundError:
                raise unseen(self.target.parent) from None
            try:
                with file:
                    file.writelines(chunks)
                    size = file.tell()
                unfinished.replace(folder / name)
            except BaseException:
                unfinished.unlink(missing_ok=True)
                raise
        return size

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Write the last file, and delete what lost processes left."""
        self.write(SUMMARY, summary_lines(summary))
        remove_folder(Path(self.path) / UNFINISHED)

    def check(self, file: OutputFile) -> None:
        """Check that a file is here; see `OutputFolder`."""
        try:
            size = Path(self.path, file.name).stat().st_size
        except FileNotFoundError:
            size = -1
        if size != file.bytes:
            raise unseen(self.target.parent)


@contextmanager
def collected_in(target: Path, *, overwrite: bool) -> Iterator[LocalFolder]:
    """Create a folder for the files of all parts, which takes its name once they are complete.

    Args:
        target: Its name.
        overwrite: Whether to replace earlier output.
    """
    with output_errors(target), atomic_folder(target, is_output if overwrite else None) as path:
        (path / UNFINISHED).mkdir()
        yield LocalFolder(path, target)


def summary_lines(summary: Mapping[str, Any]) -> list[bytes]:
    """Return the content of `summary.json`."""
    return [as_json(summary, indent=1), b"\n"]


def unseen(folder: PurePath) -> OptionError:
    """Return the error for processes that do not write into the same folder."""
    return OptionError(
        f"executor: its processes do not see the folder of the output: '{folder}'. Choose a folder "
        "that they share, or a .jsonl file, which this process writes.",
        option="executor",
        value=str(folder),
    )
