"""Writes that are seen, or made, only later; the clock moves only when a test moves it."""

from __future__ import annotations

import contextlib
import http.client
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from helpers import ManualClock
from regionbatch.local import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from local.conftest import Workspace

    Start = Callable[..., Workspace]

ALL_READS = ("tagged", "untagged", "all", "tagged/count", "untagged/count", "count", "id", "tags")


class Lagging:
    """A workspace in v3.3 with a clock."""

    def __init__(self, workspace: Start, **options: Any) -> None:
        self.clock = ManualClock()
        self.work = workspace(version="v3.3", clock=self.clock, **options)

    def seen(self) -> dict[str, int]:
        """Return how many regions, images or tags each reading call shows."""
        work = self.work

        def read(path: str, **query: Any) -> Any:
            return work.call("GET", f"{{p}}/{path}", **query).json

        by_id = read("images/id", imageIds=",".join(work.images))
        return {
            "tagged": sum(len(image["regions"]) for image in read("images/tagged")),
            "untagged": len(read("images/untagged")),
            "all": sum(len(image["regions"]) for image in read("images")),
            "tagged/count": read("images/tagged/count"),
            "untagged/count": read("images/untagged/count"),
            "count": read("images/count"),
            "id": sum(len(image["regions"]) for image in by_id),
            "tags": sum(tag["imageCount"] for tag in read("tags")),
        }


NOTHING = dict.fromkeys(ALL_READS, 0)
IMAGES = {**NOTHING, "untagged": 2, "untagged/count": 2, "count": 2}
REGIONS = {
    **dict.fromkeys(("tagged", "all", "id"), 3),
    **dict.fromkeys(("tagged/count", "untagged", "untagged/count", "tags"), 1),
    "count": 2,
}


@pytest.mark.parametrize("setting", ["listing_lag", "read_lag"])
def test_reads_show_a_write_only_after_the_lag(workspace: Start, setting: str) -> None:
    lagging = Lagging(workspace, **{setting: 6.0})
    work, clock = lagging.work, lagging.clock
    at_once = {"id", "tags"} if setting == "listing_lag" else set()

    def expected(now: dict[str, int], before: dict[str, int]) -> dict[str, int]:
        return {name: (now if name in at_once else before)[name] for name in ALL_READS}

    assert lagging.seen() == expected(IMAGES, NOTHING)
    clock.time += 6
    assert lagging.seen() == IMAGES

    created = work.create(*work.regions(3)).json["created"]
    assert len(work.stored()) == len(created) == 3
    clock.time += 5.9
    assert lagging.seen() == expected(REGIONS, IMAGES)
    clock.time += 0.1
    assert lagging.seen() == REGIONS

    ids = ",".join(row["regionId"] for row in created)
    assert work.call("DELETE", "{p}/images/regions", regionIds=ids).status == 204
    assert work.stored() == []
    clock.time += 5.9
    assert lagging.seen() == expected(IMAGES, REGIONS), "what was deleted is still shown"
    clock.time += 0.1
    assert lagging.seen() == IMAGES


def test_a_tag_is_listed_only_after_the_lag_but_known_to_writes(workspace: Start) -> None:
    lagging = Lagging(workspace, read_lag=6.0)
    work, clock = lagging.work, lagging.clock
    assert work.call("GET", "{p}/tags").json == []
    assert work.call("GET", f"{{p}}/tags/{work.tag}").code == "NotFoundTag"
    assert work.call("POST", "{p}/tags", name="RBC").code == "BadRequestTagNameNotUnique"
    assert work.create(work.region()).status == 200
    clock.time += 6
    assert [tag["name"] for tag in work.call("GET", "{p}/tags").json] == ["RBC"]
    assert work.call("DELETE", f"{{p}}/tags/{work.tag}").status == 204
    assert [tag["name"] for tag in work.call("GET", "{p}/tags").json] == ["RBC"]
    clock.time += 6
    assert work.call("GET", "{p}/tags").json == []


def test_listings_wait_for_the_longer_lag(workspace: Start) -> None:
    lagging = Lagging(workspace, read_lag=3.0, listing_lag=6.0)
    lagging.clock.time += 3
    assert lagging.seen() == {**NOTHING, "id": 0}
    assert len(lagging.work.call("GET", "{p}/tags").json) == 1
    lagging.clock.time += 3
    assert lagging.seen() == IMAGES


def test_a_refused_write_is_never_seen(workspace: Start) -> None:
    lagging = Lagging(workspace, read_lag=1.0, on_existing="refuse")
    work = lagging.work
    work.create(work.region())
    assert work.create(work.region(0.5), work.region()).status == 400
    lagging.clock.time += 1
    assert lagging.seen()["id"] == 1


def test_what_a_database_file_contains_is_seen_at_once(workspace: Start, tmp_path: Path) -> None:
    first = workspace(database=tmp_path / "db.sqlite")
    first.create(first.region())
    again = workspace(database=tmp_path / "db.sqlite", read_lag=6.0, clock=ManualClock())
    again.project = first.project
    assert again.call("GET", "{p}/images/tagged/count").json == 1


@pytest.mark.parametrize(
    ("unknown_ids", "status", "code"),
    [("batch", 400, "BadRequestInvalidIds"), ("not-found", 404, "NotFoundImage")],
)
def test_new_ids_are_not_usable_at_once(
    workspace: Start, unknown_ids: str, status: int, code: str
) -> None:
    clock = ManualClock()
    work = workspace(clock=clock, id_lag=4.0, unknown_ids=unknown_ids)
    reply = work.create(work.region())
    assert (reply.status, reply.code) == (status, code)
    clock.time += 4
    assert work.create(work.region()).status == 200
    new_tag, [new_image] = work.new_tag("WBC"), work.new_images(9)
    assert work.create(work.region(0.2, tagId=new_tag)).status == status
    assert work.create(work.region(0.2, imageId=new_image)).status == status
    assert len(work.call("GET", "{p}/tags").json) == 2, "reads do not lag"
    clock.time += 4
    assert work.create(work.region(imageId=new_image, tagId=new_tag)).status == 200
    work.call("DELETE", f"{{p}}/tags/{new_tag}")
    assert work.create(work.region(0.2, tagId=new_tag)).status == status, "it is deleted at once"
    assert len(work.stored()) == 1


def faulty(workspace: Start, fault: Fault, operation: str, **options: Any) -> Lagging:
    faults = Faults(
        rate=1, kinds=(fault,), operations=frozenset({operation}), cap=1, hold=0.05, late=7.0
    )
    return Lagging(workspace, faults=faults, **options)


def without_answer(work: Workspace, *entries: object) -> None:
    """Create regions; the call gets 504 or no response."""
    try:
        assert work.create(*entries).status == 504
    except OSError:
        assert work.service.faults.injected[Fault.TIMEOUT_LATE] == 1


LATE_FAULTS = pytest.mark.parametrize("fault", [Fault.ERROR_504_LATE, Fault.TIMEOUT_LATE])


@LATE_FAULTS
def test_a_write_can_happen_after_its_response(workspace: Start, fault: Fault) -> None:
    lagging = faulty(workspace, fault, "CreateImageRegions")
    work, clock = lagging.work, lagging.clock
    without_answer(work, *work.regions(3))
    clock.time += 6.9
    assert work.stored() == []
    assert lagging.seen() == IMAGES
    clock.time += 0.1
    assert lagging.seen() == REGIONS
    assert len(work.stored()) == 3


@LATE_FAULTS
@pytest.mark.parametrize(
    ("on_existing", "copies"), [("duplicated", 1), ("refuse", 1), ("twice", 2)]
)
def test_a_late_write_meets_what_was_sent_again(
    workspace: Start, fault: Fault, on_existing: str, copies: int
) -> None:
    lagging = faulty(workspace, fault, "CreateImageRegions", on_existing=on_existing)
    work = lagging.work
    without_answer(work, work.region())
    assert len(work.create(work.region()).json["created"]) == 1
    lagging.clock.time += 7
    assert len(work.stored()) == copies


def test_the_time_of_a_late_write_is_when_it_is_made(workspace: Start) -> None:
    lagging = faulty(workspace, Fault.ERROR_504_LATE, "CreateImageRegions", read_lag=5.0)
    work, clock = lagging.work, lagging.clock
    clock.time += 5
    work.create(*work.regions(3))
    clock.time += 11.9
    assert lagging.seen() == IMAGES
    clock.time += 0.1
    assert lagging.seen() == REGIONS


def test_tags_and_images_can_be_late_too(workspace: Start) -> None:
    lagging = faulty(workspace, Fault.ERROR_504_LATE, "CreateTag")
    assert lagging.work.call("POST", "{p}/tags", name="late").status == 504
    assert len(lagging.work.call("GET", "{p}/tags").json) == 1
    lagging.clock.time += 7
    assert len(lagging.work.call("GET", "{p}/tags").json) == 2

    lagging = faulty(workspace, Fault.ERROR_504_LATE, "CreateImagesFromFiles")
    work = lagging.work
    assert work.upload(("a", work.image_file(9))).status == 504
    assert work.call("GET", "{p}/images/count").json == 2
    lagging.clock.time += 7
    [row] = work.upload(("a", work.image_file(9))).json["images"]
    assert row["status"] == "OKDuplicate"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.CONFLICT_APPLIED, 409, "Conflict"),
        (Fault.NOT_UNIQUE_APPLIED, 400, "BadRequestTagNameNotUnique"),
    ],
)
def test_a_tag_that_is_created_despite_the_error(
    workspace: Start, fault: Fault, status: int, code: str
) -> None:
    work = faulty(workspace, fault, "CreateTag").work
    reply = work.call("POST", "{p}/tags", name="x")
    assert (reply.status, reply.code) == (status, code)
    assert {tag["name"] for tag in work.call("GET", "{p}/tags").json} == {"RBC", "x"}


def test_a_conflict_of_a_read(workspace: Start) -> None:
    work = workspace(faults=Faults(rate=1, kinds=(Fault.CONFLICT,), cap=1))
    assert work.create(work.region()).status == 200, "writes are not affected"
    reply = work.call("GET", "{p}/tags")
    assert (reply.status, reply.code) == (409, "Conflict")
    assert work.call("GET", "{p}/tags").status == 200


def listing(work: Workspace, kind: str, order: str, take: int = 2) -> list[str]:
    """Read a listing page by page, until an empty page, and return the IDs of its rows."""
    rows: list[str] = []
    while page := work.call(
        "GET", f"{{p}}/images/{kind}", take=take, skip=len(rows), orderBy=order
    ).json:
        rows += [image["id"] for image in page]
        assert len(rows) < 100
    return rows


@pytest.mark.parametrize("order", ["Oldest", "Newest"])
@pytest.mark.parametrize("free", [True, False], ids=["an image is free", "all have regions"])
def test_a_listing_that_shifts_while_it_is_read(workspace: Start, order: str, free: bool) -> None:
    faults = Faults(rate=1, kinds=(Fault.SHIFTED,), cap=1)
    work = workspace(faults=faults)
    images = [*work.images, *work.new_images(10, 11, 12, 13)]
    tagged = images[1:5] if free else images
    work.create(*[work.region(imageId=image) for image in tagged])
    rows = listing(work, "tagged", order)
    expected = tagged if order == "Oldest" else tagged[::-1]
    assert list(dict.fromkeys(rows)) == expected
    assert [row for row in expected if rows.count(row) == 2] == [expected[1]], "a row came again"
    assert len(listing(work, "tagged", order)) == len(tagged) + 1
    assert len(work.stored()) == len(tagged), "no region is touched"


def test_a_shift_can_skip_an_image(workspace: Start) -> None:
    faults = Faults(rate=1, kinds=(Fault.SHIFTED,), cap=2)
    work = workspace(faults=faults)
    images = [*work.images, *work.new_images(10, 11, 12, 13)]
    work.create(*[work.region(imageId=image) for image in images[1:]])
    assert work.call("GET", "{p}/images/tagged", orderBy="Oldest", take=1).status == 200
    assert listing(work, "tagged", "Oldest") == [images[0], images[1], *images[3:]]
    assert listing(work, "tagged", "Oldest") == images[1:], "and in the end all is as before"


def make_some_call(work: Workspace, number: int) -> None:
    """Create a tag, list images, upload an image, or create regions."""
    match number % 5:
        case 0:
            work.call("POST", "{p}/tags", name=f"tag {number}")
        case 1:
            work.call("GET", "{p}/images/tagged", orderBy="Oldest")
        case 2:
            work.upload((f"{number}.png", work.image_file(number + 20)))
        case _:
            work.create(*work.regions(9, imageId=work.images[number % 2])[number % 7 :])


@pytest.mark.parametrize("seed", range(4))
def test_lags_and_all_faults_together(workspace: Start, seed: int) -> None:
    """After the longest lag, reads show exactly what is stored, whatever happened before."""
    clock = ManualClock()
    work = workspace(
        clock=clock,
        version="v3.3",
        faults=Faults(rate=0.4, seed=seed, hold=0.02, slow=0.01, retry_seconds=0, late=3.0),
        listing_lag=4.0,
        read_lag=2.0,
        id_lag=1.0,
        stored_digits=4,
        page_size=2,
        on_existing="twice",
        seed=seed,
    )
    clock.time += 1

    def call(number: int) -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            make_some_call(work, number)
        clock.time += 0.1

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(call, range(100)))
    faults = work.service.faults
    assert len(faults.injected) > 10
    faults.rate, faults.cap = 0, 0
    clock.time += 3  # for late writes
    stored = work.stored()
    clock.time += 4  # for lags
    shown = [
        tuple(region[name] for name in ("left", "top", "width", "height"))
        for image in work.call("GET", "{p}/images/id", imageIds=",".join(work.images)).json
        for region in image["regions"]
    ]
    assert sorted(shown) == stored == work.stored() != []
    rows = {*listing(work, "tagged", "Oldest"), *listing(work, "untagged", "Newest")}
    assert len(rows) == work.call("GET", "{p}/images/count").json
