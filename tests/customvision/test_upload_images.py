"""The image files of an upload: which are sent, which are refused, and which change meanwhile."""

from __future__ import annotations

import os
import sys
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    CHECKING,
    WRITES,
    Clock,
    rehearsal,
    upload,
    write_dataset,
    write_image,
    write_noise,
)

import regionbatch as rb
from helpers import mentions, raises_mentioning, write_coco, write_yolo
from regionbatch.customvision import image_files
from regionbatch.limits import IMAGE_BYTES
from regionbatch.local import Limits, Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_files_with_the_same_bytes_are_one_image(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    write_image(tmp_path / "c.png", colour=1)
    boxes = [
        ("a.png", "cat", (1, 1, 5, 5)),
        ("b.png", "cat", (1, 1, 5, 5)),
        ("b.png", "cat", (9, 9, 5, 5)),
    ]
    dataset = rb.read(write_coco(tmp_path, [*boxes, ("c.png", "cat", (1, 1, 5, 5))]))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert result.image_ids["a.png"] == result.image_ids["b.png"] != result.image_ids["c.png"]
        [finding] = result.findings.first("same_image")
        assert (finding.place, finding.value) == ("b.png", "a.png")
        assert (result.created, dict(result.batches.ledger.dropped)) == (3, {"duplicate": 1})
        assert len(service.regions(project)) == 3
        assert result.calls == result.plan.calls, "the plan was exact"
        again = upload(dataset, client, project, image_ids=result.image_ids)
        assert (again.sent, again.findings.counts()["same_image"]) == (0, 1), "reported again"
        assert rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).good


def test_the_plan_reports_too_many_regions_on_an_image_of_two_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        write_image(tmp_path / name)
    boxes = [("a.png", "cat", (number / 8, 1, 5, 5)) for number in range(200)]
    boxes += [("b.png", "cat", (number / 8, 2, 5, 5)) for number in range(200)]
    dataset = rb.read(
        write_coco(tmp_path, boxes, images=dict.fromkeys(("a.png", "b.png"), (64, 64)))
    )
    assert dataset.findings.counts() == {}
    with rehearsal() as (_, project, client):
        plan = upload(dataset, client, project, dry_run=True)
        full = [(one.file, one.value) for one in plan.findings if one.code == "over_region_limit"]
        assert full == [("a.png", "400")], "both are one image"
        assert upload(dataset, client, project).exceeded == 100
        other = rb.read(
            write_coco(tmp_path / "more", [("a.png", "dog", (1, 1, 5, 5))]), image_dir=tmp_path
        )
        more = upload(
            other,
            client,
            project,
            dry_run=True,
            image_ids={"a.png": client.tagged_images(project)[0].id},
        )
        assert [one.value for one in more.findings if one.code == "over_region_limit"] == ["301"]


REFUSALS = {
    "heavy.bmp": ("ErrorImageSize", 6.4, 6),
    "long.png": ("ErrorImageSize", 10300, 500, 10240),
    "thin.png": ("ErrorImageDimensions", 640, 20, 25),
    "other.webp": ("ErrorImageFormat", "JPEG", "PNG", "BMP", "GIF"),
    "broken.png": ("ErrorSource",),
}
"""What the reasons mention for the images of `dataset_with_refused_images`."""


def dataset_with_refused_images(folder: Path) -> rb.Dataset:
    """Write a dataset of images that the service refuses, and a good one, each with a box."""
    write_noise(folder / "heavy.bmp", (1500, 1500), "BMP")
    assert (folder / "heavy.bmp").stat().st_size > IMAGE_BYTES
    write_image(folder / "long.png", (10_300, 500))
    write_image(folder / "thin.png", (640, 20))
    write_image(folder / "other.webp", (64, 64))
    (folder / "broken.png").write_bytes(b"")
    write_image(folder / "good.png")
    names = [*REFUSALS, "good.png"]
    sizes = [(1500, 1500), (10_300, 500), (640, 20), (64, 64), (64, 64), (64, 64)]
    boxes = [(name, "cat", (1, 1, 5, 5)) for name in names]
    return rb.read(write_coco(folder, boxes, images=dict(zip(names, sizes, strict=True))))


def test_refused_images_fail_with_their_regions(tmp_path: Path) -> None:
    dataset = dataset_with_refused_images(tmp_path)
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert (result.created, result.failed, result.lost) == (1, 5, 5)
        assert result.calls["CreateImagesFromFiles"] == 1
        assert len(service.regions(project)) == 1
    refused = {one.file: one.value for one in result.findings if one.code == "image_refused"}
    assert refused.keys() == REFUSALS.keys()
    for name, tokens in REFUSALS.items():
        assert mentions(refused[name], *tokens)
    failed = [finding for finding in result.findings if finding.code == "region_failed"]
    assert [finding.place for finding in failed] == [
        f"annotations.json: annotation {number}" for number in range(1, 6)
    ]


def test_images_that_are_too_large_or_in_another_format_are_re_encoded(tmp_path: Path) -> None:
    dataset = dataset_with_refused_images(tmp_path)
    with rehearsal() as (service, project, client):
        upload(dataset, client, project)
        result = upload(dataset, client, project, shrink=True)
        assert (result.created, result.already, result.failed) == (3, 1, 2)
        shrunk = {finding.file for finding in result.findings if finding.code == "image_shrunk"}
        assert shrunk == {"heavy.bmp", "long.png", "other.webp"}
        assert len(service.regions(project)) == 4
        again = upload(dataset, client, project, shrink=True)
        assert (again.sent, again.already, again.failed) == (2, 4, 2), (
            "re-encoding gives the same image again"
        )


@pytest.mark.skipif(sys.platform != "linux", reason="on other systems, all file names are text")
def test_a_file_name_that_is_not_text(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set", [("a.png", "cat", (0.5, 0.5, 0.2, 0.2))])
    write_image(folder / "a.png")
    for extension in (".png", ".txt"):
        (folder / f"a{extension}").rename(
            os.fsdecode(os.fsencode(folder) + b"/\xff" + extension.encode())
        )
    dataset = rb.read(folder)
    with rehearsal() as (_, project, client):
        for sent in (1, 0):
            result = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
            assert (result.sent, result.lost) == (sent, 0)


@pytest.mark.parametrize("smaller", [False, True])
def test_a_file_that_is_too_large_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smaller: bool
) -> None:
    """Files of 8 GB that take a few bytes on disk."""
    write_image(tmp_path / "a.png")
    os.truncate(tmp_path / "a.png", 8 * 2**30)
    (tmp_path / "b.png").write_bytes(b"")
    os.truncate(tmp_path / "b.png", 8 * 2**30)
    monkeypatch.setattr(image_files, "_file_digest", lambda path: pytest.fail(f"{path} was read"))
    dataset = rb.read(
        write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in ("a.png", "b.png")])
    )
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=smaller)
        assert result.failed == 2
        assert rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).missing == 2


def test_a_file_that_grows_during_the_upload(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal() as (_, project, client):

        def progress(what: str, done: int, total: int) -> None:
            if what == CHECKING and done == total:
                os.truncate(tmp_path / "00000.png", 8 * 2**30)

        tracemalloc.start()
        result = upload(dataset, client, project, progress=progress)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [one.place for one in result.findings.first("image_refused")] == ["00000.png"]
    assert peak < 2**26


def test_a_file_that_changes_during_the_upload(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (service, project, client):

        def progress(what: str, done: int, total: int) -> None:
            if what == CHECKING and done == total:
                (tmp_path / "00000.png").write_bytes((tmp_path / "00001.png").read_bytes())

        result = upload(dataset, client, project, progress=progress)
        [refused] = [finding for finding in result.findings if finding.code == "image_refused"]
        assert (refused.place, mentions(refused.value, "ErrorSource")) == ("00000.png", True)
        assert (result.created, len(service.regions(project))) == (30, 30)


def test_batches_of_images_are_full_but_not_too_large() -> None:
    lengths = dict(enumerate([10_000] * 200))
    assert [len(batch) for batch in image_files.pack_batches(lengths)] == [64, 64, 64, 8]
    heavy = dict(enumerate([IMAGE_BYTES] * 10))
    batches = list(image_files.pack_batches(heavy))
    assert [row for batch in batches for row in batch] == list(range(10))
    assert all(len(batch) * IMAGE_BYTES * 4 / 3 < 30e6 for batch in batches)
    assert len(batches) == 4


def test_a_batch_of_images_that_is_too_large_is_split(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, boxes=1))
    for path in tmp_path.glob("*.png"):
        path.write_bytes(path.read_bytes() + bytes(500))
    with rehearsal(Settings(limits=Limits(images=99, tags=9, body_bytes=3_000))) as (
        service,
        project,
        client,
    ):
        limiter = Clock().rate_limiter()
        result = upload(dataset, client, project, rate_limiter=limiter, in_flight=1)
        assert result.new_images == 12
        assert service.calls["CreateImagesFromFiles"] > 1


def test_a_single_image_is_recognised_under_another_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=1, boxes=0))
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_images(to: str, images: Any) -> Any:
            rows = create(to, images)
            for row in rows:
                row.source_url = f"https://127.0.0.1/{row.source_url}?sig=1"
            return rows

        monkeypatch.setattr(client, "create_images", create_images)
        assert upload(dataset, client, project).new_images == 1


def test_an_unexpected_status_refuses_one_image(tmp_path: Path) -> None:
    """The service is stricter than documented; the other images are uploaded."""
    dataset = rb.read(write_dataset(tmp_path, images=4))
    small = Limits(images=99, tags=9, image_bytes=60)
    write_noise(tmp_path / "00001.png", (64, 64), "PNG")
    for name in ("00000.png", "00002.png", "00003.png"):
        (tmp_path / name).write_bytes(b"GIF89a\x10\x00\x10\x00\x00\x00\x00;" + name.encode())
    with rehearsal(Settings(limits=small)) as (_, project, client):
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (60, 30)
        [refused] = [finding for finding in result.findings if finding.code == "image_refused"]
        assert (refused.file, mentions(refused.value, "ErrorImageSize")) == ("00001.png", True)


def test_images_without_a_file_or_an_id(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4))
    (tmp_path / "00001.png").unlink()
    dataset = rb.read(tmp_path)
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, "00001.png", 30):
            upload(dataset, client, project)
        assert not WRITES & set(service.calls)
        result = upload(dataset, client, project, skip_unresolved=True)
        assert (result.created, dict(result.batches.ledger.dropped)) == (60, {"unresolved": 30})


@pytest.mark.parametrize("status", [408, 413, 500])
def test_an_image_that_causes_a_server_error_is_refused_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=9))
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_images(to: str, images: Any) -> Any:
            if any(one.name.startswith("5-") for one in images):
                kind = rb.ServiceError if status == 413 else rb.TransportError
                raise kind("a: b. C.", code="Broken", service_message="broken", status=status)
            return create(to, images)

        monkeypatch.setattr(client, "create_images", create_images)
        result = upload(dataset, client, project)
        assert (result.created, result.failed, result.new_images) == (210, 30, 8)
        [refused] = result.findings.first("image_refused")
        assert (refused.place, mentions(refused.value, "Broken", "broken")) == ("00005.png", True)
        assert sorted(result.image_ids) == sorted(set(dataset.images.names) - {"00005.png"})
