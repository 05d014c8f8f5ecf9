"""What recorded responses of the real service look like, and the settings that change it."""

from __future__ import annotations

import http.client
import re
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from local.conftest import as_base64

from regionbatch.local import Fault, Faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Workspace

    Start = Callable[..., Workspace]

WITHOUT_ZONE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?")


def image_of(work: Workspace, number: int = 0) -> Any:
    [image] = work.call("GET", "{p}/images/id", imageIds=work.images[number]).json
    return image


def test_dates_have_no_time_zone_except_those_of_projects(workspace: Start) -> None:
    work = workspace()
    [created] = work.create(work.region()).json["created"]
    image = image_of(work)
    for row in (created, image, image["tags"][0], image["regions"][0]):
        assert WITHOUT_ZONE.fullmatch(row["created"])
    project = work.call("GET", "{p}").json
    assert WITHOUT_ZONE.fullmatch(project["created"].removesuffix("Z"))
    assert project["created"].endswith("Z")


@pytest.mark.parametrize("tag_names", [True, False])
def test_the_tag_of_a_created_region_is_named_only_on_request(
    workspace: Start, tag_names: bool
) -> None:
    work = workspace(tag_names=tag_names)
    [created] = work.create(work.region()).json["created"]
    assert created["tagName"] == ("RBC" if tag_names else None)
    assert image_of(work)["regions"][0]["tagName"] == "RBC"


def test_members_that_are_null_can_be_left_out(workspace: Start) -> None:
    work = workspace(omit_nulls=True, nulls=True, source_url="null")
    summary = work.create(work.region()).json
    assert summary.keys() == {"created"}
    assert "tagName" not in summary["created"][0]
    [row] = work.upload(("a", b"not an image")).json["images"]
    assert row == {"status": "ErrorImageFormat"}
    assert image_of(work, 1).keys() == {"id", "created", "width", "height"}


def test_a_region_is_readable_at_once_and_the_newest_comes_first(workspace: Start) -> None:
    work = workspace()
    boxes = work.regions(12)
    for box in boxes:
        work.create(box)
        assert image_of(work)["regions"][0]["left"] == box["left"]
    lefts = [row["left"] for row in image_of(work)["regions"]]
    assert lefts == [box["left"] for box in boxes[::-1]]


def test_the_regions_of_an_image_can_be_in_random_order(workspace: Start) -> None:
    orders = []
    for seed in (0, 0, 1):
        work = workspace(shuffled_regions=True, seed=seed)
        for box in work.regions(12):
            work.create(box)
        orders.append([row["left"] for row in image_of(work)["regions"]])
    assert orders[0] == orders[1] != orders[2]
    assert sorted(orders[0]) == [box["left"] for box in work.regions(12)] != orders[0][::-1]


def test_images_of_classification_projects_have_no_regions(workspace: Start) -> None:
    work = workspace(domain="Classification")
    assert "regions" not in image_of(work)
    [row] = work.upload(("a", work.image_file(9))).json["images"]
    assert "regions" not in row["image"]
    assert image_of(workspace())["regions"] == []


@pytest.mark.parametrize("path", ["tags?name=x", "images/files", "images/regions"])
def test_a_post_needs_a_length(workspace: Start, path: str) -> None:
    work = workspace()
    url = f"/customvision/{work.version}/training/projects/{work.project}/{path}"
    host = work.service.endpoint.removeprefix("http://")
    with closing(http.client.HTTPConnection(host, timeout=5)) as connection:
        connection.putrequest("POST", url)
        connection.putheader("Training-Key", work.service.key)
        connection.endheaders()
        response = connection.getresponse()
        assert response.status == 411
        assert response.headers["Content-Type"].startswith("text/html")
        assert b"Length Required" in response.read()
    with closing(http.client.HTTPConnection(host, timeout=5)) as connection:
        headers = {"Training-Key": work.service.key, "Content-Type": "application/json"}
        connection.request("POST", url, iter([b"{}"]), headers, encode_chunked=True)
        assert connection.getresponse().status != 411
    assert {row["name"] for row in work.call("GET", "{p}/tags").json} <= {"RBC", "x"}


@pytest.mark.parametrize("status", ["Succeeded", "Importing", "Failed"])
def test_the_status_of_projects(workspace: Start, status: str) -> None:
    work = workspace(project_status=status)
    assert work.call("GET", "{p}").json["status"] == status
    assert {row["status"] for row in work.call("GET", "/projects").json} == {status}


NAMES = ("a b/ä.png", "c.jpg", "d")


def source_urls(work: Workspace) -> list[str | None]:
    """Upload images with some names, and return the `sourceUrl` of each in their order."""
    found = {}
    for number, name in enumerate(NAMES, 20):
        [row] = work.upload((name, work.image_file(number))).json["images"]
        assert row["status"] == "OK"
        found[name] = row["sourceUrl"]
    return [found[name] for name in NAMES]


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("name", list(NAMES)),
        ("null", [None, None, None]),
        ("encoded", ["a%20b%2F%C3%A4.png", "c.jpg", "d"]),
    ],
)
def test_the_spelling_of_source_url(
    workspace: Start, spelling: str, expected: list[str | None]
) -> None:
    assert source_urls(workspace(source_url=spelling)) == expected


def test_source_url_with_another_file_name_or_a_prefix(workspace: Start) -> None:
    renamed = source_urls(workspace(source_url="renamed"))
    assert renamed == source_urls(workspace(source_url="renamed"))
    assert not {*renamed} & {*NAMES}
    for name, url in zip(NAMES, renamed, strict=True):
        assert url is not None
        assert url.rpartition("/")[0] == name.rpartition("/")[0]
        assert url.rpartition(".")[1:] == name.rpartition(".")[1:] or "." not in name
    prefixed = source_urls(workspace(source_url="prefixed"))
    assert all(str(url).endswith(f"/{name}") for name, url in zip(NAMES, prefixed, strict=True))
    assert not {*prefixed} & {*NAMES}


def test_quotes_around_names_and_no_quotes_around_null(workspace: Start) -> None:
    assert source_urls(workspace(quoted_names=True)) == [f'"{name}"' for name in NAMES]
    assert source_urls(workspace(quoted_names=True, source_url="null")) == [None, None, None]


def test_names_can_be_lost_in_single_responses(workspace: Start) -> None:
    for fault in (Fault.NAMELESS, Fault.RENAMED):
        work = workspace(faults=Faults(rate=1, kinds=(fault,), cap=1))
        first, *others = source_urls(work)
        assert (first is None) == (fault is Fault.NAMELESS)
        assert first != NAMES[0]
        assert others == [*NAMES[1:]]
        assert work.call("GET", "{p}/images/untagged/count").json == 5


def test_a_page_can_be_shorter_than_asked(workspace: Start) -> None:
    work = workspace(page_size=2)
    work.new_images(10, 11, 12)
    pages = [
        len(work.call("GET", "{p}/images/untagged", take=256, skip=skip).json)
        for skip in (0, 2, 4, 6)
    ]
    assert pages == [2, 2, 1, 0]


@pytest.mark.parametrize("digits", [4, 5])
def test_coordinates_can_be_rounded_when_they_are_stored(workspace: Start, digits: int) -> None:
    sent = (1 / 3, 0.123456789, 0.2, 0.45678912)
    expected = [round(number, digits) for number in sent]
    work = workspace(stored_digits=digits)
    [created] = work.create(work.region(*sent)).json["created"]
    [read] = image_of(work)["regions"]
    for row in (created, read):
        assert [row[name] for name in ("left", "top", "width", "height")] == expected
    again = work.create(work.region(*sent)).json
    assert (len(again["created"]), len(again["duplicated"])) == (0, 1)
    assert work.stored() == [tuple(expected)]


def test_rounded_coordinates_can_be_stored_twice(workspace: Start) -> None:
    work = workspace(stored_digits=4, on_existing="twice")
    near = [work.region(0.123412), work.region(0.123413)]
    assert len(work.create(*near).json["created"]) == 2
    assert len(work.create(*near).json["created"]) == 2
    assert work.stored() == [(0.1234, 0.2, 0.3, 0.4)] * 4


def test_regions_of_an_upload_are_rounded_too(workspace: Start) -> None:
    work = workspace(stored_digits=3)
    box = {"tagId": work.tag, "left": 1 / 3, "top": 0, "width": 0.5, "height": 0.5}
    entry = {"name": "a", "contents": as_base64(work.image_file(9)), "regions": [box]}
    [row] = work.upload(entry).json["images"]
    assert row["image"]["regions"][0]["left"] == 0.333
