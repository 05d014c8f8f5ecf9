"""Datasets to report on, and what a report contains."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import lxml.html
from PIL import Image, ImageDraw

import regionbatch as rb
from helpers import ROOT
from regionbatch.batching import Entry
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.local import LocalService

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = (
    "<script>window.hit=1</script>",
    "</script><script>window.hit=2</script>",
    "<img src=x onerror='window.hit=3'>",
    "\u202egnp.exe\u202c",
    "שלום עולם",
    "a\0b\nc",
    "\ud800half",
    "javascript:window.hit=4",
    '" onmouseover="window.hit=5',
    "<!-- cards -->",
    "$data ${script} &amp;",
    "x" * 3000,
    "</title><b>bold",
    "tag=a&code=b#%20+",
    "' style='color:red",
)
"""Class names that try to become markup, code, an address or another text."""

HOSTILE_FILES = (
    "<b onload=x>.jpg",
    "a'&.jpg",
    "\u202egpj.jpg",
    "%3Cscript%3E#tag=1.jpg",
    "image=0&tag=x.jpg",
)


class Report:
    """A report that was written."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.text = path.read_text(encoding="utf-8")
        self.tree = lxml.html.fromstring(self.text.encode())
        [data] = self.tree.xpath("//script[@id='data']")
        self.data: dict[str, Any] = json.loads(data.text)

    @property
    def csp(self) -> str:
        [csp] = self.tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
        return str(csp)

    def words(self, xpath: str) -> str:
        """The text of an element, with single spaces."""
        [found] = self.tree.xpath(xpath)
        return re.sub(r"\s+", " ", found.text_content()).strip()

    def image(self, name: str) -> dict[str, Any]:
        """What the script knows about an image."""
        [found] = [one for one in self.data["images"] if one["name"] == name]
        return dict(found)

    def bars(self, title: str) -> list[int]:
        """The numbers of the chart with a title."""
        marks = self.tree.xpath(f"//figure[h3='{title}']//*[@data-count]/@data-count")
        return [int(mark) for mark in marks]


def report(dataset: rb.Dataset, folder: Path, result: Any = None, **options: Any) -> Report:
    path = folder / "report.html"
    rb.write_html(dataset, path, result, **options)
    return Report(path)


def write_set(
    folder: Path,
    images: dict[str, list[tuple[str, tuple[float, float, float, float]]]],
    size: tuple[int, int] = (300, 200),
) -> Path:
    """Write a COCO dataset with images, each with classes and boxes in pixels."""
    folder.mkdir(parents=True, exist_ok=True)
    names = [*dict.fromkeys(name for boxes in images.values() for name, _ in boxes)]
    annotations: list[dict[str, Any]] = []
    for number, (file, boxes) in enumerate(images.items()):
        image = Image.new("RGB", size, (90, 120, 40 * number % 255))
        image.save(folder / file, "JPEG")
        for name, box in boxes:
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": names.index(name),
                    "bbox": [*box],
                }
            )
    content = {
        "images": [
            {"id": number, "file_name": file, "width": size[0], "height": size[1]}
            for number, file in enumerate(images)
        ],
        "annotations": annotations,
        "categories": [{"id": code, "name": name} for code, name in enumerate(names)],
    }
    (folder / "set.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def write_hostile(folder: Path) -> Path:
    """Write a dataset in which every name is an attack, with a dropped and a clipped box."""
    images: dict[str, list[tuple[str, tuple[float, float, float, float]]]] = {}
    for number, file in enumerate(HOSTILE_FILES):
        boxes = [
            (name, (5.0 + 17 * at, 5.0 + 11 * at, 40.0, 30.0 + number))
            for at, name in enumerate(HOSTILE)
        ]
        images[file] = boxes
    images[HOSTILE_FILES[0]] += [
        (HOSTILE[0], (-50, -50, 40, 30)),
        (HOSTILE[1], (250, 150, 140, 130)),
    ]
    return write_set(folder, images)


class Shapes:
    """Sixty images of red discs and large blue squares; some labels can be made wrong."""

    def __init__(self) -> None:
        self.boxes: dict[str, list[tuple[str, tuple[float, float, float, float]]]] = {}
        for number in range(60):
            boxes: list[tuple[str, tuple[float, float, float, float]]] = []
            for at in range(4):
                shift = (number * 37 + at * 53) % 30
                side = 30 + (number * 7 + at * 3) % 9
                boxes.append(("disc", (10 + at * 70 + shift, 12 + shift * 2, side, side)))
            shift = number * 29 % 150
            boxes.append(("square", (20 + shift, 110, 70 + number % 9, 66 + number % 7)))
            self.boxes[f"{number:02}.jpg"] = boxes

    def write(self, folder: Path, drawn: Shapes) -> Path:
        """Write the labels of this object with the images of another one."""
        write_set(folder, self.boxes)
        for number, (file, boxes) in enumerate(drawn.boxes.items()):
            grey = 120 + number % 40
            image = Image.new("RGB", (300, 200), (grey, grey, grey - 10))
            draw = ImageDraw.Draw(image)
            for name, (left, top, width, height) in boxes:
                where = (left, top, left + width, top + height)
                if name == "disc":
                    draw.ellipse(where, fill=(190 + number % 20, 40, 30))
                else:
                    draw.rectangle(where, fill=(30, 50, 170 + number % 30))
            image.save(folder / file, "JPEG")
        return folder


def changed_project() -> tuple[rb.Dataset, rb.Verification]:
    """Upload the scene, delete a region, move another, and compare."""
    dataset = rb.read(ROOT / "fixtures" / "scene" / "coco")
    limiter = RateLimiter(float("inf"))
    with LocalService() as service, rb.TrainingClient(service.endpoint, service.key) as client:
        project = service.create_project("changed")
        sent = rb.upload(dataset, client, project, create_tags=True, rate_limiter=limiter)
        deleted, moved, *_ = service.regions(project)
        client.delete_regions(project, [deleted.region_id, moved.region_id])
        left = max(0.0, moved.left - 0.1 * moved.width)
        box = (left, moved.top, moved.width * 0.9, moved.height)
        entry = Entry(moved.image_id, moved.tag_id, *box)
        client.create_regions(project, rb.Batch.of([entry]))
        found = rb.verify(dataset, client, project, image_ids=sent.image_ids, rate_limiter=limiter)
    return dataset, found
