"""A project compared with a dataset: every difference is reported with its place."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import (
    Clock,
    expected_counts,
    rehearsal,
    verification_counts,
    write_dataset,
)

import regionbatch as rb
from helpers import ROOT, id_of, mentions, raises_mentioning, write_json
from regionbatch.batching import Batch, Entry
from regionbatch.customvision.service_types import ServiceImage, ServiceRegion, ServiceTag
from regionbatch.local import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from regionbatch.local import LocalService


class Uploaded:
    """An uploaded dataset of 5 images with 8 boxes each, and ways to change the project."""

    def __init__(
        self, folder: Path, service: LocalService, project: str, client: rb.TrainingClient
    ) -> None:
        self.dataset = rb.read(write_dataset(folder / "set", images=6, boxes=8))
        self.journal = folder / "journal.sqlite"
        self.service, self.project, self.client = service, project, client
        self.result = rb.upload(
            self.dataset,
            client,
            project,
            create_tags=True,
            journal=self.journal,
            rate_limiter=Clock().rate_limiter(),
        )
        self.tags = {tag.name: tag.id for tag in client.tags(project)}

    def verify(self, **options: Any) -> rb.Verification:
        return rb.verify(
            self.dataset,
            self.client,
            self.project,
            **{"rate_limiter": Clock().rate_limiter(), **options},
        )

    def delete(self, row: int) -> None:
        """Delete the region of a row of the dataset."""
        region = list(self.dataset)[row]
        [region_id] = [
            one.region_id
            for one in self.service.regions(self.project)
            if one.image_id == self.result.image_ids[region.image]
            and one.left == pytest.approx(region.left, abs=1e-7)
        ]
        self.client.delete_regions(self.project, [region_id])

    def add(self, image: str, tag: str, *box: float) -> None:
        entry = Entry(self.result.image_ids.get(image, image), self.tags[tag], *box)
        assert len(self.client.create_regions(self.project, Batch.of([entry])).created or []) == 1


@pytest.fixture
def uploaded(tmp_path: Path) -> Iterator[Uploaded]:
    with rehearsal() as (service, project, client):
        yield Uploaded(tmp_path, service, project, client)


@pytest.fixture(params=["journal", "mapping", "file", "recognised"])
def known(request: pytest.FixtureRequest, uploaded: Uploaded, tmp_path: Path) -> dict[str, Any]:
    """Return the options of each way to find the IDs of images."""
    ids = dict(uploaded.result.image_ids)
    ways: dict[str, dict[str, Any]] = {
        "journal": {"journal": uploaded.journal},
        "mapping": {"image_ids": ids},
        "file": {"image_ids": write_json(tmp_path / "images.json", ids)},
        "recognised": {},
    }
    return ways[request.param]


def test_an_exact_project(uploaded: Uploaded, known: dict[str, Any]) -> None:
    found = uploaded.verify(**known)
    assert found.good
    assert found.summary() == {"matched": 40, "missing": 0, "moved": 0, "extra": 0, "elsewhere": 0}
    assert len(found.findings) == 0


def test_each_difference_is_reported_with_its_place(
    uploaded: Uploaded, known: dict[str, Any]
) -> None:
    uploaded.delete(3)
    left, top, width, height = uploaded.dataset.regions.box[17].tolist()
    uploaded.delete(17)
    region = list(uploaded.dataset)[17]
    uploaded.add(region.image, region.tag, left, top, width * 0.9, height)
    uploaded.add("00002.png", "emu", 0.5, 0.25, 0.125, 0.0625)
    found = uploaded.verify(**known)
    assert not found.good
    assert found.summary() == {"matched": 38, "missing": 1, "moved": 1, "extra": 1, "elsewhere": 0}
    findings = {finding.code: finding for finding in found.findings}
    assert {code: finding.place for code, finding in findings.items()} == {
        "region_missing": "annotations.json: annotation 4",
        "region_moved": "annotations.json: annotation 18",
        "region_extra": "00002.png",
    }
    assert mentions(
        findings["region_moved"].value, f"{left:.4g} {top:.4g} {width * 0.9:.4g} {height:.4g}"
    )
    assert findings["region_extra"].value == "emu 0.5 0.25 0.125 0.0625"


def test_identical_boxes_of_two_images_with_one_id_are_reported(uploaded: Uploaded) -> None:
    """A wrong table of IDs: the box of the second image is not in the project."""
    first, second = uploaded.dataset.images.names[:2]
    ids = {**uploaded.result.image_ids, second: uploaded.result.image_ids[first]}
    dataset = uploaded.dataset
    verification = rb.verify(
        dataset,
        uploaded.client,
        uploaded.project,
        image_ids=ids,
        rate_limiter=Clock().rate_limiter(),
    )
    assert verification.findings.counts()["same_image"] == 1
    assert (
        verification.batches.ledger
        == rb.batches(dataset, tag_ids=uploaded.tags, image_ids=ids).ledger
    )
    assert not verification.good


def test_an_id_found_by_a_loose_match_is_reported(uploaded: Uploaded) -> None:
    ids = {f"zz/{name.upper()}": id_ for name, id_ in uploaded.result.image_ids.items()}
    found = uploaded.verify(image_ids=ids)
    assert found.good
    assert found.findings.counts()["matched_loosely"] == len(ids)


def test_a_negative_tag_is_not_the_tag_of_a_class(
    uploaded: Uploaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in an upload: `Cat` is found as `cat`, because a Negative tag has no regions."""
    negative = ServiceTag(id=id_of("t"), name="Cat", type="Negative")
    tags = [*uploaded.client.tags(uploaded.project), negative]
    monkeypatch.setattr(uploaded.client, "tags", lambda _project: tags)
    found = uploaded.verify(journal=uploaded.journal, rename={"cat": "Cat"})
    assert found.good


def test_a_duplicate_region_is_extra(tmp_path: Path) -> None:
    with rehearsal(Settings(on_existing="twice")) as (service, project, client):
        uploaded = Uploaded(tmp_path, service, project, client)
        first = next(iter(uploaded.dataset))
        uploaded.add(first.image, first.tag, first.left, first.top, first.width, first.height)
        found = uploaded.verify(journal=uploaded.journal)
        assert (found.matched, found.extra, found.good) == (40, 1, False)


def test_a_region_with_another_tag_does_not_match(uploaded: Uploaded) -> None:
    region = next(iter(uploaded.dataset))
    uploaded.delete(0)
    uploaded.add(region.image, "dog", region.left, region.top, region.width, region.height)
    found = uploaded.verify(journal=uploaded.journal)
    assert (found.missing, found.extra, found.moved) == (1, 1, 0)


def test_regions_on_other_images_are_only_counted(
    uploaded: Uploaded, known: dict[str, Any], tmp_path: Path
) -> None:
    other = rb.read(write_dataset(tmp_path / "other", images=4, boxes=5, seed=7))
    rb.upload(other, uploaded.client, uploaded.project, rate_limiter=Clock().rate_limiter())
    found = uploaded.verify(**known)
    assert found.good
    assert (found.matched, found.elsewhere) == (40, 15)


def test_an_empty_project(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (_, project, client):
        found = rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter())
        assert found.summary() == {
            "matched": 0,
            "missing": 60,
            "moved": 0,
            "extra": 0,
            "elsewhere": 0,
        }
        assert found.findings.counts() == {"region_missing": 60}


def test_renamed_classes(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (_, project, client):
        rb.upload(
            dataset,
            client,
            project,
            create_tags=True,
            rename={"cat": "lion"},
            rate_limiter=Clock().rate_limiter(),
        )
        assert rb.verify(
            dataset, client, project, rename={"cat": "lion"}, rate_limiter=Clock().rate_limiter()
        ).good
        assert (
            rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).missing == 20
        )


def test_tags_whose_names_differ_in_case(tmp_path: Path) -> None:
    """Tags are found as in an upload."""
    dataset = rb.read(write_dataset(tmp_path, images=3))
    with rehearsal() as (_, project, client):
        client.create_tag(project, "CAT")
        rb.upload(dataset, client, project, create_tags=True, rate_limiter=Clock().rate_limiter())
        assert rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).good


def test_images_that_the_journal_lacks_are_recognised(uploaded: Uploaded, tmp_path: Path) -> None:
    """The journal has no IDs that were given to the upload; these images are recognised."""
    journal = tmp_path / "other.sqlite"
    ids = dict(uploaded.result.image_ids)
    rb.upload(
        uploaded.dataset,
        uploaded.client,
        uploaded.project,
        image_ids=ids,
        journal=journal,
        rate_limiter=Clock().rate_limiter(),
    )
    assert uploaded.verify(journal=journal).good
    some = dict(list(ids.items())[:2])
    assert uploaded.verify(image_ids=some).good
    assert uploaded.verify(image_ids=some, journal=journal).good


def test_images_with_rounded_boxes_are_recognised(
    uploaded: Uploaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = uploaded.client.tagged_images
    noise = random.Random(0)

    def rounded(project_id: str, **page: Any) -> Any:
        images = listing(project_id, **page)
        for region in (region for image in images for region in image.regions or []):
            region.left += noise.uniform(-9e-7, 9e-7)
            region.width += noise.uniform(-9e-7, 9e-7)
        return images

    monkeypatch.setattr(uploaded.client, "tagged_images", rounded)
    assert uploaded.verify().good


def test_a_listing_that_repeats_itself_is_an_error(
    uploaded: Uploaded, monkeypatch: pytest.MonkeyPatch
) -> None:
    listing = uploaded.client.tagged_images
    monkeypatch.setattr(
        uploaded.client, "tagged_images", lambda project_id, **_page: listing(project_id)
    )
    with raises_mentioning(rb.TransportError, "GetTaggedImages", 5):
        uploaded.verify()


def test_an_unknown_tier(uploaded: Uploaded) -> None:
    with pytest.raises(rb.OptionError) as caught:
        uploaded.verify(tier="X")
    assert (caught.value.option, caught.value.value) == ("tier", "X")
    assert caught.value.choices == ("F0", "S0")


def test_verifying_writes_nothing(uploaded: Uploaded, known: dict[str, Any]) -> None:
    before = dict(uploaded.service.calls)
    uploaded.verify(**known)
    made = {name for name, count in uploaded.service.calls.items() if count != before.get(name)}
    assert made == {"GetTags", "GetTaggedImages"}


def test_a_journal_that_is_missing_or_of_another_project(
    uploaded: Uploaded, tmp_path: Path
) -> None:
    with raises_mentioning(rb.JournalError, uploaded.journal):
        rb.verify(
            uploaded.dataset,
            uploaded.client,
            id_of("other"),
            journal=uploaded.journal,
            rate_limiter=Clock().rate_limiter(),
        )
    with raises_mentioning(rb.JournalError, tmp_path / "nowhere.sqlite"):
        uploaded.verify(journal=tmp_path / "nowhere.sqlite")
    assert not (tmp_path / "nowhere.sqlite").exists()


def test_a_project_of_several_pages(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=600, boxes=2))
    with rehearsal() as (service, project, client):
        result = rb.upload(
            dataset, client, project, create_tags=True, rate_limiter=Clock().rate_limiter()
        )
        assert result.verification is not None
        assert result.verification.good
        assert result.verification.matched == 1198
        assert result.calls == result.plan.calls == service.calls
        assert result.calls["GetTaggedImages"] == 1 + 4
        assert rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).good


DATA = ROOT.parent / "shared" / "data"
DATASETS = {
    "coco-rbc": 5638,
    "voc-bccd": 4886,
    "yolo-webpage": 495,
    "yolo-crop-seg": 208,
    "yolo-darknet-airplanes": 35,
}


@pytest.mark.skipif(
    not DATA.is_dir(),
    reason="the real datasets are not part of the project; they are in shared/data",
)
@pytest.mark.parametrize("name", DATASETS)
def test_real_datasets_are_uploaded_completely(name: str) -> None:
    dataset = rb.read(DATA / name)
    with rehearsal() as (service, project, client):
        result = rb.upload(
            dataset, client, project, create_tags=True, rate_limiter=Clock().rate_limiter()
        )
        assert verification_counts(result) == expected_counts(DATASETS[name])
        assert result.created == DATASETS[name] == len(service.regions(project))
        assert result.calls == result.plan.calls == service.calls
        assert result.calls["CreateImageRegions"] == -(-DATASETS[name] // 64)
        assert rb.verify(dataset, client, project, rate_limiter=Clock().rate_limiter()).good


@pytest.mark.parametrize(
    "boxes", [[(10, 10, 50, 50)], [(0, 0, 200, 100), (10, 10, 50, 50)]], ids=["one", "two"]
)
def test_thousands_of_images_with_the_same_boxes_are_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, boxes: list[tuple[int, ...]]
) -> None:
    """For 12,000 images, this once took 2.4 GB and a minute. Any assignment is right."""
    count = 6_000
    content = {
        "images": [
            {"id": n, "file_name": f"{n}.jpg", "width": 200, "height": 100} for n in range(count)
        ],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [
            {"image_id": n, "category_id": 1, "bbox": box} for n in range(count) for box in boxes
        ],
    }
    dataset = rb.read(write_json(tmp_path / "a.json", content))
    regions = [
        ServiceRegion(tag_id=id_of("t"), left=x / 200, top=y / 100, width=w / 200, height=h / 100)
        for x, y, w, h in boxes
    ]
    images = [ServiceImage(id=id_of(str(number)), regions=regions) for number in range(count)]
    client = rb.TrainingClient("http://127.0.0.1:9", "key")
    monkeypatch.setattr(client, "tags", lambda _project: [ServiceTag(id=id_of("t"), name="cat")])
    monkeypatch.setattr(client, "tagged_images", lambda _project, skip=0: images[skip : skip + 256])
    monkeypatch.setattr(client, "images_by_id", lambda *_: [])
    tracemalloc.start()
    found = rb.verify(dataset, client, id_of("p"), rate_limiter=Clock().rate_limiter())
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found.summary() == {
        "matched": count * len(boxes),
        "missing": 0,
        "moved": 0,
        "extra": 0,
        "elsewhere": 0,
    }
    assert peak < 100 * 2**20
