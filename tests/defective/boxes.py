"""Defects of boxes: units, rotation, what the numbers are, keypoints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from defective.scenes import Box, SceneImage, enclose_rotated, random_edges, rotated_inside
from defective.table import (
    ASK,
    CERTAIN,
    FEWER,
    RIGHT,
    defect,
    random_record,
    rotate_files,
    with_records,
    without_sizes,
)
from defective.writers import Coco, Draft, Voc, Yolo, polygon_of

if TYPE_CHECKING:
    from random import Random

# Units


@defect(RIGHT)
def all_boxes_normalised_coco(draft: Coco) -> None:
    """Every box is normalised, as Azure's own services expect."""
    with_records(draft).strip("area", "segmentation")
    for record, image, box in draft.records:
        record["bbox"] = normalised((*box.edges[:2], *box.size), image)


@defect(RIGHT)
def all_boxes_normalised_voc(draft: Voc) -> None:
    """Every edge is normalised, as Azure ML exports it, with or without image sizes."""
    with_records(draft)
    if draft.rng.random() < 0.3:
        without_sizes(draft)
    for voc_object, image, box in draft.records:
        voc_object.numbers = dict(
            zip(voc_object.numbers, normalised(box.edges, image), strict=True)
        )


@defect(ASK)
def some_boxes_normalised_coco(draft: Coco) -> None:
    """The boxes of some images are normalised; all others are in pixels."""
    some = some_boxes(draft)
    with_records(draft).strip("area", "segmentation")
    for record, image, box in draft.records:
        if box in some:
            record["bbox"] = normalised((*box.edges[:2], *box.size), image)


@defect(ASK)
def some_boxes_normalised_voc(draft: Voc) -> None:
    """The boxes of some images are normalised; all others are in pixels."""
    some = some_boxes(draft)
    for voc_object, image, box in with_records(draft).records:
        if box in some:
            voc_object.numbers = dict(
                zip(voc_object.numbers, normalised(box.edges, image), strict=True)
            )


def some_boxes(draft: Draft) -> list[Box]:
    """Return a single box, or all boxes of an image or of a split."""
    images = draft.scene.images
    one = draft.rng.choice(images)
    split = [box for image in images if image.split == "val" for box in image.boxes]
    return draft.rng.choice((one.boxes[:1], one.boxes, split))


@defect(ASK | FEWER)
def pixels_yolo(draft: Yolo) -> None:
    """The rows of some images, or of all, are in pixels."""
    some = draft.rng.sample(draft.scene.images, draft.rng.randint(1, len(draft.scene.images)))
    for row, image, box in with_records(draft).records:
        if image in some:
            left, top, right, bottom = box.edges
            row[1:] = map(str, ((left + right) / 2, (top + bottom) / 2, *box.size))


@defect(ASK | FEWER)
def corners_yolo(draft: Yolo) -> None:
    """Rows are normalised corners; as centre and size, some extend beyond their image."""
    draft.scene.boxes[0].edges = far_corner(draft.scene.images[0])
    for row, image, box in with_records(draft).records:
        row[1:] = map(str, normalised(box.edges, image))


def normalised(edges: tuple[float, ...], image: SceneImage) -> list[float]:
    """Return pixels as normalised coordinates."""
    return [round(edge / side, 9) for edge, side in zip(edges, image.size * 2, strict=True)]


def far_corner(image: SceneImage) -> tuple[float, float, float, float]:
    """Return a box in the lower right corner of an image."""
    width, height = image.size
    return (width - 9, height - 7, width - 1, height - 1)


# Rotated boxes


def angles(rng: Random, boxes: list[Box]) -> list[float]:
    """Return degrees for each box; the first box is rotated, some others are not."""
    choices = (0, 15, 30, 45.5, 60, 90, 120.25, 270, 350.5, -30)
    return [37.5, *(rng.choice(choices) for _ in boxes[1:])]


@defect(RIGHT)
def rotation_coco(draft: Coco) -> None:
    """The box is stored before rotation, with its angle in degrees, as CVAT exports it."""
    with_records(draft).strip("area", "segmentation")
    for (record, _, box), degrees in zip(
        draft.records, angles(draft.rng, draft.scene.boxes), strict=True
    ):
        (x, y), (width, height) = rotated_inside(box, degrees)
        record["bbox"] = [x - width / 2, y - height / 2, width, height]
        record["attributes"] = {
            "occluded": False,
            "rotation": draft.rng.choice((degrees, str(degrees))),
        }
        box.edges = enclose_rotated((x, y), (width, height), degrees)


@defect(RIGHT)
def rotation_beside_polygon_coco(draft: Coco) -> None:
    """The box is already the bounds of its polygon, but is stored with an angle."""
    for (record, _, box), degrees in zip(
        with_records(draft).records, angles(draft.rng, draft.scene.boxes), strict=True
    ):
        record["segmentation"] = [polygon_of(box.edges)]
        record["attributes"] = {"rotation": degrees}


@defect(RIGHT)
def rotation_voc(draft: Voc) -> None:
    """The box is stored before rotation, with its angle in degrees as an attribute."""
    for (voc_object, _, box), degrees in zip(
        with_records(draft).records, angles(draft.rng, draft.scene.boxes), strict=True
    ):
        (x, y), (width, height) = rotated_inside(box, degrees)
        edges = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        voc_object.numbers = dict(zip(voc_object.numbers, edges, strict=True))
        attribute = f"<attribute><name>rotation</name><value>{degrees}</value></attribute>"
        other = "<attribute><name>name</name><value>x</value></attribute>"
        voc_object.more = f"<attributes>{other}{attribute}</attributes>\n"
        box.edges = enclose_rotated((x, y), (width, height), degrees)


@defect(RIGHT | {"doubt"})
def robndbox_voc(draft: Voc) -> None:
    """Rotations are all in radians, or all in degrees; some of the degrees could be radians."""
    unit = draft.rng.choice(("radians", "degrees"))
    for (voc_object, _, box), degrees in zip(
        with_records(draft).records, angles(draft.rng, draft.scene.boxes), strict=True
    ):
        degrees = degrees if degrees > 30 else degrees / 10  # noqa: PLW2901 - small angles in either unit
        (x, y), (width, height) = rotated_inside(box, degrees)
        angle = degrees if unit == "degrees" else math.radians(degrees)
        numbers = {"cx": x, "cy": y, "w": width, "h": height, "angle": angle}
        elements = "".join(f"<{key}>{value}</{key}>" for key, value in numbers.items())
        voc_object.shape = f"<robndbox>{elements}</robndbox>"
        box.edges = enclose_rotated((x, y), (width, height), degrees)


def write_xywhr(draft: Yolo, unit: str) -> None:
    """Write rows of class, centre, size and angle."""
    for (row, image, box), drawn_degrees in zip(
        with_records(draft).records, angles(draft.rng, draft.scene.boxes), strict=True
    ):
        degrees = (
            drawn_degrees / 40 + 0.5 if unit == "small degrees" else drawn_degrees % 180 or 0.25
        )
        (x, y), (width, height) = rotated_inside(box, degrees)
        image_width, image_height = image.size
        angle = math.radians(degrees) if unit == "radians" else degrees
        numbers = (
            x / image_width,
            y / image_height,
            width / image_width,
            height / image_height,
            angle,
        )
        row[1:] = [f"{number:.12f}" for number in numbers]
        box.edges = enclose_rotated((x, y), (width, height), degrees)
    if unit == "radians":  # one of them cannot be a confidence
        row, image, box = draft.records[-1]
        (x, y), size = rotated_inside(box, 90)
        row[3:] = [
            f"{size[0] / image.size[0]:.12f}",
            f"{size[1] / image.size[1]:.12f}",
            f"{math.pi / 2:.12f}",
        ]
        box.edges = enclose_rotated((x, y), size, 90)


@defect(RIGHT | {"doubt"})
def degrees_yolo(draft: Yolo) -> None:
    """Rows end with an angle in degrees; some exceed a full turn in radians."""
    write_xywhr(draft, "degrees")


@defect(ASK)
def radians_yolo(draft: Yolo) -> None:
    """Rows end with an angle in radians."""
    write_xywhr(draft, "radians")
    draft.remedy = ["--yolo-rows", "xywhr-radians"]


@defect(ASK)
def small_degrees_yolo(draft: Yolo) -> None:
    """Rows end with small angles in degrees, which may be radians."""
    write_xywhr(draft, "small degrees")
    draft.remedy = ["--yolo-rows", "xywhr-degrees"]


@defect(FEWER | ASK)
def rotated_without_size_yolo(draft: Yolo) -> None:
    """Rows end with an angle in degrees, and no image shows the size."""
    write_xywhr(draft, "degrees")
    draft.after.append(without_images)


@defect(RIGHT | FEWER | ASK)
def rotated_in_rotated_images_yolo(draft: Yolo) -> None:
    """Rows end with an angle in degrees, and EXIF rotates the images.

    The image size that counts is that of the image as viewers show it.
    """
    rotate_files(draft)
    write_xywhr(draft, "degrees")


def without_images(files: dict[str, bytes]) -> None:
    """Remove the images from a dataset."""
    for path in [*files]:
        if path.lower().endswith((".jpg", ".png", ".jpeg")):
            del files[path]


# Corners, sizes and typing errors


@defect(ASK)
def corners_coco(draft: Coco) -> None:
    """Boxes are corners; areas, or areas and polygons, prove it."""
    polygons = draft.rng.random() < 0.5
    for record, _, box in with_records(draft).records:
        record["bbox"] = [*box.edges]
        record["area"] = box.size[0] * box.size[1]
        if polygons:
            record["segmentation"] = [polygon_of(box.edges)]
    draft.remedy = ["--bbox-format", "ltrb"]


@defect(ASK)
def corners_without_area_coco(draft: Coco) -> None:
    """Boxes are corners; only boxes that would extend far beyond their image show it."""
    for image in draft.scene.images:
        image.boxes[0].edges = far_corner(image)
    with_records(draft).strip("area", "segmentation")
    for record, _, box in draft.records:
        record["bbox"] = [*box.edges]


@defect(ASK)
def centres_coco(draft: Coco) -> None:
    """Boxes are centre and size; polygons prove it."""
    for record, _, box in with_records(draft).records:
        left, top, right, bottom = box.edges
        record["bbox"] = [(left + right) / 2, (top + bottom) / 2, *box.size]
        record |= {"area": box.size[0] * box.size[1], "segmentation": [polygon_of(box.edges)]}


@defect(ASK)
def sizes_in_place_of_corners_voc(draft: Voc) -> None:
    """The values of xmax and ymax are width and height; most are less than xmin and ymin."""
    for image in draft.scene.images:
        width, height = image.size
        half = (width - width // 2, height - height // 2)
        edges = random_edges(draft.rng, half, len(image.boxes))
        for box, (left, top, right, bottom) in zip(image.boxes, edges, strict=True):
            box.edges = (
                left + width // 2,
                top + height // 2,
                right + width // 2,
                bottom + height // 2,
            )
    for voc_object, _, box in with_records(draft).records:
        voc_object.numbers["xmax"], voc_object.numbers["ymax"] = box.size


@defect(ASK | FEWER)
def ymax_is_xmin_voc(draft: Voc) -> None:
    """The ymax of every box is its xmin, which is a known bug of an exporter."""
    for voc_object, _, _ in with_records(draft).records:
        voc_object.numbers["ymax"] = voc_object.numbers["xmin"]


@defect(ASK | FEWER)
def typing_error_coco(draft: Coco) -> None:
    """A width or height has extra digits, so that most of the box is outside its image."""
    record, _, _ = random_record(draft)
    side = draft.rng.choice((2, 3))
    record["bbox"][side] = (record["bbox"][side] + 20) * 100
    draft.strip("area", "segmentation")


@defect(ASK | FEWER)
def typing_error_voc(draft: Voc) -> None:
    """A corner has extra digits, so that most of the box is outside its image."""
    voc_object, _, _ = random_record(draft)
    key = draft.rng.choice(("xmax", "ymax"))
    voc_object.numbers[key] = (float(str(voc_object.numbers[key])) + 20) * 100


@defect(ASK | FEWER)
def typing_error_yolo(draft: Yolo) -> None:
    """A number lacks its decimal point or its zero, so that most of the box is outside."""
    row, _, _ = random_record(draft)
    side = draft.rng.choice((3, 4))
    row[side] = draft.rng.choice((f"{float(row[side]) + 3:.6f}", row[side].replace("0.", "")))


# The first pixel in VOC


@defect(RIGHT | {"doubt"})
def voc2007_in_a_template(draft: Voc) -> None:
    """A copied template names VOC2007, but not its database; coordinates start at 0."""
    for header in with_records(draft).headers.values():
        header.source = (
            "<database>My Database</database><annotation>VOC2007</annotation><image>flickr</image>"
        )
        header.folder = draft.rng.choice(("VOC2007", "images"))


@defect(ASK)
def one_based_with_a_template(draft: Voc) -> None:
    """Coordinates start at 1, and only a copied template hints at it.

    No box touches the last row or column of its image, which would settle it.
    """
    for image in draft.scene.images:
        inside = [
            box
            for box in image.boxes
            if box.edges[2] < image.size[0] and box.edges[3] < image.size[1]
        ]
        image.boxes = inside or [Box(0, (0, 0, image.size[0] - 1, image.size[1] - 1))]
    first_pixel_is_1(draft)
    for header in draft.headers.values():
        header.source = "<database>My Database</database><annotation>VOC2007</annotation>"
    draft.remedy = ["--voc-origin", "1"]


@defect(CERTAIN)
def one_based_devkit(draft: Voc) -> None:
    """Coordinates start at 1, and the database of the devkit is named."""
    first_pixel_is_1(draft)
    for header in draft.headers.values():
        header.source = (
            "<database>The VOC2012 Database</database><annotation>PASCAL VOC2012</annotation>"
        )


def first_pixel_is_1(draft: Voc) -> None:
    """Let coordinates start at 1, with the last pixel as part of the box."""
    for voc_object, _, box in with_records(draft).records:
        voc_object.numbers |= {"xmin": box.edges[0] + 1, "ymin": box.edges[1] + 1}
