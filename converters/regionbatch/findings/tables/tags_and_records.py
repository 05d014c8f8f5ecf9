"""Codes of classes, other records, and the dataset as a whole."""

from __future__ import annotations

from regionbatch.findings.code import Code

CODES = (
    Code(
        "tag_renamed",
        "noted",
        "tag",
        "class name with surrounding whitespace, or not in the Unicode form NFC",
        "It was trimmed and normalised to NFC.",
        explanation=(
            "Surrounding whitespace and the Unicode form of a character are invisible, so class "
            "names that differ only in these become one tag."
        ),
        example="' cat' -> tag 'cat'",
        remedy="Nothing to do.",
    ),
    Code(
        "tag_merged",
        "noted",
        "tag",
        "class name is listed more than once",
        "The classes became one tag.",
        explanation=(
            "Two classes have the same name, perhaps after whitespace was trimmed. A tag name can "
            "exist only once in a project, so all their boxes get one tag."
        ),
        example="names: [cat, dog, cat] -> tags 'cat' and 'dog'",
        remedy="Nothing to do if they mean the same. Otherwise correct one of the names.",
        fails_strict_if="the names are spelled differently",
    ),
    Code(
        "matched_loosely",
        "noted",
        "record",
        "no exact match, so the nearest name is used",
        "Check that it is the right one.",
        explanation=(
            "The name matches only if differences in case, extension, folder, percent-encoding or "
            "Unicode form are ignored. The match may be wrong."
        ),
        example="'images/a b.jpg' and the file 'a%20b.jpg' -> matched",
        remedy="Check the match. If it is wrong, correct the name.",
        is_warning=True,
        fails_strict_if=(
            "the names of a tag differ in more than surrounding whitespace or Unicode form, or if "
            "the image does not have the declared size"
        ),
    ),
    Code(
        "shared_tag",
        "noted",
        "tag",
        "another class has the same tag ID",
        "Both classes get that tag. Correct the IDs, or map one class to the other with `rename`.",
        explanation=(
            "In the table of tag IDs, two classes with different names have the same ID. This is "
            "often a copying mistake."
        ),
        example="{'cat': ID1, 'dog': ID1} -> cats and dogs get one tag",
        remedy=(
            "Correct the IDs. If both classes are meant to be one tag, map one to the other with "
            "`rename`."
        ),
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "control_character",
        "noted",
        "tag",
        "class name contains a control character",
        "It is kept. Correct it, or rename it with `rename`.",
        explanation=(
            "The name contains a tab, a line break or another invisible control character. The "
            "usual cause is a backslash in a quoted string, such as \\t, that was meant as text."
        ),
        example='names: ["a\\tb"] -> the tag contains a tab',
        remedy="Correct the name in the dataset, or map it to another with `rename`.",
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "similar_tags",
        "noted",
        "tag",
        "class names that differ only in case, whitespace or Unicode form",
        "Each becomes a tag. Merge them with `rename`, or map each name to itself to keep both.",
        explanation=(
            "Some classes have almost the same name, often because several people labelled the "
            "images. Each becomes a tag of its own, and the model learns to tell them apart."
        ),
        example="'Car' (10 boxes) and 'car' (2 boxes) -> two tags",
        remedy=(
            "Map one name to the other with `rename` when converting or uploading. To keep both, "
            "map each name to itself."
        ),
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "mapped",
        "noted",
        "tag",
        "the name is mapped to another one",
        "This is the effect of `rename`.",
        explanation="`rename` maps the class of the dataset to another tag name.",
        example="class 'cat' mapped to 'feline' -> tag 'feline'",
        remedy="Nothing to do.",
    ),
    Code(
        "class_count_mismatch",
        "noted",
        "tag",
        "'nc' differs from the number of names",
        "The names are used. Correct 'nc'.",
        explanation=(
            "The number of classes that the data.yaml declares ('nc') is not the number of its "
            "class names. A name may be missing."
        ),
        example="nc: 3 and names: [cat, dog] -> two classes",
        remedy="Check that no class name is missing, and correct 'nc'.",
        is_warning=True,
    ),
    Code(
        "no_box",
        "noted",
        "record",
        "annotation without a box",
        "It is not counted as a box.",
        explanation=(
            "The annotation is not a box, and has no shape that a box can enclose: it is a point, "
            "a line, a caption or a tag of the whole image."
        ),
        example='<points points="10,20"> -> not counted',
        remedy="Nothing to do. Draw a box if the object is to be detected.",
    ),
    Code(
        "no_annotations",
        "noted",
        "record",
        "the file has no annotations",
        "Its images have no boxes.",
        explanation=(
            "The file is valid, but contains no annotation. This is normal for images without "
            "objects. Otherwise it is a sign of a failed export."
        ),
        example='"annotations": [] -> images without boxes',
        remedy="Nothing to do if that is intended. Otherwise export the dataset again.",
        is_warning=True,
    ),
    Code(
        "ignored_file",
        "noted",
        "record",
        "not read, because it is not part of the dataset",
        "Check that you need no boxes from it.",
        explanation=(
            "The file has an extension that the format uses, but contains something else, such as "
            "a log, a configuration or the results of a model. Or it is expected to contain the "
            "same boxes as the files that were read, as a second kind of VoTT export does."
        ),
        example="labels/output.txt, the log of a training run -> not read",
        remedy="Move the file out of the dataset. If it should contain boxes, correct it.",
        is_warning=True,
        fails_strict_if="the file is a VoTT export, which may contain other boxes",
    ),
    Code(
        "outside_folder",
        "noted",
        "record",
        "link to a folder outside the dataset",
        "The folder is not read. Copy it into the dataset if it is a part of it.",
        explanation=(
            "Files outside the dataset are never opened. So the annotation files and images in "
            "this folder are not read."
        ),
        example="train, a link to /mnt/data/train -> not read",
        remedy=(
            "Copy the folder into the dataset. If it contains only images, choose it with "
            "`image_dir`."
        ),
        is_warning=True,
        fails_strict_if=(
            "the folder does not have a usual name for images, because it may then contain "
            "annotation files"
        ),
    ),
    Code(
        "missing_label",
        "noted",
        "record",
        "the list has an entry without a label file",
        "The entry is skipped. Add the label file, or remove the entry.",
        explanation=(
            "A list of the dataset (train.txt or a file in ImageSets) has an entry for an image, "
            "but neither its label file nor the image was found."
        ),
        example="images/gone.jpg in train.txt, and no such files -> skipped",
        remedy="Add the missing files, or remove the entry from the list.",
        is_warning=True,
    ),
    Code(
        "missing_split",
        "noted",
        "record",
        "the folder or list of a split is missing",
        "The split is not read. Correct its path, or remove it.",
        explanation=(
            "The dataset declares a split, but its folder or list of images does not exist. The "
            "other splits are read."
        ),
        example="val: images/val, and no such folder -> only train is read",
        remedy="Correct the path in the data.yaml, or add the missing folder.",
        is_warning=True,
    ),
    Code(
        "swapped_axes",
        "noted",
        "dataset",
        "boxes fit their images only with x and y swapped",
        "Fix the tool that wrote the boxes, or correct the image sizes.",
        explanation=(
            "Many boxes extend beyond their images. Nearly all would fit if x and y, or the width "
            "and height of the images, were swapped. Nothing was swapped, so the boxes may be "
            "wrong."
        ),
        example="boxes up to x 100 and y 200 in images of 200 x 100 pixels -> reported",
        remedy="Correct the export. If EXIF data rotates the images, save them rotated.",
        is_warning=True,
        fails_strict=True,
    ),
    Code(
        "doubtful_decision",
        "noted",
        "dataset",
        "uncertain decision",
        "Check some boxes, then set the named option to the right value. If no value is right, "
        "correct the files.",
        explanation=(
            "The dataset can be read in more than one way, and the evidence for the chosen way is "
            "weak. The finding starts with an option. Setting it overrides the decision, except "
            "for `split`, and for `format` in CVAT and VoTT, whose boxes are always in pixels."
        ),
        example="120 of 121 boxes have numbers beyond 1 -> read as pixels",
        remedy=(
            "Check some boxes, then set this option to the right value, or correct the files. For "
            "`split`, correct the paths in the dataset. For `format`, convert normalised boxes to "
            "pixels."
        ),
        is_warning=True,
        fails_strict=True,
    ),
)
