"""Codes of what a dataset lacks for training; only uploads and HTML pages check this."""

from __future__ import annotations

from regionbatch.findings.code import Code

CODES = (
    Code(
        "too_few_images",
        "noted",
        "tag",
        "fewer than 15 images, so Custom Vision will not train",
        "Add images, merge classes with `rename`, or leave such classes out with `only`.",
        explanation=(
            "Custom Vision refuses to train a project while one of its tags has fewer than 15 "
            "images. Images that are already in the project count too."
        ),
        example="9 images with boxes of 'bus', and no other images in the project -> no training",
        remedy=(
            "Add images of the tag, map the class to another tag with `rename`, or leave it out "
            "with `only`."
        ),
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "few_images",
        "noted",
        "tag",
        "fewer than the recommended 50 images",
        "Add more if you can.",
        explanation=(
            "Microsoft recommends at least 50 images for each tag. With fewer, training is "
            "possible, but the model may not recognise the tag reliably."
        ),
        example="30 images with boxes of 'bus' -> noted",
        remedy="Add images of the tag. Training works without them.",
    ),
    Code(
        "tag_without_images",
        "noted",
        "tag",
        "no images",
        "An upload does not create the tag. If it is in the project, delete it before training.",
        explanation=(
            "No box has the tag. An upload does not create tags without boxes, but a tag without "
            "images that is already in the project prevents training."
        ),
        example="a class 'bus' in data.yaml, but in no label file -> noted",
        remedy="Delete the tag in the project, or add images of it.",
        fails_strict_if="an upload finds such a tag in the project",
    ),
    Code(
        "small_image",
        "noted",
        "image",
        "a side is shorter than 256 pixels",
        "Custom Vision enlarges the image. Its boxes still fit, as they are normalised.",
        explanation=(
            "Custom Vision enlarges images whose shorter side has fewer than 256 pixels. That adds "
            "no detail, so small objects in them may not be recognised."
        ),
        example="a.jpg with 200 x 100 pixels -> noted",
        remedy="Use the original images if these were reduced. Otherwise there is nothing to do.",
    ),
    Code(
        "tier_limit",
        "noted",
        "dataset",
        "more tags or images than a project of this tier can have",
        "Choose a part of the dataset with `only` or `split`, or use another tier.",
        explanation=(
            "The number of tags or images of a project is limited by its pricing tier. An upload "
            "that exceeds the limit ends with an error before anything is written."
        ),
        example="51 tags with boxes in tier F0, which allows 50 -> reported",
        remedy=(
            "Choose classes with `only`, merge them with `rename`, choose a part of the dataset "
            "with `split`, or use another tier."
        ),
        is_warning=True,
        fails_strict=True,
    ),
)
