"""The service as a process: start, stop, port, database, parallel calls, the foreground."""

from __future__ import annotations

import json
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from helpers import mentions, raises_mentioning
from regionbatch import local
from regionbatch.errors import OptionError
from regionbatch.local import Fault, Faults, LocalService, Settings
from regionbatch.local.store import Store

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.conftest import Workspace

    Start = Callable[..., Workspace]


def test_public_names() -> None:
    assert all(getattr(local, name) for name in local.__all__)
    with raises_mentioning(AttributeError, "nothing"):
        _ = local.nothing


def test_each_service_has_its_own_port_and_frees_it() -> None:
    with LocalService() as first, LocalService() as second:
        assert first.endpoint != second.endpoint
        port = int(first.endpoint.rpartition(":")[2])
    with LocalService(port=port) as again:
        assert again.endpoint == first.endpoint


@pytest.mark.parametrize("port", [-1, 65_536])
def test_an_invalid_port(port: int) -> None:
    with pytest.raises(OptionError) as raised:
        LocalService(port=port)
    assert (raised.value.option, raised.value.value) == ("port", port)


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OptionError) as raised:
            LocalService(port=port)
    assert (raised.value.option, raised.value.value) == ("port", port)


def test_a_file_that_is_not_a_database(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("not a database, but long enough to look like one " * 100, encoding="utf-8")
    with closing(sqlite3.connect(tmp_path / "theirs.sqlite")) as db:
        db.execute("CREATE TABLE images (theirs TEXT)")
    for wrong in (path, tmp_path / "theirs.sqlite", tmp_path / "missing" / "d.sqlite"):
        content = wrong.read_bytes() if wrong.exists() else b""
        with pytest.raises(OptionError) as raised:
            LocalService(database=wrong)
        assert (raised.value.option, raised.value.value) == ("database", str(wrong))
        assert not content or wrong.read_bytes() == content


def test_a_service_that_does_not_start_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with LocalService() as first:
        port = int(first.endpoint.rpartition(":")[2])
        with pytest.raises(OptionError) as raised:
            LocalService(database=tmp_path / "new.sqlite", port=port)
        assert raised.value.option == "port"
    monkeypatch.setattr(Store, "schema", "CREATE TABLE half (way); CREATE TABLE half (way);")
    with pytest.raises(OptionError) as raised:
        LocalService(database=tmp_path / "new.sqlite")
    assert raised.value.option == "database"
    assert not [*tmp_path.iterdir()]
    (tmp_path / "empty.sqlite").touch()
    with pytest.raises(OptionError):
        LocalService(database=tmp_path / "empty.sqlite")
    assert [path.name for path in tmp_path.iterdir()] == ["empty.sqlite"], "it was there before"


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_disk_that_is_full_when_the_service_starts(tmp_path: Path) -> None:
    code = (
        "import resource, runpy, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "sys.argv[1:] = ['serve', '--database', 'd.sqlite']\n"
        "runpy.run_module('regionbatch_cli', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-B", "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("Error: d.sqlite: cannot be opened: ")
    assert not [*tmp_path.glob("d.sqlite")]


def test_a_database_in_use_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    with LocalService(database=path), closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(OptionError) as raised:
            LocalService(database=path)
        assert raised.value.option == "database"
    assert path.exists()


def test_only_this_machine_can_reach_it() -> None:
    with LocalService() as service:
        assert service.endpoint.startswith("http://127.0.0.1:")


def test_a_database_file_outlives_the_service(workspace: Start, tmp_path: Path) -> None:
    path = tmp_path / "service.sqlite"
    with LocalService(database=path) as service:
        project = service.create_project("kept")
    work = workspace(database=path)
    work.create(*work.regions(3))
    with LocalService(database=path) as service:
        assert len(service.regions(work.project)) == 3
        assert service.regions(project) == []
    assert work.call("GET", f"/projects/{project}").json["name"] == "kept"


def test_a_refused_batch_stores_nothing(workspace: Start) -> None:
    work = workspace(on_existing="refuse")
    work.create(work.region())
    assert work.create(work.region(0.7), work.region()).status == 400
    assert len(work.stored()) == 1
    assert work.call("GET", f"{{p}}/tags/{work.tag}").json["imageCount"] == 1


def test_a_failed_transaction_stores_nothing() -> None:
    store = Store()

    def half() -> None:
        with store.transaction():
            store.add_project("half", None, "", None, "")
            raise KeyError("half")

    with pytest.raises(KeyError, match="half"):
        half()
    with store.transaction():
        assert store.projects() == []
    store.close()


def test_calls_wait_in_parallel(workspace: Start) -> None:
    work = workspace(latency=0.5)
    start = time.monotonic()
    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(work.create, work.regions(16)))
    assert 0.5 <= time.monotonic() - start < 4, "one after the other, they take 8 seconds"
    assert {reply.status for reply in replies} == {200}
    assert len(work.stored()) == 16


def test_concurrent_calls_store_a_region_once(workspace: Start) -> None:
    work = workspace()
    entries = work.regions(20)
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: work.create(*entries), range(8)))
    assert sum(len(reply.json["created"] or []) for reply in replies) == 20
    assert len(work.stored()) == 20


def test_stopping_does_not_wait_for_a_call_without_a_response() -> None:
    faults = Faults(rate=1, kinds=(Fault.TIMEOUT,))
    failed = threading.Event()

    def call(endpoint: str) -> None:
        try:
            request = urllib.request.Request(f"{endpoint}/customvision/v3.2/training/domains")
            request.add_header("Training-Key", "k")
            urllib.request.urlopen(request, timeout=20).close()
        except OSError:
            failed.set()

    with LocalService(faults=faults) as service:
        caller = threading.Thread(target=call, args=(service.endpoint,))
        caller.start()
        while not faults.injected:
            time.sleep(0.01)
        start = time.monotonic()
    assert time.monotonic() - start < 5
    caller.join(5)
    assert failed.is_set()


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, encoding="utf-8", check=False
    )


def test_without_the_extra_the_error_names_it() -> None:
    code = """
import sys
sys.modules["uvicorn"] = None
from regionbatch.errors import OptionError
from regionbatch.local import Faults, Settings
try:
    from regionbatch.local import LocalService
except OptionError as error:
    print(error)
"""
    done = run(code)
    assert mentions(done.stdout, "regionbatch[local]"), done.stderr


def test_settings_and_faults_do_not_import_the_server() -> None:
    code = "import sys, regionbatch.local; print({'uvicorn', 'starlette'} & set(sys.modules))"
    assert run(code).stdout.strip() == "set()"


@pytest.mark.skipif(
    sys.platform == "win32", reason="Ctrl-C cannot be sent to a single process there"
)
def test_serving_in_the_foreground_until_ctrl_c(tmp_path: Path) -> None:
    code = """
import sys
from pathlib import Path
from regionbatch.local import Settings, run_service
def ready(service):
    print(service.endpoint, service.key, service.create_project("p"), flush=True)
run_service(Settings(key="k"), database=Path(sys.argv[1]), ready=ready)
print("ended")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "d.sqlite")]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        endpoint, key, project = process.stdout.readline().split()
        request = urllib.request.Request(
            f"{endpoint}/customvision/v3.2/training/projects/{project}"
        )
        request.add_header("Training-Key", key)
        with urllib.request.urlopen(request, timeout=5) as response:
            assert json.load(response)["name"] == "p"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "ended\n"
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_the_service_uses_the_given_settings() -> None:
    settings = Settings(key="k", latency=0.5)
    with LocalService(settings) as service:
        assert service.settings is settings
        assert service.key == "k"


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "", "[::1]"]
)
def test_calls_to_other_hosts_are_refused(workspace: Start, host: str) -> None:
    """A web page whose host name resolves to this machine (DNS rebinding) learns nothing."""
    work = workspace()
    headers = {"Training-Key": work.service.key}
    assert work.call("GET", "/domains", headers={**headers, "Host": host}).status == 400
    assert not work.service.calls["GetDomains"]
    for own in ("localhost", "127.0.0.1:1"):
        assert work.call("GET", "/domains", headers={**headers, "Host": own}).status == 200


def test_start_returns_if_the_service_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    service = LocalService()
    monkeypatch.setattr(service, "_thread", threading.Thread(target=service._socket.close))
    service.start()
    service.stop()
