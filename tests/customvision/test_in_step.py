"""A project that is kept in step with a dataset: nearly equal regions, and regions to delete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    Clock,
    about,
    assert_exact,
    expected_counts,
    rehearsal,
    stored_regions,
    upload,
    verification_counts,
    write_dataset,
    write_image,
)

import regionbatch as rb
from helpers import mentions, write_coco
from regionbatch.batching import Entry
from regionbatch.local import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from regionbatch import Dataset, TrainingClient, UploadResult


def upload_rounded(
    dataset: Dataset, client: TrainingClient, project: str, digits: int
) -> UploadResult:
    """Upload like an earlier script that rounds the numbers."""
    create = client.create_regions

    def create_rounded(to: str, batch: Any) -> Any:
        entries = [
            Entry(
                one.image_id,
                one.tag_id,
                *[round(number, digits) for number in (one.left, one.top, one.width, one.height)],
            )
            for one in batch
        ]
        return create(to, rb.Batch.of(entries))

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(client, "create_regions", create_rounded)
        return upload(dataset, client, project)


@pytest.mark.parametrize("digits", [4, 5])
@pytest.mark.parametrize("knows_ids", [True, False])
def test_nearly_equal_regions_are_not_sent_without_a_decision(
    tmp_path: Path, digits: int, knows_ids: bool
) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4))
    with rehearsal() as (service, project, client):
        first = upload_rounded(dataset, client, project, digits)
        before = stored_regions(service, project)
        ids = {"image_ids": first.image_ids} if knows_ids else {}
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, **ids)
        assert about(caught.value)[1] == "existing"
        assert caught.value.choices == ("skip", "add")
        assert "annotations.json: annotation " in str(caught.value), "the place of one of them"
        count = caught.value.value
        assert isinstance(count, int)
        assert 0 < count <= len(dataset)
        assert stored_regions(service, project) == before


def test_nearly_equal_regions_are_kept_with_skip(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path / "set", images=4))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload_rounded(dataset, client, project, 4)
        result = upload(dataset, client, project, existing="skip", journal=journal)
        assert (result.sent, result.already) == (0, len(dataset))
        kept = result.findings.counts()["region_kept"]
        assert 0 < kept <= len(dataset)
        assert verification_counts(result) == expected_counts(len(dataset))
        assert result.lost == 0
        assert len(service.regions(project)) == len(dataset)
        again = upload(dataset, client, project, journal=journal)
        assert (again.sent, again.plan.near) == (0, 0), "the journal has the decision"
        found = rb.verify(
            dataset, client, project, journal=journal, rate_limiter=Clock().rate_limiter()
        )
        assert found.good
        assert "region_rounded" in found.findings.counts()


def test_nearly_equal_regions_are_replaced_by_add_and_prune(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4))
    with rehearsal() as (service, project, client):
        upload_rounded(dataset, client, project, 4)
        with pytest.raises(rb.LimitError) as caught:
            upload(dataset, client, project, existing="add", prune=True)
        assert about(caught.value)[1] == "prune_limit"
        result = upload(dataset, client, project, existing="add", prune=True, prune_limit="all")
        assert_exact(dataset, result, service, project)
        assert result.created == result.deleted > 0


def test_nearly_equal_regions_are_added_next_to_those_of_the_project(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4))
    with rehearsal() as (_, project, client):
        upload_rounded(dataset, client, project, 4)
        result = upload(dataset, client, project, existing="add")
        assert result.created > 0
        assert verification_counts(result) == expected_counts(len(dataset), extra=result.created)


def test_a_region_that_differs_in_one_number_is_reported(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=1)
    write_coco(folder, [("00000.png", "cat", (16, 16, 32, 64 / 3))], images={"00000.png": (64, 64)})
    dataset = rb.read(folder)
    with rehearsal(Settings(stored_digits=4)) as (_, project, client):
        result = upload(dataset, client, project)
        assert verification_counts(result) == expected_counts(1)
        assert result.findings.counts()["region_rounded"] == 1


def test_an_unknown_value_of_existing(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal() as (service, project, client):
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, existing="replace")
        assert about(caught.value) == ("", "existing", "replace")
        assert not service.calls


@pytest.mark.parametrize("digits", [4, 5])
def test_regions_of_a_service_that_stores_fewer_digits_are_known_to_the_journal(
    tmp_path: Path, digits: int
) -> None:
    folder = write_dataset(tmp_path / "set", images=4)
    journal = tmp_path / "journal.sqlite"
    settings = Settings(stored_digits=digits, on_existing="twice")
    with rehearsal(settings) as (service, project, client):
        for _ in range(3):
            dataset = rb.read(folder)
            result = upload(dataset, client, project, journal=journal)
            assert verification_counts(result) == expected_counts(len(dataset))
            assert result.findings.counts()["region_rounded"] > 0
            assert len(service.regions(project)) == len(dataset)
            edit(folder, delete_box(0))  # another dataset: the journal still knows the others
            result = upload(rb.read(folder), client, project, journal=journal, prune=True)
            assert (result.deleted, result.sent) == (1, 0)
            assert len(service.regions(project)) == len(dataset) - 1


def edit(folder: Path, change: Callable[[Any], None]) -> None:
    """Change the annotations of a COCO dataset."""
    path = folder / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    path.write_text(json.dumps(content), encoding="utf-8")


def delete_box(number: int) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        del content["annotations"][number]

    return change


def move_box(number: int, distance: float) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        content["annotations"][number]["bbox"][0] += distance

    return change


def add_box(content: Any) -> None:
    last = content["annotations"][-1]
    content["annotations"].append({**last, "id": last["id"] + 1, "bbox": [1.5, 2.5, 3.25, 4.75]})


def test_an_edited_dataset_is_in_step_after_an_upload_with_prune(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=6)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        edit(folder, move_box(3, 5.0))
        edit(folder, move_box(40, 0.01))
        edit(folder, delete_box(70))
        edit(folder, add_box)
        dataset = rb.read(folder)
        planned = upload(dataset, client, project, journal=journal, prune=True, dry_run=True)
        assert (planned.plan.prune, planned.plan.regions, planned.deleted) == (3, 3, 0)
        assert planned.findings.counts()["region_pruned"] == 3
        result = upload(dataset, client, project, journal=journal, prune=True)
        assert (result.sent, result.created, result.deleted) == (3, 3, 3)
        assert_exact(dataset, result, service, project)
        again = upload(dataset, client, project, journal=journal, prune=True)
        assert (again.sent, again.deleted) == (0, 0)
        assert again.calls.get("DeleteImageRegions", 0) == 0
        assert_exact(dataset, again, service, project)


def test_the_regions_of_a_replaced_image_are_deleted(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=12)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        write_image(folder / "00002.png", colour=77_777)
        dataset = rb.read(folder)
        result = upload(dataset, client, project, journal=journal, prune=True)
        assert (result.new_images, result.created, result.deleted) == (1, 30, 30)
        assert_exact(dataset, result, service, project)


def test_regions_on_other_images_and_with_other_tags_are_not_deleted(tmp_path: Path) -> None:
    whole = rb.read(write_dataset(tmp_path / "whole", images=5))
    other = rb.read(write_dataset(tmp_path / "other", images=3, seed=9, tags=("fox",)))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        ids = upload(whole, client, project, journal=journal).image_ids
        upload(other, client, project)
        own_tag = client.create_tag(project, "drawn in the portal").id
        foreign = Entry(ids["00000.png"], own_tag, 0.1, 0.1, 0.2, 0.2)
        client.create_regions(project, rb.Batch.of([foreign]))
        edit(tmp_path / "whole", delete_box(0))
        dataset = rb.read(tmp_path / "whole")
        result = upload(dataset, client, project, journal=journal, prune=True)
        assert result.deleted == 1
        assert verification_counts(result) == expected_counts(
            len(dataset), extra=1, elsewhere=len(other)
        )
        assert len(service.regions(project)) == len(dataset) + 1 + len(other)


def test_images_that_the_dataset_no_longer_has_keep_their_regions(tmp_path: Path) -> None:
    """Their journal may be shared by another part of the dataset."""
    parts = [rb.read(write_dataset(tmp_path / str(seed), images=3, seed=seed)) for seed in (1, 2)]
    for part in parts:
        root = Path(part.root)
        for path in root.glob("*.png"):
            path.rename(path.with_name(f"{root.name}-{path.name}"))
        edit(root, rename_images(root.name))
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        for _ in range(2):
            for part in parts:
                dataset = rb.read(part.root)
                options = {"prune": True, "prune_limit": "all", "journal": journal}
                result = upload(dataset, client, project, **options)
                assert result.deleted == 0
        assert len(service.regions(project)) == sum(map(len, parts))


def rename_images(prefix: str) -> Callable[[Any], None]:
    def change(content: Any) -> None:
        for image in content["images"]:
            image["file_name"] = f"{prefix}-{image['file_name']}"

    return change


@pytest.mark.parametrize(
    ("limit", "is_allowed"),
    [
        ("10%", False),
        ("20%", True),
        (11, False),
        (12, True),
        ("12", True),
        ("all", True),
        (0, False),
    ],
)
def test_the_limit_of_regions_to_delete(tmp_path: Path, limit: str | int, is_allowed: bool) -> None:
    folder = write_dataset(tmp_path / "set", images=5, boxes=25)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        for _ in range(12):
            edit(folder, delete_box(0))
        dataset = rb.read(folder)
        options: dict[str, Any] = {"journal": journal, "prune": True, "prune_limit": limit}
        if is_allowed:
            assert upload(dataset, client, project, **options).deleted == 12
            return
        before = service.calls["DeleteImageRegions"]
        assert upload(dataset, client, project, dry_run=True, **options).plan.prune == 12
        with pytest.raises(rb.LimitError) as caught:
            upload(dataset, client, project, **options)
        assert about(caught.value)[1:] == ("prune_limit", 12)
        assert service.calls["DeleteImageRegions"] == before


@pytest.mark.parametrize("limit", ["", "ten", "-1", "101%", "1.5", -3])
def test_a_limit_that_is_invalid(tmp_path: Path, limit: str | int) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal() as (service, project, client):
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, prune=True, prune_limit=limit)
        assert about(caught.value) == ("", "prune_limit", limit)
        assert not service.calls


def test_a_dataset_that_was_not_read_completely_is_not_pruned(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=3)
    with rehearsal() as (service, project, client):
        for options in ({"only": ["cat"]}, {"max_clip": 0.1}):
            if "max_clip" in options:
                edit(folder, move_box(0, 60.0))
            dataset = rb.read(folder, **options)
            with pytest.raises(rb.OptionError) as caught:
                upload(dataset, client, project, prune=True)
            assert about(caught.value)[1] == "prune"
        with pytest.raises(rb.OptionError):
            upload(rb.read(folder), client, project, prune=True, skip_unresolved=True)
        assert not service.calls


def test_the_place_of_a_box_that_was_not_read_is_named_before_pruning(tmp_path: Path) -> None:
    folder = write_dataset(tmp_path, images=3)
    edit(folder, lambda content: content["annotations"][1].update(bbox=[5, 5, 0, 0]))
    dataset = rb.read(folder)
    [dropped] = dataset.findings.first("empty_box")
    with rehearsal() as (service, project, client):
        with pytest.raises(rb.OptionError) as caught:
            upload(dataset, client, project, prune=True)
        assert mentions(str(caught.value), dropped.place, "empty_box")
        assert not service.calls


def test_boxes_that_look_equal_are_shown_with_more_digits(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4))
    with rehearsal() as (_, project, client):
        result = upload_rounded(dataset, client, project, 4)
        found = rb.verify(dataset, client, project, image_ids=result.image_ids)
    moved = [row.value for row in found.findings if row.code == "region_moved"]
    assert moved
    for value in moved:
        ours, _, theirs = value.partition(", ")
        assert not set(ours.split()) >= {word for word in theirs.split() if word[0] == "0"}


def test_a_moved_box_on_a_full_image(tmp_path: Path) -> None:
    """The new region has no room until the old one is deleted."""
    folder = write_dataset(tmp_path / "set", images=2, boxes=300)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        edit(folder, move_box(7, 3.0))
        dataset = rb.read(folder)
        result = upload(dataset, client, project, journal=journal, prune=True)
        assert (result.created, result.exceeded, result.deleted) == (1, 0, 1)
        assert_exact(dataset, result, service, project)


def test_an_image_with_a_failed_region_keeps_its_regions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_dataset(tmp_path / "set", images=3)
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        upload(rb.read(folder), client, project, journal=journal)
        edit(folder, move_box(0, 5.0))

        def refuse(*_arguments: object) -> Any:
            raise rb.ServiceError("a: b. C.", code="BadRequestImageRegions", status=400)

        monkeypatch.setattr(client, "create_regions", refuse)
        result = upload(rb.read(folder), client, project, journal=journal, prune=True)
        assert (result.failed, result.deleted) == (1, 0)
        assert len(service.regions(project)) == 60
