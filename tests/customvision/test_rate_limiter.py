"""The call rate, waits and retries, with a clock that only moves during `sleep`."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from customvision.rehearsal import Clock

import regionbatch as rb
from helpers import mentions
from regionbatch.customvision.rate_limiter import (
    MAX_FIRST_TRIES,
    MAX_TRIES,
    MAX_WAIT,
    StoppedError,
    run_bounded,
)


class Script:
    """A call that raises given errors, and records when it was made."""

    def __init__(self, clock: Clock, *errors: Exception | None) -> None:
        self.clock, self.errors = clock, list(errors)
        self.times: list[float] = []

    def __call__(self) -> str:
        self.times.append(self.clock.time)
        error = self.errors.pop(0) if self.errors else None
        if error:
            raise error
        return "answer"


def throttled(seconds: float = 0.0) -> rb.LimitError:
    return rb.LimitError("a: b. C.", status=429, retry_after=seconds)


def test_calls_keep_the_rate() -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(4), Script(clock)
    for _ in range(9):
        assert limiter.call("GetTags", script, repeat=True) == "answer"
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert gaps == pytest.approx([0.25] * 8)
    assert limiter.calls == {"GetTags": 9}


def test_a_pause_does_not_allow_a_burst() -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(10), Script(clock)
    limiter.call("a", script, repeat=False)
    clock.time += 100
    start = clock.time
    for _ in range(11):
        limiter.call("a", script, repeat=False)
    assert clock.time - start == pytest.approx(1)


def test_threads_share_the_rate() -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(10), Script(clock)
    start = clock.time
    run_bounded(
        lambda _: limiter.call("a", script, repeat=False),
        range(50),
        max_workers=8,
        rate_limiter=limiter,
    )
    assert limiter.calls["a"] == 50
    assert clock.time - start >= 4.9 - 1e-9


@pytest.mark.parametrize("repeat", [True, False])
def test_a_429_is_always_repeated(repeat: bool) -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(), Script(clock, throttled(17), throttled())
    assert limiter.call("CreateImageRegions", script, repeat=repeat) == "answer"
    first, second, third = script.times
    assert second - first >= 17
    assert third - second >= 0.25, "a short wait, even without Retry-After"


def test_a_429_delays_all_threads() -> None:
    clock = Clock()
    limiter = clock.rate_limiter()
    start = clock.time
    limiter.call("a", Script(clock, throttled(30)), repeat=False)
    script = Script(clock)
    limiter.call("b", script, repeat=False)
    assert script.times[0] - start >= 30


def test_slots_assigned_before_a_429_are_void() -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(1), Script(clock)
    limiter.call("a", script, repeat=False)

    def sleep(seconds: float) -> None:
        clock.time += seconds
        if clock.time < 1001.5:
            limiter._pause(60)  # as another thread does while this one waits

    limiter._sleep = sleep
    limiter.call("a", script, repeat=False)
    assert script.times[1] - script.times[0] >= 60


def test_an_exhausted_quota_is_an_error() -> None:
    clock = Clock()
    script = Script(clock, throttled(MAX_WAIT + 1))
    with pytest.raises(rb.LimitError):
        clock.rate_limiter().call("a", script, repeat=True)
    assert len(script.times) == 1


def test_an_endless_series_of_429_is_an_error() -> None:
    clock = Clock()
    script = Script(clock, *[throttled(1)] * 1000)
    with pytest.raises(rb.LimitError):
        clock.rate_limiter().call("a", script, repeat=False)
    assert 900 < clock.now() - 1000 < 1000
    assert len(script.times) < 100


def test_a_safe_call_is_repeated_with_growing_delays() -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(1000), Script(clock, *[rb.TransportError("a: b. C.")] * 5)
    limiter.call("GetTags", Script(clock), repeat=True)
    limiter.call("GetTags", script, repeat=True)
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    for number, gap in enumerate(gaps):
        assert 0.25 * 2**number <= gap <= 0.75 * 2**number + 0.01
    assert len({gap / 2**number for number, gap in enumerate(gaps)}) == 5, "jitter"


def test_a_503_with_retry_after_is_obeyed() -> None:
    clock = Clock()
    script = Script(clock, rb.TransportError("a: b. C.", status=503, retry_after=20))
    clock.rate_limiter().call("GetTags", script, repeat=True)
    assert script.times[1] - script.times[0] >= 20


def test_an_unsafe_call_is_not_repeated() -> None:
    clock = Clock()
    script = Script(clock, rb.TransportError("a: b. C."))
    with pytest.raises(rb.TransportError):
        clock.rate_limiter().call("CreateImageRegions", script, repeat=False)
    assert len(script.times) == 1


def test_a_service_that_stops_responding_is_an_error() -> None:
    clock = Clock()
    script = Script(clock, *[rb.TransportError("a: b. C.", status=503, code="Busy")] * 100)
    with pytest.raises(rb.TransportError):
        clock.rate_limiter().call("GetTags", script, repeat=True)
    assert len(script.times) == MAX_TRIES


@pytest.mark.parametrize(
    "error",
    [
        rb.UnreachableError("a: b. C."),
        rb.TransportError("a: b. C.", status=502, service_message="Bad Gateway"),
    ],
)
def test_a_wrong_address_is_an_early_error(error: rb.TransportError) -> None:
    """Nothing responds, or another server with an error page."""
    clock = Clock()
    limiter, start = clock.rate_limiter(), clock.time
    failures = [error] * 100
    script = Script(clock, *failures)
    with pytest.raises(rb.TransportError):
        limiter.call("GetProject", script, repeat=True)
    assert len(script.times) == MAX_FIRST_TRIES
    assert clock.time - start < 10
    limiter.call("GetProject", Script(clock), repeat=True)
    script = Script(clock, *failures)
    with pytest.raises(rb.TransportError):
        limiter.call("GetProject", script, repeat=True)
    assert len(script.times) == MAX_TRIES, "the service responded before"


def test_only_long_waits_are_reported_and_only_once() -> None:
    clock = Clock()
    limiter, notices = clock.rate_limiter(), list[str]()
    limiter.notice = notices.append
    limiter.call("a", Script(clock, throttled(4), rb.TransportError("a: b. C.")), repeat=True)
    assert notices == []
    limiter.call("a", Script(clock, throttled(40)), repeat=True)
    limiter.call(
        "a", Script(clock, rb.TransportError("a: no response. C.", retry_after=20)), repeat=True
    )
    for line, seconds in zip(notices, (40, 20), strict=True):
        assert mentions(line, "a", seconds)
    for _ in range(3):
        limiter._report_wait("a: 60 s", 60)  # as threads that wait at the same time do
    [line] = notices[2:]
    assert mentions(line, "a", 60)


def test_a_call_that_is_made_again_after_a_long_silence_is_reported() -> None:
    clock = Clock()
    limiter, notices = clock.rate_limiter(), list[str]()
    limiter.notice = notices.append
    answers = [rb.TransportError("a: no response from b. C."), None]

    def call() -> None:
        if error := answers.pop(0):
            clock.time += 30.0
            raise error

    limiter.call("a", call, repeat=True)
    [line] = notices
    assert mentions(line, "a: no response from b")


def test_ctrl_c_reports_running_calls() -> None:
    clock = Clock()
    limiter, notices = clock.rate_limiter(), list[str]()
    start, end = threading.Event(), threading.Event()

    def notice(line: str) -> None:
        notices.append(line)
        end.set()

    def work(item: int) -> None:
        if item:
            limiter.call("a", call, repeat=False)
        else:
            end.wait(20)  # as a thread that waits before it tries again

    def call() -> None:
        start.set()
        end.wait(20)

    def items() -> Any:
        yield from (0, 1)
        start.wait(20)
        raise KeyboardInterrupt

    limiter.notice = notice
    with pytest.raises(KeyboardInterrupt):
        run_bounded(work, items(), max_workers=4, rate_limiter=limiter)
    [line] = notices
    assert mentions(line, 1)


@pytest.mark.parametrize("error", [rb.ServiceError, rb.AccessError, rb.LimitError])
def test_refusals_are_not_repeated(error: type[rb.ServiceError]) -> None:
    clock = Clock()
    script = Script(clock, error("a: b. C.", status=400))
    with pytest.raises(error):
        clock.rate_limiter().call("GetTags", script, repeat=True)
    assert len(script.times) == 1


def test_a_stopped_rate_limiter_makes_no_call() -> None:
    clock = Clock()
    limiter, script = clock.rate_limiter(), Script(clock)
    limiter.stop()
    with pytest.raises(StoppedError):
        limiter.call("a", script, repeat=True)
    with pytest.raises(StoppedError):
        limiter.sleep(1)
    assert script.times == []


def test_the_first_error_ends_the_run_and_items_are_taken_one_by_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock()
    limiter = clock.rate_limiter()
    taken: list[int] = []
    done: list[Any] = []
    is_stopped, stop = threading.Event(), limiter.stop

    def stop_and_tell() -> None:
        stop()
        is_stopped.set()

    def items() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    def work(number: int) -> None:
        if number == 3:
            raise rb.AccessError("a: b. C.")
        is_stopped.wait(30)

    monkeypatch.setattr(limiter, "stop", stop_and_tell)
    with pytest.raises(rb.AccessError):
        run_bounded(work, items(), max_workers=4, rate_limiter=limiter, done=done.append)
    assert taken == [0, 1, 2, 3, 4]
    assert done == []
    with pytest.raises(StoppedError):
        limiter.sleep(0)
