"""Microsoft's own (retired) client library works with the service: a second check of messages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.cognitiveservices.vision.customvision.training import CustomVisionTrainingClient
from azure.cognitiveservices.vision.customvision.training.models import (
    CustomVisionErrorException,
    ImageFileCreateBatch,
    ImageFileCreateEntry,
    ImageRegionCreateEntry,
    ImageUrlCreateBatch,
    ImageUrlCreateEntry,
    Region,
)
from blob_server import blob_server
from msrest.authentication import ApiKeyCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Workspace

    Start = Callable[..., Workspace]


def client_of(work: Workspace) -> Any:
    """Return the library's client for the version of the service; its types lack the operations."""
    credentials = ApiKeyCredentials(in_headers={"Training-Key": work.service.key})
    make_client: Any = CustomVisionTrainingClient
    client: Any = make_client(work.service.endpoint, credentials)
    client.config.base_url = f"{{Endpoint}}/customvision/{work.version}/training"
    return client


@pytest.fixture(params=["v3.2", "v3.3", "v3.4-preview"])
def work(workspace: Start, request: pytest.FixtureRequest) -> Workspace:
    return workspace(version=request.param, key="secret")


def region_of(
    work: Workspace, left: float, top: float, width: float, height: float
) -> ImageRegionCreateEntry:
    return ImageRegionCreateEntry(
        image_id=work.images[0], tag_id=work.tag, left=left, top=top, width=width, height=height
    )


def entry_of(work: Workspace, number: int, **more: Any) -> ImageFileCreateEntry:
    contents = bytearray(work.image_file(number))
    return ImageFileCreateEntry(name=f"{number}.png", contents=contents, **more)


def test_projects_and_tags(work: Workspace) -> None:
    with client_of(work) as client:
        domain = next(row for row in client.get_domains() if row.type == "ObjectDetection")
        project = client.create_project("cells by SDK", domain_id=domain.id)
        assert client.get_project(project.id).settings.domain_id == domain.id
        assert {row.name for row in client.get_projects()} == {"cells", "cells by SDK"}
        tags = {name: client.create_tag(project.id, name).id for name in ("RBC", "a/b & c")}
        assert {tag.name: tag.id for tag in client.get_tags(project.id)} == tags
        client.delete_tag(project.id, tags["RBC"])
        assert client.get_tag(project.id, tags["a/b & c"]).image_count == 0


@pytest.mark.parametrize("nulls", [True, False])
def test_uploaded_images(workspace: Start, nulls: bool) -> None:
    work = workspace(nulls=nulls)
    invalid = ImageFileCreateEntry(name="x", contents=bytearray(b"not an image"))
    with client_of(work) as client:
        batch = ImageFileCreateBatch(images=[entry_of(work, number) for number in (10, 11)])
        uploaded = client.create_images_from_files(work.project, batch)
        assert uploaded.is_batch_successful
        batch = ImageFileCreateBatch(images=[entry_of(work, 10), invalid])
        again = client.create_images_from_files(work.project, batch)
    assert {row.source_url: row.status for row in again.images} == {
        "10.png": "OKDuplicate",
        "x": "ErrorImageFormat",
    }


def test_images_from_urls(work: Workspace) -> None:
    with blob_server() as blobs, client_of(work) as client:
        blobs.files |= {"a b.png": work.image_file(10), "b.png": work.image_file(11)}
        names = {path: blobs.sign(path, 60) for path in [*blobs.files, "missing.png"]}
        entries = [ImageUrlCreateEntry(url=url) for url in names.values()]
        entries[0].regions = [Region(tag_id=work.tag, left=0, top=0, width=0.5, height=0.5)]
        batch = ImageUrlCreateBatch(images=entries)
        uploaded = client.create_images_from_urls(work.project, batch)
    found = {row.source_url: row.status for row in uploaded.images}
    assert {name: found[url] for name, url in names.items()} == {
        "a b.png": "OK",
        "b.png": "OK",
        "missing.png": "ErrorSource",
    }
    assert work.stored() == [(0, 0, 0.5, 0.5)]


@pytest.mark.parametrize("nulls", [True, False])
def test_created_regions(workspace: Start, nulls: bool) -> None:
    work = workspace(nulls=nulls)
    boxes = [(number / 64, 0.25, 0.125, 0.5) for number in range(50)]
    regions = [region_of(work, *box) for box in boxes]
    with client_of(work) as client:
        summary = client.create_image_regions(work.project, regions=regions)
        assert {row.left for row in summary.created} == {box[0] for box in boxes}
        assert not summary.duplicated
        assert not summary.exceeded
        [image] = client.get_tagged_images(work.project, take=256)
        stored = [(row.left, row.top, row.width, row.height) for row in image.regions]
        assert sorted(stored) == boxes
        client.delete_image_regions(work.project, region_ids=[image.regions[0].region_id])
    assert len(work.stored()) == len(boxes) - 1


def test_pages_counts_and_deletion_of_images(work: Workspace) -> None:
    box = Region(tag_id=work.tag, left=0.5, top=0.5, width=0.25, height=0.25)
    batch = ImageFileCreateBatch(images=[entry_of(work, 10, regions=[box])])
    with client_of(work) as client:
        [uploaded] = client.create_images_from_files(work.project, batch).images
        tagged = client.get_tagged_images(work.project, tag_ids=[work.tag], order_by="Oldest")
        assert [image.id for image in tagged] == [uploaded.image.id]
        assert {region.tag_name for region in tagged[0].regions} == {"RBC"}
        assert client.get_tagged_image_count(work.project) == 1
        assert client.get_untagged_image_count(work.project) == 2
        assert len(client.get_images_by_ids(work.project, image_ids=work.images)) == 2
        if work.version != "v3.2":
            assert client.get_image_count(work.project) == 3
            assert len(client.get_images(work.project)) == 3
        client.delete_images(work.project, image_ids=work.images)
        assert client.get_untagged_images(work.project) == []


@pytest.mark.parametrize("version", ["v3.3", "v3.4-preview"])
def test_metadata_of_images(workspace: Start, version: str) -> None:
    work = workspace(version=version)
    with client_of(work) as client:
        batch = ImageFileCreateBatch(images=[entry_of(work, 10)], metadata={"name": "a/ä.png"})
        [uploaded] = client.create_images_from_files(work.project, batch).images
        assert uploaded.image.metadata == {"name": "a/ä.png"}
        ids = [uploaded.image.id]
        updated = client.update_image_metadata(work.project, ids, {"split": "train"})
        assert updated.is_batch_successful
        [image] = client.get_images_by_ids(work.project, image_ids=ids)
        assert image.metadata == {"name": "a/ä.png", "split": "train"}
        assert not client.get_images(work.project, filter="metadata=name eq 'x'")
        assert client.get_image_count(work.project, filter="metadata=name eq 'a/ä.png'") == 1


def test_the_library_reads_null_as_a_tag_name(workspace: Start) -> None:
    work = workspace()
    with client_of(work) as client:
        regions = [region_of(work, 0, 0, 0.1, 1 / 3)]
        [created] = client.create_image_regions(work.project, regions=regions).created
        assert (created.tag_name, created.width, created.height) == (None, 0.1, 0.33333334)
        assert created.created.year > 2000


def test_the_library_reads_errors(workspace: Start) -> None:
    work = workspace()
    entry = region_of(work, 0, 0, 1, 1)
    with client_of(work) as client, pytest.raises(CustomVisionErrorException) as caught:
        client.create_image_regions(work.project, regions=[entry, entry])
    assert getattr(caught.value.error, "code", None) == "BadRequestImageRegions"
