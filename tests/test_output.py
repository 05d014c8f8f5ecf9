"""Output is written completely or not at all, and other files are never deleted."""

from __future__ import annotations

import errno
import gzip
import io
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import types
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING, Any

import pytest
import soak_output

import regionbatch as rb
from helpers import Box, batches_of, environment, mentions, process, raises_mentioning, write_coco
from regionbatch.errors import OptionError, OutputError
from regionbatch.files import atomic_write
from regionbatch.files.paths import scheme_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from regionbatch.batching import Batch

COUNT = 3
posix = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits of POSIX")


@pytest.fixture
def batches(tmp_path: Path) -> rb.Batches:
    """Three batches."""
    rows: list[Box] = [
        ("a.jpg", "cat", (number / 2, 5, 5, 5)) for number in range(64 * (COUNT - 1) + 1)
    ]
    return batches_of(rb.read(write_coco(tmp_path / "data", rows), coco_boxes="pixels"))


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty folder to write in."""
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def everything_below(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("payload", ["json", "xml"])
def test_a_folder(home: Path, batches: rb.Batches, payload: str) -> None:
    out = home / "new" / "out"
    assert rb.write(batches, out, payload=payload) == COUNT  # type: ignore[arg-type]
    wanted = [batch.to_json() if payload == "json" else batch.to_xml() for batch in batches]
    assert everything_below(home) == {
        f"new/out/batch-{number:05}.{payload}": body for number, body in enumerate(wanted, 1)
    }


def test_a_jsonl_file(home: Path, batches: rb.Batches) -> None:
    assert rb.write(batches, str(home / "new" / "out.jsonl")) == COUNT
    assert everything_below(home) == {
        "new/out.jsonl": b"".join(batch.to_json() + b"\n" for batch in batches)
    }


def test_a_file_object(batches: rb.Batches) -> None:
    file = io.BytesIO()
    assert rb.write(batches, file) == COUNT
    assert file.getvalue() == b"".join(batch.to_json() + b"\n" for batch in batches)
    assert not file.closed


def test_any_object_with_a_write_method(batches: rb.Batches) -> None:
    """Not all of them return the number of bytes."""
    written: list[bytes] = []
    file: Any = types.SimpleNamespace(write=written.append, flush=lambda: None)
    assert rb.write(batches, file) == COUNT
    assert b"".join(written).count(b"\n") == COUNT


def test_nothing_to_write(home: Path, batches: rb.Batches) -> None:
    """An empty result differs from a run that did not happen."""
    assert rb.write(batches[:0], home / "out") == 0
    assert (home / "out").is_dir()
    assert rb.write(batches[:0], home / "out.jsonl") == 0
    assert (home / "out.jsonl").read_bytes() == b""


def test_progress_is_reported(home: Path, batches: rb.Batches) -> None:
    calls: list[tuple[str, int, int]] = []
    rb.write(batches, home / "out", progress=lambda *call: calls.append(call))
    assert calls[-1][1:] == (COUNT, COUNT)
    assert len({step for step, _, _ in calls}) == 1


def test_xml_is_not_written_to_a_jsonl_file(home: Path, batches: rb.Batches) -> None:
    with pytest.raises(OptionError) as caught:
        rb.write(batches, home / "out.jsonl", payload="xml")
    error = caught.value
    assert (error.place, error.option, error.value) == (str(home / "out.jsonl"), "payload", "xml")
    assert error.choices == ("json",)
    assert everything_below(home) == {}


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


TARGETS = ["out", "out.jsonl"]


@pytest.mark.parametrize("target", TARGETS)
def test_existing_output_is_an_error(home: Path, batches: rb.Batches, target: str) -> None:
    rb.write(batches[:1], home / target)
    before = everything_below(home)
    with pytest.raises(OutputError) as caught:
        rb.write(batches, home / target)
    assert (caught.value.place, caught.value.option) == (str(home / target), "overwrite")
    assert everything_below(home) == before


@pytest.mark.parametrize("target", TARGETS)
def test_overwriting_leaves_nothing_of_the_earlier_run(
    home: Path, batches: rb.Batches, target: str
) -> None:
    rb.write(batches, home / target)
    rb.write(batches[:1], home / target, overwrite=True)
    fresh = home / "fresh"
    rb.write(batches[:1], fresh / target)
    written = {
        name: body for name, body in everything_below(home).items() if not name.startswith("fresh/")
    }
    assert written == everything_below(fresh)


def test_an_empty_folder_may_be_written_to(home: Path, batches: rb.Batches) -> None:
    (home / "out").mkdir()
    assert rb.write(batches, home / "out") == COUNT
    assert len(everything_below(home)) == COUNT


@pytest.mark.parametrize(
    "other", ["notes.txt", "batch-00001.json.bak", "batch-1.json", "more/batch-00001.json"]
)
def test_a_folder_with_other_files_is_never_replaced(
    home: Path, batches: rb.Batches, other: str
) -> None:
    rb.write(batches, home / "out")
    (home / "out" / other).parent.mkdir(exist_ok=True)
    (home / "out" / other).write_text("mine", encoding="utf-8")
    before = everything_below(home)
    with raises_mentioning(OutputError, home / "out", other.partition("/")[0]):
        rb.write(batches, home / "out", overwrite=True)
    assert everything_below(home) == before


def test_a_folder_with_the_name_of_a_payload_is_not_deleted(
    home: Path, batches: rb.Batches
) -> None:
    """Only payload files are deleted."""
    (home / "out" / "batch-00001.json").mkdir(parents=True)
    (home / "out" / "batch-00001.json" / "notes.txt").write_text("mine", encoding="utf-8")
    with raises_mentioning(OutputError, home / "out", "batch-00001.json"):
        rb.write(batches, home / "out", overwrite=True)
    assert everything_below(home) == {"out/batch-00001.json/notes.txt": b"mine"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_not_replaced_by_a_folder_nor_a_folder_by_a_file(
    home: Path, batches: rb.Batches, overwrite: bool
) -> None:
    (home / "out").write_text("mine", encoding="utf-8")
    (home / "out.jsonl").mkdir()
    with raises_mentioning(OutputError, home / "out"):
        rb.write(batches, home / "out", overwrite=overwrite)
    with raises_mentioning(OutputError, home / "out.jsonl"):
        rb.write(batches, home / "out.jsonl", overwrite=overwrite)
    assert everything_below(home) == {"out": b"mine"}


@posix
@pytest.mark.parametrize("target", TARGETS)
def test_a_link_is_followed(home: Path, batches: rb.Batches, target: str) -> None:
    """Large output is often linked to a large disk."""
    rb.write(batches[:1], home / "other" / target)
    (home / target).symlink_to(home / "other" / target)
    names = sorted(path.name for path in home.iterdir())
    with pytest.raises(OutputError):
        rb.write(batches, home / target)
    rb.write(batches, home / target, overwrite=True)
    assert (home / target).is_symlink()
    written = b"".join(body.strip() for _, body in sorted(everything_below(home / "other").items()))
    assert written.count(b'"imageId"') == len(batches.regions)
    assert sorted(path.name for path in home.iterdir()) == names


def test_a_file_without_payloads_is_not_replaced(home: Path, batches: rb.Batches) -> None:
    (home / "mine.jsonl").write_text('{"a": 1}\n', encoding="utf-8")
    with raises_mentioning(OutputError, home / "mine.jsonl"):
        rb.write(batches, home / "mine.jsonl", overwrite=True)
    (home / "empty.jsonl").touch()
    assert rb.write(batches, home / "empty.jsonl", overwrite=True) == len(batches)


@pytest.mark.parametrize("target", [io.StringIO(), None, 3])
def test_a_target_that_is_neither_a_path_nor_a_binary_file(
    batches: rb.Batches, target: Any
) -> None:
    with pytest.raises(OptionError) as caught:
        rb.write(batches, target)
    assert (caught.value.option, caught.value.value) == ("target", target)


def test_an_unknown_payload_format(home: Path, batches: rb.Batches) -> None:
    payload: Any = "yaml"
    with pytest.raises(OptionError) as caught:
        rb.write(batches, home / "out", payload=payload)
    assert (caught.value.option, caught.value.value) == ("payload", "yaml")
    assert caught.value.choices == ("json", "xml")


def test_a_zipped_file(home: Path, batches: rb.Batches) -> None:
    with gzip.open(home / "out.gz", "wb") as file:
        rb.write(batches, file)
    assert gzip.decompress((home / "out.gz").read_bytes()).splitlines() == [
        batch.to_json() for batch in batches
    ]


def failing(batches: rb.Batches, error: BaseException) -> Iterator[Batch]:
    yield batches[0]
    yield batches[1]
    raise error


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


def meanwhile(batches: Sequence[Batch], action: Callable[[], object]) -> Iterator[Batch]:
    """Yield batches, and call an action after the first."""
    yield batches[0]
    action()
    yield from batches[1:]


def put(path: Path, content: bytes = b"mine") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


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
    """Even by another run: one of the two wins, and the other reports it."""
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
    assert soak_output.at_each_step(target, overwrite, name) > 5


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


@pytest.mark.parametrize(
    "url", ["s3://bucket/out", "az://c/o.jsonl", "https://a/out", "file:///out", "gs:/b"]
)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_url_is_an_error(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch, url: str, kind: type
) -> None:
    monkeypatch.chdir(home)
    with raises_mentioning(OutputError, kind(url), url.partition(":")[0]):
        rb.write(batches, kind(url))
    with raises_mentioning(OutputError, kind(url)):
        rb.write_report(kind(url), rb.read(home.parent / "data", coco_boxes="pixels"))
    with raises_mentioning(rb.DatasetNotFoundError, kind(url)):
        rb.read(kind(url))
    assert everything_below(home) == {}


PATHS = [
    ("C:\\a", ""),
    ("c:/a", ""),
    ("./s3:/a", ""),
    ("a/b:/c", ""),
    ("\\\\nas\\a", ""),
    ("az://c/a", "az"),
]


@pytest.mark.parametrize(("path", "scheme"), PATHS)
def test_the_scheme_of_a_url(path: str, scheme: str) -> None:
    assert scheme_of(path) == scheme
    if not path.startswith("./"):  # Removed by pathlib.
        assert scheme_of(PureWindowsPath(path)) == scheme


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
    """As on Windows, where open files cannot be renamed."""
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
    visible = {
        name: body for name, body in everything_below(home).items() if not name.startswith(".")
    }
    rb.write(batches, home / "fresh" / target)
    assert visible == everything_below(home / "fresh")


FULL_DISK = """
import resource, signal, sys
import regionbatch as rb
from regionbatch.batching import Batch
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
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
    home: Path, batches: rb.Batches, target: str, overwrite: bool
) -> None:
    """A limit on file sizes makes a write fail in the middle, as a full disk does."""
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


class SmallFile(io.RawIOBase):
    """An unbuffered file that accepts some bytes at a time, up to a maximum."""

    def __init__(self, most: int) -> None:
        self.accepted = bytearray()
        self._most = most

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> Any:
        count = min(self._most - len(self.accepted), 100)
        self.accepted += bytes(data)[:count]
        return min(count, len(data)) or None


def test_an_unbuffered_file_gets_everything(batches: rb.Batches) -> None:
    whole = io.BytesIO()
    rb.write(batches, whole)
    small = SmallFile(10**6)
    assert rb.write(batches, small) == len(batches)
    assert bytes(small.accepted) == whole.getvalue()


def test_a_wrapper_of_an_unbuffered_file(home: Path, batches: rb.Batches) -> None:
    """It need not return the number of bytes."""

    class Counting:
        def __init__(self, file: io.RawIOBase) -> None:
            self.file = file

        def write(self, data: bytes) -> None:
            self.file.write(data)

        def flush(self) -> None: ...

    whole = io.BytesIO()
    rb.write(batches, whole)
    with (home / "bodies").open("wb", 0) as file:
        assert rb.write(batches, Counting(file)) == len(batches)
    assert (home / "bodies").read_bytes() == whole.getvalue()
    with tempfile.NamedTemporaryFile(buffering=0) as named:
        assert rb.write(batches, named) == len(batches)
        named.seek(0)
        assert named.read() == whole.getvalue()


def test_an_unbuffered_file_that_is_full(batches: rb.Batches) -> None:
    with pytest.raises(rb.OutputError):
        rb.write(batches, SmallFile(150))


@posix
def test_a_folder_that_is_not_writable(home: Path, batches: rb.Batches) -> None:
    """A file has the name of the parent folder, which stops even an administrator."""
    (home / "file").write_text("mine", encoding="utf-8")
    for target in TARGETS:
        with raises_mentioning(OutputError, home / "file"):
            rb.write(batches, home / "file" / target)


def test_a_write_flushes_to_disk_only_once(home: Path, batches: rb.Batches) -> None:
    """One flush for each payload would take longer."""
    start = time.perf_counter()
    rb.write([batch for batch in batches for _ in range(300)], home / "out")
    assert time.perf_counter() - start < 10
