"""Which image file is meant, and how large it is: through COCO, where both count."""

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
    """Return the image files that were found for some names, relative to the folder; empty texts: none."""
    for name in on_disk:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", SIZE).save(folder / name)
    boxes = [(name, "cat", (1, 1, 9, number + 1)) for number, name in enumerate(names)]
    dataset = rb.read(write_coco(folder, boxes, images=dict.fromkeys(names, SIZE)))
    assert len(dataset) == len(names)
    return [path and path[len(str(folder)) + 1 :] for path in dataset.images.paths]


def test_the_longest_end_of_a_path_wins_whatever_its_case(tmp_path: Path) -> None:
    assert paths_of(tmp_path, "Train/1.png", on_disk=("train/1.png", "1.png")) == ["train/1.png"]


def test_a_picture_is_not_given_to_two_names(tmp_path: Path) -> None:
    """Which of the two it is cannot be known, and both have boxes."""
    assert paths_of(tmp_path / "a", "cam1/1.png", "cam2/1.png", on_disk=("images/1.png",)) == ["", ""]
    assert paths_of(tmp_path / "b", "cam1/1.png", "1.png", on_disk=("images/1.png",)) == ["", "images/1.png"]
    assert paths_of(tmp_path / "c", "cam1/1.png", "cam2/2.png", on_disk=("1.png", "2.png")) == ["", ""]
    decided = rb.read(tmp_path / "c")
    assert decided.findings.counts() == {"image_not_on_disk": 2}


@pytest.mark.parametrize(
    ("declared", "count"),
    [((200, 100), 0), ((100, 200), 1), ((0, 0), 1)],
)
def test_a_photo_that_exif_turns(tmp_path: Path, declared: tuple[int, int], count: int) -> None:
    """Annotation tools differ in whether they turn it; so it is told unless the declared size is that of the file."""
    write_coco(tmp_path, [("a.jpg", "cat", (10, 10, 50, 40))], images={"a.jpg": declared})
    exif = Image.Exif()
    exif[0x112] = 6
    Image.new("L", SIZE).save(tmp_path / "a.jpg", exif=exif)
    dataset = rb.read(tmp_path)
    assert dataset.findings.counts() == ({"size_mismatch": count} if count else {})
    assert all(mentions(one.value, "200 x 100", "100 x 200") for one in dataset.findings)
    width, height = declared if declared[0] else SIZE
    assert dataset.regions.box[0].tolist() == pytest.approx([10 / width, 10 / height, 50 / width, 40 / height])


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
def test_the_boxes_tell_which_size_is_meant(
    declared: tuple[int, int],
    box: tuple[int, int, int, int],
    rotated: bool,
    size: tuple[int, int],
    doubtful: bool,
    tmp_path: Path,
) -> None:
    """The file is 200 x 100, or that rotated by EXIF; what the boxes do not tell is a doubt."""
    write_coco(tmp_path, [("a.jpg", "cat", box)], images={"a.jpg": declared})
    exif = Image.Exif()
    if rotated:
        exif[0x112] = 6
    Image.new("L", SIZE).save(tmp_path / "a.jpg", exif=exif)
    dataset = rb.read(tmp_path)
    assert dataset.findings.counts()["size_mismatch"] == 1
    assert dataset.findings.doubtful().get("size_mismatch", 0) == doubtful
    assert (dataset.images.width[0], dataset.images.height[0]) == size
