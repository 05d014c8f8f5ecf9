"""Defects of class names: lists, encodings, text."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from defective.table import ASK, CERTAIN, FEWER, RIGHT, defect, random_record, with_records
from defective.writers import Coco, Draft, Pairs, Raw, Voc, Yolo, as_mapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from defective.scenes import SceneImage

# Lists of names


def renumbered(draft: Yolo, names: list[str], image: SceneImage) -> None:
    """Number the classes of an image by another list of names."""
    for row, one, box in draft.records:
        if one is image:
            row[0] = str(names.index(draft.scene.classes[box.tag]))


@defect(RIGHT)
def names_of_each_folder_yolo(draft: Yolo) -> None:
    """Each folder has its own classes.txt in another order, as labelImg writes it."""
    in_folders(draft)


def in_folders(draft: Yolo) -> None:
    """Move the images into three folders, each with its own list of names."""
    draft.layout = "flat"
    depth = draft.rng.choice(("", "by/", "a/b/c/"))
    files: dict[str, str] = {}
    with_records(draft)
    for number, image in enumerate(draft.scene.images):
        folder = f"{depth}folder_{'abc'[number % 3]}/"
        names = draft.scene.classes[number % 3 :] + draft.scene.classes[: number % 3]
        renumbered(draft, names, image)
        files[f"{folder}classes.txt"] = "".join(f"{name}\n" for name in names)
        draft.after.append(moved(image, folder))
    draft.after.append(lambda done: (done.pop("classes.txt"), done.update(as_bytes(files))))


@defect(ASK)
def first_class_is_1_in_a_folder_yolo(draft: Yolo) -> None:
    """Each folder has its own classes.txt, and in one folder classes are numbered from 1."""
    first = draft.scene.images[0]
    first.boxes[0].tag = len(draft.scene.classes) - 1
    in_folders(draft)
    there = draft.scene.images[::3]
    for row, image, _ in draft.records:
        if image in there:
            row[0] = str(int(row[0]) + 1)


def moved(image: SceneImage, folder: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change that moves an image and its label file."""

    def change(files: dict[str, bytes]) -> None:
        for name in (image.name, f"{image.stem}.txt"):
            files[folder + name] = files.pop(name)
        image.folder = folder

    return change


def as_bytes(files: dict[str, str]) -> dict[str, bytes]:
    """Return text files as UTF-8."""
    return {path: text.encode() for path, text in files.items()}


@defect(RIGHT | {"error"})
def nested_datasets_yolo(draft: Yolo) -> None:
    """One folder contains two datasets that number the classes differently.

    Each has its own data.yaml.
    """
    draft.layout = "flat"
    with_records(draft)
    folders = ("one", "deeper/down/two")
    orders = (draft.scene.classes, draft.scene.classes[::-1])
    yaml = "train: images\nval: images\n"
    files = {
        f"{folder}/data.yaml": yaml + "\n".join(as_mapping(names))
        for folder, names in zip(folders, orders, strict=True)
    }
    for number, image in enumerate(draft.scene.images):
        renumbered(draft, orders[number % 2], image)
        draft.after.append(moved(image, f"{folders[number % 2]}/"))
        draft.after.append(in_two_folders(image))
    draft.after.append(lambda done: (done.pop("classes.txt"), done.update(as_bytes(files))))


def in_two_folders(image: SceneImage) -> Callable[[dict[str, bytes]], None]:
    """Return a change that puts the image into `images` and its label file into `labels`."""

    def change(files: dict[str, bytes]) -> None:
        folder = image.folder
        image.folder = f"{folder}images/"
        files[image.path] = files.pop(folder + image.name)
        files[f"{folder}labels/{image.stem}.txt"] = files.pop(f"{folder}{image.stem}.txt")

    return change


@defect(ASK)
def two_lists_yolo(draft: Yolo) -> None:
    """Two lists of names for the same label files have different orders."""
    draft.layout = "flat"
    with_records(draft)
    other = "".join(f"{name}\n" for name in draft.scene.classes[::-1])
    path = draft.rng.choice(("obj.names", "_darknet.labels"))
    draft.after.append(lambda files: files.update({path: other.encode()}))
    draft.remedy = ["--names", "{folder}/classes.txt"]


@defect(CERTAIN)
def list_without_labels_yolo(draft: Yolo) -> None:
    """A folder without label files has a list of other names."""
    with_records(draft)
    draft.after.append(lambda files: files.update({"old/classes.txt": b"alfa\nbeta\n"}))


@defect(ASK)
def first_class_is_1_yolo(draft: Yolo) -> None:
    """Classes are numbered from 1: the last has no name, all others have a wrong one."""
    for row, _, _ in with_records(draft).records:
        row[0] = str(int(row[0]) + 1)
    draft.remedy = ["--yolo-first-class", "1"]


# Encodings


LEGACY = {
    "gbk": ("行人", "汽车", "自行车", "丄", "岮"),
    "cp932": ("自転車", "歩行者", "猫ｶﾞ", "車", "ソ連"),
    "cp950": ("行人", "汽車", "自行車", "功能", "機車"),
    "cp1251": ("человек", "машина", "ђак", "ќак", "велосипед"),
    "cp1252": ("café", "naïve", "größe", "über", "coração"),
}
"""Encodings, with names that are not UTF-8 in them.

Two of GBK and two of cp1251 differ only in bytes that cp1252 lacks."""


def legacy(draft: Draft) -> str:
    """Use names in a language of an old encoding, and return the encoding."""
    codec = draft.rng.choice([*LEGACY])
    names = [*LEGACY[codec]]
    draft.rng.shuffle(names)
    draft.scene.classes[:] = [*names, "dog"][: len(draft.scene.classes)]
    for number, image in enumerate(draft.scene.images):
        image.stem = f"image{number}"
    return codec


@defect(ASK | FEWER)
def legacy_encoding(draft: Draft) -> None:
    """Names are in an old encoding, which nothing declares."""
    draft.encoding = legacy(draft)
    with_records(draft)
    if isinstance(draft, Voc):
        draft.declaration = draft.rng.choice(("", "<?xml version='1.0'?>\n"))
    draft.remedy = ["--encoding", draft.encoding]


@defect(RIGHT)
def declared_encoding(draft: Voc) -> None:
    """Names are in an old encoding, which the XML declares."""
    draft.encoding = legacy(draft)
    names = {
        "cp932": "Shift_JIS",
        "cp950": "Big5",
        "cp1251": "windows-1251",
        "cp1252": "windows-1252",
    }
    with_records(
        draft
    ).declaration = (
        f'<?xml version="1.0" encoding="{names.get(draft.encoding, draft.encoding)}"?>\n'
    )


@defect(RIGHT)
def utf8_declared_as_another(draft: Voc) -> None:
    """UTF-8 is declared as an encoding with one byte per character."""
    codec = draft.rng.choice(("iso-8859-1", "windows-1252", "windows-1251", "us-ascii"))
    with_records(draft).declaration = f'<?xml version="1.0" encoding="{codec}"?>\n'


@defect(CERTAIN)
def byte_order_mark(draft: Draft) -> None:
    """Text files start with a byte-order mark, in UTF-8 or UTF-16."""
    draft.encoding = draft.rng.choice(("utf-8-sig", "utf-16"))
    with_records(draft)
    if isinstance(draft, Voc):
        draft.declaration = ""


# Names


@defect(ASK)
def names_that_differ_little(draft: Draft) -> None:
    """Two names differ only in case, whitespace or Unicode form."""
    base, twin = draft.rng.choice(
        [
            ("rbc", "RBC"),
            ("Straße", "straße"),
            ("traffic light", "traffic  light"),
            ("traffic light", "trafficlight"),
            ("café", unicodedata.normalize("NFD", "café")),
            ("собака", "Собака"),
            ("car", "\uff43\uff41\uff52"),
            ("cat", "cat\u00a0"),
        ]
    )
    first, last = draft.scene.boxes[0], draft.scene.boxes[-1]
    draft.scene.classes += [base, twin]
    first.tag, last.tag = len(draft.scene.classes) - 2, len(draft.scene.classes) - 1
    with_records(draft)


@defect(ASK | FEWER | RIGHT)
def control_characters(draft: Draft) -> None:
    """A name contains a control character."""
    character = draft.rng.choice(
        ("\t", "\x7f", "\x85", "\u200b") + (() if isinstance(draft, Voc) else ("\x07", "\x1b"))
    )
    draft.scene.classes[0] = f"big{character}dog"
    with_records(draft)


@defect(ASK | FEWER | RIGHT)
def name_is_not_text_coco(draft: Coco) -> None:
    """The name of a category is not a string."""
    text, name = draft.rng.choice(
        [
            ("true", "true"),
            ('["a"]', '["a"]'),
            ("1.10", "1.10"),
            ("null", "null"),
            ('{"a": 1}', "?"),
            ("1e2", "1e2"),
        ]
    )
    draft.scene.classes[0] = name
    with_records(draft).categories[0]["name"] = Raw(text)


@defect(RIGHT)
def names_like_other_types_yolo(draft: Yolo) -> None:
    """Names look like Booleans, numbers or dates, but are text."""
    draft.layout = "ultralytics"
    plain = [
        "yes",
        "no",
        "null",
        "1.10",
        "0x10",
        "1_000",
        "012",
        "1e3",
        "2024-01-01",
        "~",
        "on",
        "1:30",
        ".5",
        "+1",
    ]
    draft.scene.classes[:] = draft.rng.sample(plain, len(draft.scene.classes))
    with_records(draft).names = [f"names: [{', '.join(draft.scene.classes)}]"]
    if draft.rng.random() < 0.5:
        draft.names = ["names:", *(f"- {name}" for name in draft.scene.classes)]


# Duplicate keys, and other JSON and YAML


@defect(ASK | FEWER)
def duplicate_key_coco(draft: Coco) -> None:
    """An annotation has a duplicate key with another value."""
    record, _, box = random_record(draft)
    wrong = {"bbox": [1, 2, 3, 4], "image_id": -1, "category_id": -1}
    others = [
        one["image_id"] for one, _, _ in draft.records if one["image_id"] != record["image_id"]
    ]
    wrong["image_id"] = draft.rng.choice(others)
    wrong["category_id"] = draft.rng.choice(
        [c["id"] for c in draft.categories if c["id"] != record["category_id"]]
    )
    key = draft.rng.choice([*wrong])
    pairs = Pairs(record.items())
    pairs.insert(draft.rng.choice((0, len(pairs))), (key, wrong[key]))
    draft.records = [(pairs if one is record else one, *rest) for one, *rest in draft.records]  # type: ignore[misc]
    box.sent = False


@defect(ASK | FEWER)
def duplicate_key_in_lists_coco(draft: Coco) -> None:
    """An image, a category or the whole file has a duplicate key with another value."""
    with_records(draft)
    where = draft.rng.choice(("image", "category", "annotations"))
    if where == "image":
        entry, image = draft.images[0]
        key, value = draft.rng.choice(
            (("file_name", "other.jpg"), ("width", entry["width"] * 2), ("id", 99999))
        )
        draft.images[0] = (Pairs([*entry.items(), (key, value)]), image)
    elif where == "category":
        draft.categories[0] = Pairs([*draft.categories[0].items(), ("name", "something else")])
    else:
        draft.layout = "one file"
        draft.after.append(
            lambda files: files.update(
                {"annotations.json": files["annotations.json"][:-1] + b', "annotations": []}'}
            )
        )


@defect(RIGHT | ASK)
def merge_key_yolo(draft: Yolo) -> None:
    """The data.yaml takes its names from another part of itself by a merge key."""
    draft.layout = "ultralytics"
    with_records(draft)
    names = "\n  ".join(draft.names)
    draft.names = [f"base: &base\n  {names}", "<<: *base"]


@defect(RIGHT | ASK)
def nested_lists_yolo(draft: Yolo) -> None:
    """The folders of a split are in nested lists."""
    draft.layout = "ultralytics"
    with_records(draft).splits = {"train": "[[images/train], [[images/val]]]", "val": "images/val"}


@defect(RIGHT | ASK)
def backslash_yolo(draft: Yolo) -> None:
    """A backslash in double quotes is an escape, so the path contains a tab."""
    draft.layout = "ultralytics"
    with_records(draft).splits = {"train": '"images\\train"', "val": "images/val"}


@defect(RIGHT | FEWER)
def deleted_voc(draft: Voc) -> None:
    """LabelMe has marked an object as deleted, but not removed it."""
    voc_object, _, box = random_record(draft)
    voc_object.more += "\t\t<deleted>1</deleted>\n\t\t<verified>0</verified>\n"
    box.sent = False
