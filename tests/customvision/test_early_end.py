"""A run that ends early: what it prints, what it writes, and its exit status."""

from __future__ import annotations

import json
import shlex
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from customvision.command_place import KEY, Place, started
from customvision.rehearsal import Clock, expected_counts, write_dataset

import regionbatch
from helpers import environment, mentions
from regionbatch.local import Fault

if TYPE_CHECKING:
    from collections.abc import Iterator

SENDING = "CreateImageRegions"
not_on_windows = pytest.mark.skipif(sys.platform == "win32", reason="signals and shell limits")


@pytest.fixture
def large(place: Place) -> Place:
    """A dataset that takes many batches."""
    place.set = write_dataset(place.folder / "large", images=12, boxes=200)
    return place


@pytest.fixture
def rotated(large: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    """The key stops working after some batches."""
    api = large.service._api
    check = api._check_key

    def rotate(request: object) -> None:
        if api.calls[SENDING] > 5:
            object.__setattr__(large.service.settings, "key", "another")
        check(request)  # type: ignore[arg-type]

    monkeypatch.setattr(api, "_check_key", rotate)
    yield large
    object.__setattr__(large.service.settings, "key", KEY)


def test_tags_that_were_created_before_an_error_are_counted(large: Place) -> None:
    api = large.service._api
    check = api._check_key

    def rotate(request: object) -> None:
        if api.calls["CreateTag"] > 1:
            object.__setattr__(large.service.settings, "key", "another")
        check(request)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(api, "_check_key", rotate)
        result = large.run("upload", "--create-tags", "--json")
    object.__setattr__(large.service.settings, "key", KEY)
    stored = len(large.client.tags(large.project))
    assert (result.status, result.json["new_tags"]) == (1, stored)
    assert stored > 0


def test_an_error_in_the_middle_has_an_account(rotated: Place) -> None:
    report = rotated.folder / "report.json"
    result = rotated.run(
        "upload", "--create-tags", "--report", report, "--save-ids", rotated.folder / "ids"
    )
    assert result.status == 1
    assert mentions(result.stderr, 401)
    stored = len(rotated.service.regions(rotated.project))
    assert 0 < stored < 2200
    lines = {line.partition(":")[0]: line for line in result.stdout.splitlines()}
    assert mentions(lines["sent"], stored)
    assert mentions(lines["left"], 2200 - stored)
    [journal] = rotated.folder.glob("large-*.sqlite")
    assert journal.name in lines["journal"]
    assert "verified" not in lines
    written = json.loads(report.read_text(encoding="utf-8"))
    assert (written["upload"]["complete"], written["upload"]["sent"]) == (False, stored)
    ids = rotated.folder / "ids"
    assert json.loads((ids / "tags.json").read_text(encoding="utf-8")).keys() == {
        "cat",
        "dog",
        "emu",
    }
    assert len(json.loads((ids / "images.json").read_text(encoding="utf-8"))) == 12


def test_an_error_in_the_middle_as_json(rotated: Place) -> None:
    result = rotated.run("upload", "--create-tags", "--json")
    assert result.status == 1
    shown = result.json
    stored = len(rotated.service.regions(rotated.project))
    assert (shown["complete"], shown["sent"], shown["remaining"]) == (False, stored, 2200 - stored)
    assert shown["verification"] is None
    error = shown["error"]
    assert (error["type"], error["status"]) == ("AccessError", 401)
    assert shown["boxes"]["read"] == 2200


def test_the_same_command_resumes_and_is_complete(
    rotated: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert rotated.run("upload", "--create-tags").status == 1
    stored = len(rotated.service.regions(rotated.project))
    monkeypatch.undo()
    monkeypatch.chdir(rotated.folder)
    monkeypatch.setenv("VISION_TRAINING_ENDPOINT", rotated.service.endpoint)
    monkeypatch.setenv("VISION_TRAINING_KEY", KEY)
    object.__setattr__(rotated.service.settings, "key", KEY)
    again = rotated.run("upload", "--create-tags", "--json")
    assert again.status == 0
    assert (again.json["complete"], again.json["already"]) == (True, stored)
    assert again.json["verification"] == expected_counts(2200)
    assert "error" not in again.json


def test_an_error_before_the_plan_as_json(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is known is printed: without a dataset, only the error."""
    for arguments, kind, status in (
        (["--only", "no such class"], "OptionError", 2),
        (["--endpoint", ""], "UsageError", 2),
    ):
        result = place.run("upload", *arguments, "--json")
        assert (result.status, result.json["complete"]) == (status, False)
        assert result.json["error"]["type"] == kind
        assert "boxes" not in result.json
    report = place.folder / "report.json"
    monkeypatch.setenv("VISION_TRAINING_KEY", "wrong-0123456789")
    result = place.run("upload", "--json", "--report", report)
    assert (result.status, result.json["complete"]) == (1, False)
    assert (result.json["error"]["status"], result.json["boxes"]["read"]) == (401, 60)
    assert "wrong-0123456789" not in result.stdout + result.stderr
    assert json.loads(report.read_text(encoding="utf-8"))["upload"]["complete"] is False


def test_an_error_before_the_plan_prints_only_the_error(place: Place) -> None:
    result = place.run("upload")  # three tags are missing
    assert (result.status, result.stdout) == (1, "")
    assert mentions(result.stderr, "--create-tags")
    assert not [*place.folder.glob("*.sqlite")]


def test_ids_that_cannot_be_written_do_not_hide_the_error(
    rotated: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_more: object) -> None:
        raise regionbatch.OutputError("ids: cannot be written. Choose another folder.")

    monkeypatch.setattr("regionbatch.customvision.id_tables.write_id_files", refuse)
    report = rotated.folder / "report.json"
    result = rotated.run("upload", "--create-tags", "--save-ids", "ids", "--report", report)
    assert result.status == 1
    first, last = [line for line in result.stderr.splitlines() if line.startswith("Error")]
    assert (mentions(first, "ids"), mentions(last, 401)) == (True, True)
    assert report.is_file()


@not_on_windows
def test_a_full_disk_for_the_journal(large: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """No file may be larger than 64 KB."""
    words = [sys.executable, "-m", "regionbatch_cli", "upload", str(large.set), *large.to]
    line = f"ulimit -f 64; exec {shlex.join([*words, '--create-tags', '--json'])}"
    run = subprocess.run(
        ["bash", "-c", line],
        cwd=large.folder,
        env=environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert run.returncode == 1, run.stderr
    shown = json.loads(run.stdout)
    assert (shown["complete"], shown["error"]["type"]) == (False, "JournalError")
    assert shown["remaining"] > 0
    resume(large, monkeypatch)


def resume(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the command again, with a clock that does not wait for calls of the first run."""
    monkeypatch.setattr("regionbatch.customvision.upload.RateLimiter", Clock().rate_limiter)
    result = place.run("upload", "--create-tags", "--json")
    assert (result.status, result.json["verification"]) == (0, expected_counts(2200))


def wait_for_batches(place: Place, run: subprocess.Popen[str]) -> None:
    while place.service.calls[SENDING] < 3 and run.poll() is None:
        time.sleep(0.01)  # until some batches were sent


@not_on_windows
def test_ctrl_c_says_what_was_sent_and_how_to_resume(large: Place) -> None:
    object.__setattr__(large.service.settings, "latency", 0.02)
    with started("upload", str(large.set), *large.to, "--create-tags", cwd=large.folder) as run:
        wait_for_batches(large, run)
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    [journal] = [path.name for path in large.folder.glob("large-*.sqlite")]
    *under_way, line = [line for line in errors.splitlines() if line]
    assert mentions(line, journal)
    assert len(under_way) <= 1, "calls that are waited for, if there are any"
    stored = len(large.service.regions(large.project))
    assert 0 < stored < 2200
    lines = {line.partition(":")[0]: line for line in output.splitlines()}
    assert mentions(lines["sent"], stored)
    assert mentions(lines["left"], 2200 - stored)
    assert lines["journal"].split() == ["journal:", journal], "how to resume is said once"


@not_on_windows
def test_ctrl_c_as_json_before_anything_was_sent(large: Place) -> None:
    object.__setattr__(large.service.settings, "latency", 0.3)
    line = ["upload", str(large.set), *large.to, "--create-tags", "--json"]
    with started(*line, cwd=large.folder) as run:
        while not large.service.calls.total() and run.poll() is None:
            time.sleep(0.01)
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate(timeout=60)
    assert run.returncode == 130
    shown = json.loads(output)
    assert (shown["complete"], shown["error"]["type"]) == (False, "KeyboardInterrupt")
    assert shown["boxes"]["read"] == 2200
    assert len([line for line in errors.splitlines() if line]) == 1
    assert not [*large.folder.glob("*.sqlite")]


@not_on_windows
@pytest.mark.parametrize("more", [[], ["--json"]])
def test_a_second_ctrl_c_does_not_wait(
    large: Place, more: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The calls that are under way take a minute."""
    faults = large.service.faults
    faults.rate, faults.kinds, faults.hold = 1, (Fault.TIMEOUT_APPLIED,), 60
    faults.operations = frozenset({SENDING})
    line = ["upload", str(large.set), *large.to, "--create-tags", *more]
    with started(*line, cwd=large.folder) as run:
        wait_for_batches(large, run)
        assert run.stderr is not None
        run.send_signal(signal.SIGINT)
        assert run.stderr.readline(), "calls are waited for"
        start = time.monotonic()
        run.send_signal(signal.SIGINT)
        output, errors = run.communicate(timeout=60)
    assert time.monotonic() - start < 15
    assert run.returncode == 130
    assert "Traceback" not in errors
    if more:
        assert json.loads(output)["complete"] is False
    else:
        assert "left:" in output
    faults.rate = 0
    resume(large, monkeypatch)
