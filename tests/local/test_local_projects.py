"""Operations on domains, projects and tags; versions, keys, the rate limit, read-only projects."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import pytest

from regionbatch.local import TIERS

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Workspace

    Start = Callable[..., Workspace]


def test_domains(workspace: Start) -> None:
    work = workspace()
    domains = work.call("GET", "/domains").json
    assert {domain["type"] for domain in domains} == {"Classification", "ObjectDetection"}
    for domain in domains:
        assert work.call("GET", f"/domains/{domain['id']}").json == domain
    assert work.call("GET", f"/domains/{uuid4()}").code == "NotFoundDomain"
    assert work.call("GET", "/domains/x").code == "NotFoundDomain"


def test_projects(workspace: Start) -> None:
    work = workspace()
    detection = work.call("GET", "{p}").json["settings"]["domainId"]
    assert work.call("GET", f"/domains/{detection}").json["type"] == "ObjectDetection"
    made = work.call(
        "POST",
        "/projects",
        name="a & b",
        description="d",
        domainId=detection,
        classificationType="Multilabel",
        targetExportPlatforms="ONNX,CoreML",
    ).json
    assert (made["name"], made["description"], made["status"]) == ("a & b", "d", "Succeeded")
    assert made["settings"] == {
        "domainId": detection,
        "classificationType": "Multilabel",
        "targetExportPlatforms": ["ONNX", "CoreML"],
    }
    assert work.call("GET", f"/projects/{made['id']}").json == made
    assert {row["name"] for row in work.call("GET", "/projects").json} == {"cells", "a & b"}
    plain = work.call("POST", "/projects", name="c").json["settings"]["domainId"]
    assert work.call("GET", f"/domains/{plain}").json["type"] == "Classification"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({}, "BadRequestProjectName"),
        ({"name": " "}, "BadRequestProjectName"),
        ({"name": "a", "domainId": str(UUID(int=0))}, "BadRequestProjectUnknownDomain"),
        ({"name": "a", "domainId": "x"}, "BadRequestInvalidIds"),
        ({"name": "a", "classificationType": "x"}, "BadRequestProjectUnknownClassification"),
        ({"name": "a", "targetExportPlatforms": "x"}, "BadRequestProjectUnsupportedExportPlatform"),
    ],
    ids=str,
)
def test_invalid_projects(workspace: Start, query: dict[str, Any], code: str) -> None:
    reply = workspace().call("POST", "/projects", **query)
    assert (reply.status, reply.code) == (400, code)


@pytest.mark.parametrize("path", ["", "/tags", "/images/tagged", "/images/untagged/count"])
@pytest.mark.parametrize("project", [str(UUID(int=0)), "x"], ids=["unknown", "not a UUID"])
def test_an_unknown_project(workspace: Start, project: str, path: str) -> None:
    reply = workspace().call("GET", f"/projects/{project}{path}")
    assert (reply.status, reply.code) == (404, "NotFoundProject")


@pytest.mark.parametrize("name", ["(R-19)30", "a/b & c?", "细胞", " клетка"])
def test_names_of_tags(workspace: Start, name: str) -> None:
    work = workspace()
    made = work.call("POST", "{p}/tags", name=name, description="d").json
    assert made == {
        "id": made["id"],
        "name": name.strip(),
        "description": "d",
        "type": "Regular",
        "imageCount": 0,
    }
    assert work.call("GET", f"{{p}}/tags/{made['id']}").json == made
    assert {tag["name"] for tag in work.call("GET", "{p}/tags").json} == {"RBC", name.strip()}


def test_invalid_tags(workspace: Start) -> None:
    work = workspace(limits=replace(TIERS["F0"], tags=2))
    code = "BadRequestTagNameNotUnique"
    assert work.call("POST", "{p}/tags", name="RBC").code == code
    assert work.call("POST", "{p}/tags").code == "BadRequestTagName"
    assert work.call("POST", "{p}/tags", name="x", type="Other").code == "BadRequestTagType"
    assert (
        work.call("POST", "{p}/tags", name="x", type="GeneralProduct").code == "BadRequestTagType"
    )
    assert work.call("POST", "{p}/tags", name="none", type="Negative").json["type"] == "Negative"
    assert (
        work.call("POST", "{p}/tags", name="none 2", type="Negative").code
        == "BadRequestMultipleNegativeTag"
    )
    assert work.call("POST", "{p}/tags", name="x").code == "BadRequestExceedTagPerProjectLimit"


def test_a_type_of_tag_that_v33_added(workspace: Start) -> None:
    assert (
        workspace(version="v3.3").call("POST", "{p}/tags", name="x", type="GeneralProduct").status
        == 200
    )


def test_image_counts_and_deletion_of_tags(workspace: Start) -> None:
    work = workspace()
    work.create(work.region(), work.region(0.5), work.region(imageId=work.images[1]))
    assert work.call("GET", f"{{p}}/tags/{work.tag}").json["imageCount"] == 2
    assert work.call("DELETE", f"{{p}}/tags/{work.tag}").status == 204
    assert work.stored() == []
    assert work.call("GET", "{p}/tags").json == []
    assert work.call("GET", f"{{p}}/tags/{work.tag}").code == "NotFoundTag"
    assert work.call("DELETE", f"{{p}}/tags/{work.tag}").code == "NotFoundTag"
    assert work.call("GET", "{p}/tags/x").code == "NotFoundTag"


def test_operations_that_a_version_lacks(workspace: Start) -> None:
    work = workspace()
    assert work.call("GET", "{p}/images").status == 405
    assert work.call("GET", "{p}/images/count").code == "NotFound"
    for version in ("v3.3", "v3.4-preview"):
        work.version = version
        assert work.call("GET", "{p}/images/count").json == 2
    work.version = "v2.0"
    assert work.call("GET", "/domains").status == 404


def test_a_required_key(workspace: Start) -> None:
    work = workspace(key="secret")
    assert work.service.key == "secret"
    good: list[dict[str, str]] = [{"Training-Key": "secret"}, {"Authorization": "Bearer secret"}]
    bad: list[dict[str, str]] = [
        {},
        {"Training-Key": "x"},
        {"Authorization": "Bearer x"},
        {"Authorization": "secret"},
    ]
    assert [work.call("GET", "{p}", headers=headers).status for headers in good] == [200, 200]
    for headers in bad:
        reply = work.call("GET", "{p}", headers=headers)
        assert reply.status == 401
        assert reply.json["error"]["code"] == "401"
        assert b"secret" not in reply.body


def test_any_key_is_accepted_but_one_is_needed(workspace: Start) -> None:
    work = workspace()
    assert work.call("GET", "{p}", headers={"Training-Key": "whatever"}).status == 200
    assert work.call("GET", "{p}", headers={}).status == 401


@pytest.mark.parametrize("header", [True, False])
def test_the_rate_limit(workspace: Start, header: bool) -> None:
    work = workspace(rate=5, retry_after=header)
    replies = [work.call("GET", "{p}") for _ in range(12)]
    refused = [reply for reply in replies if reply.status == 429]
    assert refused
    for reply in refused:
        error = reply.json["error"]
        assert error["code"] == "429"
        assert error["message"].endswith("Please retry after 1 second(s)")
        assert reply.headers.get("retry-after") == ("1" if header else None)
    assert work.service.calls["GetProject"] == 12


def test_read_only_projects(workspace: Start) -> None:
    assert workspace().call("GET", "{p}").json["drModeEnabled"] is False
    work = workspace(dr_mode=True)
    assert work.call("GET", "{p}").json["drModeEnabled"] is True
    writes = [
        work.create(work.region()),
        work.upload(("a", work.image_file(9))),
        work.call("POST", "{p}/tags", name="x"),
        work.call("DELETE", f"{{p}}/tags/{uuid4()}"),
        work.call("DELETE", "{p}/images", allImages="true"),
        work.call("DELETE", "{p}/images/regions", regionIds=str(uuid4())),
    ]
    assert {(reply.status, reply.code) for reply in writes} == {(403, "ForbiddenDRModeEnabled")}
