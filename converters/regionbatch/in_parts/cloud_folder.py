"""A folder in a cloud, to which each process writes the files of its parts.

Such a folder cannot appear in one step. So `summary.json` is deleted first and written last: only a
folder that contains it is complete. Until then, a file with a random name shows that the run is in
progress. Processes that no longer see that file write nothing, so a run that has ended, or that
another run replaces, adds nothing later.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regionbatch.errors import DatasetError
from regionbatch.files.cloud_fetch import CloudError
from regionbatch.files.cloud_paths import FileUrl
from regionbatch.files.cloud_write import errors_of_output, file_to_upload, files_in_cloud, taken
from regionbatch.files.storage import cloud_of
from regionbatch.in_parts.folder import SUMMARY, OutputFolder, summary_lines, unseen
from regionbatch.output_target import (
    UNFINISHED,
    UNFINISHED_START,
    check_target,
    is_output,
    output_errors,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from regionbatch.files.cloud import CloudStorage
    from regionbatch.files.cloud_paths import CloudPath
    from regionbatch.in_parts.folder import OutputFile


@dataclass(frozen=True, slots=True)
class CloudFolder(OutputFolder):
    """A folder in a cloud, which other processes can open too."""

    target: CloudPath
    storage: CloudStorage
    unfinished: str
    """The name of the file that exists as long as the run is not finished."""

    @property
    def marker(self) -> str:
        """See `OutputFolder`."""
        return FileUrl(str(self.target / self.unfinished), self.storage)

    def start(self) -> None:
        """Delete earlier output, and show that this run has started.

        Raises:
            OutputError: Another run starts at the same time.
        """
        earlier = files_in_cloud(self.target)
        self._delete(sorted(earlier, key=lambda name: name != SUMMARY))
        self._upload(self.unfinished, [UNFINISHED_START, b"\n"])
        if [*files_in_cloud(self.target)] != [self.unfinished]:
            self._delete([self.unfinished])
            raise taken(self.target)

    def write(self, name: str, chunks: Iterable[bytes]) -> int:
        """Write a file; see `OutputFolder`."""
        with output_errors(self.target / name):
            if not self._has(self.unfinished):
                raise taken(self.target)
            size = self._upload(name, chunks)
            if not (self._has(self.unfinished) or self._has(SUMMARY)):  # the run ended meanwhile
                self._delete([name])
                raise taken(self.target)
        return size

    def _upload(self, name: str, chunks: Iterable[bytes]) -> int:
        with file_to_upload() as local:
            with local.open("xb") as file:
                file.writelines(chunks)
                size = file.tell()
            self.storage.upload(local, str(self.target / name), replace=True)
        return size

    def write_summary(self, summary: Mapping[str, Any]) -> None:
        """Check all files, delete what lost processes left, and write the last file."""
        lists = summary["files"], summary["finding_files"]
        expected = {file["name"]: file["bytes"] for files in lists for file in files}
        found = files_in_cloud(self.target)
        if self.unfinished not in found or not expected.items() <= found.items():
            raise taken(self.target)
        self._delete_output(found.keys() - expected.keys() - {self.unfinished})
        self.write(SUMMARY, summary_lines(summary))
        self._delete([self.unfinished])

    def check(self, file: OutputFile) -> None:
        """Check that a file is here; see `OutputFolder`."""
        if self.storage.state(str(self.target / file.name))[:1] != (file.bytes,):
            raise unseen(self.target)

    def abandon(self) -> None:
        """Delete the files of this run, if possible, unless another run replaced them."""
        with suppress(OSError, DatasetError):  # the error that ended the run says more
            if self._has(self.unfinished):
                self._delete([self.unfinished])  # first: it stops processes that are still writing
                self._delete_output(files_in_cloud(self.target))

    def _has(self, name: str) -> bool:
        with errors_of_output(self.target):
            return bool(self.storage.kind(str(self.target / name)))

    def _delete_output(self, names: Iterable[str]) -> None:
        """Delete files if they are output; other programs may have added some."""
        self._delete(name for name in names if is_output(self.target / name))

    def _delete(self, names: Iterable[str]) -> None:
        for name in names:
            try:
                self.storage.call("rm_file", str(self.target / name))
            except CloudError as error:
                if not error.is_absence:
                    raise


@contextmanager
def collected_in_cloud(target: CloudPath, *, overwrite: bool) -> Iterator[CloudFolder]:
    """Start to write files of parts to a folder of a cloud, and delete them if the run fails.

    Args:
        target: The folder.
        overwrite: Whether to replace earlier output.
    """
    with output_errors(target):
        check_target(target, overwrite=overwrite, in_parts=True)  # the folder may have changed
        name = f"{UNFINISHED}-{os.urandom(8).hex()}"
        folder = CloudFolder(target, target, cloud_of(target), name)
        try:
            folder.start()
            yield folder
        except BaseException:
            folder.abandon()
            raise
