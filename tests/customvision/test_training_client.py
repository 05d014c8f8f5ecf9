"""The client: where it calls, what it understands, what its errors say, and that the key stays where it belongs."""

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
from regionbatch.customvision.client import Picture
from regionbatch.local import Settings

if TYPE_CHECKING:
    from customvision.conftest import Canned

KEY = "0123456789abcdef-SECRET"
PROJECT = id_of("project")
BATCH = Batch.of([Entry(id_of("image"), id_of("tag"), 0.1, 0.2, 0.3, 0.4)])


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://name.cognitiveservices.azure.com/", "https://name.cognitiveservices.azure.com"),
        ("https://name.cognitiveservices.azure.com", "https://name.cognitiveservices.azure.com"),
        (" name.cognitiveservices.azure.com/ \n", "https://name.cognitiveservices.azure.com"),
        ("https://westeurope.api.cognitive.microsoft.com/customvision/v3.3/Training/", "https://westeurope.api.cognitive.microsoft.com"),
        ("https://westeurope.api.cognitive.microsoft.com/customvision", "https://westeurope.api.cognitive.microsoft.com"),
        ("https://gateway.example/vision/customvision/v3.2/training/projects", "https://gateway.example/vision"),
        ("https://name.example:8443/", "https://name.example:8443"),
        ("http://127.0.0.1:5000/", "http://127.0.0.1:5000"),
        ("http://localhost:5000", "http://localhost:5000"),
        ("http://[::1]:5000", "http://[::1]:5000"),
    ],
)  # fmt: skip
def test_endpoints_as_people_paste_them(given: str, kept: str) -> None:
    assert rb.TrainingClient(given, KEY).endpoint == kept


@pytest.mark.parametrize(
    "given",
    ["", "   ", "https://", "ftp://name.example", "https://user:word@name.example", "http://[::1", "https://a:b"],
)
def test_what_is_no_endpoint(given: str) -> None:
    with raises_mentioning(rb.OptionError, "endpoint") as caught:
        rb.TrainingClient(given, KEY)
    assert "word" not in str(caught.value)


@pytest.mark.parametrize(
    "host", ["name.cognitiveservices.azure.com", "10.0.0.1", "127.0.0.1.example", "localhost.example"]
)
def test_http_only_to_this_machine(host: str) -> None:
    with raises_mentioning(rb.OptionError, "endpoint", "https", host):
        rb.TrainingClient(f"http://{host}/", KEY)


@pytest.mark.parametrize("version", ["3", "v3.2", "3.2/../..", "3.2-preview2"])
def test_what_is_no_version(version: str) -> None:
    with raises_mentioning(rb.OptionError, version):
        rb.TrainingClient("https://name.example", KEY, version=version)


def test_a_key_or_a_credential() -> None:
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


def test_a_token_goes_over_https_only() -> None:
    with raises_mentioning(rb.OptionError, "https", "http://127.0.0.1:9"):
        rb.TrainingClient("http://127.0.0.1:9", credential=Credential())
    with rb.TrainingClient("https://127.0.0.1:9", credential=Credential(), timeout=1) as client:
        with raises_mentioning(rb.UnreachableError, "https://127.0.0.1:9"):
            client.domains()
        assert Credential.asked == 1


@pytest.mark.parametrize("key", [f"{KEY}\r\nX: y", "k e y", "kéy"])
def test_a_key_that_cannot_be_one_is_not_shown(key: str) -> None:
    with pytest.raises(rb.OptionError) as caught:
        rb.TrainingClient("https://name.example", key)
    assert key not in str(caught.value)


def test_what_is_sent(canned: Canned) -> None:
    client = rb.TrainingClient(f"{canned.endpoint}/customvision/v3.0", f" {KEY}\n", version="3.3")
    canned.answer(200, json.dumps({"id": id_of("tag"), "name": "a&b=c +é/#"}))
    assert client.create_tag(PROJECT, "a&b=c +é/#").id == id_of("tag")
    canned.answer(200, "{}")
    client.create_regions(PROJECT, BATCH)
    canned.answer(204)
    client.delete_regions(PROJECT, [id_of("one"), id_of("two")])
    tag, regions, delete = canned.asked
    path = f"/customvision/v3.3/training/projects/{PROJECT}"
    assert (tag.method, tag.body) == ("POST", b"")
    assert tag.path == f"{path}/tags?name=a%26b%3Dc%20%2B%C3%A9%2F%23&type=Regular"
    assert (regions.method, regions.path, regions.body) == ("POST", f"{path}/images/regions", BATCH.to_json())
    assert regions.headers["Content-Type"] == "application/json"
    assert (delete.method, delete.path) == (
        "DELETE",
        f"{path}/images/regions?regionIds={id_of('one')}%2C{id_of('two')}",
    )
    for asked in canned.asked:
        assert asked.headers["Training-Key"] == KEY
        assert asked.headers["User-Agent"].startswith(f"regionbatch/{rb.__version__}")


@pytest.mark.parametrize("status", [200, 207])
@pytest.mark.parametrize("body", ['{"created": null, "duplicated": null, "exceeded": null}', "{}", '{"created": []}'])
def test_null_and_absent_lists(canned: Canned, status: int, body: str) -> None:
    canned.answer(status, body)
    answer = rb.TrainingClient(canned.endpoint, KEY).create_regions(PROJECT, BATCH)
    assert [*(answer.created or []), *(answer.duplicated or []), *(answer.exceeded or [])] == []


def test_members_that_may_be_absent_and_members_that_nobody_knows(canned: Canned) -> None:
    row = {"imageId": id_of("image"), "tagId": id_of("tag"), "left": 0, "top": 0.2, "width": 0.3, "height": 0.4}
    canned.answer(200, json.dumps({"created": [row, {**row, "tagName": None, "new": [1]}], "more": {}}))
    answer = rb.TrainingClient(canned.endpoint, KEY).create_regions(PROJECT, BATCH)
    assert [region.left for region in answer.created or ()] == [0, 0]


@pytest.mark.parametrize("given", ['"a.jpg"', "a.jpg"])
def test_quotes_around_names(canned: Canned, given: str) -> None:
    canned.answer(200, json.dumps({"images": [{"sourceUrl": given, "status": "OK", "image": None}]}))
    [row] = rb.TrainingClient(canned.endpoint, KEY).create_images(PROJECT, [Picture(name="a.jpg", contents=b"a")])
    assert row.source_url == "a.jpg"


SERVICE = '{"code": "%s", "message": "said so"}'
GATEWAY = '{"error": {"code": "%s", "message": "said so"}}'


def test_a_redirect_says_where_to(canned: Canned) -> None:
    canned.answer(301, "<html>", Location=f"https://127.0.0.1/{KEY}")
    with raises_mentioning(rb.TransportError, 301, "https://127.0.0.1/***") as caught:
        rb.TrainingClient(canned.endpoint, KEY).domains()
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
def test_both_shapes_of_errors(canned: Canned, shape: str, status: int, code: str, kind: type[rb.ServiceError]) -> None:
    canned.answer(status, shape % code, Location="http://127.0.0.1:9/")
    with pytest.raises(rb.ServiceError) as caught:
        rb.TrainingClient(canned.endpoint, KEY).create_regions(PROJECT, BATCH)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.code, error.said) == (status, code, "said so")
    assert mentions(error, "CreateImageRegions", canned.endpoint, status, code, error.said)
    assert len(canned.asked) == 1, "the client repeats nothing by itself"
    assert pickle.loads(pickle.dumps(error)).said == "said so"


@pytest.mark.parametrize("body", ["", "<html>Bad Gateway</html>", "[]", '{"error": null}', "\xff", '{"code": 7}'])
def test_errors_without_a_shape(canned: Canned, body: str) -> None:
    canned.answer(502, body.encode("latin-1"))
    with raises_mentioning(rb.TransportError, 502) as caught:
        rb.TrainingClient(canned.endpoint, KEY).domains()
    assert getattr(caught.value, "status", 0) == 502


@pytest.mark.parametrize("body", ["", "OK", '{"created": [{"imageId": 1}]}', '{"created": [', "[]", "\xff\xfe"])
def test_answers_that_make_no_sense(canned: Canned, body: str) -> None:
    canned.answer(200, body.encode("latin-1"))
    with raises_mentioning(rb.TransportError, "CreateImageRegions"):
        rb.TrainingClient(canned.endpoint, KEY).create_regions(PROJECT, BATCH)


@pytest.mark.parametrize(
    ("header", "said", "seconds"),
    [
        ("7", "", 7),
        ("", "Please retry after 12 second(s)", 12),
        ("3", "Please retry after 12 second(s)", 3),
        ("soon", "", 0),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", "", 0),
        ("", "", 0),
    ],
)
def test_how_long_a_429_asks_to_wait(canned: Canned, header: str, said: str, seconds: float) -> None:
    named = {"Retry_After": header} if header else {}
    canned.answer(429, json.dumps({"error": {"code": "429", "message": said}}), **named)
    with pytest.raises(rb.LimitError) as caught:
        rb.TrainingClient(canned.endpoint, KEY).domains()
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize("status", [200, 502])
def test_answers_that_are_nested_deep(canned: Canned, status: int) -> None:
    deep = '{"id": "x", "zz": ' + "[" * 100_000
    canned.answer(status, f"[{deep}" if status == 200 else deep)
    with raises_mentioning(rb.TransportError, "GetDomains", *([status] if status != 200 else [])):
        rb.TrainingClient(canned.endpoint, KEY).domains()


def test_a_429_that_names_a_date(canned: Canned) -> None:
    canned.answer(429, "{}", Retry_After=format_datetime(datetime.now(UTC) + timedelta(seconds=100), usegmt=True))
    with pytest.raises(rb.LimitError) as caught:
        rb.TrainingClient(canned.endpoint, KEY).domains()
    assert 90 < caught.value.retry_after <= 100


def test_how_long_a_503_asks_to_wait_and_a_date_without_a_zone(canned: Canned) -> None:
    moment = format_datetime((datetime.now(UTC) + timedelta(seconds=100)).replace(tzinfo=None))
    assert moment.endswith("-0000")
    canned.answer(503, "{}", Retry_After=moment)
    with pytest.raises(rb.TransportError) as caught:
        rb.TrainingClient(canned.endpoint, KEY).domains()
    assert 90 < caught.value.retry_after <= 100


def test_a_refused_tag_is_named(canned: Canned) -> None:
    canned.answer(400, '{"code": "BadRequestTagName", "message": "no"}')
    with raises_mentioning(rb.ServiceError, "CreateTag", "cat"):
        rb.TrainingClient(canned.endpoint, KEY).create_tag(PROJECT, "cat")


def test_nobody_there() -> None:
    client = rb.TrainingClient("http://127.0.0.1:9", KEY, timeout=1)
    with pytest.raises(rb.TransportError) as caught:
        client.domains()
    assert mentions(caught.value, "http://127.0.0.1:9")
    assert (caught.value.status, caught.value.code) == (0, "")


def test_the_key_is_nowhere_to_be_seen(canned: Canned, caplog: pytest.LogCaptureFixture) -> None:
    client = rb.TrainingClient(canned.endpoint, KEY)
    seen = [repr(client), str(client)]
    with caplog.at_level(logging.DEBUG):
        canned.answer(200, "[]")
        client.domains()
        canned.answer(401, json.dumps({"error": {"code": f"bad {KEY}", "message": f"the key {KEY} is wrong"}}))
        with pytest.raises(rb.AccessError) as caught:
            client.domains()
        seen += [str(caught.value), caught.value.code, caught.value.said, repr(caught.value)]
    assert "Training-Key" in caplog.text, "headers are logged, so that this can fail"
    seen += [caplog.text, *(str(record.__dict__) for record in caplog.records)]
    assert not [text for text in seen if KEY in text]


@pytest.mark.parametrize("version", ["3.2", "3.3"])
def test_against_the_local_service(version: str) -> None:
    with rehearsal(Settings(quoted_names=True, key=KEY), version=version) as (_, project, client):
        assert client.project(project).name == "rehearsal"
        assert {domain.type for domain in client.domains()} == {"ObjectDetection", "Classification"}
        tag = client.create_tag(project, "Straße & Co")
        assert [(row.name, row.type) for row in client.tags(project)] == [("Straße & Co", "Regular")]
        gif = b"GIF89a\x10\x00\x10\x00\x00\x00\x00;"
        pictures = [Picture(name=name, contents=gif + name.encode()) for name in ("a.gif", "b.gif")]
        rows = client.create_images(project, [*pictures, Picture(name="c.gif", contents=b"no picture")])
        assert {row.source_url: row.status for row in rows} == {
            "a.gif": "OK",
            "b.gif": "OK",
            "c.gif": "ErrorImageFormat",
        }
        ids = {row.source_url: row.image.id for row in rows if row.image}
        answer = client.create_regions(project, Batch.of([Entry(ids["a.gif"], tag.id, 0.1, 0.2, 0.3, 0.4)]))
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


def test_no_proxy_stands_between_this_machine_and_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with rehearsal() as (_, project, client):
        assert client.project(project).id == project
