"""CreateImageRegions and DeleteImageRegions: every rule, setting and media type."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from uuid import uuid4

import numpy as np
import pytest
from lxml import etree

from regionbatch.local import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Reply, Workspace

    Start = Callable[..., Workspace]


def refusal(reply: Reply) -> tuple[int, str, str]:
    return reply.status, reply.json["code"], reply.json["message"]


COORDINATES = ("left", "top", "width", "height")
NONE_PROVIDED = (400, "BadRequestImageRegions", "No image regions provided")


def test_a_full_batch_is_created_and_read_back(workspace: Start) -> None:
    work = workspace()
    sent = work.regions(64)
    reply = work.create(*sent)
    assert reply.status == 200
    assert reply.json["duplicated"] == []
    assert reply.json["exceeded"] == []
    created = reply.json["created"]
    assert {row["left"] for row in created} == {row["left"] for row in sent}
    assert {row["tagName"] for row in created} == {None}
    assert {row["imageId"] for row in created} == {work.images[0]}
    (image,) = work.call("GET", "{p}/images/tagged").json
    assert {row["regionId"] for row in image["regions"]} == {row["regionId"] for row in created}
    assert {row["tagName"] for row in image["regions"]} == {"RBC"}
    assert "imageId" not in image["regions"][0]
    assert [tag["tagName"] for tag in image["tags"]] == ["RBC"]
    assert work.service.calls["CreateImageRegions"] == 1


def test_the_order_of_a_response_is_random_and_depends_on_the_seed(
    workspace: Start,
) -> None:
    orders = []
    for seed in (0, 0, 1):
        work = workspace(seed=seed)
        orders.append([row["left"] for row in work.create(*work.regions(20)).json["created"]])
    assert orders[0] == orders[1] != orders[2]
    assert orders[0] != sorted(orders[0])


def test_numbers_are_the_shortest_decimals_of_32_bit_floats(workspace: Start) -> None:
    work = workspace()
    sent = (1 / 3, 0.10000000149011612, 2e-7, 0.7)
    (created,) = work.create(work.region(*sent)).json["created"]
    assert [created[name] for name in COORDINATES] == [0.33333334, 0.1, 2e-7, 0.7]
    (image,) = work.call("GET", "{p}/images/tagged").json
    assert [image["regions"][0][name] for name in COORDINATES] == [0.33333334, 0.1, 2e-7, 0.7]
    assert np.array_equal(np.array(work.stored()[0], np.float32), np.array(sent, np.float32))


def test_more_than_64_entries(workspace: Start) -> None:
    work = workspace()
    assert work.create(*work.regions(65)).code == "BadRequestExceededBatchSize"
    assert work.stored() == []


def test_two_identical_entries_fail_the_whole_batch(workspace: Start) -> None:
    work = workspace()
    expected = (400, "BadRequestImageRegions", "Duplicate image regions")
    assert refusal(work.create(work.region(0.5), work.region(), work.region())) == expected
    assert (
        refusal(work.create(work.region(1 / 3), work.region(float(np.float32(1 / 3))))) == expected
    )
    assert (
        refusal(work.create(work.region(), work.region(imageId=work.images[0].upper()))) == expected
    )
    assert work.stored() == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"regions": []}',
        b'{"regions": null}',
        b'{"regions": [null]}',
        b"\xff\xfe",
        b'{"regions": ' + b"[" * 100_000,
        b'{"other": ' + b"[" * 100_000,
    ],
)
def test_a_body_without_regions(workspace: Start, body: bytes) -> None:
    assert refusal(workspace().call("POST", "{p}/images/regions", body)) == NONE_PROVIDED


@pytest.mark.parametrize(
    "wrong",
    [
        {"imageId": "17"},
        {"tagId": "not-a-uuid"},
        {"tagId": None},
        {"left": float("nan")},
        {"left": "x"},
        {"top": None},
    ],
    ids=str,
)
def test_one_invalid_entry_invalidates_the_whole_body(
    workspace: Start, wrong: dict[str, Any]
) -> None:
    work = workspace()
    assert refusal(work.create(work.region(0.5), work.region(**wrong))) == NONE_PROVIDED


def test_a_missing_member_invalidates_the_whole_body(workspace: Start) -> None:
    work = workspace()
    entry = work.region()
    del entry["width"]
    assert refusal(work.create(entry)) == NONE_PROVIDED


EDGE = 1 - 2**-24
"""The largest 32-bit number below 1."""


@pytest.mark.parametrize(
    "box",
    [
        (-0.1, 0, 0.5, 0.5),
        (0, -1e-9, 0.5, 0.5),
        (0.5, 0, 0.6, 0.5),
        (0, 0.5, 0.5, 0.500001),
        (0, 0, 0, 0.5),
        (0, 0, 0.5, -0.5),
        (0, 0, 1e-50, 0.5),
        (0, 0, 1e39, 0.5),
        (2**-25, 0, 1, 0.5),
    ],
    ids=str,
)
def test_a_box_outside_or_without_size_fails_the_batch(
    workspace: Start, box: tuple[float, ...]
) -> None:
    work = workspace()
    reply = work.create(work.region(), work.region(*box))
    assert (reply.status, reply.code) == (400, "BadRequestImageRegions")
    assert work.stored() == []


@pytest.mark.parametrize(
    "box", [(0, 0, 1, 1), (EDGE, 0, 2**-24, 1), (0.25, 0.5, 0.75, 0.5)], ids=str
)
def test_a_box_up_to_the_edge_is_created(workspace: Start, box: tuple[float, ...]) -> None:
    work = workspace()
    assert len(work.create(work.region(*box)).json["created"]) == 1


def test_more_than_300_regions_on_an_image_are_exceeded(workspace: Start) -> None:
    work = workspace()
    boxes = work.regions(310)
    for start in range(0, 256, 64):
        assert work.create(*boxes[start : start + 64]).json["exceeded"] == []
    reply = work.create(*boxes[256:], work.region(imageId=work.images[1]))
    assert reply.status == 200
    assert len(reply.json["created"]) == 45
    assert sorted(row["left"] for row in reply.json["exceeded"]) == [
        box["left"] for box in boxes[300:]
    ]
    assert len(work.stored()) == 301


def test_the_limit_of_an_image_can_be_lowered(workspace: Start) -> None:
    from dataclasses import replace  # noqa: PLC0415 - used here only

    work = workspace(limits=replace(TIERS["F0"], regions_per_image=2))
    assert len(work.create(*work.regions(5)).json["exceeded"]) == 3


@pytest.mark.parametrize(
    ("version", "setting", "status"),
    [("v3.2", None, 200), ("v3.3", None, 207), ("v3.2", 207, 207), ("v3.3", 200, 200)],
)
def test_status_of_a_partly_created_batch(
    workspace: Start, version: str, setting: int | None, status: int
) -> None:
    work = workspace(version=version, partial_status=setting)
    assert work.create(work.region()).status == 200
    assert work.create(work.region(), work.region(0.5)).status == status


def test_existing_regions_are_returned_as_duplicated(workspace: Start) -> None:
    work = workspace()
    work.create(work.region())
    reply = work.create(work.region(), work.region(0.5)).json
    assert [row["left"] for row in reply["created"]] == [0.5]
    assert [row["imageId"] for row in reply["duplicated"]] == [work.images[0]]
    assert len(work.stored()) == 2


def test_existing_regions_can_fail_the_batch(workspace: Start) -> None:
    work = workspace(on_existing="refuse")
    work.create(work.region())
    assert work.create(work.region(), work.region(0.5)).code == "BadRequestImageRegions"
    assert len(work.stored()) == 1


def test_existing_regions_can_be_stored_twice(workspace: Start) -> None:
    work = workspace(on_existing="twice")
    work.create(work.region())
    assert len(work.create(work.region(), work.region(0.5)).json["created"]) == 2
    assert len(work.stored()) == 3


@pytest.mark.parametrize("member", ["imageId", "tagId"])
def test_unknown_ids_fail_the_batch_or_only_the_entry(workspace: Start, member: str) -> None:
    unknown: dict[str, Any] = {member: str(uuid4())}
    replies = {}
    for setting in ("batch", "not-found", "entry"):
        work = workspace(unknown_ids=setting)
        replies[setting] = work.create(work.region(0.5), work.region(**unknown))
        assert len(work.stored()) == (setting == "entry")
    assert (replies["batch"].status, replies["batch"].code) == (400, "BadRequestInvalidIds")
    missing = "NotFoundImage" if member == "imageId" else "NotFoundTag"
    assert (replies["not-found"].status, replies["not-found"].code) == (404, missing)
    assert [row["left"] for row in replies["entry"].json["created"]] == [0.5]


def test_ids_of_another_project_are_unknown(workspace: Start) -> None:
    work = workspace()
    tag, images = work.tag, work.images
    work.project = work.service.create_project("other")
    work.fill()
    assert work.create(work.region()).status == 200
    assert work.create(work.region(0.5, imageId=images[0])).code == "BadRequestInvalidIds"
    assert work.create(work.region(0.5, tagId=tag)).code == "BadRequestInvalidIds"
    assert work.call("GET", "{p}/images/id", imageIds=",".join(images)).json == []
    assert work.call("GET", f"{{p}}/tags/{tag}").code == "NotFoundTag"


def test_only_object_detection_projects_take_regions(workspace: Start) -> None:
    work = workspace(domain="Classification")
    assert work.create(work.region()).code == "BadRequestNotSupported"


def test_null_instead_of_empty_lists(workspace: Start) -> None:
    work = workspace(nulls=True)
    reply = work.create(work.region()).json
    assert reply["duplicated"] is reply["exceeded"] is None
    assert work.call("GET", "{p}/images/untagged").json[0]["regions"] is None


def xml(entries: list[Any]) -> str:
    rows = []
    for entry in entries:
        members = [f"<{name}>{value}</{name}>" for name, value in entry.items()]
        rows.append(f"<regions>{''.join(members)}</regions>")
    return f"<ImageRegionCreateBatch>{''.join(rows)}</ImageRegionCreateBatch>"


@pytest.mark.parametrize("content_type", ["application/xml", "text/xml; charset=utf-8"])
def test_xml_as_in_the_reference_page(workspace: Start, content_type: str) -> None:
    work = workspace()
    body = xml([work.region(), work.region(0.5)])
    reply = work.call("POST", "{p}/images/regions", body, content_type=content_type)
    assert reply.status == 200
    assert {row["left"] for row in reply.json["created"]} == {0.1, 0.5}


@pytest.mark.parametrize("key", ["regions[{}].{}", "regions[{}][{}]"])
def test_a_form(workspace: Start, key: str) -> None:
    work = workspace()
    pairs = {
        key.format(row, name): value
        for row, entry in enumerate([work.region(), work.region(0.5)])
        for name, value in entry.items()
    }
    reply = work.call(
        "POST",
        "{p}/images/regions",
        urlencode(pairs),
        content_type="application/x-www-form-urlencoded",
    )
    assert len(reply.json["created"]) == 2


@pytest.mark.parametrize(
    "body", ["regions=1", "regions[0]=1", "=", "a=1&a.b=2", "regions[0].left=1&regions[0].left.x=1"]
)
def test_an_invalid_form(workspace: Start, body: str) -> None:
    reply = workspace().call(
        "POST", "{p}/images/regions", body, content_type="application/x-www-form-urlencoded"
    )
    assert refusal(reply) == NONE_PROVIDED


LAUGHS = """<!DOCTYPE b [<!ENTITY a "0.1"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>"""


def test_hostile_and_invalid_xml(workspace: Start) -> None:
    work = workspace()
    good = xml([work.region()])
    bodies = [
        "",
        "<",
        "<ImageRegionCreateBatch/>",
        "<regions>1</regions>",
        good[:-30],
        LAUGHS + good,
        LAUGHS + good.replace("0.1", "&b;"),
        '<!DOCTYPE b [<!ENTITY x SYSTEM "file:///etc/hostname">]>' + good.replace("0.1", "&x;"),
        good.replace("0.1", "NaN"),
        "<a>" * 5_000,
    ]
    for body in bodies:
        reply = work.call("POST", "{p}/images/regions", body, content_type="application/xml")
        assert refusal(reply) == NONE_PROVIDED, body[:60]
    commented = good.replace("<imageId>", "<!-- a --><?x y?><imageId>")
    assert work.call("POST", "{p}/images/regions", commented, content_type="text/xml").status == 200


@pytest.mark.parametrize(
    "body", ["<a/>" * 400_000, "<a " + 'b="" ' * 400_000 + "/>"], ids=["tags", "attributes"]
)
def test_xml_of_many_tags_is_not_parsed(
    workspace: Start, monkeypatch: pytest.MonkeyPatch, body: str
) -> None:
    """Parsing 45 MB of them took 19 seconds and blocked all other calls."""
    work = workspace()
    monkeypatch.setattr(etree, "fromstring", lambda *_: pytest.fail("it was parsed"))
    for text in (body, body.encode("utf-16")):
        reply = work.call("POST", "{p}/images/regions", text, content_type="application/xml")
        assert refusal(reply) == NONE_PROVIDED


@pytest.mark.parametrize("content_type", ["text/plain", "multipart/form-data", ""])
def test_other_media_types(workspace: Start, content_type: str) -> None:
    work = workspace()
    body = json.dumps({"regions": [work.region()]})
    reply = work.call("POST", "{p}/images/regions", body, content_type=content_type)
    assert (reply.status, reply.code) == (415, "UnsupportedMediaType")


def test_deleting_regions(workspace: Start) -> None:
    work = workspace()
    ids = [row["regionId"] for row in work.create(work.region(), work.region(0.5)).json["created"]]
    assert work.call("DELETE", "{p}/images/regions", regionIds=ids[0]).status == 204
    assert len(work.stored()) == 1
    assert (
        work.call("DELETE", "{p}/images/regions", regionIds=",".join(ids)).code
        == "BadRequestInvalidIds"
    )
    assert len(work.stored()) == 1, "one unknown ID, and none is deleted"
    assert work.call("GET", "{p}/images/tagged/count").json == 1
    assert work.call("DELETE", "{p}/images/regions", regionIds=ids[1]).body == b""
    assert work.call("GET", "{p}/images/tagged/count").json == 0
    assert work.call("DELETE", "{p}/images/regions").code == "BadRequestRequiredParamIsNull"
    many = ",".join(str(uuid4()) for _ in range(65))
    assert (
        work.call("DELETE", "{p}/images/regions", regionIds=many).code
        == "BadRequestExceededBatchSize"
    )


def test_a_region_of_another_project_is_not_deleted(workspace: Start) -> None:
    work = workspace()
    (row,) = work.create(work.region()).json["created"]
    work.project = work.service.create_project("other")
    assert (
        work.call("DELETE", "{p}/images/regions", regionIds=row["regionId"]).code
        == "BadRequestInvalidIds"
    )
