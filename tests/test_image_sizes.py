"""Image files of COCO names, and sizes that differ from the declared ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from PIL import Image

import regionbatch as rb
from helpers import mentions, write_coco

if TYPE_CHECKING:
    from pathlib import Path

SIZE = (200, 100)


def paths_of(folder: Path, *names: str, on_disk: tuple[str, ...]) -> list[str]:
    """Return the image file of each name, relative to the folder; empty if there is none."""
    for name in on_disk:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE).save(folder / name)
    boxes = [(name, "cat", (1, 1, 9, number + 1)) for number, name in enumerate(names)]
    dataset = rb.read(write_coco(folder, boxes, images=dict.fromkeys(names, SIZE)))
    assert len(dataset) == len(names)
    return [path and path[len(str(folder)) + 1 :] for path in dataset.images.paths]


def test_the_longest_path_suffix_wins_in_any_case(tmp_path: Path) -> None:
    assert paths_of(tmp_path, "Train/1.png", on_disk=("train/1.png", "1.png")) == ["train/1.png"]


def test_an_image_does_not_belong_to_two_names(tmp_path: Path) -> None:
    """It is unknown which of the two it is, and both have boxes."""
    assert paths_of(tmp_path / "a", "cam1/1.png", "cam2/1.png", on_disk=("images/1.png",)) == [
        "",
        "",
    ]
    assert paths_of(tmp_path / "b", "cam1/1.png", "1.png", on_disk=("images/1.png",)) == [
        "",
        "images/1.png",
    ]
    assert paths_of(tmp_path / "c", "cam1/1.png", "cam2/2.png", on_disk=("1.png", "2.png")) == [
        "",
        "",
    ]
    dataset = rb.read(tmp_path / "c")
    assert dataset.findings.counts() == {"image_not_on_disk": 2}


@pytest.mark.parametrize(
    ("declared", "count"),
    [((200, 100), 0), ((100, 200), 1), ((0, 0), 1)],
)
def test_a_photo_that_exif_rotates(tmp_path: Path, declared: tuple[int, int], count: int) -> None:
    """Annotation tools may or may not rotate it, so it is reported unless the sizes agree."""
    write_coco(tmp_path, [("a.jpg", "cat", (10, 10, 50, 40))], images={"a.jpg": declared})
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("L", SIZE).save(tmp_path / "a.jpg", exif=exif)
    dataset = rb.read(tmp_path)
    assert dataset.findings.counts() == ({"size_mismatch": count} if count else {})
    assert all(mentions(finding.value, "200 x 100", "100 x 200") for finding in dataset.findings)
    width, height = declared if declared[0] else SIZE
    assert dataset.regions.box[0].tolist() == pytest.approx(
        [10 / width, 10 / height, 50 / width, 40 / height]
    )


@pytest.mark.parametrize(
    ("declared", "box", "rotated", "size", "doubtful"),
    [
        ((100, 200), (120, 10, 60, 40), False, (200, 100), False),
        ((100, 200), (20, 120, 40, 60), False, (100, 200), False),
        ((100, 200), (20, 10, 40, 30), False, (100, 200), True),
        ((100, 200), (20, 10, 40, 30), True, (100, 200), False),
        ((0, 0), (120, 10, 60, 40), True, (200, 100), False),
        ((0, 0), (20, 120, 40, 60), True, (100, 200), False),
        ((0, 0), (20, 10, 40, 30), True, (200, 100), True),
        ((400, 200), (20, 10, 40, 30), False, (400, 200), False),
        ((100, 100), (20, 10, 40, 30), False, (100, 100), False),
        ((100, 50), (60, 10, 60, 30), False, (100, 50), True),
    ],
)
def test_boxes_show_in_which_size_they_were_drawn(
    declared: tuple[int, int],
    box: tuple[int, int, int, int],
    rotated: bool,
    size: tuple[int, int],
    doubtful: bool,
    tmp_path: Path,
) -> None:
    """The file is 200 x 100, possibly rotated by EXIF; if the boxes fit both, it is doubtful."""
    write_coco(tmp_path, [("a.jpg", "cat", box)], images={"a.jpg": declared})
    exif = Image.Exif()
    if rotated:
        exif[0x112] = 6
    Image.new("L", SIZE).save(tmp_path / "a.jpg", exif=exif)
    dataset = rb.read(tmp_path)
    assert dataset.findings.counts()["size_mismatch"] == 1
    assert dataset.findings.doubtful().get("size_mismatch", 0) == doubtful
    assert (dataset.images.width[0], dataset.images.height[0]) == size
