"""The command as a process: pipes, signals, terminals and encodings."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import regionbatch as rb
from cli_helpers import ConvertFolder, posix, read_terminal
from helpers import (
    environment,
    mentions,
    process,
)


def wait_for(run: subprocess.Popen[str]) -> tuple[int, str]:
    """Return the status and standard error of a process."""
    _, stderr = run.communicate(timeout=60)
    return run.returncode, stderr


def start(*words: str | Path, **options: object) -> subprocess.Popen[str]:
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "env": environment()} | options
    line = [sys.executable, "-m", "regionbatch_cli", *map(str, words)]
    return subprocess.Popen(line, encoding="utf-8", **pipes)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def large(tmp_path: Path) -> ConvertFolder:
    """More payloads than a pipe holds."""
    return ConvertFolder(
        tmp_path, *[("a.jpg", "cat", (number / 50, 5, 5, 5)) for number in range(6400)]
    )


def test_python_m_runs_the_command(place: ConvertFolder) -> None:
    run = process(
        "-m",
        "regionbatch_cli",
        "convert",
        place.data,
        "-o",
        place.out,
        *place.ids,
        cwd=place.folder,
    )
    assert (run.returncode, run.stderr) == (0, "")
    assert len(place.written()) == 1
    for module in ("regionbatch_cli", "regionbatch"):
        version = process("-m", module, "--version", cwd=place.folder)
        assert mentions(version.stdout, "regionbatch", rb.__version__)
        wrong = process("-m", module, "inspect", cwd=place.folder)
        assert wrong.returncode == 2
        assert wrong.stderr.startswith("Usage: regionbatch inspect ")


def test_a_relative_path_is_accepted(place: ConvertFolder) -> None:
    run = process("-m", "regionbatch_cli", "inspect", ".", cwd=place.data)
    assert (run.returncode, run.stderr) == (0, "")


@posix
def test_a_pipe_that_is_closed_early_ends_the_run_silently(large: ConvertFolder) -> None:
    run = start("convert", large.data, "-o", "-", *large.ids)
    if run.stdout is None:
        pytest.fail("no pipe")
    assert len(json.loads(run.stdout.readline())["regions"]) == 64
    run.stdout.close()
    run.stdout = None
    status, stderr = wait_for(run)
    assert (status, stderr) == (1, ""), "not 0: it did not get everything"


@posix
@pytest.mark.parametrize(
    "words", ["inspect {data}", "inspect {data} --json", "formats", "--help", "convert --help"]
)
def test_a_closed_pipe_ends_the_run_silently(place: ConvertFolder, words: str) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    run = start(*[word.format(data=place.data) for word in words.split()], stdout=write_end)
    os.close(write_end)
    assert wait_for(run) == (1, "")


@pytest.mark.skipif(
    not Path("/dev/full").exists(),
    reason="the device that is always full is Linux's",
)
@pytest.mark.parametrize(
    "words", ["inspect {data}", "inspect {data} --json", "convert {data} -o - {ids}", "formats"]
)
def test_standard_output_on_a_full_disk_is_an_error(place: ConvertFolder, words: str) -> None:
    line = words.format(data="{data}", ids=" ".join(["{}"] * 4)).split()
    ids = iter(place.ids)
    line = [
        str(place.data) if word == "{data}" else next(ids) if word == "{}" else word
        for word in line
    ]
    with open("/dev/full", "w", encoding="utf-8") as full:  # noqa: PTH123
        run = start(*line, stdout=full)
    status, stderr = wait_for(run)
    assert status == 1
    assert mentions(stderr, os.strerror(errno.ENOSPC)), stderr
    assert "Traceback" not in stderr
    assert "Exception ignored" not in stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="only Linux has this device")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("word", ["formats", "--help"])
def test_an_error_names_standard_output_on_a_full_disk(word: str, unbuffered: str) -> None:
    with Path("/dev/full").open("w", encoding="utf-8") as full:
        run = start(word, stdout=full, env=environment(PYTHONUNBUFFERED=unbuffered))
    status, stderr = wait_for(run)
    assert status == 1
    assert mentions(stderr, "standard output", os.strerror(errno.ENOSPC)), stderr
    assert stderr.count("\n") == 1, stderr


def test_an_error_of_the_system_about_no_file_does_not_blame_standard_output() -> None:
    code = """
import errno, os, regionbatch_cli.main as command
def fail(**_):
    print("before")
    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
command.commands.main = fail
command.main()
"""
    run = process("-c", code)
    assert (run.returncode, run.stdout) == (1, "before\n")
    assert mentions(run.stderr, os.strerror(errno.EMFILE)), run.stderr
    assert not mentions(run.stderr, "standard output"), run.stderr
    assert "Traceback" not in run.stderr


@posix
@pytest.mark.parametrize("overwrite", [False, True])
def test_ctrl_c_leaves_nothing_half_written(place: ConvertFolder, overwrite: bool) -> None:
    """The run waits for its tag IDs in a pipe, so it is known where it is stopped."""
    if overwrite:
        place.convert()
    before = place.written() if overwrite else None
    pipe = place.folder / "tags.csv"
    os.mkfifo(pipe)
    options: list[str | Path] = [
        "--tag-ids",
        pipe,
        *place.ids[2:],
        *(["--overwrite"] if overwrite else []),
    ]
    run = start("convert", place.data, "-o", place.out, *options)
    writer = os.open(pipe, os.O_WRONLY)  # returns when the run has opened the other end
    run.send_signal(signal.SIGINT)
    os.close(writer)  # ends a read that started just after the signal
    status, stderr = wait_for(run)
    assert status == 130
    assert len(stderr.strip().splitlines()) == 1
    assert "Traceback" not in stderr
    assert (place.written() if place.out.exists() else None) == before


def test_ctrl_c_while_the_command_is_imported_shows_no_traceback() -> None:
    code = """
import builtins
from regionbatch_cli.__main__ import main
imported = builtins.__import__
def stopped(name, *arguments):
    if name == "click":
        raise KeyboardInterrupt
    return imported(name, *arguments)
builtins.__import__ = stopped
main()
"""
    run = process("-c", code)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")


@pytest.mark.parametrize(("words", "status"), [(["formats"], 0), (["inspect", "absent"], 1)])
def test_handlers_and_threads_end_before_the_process(words: list[str], status: int) -> None:
    code = """
import atexit, sys, threading
from regionbatch_cli.__main__ import program
def work():
    threading.main_thread().join()
    print("thread")
if sys.argv.pop(1) == "thread":
    threading.Thread(target=work).start()
atexit.register(print, "handler")
program()
"""
    for last in (["handler"], ["thread", "handler"]):
        run = process("-c", code, last[0], *words)
        assert run.returncode == status
        assert run.stdout.splitlines()[-len(last) :] == last


def test_a_caller_continues_after_the_command() -> None:
    code = """
from regionbatch_cli.__main__ import main
try:
    main()
except SystemExit as end:
    print("status", end.code)
"""
    assert process("-c", code, "inspect", "absent").stdout == "status 1\n"


def test_the_command_can_be_profiled() -> None:
    run = process("-m", "cProfile", "-m", "regionbatch_cli", "--version")
    assert run.returncode == 0
    assert "cumtime" in run.stdout


def test_output_in_a_pipe_has_no_control_characters(large: ConvertFolder) -> None:
    run = process(
        "-m", "regionbatch_cli", "convert", large.data, "-o", large.out, *large.ids, FORCE_COLOR=""
    )
    assert run.stderr == ""
    assert not re.search(r"[\x1b\r\b]", run.stdout)


@posix
def test_a_terminal_has_a_progress_bar(large: ConvertFolder) -> None:
    """And standard output, which is a pipe here, has none."""
    ours, theirs = os.openpty()
    line = [
        sys.executable,
        "-m",
        "regionbatch_cli",
        "convert",
        str(large.data),
        "-o",
        str(large.out),
        *large.ids,
    ]
    run = subprocess.Popen(
        line, env=environment(TERM="xterm"), stdout=subprocess.PIPE, stderr=theirs
    )
    os.close(theirs)
    shown = b"".join(read_terminal(ours))
    stdout, _ = run.communicate(timeout=60)
    assert b"\x1b[" in shown
    assert b"100%" in shown
    assert b"\x1b[" not in stdout


def test_names_outside_the_encoding_of_the_terminal_are_escaped(lossy: ConvertFolder) -> None:
    for encoding, *words in (
        ("ascii", lossy.data),
        ("cp1252", lossy.data, "--json"),
        ("ascii", lossy.data, "--only", "nothing"),
        ("cp1252", "猫"),
    ):
        run = subprocess.run(
            [sys.executable, "-m", "regionbatch_cli", "inspect", *map(str, words)],
            env=environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert run.returncode in (1, 2, 3)
        assert b"Traceback" not in run.stderr
