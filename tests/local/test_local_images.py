"""Operations on images: uploads, pages, look-ups, counts and deletion."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from regionbatch.local import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Reply, Workspace

    Start = Callable[..., Workspace]

F0 = TIERS["F0"]


def statuses(reply: Reply) -> dict[str, str]:
    return {row["sourceUrl"]: row["status"] for row in reply.json["images"]}


def ids(reply: Reply) -> list[str]:
    return [row["id"] for row in reply.json]


def test_the_response_contains_each_image_in_random_order(workspace: Start) -> None:
    work = workspace()
    names = [f"{number}.png" for number in range(10, 30)]
    reply = work.upload(*[(name, work.image_file(number)) for number, name in enumerate(names, 10)])
    assert reply.status == 200
    assert reply.json["isBatchSuccessful"] is True
    rows = [row["sourceUrl"] for row in reply.json["images"]]
    assert sorted(rows) == names != rows
    image = reply.json["images"][0]["image"]
    assert (image["width"], image["height"], image["tags"], image["regions"]) == (
        32,
        24,
        [],
        [],
    )


def test_names_can_be_in_literal_quotes(workspace: Start) -> None:
    work = workspace(quoted_names=True)
    assert statuses(work.upload(("a b.png", work.image_file(9)))) == {'"a b.png"': "OK"}


def test_the_same_bytes_keep_their_id(workspace: Start) -> None:
    work = workspace()
    same = work.image_file(1)
    reply = work.upload(
        ("again.png", same), ("new.png", work.image_file(9)), ("twin.png", work.image_file(9))
    )
    assert statuses(reply) == {
        "again.png": "OKDuplicate",
        "new.png": "OK",
        "twin.png": "OKDuplicate",
    }
    assert reply.json["isBatchSuccessful"] is False
    image = {row["sourceUrl"]: row["image"]["id"] for row in reply.json["images"]}
    assert image["again.png"] == work.images[0]
    assert image["new.png"] == image["twin.png"]
    assert work.call("GET", "{p}/images/untagged/count").json == 3


def test_the_same_bytes_in_another_project_are_another_image(workspace: Start) -> None:
    work = workspace()
    work.project = work.service.create_project("other")
    assert work.new_images(1) != work.images[:1]


@pytest.mark.parametrize("form", ["PNG", "JPEG", "BMP", "GIF"])
def test_accepted_formats(workspace: Start, form: str) -> None:
    work = workspace()
    assert statuses(work.upload(("x", work.image_file(7, form=form)))) == {"x": "OK"}


def test_refused_images(workspace: Start) -> None:
    work = workspace(limits=replace(F0, image_bytes=5_000, side=100, aspect=5))
    png = work.image_file(9)
    reply = work.upload(
        ("good", png),
        ("webp", work.image_file(9, form="WEBP")),
        ("tiff", work.image_file(9, form="TIFF")),
        ("truncated", png[:12]),
        ("truncated jpeg", work.image_file(9, form="JPEG")[:20]),
        ("text", b"not an image"),
        ("empty", b""),
        {"name": "missing"},
        ("heavy", png + bytes(5_000)),
        ("large", work.image_file(9, size=(101, 50))),
        ("thin", work.image_file(9, size=(51, 10))),
        ("just", work.image_file(9, size=(50, 10))),
    )
    assert statuses(reply) == {
        "good": "OK",
        "webp": "ErrorImageFormat",
        "tiff": "ErrorImageFormat",
        "truncated": "ErrorImageFormat",
        "truncated jpeg": "ErrorImageFormat",
        "text": "ErrorImageFormat",
        "empty": "ErrorSource",
        "missing": "ErrorSource",
        "heavy": "ErrorImageSize",
        "large": "ErrorImageDimensions",
        "thin": "ErrorImageDimensions",
        "just": "OK",
    }
    assert reply.json["isBatchSuccessful"] is False
    assert {row["image"] is None for row in reply.json["images"] if row["status"] != "OK"} == {True}


def test_the_image_of_a_failed_upload_can_be_left_out(workspace: Start) -> None:
    work = workspace(omit_nulls=True)
    (row,) = work.upload(("text", b"not an image")).json["images"]
    assert row == {"sourceUrl": "text", "status": "ErrorImageFormat"}


@pytest.mark.parametrize(
    ("version", "status"), [("v3.2", 200), ("v3.3", 207), ("v3.4-preview", 207)]
)
def test_status_of_a_partial_upload(workspace: Start, version: str, status: int) -> None:
    work = workspace(version=version)
    assert work.upload(("a", work.image_file(8)), ("b", b"not an image")).status == status


def test_limits_of_an_upload(workspace: Start) -> None:
    work = workspace()
    assert (
        work.upload(*[(str(number), b"x") for number in range(65)]).code
        == "BadRequestExceededBatchSize"
    )
    tags = [str(uuid4()) for _ in range(21)]
    assert work.upload(("a", work.image_file(8)), tagIds=tags).code == "BadRequestExceededBatchSize"
    entries: list[dict[str, Any]] = [{"name": tag, "tagIds": [tag]} for tag in tags]
    assert work.upload(*entries).code == "BadRequestExceededBatchSize"
    assert work.upload(*entries[:20]).status == 200
    for body in (
        b"",
        b"{}",
        b'{"images": []}',
        b'{"images": [{"name": "a", "contents": "not base64!"}]}',
    ):
        assert work.call("POST", "{p}/images/files", body).code == "BadRequestImageBatch"


def test_more_images_than_the_tier_allows(workspace: Start) -> None:
    work = workspace(limits=replace(F0, images=3))
    reply = work.upload(
        ("a", work.image_file(7)), ("b", work.image_file(8)), ("c", work.image_file(1))
    )
    assert statuses(reply) == {"a": "OK", "b": "ErrorLimitExceed", "c": "OKDuplicate"}


def test_a_body_that_is_too_large(workspace: Start) -> None:
    work = workspace(limits=replace(F0, body_bytes=5_000))
    reply = work.upload(("a", bytes(5_000)))
    assert reply.status == 408
    assert reply.json["error"]["code"] == "408"


def inline(
    work: Workspace, number: int, *boxes: tuple[float, float, float, float], **more: Any
) -> dict[str, Any]:
    regions = [
        {"tagId": work.tag, "left": left, "top": top, "width": width, "height": height}
        for left, top, width, height in boxes
    ]
    return {
        "name": str(number),
        "contents": base64.b64encode(work.image_file(number)).decode(),
        "regions": regions,
        **more,
    }


def test_inline_regions_and_tags(workspace: Start) -> None:
    work = workspace(limits=replace(F0, regions_per_image=2))
    other, negative = work.new_tag("WBC"), work.new_tag("none", type="Negative")
    good = (0, 0, 0.5, 0.5)
    outside = (0.6, 0, 0.5, 0.5)
    many = [(0, 0, 1, number / 8) for number in (1, 2, 3)]
    reply = work.upload(
        inline(work, 10, good, tagIds=[other]),
        inline(work, 11, good, outside),
        inline(work, 12, *many),
        inline(work, 13, good, tagIds=[str(uuid4())]),
        inline(work, 14, good, tagIds=[negative]),
    )
    assert statuses(reply) == {
        "10": "OK",
        "11": "ErrorInvalidRegion",
        "12": "ErrorRegionLimitExceed",
        "13": "ErrorInvalidTag",
        "14": "ErrorNegativeAndRegularTagOnSameImage",
    }
    image = next(row["image"] for row in reply.json["images"] if row["image"])
    assert {tag["tagName"] for tag in image["tags"]} == {"RBC", "WBC"}
    assert work.stored() == [good]


def test_classification_projects_take_tags_and_no_regions(workspace: Start) -> None:
    work = workspace(domain="Classification")
    reply = work.upload(inline(work, 10, (0, 0, 1, 1)), inline(work, 11), tagIds=[work.tag])
    assert statuses(reply) == {"10": "ErrorInvalidRegion", "11": "OK"}
    assert work.call("GET", "{p}/tags").json[0]["imageCount"] == 1


def test_upload_as_xml(workspace: Start) -> None:
    work = workspace()
    contents = base64.b64encode(work.image_file(9)).decode()
    body = (
        f"<ImageFileCreateBatch><images><name>a</name><contents>{contents}</contents>"
        f"<tagIds>{work.tag}</tagIds></images>"
        f"</ImageFileCreateBatch>"
    )
    reply = work.call("POST", "{p}/images/files", body, content_type="application/xml")
    assert statuses(reply) == {"a": "OK"}
    assert work.call("GET", "{p}/images/tagged/count").json == 1


def test_pages_and_counts(workspace: Start) -> None:
    work = workspace(version="v3.3")
    images = [*work.images, *work.new_images(*range(10, 68))]
    work.create(work.region(imageId=images[5]), work.region(imageId=images[7]))
    other = work.new_tag("other")
    work.create(work.region(imageId=images[9], tagId=other))

    assert ids(work.call("GET", "{p}/images")) == images[::-1][:50]
    assert ids(work.call("GET", "{p}/images", take=256, orderBy="Oldest")) == images
    assert ids(work.call("GET", "{p}/images", take=2, skip=3, orderBy="Oldest")) == images[3:5]
    assert ids(work.call("GET", "{p}/images", take=0)) == []
    assert ids(work.call("GET", "{p}/images/tagged")) == [images[9], images[7], images[5]]
    assert ids(work.call("GET", "{p}/images/tagged", tagIds=work.tag)) == [images[7], images[5]]
    assert len(ids(work.call("GET", "{p}/images/tagged", tagIds=f"{work.tag},{other}"))) == 3
    assert ids(work.call("GET", "{p}/images/untagged", orderBy="Oldest", take=6)) == [
        *images[:5],
        images[6],
    ]
    assert len(ids(work.call("GET", "{p}/images", taggingStatus="Untagged", take=100))) == 57
    assert ids(work.call("GET", "{p}/images", taggingStatus="Tagged")) == [
        images[9],
        images[7],
        images[5],
    ]
    counts = {
        path: work.call("GET", f"{{p}}/images/{path}").json
        for path in ("count", "tagged/count", "untagged/count")
    }
    assert counts == {"count": 60, "tagged/count": 3, "untagged/count": 57}
    assert work.call("GET", "{p}/images/tagged/count", tagIds=other).json == 1


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"take": 257}, "BadRequest"),
        ({"take": -1}, "BadRequest"),
        ({"take": "ten"}, "BadRequest"),
        ({"skip": -1}, "BadRequest"),
        ({"skip": 2**31}, "BadRequest"),
        ({"skip": 10**30}, "BadRequest"),
        ({"orderBy": "Random"}, "BadRequest"),
        ({"tagIds": "17"}, "BadRequestInvalidIds"),
        (
            {"tagIds": ",".join(str(UUID(int=number)) for number in range(21))},
            "BadRequestExceededBatchSize",
        ),
        ({"iterationId": str(UUID(int=0))}, "NotFoundIteration"),
        ({"taggingStatus": "Half"}, "BadRequest"),
        ({"$filter": "a eq 'b'"}, "BadRequestNotSupported"),
    ],
    ids=str,
)
def test_invalid_pages(workspace: Start, query: dict[str, Any], code: str) -> None:
    assert workspace(version="v3.3").call("GET", "{p}/images", **query).code == code


def test_images_by_id(workspace: Start) -> None:
    work = workspace()
    asked = ",".join([*work.images, str(uuid4()), work.images[0]])
    assert sorted(ids(work.call("GET", "{p}/images/id", imageIds=asked))) == sorted(work.images)
    assert ids(work.call("GET", "{p}/images/id")) == []
    assert work.call("GET", "{p}/images/id", imageIds="x").code == "BadRequestInvalidIds"
    many = [str(uuid4()) for _ in range(257)]
    assert (
        work.call("GET", "{p}/images/id", imageIds=",".join(many)).code
        == "BadRequestExceededBatchSize"
    )
    assert work.call("GET", "{p}/images/id", imageIds=",".join(many[1:])).json == []


def test_deleting_images(workspace: Start) -> None:
    work = workspace()
    work.create(work.region(), work.region(imageId=work.images[1]))
    assert work.call("DELETE", "{p}/images", imageIds=work.images[0]).status == 204
    assert len(work.stored()) == 1
    assert work.call("DELETE", "{p}/images").code == "BadRequestRequiredParamIsNull"
    assert (
        work.call("DELETE", "{p}/images", imageIds=work.images[1], allImages="true").status == 400
    )
    assert work.call("DELETE", "{p}/images", allImages="perhaps").code == "BadRequest"
    assert (
        work.call("DELETE", "{p}/images", imageIds=str(uuid4()), allIterations="true").status == 202
    )
    assert work.call("DELETE", "{p}/images", allImages="True").status == 202
    assert work.stored() == []
    assert work.new_images(1) != work.images[:1]
