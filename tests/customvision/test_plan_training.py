"""The table of tags in an upload's plan, and what prevents the training of the project."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import WRITES, rehearsal, upload, write_dataset, write_image
from PIL import Image

import regionbatch as rb
from helpers import command, raises_mentioning, write_coco
from regionbatch.findings.codes import CODES
from regionbatch_cli import printing, tables

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from helpers import Box
    from regionbatch.local import LocalService

    Rows = dict[str, tuple[int, int]]


def read_one_tag(folder: Path, images: int, tag: str = "cat", seed: int = 0) -> rb.Dataset:
    """Return a dataset with a tag on some images, and one more image without a box."""
    return rb.read(write_dataset(folder, images=images + 1, boxes=2, tags=(tag,), seed=seed))


def planned(result: rb.UploadResult) -> Rows:
    """Return the images and boxes of each tag in the plan."""
    return {row.name: (row.images, row.boxes) for row in result.plan.tags.rows()}


def stored(service: LocalService, project: str) -> Rows:
    """Return the images and boxes of each tag that the project has."""
    regions = service.regions(project)
    return {
        name: (
            len({region.image_id for region in regions if region.tag_name == name}),
            sum(region.tag_name == name for region in regions),
        )
        for name in {region.tag_name for region in regions}
    }


def codes(result: rb.UploadResult) -> set[str]:
    """Return the findings about training, without those about the size of images."""
    training = {"too_few_images", "few_images", "tag_without_images", "similar_tags"}
    return training & {*result.findings.counts()}


def test_images_that_the_project_has_are_counted(tmp_path: Path) -> None:
    first = read_one_tag(tmp_path / "a", 20)
    more = read_one_tag(tmp_path / "b", 5, seed=1)
    with rehearsal() as (service, project, client):
        assert planned(upload(first, client, project)) == {"cat": (20, 40)}
        result = upload(more, client, project, dry_run=True)
        assert (planned(result), codes(result)) == ({"cat": (25, 50)}, {"few_images"})
        journal = tmp_path / "journal"
        result = upload(more, client, project, strict=True, journal=journal)
        assert planned(result) == stored(service, project) == {"cat": (25, 50)}
        again = upload(more, client, project, strict=True, journal=journal)
        assert (again.sent, planned(again)) == (0, {"cat": (25, 50)})
    with rehearsal() as (_, project, client):
        result = upload(more, client, project)
        assert (planned(result), codes(result)) == ({"cat": (5, 10)}, {"too_few_images"})
        assert result.lost == 0, "a small rehearsal is no failure"


@pytest.mark.parametrize(("images", "finding"), [(10, "too_few_images"), (201, "")])
def test_images_that_turn_out_to_be_in_the_project_are_counted_once(
    tmp_path: Path, images: int, finding: str
) -> None:
    """Without the journal, the plan cannot know them."""
    first = read_one_tag(tmp_path / "a", images)
    write_image(tmp_path / "other.png", colour=999)
    (tmp_path / "00000.png").write_bytes((tmp_path / "a" / "00000.png").read_bytes())
    boxes: list[Box] = [(name, "cat", (40, 40, 9, 9)) for name in ("other.png", "00000.png")]
    sizes = dict.fromkeys(("other.png", "00000.png"), (64, 64))
    more = rb.read(write_coco(tmp_path / "b", boxes, images=sizes), image_dir=tmp_path)
    with rehearsal() as (service, project, client):
        upload(first, client, project)
        again = upload(first, client, project)
        assert (again.sent, planned(again)) == (0, {"cat": (2 * images, 4 * images)})
        [row] = again.tags.rows()
        assert (row.images, row.boxes, row.finding) == (images, 2 * images, finding)
        assert codes(again) == ({finding} if finding else set()), "not few_images as planned"
        assert again.summary()["tags"][0]["images"] == images
        result = upload(more, client, project)
        [row] = result.tags.rows()
        assert (row.images, row.boxes) == (images + 1, 2 * images + 2)
        assert {"cat": (row.images, row.boxes)} == stored(service, project)


def test_strict_mode_fails_if_images_turn_out_to_be_in_the_project(tmp_path: Path) -> None:
    dataset = read_one_tag(tmp_path, 10)
    accounts: list[rb.UploadResult] = []
    with rehearsal() as (service, project, client):
        upload(dataset, client, project)
        calls = Counter(service.calls)
        with raises_mentioning(rb.StrictError, "too_few_images", "cat", "10 images"):
            upload(dataset, client, project, strict=True, unfinished=accounts.append)
        written = Counter(service.calls) - calls
        assert WRITES & {*written} == {"CreateImagesFromFiles"}, "no tag and no region"
    [account] = accounts
    assert (account.already, account.sent, account.remaining) == (20, 0, 0)


def test_images_that_the_service_refuses_are_not_counted(tmp_path: Path) -> None:
    """The plan accepts a file that only looks like an image."""
    dataset = read_one_tag(tmp_path, 15)
    damaged = tmp_path / "00003.png"
    damaged.write_bytes(damaged.read_bytes()[:16])
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project)
        assert planned(result) == {"cat": (15, 30)}
        assert [(row.images, row.boxes) for row in result.tags.rows()] == [(14, 28)]
        assert stored(service, project) == {"cat": (14, 28)}
        assert "too_few_images" in codes(result)


@pytest.mark.parametrize(("images", "is_enough"), [(14, False), (15, True)])
def test_strict_mode_fails_if_the_project_will_not_train(
    tmp_path: Path, images: int, is_enough: bool
) -> None:
    dataset = read_one_tag(tmp_path, images)
    with rehearsal() as (service, project, client):
        if is_enough:
            assert upload(dataset, client, project, strict=True).created == 2 * images
            return
        with raises_mentioning(rb.StrictError, "too_few_images", "cat", "14 images"):
            upload(dataset, client, project, strict=True)
        assert not WRITES & set(service.calls)


def test_tags_that_only_the_project_has(tmp_path: Path) -> None:
    """One tag with too few images is enough to prevent training."""
    dataset = read_one_tag(tmp_path / "a", 50)
    other = read_one_tag(tmp_path / "b", 3, "dog", seed=1)
    with rehearsal() as (_, project, client):
        upload(other, client, project)
        client.create_tag(project, "empty")
        result = upload(dataset, client, project, dry_run=True)
        assert planned(result) == {"empty": (0, 0), "dog": (3, 6), "cat": (50, 100)}
        rows = {row.name: row.finding for row in result.plan.tags.rows()}
        assert rows == {"empty": "tag_without_images", "dog": "too_few_images", "cat": ""}
        doubtful = result.findings.doubtful()
        assert doubtful == {"tag_without_images": 1, "too_few_images": 1}
        assert all(CODES[code].fails_strict or CODES[code].fails_strict_if for code in doubtful)


def test_a_class_without_boxes_is_not_a_tag_of_the_project(tmp_path: Path) -> None:
    write_dataset(tmp_path, images=51, boxes=1, tags=("cat", "never"))
    dataset = rb.read(tmp_path)
    assert "never" in dataset.tags
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, strict=True)
        assert (planned(result), codes(result)) == ({"cat": (50, 50)}, set())


def test_refused_images_and_regions_without_a_tag_are_not_counted(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=4, boxes=2, tags=("cat", "dog")))
    (tmp_path / "00001.png").write_bytes(b"not an image")
    with rehearsal() as (service, project, client):
        client.create_tag(project, "cat")
        result = upload(dataset, client, project, create_tags=False, skip_unresolved=True)
        assert planned(result) == stored(service, project) == {"cat": (2, 2)}


def test_names_that_are_similar_to_tags_of_the_project(tmp_path: Path) -> None:
    first = read_one_tag(tmp_path / "a", 15, "Cat")
    second = read_one_tag(tmp_path / "b", 15, "cat", seed=1)
    third = read_one_tag(tmp_path / "c", 15, "bus", seed=2)
    journal = tmp_path / "journal"
    with rehearsal() as (_, project, client):
        upload(first, client, project)
        same = {"cat": "cat"}
        meant = upload(second, client, project, rename=same, strict=True, journal=journal)
        assert (planned(meant)["cat"], codes(meant)) == ((15, 30), {"few_images"})
        unclear = upload(second, client, project, dry_run=True, journal=journal)
        [finding] = unclear.findings.first("similar_tags")
        assert finding.value == "Cat (30 boxes), cat (30 boxes)"
        similar = {row.name: [*row.similar] for row in unclear.plan.tags.rows()}
        assert similar == {"Cat": ["cat"], "cat": ["Cat"]}
        assert "similar_tags" not in codes(upload(third, client, project)), "not its own tags"


def test_similar_classes_are_reported_once(tmp_path: Path) -> None:
    dataset = rb.read(write_dataset(tmp_path, images=3, tags=("Cat", "cat")))
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, dry_run=True)
        assert result.findings.counts()["similar_tags"] == 1


@pytest.mark.parametrize("seed", range(5))
def test_the_plan_equals_the_project_after_the_upload(tmp_path: Path, seed: int) -> None:
    """Datasets share images, tags and boxes; two files are one image; classes become one tag."""
    rng = random.Random(seed)
    for number in range(12):
        write_image(tmp_path / f"{number}.png", colour=number)
    (tmp_path / "copy.png").write_bytes((tmp_path / "0.png").read_bytes())
    names = [*(f"{number}.png" for number in range(12)), "copy.png"]
    with rehearsal() as (service, project, client):
        for part in range(3):
            boxes: list[Box] = []
            for _ in range(40):
                box = (rng.randrange(40), rng.randrange(40), 9, 9)
                boxes.append((rng.choice(names), rng.choice(["a", "b", "c", "A"]), box))
            folder = write_coco(
                tmp_path / f"part {part}", boxes, images=dict.fromkeys(names, (64, 64))
            )
            dataset = rb.read(folder, image_dir=tmp_path)
            journal = tmp_path / "journal"
            result = upload(dataset, client, project, rename={"c": "b"}, journal=journal)
            assert planned(result) == stored(service, project)


def write_many_tags(folder: Path, names: Sequence[str]) -> Path:
    """Write a dataset with one image, and a box of each tag on it."""
    folder.mkdir()
    Image.new("RGB", (64, 64)).save(folder / "a.png")
    boxes: list[Box] = [("a.png", name, (1, 1, 9, 9)) for name in names]
    return write_coco(folder, boxes, images={"a.png": (64, 64)})


def table_of(output: str) -> list[str]:
    """Return the lines of the table of tags."""
    lines = output.splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith("tag "))
    end = next(number for number, line in enumerate(lines) if line.startswith(("sent:", "Nothing")))
    return lines[start:end]


def test_the_command_prints_the_table_most_serious_first(tmp_path: Path) -> None:
    write_dataset(tmp_path / "set", images=52, boxes=1, tags=("cat",))
    dataset = rb.read(tmp_path / "set")
    boxes: list[Box] = [(name, "cat", (1, 1, 9, 9)) for name in dataset.images.names[:51]]
    boxes += [(name, "dog", (1, 1, 9, 9)) for name in dataset.images.names[:15]]
    boxes += [("00000.png", "emu", (left, 1, 9, 9)) for left in range(3)]
    write_coco(tmp_path / "set", boxes)
    run = command("upload", tmp_path / "set", "--local")
    assert run.status == 0
    rows = [line.split() for line in table_of(run.stdout)[2:]]
    assert [row[:3] for row in rows] == [
        ["emu", "1", "3"],
        ["dog", "15", "15"],
        ["cat", "51", "51"],
    ]
    assert "15 needed" in " ".join(rows[0])
    assert "50 recommended" in " ".join(rows[1])
    assert command("upload", tmp_path / "set", "--local", "--strict").status == 1
    quiet = command("upload", tmp_path / "set", "--local", "--quiet")
    assert (quiet.status, quiet.stdout) == (0, "")
    tags = command("upload", tmp_path / "set", "--local", "--dry-run", "--json").json["plan"][
        "tags"
    ]
    assert [(tag["name"], tag["images"], tag["boxes"]) for tag in tags] == [
        ("emu", 1, 3),
        ("dog", 15, 15),
        ("cat", 51, 51),
    ]


@pytest.mark.parametrize(("count", "more"), [(20, ""), (21, "1 more tag"), (45, "25 more tags")])
def test_the_table_has_at_most_twenty_tags(tmp_path: Path, count: int, more: str) -> None:
    folder = write_many_tags(tmp_path / "set", [f"tag {number}" for number in range(count)])
    rows = table_of(command("upload", folder, "--local", "--dry-run").stdout)[2:]
    assert sum(row.startswith("tag ") for row in rows) == 20
    assert rows[20:] == ([f"… and {more}"] if more else [])


@pytest.mark.parametrize("width", [50, 80, 120])
def test_the_table_fits_the_terminal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    names = [
        "a rather long name of a traffic light on a pole next to the road",
        "cat",
        "\x1b[31mred",
    ]
    folder = write_many_tags(tmp_path / "set", names)
    for module in (printing, tables):
        monkeypatch.setattr(module, "screen_width", lambda **_: width)
    run = command("upload", folder, "--local", "--dry-run")
    rows = table_of(run.stdout)
    assert max(map(len, rows)) <= width
    assert "\x1b" not in run.stdout
    assert {"cat", "15 needed"} <= {part.strip() for row in rows for part in row.split("  ")}


def test_a_dataset_without_boxes_has_no_table(tmp_path: Path) -> None:
    run = command("upload", write_many_tags(tmp_path / "set", []), "--local")
    assert run.status == 0
    assert "images to train" not in run.stdout
