"""Test the service with Schemathesis: no server error, and every response as Microsoft describes.

REGIONBATCH_EXAMPLES is the number of generated calls per operation and version, after one that is
written here and succeeds. [default: 2] With 1000, the tests run for some minutes.
"""

from __future__ import annotations

import base64
import json
import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from regionbatch.local.app import NOT_IN_VERSION, OPERATIONS
from regionbatch.local.faults import BATCHES

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Workspace
    from schemathesis.specs.openapi.schemas import OpenApiSchema

    Start = Callable[..., Workspace]

SPEC = Path(__file__).parent / "spec"
EXAMPLES = int(os.environ.get("REGIONBATCH_EXAMPLES", "2"))
CHECKS = [
    checks.not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CALLS = [
    (version, name)
    for version in ("v3.2", "v3.3")
    for name in OPERATIONS
    if name not in NOT_IN_VERSION[version]
]


def description(version: str) -> dict[str, Any]:
    text = (SPEC / f"customvision-training-{version}.swagger.json").read_text(encoding="utf-8-sig")
    raw: dict[str, Any] = json.loads(text)
    del raw["x-ms-parameterized-host"]
    # The known gaps of the description: the real service returns `"image": null` for an image that
    # it refused, `"tagName": null` for a region that it created, and dates without a time zone.
    definitions = raw["definitions"]
    image = definitions["ImageCreateResult"]["properties"]["image"]
    image |= {"x-nullable": True, "allOf": [{"$ref": image.pop("$ref")}]}
    definitions["ImageRegionCreateResult"]["properties"]["tagName"]["x-nullable"] = True
    for name in ("Image", "ImageTag", "ImageRegion", "ImageRegionCreateResult"):
        del definitions[name]["properties"]["created"]["format"]
    return raw


@cache
def schema(version: str) -> OpenApiSchema:
    return schemathesis.openapi.from_dict(description(version))


@pytest.mark.parametrize("version", ["v3.2", "v3.3"])
def test_every_operation_is_in_the_description(version: str) -> None:
    described = {
        (row["operationId"], method.upper(), path)
        for path, methods in schema(version).raw_schema["paths"].items()
        for method, row in methods.items()
    }
    assert {(name, *OPERATIONS[name][:2]) for v, name in CALLS if v == version} <= described


def strategy(version: str, name: str) -> st.SearchStrategy[Case[Any]]:
    """Return calls that match the description, and, if they have input, calls that do not."""
    operation = schema(version).find_operation_by_id(name)
    good = operation.as_strategy(GenerationMode.POSITIVE)
    has_input = any(operation.iter_parameters()) or len(operation.body) > 0
    return st.one_of(good, operation.as_strategy(GenerationMode.NEGATIVE)) if has_input else good


def real_values(work: Workspace) -> dict[str, list[Any]]:
    """Return valid IDs, boxes and images by the names of members."""
    return {
        "projectId": [work.project],
        "tagId": [work.tag],
        "tagIds": [work.tag],
        "imageId": work.images,
        "imageIds": work.images,
        "regionIds": [row.region_id for row in work.service.regions(work.project)],
        "domainId": [row["id"] for row in work.call("GET", "/domains").json],
        "url": [f"http://127.0.0.1:{number}/a.png" for number in (1, 2)],
        "contents": [base64.b64encode(work.image_file(number)).decode() for number in range(9)],
        **{name: [0, 0.125, 0.25, 0.5] for name in ("left", "top")},
        **{name: [0.125, 0.25, 0.5] for name in ("width", "height")},
    }


def good_call(work: Workspace, version: str, name: str) -> Case[Any]:
    """Return a call that succeeds."""
    operation = schema(version).find_operation_by_id(name)
    real = real_values(work)
    ids = {each: ",".join(real[each]) for each in ("imageIds", "regionIds")}
    queries: dict[str, dict[str, str]] = {
        "CreateProject": {"name": "new"},
        "CreateTag": {"name": "new"},
        "DeleteImages": {"imageIds": ids["imageIds"]},
        "DeleteImageRegions": {"regionIds": ids["regionIds"]},
        "GetImagesByIds": {"imageIds": ids["imageIds"]},
        "UpdateImageMetadata": {"imageIds": ids["imageIds"]},
    }
    bodies: dict[str, Any] = {
        "CreateImagesFromFiles": {"images": [{"name": "a.png", "contents": real["contents"][3]}]},
        "CreateImagesFromUrls": {"images": [{"url": real["url"][0]}]},
        "CreateImageRegions": {"regions": [work.region(left=0.5)]},
        "UpdateImageMetadata": {"key": "value"},
    }
    parameters = {each: real[each][0] for each in ("projectId", "tagId", "domainId")}
    return operation.Case(
        path_parameters={key: parameters[key] for key in re.findall(r"{(\w+)}", operation.path)},
        query=queries.get(name, {}),
        media_type="application/json",
        **({"body": bodies[name]} if name in bodies else {}),
    )


def use_real_values(case: Case[Any], work: Workspace, data: st.DataObject) -> None:
    """Replace generated values by valid ones, so that calls get past the first look-up."""
    work.create(*work.regions(3))  # each example has three regions to delete
    real = real_values(work)

    def replaced(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: replaced(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [replaced(name, item) for item in value]
        return data.draw(st.sampled_from(real[name])) if real.get(name) else value

    case.path_parameters = replaced("", dict(case.path_parameters or {}))
    case.query = replaced("", dict(case.query or {}))
    case.query.pop("iterationId", None)
    if isinstance(case.body, dict | list):
        case.body = replaced("", case.body)


@pytest.mark.parametrize(("version", "name"), CALLS)
def test_every_response_is_as_described(workspace: Start, version: str, name: str) -> None:
    work = workspace(version=version)
    work.create(*work.regions(3))
    base = f"{work.service.endpoint}/customvision/{version}/training"
    examples = EXAMPLES * 4 if name in BATCHES else EXAMPLES

    def with_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Training-Key"] = work.service.key
        return request

    with requests.Session() as session:
        session.auth = with_key
        answer = good_call(work, version, name).call_and_validate(
            base_url=base, session=session, checks=CHECKS
        )
        assert answer.status_code < 300, answer.text

        @settings(
            max_examples=examples,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(strategy(version, name), st.data())
        def run(case: Case[Any], data: st.DataObject) -> None:
            if data.draw(st.sampled_from([True, True, False])):
                use_real_values(case, work, data)
            case.call_and_validate(base_url=base, session=session, checks=CHECKS)

        run()
