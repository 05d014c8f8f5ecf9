"""Faults: what each looks like to a caller, what it stores, and the effect of seed and cap."""

from __future__ import annotations

import http.client
import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from regionbatch.local import Fault, Faults
from regionbatch.local.faults import AFFECTED, LATE

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Workspace

    Start = Callable[..., Workspace]

ONLY_REGIONS = frozenset({"CreateImageRegions"})


def faulty(workspace: Start, fault: Fault, **options: Any) -> Workspace:
    """Return a workspace whose next region batch meets the fault."""
    faults = Faults(
        rate=1, kinds=(fault,), operations=ONLY_REGIONS, **{"cap": 1, "hold": 5.0, **options}
    )
    return workspace(faults=faults)


@pytest.mark.parametrize(
    ("fault", "status", "gateway", "applied"),
    [
        (Fault.ERROR_500, 500, False, 0),
        (Fault.ERROR_500_APPLIED, 500, False, 4),
        (Fault.ERROR_503, 503, True, 0),
        (Fault.ERROR_503_APPLIED, 503, True, 4),
    ],
)
def test_server_errors(
    workspace: Start, fault: Fault, status: int, gateway: bool, applied: int
) -> None:
    work = faulty(workspace, fault)
    reply = work.create(*work.regions(4))
    assert reply.status == status
    assert set(reply.json) == ({"error"} if gateway else {"code", "message"})
    assert len(work.stored()) == applied
    assert work.service.faults.injected == {fault: 1}


@pytest.mark.parametrize(("fault", "applied"), [(Fault.TIMEOUT, 0), (Fault.TIMEOUT_APPLIED, 4)])
def test_no_response(workspace: Start, fault: Fault, applied: int) -> None:
    work = faulty(workspace, fault)
    work.timeout = 0.3
    with pytest.raises(TimeoutError):
        work.create(*work.regions(4))
    work.timeout = 10
    end = time.monotonic() + 10
    while len(work.stored()) < applied and time.monotonic() < end:
        time.sleep(0.01)  # the service may still be working on the call
    assert len(work.stored()) == applied
    assert len(work.create(*work.regions(5)).json["created"]) == 5 - applied


def test_a_call_without_a_response_is_not_held_forever(workspace: Start) -> None:
    work = faulty(workspace, Fault.TIMEOUT, hold=0.1)
    with pytest.raises(http.client.RemoteDisconnected):
        work.create(work.region())


def test_a_response_lost_after_the_write(workspace: Start) -> None:
    work = faulty(workspace, Fault.LOST)
    with pytest.raises(http.client.RemoteDisconnected):
        work.create(*work.regions(4))
    assert len(work.stored()) == 4


def test_a_reset_in_the_middle_of_the_body(workspace: Start) -> None:
    work = faulty(workspace, Fault.RESET)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        work.create(*work.regions(64))
    assert len(work.stored()) == 64


def test_a_slow_response(workspace: Start) -> None:
    work = faulty(workspace, Fault.SLOW, slow=0.3)
    start = time.monotonic()
    assert work.create(work.region()).status == 200
    assert time.monotonic() - start >= 0.3


@pytest.mark.parametrize(
    ("fault", "status"), [(Fault.TRUNCATED, 200), (Fault.NOT_JSON, 200), (Fault.GATEWAY_PAGE, 502)]
)
def test_responses_that_are_not_json(workspace: Start, fault: Fault, status: int) -> None:
    work = faulty(workspace, fault)
    reply = work.create(*work.regions(4))
    assert reply.status == status
    with pytest.raises(json.JSONDecodeError):
        _ = reply.json
    assert len(work.stored()) == 4


@pytest.mark.parametrize(("fault", "applied"), [(Fault.UNCONFIRMED, 5), (Fault.SKIPPED, 2)])
def test_fewer_regions_confirmed_than_sent_without_an_error(
    workspace: Start, fault: Fault, applied: int
) -> None:
    work = faulty(workspace, fault)
    reply = work.create(*work.regions(5))
    assert reply.status == 200
    assert len(reply.json["created"]) == 2
    assert reply.json["duplicated"] == reply.json["exceeded"] == []
    assert len(work.stored()) == applied


@pytest.mark.parametrize(("fault", "stored"), [(Fault.UNCONFIRMED, 6), (Fault.SKIPPED, 4)])
def test_fewer_images_confirmed_than_sent(workspace: Start, fault: Fault, stored: int) -> None:
    work = workspace(faults=Faults(rate=1, kinds=(fault,)))
    reply = work.upload(*[(str(number), work.image_file(number)) for number in range(10, 14)])
    assert {row["status"] for row in reply.json["images"]} == {"OK"}
    assert len(reply.json["images"]) == 2
    assert work.call("GET", "{p}/images/untagged/count").json == stored


@pytest.mark.parametrize("fault", [Fault.UNCONFIRMED, Fault.SKIPPED])
def test_a_single_entry_can_be_lost_too(workspace: Start, fault: Fault) -> None:
    work = faulty(workspace, fault)
    assert work.create(work.region()).json["created"] == []


@pytest.mark.parametrize("header", [True, False])
def test_a_burst_of_429(workspace: Start, header: bool) -> None:
    faults = Faults(rate=1, kinds=(Fault.THROTTLED,), cap=4, burst=2, retry_seconds=7)
    work = workspace(faults=faults, retry_after=header)
    replies = [work.call("GET", "{p}/tags") for _ in range(5)]
    assert [reply.status for reply in replies] == [429, 429, 429, 429, 200]
    assert replies[0].json["error"]["message"].endswith("Please retry after 7 second(s)")
    assert replies[0].headers.get("retry-after") == ("7" if header else None)


def test_faults_damage_error_responses_too(workspace: Start) -> None:
    work = faulty(workspace, Fault.TRUNCATED)
    reply = work.create()
    assert reply.status == 400
    with pytest.raises(json.JSONDecodeError):
        _ = reply.json


def test_only_the_chosen_operations_fail_and_only_up_to_the_cap(workspace: Start) -> None:
    work = faulty(workspace, Fault.ERROR_500, cap=3)
    assert work.call("GET", "{p}").status == 200
    assert [work.create(box).status for box in work.regions(5)] == [500, 500, 500, 200, 200]
    assert work.service.faults.injected.total() == 3
    assert work.service.calls["CreateImageRegions"] == 5


def drawn(seed: int, operation: str = "CreateImageRegions", **options: Any) -> list[Fault | None]:
    faults = Faults(rate=0.2, seed=seed, **options)
    return [faults.draw(operation) for _ in range(2_000)]


def test_faults_depend_only_on_the_seed_and_match_the_rate() -> None:
    assert drawn(1) == drawn(1) != drawn(2)
    rate = 1 - drawn(1, burst=1).count(None) / 2_000
    assert 0.17 < rate < 0.23


ANYWHERE = set(Fault) - LATE - {Fault.CONFLICT, *AFFECTED}
"""The faults that affect every operation."""
UPLOADING = {Fault.UNCONFIRMED, Fault.SKIPPED, Fault.NAMELESS, Fault.RENAMED, *LATE}
"""More faults, of calls that create images."""


@pytest.mark.parametrize(
    ("operation", "more"),
    [
        ("CreateImageRegions", {Fault.UNCONFIRMED, Fault.SKIPPED, *LATE}),
        ("CreateImagesFromFiles", UPLOADING),
        ("CreateImagesFromUrls", UPLOADING),
        ("CreateTag", {Fault.CONFLICT_APPLIED, Fault.NOT_UNIQUE_APPLIED, *LATE}),
        ("DeleteImageRegions", LATE),
        ("GetTags", {Fault.CONFLICT}),
        ("GetTaggedImages", {Fault.CONFLICT, Fault.SHIFTED}),
    ],
)
def test_each_operation_meets_only_the_faults_that_affect_it(
    operation: str, more: set[Fault]
) -> None:
    assert set(drawn(1, operation)) == {None, *ANYWHERE, *more}
    assert set(drawn(1, "GetTags", kinds=(Fault.SKIPPED,))) == {None}


def test_bursts_have_the_chosen_length() -> None:
    faults = drawn(3, kinds=(Fault.THROTTLED,), burst=4)
    bursts = "".join("x" if fault else " " for fault in faults).split()
    whole = Counter(len(burst) % 4 for burst in bursts)[0]
    assert whole >= len(bursts) - 1  # the last one may be truncated


def test_all_kinds_together_never_break_the_service(workspace: Start) -> None:
    faults = Faults(
        rate=0.5, seed=5, operations=ONLY_REGIONS, hold=0.05, slow=0.01, retry_seconds=0
    )
    work = workspace(faults=faults)
    for box in work.regions(100):
        try:
            work.create(box)
        except (OSError, http.client.HTTPException):
            continue
    faults.rate = 0
    assert faults.injected.total() > 40
    work.create()  # the rest of a burst
    work.create()
    [image] = work.call("GET", "{p}/images/tagged").json
    boxes = [(row["left"], row["top"]) for row in image["regions"]]
    assert len(boxes) == len(set(boxes)) == len(work.stored()) > 50
