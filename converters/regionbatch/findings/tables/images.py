"""Codes of images and label files, found while a dataset is read."""

from __future__ import annotations

from regionbatch.findings.code import Code

CODES = (
    Code(
        "image_left_out",
        "dropped",
        "image",
        "image left out on request",
        "This is the effect of splitting the dataset.",
        explanation=(
            "A program splits the dataset into parts, and this image is not in this part. Its "
            "boxes are left out too."
        ),
        example="dataset.split_by(2) -> each part leaves out the images of the other",
        remedy="Nothing to do.",
        is_intentional=True,
    ),
    Code(
        "unreadable_file",
        "dropped",
        "image",
        "the file cannot be read",
        "Repair or remove it.",
        explanation=(
            "The annotation file is empty, truncated or not in the expected syntax, or it cannot "
            "be opened. Its boxes are unknown, so its image is counted as dropped."
        ),
        example="a file with only '<annotation><object>' -> dropped",
        remedy="Export or copy the file again, or remove it. Check its permissions.",
    ),
    Code(
        "unsafe_xml",
        "dropped",
        "image",
        "XML with entities is not read",
        "Remove its <!ENTITY …> declarations and &name; references.",
        explanation=(
            "An entity can expand to gigabytes of text or read other files, so XML that declares "
            "or uses one is not parsed."
        ),
        example='<!DOCTYPE a [<!ENTITY x "cat">]> -> the file is dropped',
        remedy="Replace the entity references with their text, and remove the declarations.",
    ),
    Code(
        "not_an_image",
        "dropped",
        "image",
        "image without a valid ID or file name",
        "Correct or remove it.",
        explanation=(
            "An entry in the list of images has no file name or no valid ID, has two values for "
            "one of its keys, or is not an image, such as a frame of a video in VoTT."
        ),
        example='{"id": 2, "width": 200, "height": 100} -> dropped, as file_name is missing',
        remedy="Correct the ID and the file name, or remove the entry and its annotations.",
    ),
    Code(
        "ambiguous_image",
        "noted",
        "image",
        "several image files match, or one image file matches several names",
        "The boxes are kept under the image's name. Move the wrong files away, or choose the "
        "folder with `image_dir`.",
        explanation=(
            "Image files are found by name. Here several files fit equally well, or one file fits "
            "several names, so no file is used. The boxes are kept under the image's name."
        ),
        example="a.png in images/ and in photos/ -> neither is used",
        remedy=(
            "Move the wrong files out of the dataset, choose the right folder with `image_dir`, or "
            "write full paths in the annotation file."
        ),
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "image_not_on_disk",
        "noted",
        "image",
        "image file not found",
        "Its boxes are kept, as the project may already have the image.",
        explanation=(
            "No file in the dataset matches the image's name. A conversion works without the file. "
            "An upload needs the file, or the ID of an image that is already in the project."
        ),
        example='"file_name": "a.jpg", and no a.jpg in the folder -> boxes kept under this name',
        remedy="Add the file, or choose its folder with `image_dir`.",
    ),
    Code(
        "outside_dataset",
        "noted",
        "image",
        "the path leads outside the dataset",
        "It is not opened. The image is looked up in the dataset by the end of the path.",
        explanation=(
            "The annotation file refers to an image by an absolute path, often from another "
            "computer, or by a path with '..'. Files outside the dataset are never opened."
        ),
        example='"file_name": "C:/data/a.jpg" -> a.jpg inside the dataset is used, if any',
        remedy="Check that the right image was found, or choose its folder with `image_dir`.",
        is_warning=True,
    ),
    Code(
        "size_mismatch",
        "noted",
        "image",
        "declared image size differs from the image file's, or from another declaration",
        "Check that the boxes fit the image, or choose another image folder with `image_dir`.",
        explanation=(
            "The annotation file declares a different width or height than the image file has, or "
            "two different sizes. Pixel coordinates may then belong to a resized image."
        ),
        example='"width": 400, "height": 200, and a.jpg has 200 x 100 pixels -> noted',
        remedy=(
            "Check some boxes on the image. Correct the declared size, or choose the folder of the "
            "original images with `image_dir`."
        ),
        is_warning=True,
        fails_strict_if="the boxes do not show which size is right",
    ),
    Code(
        "stale_filename",
        "noted",
        "image",
        "<filename> names another image",
        "The label file's own name is used. Correct <filename> if it is wrong.",
        explanation=(
            "The <filename> in a Pascal VOC file does not match the name of the file itself, "
            "usually because files were renamed. The image with the label file's name is used."
        ),
        example="a.xml with <filename>b.jpg</filename> -> the boxes belong to a.jpg",
        remedy="Correct <filename>, or give the label file the name of its image.",
        fails_strict_if=(
            "no image has the label file's name, or if the image with this name does not have the "
            "declared size"
        ),
    ),
    Code(
        "merged_image",
        "adjusted",
        "image",
        "the image is listed more than once",
        "Its boxes were merged. Remove the other entries.",
        explanation=(
            "Several entries have the same file name. They become one image in Custom Vision, with "
            "the boxes of all of them."
        ),
        example='two images with "file_name": "a.jpg" -> one image with all boxes',
        remedy="Nothing to do if they are the same image. Otherwise correct the file names.",
    ),
    Code(
        "over_region_limit",
        "noted",
        "image",
        "more regions than Custom Vision allows on one image (300)",
        "Remove some, or the surplus will be rejected.",
        explanation=(
            "Custom Vision accepts up to 300 regions per image, and rejects any more with "
            "'RegionExceeded'."
        ),
        example="301 boxes on a.jpg -> one of them will be rejected",
        remedy="Remove boxes, split the image, or leave classes out with `only`.",
        is_warning=True,
    ),
    Code(
        "shared_label",
        "noted",
        "image",
        "two images share this label file",
        "Both get its boxes. Give each image its own name.",
        explanation=(
            "Two images have the same name with different extensions, and one label file has that "
            "name. It is unknown which of the two was labelled, so both get the boxes."
        ),
        example="a.jpg, a.png and a.txt -> both images get the boxes of a.txt",
        remedy="Remove one of the images, or give each image and label file its own name.",
        is_warning=True,
    ),
    Code(
        "odd_encoding",
        "noted",
        "image",
        "not UTF-8, and no other encoding is declared",
        "It was read as cp1252. Check the names, or choose another encoding with `encoding`.",
        explanation=(
            "The text contains bytes that are not valid UTF-8, and the file does not declare "
            "another encoding. It was read as cp1252 (Western European Windows)."
        ),
        example="the name 'Käse' saved by an old Windows editor -> read as cp1252",
        remedy='Save the file as UTF-8, or choose its encoding, for example `encoding="gbk"`.',
        is_warning=True,
    ),
)
