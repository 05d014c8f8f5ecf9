"""The client: requests, responses, errors, and that the key is never shown."""

from __future__ import annotations

import json
import logging
import pickle
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING

import pytest
from azure.core.credentials import AccessToken
from customvision.rehearsal import rehearsal

import regionbatch as rb
from helpers import id_of, mentions, raises_mentioning
from regionbatch.batching import Batch, Entry
from regionbatch.customvision.service_types import ImageUpload
from regionbatch.local import Settings

if TYPE_CHECKING:
    from customvision.conftest import ScriptedServer

KEY = "0123456789abcdef-SECRET"
PROJECT = id_of("project")
BATCH = Batch.of([Entry(id_of("image"), id_of("tag"), 0.1, 0.2, 0.3, 0.4)])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://name.cognitiveservices.azure.com/", "https://name.cognitiveservices.azure.com"),
        ("https://name.cognitiveservices.azure.com", "https://name.cognitiveservices.azure.com"),
        (" name.cognitiveservices.azure.com/ \n", "https://name.cognitiveservices.azure.com"),
        ("https://weu.example/customvision/v3.3/Training/", "https://weu.example"),
        ("https://weu.example/customvision", "https://weu.example"),
        ("https://g.example/a/customvision/v3.2/training/projects", "https://g.example/a"),
        ("https://name.example:8443/", "https://name.example:8443"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)  # fmt: skip
def test_endpoints_are_normalised(given: str, kept: str) -> None:
    assert rb.TrainingClient(given, KEY).endpoint == kept


@pytest.mark.parametrize(
    "given",
    [
        "",
        "   ",
        "https://",
        "ftp://name.example",
        "https://user:word@name.example",
        "http://[::1",
        "https://a:b",
    ],
)
def test_invalid_endpoints(given: str) -> None:
    with raises_mentioning(rb.OptionError, "endpoint") as caught:
        rb.TrainingClient(given, KEY)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "host",
    ["name.cognitiveservices.azure.com", "10.0.0.1", "127.0.0.1.example", "localhost.example"],
)
def test_http_is_only_allowed_to_this_machine(host: str) -> None:
    with raises_mentioning(rb.OptionError, "endpoint", "https", host):
        rb.TrainingClient(f"http://{host}/", KEY)


@pytest.mark.parametrize("version", ["3", "v3.2", "3.2/../..", "3.2-preview2"])
def test_invalid_versions(version: str) -> None:
    with raises_mentioning(rb.OptionError, version):
        rb.TrainingClient("https://name.example", KEY, version=version)


def test_either_a_key_or_a_credential_is_needed() -> None:
    with raises_mentioning(rb.OptionError, "key", "credential"):
        rb.TrainingClient("https://name.example")
    with raises_mentioning(rb.OptionError, "key", "credential"):
        rb.TrainingClient("https://name.example", KEY, credential=Credential())


class Credential:
    asked = 0

    def get_token(self, *scopes: str, **_more: object) -> AccessToken:
        Credential.asked += 1
        assert scopes == ("https://cognitiveservices.azure.com/.default",)
        return AccessToken("token", 2**40)


def test_a_token_is_only_sent_over_https() -> None:
    with raises_mentioning(rb.OptionError, "https", "http://127.0.0.1:9"):
        rb.TrainingClient("http://127.0.0.1:9", credential=Credential())
    with rb.TrainingClient("https://127.0.0.1:9", credential=Credential(), timeout=1) as client:
        with raises_mentioning(rb.UnreachableError, "https://127.0.0.1:9"):
            client.domains()
        assert Credential.asked == 1


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", "k e y", "kéy"])
def test_an_invalid_key_is_not_shown(key: str) -> None:
    with pytest.raises(rb.OptionError) as caught:
        rb.TrainingClient("https://name.example", key)
    assert key not in str(caught.value)


def test_requests(scripted: ScriptedServer) -> None:
    client = rb.TrainingClient(f"{scripted.endpoint}/customvision/v3.0", f" {KEY}\n", version="3.3")
    scripted.add_response(200, json.dumps({"id": id_of("tag"), "name": "a&b=c +é/#"}))
    assert client.create_tag(PROJECT, "a&b=c +é/#").id == id_of("tag")
    scripted.add_response(200, "{}")
    client.create_regions(PROJECT, BATCH)
    scripted.add_response(204)
    client.delete_regions(PROJECT, [id_of("one"), id_of("two")])
    tag, regions, delete = scripted.requests
    path = f"/customvision/v3.3/training/projects/{PROJECT}"
    assert (tag.method, tag.body) == ("POST", b"")
    assert tag.path == f"{path}/tags?name=a%26b%3Dc%20%2B%C3%A9%2F%23&type=Regular"
    assert (regions.method, regions.path, regions.body) == (
        "POST",
        f"{path}/images/regions",
        BATCH.to_json(),
    )
    assert regions.headers["Content-Type"] == "application/json"
    assert (delete.method, delete.path) == (
        "DELETE",
        f"{path}/images/regions?regionIds={id_of('one')}%2C{id_of('two')}",
    )
    for asked in scripted.requests:
        assert asked.headers["Training-Key"] == KEY
        assert asked.headers["User-Agent"].startswith(f"regionbatch/{rb.__version__}")


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize(
    "body", ['{"created": null, "duplicated": null, "exceeded": null}', "{}", '{"created": []}']
)
def test_null_and_absent_lists(scripted: ScriptedServer, status: int, body: str) -> None:
    scripted.add_response(status, body)
    answer = rb.TrainingClient(scripted.endpoint, KEY).create_regions(PROJECT, BATCH)
    assert [*(answer.created or []), *(answer.duplicated or []), *(answer.exceeded or [])] == []


def test_absent_and_unknown_members(scripted: ScriptedServer) -> None:
    row = {
        "imageId": id_of("image"),
        "tagId": id_of("tag"),
        "left": 0,
        "top": 0.2,
        "width": 0.3,
        "height": 0.4,
    }
    scripted.add_response(
        200, json.dumps({"created": [row, {**row, "tagName": None, "new": [1]}], "more": {}})
    )
    answer = rb.TrainingClient(scripted.endpoint, KEY).create_regions(PROJECT, BATCH)
    assert [region.left for region in answer.created or ()] == [0, 0]


@pytest.mark.parametrize("given", ['"a.jpg"', "a.jpg"])
def test_quotes_around_names(scripted: ScriptedServer, given: str) -> None:
    scripted.add_response(
        200, json.dumps({"images": [{"sourceUrl": given, "status": "OK", "image": None}]})
    )
    [row] = rb.TrainingClient(scripted.endpoint, KEY).create_images(
        PROJECT, [ImageUpload(name="a.jpg", contents=b"a")]
    )
    assert row.source_url == "a.jpg"


SERVICE = '{"code": "%s", "message": "the reason"}'
GATEWAY = '{"error": {"code": "%s", "message": "the reason"}}'


def test_a_redirect_is_an_error_with_its_target(scripted: ScriptedServer) -> None:
    scripted.add_response(301, "<html>", Location=f"https://127.0.0.1/{KEY}")
    with raises_mentioning(rb.TransportError, 301, "https://127.0.0.1/***") as caught:
        rb.TrainingClient(scripted.endpoint, KEY).domains()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("shape", [SERVICE, GATEWAY])
@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (400, "BadRequestImageRegions", rb.ServiceError),
        (404, "NotFoundProject", rb.ServiceError),
        (400, "BadRequestExceedTagPerProjectLimit", rb.LimitError),
        (401, "401", rb.AccessError),
        (403, "ForbiddenDRModeEnabled", rb.AccessError),
        (408, "408", rb.TransportError),
        (429, "429", rb.LimitError),
        (500, "ErrorUnknown", rb.TransportError),
        (503, "503", rb.TransportError),
        (302, "Found", rb.TransportError),
    ],
)
def test_both_forms_of_errors(
    scripted: ScriptedServer, shape: str, status: int, code: str, kind: type[rb.ServiceError]
) -> None:
    scripted.add_response(status, shape % code, Location="http://127.0.0.1:9/")
    with pytest.raises(rb.ServiceError) as caught:
        rb.TrainingClient(scripted.endpoint, KEY).create_regions(PROJECT, BATCH)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.service_message) == (status, code, "the reason")
    assert mentions(
        error, "CreateImageRegions", scripted.endpoint, status, code, error.service_message
    )
    assert len(scripted.requests) == 1, "the client does not repeat calls"
    assert pickle.loads(pickle.dumps(error)).service_message == "the reason"


@pytest.mark.parametrize(
    "body", ["", "<html>Bad Gateway</html>", "[]", '{"error": null}', "\xff", '{"code": 7}']
)
def test_errors_without_a_known_form(scripted: ScriptedServer, body: str) -> None:
    scripted.add_response(502, body.encode("latin-1"))
    with raises_mentioning(rb.TransportError, 502) as caught:
        rb.TrainingClient(scripted.endpoint, KEY).domains()
    assert getattr(caught.value, "status", 0) == 502


@pytest.mark.parametrize(
    "body", ["", "OK", '{"created": [{"imageId": 1}]}', '{"created": [', "[]", "\xff\xfe"]
)
def test_unexpected_responses(scripted: ScriptedServer, body: str) -> None:
    scripted.add_response(200, body.encode("latin-1"))
    with raises_mentioning(rb.TransportError, "CreateImageRegions"):
        rb.TrainingClient(scripted.endpoint, KEY).create_regions(PROJECT, BATCH)


@pytest.mark.parametrize(
    ("header", "message", "seconds"),
    [
        ("7", "", 7),
        ("", "Please retry after 12 second(s)", 12),
        ("3", "Please retry after 12 second(s)", 3),
        ("soon", "", 0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", "", 0),
        ("", "", 0),
    ],
)
def test_the_wait_that_a_429_asks_for(
    scripted: ScriptedServer, header: str, message: str, seconds: float
) -> None:
    named = {"Retry_After": header} if header else {}
    scripted.add_response(429, json.dumps({"error": {"code": "429", "message": message}}), **named)
    with pytest.raises(rb.LimitError) as caught:
        rb.TrainingClient(scripted.endpoint, KEY).domains()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [200, 502])
def test_deeply_nested_responses(scripted: ScriptedServer, status: int) -> None:
    deep = '{"id": "x", "zz": ' + "[" * 100_000
    scripted.add_response(status, f"[{deep}" if status == 200 else deep)
    with raises_mentioning(rb.TransportError, "GetDomains", *([status] if status != 200 else [])):
        rb.TrainingClient(scripted.endpoint, KEY).domains()


def test_a_429_with_a_date(scripted: ScriptedServer) -> None:
    scripted.add_response(
        429,
        "{}",
        Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True),
    )
    with pytest.raises(rb.LimitError) as caught:
        rb.TrainingClient(scripted.endpoint, KEY).domains()
    assert 90 < caught.value.retry_after <= 100


def test_a_503_with_a_date_without_a_time_zone(scripted: ScriptedServer) -> None:
    moment = format_datetime((datetime.now(UTC) + timedelta(seconds=100)).replace(tzinfo=None))
    assert moment.endswith("-0000")
    scripted.add_response(503, "{}", Retry_After=moment)
    with pytest.raises(rb.TransportError) as caught:
        rb.TrainingClient(scripted.endpoint, KEY).domains()
    assert 90 < caught.value.retry_after <= 100


def test_a_refused_tag_is_named(scripted: ScriptedServer) -> None:
    scripted.add_response(400, '{"code": "BadRequestTagName", "message": "no"}')
    with raises_mentioning(rb.ServiceError, "CreateTag", "cat"):
        rb.TrainingClient(scripted.endpoint, KEY).create_tag(PROJECT, "cat")


def test_an_endpoint_that_does_not_respond() -> None:
    client = rb.TrainingClient("http://127.0.0.1:9", KEY, timeout=1)
    with pytest.raises(rb.TransportError) as caught:
        client.domains()
    assert mentions(caught.value, "http://127.0.0.1:9")
    assert (caught.value.status, caught.value.code) == (0, "")


def test_the_key_is_never_shown(scripted: ScriptedServer, caplog: pytest.LogCaptureFixture) -> None:
    client = rb.TrainingClient(scripted.endpoint, KEY)
    seen = [repr(client), str(client)]
    with caplog.at_level(logging.DEBUG):
        scripted.add_response(200, "[]")
        client.domains()
        scripted.add_response(
            401, json.dumps({"error": {"code": f"bad {KEY}", "message": f"the key {KEY} is wrong"}})
        )
        with pytest.raises(rb.AccessError) as caught:
            client.domains()
        seen += [
            str(caught.value),
            caught.value.code,
            caught.value.service_message,
            repr(caught.value),
        ]
    assert "Training-Key" in caplog.text, "headers are logged, so this test can fail"
    seen += [caplog.text, *(str(record.__dict__) for record in caplog.records)]
    assert not [text for text in seen if KEY in text]


@pytest.mark.parametrize("version", ["3.2", "3.3"])
def test_against_the_local_service(version: str) -> None:
    with rehearsal(Settings(quoted_names=True, key=KEY), version=version) as (_, project, client):
        assert client.project(project).name == "rehearsal"
        assert {domain.type for domain in client.domains()} == {"ObjectDetection", "Classification"}
        tag = client.create_tag(project, "Straße & Co")
        assert [(row.name, row.type) for row in client.tags(project)] == [
            ("Straße & Co", "Regular")
        ]
        gif = b"GIF89a\x10\x00\x10\x00\x00\x00\x00;"
        images = [
            ImageUpload(name=name, contents=gif + name.encode()) for name in ("a.gif", "b.gif")
        ]
        rows = client.create_images(
            project, [*images, ImageUpload(name="c.gif", contents=b"not an image")]
        )
        assert {row.source_url: row.status for row in rows} == {
            "a.gif": "OK",
            "b.gif": "OK",
            "c.gif": "ErrorImageFormat",
        }
        ids = {row.source_url: row.image.id for row in rows if row.image}
        answer = client.create_regions(
            project, Batch.of([Entry(ids["a.gif"], tag.id, 0.1, 0.2, 0.3, 0.4)])
        )
        [created] = answer.created or []
        assert [image.id for image in client.tagged_images(project)] == [ids["a.gif"]]
        assert [image.id for image in client.untagged_images(project, take=1)] == [ids["b.gif"]]
        assert not client.tagged_images(project, skip=1)
        image, *_ = client.images_by_id(project, [ids["a.gif"], id_of("nowhere")])
        assert [region.region_id for region in image.regions or ()] == [created.region_id]
        client.delete_regions(project, [created.region_id])
        assert not client.tagged_images(project)


def test_a_wrong_key() -> None:
    with rehearsal(Settings(key=KEY)) as (service, project, _):
        with pytest.raises(rb.AccessError) as caught:
            rb.TrainingClient(service.endpoint, "another").project(project)
        assert caught.value.status == 401
        assert rb.TrainingClient(service.endpoint, KEY).project(project).id == project


def test_a_proxy_is_not_used_for_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with rehearsal() as (_, project, client):
        assert client.project(project).id == project
