"""An upload without failures: what is sent, what is sent again, and what a dry run reports."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    UPLOADING,
    WRITES,
    Clock,
    about,
    assert_exact,
    expected_counts,
    refuse_boxes,
    rehearsal,
    send_small_batches,
    upload,
    verification_counts,
    write_dataset,
    write_image,
)

import regionbatch as rb
from helpers import ROOT, id_of, mentions, raises_mentioning, write_coco, write_json
from regionbatch.local import TIERS, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def test_all_regions_are_sent_in_full_batches(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert_exact(dataset, result, service, project)
        assert (result.created, result.sent, result.already) == (330, 330, 0)
        assert result.calls == service.calls == result.plan.calls
        assert result.calls["CreateImageRegions"] == -(-330 // 64)
        assert result.calls["CreateImagesFromFiles"] == 1
        assert service.calls["CreateTag"] == 3
        assert len(client.untagged_images(project)) == 1, "the image without boxes is uploaded too"


def test_a_second_upload_sends_nothing(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=5))
    for on_existing in ("duplicated", "refuse", "twice"):
        with rehearsal(Settings(on_existing=on_existing)) as (service, project, client):
            upload(dataset, client, project)
            again = upload(dataset, client, project)
            assert (again.sent, again.already) == (0, 120)
            assert again.calls.get("CreateImageRegions", 0) == again.calls.get("CreateTag", 0) == 0
            assert_exact(dataset, again, service, project)


@pytest.mark.parametrize("on_existing", ["duplicated", "refuse", "twice"])
def test_only_missing_regions_are_sent(tmp_path: Path, on_existing: Any) -> None:
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal(Settings(on_existing=on_existing)) as (service, project, client):
        upload(dataset, client, project)
        deleted = [row.region_id for row in service.regions(project)][::7]
        for start in range(0, len(deleted), 64):
            client.delete_regions(project, deleted[start : start + 64])
        again = upload(dataset, client, project)
        assert (again.created, again.already) == (len(deleted), 330 - len(deleted))
        assert again.calls["CreateImageRegions"] == -(-len(deleted) // 64)
        assert_exact(dataset, again, service, project)


@pytest.mark.parametrize("on_existing", ["duplicated", "refuse", "twice"])
def test_regions_that_another_run_creates_after_the_project_was_read(
    tmp_path: Path, on_existing: Any
) -> None:
    """Regions that the service has are duplicates; the others of their batch are created."""
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal(Settings(on_existing=on_existing)) as (service, project, client):
        upload(dataset, client, project)
        deleted = [row.region_id for row in service.regions(project)][::2]
        client.delete_regions(project, deleted)
        other = Clock().rate_limiter()
        others: list[rb.UploadResult] = []

        def progress(what: str, done: int, _total: int) -> None:
            if what == UPLOADING and done and not others:
                others.append(upload(dataset, client, project, rate_limiter=other))

        result = upload(dataset, client, project, progress=progress)
        assert [one.created for one in others] == [len(deleted)]
        if on_existing == "twice":
            assert result.verification is not None
            assert (result.verification.missing, result.verification.extra) == (0, len(deleted)), (
                "reported, not hidden"
            )
            assert result.lost == len(deleted)
            assert result.findings.counts()["region_extra"] == len(deleted)
        else:
            assert (result.created, result.duplicated, result.lost) == (0, len(deleted), 0)
            assert_exact(dataset, result, service, project)


def test_images_that_another_run_uploads_after_the_project_was_read(tmp_path: Path) -> None:
    """The upload returns an image that no listing had: its regions are read before any is sent."""
    dataset = rb.read(write_dataset(tmp_path, images=5))
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):

        def upload_first(_plan: object) -> None:
            upload(dataset, client, project)

        result = upload(dataset, client, project, planned=upload_first)
        assert (result.created, result.lost) == (0, 0)
        assert_exact(dataset, result, service, project)


def test_a_second_run_with_refused_regions_ends_like_the_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No region is created the second time, but the run does not end with an error."""
    send_small_batches(monkeypatch)
    dataset = rb.read(write_dataset(tmp_path, images=8, boxes=12))
    with rehearsal() as (_, project, client):
        sizes = refuse_boxes(client, set(dataset.regions.box[20:, 0].tolist()), monkeypatch)
        first = upload(dataset, client, project)
        assert (first.created, first.failed) == (20, 64)
        before = len(sizes)
        second = upload(dataset, client, project, in_flight=2)
        assert (second.already, second.created, second.failed, second.lost) == (20, 0, 64, 64)
        assert verification_counts(second) == verification_counts(first)
        reasons = Counter(
            one.value[one.value.index("BadRequest") :]
            for one in second.findings
            if one.code == "region_failed"
        )
        assert all(mentions(reason, "BadRequestImageRegions", "bad") for reason in reasons)
        _refused, unsent = sorted(
            reasons, key=len
        )  # the regions that were not sent have the reason of the others
        assert mentions(unsent, "BadRequestImageRegions", "bad")
        assert reasons.total() == 64
        assert reasons[unsent] >= 16
        assert len(sizes) - before < 6 * 15, (
            "after the first batches, regions are not sent one by one"
        )


def test_the_plan_recognises_a_copy_of_an_uploaded_image(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=2)
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=tmp_path / "j")
        file = next(folder.rglob("*.json"))
        content = json.loads(file.read_text(encoding="utf-8"))
        image = content["images"][0]
        content["images"].append({**image, "id": 77, "file_name": "copy.png"})
        content["annotations"].append({**content["annotations"][0], "id": 777, "image_id": 77})
        file.write_text(json.dumps(content), encoding="utf-8")
        shutil.copy(folder / image["file_name"], folder / "copy.png")
        before = service.calls.copy()
        with raises_mentioning(rb.StrictError, "duplicate"):
            upload(rb.read(folder), client, project, journal=tmp_path / "j", strict=True)
        assert service.calls["CreateImagesFromFiles"] == before["CreateImagesFromFiles"], (
            "before the first write"
        )


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set"))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project, dry_run=True, journal=tmp_path / "journal.sqlite")
        assert not WRITES & set(service.calls)
        assert not (tmp_path / "journal.sqlite").exists()
        plan = result.plan
        assert (plan.project, plan.new_tags, plan.new_images, plan.regions) == (
            "rehearsal",
            ["cat", "dog", "emu"],
            12,
            330,
        )
        assert plan.minutes == pytest.approx(sum(plan.calls.values()) / 10 / 60)
        assert result.sent == 0
        assert result.verification is None
        done = upload(dataset, client, project)
        assert done.calls == plan.calls, "the plan is carried out"
        assert result.summary()["plan"]["regions"] == 330


def test_a_dry_run_reports_images_that_would_be_refused(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    (tmp_path / "00001.png").write_bytes(b"not an image")
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project, dry_run=True)
        assert (result.plan.regions, result.lost) == (30, 30)
        [refused] = [finding for finding in result.findings if finding.code == "image_refused"]
        assert (refused.place, refused.severity) == ("00001.png", "error")
        with raises_mentioning(rb.StrictError, 1, "image_refused", "00001.png"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls)
        done = upload(dataset, client, project)
        assert (done.failed, done.lost, done.findings.counts()["image_refused"]) == (30, 30, 1)


def test_strict_mode_fails_on_two_files_with_the_same_image(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=16, boxes=3))
    with rehearsal() as (service, project, client):
        upload(dataset, client, project, strict=True)
    (tmp_path / "00002.png").write_bytes((tmp_path / "00001.png").read_bytes())
    boxes = [(name, "cat", (1, 1, 5, 5)) for name in ("00001.png", "00002.png")]
    duplicates = rb.read(
        write_coco(tmp_path / "duplicates", boxes), image_dir=tmp_path, strict=True
    )
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.StrictError, 1, "duplicate"):
            upload(duplicates, client, project, strict=True)
        assert not WRITES & set(service.calls)


def test_the_planned_duration_depends_on_the_tier(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal() as (_, project, client):
        slow, fast = (
            upload(dataset, client, project, dry_run=True, tier=tier).plan for tier in ("F0", "S0")
        )
        assert slow.minutes == pytest.approx(5 * fast.minutes)
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, tier="S1")
        assert about(caught.value) == ("", "tier", "S1")
        assert caught.value.choices == ("F0", "S0")


def test_regions_that_a_listing_lacks_are_looked_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Confirmed regions are looked up by image ID before they count as missing."""
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal() as (_, project, client):
        listing = client.tagged_images
        monkeypatch.setattr(
            client, "tagged_images", lambda *given, **page: listing(*given, **page)[3:]
        )
        result = upload(dataset, client, project)
        assert (verification_counts(result), result.lost) == (expected_counts(330), 0)
        assert result.calls["GetImagesByIds"] == 1
        assert rb.verify(
            dataset,
            client,
            project,
            image_ids=result.image_ids,
            rate_limiter=Clock().rate_limiter(),
        ).good


@pytest.mark.parametrize("form", ["mapping", "file"])
def test_images_with_known_ids_are_not_uploaded(tmp_path: Path, form: str) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set"))
    with rehearsal() as (service, project, client):
        ids: Mapping[str, str] = upload(dataset, client, project).image_ids
        client.delete_regions(project, [row.region_id for row in service.regions(project)][:50])
        given = ids if form == "mapping" else write_json(tmp_path / "images.json", dict(ids))
        before = service.calls["CreateImagesFromFiles"]
        result = upload(dataset, client, project, image_ids=given)
        assert service.calls["CreateImagesFromFiles"] == before
        assert (result.created, result.already) == (50, 280)
        assert_exact(dataset, result, service, project)
        assert result.calls == result.plan.calls


@pytest.mark.parametrize("unknown_ids", ["batch", "not-found", "entry"])
def test_ids_that_the_project_does_not_have(tmp_path: Path, unknown_ids: Any) -> None:
    dataset = rb.read(write_dataset(tmp_path))
    with rehearsal(Settings(unknown_ids=unknown_ids)) as (service, project, client):
        ids = dict(upload(dataset, client, project).image_ids)
        client.delete_regions(project, [row.region_id for row in service.regions(project)][:64])
        ids["00003.png"] = id_of("nowhere")
        result = upload(dataset, client, project, image_ids=ids)
        failed = [finding for finding in result.findings if finding.code == "region_failed"]
        assert len(failed) == result.failed == 30
        assert all(mentions(finding.value, "NotFoundImage") for finding in failed)
        with raises_mentioning(rb.ResolveError, 12):
            upload(dataset, client, project, image_ids={name: id_of(name) for name in ids})


@pytest.mark.parametrize("version", ["3.2", "3.3"])
@pytest.mark.parametrize("name", ["voc", "coco", "yolo"])
def test_the_scene_is_uploaded_from_every_format(name: str, version: str) -> None:
    dataset = rb.read(ROOT / "fixtures" / "scene" / name)
    with rehearsal(Settings(limits=TIERS["F0"]), version=version) as (service, project, client):
        result = upload(dataset, client, project, tier="F0")
        assert_exact(dataset, result, service, project)
        assert result.calls == result.plan.calls


def test_a_dataset_without_boxes(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    dataset = rb.read(write_coco(tmp_path, [], images={"a.png": (64, 64)}))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project)
        assert (result.sent, result.new_images, result.new_tags) == (0, 1, 0)
        assert result.verification is not None
        assert result.verification.good
        assert result.calls == result.plan.calls
