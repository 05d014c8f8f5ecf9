"""Permissions, pipes, links, full disks and disks without hard links."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest

import regionbatch as rb
from helpers import mentions, process, raises_mentioning
from output_helpers import COUNT, TARGETS, everything_below, meanwhile, posix, put
from regionbatch.errors import OutputError
from regionbatch.files import atomic_write


@posix
def test_output_has_the_permissions_of_any_new_file(home: Path, batches: rb.Batches) -> None:
    """Temporary files are private; the output must not be."""
    before = os.umask(0o022)
    try:
        rb.write(batches, home / "out")
        rb.write(batches, home / "out.jsonl")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home / "out", home / "out.jsonl")]
    assert modes == [0o755, 0o644]


@posix
@pytest.mark.parametrize("target", TARGETS)
def test_permissions_of_replaced_output_are_kept(
    home: Path, batches: rb.Batches, target: str
) -> None:
    rb.write(batches, home / target)
    (home / target).chmod(0o750)
    rb.write(batches[:1], home / target, overwrite=True)
    assert stat.S_IMODE((home / target).stat().st_mode) == 0o750
    (home / "shared").mkdir()
    (home / "shared").chmod(0o2775)
    rb.write(batches, home / "shared")
    assert stat.S_IMODE((home / "shared").stat().st_mode) == 0o2775


@posix
@pytest.mark.parametrize("name", ["fifo", "fifo.jsonl"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_pipe_is_an_error(home: Path, batches: rb.Batches, name: str, overwrite: bool) -> None:
    os.mkfifo(home / name)
    with raises_mentioning(OutputError, home / name):
        rb.write(batches, home / name, overwrite=overwrite)
    assert (home / name).is_fifo()
    with raises_mentioning(OutputError, home / f"2{name}"):
        rb.write(
            meanwhile(batches, lambda: os.mkfifo(home / f"2{name}")),
            home / f"2{name}",
            overwrite=overwrite,
        )
    assert (home / f"2{name}").is_fifo()


@pytest.mark.parametrize("target", TARGETS)
def test_output_is_flushed_to_disk(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    flushed: set[int] = set()
    monkeypatch.setattr(os, "fsync", lambda file: flushed.add(os.fstat(file).st_ino))
    rb.write(batches, home / target)
    written = [home / target] if (home / target).is_file() else [*(home / target).iterdir()]
    assert {path.stat().st_ino for path in written} <= flushed


def test_a_disk_without_hard_links(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EPERM, "no links")

    monkeypatch.setattr(os, "link", fail)
    rb.write(batches, home / "out.jsonl")
    rb.write(batches[:1], home / "out.jsonl", overwrite=True)
    with raises_mentioning(OutputError, home / "b.jsonl"):
        rb.write(meanwhile(batches, lambda: put(home / "b.jsonl")), home / "b.jsonl")
    found = everything_below(home)
    assert found == {"out.jsonl": batches[0].to_json() + b"\n", "b.jsonl": b"mine"}


@pytest.mark.parametrize("busy", [2, 100])
def test_a_folder_that_is_briefly_in_use(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch, busy: int
) -> None:
    """This happens on Windows, where open files cannot be renamed."""
    rb.write(batches[:1], home / "out")
    rename, left = Path.rename, [busy]

    def fail_for_a_moment(path: Path, target: Path) -> Path:
        left[0] -= 1
        if left[0] >= 0:
            raise PermissionError(errno.EACCES, "in use")
        return rename(path, target)

    monkeypatch.setattr(atomic_write, "_DELAYS", (0, 0, 0))
    monkeypatch.setattr(Path, "rename", fail_for_a_moment)
    if busy == 2:
        assert rb.write(batches, home / "out", overwrite=True) == COUNT
    else:
        with raises_mentioning(OutputError, home / "out", "in use"):
            rb.write(batches, home / "out", overwrite=True)
        assert len(everything_below(home)) == 1


FULL_DISK = """
import resource, signal, sys
import regionbatch as rb
from regionbatch.batching import Batch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
sys.dont_write_bytecode = True  # it would be cut, too, and break later imports
resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))
try:
    rb.write([Batch(b"0" * 10_000)] * 3, sys.argv[1], overwrite=True)
except rb.OutputError as error:
    print(error)
"""


@posix
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_is_an_error_and_leaves_everything_as_it_was(
    home: Path,
    batches: rb.Batches,
    target: str,
    overwrite: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A limit on file sizes makes a write fail in the middle, as a full disk does."""
    monkeypatch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)  # would be truncated too
    if overwrite:
        rb.write(batches, home / target)
    before = everything_below(home)
    run = process("-c", FULL_DISK, home / target)
    assert run.stderr == ""
    assert mentions(run.stdout, home / target, os.strerror(errno.EFBIG))
    assert run.stdout.count("\n") == 1
    assert everything_below(home) == before


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has this device")
def test_a_file_object_on_a_full_disk(batches: rb.Batches) -> None:
    tokens = "/dev/full", os.strerror(errno.ENOSPC)
    with Path("/dev/full").open("wb", 0) as file, raises_mentioning(OutputError, *tokens):
        rb.write(batches, file)


@posix
def test_a_folder_that_is_not_writable(home: Path, batches: rb.Batches) -> None:
    """A file has the name of the parent folder, which stops even an administrator."""
    (home / "file").write_text("mine", encoding="utf-8")
    for target in TARGETS:
        with raises_mentioning(OutputError, home / "file"):
            rb.write(batches, home / "file" / target)


def test_each_file_and_its_folder_are_flushed_to_disk_once(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not flushed after each payload, which would take long."""
    flushed: list[int] = []
    monkeypatch.setattr(os, "fsync", flushed.append)
    many = [batch for batch in batches for _ in range(10)]
    for target, files in (("out.jsonl", 1), ("out", len(many))):
        flushed.clear()
        rb.write(many, home / target)
        assert files < len(flushed) <= files + 2
