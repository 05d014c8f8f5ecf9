"""Image names in the metadata of version 3.3: a later run needs no journal."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import (
    Clock,
    about,
    assert_exact,
    rehearsal,
    upload,
    write_dataset,
    write_image,
)

import regionbatch as rb

if TYPE_CHECKING:
    from pathlib import Path


def test_a_later_run_finds_images_by_their_stored_names(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=5)
    with rehearsal(version="3.3") as (service, project, client):
        first = upload(rb.read(folder), client, project, store_names=True)
        assert (
            first.calls["CreateImagesFromFiles"] == first.plan.calls["CreateImagesFromFiles"] == 5
        )
        dataset = rb.read(folder)
        again = upload(dataset, client, project)
        assert again.calls.get("CreateImagesFromFiles", 0) == 0
        assert again.image_ids == first.image_ids
        assert_exact(dataset, again, service, project)
        assert rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).good


def test_a_name_of_another_file_is_not_used(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=3)
    with rehearsal(version="3.3") as (_, project, client):
        first = upload(rb.read(folder), client, project, store_names=True)
        write_image(folder / "00001.png", colour=99_999)
        again = upload(rb.read(folder), client, project, store_names=True)
        assert again.new_images == 1
        assert again.image_ids["00001.png"] != first.image_ids["00001.png"]
        assert again.image_ids["00000.png"] == first.image_ids["00000.png"]


def test_names_that_cannot_be_stored(tmp_path: Path) -> None:
    """The images are uploaded without a name."""
    folder = write_dataset(tmp_path, images=2)
    dataset = rb.read(folder)
    names = [f"{'x' * 600}.png", "00001.png"]
    images = dataset.images
    assert len(images.names) == len(names)
    with rehearsal(version="3.3") as (service, project, client):
        long = replace(dataset, images=replace(images, names=names))
        result = upload(long, client, project, store_names=True)
        assert result.lost == 0
        assert len(service.regions(project)) == 30


def test_version_3_2_stores_no_names(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal(version="3.2") as (service, project, client):
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, store_names=True)
        assert about(caught.value) == ("", "version", "3.2")
        assert not service.calls
