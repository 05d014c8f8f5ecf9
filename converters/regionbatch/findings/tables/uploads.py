"""Codes found while uploading or verifying.

A box that is dropped here was kept when the dataset was read: only the upload's ledger counts it.
"""

from __future__ import annotations

from regionbatch.findings.code import Code

CODES = (
    Code(
        "region_failed",
        "dropped",
        "box",
        "Custom Vision did not create the region",
        "See the message of the service.",
        explanation="Custom Vision rejected the region. The finding shows the service's message.",
        example="cat in a.jpg: BadRequestInvalidRegion -> not created",
        remedy="Follow the message of the service, then run the upload again.",
        found_in="upload",
    ),
    Code(
        "region_exceeded",
        "dropped",
        "box",
        "the image already has the maximum number of regions (300)",
        "Remove some regions.",
        explanation=(
            "Custom Vision accepts up to 300 regions per image. Regions that are already in the "
            "project count too."
        ),
        example="an image with 300 regions in the project -> one more is rejected",
        remedy="Remove regions from the image in the project, or boxes from the dataset.",
        found_in="upload",
    ),
    Code(
        "region_missing",
        "dropped",
        "box",
        "the region is not in the project",
        "Upload it again.",
        explanation=(
            "Verification read the project back, and the region is not there: the upload did not "
            "finish, or somebody deleted it."
        ),
        example="cat 0.1 0.2 0.3 0.4 in a.jpg -> not found in the project",
        remedy="Run the upload again. Only missing regions are sent.",
        found_in="project",
    ),
    Code(
        "region_moved",
        "dropped",
        "box",
        "the region has different coordinates in the project",
        "Correct the dataset, or upload it with `prune=True`, which replaces the region.",
        explanation=(
            "The project has a region with the same tag on the same image, but in a different "
            "place. Probably somebody edited it in the portal, or the dataset changed."
        ),
        example="cat 0.1 0.2 0.3 0.4, in the project 0.2 0.2 0.3 0.4 -> reported",
        remedy=(
            "If the dataset is right, upload it with `prune=True`, which replaces the region. If "
            'the project has the same box with fewer digits, upload with `existing="skip"`.'
        ),
        found_in="project",
    ),
    Code(
        "region_extra",
        "noted",
        "box",
        "the project has a region that the dataset does not have",
        "If it is wrong, delete it in the project, or upload with `prune=True`.",
        explanation=(
            "In the project, an image has a region that the dataset does not have: it is from an "
            "earlier upload, or was drawn in the portal. Without `prune=True`, an upload deletes "
            "nothing."
        ),
        example="a.jpg has one box in the dataset and two regions in the project -> reported",
        remedy="If it is wrong, delete it in the project, or upload with `prune=True`.",
        is_warning=True,
        found_in="project",
    ),
    Code(
        "region_rounded",
        "noted",
        "box",
        "Custom Vision stores the region with fewer digits",
        "The region is in the project. The difference is at most 0.001 of the image's width or "
        "height.",
        explanation=(
            "The region was sent and confirmed, but the project returns slightly different "
            "coordinates: at most 0.001 of the image's width or height."
        ),
        example="sent 0.123456, stored as 0.12346 -> counted as verified",
        remedy="Nothing to do.",
    ),
    Code(
        "region_kept",
        "noted",
        "box",
        "the project has a nearly equal region, which is kept",
        "The region of the dataset is not sent.",
        explanation=(
            'With `existing="skip"`, a region is not sent if the project has one with the same tag '
            "on the same image and an IoU above 0.95, for example because an earlier script "
            "rounded the coordinates."
        ),
        example="cat 0.12345 … in the dataset, cat 0.1235 … in the project -> not sent",
        remedy='Use `existing="add"` with `prune=True` to replace the regions of the project.',
    ),
    Code(
        "region_pruned",
        "noted",
        "box",
        "the dataset does not have this region of the project",
        "`prune=True` deletes it.",
        explanation=(
            "An image of the dataset has a region in the project that the dataset does not have: "
            "the box was moved or deleted since the last upload, or the region was drawn in the "
            "portal."
        ),
        example="a box was deleted from a label file -> its region is deleted from the project",
        remedy="If the region is right, add the box to the dataset, or upload without `prune`.",
        is_warning=True,
    ),
    Code(
        "project_full",
        "noted",
        "dataset",
        "the project may exceed the image limit of its tier",
        "Images beyond the limit will be rejected, unless the project already has them.",
        explanation=(
            "The images in the project and the images to upload may together exceed the limit of "
            "the pricing tier. An image that is already in the project is not counted twice."
        ),
        example="4,900 images in a project of tier F0 and 200 to upload, with a limit of 5,000",
        remedy="Delete images from the project, upload fewer, or use a higher tier.",
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "dataset_changed",
        "noted",
        "dataset",
        "the dataset or class mapping changed since this journal was created",
        "The project is compared again. Only `prune=True` deletes regions that the dataset no "
        "longer has.",
        explanation=(
            "The journal was written when the dataset or its tag names were different. It is still "
            "used, but everything is compared with the project again."
        ),
        example="a box was corrected between two uploads -> one region is added, the old one stays",
        remedy="Delete outdated regions with `prune=True`. Use a new journal for another dataset.",
        is_warning=True,
    ),
    Code(
        "image_changed",
        "noted",
        "image",
        "the image file changed since it was uploaded",
        "An upload sends the new image; the old one stays in the project.",
        explanation=(
            "The file on disk differs from the one that the journal recorded, so the project still "
            "has the old image."
        ),
        example="a.jpg was cropped after its upload -> it is uploaded as a new image",
        remedy="Delete the old image in the project if it is no longer needed.",
        is_warning=True,
    ),
    Code(
        "same_image",
        "noted",
        "image",
        "same ID or same bytes as another image",
        "The two become one image in the project, with the boxes of both. Correct the ID if the "
        "images differ.",
        explanation=(
            "Two images of the dataset have the same ID, or their files have the same bytes. "
            "Custom Vision stores such an image once, so it gets the boxes of both."
        ),
        example="a.jpg and copy.jpg with the same bytes -> one image in the project",
        remedy="Remove the copy, or correct the image IDs if the images differ.",
        is_warning=True,
        fails_strict_if="the images share an ID, and their files are missing or differ",
    ),
    Code(
        "image_shrunk",
        "noted",
        "image",
        "the image was re-encoded",
        "Its boxes still fit, as they are normalised.",
        explanation=(
            "`shrink=True` re-encodes images that are too large for Custom Vision, or whose format "
            "it does not accept. The file on disk is unchanged."
        ),
        example="a 9 MB PNG -> uploaded as a smaller JPEG",
        remedy="Nothing to do.",
    ),
    Code(
        "image_refused",
        "dropped",
        "image",
        "Custom Vision does not accept the image",
        "See the reason. `shrink=True` helps with size and format, unless images are sent by URL.",
        explanation=(
            "The image is too large, too small, damaged or in an unsupported format, or the "
            "service rejected it. With `by_url`, also: the service cannot fetch the image "
            "(ErrorSource), there is no URL for it (NotSigned), or the image at the URL is not the "
            "one that was read (ImageChanged). Its regions cannot be uploaded either."
        ),
        example="a 7 MB JPEG -> rejected, because the limit is 6 MB",
        remedy=(
            "Re-encode the image with `shrink=True`, or replace the file. With `by_url`, check "
            "that the URL leads to the image and that Custom Vision may read it; if the image "
            "changed, read the dataset again."
        ),
    ),
)
