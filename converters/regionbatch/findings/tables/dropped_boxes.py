"""Codes of boxes that are dropped while a dataset is read or converted."""

from __future__ import annotations

from regionbatch.findings.code import Code

CODES = (
    Code(
        "not_a_box",
        "dropped",
        "box",
        "not a box of four numbers",
        "Correct or remove it.",
        explanation=(
            "A box needs four finite numbers. This one has too few or too many, or one of its "
            "values is not a finite number. Or it is in a part of the file where the format does "
            "not allow boxes."
        ),
        example='"bbox": [10, 20, 30] -> dropped, because the height is missing',
        remedy="Correct the numbers in the file, or remove the annotation.",
    ),
    Code(
        "not_a_row",
        "dropped",
        "box",
        "not a YOLO row of a class number and coordinates",
        "Correct or remove it, or choose how to read rows with `yolo_rows`.",
        explanation=(
            "A row of a YOLO label file is a class number followed by coordinates, separated by "
            "whitespace. This row contains words, commas or a comment, or its number of columns "
            "fits no kind of row."
        ),
        example="0, 0.2, 0.25, 0.2, 0.3 -> dropped, because of the commas",
        remedy="Correct the row. If all rows have a different layout, choose it with `yolo_rows`.",
    ),
    Code(
        "pixel_row",
        "dropped",
        "box",
        "coordinates far beyond 1, probably pixels",
        "Convert them to normalised coordinates, or remove the row.",
        explanation=(
            "YOLO coordinates are normalised: 0 to 1 of the image's width and height. A few rows "
            "of this dataset have much larger numbers, probably pixel coordinates or percentages."
        ),
        example="0 155 144 481 298 -> dropped, while other rows lie within 0-1",
        remedy=(
            "Divide x and width by the image's width, and y and height by its height, or export "
            "the labels again."
        ),
    ),
    Code(
        "negative_size",
        "dropped",
        "box",
        "negative width or height",
        "Correct the file, or fix the tool that wrote it.",
        explanation=(
            "The format stores a position and a size, and the size is negative. Usually the box "
            "was drawn from its lower right corner, or two columns are swapped."
        ),
        example='"bbox": [60, 40, -40, 30] -> dropped',
        remedy=(
            "Move the corner and make the size positive: [20, 40, 40, 30] for the example. If the "
            'numbers of all boxes are two corners, use `bbox_format="ltrb"`.'
        ),
    ),
    Code(
        "empty_box",
        "dropped",
        "box",
        "the box has no area inside the image",
        "Correct or remove it.",
        explanation=(
            "The width or height is zero, or the whole box lies outside the image. Custom Vision "
            "accepts no such region."
        ),
        example='"bbox": [20, 10, 0, 30] -> dropped, because its width is 0',
        remedy="Correct the coordinates, or remove the annotation.",
    ),
    Code(
        "duplicate",
        "dropped",
        "box",
        "duplicate box (same image, class and coordinates)",
        "The first one is kept. Remove the duplicate.",
        explanation=(
            "The image has two boxes with the same class and coordinates. Custom Vision keeps only "
            "one of them, so the second one is dropped."
        ),
        example="two rows 0 0.5 0.5 0.2 0.3 in a.txt -> the second is dropped",
        remedy=(
            "Remove the duplicate. If two classes or images share an ID, their boxes can become "
            "equal: check the ID file."
        ),
    ),
    Code(
        "unclear_rotation",
        "dropped",
        "box",
        "the rotation is not clearly in degrees, or contradicts the polygon",
        "Correct it and store it as the attribute 'rotation' in degrees, or remove it.",
        explanation=(
            "The box is rotated, but its angle is not a number, has no clear unit, or does not "
            "match the polygon next to it. The axis-aligned box around the rotated box cannot be "
            "computed."
        ),
        example='"attributes": {"rotation": "abc"} -> dropped',
        remedy=(
            'Store the rotation as an attribute in degrees, for example "attributes": '
            '{"rotation": 30}. Remove it if the box is axis-aligned.'
        ),
    ),
    Code(
        "unknown_image",
        "dropped",
        "box",
        "the image of the annotation is not listed",
        "Correct the reference, or add the image.",
        explanation=(
            "The annotation refers to an image by ID or name, and the file lists no such image. "
            "IDs must match exactly: 1 and '+1' are different."
        ),
        example='"image_id": 7, and no image has "id": 7 -> dropped',
        remedy="Correct image_id (or the name of the image), or add the image to the file.",
    ),
    Code(
        "unknown_category",
        "dropped",
        "box",
        "category_id is not among the categories",
        "Correct it, or add the category.",
        explanation=(
            "The annotation refers to a category that the file does not list, so its class name is "
            "unknown."
        ),
        example='"category_id": 99, and no category has "id": 99 -> dropped',
        remedy="Correct category_id, or add the category to the file.",
    ),
    Code(
        "unknown_class",
        "dropped",
        "box",
        "class without a name, or with several names",
        "Correct the class, or name it (YOLO: use `names`).",
        explanation=(
            "A class without one clear name cannot become a tag. In YOLO, the class number is "
            "beyond the end of the list of names. In other formats, the name is missing or is not "
            "text, or there are several names."
        ),
        example="class number 5 with names: [cat, dog] -> dropped",
        remedy=(
            "Correct the class or add its name. For YOLO, choose the right list of classes with "
            '`names`, or use `yolo_first_class="1"` if classes are numbered from 1.'
        ),
    ),
    Code(
        "ambiguous_id",
        "dropped",
        "box",
        "two images or two categories have this ID",
        "Give each its own ID.",
        explanation=(
            "Two different images or categories in the file have the same ID, so it is unclear "
            "which one the annotation belongs to."
        ),
        example='{"id": 1, "name": "cat"} and {"id": 1, "name": "dog"} -> their boxes are dropped',
        remedy="Give each image and each category its own ID, and correct the annotations.",
    ),
    Code(
        "unknown_image_size",
        "dropped",
        "box",
        "the image size is unknown, and the box is in pixels or rotated",
        "Add the image file, or choose its folder with `image_dir`.",
        explanation=(
            "Pixel coordinates are divided by the image's width and height; a rotated box needs "
            "their ratio. The annotation file does not state the size, and the image file was not "
            "found or cannot be read."
        ),
        example='"width": 0, "height": 0, and no a.jpg -> the boxes of a.jpg are dropped',
        remedy=(
            "Put the image files next to the annotations, choose their folder with `image_dir`, or "
            "add the size to the annotation file."
        ),
    ),
    Code(
        "unresolved",
        "dropped",
        "box",
        "the ID of the tag or of the image is missing",
        "Add the ID, or map the name with `rename`.",
        explanation=(
            "Custom Vision needs the ID of the tag and the ID of the image. One of them is not in "
            "the tables of IDs, and `skip_unresolved=True` drops such boxes instead of stopping."
        ),
        example="class 'cat' and {'dog': '…'} as tag IDs -> boxes of 'cat' are dropped",
        remedy="Add the missing ID, or map the class to an existing tag with `rename`.",
        is_intentional=True,
    ),
    Code(
        "deleted",
        "dropped",
        "box",
        "marked as deleted in the dataset",
        "It is left out. Remove the mark to keep the box.",
        explanation=(
            "The annotation tool keeps removed objects in the file and marks them as deleted, as "
            "LabelMe does."
        ),
        example="<object><deleted>1</deleted>… -> left out",
        remedy="Nothing to do. Remove the <deleted> element if the box is needed.",
        is_intentional=True,
    ),
    Code(
        "left_out",
        "dropped",
        "box",
        "left out on request",
        "This is the effect of `drop`, `only`, `max_clip` or a filter.",
        explanation=(
            "An option leaves out the box: its mark is in `drop`, its class is not in `only`, or "
            "more of it lies outside the image than `max_clip` allows. Or a program filters or "
            "splits the dataset, and gives the reason."
        ),
        example="a box with the mark 'crowd' and `drop=\"crowd\"` -> left out",
        remedy="Nothing to do. Change the option to keep the box.",
        is_intentional=True,
    ),
    Code(
        "second_label",
        "dropped",
        "box",
        "not read, because another label file matches the image better",
        "Remove the wrong label file.",
        explanation=(
            "Two label files match one image, for example one in 'labels' and one next to the "
            "image. The better match is read, and the boxes in the other file are dropped."
        ),
        example="labels/a.txt and images/a.txt for images/a.jpg -> images/a.txt is not read",
        remedy="Remove the wrong label file, or move it out of the dataset.",
    ),
    Code(
        "unlisted_label",
        "dropped",
        "box",
        "not read, because its file is not part of the dataset",
        "Add the file, in the dataset's format, to its lists or folders, or move it elsewhere.",
        explanation=(
            "The file contains boxes, but the dataset does not refer to it: no split, list or "
            "folder of the dataset includes it, it has another format, or other files are read "
            "instead."
        ),
        example="data.yaml with 'train: images/train', and labels/old/b.txt -> b.txt is not read",
        remedy=(
            "Add the file, in the dataset's format, to a list or folder of the dataset, or move it "
            "elsewhere."
        ),
    ),
)
