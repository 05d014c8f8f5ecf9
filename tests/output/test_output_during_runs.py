"""Other programs, other runs and kills during a run: output is complete or absent."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import soak_output

import regionbatch as rb
from helpers import environment, mentions, process, raises_mentioning
from output_helpers import COUNT, TARGETS, everything_below, failing, meanwhile, posix, put
from regionbatch.errors import OutputError
from regionbatch.files import atomic_write

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), KeyboardInterrupt()], ids=["error", "Ctrl-C"]
)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_failing_run_leaves_everything_as_it_was(
    home: Path, batches: rb.Batches, target: str, error: BaseException, overwrite: bool
) -> None:
    if overwrite:
        rb.write(batches[:1], home / target)
    before, names = everything_below(home), sorted(path.name for path in home.iterdir())
    with pytest.raises(type(error)):
        rb.write(failing(batches, error), home / target, overwrite=overwrite)
    assert everything_below(home) == before
    assert sorted(path.name for path in home.iterdir()) == names, "not even a temporary file"


def test_a_failing_swap_of_folders_is_undone(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    rb.write(batches[:1], home / "out")
    before = everything_below(home)
    rename = Path.rename

    def fail_for_the_new(path: Path, target: Path) -> Path:
        if path.suffix == ".part":
            raise OSError(errno.EACCES, "in use")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail_for_the_new)
    with raises_mentioning(OutputError, home / "out", "in use"):
        rb.write(batches, home / "out", overwrite=True)
    assert everything_below(home) == before


@pytest.mark.parametrize("target", TARGETS)
def test_a_failing_run_leaves_no_folders_above_its_output(
    home: Path, batches: rb.Batches, target: str
) -> None:
    (home / "mine").mkdir()
    with pytest.raises(KeyError):
        rb.write(failing(batches, KeyError()), home / "mine" / "new" / "newer" / target)
    assert sorted(home.rglob("*")) == [home / "mine"]


APPEARING = [
    ("out", "out"),
    ("out", "out/notes.txt"),
    ("out", "out/batch-00001.json"),
    ("out.jsonl", "out.jsonl"),
    ("out.jsonl", "out.jsonl/notes.txt"),
]


@pytest.mark.parametrize(("target", "appears"), APPEARING)
@pytest.mark.parametrize("overwrite", [False, True])
def test_files_that_appear_during_the_run_are_kept(
    home: Path, batches: rb.Batches, target: str, appears: str, overwrite: bool
) -> None:
    with raises_mentioning(OutputError, home / target):
        rb.write(
            meanwhile(batches, lambda: put(home / appears)), home / target, overwrite=overwrite
        )
    assert everything_below(home) == {appears: b"mine"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_an_empty_folder_that_appears_is_used(
    home: Path, batches: rb.Batches, overwrite: bool
) -> None:
    rb.write(meanwhile(batches, (home / "out").mkdir), home / "out", overwrite=overwrite)
    assert len(everything_below(home)) == COUNT


CHANGES = [
    ("out", "out/notes.txt", b"mine"),
    ("out", "out/batch-00001.json", b"mine"),
    ("out", "out/batch-00009.json", b'{"regions":[ mine'),
    ("out.jsonl", "out.jsonl", b"mine"),
    ("out.jsonl", "out.jsonl", b'{"regions":[ mine'),
]


@pytest.mark.parametrize(("target", "changed", "content"), CHANGES)
def test_output_that_changes_during_the_run_is_not_replaced(
    home: Path, batches: rb.Batches, target: str, changed: str, content: bytes
) -> None:
    """Not even if another run wrote it: one of the two wins, and the other reports this."""
    rb.write(batches[:2], home / target)
    before = everything_below(home)
    with raises_mentioning(OutputError, home / target):
        rb.write(
            meanwhile(batches, lambda: put(home / changed, content)), home / target, overwrite=True
        )
    assert everything_below(home) == {**before, changed: content}


@pytest.mark.parametrize("target", TARGETS)
def test_output_that_is_moved_during_the_run_does_not_matter(
    home: Path, batches: rb.Batches, target: str
) -> None:
    rb.write(batches[:1], home / target)
    rb.write(
        meanwhile(batches, lambda: (home / target).rename(home / "moved")),
        home / target,
        overwrite=True,
    )
    rb.write(batches, home / "fresh" / target)
    found = everything_below(home)
    assert {name: found[name] for name in found if name.startswith(target)} == {
        name.removeprefix("fresh/"): body
        for name, body in found.items()
        if name.startswith("fresh/")
    }


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_one_of_two_concurrent_runs_wins(
    home: Path, batches: rb.Batches, target: str, overwrite: bool
) -> None:
    if overwrite:
        rb.write(batches, home / target)
    both = threading.Barrier(2)

    def run(count: int) -> int | None:
        try:
            return rb.write(
                meanwhile(batches[:count], both.wait), home / target, overwrite=overwrite
            )
        except OutputError:
            return None

    with ThreadPoolExecutor(2) as pool:
        counts = list(pool.map(run, (1, 2)))
    assert None in counts
    [winner] = [count for count in counts if count is not None]
    written = [body for name, body in everything_below(home).items() if name.startswith(target)]
    assert (
        sum(body.count(b'{"regions"') for body in written) == winner
    )  # Earlier output may stay aside.


@pytest.mark.parametrize("target", TARGETS)
def test_files_that_appear_between_the_two_steps_of_a_swap(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """The name is taken, so the earlier output stays aside, and the message says where."""
    rb.write(batches[:1], home / target)
    before = everything_below(home)
    checked_files = atomic_write._checked_files

    def check_and_interfere(*given: Any) -> Any:
        found = checked_files(*given)
        put(home / target / "notes.txt" if target == "out" else home / target)
        return found

    monkeypatch.setattr(atomic_write, "_checked_files", check_and_interfere)
    with pytest.raises(OutputError) as caught:
        rb.write(batches, home / target, overwrite=True)
    [aside] = [path for path in home.iterdir() if path.suffix == ".old"]
    assert mentions(caught.value, home / target, aside)
    mine = f"{target}/notes.txt" if target == "out" else target
    moved = {name.replace(target, aside.name, 1): body for name, body in before.items()}
    assert everything_below(home) == {**moved, mine: b"mine"}


def test_a_file_that_appears_in_deleted_output(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only files that were checked are deleted."""
    rb.write(batches[:1], home / "out")
    checked_files = atomic_write._checked_files

    def check_too_early(old: Path, *given: Any) -> Any:
        found = checked_files(old, *given)
        put(old / "notes.txt")
        return found

    monkeypatch.setattr(atomic_write, "_checked_files", check_too_early)
    with pytest.raises(OutputError) as caught:
        rb.write(batches, home / "out", overwrite=True)
    [deleted] = [path for path in home.iterdir() if path.suffix == ".gone"]
    assert mentions(caught.value, deleted)
    assert everything_below(deleted) == {"notes.txt": b"mine"}
    assert len(everything_below(home / "out")) == COUNT


@pytest.mark.parametrize(("target", "overwrite", "name"), soak_output.INTERFERENCES)
def test_files_that_appear_at_any_step_are_kept(target: str, overwrite: bool, name: str) -> None:
    assert soak_output.at_each_step(target, overwrite, name) >= 5


KILLED_DURING_A_SWAP = """
import os, sys
import regionbatch as rb
from regionbatch.batching import Batch
from regionbatch.files import atomic_write
kill = lambda *given: os._exit(9)
setattr(atomic_write, sys.argv[2], kill)
rb.write([Batch(b"")], sys.argv[1], overwrite=True)
"""


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_the_next_run_undoes_a_swap_that_was_killed(
    home: Path, batches: rb.Batches, target: str, overwrite: bool, caplog: pytest.LogCaptureFixture
) -> None:
    rb.write(batches, home / target)
    before = everything_below(home)
    assert process("-c", KILLED_DURING_A_SWAP, home / target, "_checked_files").returncode == 9
    assert not (home / target).exists()
    if overwrite:
        rb.write(batches[:1], home / target, overwrite=True)
        assert len(caplog.records) == 1
    else:
        with raises_mentioning(OutputError, home / target):
            rb.write(batches[:1], home / target)
        after = everything_below(home)
        assert {name: after[name] for name in after if ".part" not in name} == before
    assert mentions(caplog.text, home / target)
    assert not [path for path in home.iterdir() if path.suffix == ".old"]


def test_a_run_that_is_killed_while_deleting_leaves_the_new_output(
    home: Path, batches: rb.Batches
) -> None:
    """Output that was partly deleted is never restored."""
    rb.write(batches, home / "out")
    assert process("-c", KILLED_DURING_A_SWAP, home / "out", "_delete").returncode == 9
    assert [path.name for path in (home / "out").iterdir()] == ["batch-00001.json"]
    (home / "out" / "batch-00001.json").unlink()
    (home / "out").rmdir()
    rb.write(batches[:2], home / "out")
    assert [path.name for path in home.iterdir()] == ["out"]
    assert len(everything_below(home)) == 2


WRITE_AND_WAIT = """
import sys, time
import regionbatch as rb
from regionbatch.batching import Batch
def slowly():
    for number in range(10_000):
        if number == 2:
            print("half", flush=True)
            time.sleep(60)
        yield Batch(b"")
rb.write(slowly(), sys.argv[1], overwrite=True)
"""


@posix
@pytest.mark.parametrize("target", TARGETS)
def test_what_another_run_is_writing_is_kept(home: Path, batches: rb.Batches, target: str) -> None:
    """Only what no process is writing any longer belongs to a killed run."""

    def slowly() -> Iterator[rb.Batch]:
        for number, batch in enumerate(batches):
            if number == 1:
                with pytest.raises(KeyError):
                    rb.write(failing(batches, KeyError()), home / target)
            yield batch

    assert rb.write(slowly(), home / target) == COUNT
    assert [path.name for path in home.iterdir()] == [target]


@posix
@pytest.mark.parametrize(
    ("name", "content"),
    [
        (".out.0123abcd.part/notes.txt", "mine"),
        (".out.0123abcd.part/unfinished/notes.txt", "mine"),
        (".out.0123abcd.part/mine/batch-00001.json", '{"regions":['),
        (".out.jsonl.0123abcd.part", "mine"),
        (".other.0123abcd.part/batch-00001.json", '{"regions":['),
        (".out.part/batch-00001.json", '{"regions":['),
        (".out.0123abcd.partial", ""),
    ],
)
def test_hidden_files_of_others_are_kept(
    home: Path, batches: rb.Batches, name: str, content: str
) -> None:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(content, encoding="utf-8")
    (home / ".out.00000000.part").symlink_to(home / "elsewhere")
    for target in TARGETS:
        rb.write(batches, home / target)
    assert (home / name).read_text(encoding="utf-8") == content
    assert (home / ".out.00000000.part").is_symlink()


@posix
@pytest.mark.parametrize(
    "name",
    [
        ".out.0123abcd.part/batch-00001.json",
        ".out.0123abcd.part/part-00001.jsonl",
        ".out.0123abcd.part/unfinished/part-00002.jsonl.0123456789abcdef",
        ".out.jsonl.0123abcd.part",
    ],
)
@pytest.mark.parametrize("content", ["", '{"regions":[{"im'])
def test_what_killed_runs_left_is_deleted(
    home: Path, batches: rb.Batches, name: str, content: str
) -> None:
    (home / name).parent.mkdir(parents=True, exist_ok=True)
    (home / name).write_text(content, encoding="utf-8")
    for target in TARGETS:
        rb.write(batches, home / target)
    assert sorted(path.name for path in home.iterdir()) == sorted(TARGETS)


@posix
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_killed_run_leaves_no_output(
    home: Path, batches: rb.Batches, target: str, overwrite: bool
) -> None:
    if overwrite:
        rb.write(batches, home / target)
    before = everything_below(home)
    with subprocess.Popen(
        [sys.executable, "-c", WRITE_AND_WAIT, str(home / target)],
        env=environment(),
        stdout=subprocess.PIPE,
    ) as running:
        if running.stdout is None:
            pytest.fail("no pipe")
        assert running.stdout.readline() == b"half\n"
        running.send_signal(signal.SIGKILL)
    after = everything_below(home)
    assert {name: after[name] for name in after if not name.startswith(".")} == before
    rb.write(batches, home / target, overwrite=True)
    assert [path.name for path in home.iterdir()] == [target], "what was unfinished is deleted"
    visible = {
        name: body for name, body in everything_below(home).items() if not name.startswith(".")
    }
    rb.write(batches, home / "fresh" / target)
    assert visible == everything_below(home / "fresh")
