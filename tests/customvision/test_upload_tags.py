"""The tags of an upload: which are found, and which are created."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    WRITES,
    about,
    assert_exact,
    rehearsal,
    upload,
    write_dataset,
    write_image,
)

import regionbatch as rb
from helpers import id_of, raises_mentioning, write_coco
from regionbatch.customvision.service_types import ServiceTag

if TYPE_CHECKING:
    from pathlib import Path


def test_tags_are_created_for_classes_with_boxes_if_requested(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, tags=("cat", "dog"), images=3))
    extra = rb.read(
        write_coco(tmp_path / "more", [("00000.png", "cat", (1, 1, 5, 5))], tags=["never", "cat"]),
        image_dir=tmp_path,
    )
    assert "never" in extra.tags
    with rehearsal() as (service, project, client):
        with pytest.raises(rb.ResolveError) as caught:
            upload(extra, client, project, create_tags=False)
        assert about(caught.value) == ("", "create_tags", ["cat"])
        assert not WRITES & set(service.calls)
        upload(extra, client, project)
        assert [tag.name for tag in client.tags(project)] == ["cat"]
        upload(dataset, client, project)
        assert sorted((tag.name, tag.type) for tag in client.tags(project)) == [
            ("cat", "Regular"),
            ("dog", "Regular"),
        ]
        assert service.calls["CreateTag"] == 2


def test_tags_are_found_and_renamed_as_in_convert(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
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
    """They also do if an earlier run ended after creating one of the tags."""
    dataset = rb.read(write_dataset(tmp_path, images=3, tags=("Cat", "cat")))
    for existing in ("Cat", "cat"):
        with rehearsal() as (service, project, client):
            client.create_tag(project, existing)
            result = upload(dataset, client, project)
            assert_exact(dataset, result, service, project)
            assert Counter(row.tag_name for row in service.regions(project)) == {
                "Cat": 30,
                "cat": 30,
            }


def test_similar_classes_are_reported_before_a_tag_is_created(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=16, boxes=2, tags=("Cat", "cat"))
    dataset = rb.read(folder)
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.StrictError, "similar_tags"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls)
        result = upload(dataset, client, project, strict=True, rename={"Cat": "cat"})
        assert list(result.plan.new_tags) == ["cat"]


def test_a_class_that_is_similar_to_a_tag_is_reported_before_the_first_write(
    tmp_path: Path,
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=16, tags=("traffic light",)))
    with rehearsal() as (service, project, client):
        client.create_tag(project, "Traffic  Light")
        before = service.calls.copy()
        with raises_mentioning(rb.StrictError, "matched_loosely"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls - before)
        meant = upload(
            dataset, client, project, strict=True, rename={"traffic light": "Traffic  Light"}
        )
        assert not meant.plan.new_tags


def test_no_tag_is_created_for_a_class_without_boxes_to_send(tmp_path: Path) -> None:
    """A project with a tag without regions cannot be trained."""
    names = ("good.png", "broken.png", "missing.png")
    for name in names:
        write_image(tmp_path / name, colour=names.index(name))
    folder = write_coco(tmp_path, [(name, name, (1, 1, 5, 5)) for name in names])
    (tmp_path / "broken.png").write_bytes(b"not an image")
    (tmp_path / "missing.png").unlink()
    with rehearsal() as (_, project, client):
        result = upload(rb.read(folder), client, project, skip_unresolved=True)
        assert (
            [tag.name for tag in client.tags(project)] == ["good.png"] == list(result.plan.new_tags)
        )
        assert (result.created, result.failed, result.refused_images) == (1, 1, 1)
        assert result.calls == result.plan.calls


def test_no_tag_is_created_for_a_class_whose_images_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This is known only after the images are uploaded: the plan names all possible tags."""
    for number, name in enumerate(("good.png", "bad.png")):
        write_image(tmp_path / name, colour=number)
    dataset = rb.read(
        write_coco(tmp_path, [(f"{name}.png", name, (1, 1, 5, 5)) for name in ("good", "bad")])
    )
    with rehearsal() as (_, project, client):
        create = client.create_images

        def create_images(to: str, images: Any) -> Any:
            rows = create(to, images)
            for row in rows:
                if (row.source_url or "").startswith("1-"):
                    row.status, row.image = "ErrorImageFormat", None
            return rows

        monkeypatch.setattr(client, "create_images", create_images)
        result = upload(dataset, client, project)
        assert ([*result.plan.new_tags], result.new_tags) == (["good", "bad"], 1)
        assert [tag.name for tag in client.tags(project)] == ["good"]
        assert (result.created, result.failed, result.lost) == (1, 1, 1)


def test_ids_in_upper_case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        create, read = client.create_tag, client.tags

        def in_upper_case(tag: Any) -> Any:
            tag.id = tag.id.upper()
            return tag

        monkeypatch.setattr(client, "create_tag", lambda *given: in_upper_case(create(*given)))
        monkeypatch.setattr(client, "tags", lambda of: [*map(in_upper_case, read(of))])
        assert_exact(dataset, upload(dataset, client, project), service, project)
        again = upload(rb.read(tmp_path, only=["cat"]), client, project)
        assert {one.value.split()[0] for one in again.findings if one.code == "region_extra"} == {
            "dog",
            "emu",
        }


def test_classes_without_a_tag_can_be_left_out(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, "pet", 40, "emu", 20):
            upload(dataset, client, project, create_tags=False, rename={"cat": "pet", "dog": "pet"})
        client.create_tag(project, "cat")
        result = upload(dataset, client, project, create_tags=False, skip_unresolved=True)
        assert (result.sent, result.created) == (20, 20)
        assert dict(result.batches.ledger.dropped) == {"unresolved": 40}
        assert service.calls["CreateTag"] == 1


def test_a_negative_tag_takes_no_boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (service, project, client):
        for kind in ("Negative", "GeneralCompact"):
            tag = ServiceTag(id=id_of("t"), name="cat", type=kind)
            monkeypatch.setattr(client, "tags", lambda _project, tag=tag: [tag])
            with raises_mentioning(rb.ResolveError, "cat", "Regular", kind):
                upload(dataset, client, project)
        assert not WRITES & set(service.calls)


def test_a_class_name_that_is_not_text(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    text = write_coco(tmp_path, [("a.png", "cat", (1, 1, 5, 5))]).joinpath("annotations.json")
    text.write_text(
        text.read_text(encoding="utf-8").replace('"cat"', '"\\ud800"'), encoding="utf-8"
    )
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.ResolveError, r"\ud800") as caught:
            upload(rb.read(tmp_path), client, project)
        assert about(caught.value) == ("", "rename", "\ud800")
        assert not WRITES & set(service.calls)
        assert upload(rb.read(tmp_path), client, project, rename={"\ud800": "cat"}).created == 1
