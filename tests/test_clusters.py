"""Datasets are read by a Dask cluster and by loky with the same result, even if a worker dies."""

from __future__ import annotations

import os
import signal
import socket
import sys
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any

import pytest
from killed_reader import MARKER, PARENT, WRITING_MARKER, KilledOnce, write_or_die
from loky import get_reusable_executor

import regionbatch as rb
from helpers import ROOT, InThisProcess, command, ids_of, process, write_yolo
from regionbatch import part_reading, part_waiting, parts
from regionbatch.in_parts import convert as in_parts
from regionbatch.in_parts import division
from regionbatch.process_count import PROCESSES_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"
TABLES: dict[str, Any] = {"tag_ids": SCENE / "tags.json", "image_ids": SCENE / "images.json"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """The client of two processes, which all tests share."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def numbered(tmp_path: Path) -> Path:
    """A dataset of 32 images, each in a part of its own."""
    boxes = [(f"{number:02}.jpg", "cat", (0.5, 0.5, 0.2, 0.01 * number)) for number in range(1, 33)]
    folder = write_yolo(tmp_path / "data", boxes)
    (folder / PARENT).write_text(str(os.getpid()), encoding="utf-8")
    return folder


def payloads(folder: Path, out: Path, **options: Any) -> bytes:
    names = [f"{number:02}.jpg" for number in range(1, 33)]
    tables: dict[str, Any] = {"tag_ids": ids_of(["cat"]), "image_ids": ids_of(names)}
    rb.convert(folder, out, **tables, overwrite=True, **options)
    return out.read_bytes()


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_a_cluster_reads_the_same(cluster: Any, tmp_path: Path, format: str) -> None:  # noqa: A002
    outs = [tmp_path / "here.jsonl", tmp_path / "there.jsonl"]
    here = rb.convert(SCENE / format, outs[0], **TABLES)
    there = rb.convert(SCENE / format, outs[1], **TABLES, executor=cluster.get_executor())
    assert outs[1].read_bytes() == outs[0].read_bytes()
    assert list(there.findings) == list(here.findings)
    assert there.ledger == here.ledger


def test_a_worker_of_dask_that_is_killed_changes_nothing(
    cluster: Any, numbered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = payloads(numbered, tmp_path / "out.jsonl")
    monkeypatch.setattr(part_reading, "MIN_PARTS", 32)
    executor = cluster.get_executor()
    found = payloads(numbered, tmp_path / "out.jsonl", format=KilledOnce(), executor=executor)
    assert found == expected
    assert (numbered / MARKER).exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["cluster", "client"])
def test_a_cluster_that_is_closed_in_the_middle_changes_nothing(
    what: str, numbered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dask leaves futures pending that are submitted after it is closed."""
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    monkeypatch.setattr(part_reading, "MIN_PARTS", 32)
    monkeypatch.setattr(parts, "_MAX_WAITING", 4)
    monkeypatch.setattr(part_waiting, "_POLL", 0.01)
    loopback = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0", "protocol": "tcp"}
    with (
        distributed.LocalCluster(n_workers=1, processes=False, **loopback) as cluster,
        distributed.Client(cluster) as client,
    ):

        def close(step: str, done: int, _total: int) -> None:
            if step == "reading label files" and done == 2:
                {"cluster": cluster, "client": client}[what].close()

        executor = client.get_executor()
        found = payloads(numbered, tmp_path / "out.jsonl", executor=executor, progress=close)
    assert found == payloads(numbered, tmp_path / "out.jsonl")


@pytest.mark.parametrize("loky", [True, False])
def test_a_process_that_is_killed_changes_nothing(
    numbered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, loky: bool
) -> None:
    """It is a process of loky, as the executor of the caller, or of regionbatch itself."""
    expected = payloads(numbered, tmp_path / "out.jsonl")
    monkeypatch.setenv(PROCESSES_VARIABLE, "2")
    monkeypatch.setattr(part_reading, "MIN_PARTS", 32)
    monkeypatch.setattr(part_reading, "MIN_PARTS_OF_LARGE", 0)
    monkeypatch.setattr(Future, "cancel", lambda _: False)  # this process leaves all parts to them
    executor = get_reusable_executor(2) if loky else None
    found = payloads(numbered, tmp_path / "out.jsonl", format=KilledOnce(), executor=executor)
    assert found == expected
    assert (numbered / MARKER).exists()


@pytest.mark.parametrize("kind", ["dask", "loky"])
def test_a_process_that_is_killed_while_it_writes_changes_nothing(
    cluster: Any, numbered: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.setattr(division, "ROWS_PER_PART", 4)
    executor = cluster.get_executor() if kind == "dask" else get_reusable_executor(2)
    tables: dict[str, Any] = {"tag_ids": ids_of(["cat"])}
    tables["image_ids"] = ids_of([f"{number:02}.jpg" for number in range(1, 33)])
    (tmp_path / PARENT).write_text(str(os.getpid()), encoding="utf-8")
    expected = rb.convert(numbered, tmp_path / "one", **tables, executor=InThisProcess())
    monkeypatch.setattr(in_parts, "write_part", write_or_die)
    found = rb.convert(numbered, tmp_path / "out", **tables, executor=executor)
    assert (tmp_path / WRITING_MARKER).exists()
    texts = [
        {path.name: path.read_bytes() for path in (tmp_path / name).iterdir()}
        for name in ("one", "out")
    ]
    assert texts[0] == texts[1]
    assert len(texts[0]) > 8
    assert found.ledger == expected.ledger


def test_the_command_has_a_cluster_write_a_folder(cluster: Any, tmp_path: Path) -> None:
    runs = [
        convert_command(tmp_path / "one", ""),
        convert_command(tmp_path / "parts", cluster.scheduler.address),
    ]
    assert [run.status for run in runs] == [0, 0], runs[1].stderr
    assert runs[1].stdout.replace("parts", "one") == runs[0].stdout
    names = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert names == ["part-00001.jsonl", "summary.json"]
    page = convert_command(tmp_path / "other", cluster.scheduler.address, "--html", "page.html")
    assert page.status == 2
    assert not (tmp_path / "other").exists()


def without_package() -> None:
    """Make a process unable to import regionbatch."""
    import sys  # noqa: PLC0415 - in another process

    class Missing:
        def find_spec(self, name: str, *_: object) -> None:
            if name.startswith("regionbatch"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.startswith("regionbatch")]:
        del sys.modules[name]
    sys.meta_path.insert(0, Missing())


def with_package_again() -> None:
    import sys  # noqa: PLC0415 - in another process

    del sys.meta_path[0]


def test_workers_without_regionbatch_are_an_error(cluster: Any) -> None:
    """A worker that receives a function which it cannot import would never answer."""
    executor: Executor = cluster.get_executor()
    cluster.run(without_package)
    try:
        with pytest.raises(rb.OptionError) as caught:
            rb.read(SCENE / "yolo", executor=executor)
        assert caught.value.option == "executor"
    finally:
        cluster.run(with_package_again)
    assert len(rb.read(SCENE / "yolo", executor=cluster.get_executor())) == 12


def convert_command(out: Path, address: str, *more: str) -> Any:
    tables: list[str | Path] = [
        "--tag-ids",
        SCENE / "tags.json",
        "--image-ids",
        SCENE / "images.json",
    ]
    cluster = ["--dask", address] if address else []
    return command("convert", SCENE / "coco", "-o", out, *tables, *cluster, *more)


def test_the_command_uses_a_cluster(cluster: Any, tmp_path: Path) -> None:
    run = convert_command(tmp_path / "out.jsonl", cluster.scheduler.address)
    assert run.status == 0, run.stderr
    rb.convert(SCENE / "coco", tmp_path / "expected.jsonl", **TABLES)
    expected = (tmp_path / "expected.jsonl").read_bytes()
    assert (tmp_path / "out.jsonl").read_bytes() == expected


def test_a_cluster_without_workers_is_waited_for_with_a_message(
    capsys: pytest.CaptureFixture[str],
) -> None:
    distributed = pytest.importorskip("distributed", reason="the extra dask is not installed")
    from regionbatch_cli.cluster import dask_executor  # noqa: PLC0415 - needs no extra itself

    with distributed.LocalCluster(
        n_workers=0,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
        processes=False,
        protocol="tcp",
    ) as cluster:
        address = cluster.scheduler.address
        with dask_executor(address) as executor:
            assert executor is not None
    assert address in capsys.readouterr().err


def test_a_cluster_that_is_missing_is_a_usage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    from regionbatch_cli import cluster  # noqa: PLC0415 - needs no extra itself

    monkeypatch.setattr(cluster, "_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent_address = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        for address in ("tcp://127.0.0.1:1", "nonsense:", "tls://127.0.0.1:1", silent_address):
            run = convert_command(tmp_path / "out.jsonl", address)
            assert run.status == 2
            assert run.stderr.startswith("Error: --dask: ")
    monkeypatch.setitem(sys.modules, "distributed", None)
    run = convert_command(tmp_path / "out.jsonl", "local")
    assert run.status == 2
    assert "regionbatch[dask]" in run.stderr
    assert not (tmp_path / "out.jsonl").exists()


def test_ctrl_c_does_not_reach_the_workers_of_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """They would print tracebacks. The command ends them."""
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    from regionbatch_cli.cluster import dask_executor  # noqa: PLC0415 - needs no extra itself

    monkeypatch.setenv(PROCESSES_VARIABLE, "1")
    with ExitStack() as stack:
        with suppress(OSError):  # the port of Dask's dashboard is in use: there is no warning
            stack.enter_context(socket.create_server(("127.0.0.1", 8787)))
        executor = stack.enter_context(dask_executor("local"))
        assert executor is not None
        assert executor.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


SECOND_CTRL_C = """
import distributed
from regionbatch_cli.cluster import dask_executor

def stop(*_, **__):
    raise KeyboardInterrupt

try:
    with dask_executor("local"):
        distributed.LocalCluster.close = distributed.LocalCluster.__exit__ = stop
        raise KeyboardInterrupt
except KeyboardInterrupt:
    distributed.LocalCluster.close = lambda *_, **__: print("still closing")
"""


def test_a_second_ctrl_c_does_not_wait_for_the_cluster() -> None:
    """By default, Dask tries again at exit to close a cluster that is not closed yet."""
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    path = os.pathsep.join(sys.path)
    done = process("-c", SECOND_CTRL_C, PYTHONPATH=path, REGIONBATCH_PROCESSES="1")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
