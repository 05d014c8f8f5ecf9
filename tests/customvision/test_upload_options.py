"""The options of `upload` that keep a project in step with a dataset, and what they exclude."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import expected_counts

from helpers import command, mentions
from regionbatch.batching import Batch, Entry

if TYPE_CHECKING:
    from collections.abc import Callable

    from customvision.command_place import Place


def edit(place: Place, change: Callable[[list[dict[str, Any]]], object]) -> None:
    """Change the annotations of the dataset."""
    path = place.set / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content["annotations"])
    path.write_text(json.dumps(content), encoding="utf-8")


def remove_three(rows: list[dict[str, Any]]) -> None:
    del rows[:3]


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [
        (["--prune", "--only", "cat"], ["--prune", "--only"]),
        (["--prune", "--drop", "crowd"], ["--drop"]),
        (["--prune", "--max-clip", "0.5"], ["--max-clip"]),
        (["--prune", "--split", "train"], ["--split"]),
        (["--prune", "--coco-json", "annotations.json"], ["--coco-json"]),
        (["--prune", "-O", "split=train"], ["--split"]),
        (["--prune", "--skip-unresolved"], ["--skip-unresolved"]),
        (["--prune", "--only", "cat", "--split", "a"], ["--only", "--split"]),
        (["--prune-limit", "5"], ["--prune-limit", "--prune"]),
        (["--prune", "--prune-limit", "many"], ["--prune-limit", "many"]),
        (["--prune", "--prune-limit", "-1"], ["--prune-limit", "-1"]),
        (["--store-names"], ["--store-names", "--api-version"]),
        (["--existing", "both"], ["--existing", "both"]),
    ],
)
def test_options_that_exclude_each_other(
    place: Place, arguments: list[str], tokens: list[str]
) -> None:
    place.to = ["--project-id", "rehearsal"]
    result = place.run("upload", "--create-tags", *arguments)
    assert (result.status, result.stdout) == (2, "")
    assert mentions(result.stderr, *tokens)
    assert not place.service.calls


def test_prune_lists_what_it_deletes_and_deletes_it(place: Place) -> None:
    assert place.run("upload", "--create-tags").status == 0
    edit(place, remove_three)
    without = place.run("upload", "--json")
    assert (without.status, without.json["verification"]["extra"]) == (3, 3)
    assert (without.json["deleted"], without.json["plan"]["prune"]) == (0, 0)

    report = place.folder / "plan.json"
    plan = place.run("upload", "--prune", "--dry-run", "--report", report)
    assert plan.status == 0
    assert mentions(plan.stdout, "delete 3 regions", "region_pruned", "00000.png")
    assert len(place.service.regions(place.project)) == 60
    found = json.loads(report.read_text(encoding="utf-8"))
    assert found["counts"]["region_pruned"] == 3

    result = place.run("upload", "--prune")
    assert result.status == 0
    lines = {line.partition(":")[0]: line for line in result.stdout.splitlines()}
    assert mentions(lines["deleted"], 3)
    assert mentions(lines["verified"], 57)
    assert len(place.service.regions(place.project)) == 57
    again = place.run("upload", "--prune", "--json")
    assert (again.status, again.json["deleted"], again.json["sent"]) == (0, 0, 0)
    assert again.json["verification"] == expected_counts(57)


def test_more_than_the_limit_is_an_error_before_the_first_write(place: Place) -> None:
    place.run("upload", "--create-tags")
    edit(place, lambda rows: rows.__delitem__(slice(0, 20)))
    for limit in ([], ["--prune-limit", "19"], ["--prune-limit", "30%"]):
        result = place.run("upload", "--prune", *limit, "--json")
        assert (result.status, result.json["complete"]) == (1, False)
        assert result.json["error"]["option"] == "prune_limit"
        assert len(place.service.regions(place.project)) == 60
    for limit in (["--prune-limit", "20", "--dry-run"], ["--prune-limit", "all"]):
        assert place.run("upload", "--prune", *limit).status == 0
    assert len(place.service.regions(place.project)) == 40


def test_one_region_is_singular(place: Place) -> None:
    place.run("upload", "--create-tags")
    edit(place, lambda rows: rows.pop(0))
    text = place.run("upload", "--prune").stdout
    assert mentions(text, "delete 1 region", "1 region")
    assert "1 regions" not in text
    assert "1 boxes" not in text


def rounded_copy(place: Place, count: int) -> None:
    """Replace stored regions by copies with four digits, as an earlier script would create."""
    regions = place.service.regions(place.project)[:count]
    place.client.delete_regions(place.project, [region.region_id for region in regions])
    entries = []
    for row in regions:
        box = [round(value, 4) for value in (row.left, row.top, row.width, row.height)]
        entries.append(Entry(row.image_id, row.tag_id, *box))
    place.client.create_regions(place.project, Batch.of(entries))


@pytest.fixture
def near(place: Place) -> Place:
    """A project whose regions are nearly those of the dataset, and none of which is known."""
    place.run("upload", "--create-tags", "--save-ids", "ids")
    rounded_copy(place, 10)
    place.to += ["--image-ids", "ids/images.json", "--journal", "other.sqlite"]
    return place


def test_nearly_equal_regions_are_an_error_without_the_option(near: Place) -> None:
    result = near.run("upload")
    assert (result.status, mentions(result.stderr, "--existing skip", "--existing add")) == (
        2,
        True,
    )
    assert len(near.service.regions(near.project)) == 60


@pytest.mark.parametrize(("choice", "stored", "status"), [("skip", 60, 0), ("add", 70, 3)])
def test_nearly_equal_regions_are_skipped_or_added(
    near: Place, choice: str, stored: int, status: int
) -> None:
    plan = near.run("upload", "--existing", choice, "--dry-run")
    assert mentions(plan.stdout, "10 nearly equal")
    result = near.run("upload", "--existing", choice, "--json")
    assert (result.status, result.json["plan"]["near"]) == (status, 10)
    assert len(near.service.regions(near.project)) == stored


def test_prune_replaces_nearly_equal_regions(near: Place) -> None:
    result = near.run("upload", "--existing", "add", "--prune", "--prune-limit", "all", "--json")
    assert (result.status, result.json["deleted"]) == (0, 10)
    assert result.json["verification"] == expected_counts(60)


def test_verify_leaves_unresolved_records_out(place: Place) -> None:
    place.run("upload", "--create-tags")
    edit(place, lambda rows: rows.append({**rows[0], "id": 999, "category_id": 4}))
    path = place.set / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["categories"].append({"id": 4, "name": "new"})
    path.write_text(json.dumps(content), encoding="utf-8")
    assert place.run("verify", "--json").json["verification"]["missing"] == 1
    result = place.run("verify", "--skip-unresolved", "--json")
    assert result.json["verification"]["missing"] == 0


def test_stored_names_take_one_image_per_call(place: Place) -> None:
    place.to += ["--api-version", "3.3"]
    assert place.run("upload", "--create-tags", "--store-names").status == 0
    assert place.service.calls["CreateImagesFromFiles"] == 3


def test_a_call_without_a_clear_response_is_counted(place: Place) -> None:
    from customvision.rehearsal import Clock  # noqa: PLC0415 - only here

    from regionbatch.local import Fault  # noqa: PLC0415

    faults = place.service.faults
    faults.rate, faults.kinds, faults.cap = 1, (Fault.ERROR_500_APPLIED,), 1
    faults.operations = frozenset({"CreateImageRegions"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("regionbatch.customvision.upload.RateLimiter", Clock().rate_limiter)
        result = place.run("upload", "--create-tags")
    assert result.status == 0
    assert mentions(result.stdout, "1 call had no clear response")


def test_options_of_other_commands(place: Place) -> None:
    for option in ("--prune", "--existing", "--save-ids"):
        assert command("verify", place.set, *place.to, option, "skip").status == 2
