"""The reason codes: what each says, what becomes of the box or image, and what its owner can do.

The table is the single source: messages, the ledger's columns and the documentation are made from it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal, NamedTuple


class Code(NamedTuple):
    """One reason code."""

    name: str
    effect: Literal["noted", "adjusted", "dropped"]
    unit: Literal["box", "image", "tag", "record", "dataset"]
    what: str
    """The middle of the message: `PLACE: WHAT, got VALUE; NEXT STEP`."""
    advice: str
    """The end of the message."""
    grave: bool = False
    """Noted, but worth a warning."""
    asked: bool = False
    """Dropped because an option or the dataset itself said so, so that it is no loss."""
    doubtful: bool = False
    """Not lost, but perhaps wrong: strict reading stops."""

    @property
    def severity(self) -> str:
        """`info`, `warning` or `error`."""
        if self.effect == "dropped" and not self.asked:
            return "error"
        return "warning" if self.effect == "adjusted" or self.grave else "info"


_ALL = (
    # Boxes dropped.
    Code("not_a_box", "dropped", "box", "four numbers are needed", "correct or remove it"),
    Code(
        "not_a_row",
        "dropped",
        "box",
        "no class number and coordinates, as --yolo-rows expects",
        "correct or remove it, or check --yolo-rows",
    ),
    Code(
        "pixel_row",
        "dropped",
        "box",
        "numbers far beyond 1, as pixels are",
        "convert them to shares, or remove them",
    ),
    Code("negative_size", "dropped", "box", "negative width or height", "correct the file, or the tool that wrote it"),
    Code("empty_box", "dropped", "box", "no width or height of the box is inside the image", "correct or remove it"),
    Code(
        "duplicate", "dropped", "box", "the same image, tag and box stand here twice", "remove one; the first is kept"
    ),
    Code(
        "unclear_rotation",
        "dropped",
        "box",
        "a rotation that is not certainly in degrees, or contradicts the polygon",
        "correct it, or remove it",
    ),
    Code("unknown_image", "dropped", "box", "image_id that is not among the images", "correct it, or add the image"),
    Code("unknown_category", "dropped", "box", "category_id that is not among the categories", "correct or add it"),
    Code("unknown_class", "dropped", "box", "class that has no name", "correct it, or name it (YOLO: --names)"),
    Code("ambiguous_id", "dropped", "box", "id that two images or categories have", "give each its own id"),
    Code(
        "unknown_image_size",
        "dropped",
        "box",
        "pixels cannot be normalised, since neither the file nor a picture tells the image's size",
        "put the picture beside it, or name its folder with --image-dir",
    ),
    Code("unresolved", "dropped", "box", "tag or image without an id", "add the id, or use --map", asked=True),
    Code(
        "deleted",
        "dropped",
        "box",
        "marked as deleted in the dataset",
        "left out; remove the mark to keep it",
        asked=True,
    ),
    Code("left_out", "dropped", "box", "left out", "as --max-clip, --drop or --only asked", asked=True),
    Code(
        "second_label",
        "dropped",
        "box",
        "not read: the image has a better label file",
        "remove the wrong one of the two",
    ),
    Code(
        "unlisted_label",
        "dropped",
        "box",
        "not read: the label file is not in the lists or folders of the dataset",
        "add it to them, or move it out of the dataset",
    ),
    # Boxes adjusted.
    Code("clipped", "adjusted", "box", "the box reached over the image's edge", "it was cut back; check the file"),
    Code(
        "mostly_outside",
        "adjusted",
        "box",
        "more than half of the box is outside the image, perhaps because of a typing error",
        "it was cut back; correct it, or drop such boxes with --max-clip 0.5",
        doubtful=True,
    ),
    Code("reordered", "adjusted", "box", "corners in the wrong order", "they were put in order; check the file"),
    Code("box_from_segmentation", "adjusted", "box", "no bbox", "the box around its segmentation was taken"),
    Code("box_from_shape", "adjusted", "box", "a shape that is no upright box", "the box around it was taken"),
    # Boxes noted.
    Code("marked", "noted", "box", "marked in the dataset", "kept; drop its mark to leave such boxes out"),
    Code(
        "extra_column",
        "noted",
        "box",
        "more columns than a box has (confidence, track id, keypoints)",
        "they were ignored",
    ),
    Code(
        "unread_angle",
        "noted",
        "box",
        "an angle next to a box, which may be rotated or not",
        "not rotated; remove it, or name it 'rotation' if it is that of the box, in degrees",
        grave=True,
        doubtful=True,
    ),
    # Images.
    Code("unreadable_file", "dropped", "image", "the file cannot be read", "repair or remove it"),
    Code("unsafe_xml", "dropped", "image", "XML with entities is not read", "remove its <!ENTITY …> lines and &names;"),
    Code("not_an_image", "dropped", "image", "image without an exact ID or a file name", "correct or remove it"),
    Code(
        "ambiguous_image",
        "noted",
        "image",
        "several image files may be meant",
        "its boxes are kept by name; move the others away, or name the folder with image_dir",
        grave=True,
        doubtful=True,
    ),
    Code("image_not_on_disk", "noted", "image", "the image file was not found", "kept: the project may have it"),
    Code(
        "outside_dataset",
        "noted",
        "image",
        "a path that leaves the dataset's folder",
        "never opened; an image inside that its end leads to is taken",
        grave=True,
    ),
    Code(
        "size_mismatch",
        "noted",
        "image",
        "declared image size differs from the image file's, or from another declaration",
        "check that the boxes fit the image; --image-dir names another folder of images",
        grave=True,
    ),
    Code(
        "stale_filename",
        "noted",
        "image",
        "<filename> names another image",
        "the label file's own name was used",
    ),
    Code("merged_image", "adjusted", "image", "the same image is listed twice", "its boxes were put together"),
    Code(
        "over_region_limit",
        "noted",
        "image",
        "more regions than Custom Vision takes on one image (300)",
        "the surplus will come back as exceeded; remove some",
        grave=True,
    ),
    Code("shared_label", "noted", "image", "two images share this label file", "both got its boxes", grave=True),
    Code(
        "odd_encoding",
        "noted",
        "image",
        "text that is not UTF-8 and declares nothing else",
        "read as cp1252; check the names, and name another encoding with --encoding",
        grave=True,
    ),
    # Found while uploading. What is dropped here was read and judged before: it is in no ledger but the upload's.
    Code("region_failed", "dropped", "box", "Custom Vision did not take the region", "see its message"),
    Code("region_exceeded", "dropped", "box", "the image has as many regions as it can carry (300)", "remove some"),
    Code("region_missing", "dropped", "box", "the project does not have the region", "upload it again"),
    Code("region_moved", "dropped", "box", "the region lies elsewhere in the project", "correct the one that is wrong"),
    Code(
        "region_extra",
        "noted",
        "box",
        "the project has a region that the dataset does not have",
        "remove it there if it is wrong",
        grave=True,
    ),
    Code(
        "project_full",
        "noted",
        "dataset",
        "the project may get more images than the tier takes",
        "if none of them is there already, some will be refused",
        grave=True,
    ),
    Code(
        "set_changed",
        "noted",
        "dataset",
        "the journal was begun with another state of the dataset, or other names",
        "all is compared with the project afresh; what is there and not in the dataset any more stays there",
        grave=True,
    ),
    Code(
        "picture_changed",
        "noted",
        "image",
        "another picture than the one that went up",
        "an upload sends it again; the old one stays in the project",
        grave=True,
    ),
    Code(
        "same_picture",
        "noted",
        "image",
        "the picture is that of another file",
        "it is one image in the project, and has the boxes of both",
        grave=True,
    ),
    Code("picture_shrunk", "noted", "image", "encoded again", "the boxes are shares of it, so they stay true"),
    Code(
        "picture_refused",
        "dropped",
        "image",
        "Custom Vision does not take the picture",
        "see the reason; --shrink helps with size and format",
    ),
    # Tags, records, the dataset.
    Code("tag_renamed", "noted", "tag", "class name with outer blanks or in another Unicode form", "trimmed, NFC"),
    Code("tag_merged", "noted", "tag", "class name that is listed twice", "it became one tag"),
    Code(
        "matched_loosely",
        "noted",
        "record",
        "does not match exactly",
        "the nearest name was taken; check it",
        grave=True,
    ),
    Code(
        "shared_tag",
        "noted",
        "tag",
        "two classes have one tag id",
        "all their boxes get that tag; correct the table, or say so with --map",
        grave=True,
        doubtful=True,
    ),
    Code(
        "control_character",
        "noted",
        "tag",
        "class name with a control character",
        "kept as it is; correct it, or rename it with --map",
        grave=True,
        doubtful=True,
    ),
    Code(
        "similar_tags",
        "noted",
        "tag",
        "classes whose names differ only in case, whitespace or Unicode form",
        "each becomes a tag; in convert and upload, --map OLD=NEW makes them one, and --map NAME=NAME keeps both",
        grave=True,
        doubtful=True,
    ),
    Code("mapped", "noted", "tag", "renamed", "as --map asked"),
    Code("class_count_mismatch", "noted", "tag", "nc is not the number of names", "the names win", grave=True),
    Code("no_box", "noted", "record", "annotation without a box or shape", "not counted: it is no box"),
    Code("no_annotations", "noted", "record", "a file without annotations", "its images have no boxes", grave=True),
    Code(
        "ignored_file",
        "noted",
        "record",
        "not read: not part of the dataset",
        "nothing is lost if it has no boxes; see what it is",
        grave=True,
    ),
    Code("missing_label", "noted", "record", "listed, but there is no label file", "not read", grave=True),
    Code("missing_split", "noted", "record", "a split whose folder is not here", "not read", grave=True),
    Code(
        "swapped_axes",
        "noted",
        "dataset",
        "boxes fit their images only with x and y swapped",
        "correct the tool that wrote them, or the image sizes",
        grave=True,
        doubtful=True,
    ),
    Code(
        "doubtful_decision",
        "noted",
        "dataset",
        "the evidence is not clear",
        "decide with this option",
        grave=True,
        doubtful=True,
    ),
)

CODES = MappingProxyType({code.name: code for code in _ALL})
"""Every code by its name, in the order of the documentation."""

ADJUSTING = ("", *(code.name for code in _ALL if (code.effect, code.unit) == ("adjusted", "box")))
"""The codes that adjust boxes, by the number that `Regions.adjusted` holds; 0: not adjusted."""
