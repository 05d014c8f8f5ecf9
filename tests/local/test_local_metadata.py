"""The metadata of images, which version 3.3 of the API added."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from helpers import ManualClock

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Reply, Workspace

    Start = Callable[..., Workspace]

NAME = {"name": "train/ä ö's.png"}


def metadata_by_id(work: Workspace) -> dict[str, Any]:
    rows = work.call("GET", "{p}/images/id", imageIds=",".join(work.images)).json
    return {row["id"]: row.get("metadata") for row in rows}


def update(work: Workspace, body: object, *images: str) -> Reply:
    return work.call("POST", "{p}/images/metadata", body, imageIds=",".join(images))


def test_metadata_of_a_batch_is_stored_with_each_new_image(workspace: Start) -> None:
    work = workspace(version="v3.3")
    files = [(str(number), work.image_file(number)) for number in (1, 10, 11)]
    rows = work.upload(*files, metadata=NAME).json["images"]
    found = {row["sourceUrl"]: row["image"].get("metadata") for row in rows}
    assert found == {"1": None, "10": NAME, "11": NAME}, "an image that exists keeps its own"
    listed = work.call("GET", "{p}/images").json
    assert sorted(str(row.get("metadata")) for row in listed) == ["None", "None", *[str(NAME)] * 2]


def test_v32_has_no_metadata(workspace: Start) -> None:
    work = workspace()
    [row] = work.upload(("a", work.image_file(9)), metadata=NAME).json["images"]
    assert (row["status"], "metadata" in row["image"]) == ("OK", False)
    assert update(work, NAME, *work.images).status in (404, 405)
    work.version = "v3.3"
    work.images = [row["image"]["id"]]
    assert metadata_by_id(work) == {work.images[0]: None}


def test_metadata_is_updated_member_by_member(workspace: Start) -> None:
    work = workspace(version="v3.3")
    reply = update(work, {"a": "1", "b": "2"}, *work.images)
    assert (reply.status, reply.json["isBatchSuccessful"]) == (200, True)
    assert {row["imageId"] for row in reply.json["images"]} == set(work.images)
    assert {row["status"] for row in reply.json["images"]} == {"OK"}
    unknown = str(uuid4())
    reply = update(work, {"b": "3", "c": "ä"}, work.images[0], unknown)
    assert (reply.status, reply.json["isBatchSuccessful"]) == (207, False)
    statuses = {row["imageId"]: row["status"] for row in reply.json["images"]}
    assert statuses == {work.images[0]: "OK", unknown: "ErrorImageNotFound"}
    assert metadata_by_id(work) == {
        work.images[0]: {"a": "1", "b": "3", "c": "ä"},
        work.images[1]: {"a": "1", "b": "2"},
    }


def test_more_than_50_members(workspace: Start) -> None:
    work = workspace(version="v3.3")
    members = {str(number): "" for number in range(50)}
    assert update(work, members, work.images[0]).status == 200
    assert update(work, {"0": "new"}, work.images[0]).status == 200
    reply = update(work, {"more": ""}, *work.images)
    statuses = {row["imageId"]: row["status"] for row in reply.json["images"]}
    assert statuses == {work.images[0]: "ErrorLimitExceed", work.images[1]: "OK"}
    assert len(metadata_by_id(work)[work.images[0]]) == 50


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        ({"k" * 257: "v"}, "BadRequestImageMetadataKey"),
        ({"k": "v" * 513}, "BadRequestImageMetadataValue"),
        ({str(number): "" for number in range(51)}, "BadRequestImageMetadataKey"),
    ],
    ids=["key", "value", "members"],
)
def test_metadata_that_is_too_large(workspace: Start, metadata: dict[str, str], code: str) -> None:
    work = workspace(version="v3.3")
    assert work.upload(("a", work.image_file(9)), metadata=metadata).code == code
    assert update(work, metadata, *work.images).code == code
    assert work.call("GET", "{p}/images/count").json == 2
    largest = {"k" * 256: "v" * 512}
    assert work.upload(("a", work.image_file(9)), metadata=largest).status == 200


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"x", b'{"a": 1}', b'{"a": null}'])
def test_a_body_that_is_not_metadata(workspace: Start, body: bytes) -> None:
    work = workspace(version="v3.3")
    assert update(work, body, *work.images).code == "BadRequest"


def test_which_images_are_updated(workspace: Start) -> None:
    work = workspace(version="v3.3")
    assert update(work, NAME).code == "BadRequestRequiredParamIsNull"
    assert update(work, NAME, "x").code == "BadRequestInvalidIds"
    many = [str(uuid4()) for _ in range(65)]
    assert update(work, NAME, *many).code == "BadRequestExceededBatchSize"
    read_only = workspace(version="v3.3", dr_mode=True)
    assert update(read_only, NAME, str(uuid4())).code == "ForbiddenDRModeEnabled"


def test_images_with_some_metadata(workspace: Start) -> None:
    work = workspace(version="v3.3")
    update(work, NAME, work.images[1])
    quoted = NAME["name"].replace("'", "''")

    def call(path: str, text: str) -> Reply:
        query: dict[str, Any] = {"$filter": text}
        return work.call("GET", path, **query)

    for value, images in ((quoted, [work.images[1]]), ("x", [])):
        text = f"metadata=name eq '{value}'"
        assert [row["id"] for row in call("{p}/images", text).json] == images
        assert call("{p}/images/count", text).json == len(images)
    for text in ("metadata=name ne 'x'", "name eq 'x'", "metadata=name eq 'x' and a eq 'b'"):
        assert call("{p}/images", text).code == "BadRequestNotSupported"


def test_metadata_lags_and_is_deleted_with_its_image(workspace: Start) -> None:
    clock = ManualClock()
    work = workspace(version="v3.3", read_lag=3.0, clock=clock)
    clock.time += 3
    update(work, NAME, *work.images)
    assert metadata_by_id(work) == dict.fromkeys(work.images)
    clock.time += 3
    assert metadata_by_id(work) == dict.fromkeys(work.images, NAME)
    work.call("DELETE", "{p}/images", imageIds=work.images[0])
    clock.time += 3
    assert metadata_by_id(work) == {work.images[1]: NAME}
    work.images = work.new_images(1)
    clock.time += 3
    assert metadata_by_id(work) == dict.fromkeys(work.images)
