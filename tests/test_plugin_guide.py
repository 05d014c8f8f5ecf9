"""The plugin guide: its readers run and pass the conformance kit, and its tables are complete."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, get_args

import pytest

from helpers import ROOT, PluginSite, run_pytest
from regionbatch.boxes import BoxMode
from regionbatch.dataset import MARKS
from regionbatch.findings.codes import CODES
from regionbatch.findings.text import Place

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> PluginSite:
    return PluginSite(tmp_path / "site")


def guide() -> str:
    return (ROOT / "converters" / "docs" / "write-a-reader.md").read_text(encoding="utf-8")


TESTS_OF_THE_GUIDE = """
from pathlib import Path

from boxes_reader import BoxesReader
from regionbatch.testing import ReaderTests
from shapes_reader import ShapesReader


class TestBoxes(ReaderTests):
    reader = BoxesReader
    cases = Path(__file__).parent / "TestBoxes"


class TestShapes(ReaderTests):
    reader = ShapesReader
    cases = Path(__file__).parent / "TestShapes"
"""

GUIDE_CASES: dict[str, tuple[str, dict[str, str], str]] = {
    "plain": (
        "TestBoxes",
        {
            "a.boxes": "a.jpg 200 100\ncat 20 10 60 40\ndog 100 50 150 75\n"
            "b.jpg 100 100\ncat 0 0 50 50\n"
        },
        """
regions = [
  ["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3],
  ["a.jpg", "dog", 0.5, 0.5, 0.25, 0.25],
  ["b.jpg", "cat", 0, 0, 0.5, 0.5],
]

[findings]
image_not_on_disk = 2
""",
    ),
    "sizes": (
        "TestBoxes",
        {"a.boxes": "a.jpg 200 100\ncat 20 10 40 30\n"},
        """
regions = [["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]

[options]
numbers = "size"

[findings]
image_not_on_disk = 1
""",
    ),
    "broken": (
        "TestBoxes",
        {
            "a.boxes": "cat 1 2 3 4\na.jpg 200 x\ncat 1 2 3 4\n"
            "b.jpg 200 100\ncat 1 2 3\ncat 20 10 60 40\n"
        },
        """
regions = [["b.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]

[boxes]
dropped = {unknown_image = 2, not_a_box = 1}

[images]
dropped = {not_an_image = 1}

[findings]
image_not_on_disk = 1

[places]
not_a_box = "a.boxes:5"
""",
    ),
    "shapes": (
        "TestShapes",
        {
            "labels/a.json": json.dumps(
                {
                    "image": "x/a.jpg",
                    "width": 200,
                    "height": 100,
                    "shapes": [
                        {"label": "cat", "points": [[20, 10], [60, 40], [30, 20]]},
                        {"label": "dog", "points": []},
                    ],
                }
            )
            + "\n",
            "labels/b.json": '{"shapes": []}\n',
            "images/a.jpg": "",
        },
        """
regions = [["images/a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]

[boxes]
adjusted = {box_from_shape = 1}
dropped = {not_a_box = 1}

[images]
dropped = {unreadable_file = 1}

[places]
box_from_shape = "labels/a.json: object 1"
not_a_box = "labels/a.json: object 2"
unreadable_file = "labels/b.json"
""",
    ),
}


def test_the_readers_of_the_guide_pass_the_kit(site: PluginSite, tmp_path: Path) -> None:
    """Save the files of the guide unchanged, and test its two readers."""
    for name, content in re.findall(
        r'^```python title="(\w+_reader\.py)"\n(.*?)^```', guide(), re.MULTILINE | re.DOTALL
    ):
        (tmp_path / name).write_text(content, encoding="utf-8")
    (tmp_path / "test_guide.py").write_text(TESTS_OF_THE_GUIDE, encoding="utf-8")
    for name, (tests, files, expected) in GUIDE_CASES.items():
        case = tmp_path / tests / name
        for path, content in files.items():
            (case / "input" / path).parent.mkdir(parents=True, exist_ok=True)
            (case / "input" / path).write_text(content, encoding="utf-8")
        (case / "case.toml").write_text(expected.lstrip(), encoding="utf-8")
    done = run_pytest(site.folder, tmp_path, cwd=tmp_path)
    passed = re.search(r"^(\d+) passed in .*\n\Z", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    assert int(passed[1]) >= 6 * len(GUIDE_CASES)


def test_the_guide_lists_codes_with_their_effects() -> None:
    text = guide()
    listed = dict(re.findall(r"^\| `(\w+)` \| (dropped|adjusted|noted) \|", text, re.MULTILINE))
    assert len(listed) > 10
    assert listed == {name: CODES[name].effect for name in listed}
    assert all(f"`{mark}`" in text for mark in MARKS)
    assert all(f"`{mode.name}`" in text for mode in BoxMode)
    assert all(f'`"{place}"`' in text for place in get_args(Place))
