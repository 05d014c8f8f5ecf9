"""Defects of boxes: units, rotation, what the numbers are, keypoints."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from defective.scenes import Box, Picture, around_rotated, random_edges, rotated_inside
from defective.table import ASK, CERTAIN, FEWER, RIGHT, a_box, defect, made, rotate_files, without_sizes
from defective.writers import Coco, Draft, Voc, Yolo, polygon_of

if TYPE_CHECKING:
    from random import Random

# Units


@defect(RIGHT)
def all_boxes_normalised_coco(draft: Coco) -> None:
    """Every box is from 0 to 1, as Azure's own services want it."""
    made(draft).strip("area", "segmentation")
    for record, picture, box in draft.records:
        record["bbox"] = normalised((*box.edges[:2], *box.size), picture)


@defect(RIGHT)
def all_boxes_normalised_voc(draft: Voc) -> None:
    """Every edge is from 0 to 1, as Azure ML exports it, with or without the sizes of the images."""
    made(draft)
    if draft.rng.random() < 0.3:
        without_sizes(draft)
    for thing, picture, box in draft.records:
        thing.numbers = dict(zip(thing.numbers, normalised(box.edges, picture), strict=True))


@defect(ASK)
def some_boxes_normalised_coco(draft: Coco) -> None:
    """The boxes of some images are from 0 to 1, all others are pixels."""
    some = some_boxes(draft)
    made(draft).strip("area", "segmentation")
    for record, picture, box in draft.records:
        if box in some:
            record["bbox"] = normalised((*box.edges[:2], *box.size), picture)


@defect(ASK)
def some_boxes_normalised_voc(draft: Voc) -> None:
    """The boxes of some images are from 0 to 1, all others are pixels."""
    some = some_boxes(draft)
    for thing, picture, box in made(draft).records:
        if box in some:
            thing.numbers = dict(zip(thing.numbers, normalised(box.edges, picture), strict=True))


def some_boxes(draft: Draft) -> list[Box]:
    """Choose a single box, or all of an image or of a split."""
    pictures = draft.scene.pictures
    one = draft.rng.choice(pictures)
    split = [box for picture in pictures if picture.split == "val" for box in picture.boxes]
    return draft.rng.choice((one.boxes[:1], one.boxes, split))


@defect(ASK | FEWER)
def pixels_yolo(draft: Yolo) -> None:
    """The rows of some images, or of all, are pixels."""
    some = draft.rng.sample(draft.scene.pictures, draft.rng.randint(1, len(draft.scene.pictures)))
    for row, picture, box in made(draft).records:
        if picture in some:
            left, top, right, bottom = box.edges
            row[1:] = map(str, ((left + right) / 2, (top + bottom) / 2, *box.size))


@defect(ASK | FEWER)
def corners_yolo(draft: Yolo) -> None:
    """Rows hold left, top, right, bottom, normalised; some would reach over the edge as centre and size."""
    draft.scene.boxes[0].edges = far_corner(draft.scene.pictures[0])
    for row, picture, box in made(draft).records:
        row[1:] = map(str, normalised(box.edges, picture))


def normalised(edges: tuple[float, ...], picture: Picture) -> list[float]:
    """Pixels as they are from 0 to 1."""
    return [round(edge / side, 9) for edge, side in zip(edges, picture.size * 2, strict=True)]


def far_corner(picture: Picture) -> tuple[float, float, float, float]:
    """A box in the last corner of an image."""
    width, height = picture.size
    return (width - 9, height - 7, width - 1, height - 1)


# Rotated boxes


def angles(rng: Random, boxes: list[Box]) -> list[float]:
    """Degrees for each box; some are not rotated, the first is."""
    choices = (0, 15, 30, 45.5, 60, 90, 120.25, 270, 350.5, -30)
    return [37.5, *(rng.choice(choices) for _ in boxes[1:])]


@defect(RIGHT)
def rotation_coco(draft: Coco) -> None:
    """An angle in degrees is next to the box as it is before rotation, as CVAT exports it."""
    made(draft).strip("area", "segmentation")
    for (record, _, box), degrees in zip(draft.records, angles(draft.rng, draft.scene.boxes), strict=True):
        (x, y), (width, height) = rotated_inside(box, degrees)
        record["bbox"] = [x - width / 2, y - height / 2, width, height]
        record["attributes"] = {"occluded": False, "rotation": draft.rng.choice((degrees, str(degrees)))}
        box.edges = around_rotated((x, y), (width, height), degrees)


@defect(RIGHT)
def rotation_beside_polygon_coco(draft: Coco) -> None:
    """An angle is next to a box that is the bounds of its polygon already."""
    for (record, _, box), degrees in zip(made(draft).records, angles(draft.rng, draft.scene.boxes), strict=True):
        record["segmentation"] = [polygon_of(box.edges)]
        record["attributes"] = {"rotation": degrees}


@defect(RIGHT)
def rotation_voc(draft: Voc) -> None:
    """An angle in degrees is among the attributes, next to the box as it is before rotation."""
    for (thing, _, box), degrees in zip(made(draft).records, angles(draft.rng, draft.scene.boxes), strict=True):
        (x, y), (width, height) = rotated_inside(box, degrees)
        edges = x - width / 2, y - height / 2, x + width / 2, y + height / 2
        thing.numbers = dict(zip(thing.numbers, edges, strict=True))
        attribute = f"<attribute><name>rotation</name><value>{degrees}</value></attribute>"
        thing.more = f"<attributes><attribute><name>name</name><value>x</value></attribute>{attribute}</attributes>\n"
        box.edges = around_rotated((x, y), (width, height), degrees)


@defect(RIGHT | {"doubt"})
def robndbox_voc(draft: Voc) -> None:
    """Rotated boxes, in radians, or all in degrees, of which some could be radians."""
    unit = draft.rng.choice(("radians", "degrees"))
    for (thing, _, box), degrees in zip(made(draft).records, angles(draft.rng, draft.scene.boxes), strict=True):
        degrees = degrees if degrees > 30 else degrees / 10  # noqa: PLW2901 - small angles in either unit
        (x, y), (width, height) = rotated_inside(box, degrees)
        angle = degrees if unit == "degrees" else math.radians(degrees)
        numbers = {"cx": x, "cy": y, "w": width, "h": height, "angle": angle}
        thing.shape = f"<robndbox>{''.join(f'<{key}>{value}</{key}>' for key, value in numbers.items())}</robndbox>"
        box.edges = around_rotated((x, y), (width, height), degrees)


def write_xywhr(draft: Yolo, unit: str) -> None:
    """Rows of class, centre, size and angle."""
    for (row, picture, box), drawn_degrees in zip(
        made(draft).records, angles(draft.rng, draft.scene.boxes), strict=True
    ):
        degrees = drawn_degrees / 40 + 0.5 if unit == "small degrees" else drawn_degrees % 180 or 0.25
        (x, y), (width, height) = rotated_inside(box, degrees)
        image_width, image_height = picture.size
        angle = math.radians(degrees) if unit == "radians" else degrees
        numbers = x / image_width, y / image_height, width / image_width, height / image_height, angle
        row[1:] = [f"{number:.12f}" for number in numbers]
        box.edges = around_rotated((x, y), (width, height), degrees)
    if unit == "radians":  # one that is no confidence
        row, picture, box = draft.records[-1]
        (x, y), size = rotated_inside(box, 90)
        row[3:] = [f"{size[0] / picture.size[0]:.12f}", f"{size[1] / picture.size[1]:.12f}", f"{math.pi / 2:.12f}"]
        box.edges = around_rotated((x, y), size, 90)


@defect(RIGHT | {"doubt"})
def degrees_yolo(draft: Yolo) -> None:
    """Rows end in an angle in degrees; some are beyond a full circle of radians."""
    write_xywhr(draft, "degrees")


@defect(ASK)
def radians_yolo(draft: Yolo) -> None:
    """Rows end in an angle in radians."""
    write_xywhr(draft, "radians")
    draft.remedy = ["--yolo-rows", "xywhr-radians"]


@defect(ASK)
def small_degrees_yolo(draft: Yolo) -> None:
    """Rows end in small angles in degrees, which might be radians."""
    write_xywhr(draft, "small degrees")
    draft.remedy = ["--yolo-rows", "xywhr-degrees"]


@defect(FEWER | ASK)
def rotated_without_size_yolo(draft: Yolo) -> None:
    """Rows end in an angle in degrees, and there are no images to know the sizes by."""
    write_xywhr(draft, "degrees")
    draft.after.append(without_images)


@defect(RIGHT | FEWER | ASK)
def rotated_in_rotated_images_yolo(draft: Yolo) -> None:
    """Rows end in an angle in degrees, and EXIF rotates the images: their sides are those of the image as shown."""
    rotate_files(draft)
    write_xywhr(draft, "degrees")


def without_images(files: dict[str, bytes]) -> None:
    """Take the images out of a dataset."""
    for path in [*files]:
        if path.lower().endswith((".jpg", ".png", ".jpeg")):
            del files[path]


# Corners, sizes and typing errors


@defect(ASK)
def corners_coco(draft: Coco) -> None:
    """Boxes hold left, top, right, bottom; areas, or areas and polygons, prove it."""
    polygons = draft.rng.random() < 0.5
    for record, _, box in made(draft).records:
        record["bbox"] = [*box.edges]
        record["area"] = box.size[0] * box.size[1]
        if polygons:
            record["segmentation"] = [polygon_of(box.edges)]
    draft.remedy = ["--bbox-format", "ltrb"]


@defect(ASK)
def corners_without_area_coco(draft: Coco) -> None:
    """Boxes hold left, top, right, bottom; only those that would reach far over the edge betray it."""
    for picture in draft.scene.pictures:
        picture.boxes[0].edges = far_corner(picture)
    made(draft).strip("area", "segmentation")
    for record, _, box in draft.records:
        record["bbox"] = [*box.edges]


@defect(ASK)
def centres_coco(draft: Coco) -> None:
    """Boxes hold their centre and size; polygons prove it."""
    for record, _, box in made(draft).records:
        left, top, right, bottom = box.edges
        record["bbox"] = [(left + right) / 2, (top + bottom) / 2, *box.size]
        record |= {"area": box.size[0] * box.size[1], "segmentation": [polygon_of(box.edges)]}


@defect(ASK)
def sizes_in_place_of_corners_voc(draft: Voc) -> None:
    """Width and height are in xmax and ymax; most are less than xmin and ymin."""
    for picture in draft.scene.pictures:
        width, height = picture.size
        half = (width - width // 2, height - height // 2)
        edges = random_edges(draft.rng, half, len(picture.boxes))
        for box, (left, top, right, bottom) in zip(picture.boxes, edges, strict=True):
            box.edges = (left + width // 2, top + height // 2, right + width // 2, bottom + height // 2)
    for thing, _, box in made(draft).records:
        thing.numbers["xmax"], thing.numbers["ymax"] = box.size


@defect(ASK | FEWER)
def ymax_is_xmin_voc(draft: Voc) -> None:
    """The ymax of every box is its xmin, a known mistake of an exporter."""
    for thing, _, _ in made(draft).records:
        thing.numbers["ymax"] = thing.numbers["xmin"]


@defect(ASK | FEWER)
def typing_error_coco(draft: Coco) -> None:
    """A width or height has digits too many, so that most of the box is outside."""
    record, _, _ = a_box(draft)
    side = draft.rng.choice((2, 3))
    record["bbox"][side] = (record["bbox"][side] + 20) * 100
    draft.strip("area", "segmentation")


@defect(ASK | FEWER)
def typing_error_voc(draft: Voc) -> None:
    """A corner has digits too many, so that most of the box is outside."""
    thing, _, _ = a_box(draft)
    key = draft.rng.choice(("xmax", "ymax"))
    thing.numbers[key] = (float(str(thing.numbers[key])) + 20) * 100


@defect(ASK | FEWER)
def typing_error_yolo(draft: Yolo) -> None:
    """A number has lost its decimal point, or its zero, so that most of the box is outside."""
    row, _, _ = a_box(draft)
    side = draft.rng.choice((3, 4))
    row[side] = draft.rng.choice((f"{float(row[side]) + 3:.6f}", row[side].replace("0.", "")))


# Where VOC coordinates begin


@defect(RIGHT | {"doubt"})
def voc2007_in_a_template(draft: Voc) -> None:
    """A copied template names VOC2007, but not its database; coordinates begin at 0."""
    for head in made(draft).heads.values():
        head.source = "<database>My Database</database><annotation>VOC2007</annotation><image>flickr</image>"
        head.folder = draft.rng.choice(("VOC2007", "images"))


@defect(ASK)
def one_based_with_a_template(draft: Voc) -> None:
    """Coordinates begin at 1, and only a copied template hints at it; no edge at the image's own settles it."""
    for picture in draft.scene.pictures:
        inside = [box for box in picture.boxes if box.edges[2] < picture.size[0] and box.edges[3] < picture.size[1]]
        picture.boxes = inside or [Box(0, (0, 0, picture.size[0] - 1, picture.size[1] - 1))]
    first_pixel_is_1(draft)
    for head in draft.heads.values():
        head.source = "<database>My Database</database><annotation>VOC2007</annotation>"
    draft.remedy = ["--voc-origin", "1"]


@defect(CERTAIN)
def one_based_devkit(draft: Voc) -> None:
    """The devkit itself: coordinates begin at 1, and its database is named."""
    first_pixel_is_1(draft)
    for head in draft.heads.values():
        head.source = "<database>The VOC2012 Database</database><annotation>PASCAL VOC2012</annotation>"


def first_pixel_is_1(draft: Voc) -> None:
    """Have coordinates begin at 1; the last pixel is part of the box."""
    for thing, _, box in made(draft).records:
        thing.numbers |= {"xmin": box.edges[0] + 1, "ymin": box.edges[1] + 1}


# Keypoints


def write_keypoints(draft: Yolo, count: int, dimensions: int) -> None:
    """Put points, with or without visibility, behind the boxes; some are missing, which is written as zeros."""
    some_missing = draft.rng.random() < 0.5
    for row, picture, box in made(draft).records:
        left, top, right, bottom = box.edges
        for _ in range(count):
            x, y = draft.rng.uniform(left, right) / picture.size[0], draft.rng.uniform(top, bottom) / picture.size[1]
            point = [f"{x:.6f}", f"{y:.6f}", str(draft.rng.choice((1, 2)))]
            missing = some_missing and draft.rng.random() < 0.3
            row.extend((["0.000000", "0.000000", "0"] if missing else point)[:dimensions])


@defect(CERTAIN)
def keypoints_with_shape_yolo(draft: Yolo) -> None:
    """Rows end in as many keypoints as the data.yaml says."""
    count, dimensions = draft.rng.randint(1, 9), draft.rng.choice((2, 3))
    draft.layout = "ultralytics"
    draft.yaml = f"kpt_shape: [{count}, {dimensions}]\n"
    write_keypoints(draft, count, dimensions)


@defect(ASK | FEWER)
def keypoints_of_another_shape_yolo(draft: Yolo) -> None:
    """Rows end in other keypoints than the data.yaml says: it says 2 numbers a point, the rows have 3, or one more."""
    count = draft.rng.randint(2, 5)
    draft.layout = "ultralytics"
    draft.yaml = f"kpt_shape: [{count}, 2]\n"
    write_keypoints(draft, *draft.rng.choice(((count, 3), (count + 1, 2))))
    draft.remedy = ["--yolo-rows", "box"]


@defect(ASK | FEWER)
def keypoints_without_shape_yolo(draft: Yolo) -> None:
    """Rows end in keypoints, and nothing says so."""
    write_keypoints(draft, draft.rng.randint(1, 9), draft.rng.choice((2, 3)))
    draft.remedy = ["--yolo-rows", "box"]


# Rows of other lengths, which are right


@defect(CERTAIN)
def confidence_yolo(draft: Yolo) -> None:
    """Rows end in a confidence."""
    for row, _, _ in made(draft).records:
        row.append(f"{draft.rng.random():.4f}")


@defect(CERTAIN)
def track_id_yolo(draft: Yolo) -> None:
    """Rows end in the ID of a track."""
    for number, (row, _, _) in enumerate(made(draft).records, 1):
        row.append(str(number))


@defect(RIGHT)
def polygons_yolo(draft: Yolo) -> None:
    """Rows hold polygons of 3 to 12 points."""
    for row, picture, box in made(draft).records:
        left, top, right, bottom = box.edges
        count = draft.rng.randint(0, 8)
        points = [(draft.rng.uniform(left, right), draft.rng.uniform(top, bottom)) for _ in range(count)]
        corners = [(left, draft.rng.uniform(top, bottom)), (draft.rng.uniform(left, right), top)]
        corners += (
            [(right, bottom)]
            if draft.rng.random() < 0.5
            else [(right, points[0][1] if points else top), (left, bottom)]
        )
        points += corners
        draft.rng.shuffle(points)
        row[1:] = [f"{part / side:.10f}" for point in points for part, side in zip(point, picture.size, strict=True)]
