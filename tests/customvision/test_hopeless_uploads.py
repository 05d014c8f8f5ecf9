"""Uploads that cannot succeed end soon, and those that follow another one at once do not fail."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    Clock,
    about,
    assert_exact,
    expected_counts,
    rehearsal,
    send_small_batches,
    upload,
    verification_counts,
    write_dataset,
)

import regionbatch as rb
from regionbatch.customvision.service_types import ImageUploadResult, ServiceTag
from regionbatch.local import Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_regions_that_are_refused_from_some_moment_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not all of the remaining batches are halved."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=25, boxes=8))
    with rehearsal() as (service, project, client):
        create = client.create_regions
        calls: list[int] = []

        def create_or_refuse(to: str, batch: Any) -> Any:
            calls.append(len(batch))
            if len(calls) > 4:
                raise rb.ServiceError("a: b. C.", code="BadRequestImageRegions", status=400)
            return create(to, batch)

        monkeypatch.setattr(client, "create_regions", create_or_refuse)
        result = upload(dataset, client, project, in_flight=1)
        assert result.created == len(service.regions(project)) == 4 * 8
        assert result.failed == len(dataset) - result.created
        assert len(calls) <= 4 + (3 + 2) * 15, "of 20 batches that are refused, in 15 calls each"


@pytest.mark.parametrize("status", [400, 409])
def test_a_tag_whose_name_the_service_takes_for_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2, tags=("Cat", "cat")))
    clock = Clock()
    with rehearsal() as (_, project, client):
        create = client.create_tag

        def create_unless_similar(to: str, name: str) -> ServiceTag:
            if any(tag.name.casefold() == name.casefold() for tag in client.tags(to)):
                kind = rb.TransportError if status == 409 else rb.ServiceError
                code = "BadRequestTagNameNotUnique" if status == 400 else "Conflict"
                raise kind("a: b. C.", code=code, status=status)
            return create(to, name)

        monkeypatch.setattr(client, "create_tag", create_unless_similar)
        start = clock.now()
        with pytest.raises(rb.ResolveError) as caught:
            upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert about(caught.value) == ("", "rename", "cat")
        assert clock.now() - start < 15


def test_a_tag_that_exists_but_is_never_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    clock = Clock()
    with rehearsal() as (_, project, client):

        def refuse(*_arguments: object) -> ServiceTag:
            raise rb.ServiceError("a: b. C.", code="BadRequestTagNameNotUnique", status=400)

        monkeypatch.setattr(client, "create_tag", refuse)
        start = clock.now()
        with pytest.raises(rb.ServiceError):
            upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert clock.now() - start < 90


def test_an_image_that_the_service_can_never_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4))
    clock = Clock()
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_others(to: str, images: Any, **options: Any) -> list[ImageUploadResult]:
            bad = [image for image in images if image.name.startswith("1-")]
            others = [image for image in images if image not in bad]
            found = create(to, others, **options) if others else []
            return [
                *found,
                *(ImageUploadResult(source_url=one.name, status="ErrorStorage") for one in bad),
            ]

        monkeypatch.setattr(client, "create_images", create_others)
        start = clock.now()
        result = upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert (result.refused_images, result.failed, result.created) == (1, 30, 60)
        assert clock.now() - start < 60


def test_a_quota_without_a_time_is_not_waited_for_forever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    clock = Clock()
    with rehearsal() as (_, project, client):

        def refuse(*_arguments: object, **_options: object) -> Any:
            raise rb.LimitError("a: b. C.", status=429, retry_after=200)

        monkeypatch.setattr(client, "tags", refuse)
        start = clock.now()
        with pytest.raises(rb.LimitError):
            upload(dataset, client, project, rate_limiter=clock.rate_limiter())
        assert clock.now() - start < 1800


@pytest.mark.parametrize("unknown_ids", ["batch", "not-found"])
def test_a_run_that_resumes_before_the_ids_of_the_last_one_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unknown_ids: Any
) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=5))
    clock = Clock()
    settings = Settings(id_lag=20.0, unknown_ids=unknown_ids)
    options: dict[str, Any] = {
        "journal": tmp_path / "journal.sqlite",
        "rate_limiter": clock.rate_limiter(),
    }
    with rehearsal(settings, clock=clock.now) as (service, project, client):

        def refuse(*_arguments: object) -> Any:
            raise rb.AccessError("a: b. C.", status=401)

        with monkeypatch.context() as patched:
            patched.setattr(client, "create_regions", refuse)
            with pytest.raises(rb.AccessError):
                upload(dataset, client, project, **options)
        options["rate_limiter"] = clock.rate_limiter()
        result = upload(dataset, client, project, **options)
        assert_exact(dataset, result, service, project)


def test_a_run_that_follows_before_the_tags_of_the_last_one_are_listed(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=5))
    clock = Clock()
    settings = Settings(read_lag=20.0, on_existing="twice")
    options: dict[str, Any] = {"rate_limiter": clock.rate_limiter()}
    with rehearsal(settings, clock=clock.now) as (service, project, client):
        first = upload(dataset, client, project, **options)
        tags = client.tags
        listed_at = clock.now() + 20

        def tags_late(to: str) -> list[ServiceTag]:
            return tags(to) if clock.now() > listed_at else []

        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(client, "tags", tags_late)
            result = upload(dataset, client, project, image_ids=first.image_ids, **options)
        assert len(service.regions(project)) == len(dataset)
        assert (result.sent, result.new_tags) == (0, 3)
        assert verification_counts(result) == expected_counts(len(dataset))
