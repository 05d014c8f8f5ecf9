"""An upload when nothing fails, and when the service or the dataset has its own mind: every region ends somewhere."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import sys
import tracemalloc
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from customvision.rehearsal import (
    LOOKING,
    SENDING,
    UPLOADING,
    Clock,
    delete_images,
    expected,
    proof,
    rehearsal,
    stored,
    verified,
    write_set,
)
from PIL import Image, ImageFile

import regionbatch as rb
from helpers import ROOT, id_of, mentions, raises_mentioning, write_coco, write_json, write_yolo
from regionbatch.customvision import images as images_module
from regionbatch.customvision import shrink
from regionbatch.customvision.shrink import shrunk
from regionbatch.limits import IMAGE_BYTES, IMAGE_SIDE
from regionbatch.local import TIERS, Limits, Settings

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from regionbatch.local import LocalService

WRITES = {"CreateTag", "CreateImagesFromFiles", "CreateImageRegions"}


def upload(dataset: rb.Dataset, client: rb.TrainingClient, project: str, **options: Any) -> rb.UploadResult:
    """Upload on a clock that needs no waiting; what is sent must add up."""
    result = rb.upload(dataset, client, project, **{"create_tags": True, "pace": Clock().pace(), **options})
    if not options.get("dry_run"):
        assert result.sent == result.created + result.duplicated + result.exceeded + result.failed
        assert result.sent + result.already == len(result.batches.regions)
    return result


def picture(path: Path, size: tuple[int, int] = (64, 64), colour: int = 0, **options: Any) -> None:
    Image.new("RGB", size, (colour % 256, colour // 256, 0)).save(path, **options)


def noise(path: Path, size: tuple[int, int], form: str) -> None:
    """A picture that cannot be compressed."""
    Image.frombytes("RGB", size, random.Random(0).randbytes(size[0] * size[1] * 3)).save(path, form)


def assert_exact(dataset: rb.Dataset, result: rb.UploadResult, service: LocalService, project: str) -> None:
    assert stored(service, project) == expected(dataset, result)
    assert proof(result) == verified(len(dataset))
    assert result.lost == 0


def test_all_regions_of_a_set_are_there_in_full_batches(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert_exact(dataset, result, service, project)
        assert (result.created, result.sent, result.already) == (330, 330, 0)
        assert result.calls == service.calls == result.plan.calls
        assert result.calls["CreateImageRegions"] == -(-330 // 64)
        assert result.calls["CreateImagesFromFiles"] == 1
        assert service.calls["CreateTag"] == 3
        assert len(client.untagged_images(project)) == 1, "the image without boxes went up too"


def test_again_sends_nothing(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path))
    for on_existing in ("duplicated", "refuse", "twice"):
        with rehearsal(Settings(on_existing=on_existing)) as (service, project, client):
            upload(dataset, client, project)
            again = upload(dataset, client, project)
            assert (again.sent, again.already) == (0, 330)
            assert again.calls.get("CreateImageRegions", 0) == again.calls.get("CreateTag", 0) == 0
            assert_exact(dataset, again, service, project)


@pytest.mark.parametrize("on_existing", ["duplicated", "refuse", "twice"])
def test_only_the_difference_is_sent(tmp_path: Path, on_existing: Any) -> None:
    dataset = rb.read(write_set(tmp_path))
    with rehearsal(Settings(on_existing=on_existing)) as (service, project, client):
        upload(dataset, client, project)
        gone = [row.region_id for row in service.regions(project)][::7]
        for start in range(0, len(gone), 64):
            client.delete_regions(project, gone[start : start + 64])
        again = upload(dataset, client, project)
        assert (again.created, again.already) == (len(gone), 330 - len(gone))
        assert again.calls["CreateImageRegions"] == -(-len(gone) // 64)
        assert_exact(dataset, again, service, project)


@pytest.mark.parametrize("on_existing", ["duplicated", "refuse", "twice"])
def test_regions_that_appear_after_the_project_was_read(tmp_path: Path, on_existing: Any) -> None:
    """Somebody else is faster: what the service has is told as duplicated, and its batch mates go through."""
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal(Settings(on_existing=on_existing)) as (service, project, client):
        upload(dataset, client, project)
        gone = [row.region_id for row in service.regions(project)][::2]
        client.delete_regions(project, gone)
        other = Clock().pace()
        others: list[rb.UploadResult] = []

        def progress(what: str, done: int, _total: int) -> None:
            if what == UPLOADING and done and not others:
                others.append(upload(dataset, client, project, pace=other))

        result = upload(dataset, client, project, progress=progress)
        assert [one.created for one in others] == [len(gone)]
        if on_existing == "twice":
            assert result.verification is not None
            assert (result.verification.missing, result.verification.extra) == (0, len(gone)), "said, not hidden"
            assert result.lost == len(gone)
            assert result.findings.counts()["region_extra"] == len(gone)
        else:
            assert (result.created, result.duplicated, result.lost) == (0, len(gone), 0)
            assert_exact(dataset, result, service, project)


def test_pictures_that_appear_after_the_project_was_read(tmp_path: Path) -> None:
    """The answer to a picture names an image that was in no listing: its regions are read before any is sent."""
    dataset = rb.read(write_set(tmp_path, images=5))
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):

        def faster(_plan: object) -> None:
            upload(dataset, client, project)

        result = upload(dataset, client, project, planned=faster)
        assert (result.created, result.lost) == (0, 0)
        assert_exact(dataset, result, service, project)


def test_a_second_run_for_what_is_refused_ends_as_the_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes in the second time, since all that can is there: that is no reason to end without a proof."""
    dataset = rb.read(write_set(tmp_path, images=8, boxes=60))
    with rehearsal() as (_, project, client):
        sizes = refusing(client, set(dataset.regions.box[20:, 0].tolist()), monkeypatch)
        first = upload(dataset, client, project)
        assert (first.created, first.failed) == (20, 400)
        before = len(sizes)
        second = upload(dataset, client, project, in_flight=2)
        assert (second.already, second.created, second.failed, second.lost) == (20, 0, 400, 400)
        assert proof(second) == proof(first)
        reasons = Counter(
            one.value[one.value.index("BadRequest") :] for one in second.findings if one.code == "region_failed"
        )
        assert all(mentions(reason, "BadRequestImageRegions", "bad") for reason in reasons)
        _refused, unsent = sorted(reasons, key=len)  # one reason for all that were not sent: what befell the others
        assert mentions(unsent, "BadRequestImageRegions", "bad")
        assert reasons.total() == 400
        assert reasons[unsent] >= 80
        assert len(sizes) - before < 6 * 127, "those behind the first are not asked for one by one"


def test_a_copy_of_a_picture_that_went_up_before_is_seen_in_the_plan(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", images=2)
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
        assert service.calls["CreateImagesFromFiles"] == before["CreateImagesFromFiles"], "before the first write"


def test_a_dry_run_writes_nothing(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path / "set"))
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
        assert done.calls == plan.calls, "the plan is what is done"
        assert result.summary()["plan"]["regions"] == 330


def test_a_dry_run_tells_what_will_not_go_up(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    (tmp_path / "00001.png").write_bytes(b"no picture")
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project, dry_run=True)
        assert (result.plan.regions, result.lost) == (30, 30)
        [refused] = [finding for finding in result.findings if finding.code == "picture_refused"]
        assert (refused.place, refused.severity) == ("00001.png", "error")
        with raises_mentioning(rb.StrictError, 1, "picture_refused", "00001.png"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls)
        done = upload(dataset, client, project)
        assert (done.failed, done.lost, done.findings.counts()["picture_refused"]) == (30, 30, 1)


def test_strict_stops_where_two_files_are_one_picture(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        upload(dataset, client, project, strict=True)
    (tmp_path / "00002.png").write_bytes((tmp_path / "00001.png").read_bytes())
    boxes = [(name, "cat", (1, 1, 5, 5)) for name in ("00001.png", "00002.png")]
    twins = rb.read(write_coco(tmp_path / "twins", boxes), image_dir=tmp_path, strict=True)
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.StrictError, 1, "duplicate"):
            upload(twins, client, project, strict=True)
        assert not WRITES & set(service.calls)


def test_the_minutes_are_those_of_the_tier(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path))
    with rehearsal() as (_, project, client):
        slow, fast = (upload(dataset, client, project, dry_run=True, tier=tier).plan for tier in ("F0", "S0"))
        assert slow.minutes == pytest.approx(5 * fast.minutes)
        with raises_mentioning(rb.OptionError, "--tier", "S1", "F0", "S0"):
            upload(dataset, client, project, tier="S1")


# Tags


def test_tags_only_for_classes_with_boxes_and_only_when_asked(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, tags=("cat", "dog"), images=3))
    extra = rb.read(
        write_coco(tmp_path / "more", [("00000.png", "cat", (1, 1, 5, 5))], tags=["never", "cat"]), image_dir=tmp_path
    )
    assert "never" in extra.tags
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, 1, "cat", "--create-tags"):
            upload(extra, client, project, create_tags=False)
        assert not WRITES & set(service.calls)
        upload(extra, client, project)
        assert [tag.name for tag in client.tags(project)] == ["cat"]
        upload(dataset, client, project)
        assert sorted((tag.name, tag.type) for tag in client.tags(project)) == [("cat", "Regular"), ("dog", "Regular")]
        assert service.calls["CreateTag"] == 2


def test_tags_are_found_and_renamed_as_in_convert(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (_, project, client):
        client.create_tag(project, "Cat")
        client.create_tag(project, "hound")
        result = upload(dataset, client, project, rename={"dog": "hound", "emu": "bird"})
        assert sorted(tag.name for tag in client.tags(project)) == ["Cat", "bird", "hound"]
        assert result.lost == 0
        assert result.plan.new_tags == ["bird"]
        assert result.findings.counts()["matched_loosely"] == 1
        assert result.findings.counts()["mapped"] == 2


def test_classes_that_differ_in_case_get_a_tag_each(tmp_path: Path) -> None:
    """Also where an earlier run ended after the first of them."""
    dataset = rb.read(write_set(tmp_path, images=3, tags=("Cat", "cat")))
    for there in ("Cat", "cat"):
        with rehearsal() as (service, project, client):
            client.create_tag(project, there)
            result = upload(dataset, client, project)
            assert_exact(dataset, result, service, project)
            assert Counter(row.tag_name for row in service.regions(project)) == {"Cat": 30, "cat": 30}


def test_similar_classes_are_told_before_a_tag_is_created(tmp_path: Path) -> None:
    folder = write_set(tmp_path, images=3, tags=("Cat", "cat"))
    dataset = rb.read(folder)
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.StrictError, "similar_tags"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls)
        result = upload(dataset, client, project, strict=True, rename={"Cat": "cat"})
        assert list(result.plan.new_tags) == ["cat"]


def test_a_class_that_is_similar_to_a_tag_is_told_before_the_first_write(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3, tags=("traffic light",)))
    with rehearsal() as (service, project, client):
        client.create_tag(project, "Traffic  Light")
        before = service.calls.copy()
        with raises_mentioning(rb.StrictError, "matched_loosely"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls - before)
        meant = upload(dataset, client, project, strict=True, rename={"traffic light": "Traffic  Light"})
        assert not meant.plan.new_tags


def test_no_tag_for_a_class_none_of_whose_boxes_can_be_sent(tmp_path: Path) -> None:
    """A tag without regions keeps a project from being trained."""
    names = ("good.png", "broken.png", "gone.png")
    for name in names:
        picture(tmp_path / name, colour=names.index(name))
    folder = write_coco(tmp_path, [(name, name, (1, 1, 5, 5)) for name in names])
    (tmp_path / "broken.png").write_bytes(b"no picture")
    (tmp_path / "gone.png").unlink()
    with rehearsal() as (_, project, client):
        result = upload(rb.read(folder), client, project, skip_unresolved=True)
        assert [tag.name for tag in client.tags(project)] == ["good.png"] == list(result.plan.new_tags)
        assert (result.created, result.failed, result.refused_images) == (1, 1, 1)
        assert result.calls == result.plan.calls


def test_no_tag_for_a_class_whose_pictures_the_service_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Known only once the pictures went up: the tags of the plan are the most that are created."""
    for number, name in enumerate(("good.png", "bad.png")):
        picture(tmp_path / name, colour=number)
    dataset = rb.read(write_coco(tmp_path, [(f"{name}.png", name, (1, 1, 5, 5)) for name in ("good", "bad")]))
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_images(to: str, pictures: Any) -> Any:
            rows = create(to, pictures)
            for row in rows:
                if row.source_url == "1.png":
                    row.status, row.image = "ErrorImageFormat", None
            return rows

        monkeypatch.setattr(client, "create_images", create_images)
        result = upload(dataset, client, project)
        assert ([*result.plan.new_tags], result.new_tags) == (["good", "bad"], 1)
        assert [tag.name for tag in client.tags(project)] == ["good"]
        assert (result.created, result.failed, result.lost) == (1, 1, 1)


def test_ids_in_capitals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        create, read = client.create_tag, client.tags

        def loud(tag: Any) -> Any:
            tag.id = tag.id.upper()
            return tag

        monkeypatch.setattr(client, "create_tag", lambda *given: loud(create(*given)))
        monkeypatch.setattr(client, "tags", lambda of: [*map(loud, read(of))])
        assert_exact(dataset, upload(dataset, client, project), service, project)
        again = upload(rb.read(tmp_path, only=["cat"]), client, project)
        assert {one.value.split()[0] for one in again.findings if one.code == "region_extra"} == {"dog", "emu"}


def test_classes_without_a_tag_can_be_left_out(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, "pet", 40, "emu", 20):
            upload(dataset, client, project, create_tags=False, rename={"cat": "pet", "dog": "pet"})
        client.create_tag(project, "cat")
        result = upload(dataset, client, project, create_tags=False, skip_unresolved=True)
        assert (result.sent, result.created) == (20, 20)
        assert dict(result.batches.ledger.dropped) == {"unresolved": 40}
        assert service.calls["CreateTag"] == 1


def test_a_negative_tag_takes_no_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        for kind in ("Negative", "GeneralCompact"):
            tag = rb.customvision.client.Tag(id=id_of("t"), name="cat", type=kind)
            monkeypatch.setattr(client, "tags", lambda _project, tag=tag: [tag])
            with raises_mentioning(rb.ResolveError, "cat", "Regular", kind):
                upload(dataset, client, project)
        assert not WRITES & set(service.calls)


# Projects and limits


def test_a_project_for_classification_is_refused(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=2))
    with rehearsal() as (service, _, client):
        project = service.create_project("classes", "Classification")
        with raises_mentioning(rb.ServiceError, "classes", "Classification"):
            upload(dataset, client, project)
        assert not WRITES & set(service.calls)


def test_a_project_that_is_read_only_is_refused(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=2))
    with rehearsal(Settings(dr_mode=True)) as (service, project, client):
        with raises_mentioning(rb.AccessError, "rehearsal"):
            upload(dataset, client, project)
        assert not WRITES & set(service.calls)


def test_a_project_that_is_not_there(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=2))
    with rehearsal() as (_, _project, client):
        with pytest.raises(rb.ServiceError) as caught:
            upload(dataset, client, id_of("nowhere"))
        assert (caught.value.status, caught.value.code) == (404, "NotFoundProject")


def test_more_tags_than_the_tier_takes(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3, boxes=60, tags=[f"tag {number}" for number in range(51)]))
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.LimitError, "--tier", "F0", 50, 51):
            upload(dataset, client, project, tier="F0")
        assert not WRITES & set(service.calls)
        assert upload(dataset, client, project).lost == 0


def test_more_images_than_the_tier_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"F0": rb.limits.Tier(images=5, tags=50, calls_per_second=2), "S0": rb.limits.Tier(20, 50, 10)}
    monkeypatch.setattr("regionbatch.customvision.plan.TIERS", few)
    dataset = rb.read(write_set(tmp_path / "a"))
    other = rb.read(write_set(tmp_path / "b", seed=1))
    with rehearsal(Settings(limits=Limits(images=20, tags=50))) as (service, project, client):
        with raises_mentioning(rb.LimitError, "--tier", "F0", 5, 12):
            upload(dataset, client, project, tier="F0")
        upload(dataset, client, project)
        result = upload(other, client, project)
        assert result.findings.counts()["project_full"] == 1
        assert result.findings.counts()["picture_refused"] == 4
        assert result.failed == sum(1 for finding in result.findings if finding.code == "region_failed") > 0
        assert mentions(result.findings.first("region_failed", 1)[0].value, "ErrorLimitExceed")
        assert result.created + result.failed == 330
        assert len(service.regions(project)) == 330 + result.created


def test_a_listing_that_is_behind_is_no_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Regions that were confirmed are asked for by id before they are called missing."""
    dataset = rb.read(write_set(tmp_path))
    with rehearsal() as (_, project, client):
        listing = client.tagged_images
        monkeypatch.setattr(client, "tagged_images", lambda *given, **page: listing(*given, **page)[3:])
        result = upload(dataset, client, project)
        assert (proof(result), result.lost) == (verified(330), 0)
        assert result.calls["GetImagesByIds"] == 1
        assert rb.verify(dataset, client, project, image_ids=result.image_ids, pace=Clock().pace()).good


# Pictures


def test_files_with_the_same_bytes_are_one_image(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    picture(tmp_path / "c.png", colour=1)
    boxes = [("a.png", "cat", (1, 1, 5, 5)), ("b.png", "cat", (1, 1, 5, 5)), ("b.png", "cat", (9, 9, 5, 5))]
    dataset = rb.read(write_coco(tmp_path, [*boxes, ("c.png", "cat", (1, 1, 5, 5))]))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert result.image_ids["a.png"] == result.image_ids["b.png"] != result.image_ids["c.png"]
        [twin] = result.findings.first("same_picture")
        assert (twin.place, twin.value) == ("b.png", "a.png")
        assert (result.created, dict(result.batches.ledger.dropped)) == (3, {"duplicate": 1})
        assert len(service.regions(project)) == 3
        assert result.calls == result.plan.calls, "the plan knew"
        again = upload(dataset, client, project, image_ids=result.image_ids)
        assert (again.sent, again.findings.counts()["same_picture"]) == (0, 1), "said again"
        assert rb.verify(dataset, client, project, pace=Clock().pace()).good


def test_what_is_too_much_for_an_image_of_two_files_is_said_in_the_plan(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    boxes = [("a.png", "cat", (number / 8, 1, 5, 5)) for number in range(200)]
    boxes += [("b.png", "cat", (number / 8, 2, 5, 5)) for number in range(200)]
    dataset = rb.read(write_coco(tmp_path, boxes, images=dict.fromkeys(("a.png", "b.png"), (64, 64))))
    assert dataset.findings.counts() == {}
    with rehearsal() as (_, project, client):
        plan = upload(dataset, client, project, dry_run=True)
        full = [(one.file, one.value) for one in plan.findings if one.code == "over_region_limit"]
        assert full == [("a.png", "400")], "they are one image"
        assert upload(dataset, client, project).exceeded == 100
        other = rb.read(write_coco(tmp_path / "more", [("a.png", "dog", (1, 1, 5, 5))]), image_dir=tmp_path)
        more = upload(other, client, project, dry_run=True, image_ids={"a.png": client.tagged_images(project)[0].id})
        assert [one.value for one in more.findings if one.code == "over_region_limit"] == ["301"]


def test_pictures_that_cannot_go_up_fail_with_their_regions_and_the_others_go(tmp_path: Path) -> None:
    noise(tmp_path / "heavy.bmp", (1500, 1500), "BMP")
    picture(tmp_path / "long.png", (10_300, 500))
    picture(tmp_path / "thin.png", (640, 20))
    picture(tmp_path / "other.webp", (64, 64))
    (tmp_path / "broken.png").write_bytes(b"")
    picture(tmp_path / "good.png")
    names = ["heavy.bmp", "long.png", "thin.png", "other.webp", "broken.png", "good.png"]
    sizes = [(1500, 1500), (10_300, 500), (640, 20), (64, 64), (64, 64), (64, 64)]
    folder = write_coco(
        tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in names], images=dict(zip(names, sizes, strict=True))
    )
    assert (tmp_path / "heavy.bmp").stat().st_size > IMAGE_BYTES
    dataset = rb.read(folder)
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (1, 5)
        assert result.calls["CreateImagesFromFiles"] == 1
        told = {finding.file: finding.value for finding in result.findings if finding.code == "picture_refused"}
        reasons = {
            "heavy.bmp": ("ErrorImageSize", 6.4, 6),
            "long.png": ("ErrorImageSize", 10300, 500, 10240),
            "thin.png": ("ErrorImageDimensions", 640, 20, 25),
            "other.webp": ("ErrorImageFormat", "JPEG", "PNG", "BMP", "GIF"),
            "broken.png": ("ErrorSource",),
        }
        assert told.keys() == reasons.keys()
        for name, tokens in reasons.items():
            assert mentions(told[name], *tokens)
        failed = [finding for finding in result.findings if finding.code == "region_failed"]
        assert [finding.place for finding in failed] == [
            f"annotations.json: annotation {number}" for number in range(1, 6)
        ]
        assert result.lost == 5
        assert len(service.regions(project)) == 1

        shrunk = upload(dataset, client, project, shrink=True)
        assert (shrunk.created, shrunk.already, shrunk.failed) == (3, 1, 2)
        encoded = {finding.file for finding in shrunk.findings if finding.code == "picture_shrunk"}
        assert encoded == {"heavy.bmp", "long.png", "other.webp"}
        assert len(service.regions(project)) == 4
        again = upload(dataset, client, project, shrink=True)
        assert (again.sent, again.already, again.failed) == (2, 4, 2), "encoded again, it is the same picture"


def test_a_picture_that_breaks_the_library_is_refused_with_the_others_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pillow raises what it likes for a broken file: SyntaxError, struct.error, ValueError."""
    for number, name in enumerate(("a.webp", "b.webp")):
        picture(tmp_path / name, colour=number)
    dataset = rb.read(write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in ("a.webp", "b.webp")]))
    open_picture, broken = Image.open, (tmp_path / "a.webp").read_bytes()

    def opened(file: io.BytesIO, **more: Any) -> Image.Image:
        if file.getvalue() == broken:
            raise SyntaxError("not a TIFF file")
        return open_picture(file, **more)

    monkeypatch.setattr(Image, "open", opened)
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=True)
    assert (result.created, result.failed) == (1, 1)
    [refused] = result.findings.first("picture_refused")
    assert refused.file == "a.webp"
    assert mentions(refused.value, "ErrorSource", "not a TIFF file"), "with what Pillow says"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere all names of files are text")
def test_a_name_that_is_no_text(tmp_path: Path) -> None:
    folder = write_yolo(tmp_path / "set", [("a.png", "cat", (0.5, 0.5, 0.2, 0.2))])
    picture(folder / "a.png")
    for ending in (".png", ".txt"):
        (folder / f"a{ending}").rename(os.fsdecode(os.fsencode(folder) + b"/\xff" + ending.encode()))
    dataset = rb.read(folder)
    with rehearsal() as (_, project, client):
        for sent in (1, 0):
            result = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
            assert (result.sent, result.lost) == (sent, 0)


def test_a_class_that_is_no_text(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    text = write_coco(tmp_path, [("a.png", "cat", (1, 1, 5, 5))]).joinpath("annotations.json")
    text.write_text(text.read_text(encoding="utf-8").replace('"cat"', '"\\ud800"'), encoding="utf-8")
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, r"\ud800", "--map"):
            upload(rb.read(tmp_path), client, project)
        assert not WRITES & set(service.calls)
        assert upload(rb.read(tmp_path), client, project, rename={"\ud800": "cat"}).created == 1


def test_shrinking_keeps_the_shape_and_the_orientation(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x112] = 6
    Image.frombytes("RGB", (3000, 2000), random.Random(0).randbytes(18_000_000)).save(
        tmp_path / "a.jpg", quality=100, exif=exif
    )
    assert (tmp_path / "a.jpg").stat().st_size > IMAGE_BYTES
    content = shrunk((tmp_path / "a.jpg").read_bytes())
    assert len(content) <= IMAGE_BYTES
    (tmp_path / "b.jpg").write_bytes(content)
    with Image.open(tmp_path / "b.jpg") as smaller:
        assert smaller.width / smaller.height == pytest.approx(1.5, rel=1e-3)
        assert smaller.getexif()[0x112] == 6
    assert shrunk((tmp_path / "a.jpg").read_bytes()) == content


def test_a_picture_of_16_bits_keeps_its_greys(tmp_path: Path) -> None:
    ramp = np.linspace(1_000, 40_000, 64 * 64).astype(np.uint16).reshape(64, 64)
    for form in ("TIFF", "PNG"):
        Image.fromarray(ramp).save(tmp_path / "ramp", form)
        with Image.open(io.BytesIO(shrunk((tmp_path / "ramp").read_bytes()))) as smaller:
            greys = np.asarray(smaller.convert("L"), int)
        assert np.abs(greys - ramp // 256).max() < 4
    Image.fromarray(ramp.astype(np.float32)).save(tmp_path / "ramp", "TIFF")
    with raises_mentioning(OSError, 1000.0, 40000.0, 8, 16):
        shrunk((tmp_path / "ramp").read_bytes())


def test_a_picture_that_cannot_be_encoded_again_is_refused_by_itself(tmp_path: Path) -> None:
    picture(tmp_path / "good.png")
    Image.new("1", (14_000, 14_000)).save(tmp_path / "huge.png")
    (tmp_path / "text.webp").write_bytes(b"no picture")
    names = ("good.png", "huge.png", "text.webp")
    dataset = rb.read(write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in names]))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=True)
        told = {finding.file: finding.value for finding in result.findings if finding.code == "picture_refused"}
        assert mentions(told["huge.png"], "ErrorImageSize", 14_000, shrink.PIXELS)
        assert mentions(told["text.webp"], "ErrorSource")
        assert (result.created, result.failed) == (1, 2)


def refusal(path: Path) -> str:
    """Why an image is not encoded again; the others go up."""
    picture(path.with_name("good.png"))
    names = ("good.png", path.name)
    dataset = rb.read(write_coco(path.parent, [(name, "cat", (1, 1, 5, 5)) for name in names]))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=True)
    assert (result.created, result.failed) == (1, 1)
    [refused] = result.findings.first("picture_refused")
    assert refused.file == path.name
    return refused.value


@pytest.mark.parametrize("form", ["PNG", "TIFF", "GIF", "PPM"])
def test_an_image_of_too_many_pixels_is_not_decoded(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    """Its header says so: two of 335 KB took 2 GB."""
    file = io.BytesIO()
    Image.new("1", (8_200, 8_200)).save(file, form)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda *_: pytest.fail("it was decoded"))
    with raises_mentioning(OSError, 8_200, shrink.PIXELS):
        shrunk(file.getvalue())


@pytest.mark.parametrize("kind", ["EPS", "PSD", "FITS", "PDF"])
def test_only_formats_of_datasets_are_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """EPS would start Ghostscript."""
    starts = {"EPS": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "PSD": b"8BPS", "FITS": b"SIMPLE  ="}
    (tmp_path / "a.tiff").write_bytes(starts.get(kind, b"%PDF-1.4") + bytes(100))
    Image.init()
    for name in {*Image.OPEN} - {*shrink._FORMATS}:
        monkeypatch.setitem(Image.OPEN, name, (lambda *_: pytest.fail("parsed"), lambda _: True))
    assert mentions(refusal(tmp_path / "a.tiff"), "ErrorSource")


def test_a_tiff_of_many_strips_is_encoded_again(tmp_path: Path) -> None:
    """What its EXIF holds besides is too long for a JPEG."""
    Image.new("RGB", (8, 20_000)).save(tmp_path / "a.tiff", tiffinfo={278: 1})
    with Image.open(io.BytesIO(shrunk((tmp_path / "a.tiff").read_bytes()))) as smaller:
        assert smaller.height == IMAGE_SIDE


@pytest.mark.parametrize("form", ["WEBP", "JPEG", "TIFF"])
def test_an_image_with_broken_exif_ends_no_run(form: str) -> None:
    """It is encoded again without, or refused by itself."""
    chance = random.Random(form)
    exif = Image.Exif()
    exif[0x112], exif[0x10F] = 6, "maker" * 9
    good, encoded = io.BytesIO(), 0
    Image.new("RGB", (40, 20)).save(good, form, exif=exif)
    for _ in range(200):
        content = bytearray(good.getvalue())
        at = content.rfind(b"maker") - chance.randrange(100)
        content[at : at + 3] = chance.randbytes(3)
        with suppress(OSError):
            encoded += bool(shrunk(bytes(content)))
    assert encoded


@pytest.mark.parametrize("form", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_image_stays_as_it_is_stored(form: str, orientation: int) -> None:
    """Boxes are those of the stored image. Pillow rotates a TIFF while it reads it."""
    exif = Image.Exif()
    exif[0x112] = orientation
    pixels = np.zeros((40, 64), np.uint8)
    pixels[:8, :16] = 255
    file = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(file, form, exif=exif)
    with Image.open(io.BytesIO(shrunk(file.getvalue()))) as smaller:
        assert smaller.getexif()[0x112] == orientation
        assert np.abs(np.asarray(smaller.convert("L"), int) - pixels).max() < 64


@pytest.mark.parametrize("smaller", [False, True])
def test_a_file_that_is_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, smaller: bool) -> None:
    """8 GB, on disk a few bytes."""
    picture(tmp_path / "a.png")
    os.truncate(tmp_path / "a.png", 8 * 2**30)
    (tmp_path / "b.png").write_bytes(b"")
    os.truncate(tmp_path / "b.png", 8 * 2**30)
    monkeypatch.setattr(images_module, "_file_digest", lambda path: pytest.fail(f"{path} was read"))
    dataset = rb.read(write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in ("a.png", "b.png")]))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, shrink=smaller)
        assert result.failed == 2
        assert rb.verify(dataset, client, project, pace=Clock().pace()).missing == 2


def test_a_file_that_grows_while_it_is_uploaded(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=2))
    with rehearsal() as (_, project, client):

        def progress(what: str, done: int, total: int) -> None:
            if what == LOOKING and done == total:
                os.truncate(tmp_path / "00000.png", 8 * 2**30)

        tracemalloc.start()
        result = upload(dataset, client, project, progress=progress)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert [one.place for one in result.findings.first("picture_refused")] == ["00000.png"]
    assert peak < 2**26


def test_a_file_that_changes_while_it_is_uploaded(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (service, project, client):

        def progress(what: str, done: int, total: int) -> None:
            if what == LOOKING and done == total:
                (tmp_path / "00000.png").write_bytes((tmp_path / "00001.png").read_bytes())

        result = upload(dataset, client, project, progress=progress)
        [refused] = [finding for finding in result.findings if finding.code == "picture_refused"]
        assert (refused.place, mentions(refused.value, "ErrorSource")) == ("00000.png", True)
        assert (result.created, len(service.regions(project))) == (30, 30)


def test_batches_of_pictures_are_full_and_never_too_large() -> None:
    lengths = dict(enumerate([10_000] * 200))
    assert [len(batch) for batch in images_module._batched(lengths)] == [64, 64, 64, 8]
    heavy = dict(enumerate([IMAGE_BYTES] * 10))
    batches = list(images_module._batched(heavy))
    assert [row for batch in batches for row in batch] == list(range(10))
    assert all(len(batch) * IMAGE_BYTES * 4 / 3 < 30e6 for batch in batches)
    assert len(batches) == 4


def test_a_body_that_is_too_large_after_all_is_halved(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, boxes=1))
    for path in tmp_path.glob("*.png"):
        path.write_bytes(path.read_bytes() + bytes(500))
    with rehearsal(Settings(limits=Limits(images=99, tags=9, body_bytes=3_000))) as (service, project, client):
        pace = Clock().pace()
        result = upload(dataset, client, project, pace=pace, in_flight=1)
        assert result.new_images == 12
        assert service.calls["CreateImagesFromFiles"] > 1


def test_a_picture_alone_needs_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path, images=1, boxes=0))
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_images(to: str, pictures: Any) -> Any:
            rows = create(to, pictures)
            for row in rows:
                row.source_url = f"https://127.0.0.1/{row.source_url}?sig=1"
            return rows

        monkeypatch.setattr(client, "create_images", create_images)
        assert upload(dataset, client, project).new_images == 1


def test_statuses_that_nobody_foresaw(tmp_path: Path) -> None:
    """The service is stricter than its documentation: the picture fails with the status, the others go up."""
    dataset = rb.read(write_set(tmp_path, images=4))
    small = Limits(images=99, tags=9, image_bytes=60)
    noise(tmp_path / "00001.png", (64, 64), "PNG")
    for name in ("00000.png", "00002.png", "00003.png"):
        (tmp_path / name).write_bytes(b"GIF89a\x10\x00\x10\x00\x00\x00\x00;" + name.encode())
    with rehearsal(Settings(limits=small)) as (_, project, client):
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (60, 30)
        [refused] = [finding for finding in result.findings if finding.code == "picture_refused"]
        assert (refused.file, mentions(refused.value, "ErrorImageSize")) == ("00001.png", True)


def test_pictures_that_are_nowhere(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=4))
    (tmp_path / "00001.png").unlink()
    dataset = rb.read(tmp_path)
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, "00001.png", 30):
            upload(dataset, client, project)
        assert not WRITES & set(service.calls)
        result = upload(dataset, client, project, skip_unresolved=True)
        assert (result.created, dict(result.batches.ledger.dropped)) == (60, {"unresolved": 30})


# Known ids


@pytest.mark.parametrize("form", ["mapping", "file"])
def test_known_ids_are_used_and_nothing_is_uploaded(tmp_path: Path, form: str) -> None:
    dataset = rb.read(write_set(tmp_path / "set"))
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
    dataset = rb.read(write_set(tmp_path))
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


# Regions that the service does not take


def refusing(client: rb.TrainingClient, bad: set[float], monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Let the service refuse batches with certain boxes; the sizes of all batches."""
    create, sizes = client.create_regions, []

    def create_regions(project: str, batch: Any) -> Any:
        sizes.append(len(batch))
        if any(entry.left in bad for entry in batch):
            raise rb.ServiceError("CreateImageRegions: no; no", code="BadRequestImageRegions", said="bad", status=400)
        return create(project, batch)

    monkeypatch.setattr(client, "create_regions", create_regions)
    return sizes


@pytest.mark.parametrize("count", [1, 3, 64])
def test_a_refused_batch_is_halved_until_the_offenders_stand_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    dataset = rb.read(write_set(tmp_path, images=5, boxes=60))
    lefts = dataset.regions.box[:, 0]
    assert len(np.unique(lefts)) == 240
    rows = sorted(random.Random(count).sample(range(240), count))
    with rehearsal() as (service, project, client):
        sizes = refusing(client, set(lefts[rows].tolist()), monkeypatch)
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (240 - count, count)
        failed = [finding for finding in result.findings if finding.code == "region_failed"]
        assert [finding.where for finding in failed] == [row + 1 for row in rows], "each points to its annotation"
        assert mentions(failed[0].value, "BadRequestImageRegions", "bad")
        assert len(service.regions(project)) == 240 - count
        assert result.verification is not None
        assert result.verification.missing == count == result.lost
        assert len(sizes) <= 4 + 14 * count


@pytest.mark.parametrize(("boxes", "ends"), [(250, True), (33, True), (32, False)])
def test_a_service_that_takes_nothing_is_not_asked_for_every_region(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boxes: int, ends: bool
) -> None:
    dataset = rb.read(write_set(tmp_path, images=3 if boxes < 99 else 6, boxes=boxes))
    with rehearsal() as (_, project, client):
        sizes = refusing(client, set(dataset.regions.box[:, 0].tolist()), monkeypatch)
        if ends:
            with pytest.raises(rb.ServiceError) as caught:
                upload(dataset, client, project)
            assert (caught.value.status, caught.value.code, caught.value.said) == (400, "BadRequestImageRegions", "bad")
            assert len(sizes) < 3 * 127 + 20
        else:
            result = upload(dataset, client, project)
            assert (result.failed, result.created) == (64, 0), "one batch proves nothing"


def test_one_region_that_is_taken_keeps_the_others_going(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path, images=5, boxes=60))
    with rehearsal() as (_, project, client):
        refusing(client, set(dataset.regions.box[1:, 0].tolist()), monkeypatch)
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (1, 239)


def test_an_entry_that_breaks_the_service_spoils_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        create, bad = client.create_regions, dataset.regions.box[7, 0]

        def create_regions(to: str, batch: Any) -> Any:
            if any(entry.left == bad for entry in batch):
                raise rb.TransportError("a: b; c", code="ErrorUnknown", said="broken", status=500)
            return create(to, batch)

        monkeypatch.setattr(client, "create_regions", create_regions)
        result = upload(dataset, client, project)
        assert (result.created, result.failed, len(service.regions(project))) == (59, 1, 59)
        [failed] = [finding for finding in result.findings if finding.code == "region_failed"]
        assert (failed.where, mentions(failed.value, "ErrorUnknown", "broken")) == (8, True)


@pytest.mark.parametrize("status", [408, 413, 500])
def test_a_picture_that_breaks_the_service_spoils_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    dataset = rb.read(write_set(tmp_path, images=9))
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_images(to: str, pictures: Any) -> Any:
            if any(one.name == "5.png" for one in pictures):
                kind = rb.ServiceError if status == 413 else rb.TransportError
                raise kind("a: b; c", code="Broken", said="broken", status=status)
            return create(to, pictures)

        monkeypatch.setattr(client, "create_images", create_images)
        result = upload(dataset, client, project)
        assert (result.created, result.failed, result.new_images) == (210, 30, 8)
        [refused] = result.findings.first("picture_refused")
        assert (refused.place, mentions(refused.value, "Broken", "broken")) == ("00005.png", True)
        assert sorted(result.image_ids) == sorted(set(dataset.images.names) - {"00005.png"})


def test_a_service_that_refuses_to_look_for_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path))
    with rehearsal() as (_, project, client):
        ids = {**upload(dataset, client, project).image_ids, "00003.png": id_of("nowhere")}

        def images_by_id(*_arguments: object) -> Any:
            raise rb.ServiceError("a: b; c", code="BadRequestInvalidIds", status=400)

        monkeypatch.setattr(client, "images_by_id", images_by_id)
        result = upload(dataset, client, project, image_ids=ids)
        assert (result.failed, result.already) == (30, 300)


@pytest.mark.parametrize("unknown_ids", ["batch", "not-found", "entry"])
def test_an_image_that_somebody_removes_while_regions_are_sent(tmp_path: Path, unknown_ids: Any) -> None:
    """The service may refuse to look for an id that it does not know; the other images' regions go through."""
    dataset = rb.read(write_set(tmp_path, images=8, boxes=100))
    with rehearsal(Settings(unknown_ids=unknown_ids)) as (service, project, client):
        removed: list[str] = []

        def progress(what: str, done: int, _total: int) -> None:
            if what == SENDING and done and not removed:
                removed.append(client.untagged_images(project)[0].id)
                delete_images(client, project, removed)

        result = upload(dataset, client, project, progress=progress, in_flight=1)
        assert result.verification is not None
        assert (len(service.regions(project)), result.verification.missing) == (600, 100)
        assert result.created + result.failed == 700


def test_more_than_300_regions_on_an_image(tmp_path: Path) -> None:
    dataset = rb.read(write_set(tmp_path, images=3, boxes=310))
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert (result.created, result.exceeded, result.failed) == (600, 20, 0)
        assert result.findings.counts()["region_exceeded"] == 20
        assert result.findings.counts()["over_region_limit"] == 2
        assert len(service.regions(project)) == 600
        assert result.lost == 20
        assert result.calls["CreateImageRegions"] == -(-620 // 64)


def test_entries_that_are_silently_left_out_are_looked_up_sent_again_and_then_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = rb.read(write_set(tmp_path, images=3))
    with rehearsal(Settings(unknown_ids="entry")) as (service, project, client):
        create, bad = client.create_regions, dataset.regions.box[7, 0]

        def create_regions(to: str, batch: Any) -> Any:
            changed = [
                rb.batching.Entry(id_of("x"), one.tag_id, *[one.left, one.top, one.width, one.height])
                if one.left == bad
                else one
                for one in batch
            ]
            return create(to, rb.Batch.of(changed))

        monkeypatch.setattr(client, "create_regions", create_regions)
        result = upload(dataset, client, project)
        assert (result.created, result.failed) == (59, 1)
        [failed] = [finding for finding in result.findings if finding.code == "region_failed"]
        assert failed.where == 8
        assert mentions(failed.value, "Unconfirmed")
        assert len(service.regions(project)) == 59


def test_what_a_lost_answer_did_is_looked_up_once_it_is_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call is still at work when its connection breaks: reading at once would find nothing, and send it twice."""
    dataset = rb.read(write_set(tmp_path, images=2))
    clock = Clock()
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        create, by_id = client.create_regions, client.images_by_id
        broken: list[float] = []
        at_work: list[Any] = []

        def create_regions(to: str, batch: Any) -> Any:
            if broken:
                return create(to, batch)
            broken.append(clock.time)
            at_work.append(batch)
            raise rb.TransportError("a: b; c")

        def finish() -> None:
            while at_work:
                create(project, at_work.pop())

        def images_by_id(of: str, ids: Any) -> Any:
            if clock.time >= broken[0] + 4.5:
                finish()
            return by_id(of, ids)

        monkeypatch.setattr(client, "create_regions", create_regions)
        monkeypatch.setattr(client, "images_by_id", images_by_id)
        result = upload(dataset, client, project, pace=clock.pace())
        finish()
        assert_exact(dataset, result, service, project)
        assert result.created == 30


def test_no_access_in_the_middle_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path))
    with rehearsal() as (service, project, client):
        create = client.create_regions

        def create_regions(to: str, batch: Any) -> Any:
            if service.calls["CreateImageRegions"] >= 2:
                raise rb.AccessError("CreateImageRegions: no; no", status=403)
            return create(to, batch)

        monkeypatch.setattr(client, "create_regions", create_regions)
        with pytest.raises(rb.AccessError):
            upload(dataset, client, project, in_flight=1)
        monkeypatch.setattr(client, "create_regions", create)
        result = upload(dataset, client, project)
        assert (result.created, result.already) == (330 - 128, 128)


def test_a_service_that_is_gone_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_set(tmp_path, images=2))
    with rehearsal() as (_, project, client):

        def gone(*_arguments: object) -> Any:
            raise rb.TransportError("CreateImageRegions: no answer; run it again")

        monkeypatch.setattr(client, "create_regions", gone)
        monkeypatch.setattr(client, "images_by_id", gone)
        with pytest.raises(rb.TransportError):
            upload(dataset, client, project)


@pytest.mark.parametrize("call", ["create_images", "create_regions"])
@pytest.mark.parametrize("status", [0, 503])
def test_writes_that_fail_without_end_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, status: int
) -> None:
    """Reading goes on working: nothing is marked as failed, and the run can be gone on with."""
    dataset = rb.read(write_set(tmp_path / "set", images=30, boxes=100))
    with rehearsal() as (service, project, client):
        pace = Clock().pace()

        def gone(*_arguments: object) -> Any:
            raise rb.TransportError("a: b; c", status=status)

        with monkeypatch.context() as patched:
            patched.setattr(client, call, gone)
            with pytest.raises(rb.TransportError):
                upload(dataset, client, project, journal=tmp_path / "journal.sqlite", pace=pace)
        assert pace.calls.total() < 300
        result = upload(dataset, client, project, journal=tmp_path / "journal.sqlite")
        assert_exact(dataset, result, service, project)


@pytest.mark.parametrize("version", ["3.2", "3.3"])
@pytest.mark.parametrize("name", ["voc", "coco", "yolo"])
def test_the_scene_goes_up_in_every_format(name: str, version: str) -> None:
    dataset = rb.read(ROOT / "fixtures" / "scene" / name)
    with rehearsal(Settings(limits=TIERS["F0"]), version=version) as (service, project, client):
        result = upload(dataset, client, project, tier="F0")
        assert_exact(dataset, result, service, project)
        assert result.calls == result.plan.calls


def test_a_set_without_boxes(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    dataset = rb.read(write_coco(tmp_path, [], images={"a.png": (64, 64)}))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project)
        assert (result.sent, result.new_images, result.new_tags) == (0, 1, 0)
        assert result.verification is not None
        assert result.verification.good
        assert result.calls == result.plan.calls
