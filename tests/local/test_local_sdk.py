"""Microsoft's own (retired) client library works the service: a second opinion on every shape."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from azure.cognitiveservices.vision.customvision.training import CustomVisionTrainingClient
from azure.cognitiveservices.vision.customvision.training.models import (
    CustomVisionErrorException,
    ImageFileCreateBatch,
    ImageFileCreateEntry,
    ImageRegionCreateEntry,
    Region,
)
from msrest.authentication import ApiKeyCredentials

if TYPE_CHECKING:
    from collections.abc import Callable

    from local.conftest import Workspace

    Start = Callable[..., Workspace]


def client_of(work: Workspace) -> Any:
    """The library's client on the service's version; its own types do not know its calls."""
    credentials = ApiKeyCredentials(in_headers={"Training-Key": work.service.key})
    client: Any = CustomVisionTrainingClient(work.service.endpoint, credentials)  # type: ignore[no-untyped-call]
    client.config.base_url = f"{{Endpoint}}/customvision/{work.version}/training"
    return client


@pytest.mark.parametrize("version", ["v3.2", "v3.3", "v3.4-preview"])
@pytest.mark.parametrize("nulls", [True, False])
def test_tags_images_and_regions_go_up_and_come_back(workspace: Start, version: str, nulls: bool) -> None:
    work = workspace(version=version, nulls=nulls, key="secret")
    with client_of(work) as client:
        domain = next(row for row in client.get_domains() if row.type == "ObjectDetection")
        project = client.create_project("cells by SDK", domain_id=domain.id)
        assert client.get_project(project.id).settings.domain_id == domain.id
        assert {row.name for row in client.get_projects()} == {"cells", "cells by SDK"}

        tags = {name: client.create_tag(project.id, name).id for name in ("RBC", "a/b & c")}
        assert {tag.name: tag.id for tag in client.get_tags(project.id)} == tags

        inline = Region(tag_id=tags["RBC"], left=0.5, top=0.5, width=0.25, height=0.25)
        entries = [
            ImageFileCreateEntry(
                name=f"{number}.png", contents=bytearray(work.picture(number)), regions=[inline] if number else None
            )
            for number in range(3)
        ]
        uploaded = client.create_images_from_files(project.id, ImageFileCreateBatch(images=entries))
        assert uploaded.is_batch_successful
        ids = {row.source_url: row.image.id for row in uploaded.images}
        again = client.create_images_from_files(
            project.id,
            ImageFileCreateBatch(
                images=[*entries[:1], ImageFileCreateEntry(name="x", contents=bytearray(b"no picture"))]
            ),
        )
        assert {row.source_url: row.status for row in again.images} == {"0.png": "OKDuplicate", "x": "ErrorImageFormat"}

        boxes = [(number / 64, 0.25, 0.125, 0.5) for number in range(50)]
        regions = [
            ImageRegionCreateEntry(
                image_id=ids["0.png"], tag_id=tags["a/b & c"], left=left, top=top, width=width, height=height
            )
            for left, top, width, height in boxes
        ]
        summary = client.create_image_regions(project.id, regions=regions)
        assert {row.left for row in summary.created} == {box[0] for box in boxes}
        assert not summary.duplicated
        assert not summary.exceeded

        images = {image.id: image for image in client.get_tagged_images(project.id, take=256)}
        back = [(row.left, row.top, row.width, row.height) for row in images[ids["0.png"]].regions]
        assert sorted(back) == boxes
        assert {row.tag_name for row in images[ids["1.png"]].regions} == {"RBC"}
        assert client.get_tagged_image_count(project.id) == 3
        assert client.get_untagged_image_count(project.id) == 0
        assert len(client.get_images_by_ids(project.id, image_ids=list(ids.values()))) == 3
        assert client.get_tagged_images(project.id, tag_ids=[tags["RBC"]], order_by="Oldest")[0].id != ids["0.png"]
        if version != "v3.2":
            assert client.get_image_count(project.id) == len(client.get_images(project.id)) == 3

        first = images[ids["1.png"]].regions[0].region_id
        client.delete_image_regions(project.id, region_ids=[first])
        assert client.get_untagged_images(project.id)[0].id == ids["1.png"]
        client.delete_images(project.id, image_ids=[ids["1.png"]])
        client.delete_tag(project.id, tags["RBC"])
        assert client.get_tag(project.id, tags["a/b & c"]).image_count == 1


def test_errors_reach_the_library(workspace: Start) -> None:
    work = workspace()
    entry = ImageRegionCreateEntry(image_id=work.images[0], tag_id=work.tag, left=0, top=0, width=1, height=1)
    with client_of(work) as client, pytest.raises(CustomVisionErrorException) as caught:
        client.create_image_regions(work.project, regions=[entry, entry])
    assert getattr(caught.value.error, "code", None) == "BadRequestImageRegions"
