"""Errors of access: what they say to check, and that a key is not shown but words are."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING
from unittest import mock
from urllib.parse import quote

import pytest
from customvision.rehearsal import Clock, rehearsal

import regionbatch as rb
from helpers import id_of, mentions
from messages.language import message_problems
from regionbatch.local import Settings

if TYPE_CHECKING:
    from customvision.conftest import ScriptedServer

KEY = "0123456789abcdef+/=SECRET"


def refused(
    scripted: ScriptedServer, status: int, code: str, message: str, key: str = KEY
) -> rb.ServiceError:
    body = json.dumps({"error": {"code": code, "message": message}})
    scripted.add_response(status, body)
    with rb.TrainingClient(scripted.endpoint, key) as client, pytest.raises(rb.ServiceError) as end:
        client.domains()
    return end.value


@pytest.mark.parametrize(
    ("status", "code", "message", "kind", "tokens"),
    [
        (401, "401", "Access denied", rb.AccessError, ["training key", "prediction"]),
        (401, "Unauthorized", "", rb.AccessError, ["training key", "prediction"]),
        (401, "PermissionDenied", "The principal lacks an action", rb.AccessError, ["role"]),
        (403, "403", "Firewall rules deny it", rb.AccessError, ["firewall", "network"]),
        (403, "AccessDenied", "Public access is disabled", rb.AccessError, ["network"]),
        (403, "ForbiddenUserInsufficientCapability", "no", rb.AccessError, ["role"]),
        (403, "Forbidden", "", rb.AccessError, ["firewall", "role"]),
        (403, "AuthenticationTypeDisabled", "no keys", rb.AccessError, ["credential"]),
        (403, "403", "Out of call volume quota", rb.LimitError, ["quota", "tier"]),
        (403, "ForbiddenDRModeEnabled", "", rb.AccessError, ["recovery"]),
        (409, "Conflict", "busy", rb.TransportError, ["Try again later"]),
    ],
)
def test_what_to_check(
    scripted: ScriptedServer,
    status: int,
    code: str,
    message: str,
    kind: type[rb.ServiceError],
    tokens: list[str],
) -> None:
    error = refused(scripted, status, code, message)
    assert type(error) is kind
    assert error.status == status
    assert not message_problems(str(error))
    assert mentions(error, status, *tokens)


@pytest.mark.parametrize("code", ["401", "401 Unauthorized", ""])
@pytest.mark.parametrize("message", ["401", "401 Unauthorized", "Unauthorized", ""])
def test_nothing_is_repeated(scripted: ScriptedServer, code: str, message: str) -> None:
    error = str(refused(scripted, 401, code, message)).replace(scripted.endpoint, "")
    assert error.count("401") == 1
    assert error.lower().count("unauthorized") <= 1


def test_a_status_409_is_temporary_for_a_read() -> None:
    """It is repeated, as a 503 is."""
    with rehearsal() as (_, project, client):
        calls = []

        def fail_once() -> list[str]:
            calls.append(1)
            if len(calls) == 1:
                raise rb.TransportError("GetTags: busy. Run it again.", status=409, code="Conflict")
            return [tag.name for tag in client.tags(project)]

        assert Clock().rate_limiter().call("GetTags", fail_once, repeat=True) == []
    assert len(calls) == 2


@pytest.mark.parametrize("key", ["a", "key", "in", "service", "1234567"])
def test_a_short_key_hides_no_words(scripted: ScriptedServer, key: str) -> None:
    message = "a key in the service is wrong: 1234567"
    error = refused(scripted, 401, "401", message, key)
    assert error.service_message == message
    assert "***" not in str(error)


@pytest.mark.parametrize(
    "shown",
    [
        KEY,
        quote(KEY),
        quote(KEY, safe=""),
        base64.b64encode(KEY.encode()).decode(),
    ],
)
def test_a_key_is_hidden_in_every_spelling(scripted: ScriptedServer, shown: str) -> None:
    error = refused(scripted, 400, f"code {shown}", f"the text {shown} is wrong")
    assert shown.rstrip("=") not in f"{error} {error.code} {error.service_message}"
    assert "***" in error.service_message


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            "HTTPS://Name.CognitiveServices.Azure.com/customvision/v3.3/Training/",
            "https://name.cognitiveservices.azure.com",
        ),
        (
            "https://westeurope.api.cognitive.microsoft.com/customvision/v3.4-preview/Training/projects",
            "https://westeurope.api.cognitive.microsoft.com",
        ),
        (
            "https://name.cognitiveservices.azure.com/CustomVision/V3.3/",
            "https://name.cognitiveservices.azure.com",
        ),
        (
            "https://name.cognitiveservices.azure.com/training?x=1#top",
            "https://name.cognitiveservices.azure.com",
        ),
        ("NAME.cognitiveservices.azure.com", "https://name.cognitiveservices.azure.com"),
        ("https://proxy.example/azure/CUSTOMVISION/v3.2", "https://proxy.example/azure"),
        ("HTTP://LocalHost:5000/CustomVision/", "http://localhost:5000"),
    ],
)
def test_endpoints_in_any_case_and_with_a_path(given: str, kept: str) -> None:
    assert rb.TrainingClient(given, KEY).endpoint == kept


@pytest.mark.parametrize(
    "given",
    [
        "https://www.customvision.ai/projects/0a1b#/manage",
        "customvision.ai",
        "https://Portal.Azure.com/#@x/resource/subscriptions/1",
        "https://ms.portal.azure.com/",
    ],
)
def test_the_address_of_a_portal_is_not_an_endpoint(given: str) -> None:
    with pytest.raises(rb.OptionError) as caught:
        rb.TrainingClient(given, KEY)
    assert caught.value.option == "endpoint"
    assert mentions(caught.value, "training endpoint")
    assert not message_problems(str(caught.value))


def test_a_token_needs_the_endpoint_of_the_resource() -> None:
    credential = mock.Mock(spec=["get_token"])
    region = "https://westeurope.api.cognitive.microsoft.com/"
    with pytest.raises(rb.OptionError) as caught:
        rb.TrainingClient(region, credential=credential)
    assert (caught.value.option, credential.mock_calls) == ("endpoint", [])
    assert not message_problems(str(caught.value))
    rb.TrainingClient("https://name.cognitiveservices.azure.com", credential=credential).close()


def test_a_wrong_key_of_the_local_service() -> None:
    with rehearsal(Settings(key=KEY)) as (service, _, _):
        client = rb.TrainingClient(service.endpoint, "a wrong key".replace(" ", "-"))
        with pytest.raises(rb.AccessError) as caught:
            client.project(id_of("project"))
    assert mentions(caught.value, "training key")
