"""How uploads end: always with a true account, and soon if they are hopeless."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    SENDING,
    UPLOADING,
    Clock,
    assert_exact,
    expected_counts,
    rehearsal,
    send_small_batches,
    upload,
    verification_counts,
    write_dataset,
)

import regionbatch as rb
from helpers import environment
from regionbatch.customvision.journal import Journal
from regionbatch.customvision.service_types import ImageUploadResult
from regionbatch.local import Fault, Faults, Settings

if TYPE_CHECKING:
    from pathlib import Path

    from regionbatch import TrainingClient, UploadResult


def upload_to_its_end(
    dataset: rb.Dataset, client: TrainingClient, project: str, **options: Any
) -> tuple[UploadResult, BaseException]:
    """Upload, and return the account and the error of a run that ends early."""
    accounts: list[UploadResult] = []
    with pytest.raises(BaseException) as caught:
        upload(dataset, client, project, unfinished=accounts.append, **options)
    [account] = accounts
    assert account.already + account.sent + account.remaining == len(account.batches.regions)
    assert not account.complete
    assert account.summary()["complete"] is False
    return account, caught.value


ERRORS = {
    "revoked key": rb.AccessError("a: b. C.", status=401),
    "quota": rb.LimitError("a: b. C.", status=429, retry_after=100_000),
    "used up quota": rb.LimitError("a: b. C.", status=403),
    "full disk": rb.JournalError("a: b. C."),
    "Ctrl-C": KeyboardInterrupt(),
    "defect": RuntimeError("a defect"),
}


@pytest.mark.parametrize("error", ERRORS.values(), ids=ERRORS)
@pytest.mark.parametrize("call", ["create_images", "create_tag", "create_regions", "tagged_images"])
def test_every_end_has_an_account(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, error: BaseException
) -> None:
    """What is in the account is in the project, and the next run sends exactly the rest."""
    dataset = rb.read(write_dataset(tmp_path / "set", images=5))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        make = getattr(client, call)
        first = {"create_regions": 1, "tagged_images": 2}.get(call, 0)
        made: list[str] = []

        def fail(*arguments: Any, **options: Any) -> Any:
            made.append(call)
            if len(made) > first:
                raise error
            return make(*arguments, **options)

        with monkeypatch.context() as patched:
            patched.setattr(client, call, fail)
            account, caught = upload_to_its_end(
                dataset, client, project, journal=journal, in_flight=1
            )
        assert caught is error
        stored = len(service.regions(project))
        assert account.created == stored
        assert account.remaining == len(dataset) - stored
        assert account.lost == account.remaining
        result = upload(dataset, client, project, journal=journal)
        assert result.sent == len(dataset) - stored
        assert_exact(dataset, result, service, project)


@pytest.mark.parametrize("step", [UPLOADING, SENDING])
def test_a_progress_callback_can_cancel(tmp_path: Path, step: str) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=5))

    def cancel(what: str, _done: int, _total: int) -> None:
        if what == step:
            raise KeyboardInterrupt

    with rehearsal() as (service, project, client):
        account, _ = upload_to_its_end(dataset, client, project, progress=cancel)
        assert account.created == len(service.regions(project))


def test_an_error_before_the_plan_has_no_account(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    accounts: list[UploadResult] = []
    with rehearsal() as (service, _, client):
        other = service.create_project("classification", "Classification")
        with pytest.raises(rb.ServiceError):
            upload(dataset, client, other, unfinished=accounts.append)
    assert accounts == []


@pytest.mark.parametrize("status", ["Importing", "Failed"])
def test_a_project_that_is_not_ready(tmp_path: Path, status: Any) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal(Settings(project_status=status)) as (_, project, client):
        with pytest.raises(rb.ServiceError) as caught:
            upload(dataset, client, project)
        assert (caught.value.place, caught.value.value) == ("project rehearsal", status)


@pytest.mark.parametrize("status", ["ErrorStorage", "ErrorUnknown", "ErrorLimitExceed", "Odd"])
def test_a_run_whose_images_are_all_refused_ends_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: str
) -> None:
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=8 * 6, boxes=1))
    clock = Clock()
    calls: list[int] = []
    with rehearsal() as (_, project, client):

        def refuse(_project: str, images: Any) -> list[ImageUploadResult]:
            calls.append(len(images))
            return [ImageUploadResult(source_url=one.name, status=status) for one in images]

        monkeypatch.setattr(client, "create_images", refuse)
        account, error = upload_to_its_end(
            dataset, client, project, rate_limiter=clock.rate_limiter()
        )
    assert isinstance(error, rb.LimitError if "Limit" in status else rb.ServiceError)
    assert isinstance(error, rb.ServiceError)
    assert error.code == status
    assert account.created == 0
    assert len(calls) <= 5 * 4
    assert sum(clock.slept) < 60


def test_images_that_are_refused_for_themselves_do_not_end_a_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another run would end at the same images."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=8 * 6, boxes=1))
    with rehearsal() as (_, project, client):
        create = client.create_images

        def refuse(of: str, images: Any) -> Any:
            results = create(of, images)
            if "0-" in {one.name[:2] for one in images}:
                return results
            return [
                ImageUploadResult(source_url=one.name, status="ErrorImageFormat") for one in images
            ]

        monkeypatch.setattr(client, "create_images", refuse)
        result = upload(dataset, client, project)
        assert result.complete
        assert (result.new_images, result.created) == (8, 8)


@pytest.mark.parametrize("source_url", ["null", "renamed"])
def test_images_without_names_are_found_one_by_one(tmp_path: Path, source_url: Any) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=100, boxes=1))
    with rehearsal(Settings(source_url=source_url)) as (service, project, client):
        result = upload(dataset, client, project)
        assert_exact(dataset, result, service, project)
        assert service.calls["CreateImagesFromFiles"] <= 102, "one call for each image"


@pytest.mark.parametrize("source_url", ["encoded", "prefixed"])
def test_names_that_are_part_of_a_url_are_recognised(tmp_path: Path, source_url: Any) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=100, boxes=1))
    with rehearsal(Settings(source_url=source_url)) as (service, project, client):
        result = upload(dataset, client, project)
        assert_exact(dataset, result, service, project)
        assert service.calls["CreateImagesFromFiles"] == 2


@pytest.mark.parametrize("lag", ["read_lag", "listing_lag"])
def test_a_run_right_after_another_waits_for_what_that_one_did(tmp_path: Path, lag: str) -> None:
    folder = write_dataset(tmp_path / "set", images=5)
    journal = tmp_path / "journal.sqlite"
    clock = Clock()
    settings = Settings(**{lag: 20.0}, on_existing="twice")  # type: ignore[arg-type] # a float
    with rehearsal(settings, clock=clock.now) as (service, project, client):
        for sent in (120, 0):
            dataset = rb.read(folder)
            limiter = clock.rate_limiter()
            result = upload(dataset, client, project, journal=journal, rate_limiter=limiter)
            assert result.sent == sent
            assert_exact(dataset, result, service, project)
        limiter = clock.rate_limiter()
        found = rb.verify(dataset, client, project, journal=journal, rate_limiter=limiter)
        assert found.good


def test_a_response_without_most_regions_is_not_sent_again_at_once(tmp_path: Path) -> None:
    """The regions are stored; the project shows them after some seconds."""
    dataset = rb.read(write_dataset(tmp_path, images=5))
    clock = Clock()
    faults = Faults(
        rate=1, kinds=(Fault.UNCONFIRMED,), operations=frozenset({"CreateImageRegions"})
    )
    settings = Settings(on_existing="twice", read_lag=25.0)
    with rehearsal(settings, faults, clock=clock.now) as (service, project, client):
        result = upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert_exact(dataset, result, service, project)
        assert service.calls["CreateImageRegions"] == 2
        assert result.unclear_calls == 2


def test_an_unclear_call_that_is_applied_after_all_attempts_is_reported(tmp_path: Path) -> None:
    """A late write can double regions; the verification says so."""
    dataset = rb.read(write_dataset(tmp_path, images=3))
    clock = Clock()
    faults = Faults(
        rate=1,
        cap=1,
        kinds=(Fault.ERROR_504_LATE,),
        operations=frozenset({"CreateImageRegions"}),
        late=61.0,
    )
    with rehearsal(Settings(on_existing="twice"), faults, clock=clock.now) as (_, project, client):
        result = upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert result.unclear_calls == 1
        assert result.lost == verification_counts(result)["extra"]


@pytest.mark.parametrize("kind", [Fault.CONFLICT_APPLIED, Fault.NOT_UNIQUE_APPLIED])
def test_a_tag_that_somebody_created_meanwhile_is_used(tmp_path: Path, kind: Fault) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    clock = Clock()
    faults = Faults(rate=1, kinds=(kind,))
    with rehearsal(Settings(read_lag=12.0), faults, clock=clock.now) as (service, project, client):
        result = upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert_exact(dataset, result, service, project)
        assert len(client.tags(project)) == 3


def test_a_listing_whose_rows_move_during_the_verification(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody tags older images while the last listing is read."""
    dataset = rb.read(write_dataset(tmp_path, images=9))
    with rehearsal(Settings(page_size=3)) as (service, project, client):
        pages = client.tagged_images
        moved: list[int] = []

        def move(of: str, *, skip: int = 0, take: int = 256) -> Any:
            page = pages(of, skip=skip, take=take)
            if skip and len(moved) < 3 and service.calls["CreateImageRegions"]:
                moved.append(skip)
                return [*pages(of, skip=max(0, skip - 1), take=1), *page[:-1]]
            return page

        monkeypatch.setattr(client, "tagged_images", move)
        result = upload(dataset, client, project)
        assert moved
        assert_exact(dataset, result, service, project)


def test_regions_left_out_of_verification(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (_, project, client):
        partial = rb.read(tmp_path, only=["cat", "dog"])
        upload(partial, client, project)
        limiter = Clock().rate_limiter()
        assert rb.verify(dataset, client, project, rate_limiter=limiter).missing == 20
        found = rb.verify(dataset, client, project, skip_unresolved=True, rate_limiter=limiter)
        assert found.summary() == expected_counts(40)
        assert found.batches.ledger.dropped["unresolved"] == 20


_OPEN = """
import sys
from regionbatch.customvision.journal import Journal
from regionbatch.errors import JournalError
print("ready", flush=True)
sys.stdin.readline()
try:
    with Journal(sys.argv[1], "x") as journal:
        journal.start_call("CreateTag")
        print("won", flush=True)
        sys.stdin.read()
except JournalError:
    print("lost")
"""


def _line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


@pytest.mark.parametrize("exists", [False, True])
def test_exactly_one_of_several_processes_opens_a_journal(tmp_path: Path, exists: bool) -> None:
    path = tmp_path / "journal.sqlite"
    if exists:
        with Journal(path, "x") as journal:
            journal.start_call("CreateTag")
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", _OPEN, str(path)],
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        for _ in range(3)
    ]
    assert [_line_of(process) for process in processes] == ["ready"] * 3
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    assert sorted(map(_line_of, processes)) == ["lost", "lost", "won"]
    for process in processes:
        assert not process.communicate()[0]
