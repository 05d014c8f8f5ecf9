"""Defects of class names: lists, encodings, text."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from defective.table import ASK, CERTAIN, FEWER, RIGHT, a_box, defect, made
from defective.writers import Coco, Draft, Pairs, Raw, Voc, Yolo, as_mapping

if TYPE_CHECKING:
    from collections.abc import Callable

    from defective.scenes import Picture

# Lists of names


def renumbered(draft: Yolo, names: list[str], picture: Picture) -> None:
    """Have the rows of a picture count in another list of names."""
    for row, one, box in draft.records:
        if one is picture:
            row[0] = str(names.index(draft.scene.classes[box.tag]))


@defect(RIGHT)
def names_of_each_folder_yolo(draft: Yolo) -> None:
    """Each folder has its own classes.txt, with the names in another order, as labelImg makes it."""
    in_folders(draft)


def in_folders(draft: Yolo) -> None:
    """Put the images into three folders, each with its own list of names."""
    draft.layout = "flat"
    depth = draft.rng.choice(("", "by/", "a/b/c/"))
    files: dict[str, str] = {}
    made(draft)
    for number, picture in enumerate(draft.scene.pictures):
        folder = f"{depth}folder_{'abc'[number % 3]}/"
        names = draft.scene.classes[number % 3 :] + draft.scene.classes[: number % 3]
        renumbered(draft, names, picture)
        files[f"{folder}classes.txt"] = "".join(f"{name}\n" for name in names)
        draft.after.append(moved(picture, folder))
    draft.after.append(lambda done: (done.pop("classes.txt"), done.update(as_bytes(files))))


@defect(ASK)
def first_class_is_1_in_a_folder_yolo(draft: Yolo) -> None:
    """Each folder has its own classes.txt, and in one of them classes are numbered from 1, the last among them."""
    first = draft.scene.pictures[0]
    first.boxes[0].tag = len(draft.scene.classes) - 1
    in_folders(draft)
    there = draft.scene.pictures[::3]
    for row, picture, _ in draft.records:
        if picture in there:
            row[0] = str(int(row[0]) + 1)


def moved(picture: Picture, folder: str) -> Callable[[dict[str, bytes]], None]:
    """Return a change that moves an image and its label file."""

    def change(files: dict[str, bytes]) -> None:
        for name in (picture.name, f"{picture.stem}.txt"):
            files[folder + name] = files.pop(name)
        picture.folder = folder

    return change


def as_bytes(files: dict[str, str]) -> dict[str, bytes]:
    """Text files in UTF-8."""
    return {path: text.encode() for path, text in files.items()}


@defect(RIGHT | {"error"})
def nested_datasets_yolo(draft: Yolo) -> None:
    """Two datasets, each with its own data.yaml, are in folders of one, and number the classes differently."""
    draft.layout = "flat"
    made(draft)
    homes = ("one", "deeper/down/two")
    orders = (draft.scene.classes, draft.scene.classes[::-1])
    yaml = "train: images\nval: images\n"
    files = {
        f"{home}/data.yaml": yaml + "\n".join(as_mapping(names)) for home, names in zip(homes, orders, strict=True)
    }
    for number, picture in enumerate(draft.scene.pictures):
        renumbered(draft, orders[number % 2], picture)
        draft.after.append(moved(picture, f"{homes[number % 2]}/"))
        draft.after.append(in_two_folders(picture))
    draft.after.append(lambda done: (done.pop("classes.txt"), done.update(as_bytes(files))))


def in_two_folders(picture: Picture) -> Callable[[dict[str, bytes]], None]:
    """Return a change that puts the image into `images` and its label file into `labels`."""

    def change(files: dict[str, bytes]) -> None:
        home = picture.folder
        picture.folder = f"{home}images/"
        files[picture.path] = files.pop(home + picture.name)
        files[f"{home}labels/{picture.stem}.txt"] = files.pop(f"{home}{picture.stem}.txt")

    return change


@defect(ASK)
def two_lists_yolo(draft: Yolo) -> None:
    """Two lists of names for the same label files have different orders."""
    draft.layout = "flat"
    made(draft)
    other = "".join(f"{name}\n" for name in draft.scene.classes[::-1])
    path = draft.rng.choice(("obj.names", "_darknet.labels"))
    draft.after.append(lambda files: files.update({path: other.encode()}))
    draft.remedy = ["--names", "{folder}/classes.txt"]


@defect(CERTAIN)
def list_without_labels_yolo(draft: Yolo) -> None:
    """A folder without label files has a list of other names."""
    made(draft)
    draft.after.append(lambda files: files.update({"old/classes.txt": b"alfa\nbeta\n"}))


@defect(ASK)
def first_class_is_1_yolo(draft: Yolo) -> None:
    """Classes are numbered from 1, so that the last has no name and all others have a wrong one."""
    for row, _, _ in made(draft).records:
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
"""Encodings, with names that are not UTF-8 in them; two of GBK and cp1251 differ only in bytes that cp1252 lacks."""


def legacy(draft: Draft) -> str:
    """Have all names in a language of an old encoding, and return the encoding."""
    codec = draft.rng.choice([*LEGACY])
    names = [*LEGACY[codec]]
    draft.rng.shuffle(names)
    draft.scene.classes[:] = [*names, "dog"][: len(draft.scene.classes)]
    for number, picture in enumerate(draft.scene.pictures):
        picture.stem = f"image{number}"
    return codec


@defect(ASK | FEWER)
def legacy_encoding(draft: Draft) -> None:
    """Names are in an old encoding, which nothing declares."""
    draft.encoding = legacy(draft)
    made(draft)
    if isinstance(draft, Voc):
        draft.declaration = draft.rng.choice(("", "<?xml version='1.0'?>\n"))
    draft.remedy = ["--encoding", draft.encoding]


@defect(RIGHT)
def declared_encoding(draft: Voc) -> None:
    """Names are in an old encoding, which the XML declares."""
    draft.encoding = legacy(draft)
    names = {"cp932": "Shift_JIS", "cp950": "Big5", "cp1251": "windows-1251", "cp1252": "windows-1252"}
    made(draft).declaration = f'<?xml version="1.0" encoding="{names.get(draft.encoding, draft.encoding)}"?>\n'


@defect(RIGHT)
def utf8_declared_as_another(draft: Voc) -> None:
    """UTF-8 is declared as an encoding of one byte a character."""
    codec = draft.rng.choice(("iso-8859-1", "windows-1252", "windows-1251", "us-ascii"))
    made(draft).declaration = f'<?xml version="1.0" encoding="{codec}"?>\n'


@defect(CERTAIN)
def byte_order_mark(draft: Draft) -> None:
    """Text files begin with a byte-order mark, in UTF-8 or UTF-16."""
    draft.encoding = draft.rng.choice(("utf-8-sig", "utf-16"))
    made(draft)
    if isinstance(draft, Voc):
        draft.declaration = ""


# Names


@defect(ASK)
def names_that_differ_little(draft: Draft) -> None:
    """A name is there twice, but for case, whitespace or Unicode form."""
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
    made(draft)


@defect(ASK | FEWER | RIGHT)
def control_characters(draft: Draft) -> None:
    """A name has a control character in it."""
    character = draft.rng.choice(
        ("\t", "\x7f", "\x85", "\u200b") + (() if isinstance(draft, Voc) else ("\x07", "\x1b"))
    )
    draft.scene.classes[0] = f"big{character}dog"
    made(draft)


@defect(ASK | FEWER | RIGHT)
def name_is_not_text_coco(draft: Coco) -> None:
    """The name of a category is no text."""
    text, name = draft.rng.choice(
        [("true", "true"), ('["a"]', '["a"]'), ("1.10", "1.10"), ("null", "null"), ('{"a": 1}', "?"), ("1e2", "1e2")]
    )
    draft.scene.classes[0] = name
    made(draft).categories[0]["name"] = Raw(text)


@defect(RIGHT)
def names_like_other_types_yolo(draft: Yolo) -> None:
    """Names look like truth values, numbers or dates; they are text all the same."""
    draft.layout = "ultralytics"
    plain = ["yes", "no", "null", "1.10", "0x10", "1_000", "012", "1e3", "2024-01-01", "~", "on", "1:30", ".5", "+1"]
    draft.scene.classes[:] = draft.rng.sample(plain, len(draft.scene.classes))
    made(draft).names = [f"names: [{', '.join(draft.scene.classes)}]"]
    if draft.rng.random() < 0.5:
        draft.names = ["names:", *(f"- {name}" for name in draft.scene.classes)]


# Keys that are there twice, and other JSON and YAML


@defect(ASK | FEWER)
def key_twice_coco(draft: Coco) -> None:
    """An annotation has a key twice, with different values."""
    record, _, box = a_box(draft)
    wrong = {"bbox": [1, 2, 3, 4], "image_id": -1, "category_id": -1}
    others = [one["image_id"] for one, _, _ in draft.records if one["image_id"] != record["image_id"]]
    wrong["image_id"] = draft.rng.choice(others)
    wrong["category_id"] = draft.rng.choice([c["id"] for c in draft.categories if c["id"] != record["category_id"]])
    key = draft.rng.choice([*wrong])
    pairs = Pairs(record.items())
    pairs.insert(draft.rng.choice((0, len(pairs))), (key, wrong[key]))
    draft.records = [(pairs if one is record else one, *rest) for one, *rest in draft.records]  # type: ignore[misc]
    box.sent = False


@defect(ASK | FEWER)
def key_twice_in_lists_coco(draft: Coco) -> None:
    """An image, a category, or the whole file has a key twice, with different values."""
    made(draft)
    where = draft.rng.choice(("image", "category", "annotations"))
    if where == "image":
        entry, picture = draft.images[0]
        key, value = draft.rng.choice((("file_name", "other.jpg"), ("width", entry["width"] * 2), ("id", 99999)))
        draft.images[0] = (Pairs([*entry.items(), (key, value)]), picture)
    elif where == "category":
        draft.categories[0] = Pairs([*draft.categories[0].items(), ("name", "something else")])
    else:
        draft.layout = "one file"
        draft.after.append(
            lambda files: files.update({"annotations.json": files["annotations.json"][:-1] + b', "annotations": []}'})
        )


@defect(RIGHT | ASK)
def merge_key_yolo(draft: Yolo) -> None:
    """The data.yaml takes its names from another part of itself by a merge key."""
    draft.layout = "ultralytics"
    made(draft)
    names = "\n  ".join(draft.names)
    draft.names = [f"base: &base\n  {names}", "<<: *base"]


@defect(RIGHT | ASK)
def nested_lists_yolo(draft: Yolo) -> None:
    """The folders of a split are lists in lists."""
    draft.layout = "ultralytics"
    made(draft).splits = {"train": "[[images/train], [[images/val]]]", "val": "images/val"}


@defect(RIGHT | ASK)
def backslash_yolo(draft: Yolo) -> None:
    """A backslash in double quotes is an escape: the path has a TAB in it."""
    draft.layout = "ultralytics"
    made(draft).splits = {"train": '"images\\train"', "val": "images/val"}


@defect(RIGHT | FEWER)
def deleted_voc(draft: Voc) -> None:
    """LabelMe marks an object as deleted, but leaves it there."""
    thing, _, box = a_box(draft)
    thing.more += "\t\t<deleted>1</deleted>\n\t\t<verified>0</verified>\n"
    box.sent = False
