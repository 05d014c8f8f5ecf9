"""Random scenes of classes, images and boxes, and the regions that must be sent for them."""

from __future__ import annotations

import io
import math
import uuid
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

from PIL import Image

if TYPE_CHECKING:
    from random import Random

Edges = tuple[float, float, float, float]

SIZES = (
    (64, 48),
    (100, 75),
    (75, 100),
    (333, 500),
    (640, 480),
    (400, 400),
    (127, 311),
    (720, 90),
    (59, 61),
    (256, 256),
)
NAMES = (
    *(
        "person",
        "traffic light",
        "猫",
        "собака",
        "Ελιά",
        "كلب",
        "कुत्ता",
        "café",
        "ねこ",
        "고양이",
        "(R-19)30",
        "a/b",
    ),
    *(
        "R&D <x>",
        "yes",
        "null",
        "naïve",
        "größe",
        "Żółw",
        "שלום",
        "คน",
        "Việt Nam",
        "🚗",
        "it's",
        "no: #1",
        "-",
        "7up",
    ),
)
STEMS = (
    "img",
    "IMG_2024",
    "фото",
    "写真",
    "old square",
    "a.b",
    "x-1",
    "été",
    "(copy)",
    "100%",
    "frame",
    "DSC",
)
EXTENSIONS = (".jpg", ".png", ".jpeg", ".JPG", ".jpg")


class Region(NamedTuple):
    """A box that must be sent, in normalised coordinates."""

    image: str
    tag: str
    left: float
    top: float
    width: float
    height: float

    @property
    def box(self) -> Edges:
        """Left, top, width and height."""
        return self.left, self.top, self.width, self.height


@dataclass(eq=False)
class Box:
    """A box in pixels, and whether it must be sent."""

    tag: int
    edges: Edges
    sent: bool = True

    @property
    def size(self) -> tuple[float, float]:
        """Width and height."""
        left, top, right, bottom = self.edges
        return right - left, bottom - top


@dataclass(eq=False)
class SceneImage:
    """An image file and its boxes."""

    stem: str
    extension: str
    size: tuple[int, int]
    boxes: list[Box]
    split: str
    content: bytes = b""
    """The content of the file if it is a special one."""
    folder: str = ""
    """The folder of the file in the dataset, known when it is written."""

    @property
    def name(self) -> str:
        """The name of the file."""
        return self.stem + self.extension

    @property
    def path(self) -> str:
        """The path of the file in the dataset."""
        return f"{self.folder}{self.name}"

    def bytes(self) -> bytes:
        """Return the content of the file."""
        return self.content or drawn(self.size, "PNG" if self.extension == ".png" else "JPEG")


@cache
def drawn(size: tuple[int, int], kind: str, orientation: int = 1) -> bytes:
    """Return an image file of one colour; viewers rotate it if the EXIF orientation is not 1."""
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (200, 180, 90)).save(
        file, kind, **({"exif": exif} if orientation > 1 else {})
    )
    return file.getvalue()


@dataclass(eq=False)
class Scene:
    """Classes, and images with boxes."""

    classes: list[str]
    images: list[SceneImage]

    @property
    def boxes(self) -> list[Box]:
        """The boxes of all images."""
        return [box for image in self.images for box in image.boxes]

    def truth(self) -> list[Region]:
        """Return the regions that must be sent."""
        regions = []
        for image in self.images:
            width, height = image.size
            for box in image.boxes:
                if not box.sent:
                    continue
                left, top, _, _ = box.edges
                normalised = left / width, top / height, box.size[0] / width, box.size[1] / height
                regions.append(Region(image.path, self.classes[box.tag], *normalised))
        return regions


def random_scene(rng: Random) -> Scene:
    """Return 3 to 12 images with 1 to 8 boxes each, of 2 to 6 classes, all of them used."""
    classes = rng.sample(NAMES, rng.randint(2, 6))
    images = []
    for number in range(rng.randint(3, 12)):
        size = rng.choice(SIZES)
        boxes = [
            Box(rng.randrange(len(classes)), edges)
            for edges in random_edges(rng, size, rng.randint(1, 8))
        ]
        split = "val" if number == 1 or (rng.random() < 0.3 and number) else "train"
        images.append(
            SceneImage(f"{rng.choice(STEMS)} {number}", rng.choice(EXTENSIONS), size, boxes, split)
        )
    scene = Scene(classes, images)
    scene.boxes[0].tag, scene.boxes[-1].tag = 0, len(classes) - 1
    for tag, box in zip(
        range(len(classes)), rng.sample(scene.boxes[1:-1], len(scene.boxes) - 2), strict=False
    ):
        box.tag = tag
    return scene


def random_edges(rng: Random, size: tuple[int, int], count: int) -> list[Edges]:
    """Return different boxes of at least 4 x 4 whole pixels; some touch an edge of the image."""
    found: dict[Edges, None] = {}
    while len(found) < count:
        spans = []
        for side in size:
            length = rng.randint(4, max(4, round(side * rng.choice((0.1, 0.3, 0.6, 1)))))
            first = rng.choice((0, side - length, *[rng.randint(0, side - length)] * 6))
            spans.append((first, first + length))
        found[spans[0][0], spans[1][0], spans[0][1], spans[1][1]] = None
    return list(found)


def centred(edges: Edges, size: tuple[int, int]) -> Edges:
    """Return the normalised centre and size of a box."""
    left, top, right, bottom = edges
    width, height = size
    return (
        (left + right) / 2 / width,
        (top + bottom) / 2 / height,
        (right - left) / width,
        (bottom - top) / height,
    )


def enclose_rotated(
    centre: tuple[float, float], size: tuple[float, float], degrees: float
) -> Edges:
    """Return the edges of the axis-aligned box around a rotated one, in pixels."""
    cos, sin = abs(math.cos(math.radians(degrees))), abs(math.sin(math.radians(degrees)))
    x, y = (size[0] * cos + size[1] * sin) / 2, (size[0] * sin + size[1] * cos) / 2
    return centre[0] - x, centre[1] - y, centre[0] + x, centre[1] + y


def rotated_inside(box: Box, degrees: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the centre and size of a box that is inside this one after its rotation."""
    left, top, right, bottom = box.edges
    width, height = box.size
    around = enclose_rotated((0, 0), box.size, degrees)
    scale = 0.98 * min(width / (around[2] - around[0]), height / (around[3] - around[1]))
    return ((left + right) / 2, (top + bottom) / 2), (
        round(width * scale, 6),
        round(height * scale, 6),
    )


def id_of(name: str) -> str:
    """Return the ID of a tag or image."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))
