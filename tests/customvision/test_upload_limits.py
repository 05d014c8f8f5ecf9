"""Projects that cannot be uploaded to, and the limits of a tier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import WRITES, about, rehearsal, upload, write_dataset

import regionbatch as rb
from helpers import id_of, mentions, raises_mentioning
from regionbatch.local import Limits, Settings

if TYPE_CHECKING:
    from pathlib import Path


def test_a_project_for_classification_is_refused(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal() as (service, _, client):
        project = service.create_project("classes", "Classification")
        with raises_mentioning(rb.ServiceError, "classes", "Classification"):
            upload(dataset, client, project)
        assert not WRITES & set(service.calls)


def test_a_project_that_is_read_only_is_refused(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal(Settings(dr_mode=True)) as (service, project, client):
        with raises_mentioning(rb.AccessError, "rehearsal"):
            upload(dataset, client, project)
        assert not WRITES & set(service.calls)


def test_a_project_that_does_not_exist(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=2))
    with rehearsal() as (_, _project, client):
        with pytest.raises(rb.ServiceError) as caught:
            upload(dataset, client, id_of("nowhere"))
        assert (caught.value.status, caught.value.code) == (404, "NotFoundProject")


def test_more_tags_than_the_tier_allows(tmp_path: Path) -> None:
    dataset = rb.read(
        write_dataset(tmp_path, images=3, boxes=60, tags=[f"tag {number}" for number in range(51)])
    )
    with rehearsal() as (service, project, client):
        with raises_mentioning(rb.LimitError, "F0", 50, 51) as caught:
            upload(dataset, client, project, tier="F0")
        assert about(caught.value)[1] == "tier"
        assert not WRITES & set(service.calls)
        assert upload(dataset, client, project).lost == 0


def test_more_images_than_the_tier_allows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {
        "F0": rb.limits.Tier(images=5, tags=50, calls_per_second=2),
        "S0": rb.limits.Tier(20, 50, 10),
    }
    monkeypatch.setattr("regionbatch.customvision.plan.TIERS", few)
    dataset = rb.read(write_dataset(tmp_path / "a"))
    other = rb.read(write_dataset(tmp_path / "b", seed=1))
    with rehearsal(Settings(limits=Limits(images=20, tags=50))) as (service, project, client):
        with raises_mentioning(rb.LimitError, "F0", 5, 12) as caught:
            upload(dataset, client, project, tier="F0")
        assert about(caught.value)[1] == "tier"
        upload(dataset, client, project)
        result = upload(other, client, project)
        assert result.findings.counts()["project_full"] == 1
        assert "project_full" in result.findings.doubtful(), "strict mode fails"
        assert result.findings.counts()["image_refused"] == 4
        assert (
            result.failed
            == sum(1 for finding in result.findings if finding.code == "region_failed")
            > 0
        )
        assert mentions(result.findings.first("region_failed", 1)[0].value, "ErrorLimitExceed")
        assert result.created + result.failed == 330
        assert len(service.regions(project)) == 330 + result.created
