"""Processes that are copies of the command: what they answer, and that they disturb nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from helpers import ROOT, environment, process
from regionbatch import processes
from regionbatch.forked_process import can_fork
from regionbatch.processes import local_processes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux")

SCENE = ROOT / "fixtures" / "scene"
TESTS = str(ROOT / "tests")

START = """
import os, signal, subprocess, sys, time
from concurrent.futures import Future
from regionbatch import part_reading
from regionbatch.parts import run_parts
from regionbatch.processes import local_processes
from test_parts import forever, killed_elsewhere, numbered

def refuse(*arguments, **options):
    raise OSError("a new process")

subprocess.Popen = refuse
part_reading.MIN_PARTS_OF_LARGE = 0
"""


def run(code: str, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run code in a process with one thread, and with two cores."""
    path = os.pathsep.join([environment()["PYTHONPATH"], TESTS])
    return process(
        "-c",
        START + code,
        *words,
        OPENBLAS_NUM_THREADS="1",
        REGIONBATCH_PROCESSES="3",
        PYTHONPATH=path,
    )


def test_copies_answer_calls() -> None:
    found = run("""
Future.cancel = lambda _: False  # this process leaves all calls to them
print("once", end="")  # in a buffer, of which they have copies
with local_processes(may_fork=True) as executor:
    results = [*run_parts(numbered, [(n,) for n in range(40)], executor, is_own=True)]
pids = {pid for _, pid in results}
print([n for n, _ in results] == [*range(40)], len(pids), os.getpid() in pids)
""")
    assert (found.stdout, found.stderr) == ("onceTrue 2 False\n", "")


def test_calls_of_a_copy_that_is_killed_are_made_here() -> None:
    found = run("""
with local_processes(may_fork=True) as executor:
    jobs = [(n, os.getpid()) for n in range(10)]
    print([*run_parts(killed_elsewhere, jobs, executor, is_own=True)] == [*range(10)])
""")
    assert (found.stdout, found.stderr) == ("True\n", "")


def test_copies_have_default_signals_and_a_group_of_their_own() -> None:
    found = run("""
signal.signal(signal.SIGTERM, signal.default_int_handler)  # as the command
with local_processes(may_fork=True) as executor:
    group = executor.submit(os.getpgid, 0).result()
    handlers = [executor.submit(signal.getsignal, n).result() for n in (2, 15)]
    blocked = executor.submit(signal.pthread_sigmask, signal.SIG_BLOCK, ()).result()
here = signal.pthread_sigmask(signal.SIG_BLOCK, ())
print(group != os.getpgid(0), handlers == [signal.SIG_DFL] * 2, blocked, here)
""")
    assert (found.stdout, found.stderr) == ("True True set() set()\n", "")


def test_copies_end_with_the_process_that_is_killed() -> None:
    path = os.pathsep.join([environment()["PYTHONPATH"], TESTS])
    code = """
with local_processes(may_fork=True) as executor:
    print(*{executor.submit(os.getpid).result() for _ in range(9)}, flush=True)
    time.sleep(99)
"""
    variables = environment(PYTHONPATH=path, OPENBLAS_NUM_THREADS="1", REGIONBATCH_PROCESSES="3")
    parent = subprocess.Popen(
        [sys.executable, "-c", START + code], env=variables, stdout=subprocess.PIPE
    )
    assert parent.stdout is not None
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    parent.kill()
    assert parent.stdout.read() == b"", "no copy keeps the output open"
    parent.communicate(timeout=30)
    end = time.monotonic() + 30
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return False
    return state != "Z"


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_the_command_reads_large_datasets_with_copies(format: str) -> None:  # noqa: A002
    code = """
from regionbatch_cli.main import main
fork, forks = os.fork, []
os.fork = lambda: forks.append(fork()) or forks[-1]
Future.cancel = lambda _: False
try:
    main()
finally:
    print(len(forks), file=sys.stderr)
"""
    words = "inspect", SCENE / format, "--json"
    found = run(code, *words)
    assert (found.returncode, found.stderr) == (0, "2\n")
    alone = process("-m", "regionbatch_cli", *words)
    assert found.stdout == alone.stdout


def test_the_library_never_forks() -> None:
    found = run(
        """
import regionbatch as rb
os.fork = sys.exit
print(len(rb.read(sys.argv[1])))
""",
        SCENE / "coco",
    )
    assert (found.stdout, found.stderr, found.returncode) == ("12\n", "", 0)


def test_a_process_with_several_threads_is_not_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    end = threading.Event()
    other = threading.Thread(target=end.wait)
    other.start()
    try:
        assert not can_fork()
        monkeypatch.setattr(os, "fork", pytest.fail)
        monkeypatch.setattr(processes, "available_processes", lambda: 2)
        with local_processes(may_fork=True) as executor:
            assert executor is not None
            assert executor.submit(os.getpid).result() != os.getpid()
    finally:
        end.set()
        other.join()


def test_a_command_that_was_started_with_ignored_ends_of_processes() -> None:
    code = """
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # as a program may leave it to those it starts
code = "from regionbatch import part_reading; part_reading.MIN_PARTS_OF_LARGE = 0; "
code += "from regionbatch_cli.main import main; main()"
os.execv(sys.executable, [sys.executable, "-c", code, *sys.argv[1:]])
"""
    words = "inspect", SCENE / "coco", "--json"
    found = run(code, *words)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == process("-m", "regionbatch_cli", *words).stdout


def test_a_failed_fork_is_not_an_error() -> None:
    found = run("""
os.fork = refuse
with local_processes(may_fork=True) as executor:
    results = [*run_parts(numbered, [(1,), (2,)], executor, is_own=True)]
print({pid for _, pid in results} == {os.getpid()})
""")
    assert (found.stdout, found.stderr) == ("True\n", "")


def test_ctrl_c_while_copies_work_ends_them() -> None:
    found = run("""
try:
    with local_processes(may_fork=True) as executor:
        pid = executor.submit(os.getpid).result()
        endless = [executor.submit(forever, n) for n in range(4)]
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)
except KeyboardInterrupt:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        print("ended")
""")
    assert (found.stdout, found.stderr) == ("ended\n", "")
