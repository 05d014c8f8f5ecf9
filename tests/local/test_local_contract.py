"""Schemathesis on the service, with Microsoft's description of the API: no server error, no undocumented shape.

REGIONBATCH_EXAMPLES is the number of examples for each call and version (12 when it is not set); with 1000 it runs
for some minutes.
"""

from __future__ import annotations

import base64
import json
import os
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

    Start = Callable[..., Workspace]

SPEC = Path(__file__).parent / "spec"
EXAMPLES = int(os.environ.get("REGIONBATCH_EXAMPLES", "12"))
CHECKS = [
    checks.not_a_server_error,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
]
CALLS = [(version, name) for version in ("v3.2", "v3.3") for name in OPERATIONS if name not in NOT_IN_VERSION[version]]


def description(version: str) -> dict[str, Any]:
    text = (SPEC / f"customvision-training-{version}.swagger.json").read_text(encoding="utf-8-sig")
    raw: dict[str, Any] = json.loads(text)
    del raw["x-ms-parameterized-host"]
    # The one known gap of the description: the real service answers `"image": null` for a picture that it refused.
    image = raw["definitions"]["ImageCreateResult"]["properties"]["image"]
    image |= {"x-nullable": True, "allOf": [{"$ref": image.pop("$ref")}]}
    return raw


SCHEMAS = {version: schemathesis.openapi.from_dict(description(version)) for version in ("v3.2", "v3.3")}


def test_every_call_of_the_service_is_in_the_contract() -> None:
    for version, schema in SCHEMAS.items():
        described = {
            (row["operationId"], method.upper(), path)
            for path, methods in schema.raw_schema["paths"].items()
            for method, row in methods.items()
        }
        ours = {(name, *OPERATIONS[name][:2]) for v, name in CALLS if v == version}
        assert ours <= described


def strategy(version: str, name: str) -> st.SearchStrategy[Case[Any]]:
    """Calls that keep the description, and, where there is anything to break, calls that do not."""
    operation = SCHEMAS[version].find_operation_by_id(name)
    good = operation.as_strategy(GenerationMode.POSITIVE)
    has_input = any(operation.iter_parameters()) or len(operation.body) > 0
    return st.one_of(good, operation.as_strategy(GenerationMode.NEGATIVE)) if has_input else good


def aim(case: Case[Any], work: Workspace, data: st.DataObject) -> None:
    """Put real ids, boxes and pictures in the place of made-up ones, so that calls get beyond the first look-up."""
    work.create(*work.regions(3))  # so that there are as many regions to delete in each example
    real: dict[str, list[Any]] = {
        "projectId": [work.project],
        "tagId": [work.tag],
        "tagIds": [work.tag],
        "imageId": work.images,
        "imageIds": work.images,
        "regionIds": [row.region_id for row in work.service.regions(work.project)],
        "domainId": [row["id"] for row in work.call("GET", "/domains").json],
        "contents": [base64.b64encode(work.picture(number)).decode() for number in range(9)],
        **{name: [0, 0.125, 0.25, 0.5] for name in ("left", "top")},
        **{name: [0.125, 0.25, 0.5] for name in ("width", "height")},
    }

    def swapped(name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: swapped(key, item) for key, item in value.items()}
        if isinstance(value, list):
            return [swapped(name, item) for item in value]
        return data.draw(st.sampled_from(real[name])) if real.get(name) else value

    case.path_parameters = swapped("", dict(case.path_parameters or {}))
    case.query = {name: value for name, value in swapped("", dict(case.query or {})).items() if name != "iterationId"}
    if isinstance(case.body, dict | list):
        case.body = swapped("", case.body)


@pytest.mark.parametrize(("version", "name"), CALLS)
def test_any_call_is_answered_as_described(workspace: Start, version: str, name: str) -> None:
    work = workspace(version=version)
    work.create(*work.regions(3))
    base = f"{work.service.endpoint}/customvision/{version}/training"
    seen: set[int] = set()
    examples = EXAMPLES * 4 if name in BATCHES else EXAMPLES

    def with_key(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Training-Key"] = work.service.key
        return request

    with requests.Session() as session:
        session.auth = with_key

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
                aim(case, work, data)
            response = case.call_and_validate(base_url=base, session=session, checks=CHECKS)
            seen.add(response.status_code)

        run()
    assert min(seen) < 300, seen
    assert work.service.calls[name] > 0
