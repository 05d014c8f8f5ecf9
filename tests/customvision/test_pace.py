"""The rate, the waiting and the repeating, on a clock that only moves when somebody sleeps."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from customvision.rehearsal import Clock

import regionbatch as rb
from helpers import mentions
from regionbatch.customvision.rate import FIRST_TRIES, PATIENCE, TRIES, StoppedError, in_flight


class Script:
    """A call that raises what it is told to, and says when it was made."""

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
    return rb.LimitError("a: b; c", status=429, retry_after=seconds)


def test_calls_keep_the_rate() -> None:
    clock = Clock()
    pace, script = clock.pace(4), Script(clock)
    for _ in range(9):
        assert pace.call("GetTags", script, repeat=True) == "answer"
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    assert gaps == pytest.approx([0.25] * 8)
    assert pace.calls == {"GetTags": 9}


def test_a_pause_earns_no_burst() -> None:
    clock = Clock()
    pace, script = clock.pace(10), Script(clock)
    pace.call("a", script, repeat=False)
    clock.time += 100
    begun = clock.time
    for _ in range(11):
        pace.call("a", script, repeat=False)
    assert clock.time - begun == pytest.approx(1)


def test_threads_share_the_rate() -> None:
    clock = Clock()
    pace, script = clock.pace(10), Script(clock)
    begun = clock.time
    in_flight(lambda _: pace.call("a", script, repeat=False), range(50), most=8, pace=pace)
    assert pace.calls["a"] == 50
    assert clock.time - begun >= 4.9 - 1e-9


@pytest.mark.parametrize("repeat", [True, False])
def test_a_429_is_obeyed_also_where_nothing_else_is_repeated(repeat: bool) -> None:
    clock = Clock()
    pace, script = clock.pace(), Script(clock, throttled(17), throttled())
    assert pace.call("CreateImageRegions", script, repeat=repeat) == "answer"
    first, second, third = script.times
    assert second - first >= 17
    assert third - second >= 0.25, "it does not say how long: some time all the same"


def test_a_429_holds_every_thread_back() -> None:
    clock = Clock()
    pace = clock.pace()
    begun = clock.time
    pace.call("a", Script(clock, throttled(30)), repeat=False)
    script = Script(clock)
    pace.call("b", script, repeat=False)
    assert script.times[0] - begun >= 30


def test_slots_taken_before_a_429_are_void() -> None:
    clock = Clock()
    pace, script = clock.pace(1), Script(clock)
    pace.call("a", script, repeat=False)

    def sleep(seconds: float) -> None:
        clock.time += seconds
        if clock.time < 1001.5:
            pace._hold(60)  # as another thread does, while this one waits for its slot

    pace._sleep = sleep
    pace.call("a", script, repeat=False)
    assert script.times[1] - script.times[0] >= 60


def test_a_quota_that_is_used_up_is_an_error() -> None:
    clock = Clock()
    script = Script(clock, throttled(PATIENCE + 1))
    with pytest.raises(rb.LimitError):
        clock.pace().call("a", script, repeat=True)
    assert len(script.times) == 1


def test_a_429_without_end_is_an_error() -> None:
    clock = Clock()
    script = Script(clock, *[throttled(1)] * 1000)
    with pytest.raises(rb.LimitError):
        clock.pace().call("a", script, repeat=False)
    assert len(script.times) == 101


def test_no_answer_is_repeated_with_growing_delays_where_that_is_safe() -> None:
    clock = Clock()
    pace, script = clock.pace(1000), Script(clock, *[rb.TransportError("a: b; c")] * 5)
    pace.call("GetTags", Script(clock), repeat=True)
    pace.call("GetTags", script, repeat=True)
    gaps = [later - earlier for earlier, later in zip(script.times, script.times[1:], strict=False)]
    for number, gap in enumerate(gaps):
        assert 0.25 * 2**number <= gap <= 0.75 * 2**number + 0.01
    assert len({gap / 2**number for number, gap in enumerate(gaps)}) == 5, "jitter"


def test_a_service_that_says_when_it_is_back_is_given_that_time() -> None:
    clock = Clock()
    script = Script(clock, rb.TransportError("a: b; c", status=503, retry_after=20))
    clock.pace().call("GetTags", script, repeat=True)
    assert script.times[1] - script.times[0] >= 20


def test_no_answer_is_not_repeated_where_it_is_not_safe() -> None:
    clock = Clock()
    script = Script(clock, rb.TransportError("a: b; c"))
    with pytest.raises(rb.TransportError):
        clock.pace().call("CreateImageRegions", script, repeat=False)
    assert len(script.times) == 1


def test_a_service_that_is_gone_is_an_error() -> None:
    clock = Clock()
    script = Script(clock, *[rb.TransportError("a: b; c", status=503, code="Busy")] * 100)
    with pytest.raises(rb.TransportError):
        clock.pace().call("GetTags", script, repeat=True)
    assert len(script.times) == TRIES


@pytest.mark.parametrize(
    "error", [rb.UnreachableError("a: b; c"), rb.TransportError("a: b; c", status=502, said="Bad Gateway")]
)
def test_an_address_where_the_service_is_not_is_an_error_soon(error: rb.TransportError) -> None:
    """Nobody is there, or somebody else with a page of his own."""
    clock = Clock()
    pace, begun = clock.pace(), clock.time
    nobody = [error] * 100
    script = Script(clock, *nobody)
    with pytest.raises(rb.TransportError):
        pace.call("GetProject", script, repeat=True)
    assert len(script.times) == FIRST_TRIES
    assert clock.time - begun < 10
    pace.call("GetProject", Script(clock), repeat=True)
    script = Script(clock, *nobody)
    with pytest.raises(rb.TransportError):
        pace.call("GetProject", script, repeat=True)
    assert len(script.times) == TRIES, "somebody was there before"


def test_a_long_wait_is_told_once_and_a_short_one_not() -> None:
    clock = Clock()
    pace, told = clock.pace(), list[str]()
    pace.notice = told.append
    pace.call("a", Script(clock, throttled(4), rb.TransportError("a: b; c")), repeat=True)
    assert told == []
    pace.call("a", Script(clock, throttled(40)), repeat=True)
    pace.call("a", Script(clock, rb.TransportError("a: no answer, got x; c", retry_after=20)), repeat=True)
    for line, seconds in zip(told, (40, 20), strict=True):
        assert mentions(line, "a", seconds)
    for _ in range(3):
        pace._tell(throttled(), 60)  # as threads do that wait at the same time
    [line] = told[2:]
    assert mentions(line, "a", 60)


def test_ctrl_c_tells_of_calls_under_way() -> None:
    clock = Clock()
    pace, told = clock.pace(), list[str]()
    begun, end = threading.Event(), threading.Event()

    def notice(line: str) -> None:
        told.append(line)
        end.set()

    def work(_item: int) -> None:
        begun.set()
        end.wait(20)

    def items() -> Any:
        yield 1
        begun.wait(20)
        raise KeyboardInterrupt

    pace.notice = notice
    with pytest.raises(KeyboardInterrupt):
        in_flight(work, items(), most=4, pace=pace)
    [line] = told
    assert mentions(line, 1)


@pytest.mark.parametrize("error", [rb.ServiceError, rb.AccessError, rb.LimitError])
def test_refusals_are_not_repeated(error: type[rb.ServiceError]) -> None:
    clock = Clock()
    script = Script(clock, error("a: b; c", status=400))
    with pytest.raises(error):
        clock.pace().call("GetTags", script, repeat=True)
    assert len(script.times) == 1


def test_a_stopped_pace_begins_no_call() -> None:
    clock = Clock()
    pace, script = clock.pace(), Script(clock)
    pace.stop()
    with pytest.raises(StoppedError):
        pace.call("a", script, repeat=True)
    with pytest.raises(StoppedError):
        pace.sleep(1)
    assert script.times == []


def test_the_first_error_ends_all_and_items_are_taken_as_there_is_room() -> None:
    clock = Clock()
    pace = clock.pace()
    taken: list[int] = []
    done: list[Any] = []
    ready = threading.Event()

    def items() -> Any:
        for number in range(1000):
            taken.append(number)
            yield number

    def work(number: int) -> None:
        if number == 3:
            ready.set()
            raise rb.AccessError("a: b; c")
        ready.wait(5)

    with pytest.raises(rb.AccessError):
        in_flight(work, items(), most=4, pace=pace, done=done.append)
    assert len(taken) <= 10
    with pytest.raises(StoppedError):
        pace.sleep(0)
