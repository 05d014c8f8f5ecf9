"""Codes of boxes that are adjusted, or kept as they are with a note."""

from __future__ import annotations

from regionbatch.findings.code import Code

CODES = (
    Code(
        "clipped",
        "adjusted",
        "box",
        "the box extends beyond the image",
        "It was clipped. Check the file.",
        explanation=(
            "A part of the box, at most half of it, lies outside the image. Custom Vision accepts "
            "only regions within the image, so the box was clipped at the edge."
        ),
        example='"bbox": [-20, 10, 60, 30] -> clipped to [0, 10, 40, 30]',
        remedy=(
            "Nothing to do if the object is cut by the image's edge. Otherwise correct the box, or "
            "leave such boxes out with `max_clip`."
        ),
    ),
    Code(
        "mostly_outside",
        "adjusted",
        "box",
        "more than half of the box is outside the image",
        "It was clipped. Correct it, or leave such boxes out with `max_clip=0.5`.",
        explanation=(
            "More than half of the box lies outside the image, which is rarely intended. Usual "
            "causes are a typing error, a different order of the four numbers, or a wrong image "
            "size."
        ),
        example="xmax 9324 in an image 800 pixels wide -> clipped at 800",
        remedy=(
            "Correct the coordinates. If many boxes have this finding, check the order of their "
            "numbers with `bbox_format`, and the size of the images."
        ),
        fails_strict=True,
    ),
    Code(
        "reordered",
        "adjusted",
        "box",
        "corners in the wrong order",
        "They were sorted. Check the file.",
        explanation=(
            "The first corner is to the right of the second or below it. The order of the corners "
            "does not change the box, so they were sorted."
        ),
        example="xmin 200, xmax 50 -> xmin 50, xmax 200",
        remedy="Nothing to do. If there are many such boxes, fix the tool that wrote the file.",
    ),
    Code(
        "box_from_segmentation",
        "adjusted",
        "box",
        "no bbox, so the box around the segmentation is used",
        "Check that it fits.",
        explanation=(
            "The annotation has a segmentation (a polygon or a mask) and no bbox. The smallest box "
            "around the segmentation is used."
        ),
        example='"segmentation": [[20, 10, 60, 10, 60, 40]] -> box [20, 10, 40, 30]',
        remedy="Nothing to do. Add a bbox if you want a different box.",
    ),
    Code(
        "box_from_shape",
        "adjusted",
        "box",
        "not an axis-aligned box, so the box around it is used",
        "Check that it fits.",
        explanation=(
            "The annotation is a polygon, an ellipse, a mask or a rotated box. Custom Vision has "
            "only axis-aligned boxes, so the smallest one around the shape is used."
        ),
        example='<box rotation="45"> -> a larger, axis-aligned box around it',
        remedy="Nothing to do if the larger box is acceptable. Otherwise draw a box.",
    ),
    Code(
        "marked",
        "noted",
        "box",
        "marked in the dataset, but kept",
        "Use `drop` to leave out boxes with this mark.",
        explanation=(
            "The dataset marks the box as crowd, difficult, truncated or occluded. Custom Vision "
            "has no such marks; the box is kept like any other."
        ),
        example='"iscrowd": 1 -> kept, and noted',
        remedy='Leave such boxes out with `drop`, for example `drop="crowd"`.',
    ),
    Code(
        "extra_column",
        "noted",
        "box",
        "the row has more columns than a box needs",
        "The extra columns are ignored. Check `yolo_rows` if they hold coordinates.",
        explanation=(
            "The row has more numbers after the class and four coordinates, such as a confidence, "
            "a track ID or keypoints. Custom Vision regions do not have these."
        ),
        example="0 0.5 0.5 0.2 0.3 0.98 -> box 0.5 0.5 0.2 0.3, and 0.98 is ignored",
        remedy="Nothing to do. If the box is wrong, choose a different layout with `yolo_rows`.",
    ),
    Code(
        "unread_angle",
        "noted",
        "box",
        "an angle next to the box is ignored",
        "Remove it or, if the box is rotated, store it as the attribute 'rotation' in degrees.",
        explanation=(
            "The annotation has an angle that may be the rotation of the box, but its name does "
            "not say so, and its unit is unknown. The box is read as axis-aligned."
        ),
        example='"attributes": {"angle": 30} -> read without a rotation',
        remedy=(
            "Remove the angle if the box is not rotated. If it is, store the angle as an attribute "
            'in degrees, for example "attributes": {"rotation": 30}.'
        ),
        is_warning=True,
        fails_strict=True,
    ),
)
