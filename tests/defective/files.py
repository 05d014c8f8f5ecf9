"""Defects of sizes, IDs and whole files."""

from __future__ import annotations

import re
import struct
from typing import TYPE_CHECKING, Any

from defective.scenes import SceneImage, drawn, id_of
from defective.table import (
    ASK,
    CERTAIN,
    FEWER,
    RIGHT,
    defect,
    random_record,
    rotate_files,
    with_records,
    without_sizes,
)
from defective.writers import Coco, Draft, Raw, Voc, Yolo, as_json

if TYPE_CHECKING:
    from collections.abc import Callable

# Sizes


def os2_bitmap(size: tuple[int, int]) -> bytes:
    """Return a BMP with the 12-byte header of OS/2."""
    rows = bytes((size[0] * 3 + 3) // 4 * 4) * size[1]
    return (
        b"BM"
        + struct.pack("<IHHI", 26 + len(rows), 0, 0, 26)
        + struct.pack("<IHHHH", 12, *size, 1, 24)
        + rows
    )


def top_down_bitmap(size: tuple[int, int]) -> bytes:
    """Return a BMP with the first row at the top, which is written as a negative height."""
    content = drawn(size, "BMP")
    return content[:22] + struct.pack("<i", -size[1]) + content[26:]


def scaled_webp(size: tuple[int, int]) -> bytes:
    """Return a WebP with the scale bits set, which decoders ignore."""
    content = drawn(size, "WEBP")
    at = content.index(b"\x9d\x01\x2a") + 3
    return (
        content[:at] + struct.pack("<HH", size[0] | 1 << 14, size[1] | 2 << 14) + content[at + 4 :]
    )


def cropped_avif(size: tuple[int, int]) -> bytes:
    """Return the first bytes of an AVIF that is shown without its outer pixels."""
    coded = size[0] + 8, size[1] + 6
    extent = atom(b"ispe", struct.pack(">III", 0, *coded))
    aperture = atom(b"clap", struct.pack(">8I", size[0], 1, size[1], 1, 0, 1, 0, 1))
    links = atom(b"ipma", struct.pack(">IIHBBB", 0, 1, 1, 2, 1, 0x82))
    properties = atom(b"iprp", atom(b"ipco", extent + aperture) + links)
    handler = atom(b"hdlr", struct.pack(">II4s12xB", 0, 0, b"pict", 0))
    entry = atom(b"infe", struct.pack(">IHH4sB", 2 << 24, 1, 0, b"av01", 0))
    items = atom(b"pitm", struct.pack(">IH", 0, 1)) + atom(
        b"iinf", struct.pack(">IH", 0, 1) + entry
    )
    meta = atom(b"meta", bytes(4) + handler + items + properties)
    return atom(b"ftyp", b"avif" + bytes(4) + b"avifmif1miaf") + meta + atom(b"mdat", bytes(64))


def atom(kind: bytes, content: bytes) -> bytes:
    """Return an atom, the unit of MPEG file formats."""
    return struct.pack(">I", 8 + len(content)) + kind + content


UNUSUAL_IMAGES = {
    ".bmp": (os2_bitmap, top_down_bitmap),
    ".webp": (scaled_webp,),
    ".avif": (cropped_avif,),
}


def unusual_images(draft: Any) -> None:
    """Use image files with unusual headers, and remove their declared sizes."""
    for image in draft.scene.images:
        image.extension = draft.rng.choice([*UNUSUAL_IMAGES])
        image.content = draft.rng.choice(UNUSUAL_IMAGES[image.extension])(image.size)
    without_sizes(with_records(draft))


@defect(RIGHT | FEWER | ASK)
def unusual_images_coco(draft: Coco) -> None:
    """No size is declared, and image files have unusual headers."""
    unusual_images(draft)


@defect(RIGHT | FEWER | ASK)
def unusual_images_voc(draft: Voc) -> None:
    """No size is declared, and image files have unusual headers."""
    unusual_images(draft)


def swap(draft: Any, images: list[SceneImage]) -> None:
    """Swap the declared width and height of images."""
    for entry, image in draft.images if isinstance(draft, Coco) else ():
        if image in images:
            entry |= {"width": entry["height"], "height": entry["width"]}
    for image in images if isinstance(draft, Voc) else ():
        draft.headers[image.stem].size = image.size[::-1]


def swapped_sizes(draft: Any) -> frozenset[str]:
    """Swap the declared sizes of one image or of all.

    If the boxes of an image fit both sizes, nothing shows which is true.
    """
    some = [image for image in draft.scene.images if image.size[0] != image.size[1]]
    some = some if draft.rng.random() < 0.5 else some[:1]
    swap(with_records(draft), some)
    if not some:
        return CERTAIN
    fit = [
        all(box.edges[2] <= image.size[1] and box.edges[3] <= image.size[0] for box in image.boxes)
        for image in some
    ]
    return ASK if any(fit) else RIGHT | ASK


@defect(ASK)
def swapped_sizes_coco(draft: Coco) -> frozenset[str]:
    """Declared width and height are swapped."""
    return swapped_sizes(draft)


@defect(ASK)
def swapped_sizes_voc(draft: Voc) -> frozenset[str]:
    """Declared width and height are swapped."""
    return swapped_sizes(draft)


@defect(RIGHT | ASK)
def exif_coco(draft: Coco) -> None:
    """EXIF rotates the images; the size as viewers show it is declared, or none."""
    rotate_files(draft)
    with_records(draft)
    if draft.rng.random() < 0.5:
        without_sizes(draft)


@defect(RIGHT | ASK)
def exif_voc(draft: Voc) -> None:
    """EXIF rotates the images; the size as viewers show it is declared, or none."""
    rotate_files(draft)
    with_records(draft)
    if draft.rng.random() < 0.5:
        without_sizes(draft)


# IDs


def drop_digit(text: str) -> str:
    """Return text with a space for its last digit."""
    return text[:-1] + " "


DAMAGES: tuple[Callable[[str], str], ...] = (
    drop_digit,
    lambda text: text + "0",
    lambda text: text[:7] + text[8:],
    lambda text: text.replace("-", "_"),
    lambda text: text[:4] + "-" + text[4:],
    lambda text: "+" + text[1:],
    lambda text: re.sub("[0-9]", lambda digit: chr(ord(digit[0]) + 0xFEE0), text),
    lambda text: text.replace("-", "")[:16] + "-" + text.replace("-", "")[16:],
    lambda text: "0x" + text[2:],
    lambda text: "{" + text,
)
SPELLINGS: tuple[Callable[[str], str], ...] = (
    str.upper,
    lambda text: text.replace("-", ""),
    lambda text: "{" + text + "}",
)


@defect(frozenset({"error"}))
def damaged_id(draft: Draft) -> None:
    """The ID of a tag or of an image is damaged."""
    damage = draft.rng.choice(DAMAGES)
    with_records(draft)
    if draft.rng.random() < 0.5:
        draft.tag_id = lambda name: (
            damage(id_of(name)) if name == draft.scene.classes[0] else id_of(name)
        )
    else:
        first = draft.scene.images[0]
        draft.image_id = lambda path: damage(id_of(path)) if path == first.path else id_of(path)


@defect(CERTAIN)
def spelling_of_ids(draft: Draft) -> None:
    """IDs are spelled in another common way."""
    spell = draft.rng.choice(SPELLINGS)
    with_records(draft)
    draft.tag_id = draft.image_id = lambda name: spell(id_of(name))


@defect(CERTAIN)
def large_ids_coco(draft: Coco) -> None:
    """The IDs of images are whole numbers that are equal as floats."""
    with_records(draft)
    base = draft.rng.choice((10**100, 2**53, 2**64))
    for entry, _ in draft.images:
        entry["id"] += base
    for record, _, _ in draft.records:
        record["image_id"] += base


@defect(ASK | FEWER)
def floating_ids_coco(draft: Coco) -> None:
    """The IDs of images are floats, and several are the same number."""
    with_records(draft)
    for entry, _ in draft.images:
        entry["id"] = Raw(f"{10**20 + entry['id']}.0")
    for record, _, _ in draft.records:
        record["image_id"] = Raw(f"{10**20 + record['image_id']}.0")


@defect(ASK | FEWER)
def damaged_image_id_coco(draft: Coco) -> None:
    """The image_id of a box is written in digits of another script, or with `_` or `+`."""
    record, _, box = random_record(draft)
    for entry, _ in draft.images:
        entry["id"] += 10
    for one, _, _ in draft.records:
        one["image_id"] += 10
    digits = str(record["image_id"])
    wide = "".join(chr(ord(digit) + 0xFEE0) for digit in digits)
    record["image_id"] = draft.rng.choice(
        (wide, f"{digits[0]}_{digits[1:]}", f"+{digits}", f"{digits}.5", f"{digits}e0")
    )
    box.sent = False


# Files that are not read


@defect(FEWER)
def unlisted_labels_yolo(draft: Yolo) -> None:
    """An image list lacks an image, so its label file is not part of the dataset."""
    draft.layout = "darknet"
    with_records(draft)
    for box in draft.scene.images[0].boxes:
        box.sent = False
    line = f"data/obj/{draft.scene.images[0].name}\n".encode()
    draft.after.append(
        lambda files: files.update({path: files[path].replace(line, b"") for path in lists(files)})
    )


def lists(files: dict[str, bytes]) -> list[str]:
    """Return the paths of the image lists."""
    return [path for path in files if path in {"data/train.txt", "data/val.txt"}]


@defect(FEWER | RIGHT)
def unnamed_folder_yolo(draft: Yolo) -> None:
    """The data.yaml does not name one of the folders."""
    draft.layout = draft.rng.choice(("ultralytics", "roboflow"))
    with_records(draft).splits = {
        "val": "images/train" if draft.layout == "ultralytics" else "../train/images"
    }


@defect(RIGHT | FEWER)
def xml_elsewhere_voc(draft: Voc) -> None:
    """A label file is next to the folder of the others, not in it."""
    draft.layout = "devkit"
    with_records(draft)
    name = f"{draft.scene.images[0].stem}.xml"
    draft.after.append(lambda files: files.update({name: files.pop(f"Annotations/{name}")}))


@defect(RIGHT | FEWER | ASK)
def another_json_coco(draft: Coco) -> None:
    """A second JSON file has the boxes of one of the images."""
    with_records(draft)
    first = draft.scene.images[0]
    entries = [entry for entry, image in draft.images if image is first]
    annotations = [record for record, image, _ in draft.records if image is first]
    draft.images = [pair for pair in draft.images if pair[1] is not first]
    draft.records = [triple for triple in draft.records if triple[1] is not first]
    content = {"images": entries, "annotations": annotations, "categories": draft.categories}
    extra = as_json(content)
    path = draft.rng.choice(("extra.json", "annotations/more.json", "old/b.json"))
    draft.after.append(lambda files: files.update({path: extra.encode()}))


@defect(RIGHT)
def log_file_yolo(draft: Yolo) -> None:
    """A training log is next to the label files."""
    with_records(draft)
    draft.layout = draft.rng.choice(("labelimg", "flat"))
    lines = [
        f"Epoch {epoch}/99  loss 0.{epoch:03d}  lr 0.01  12 0.5 0.5 img/s {epoch}\n"
        for epoch in range(99)
    ]
    log = "Namespace(weights='x.pt', epochs=99)\n" + "".join(lines)
    path = draft.rng.choice(("output.txt", "log.txt", "results.txt"))
    folder = "labels/" if draft.layout == "labelimg" else ""
    draft.after.append(lambda files: files.update({folder + path: log.encode()}))


# Records that are broken


@defect(FEWER | ASK)
def decimal_commas(draft: Draft) -> None:
    """The numbers of a box have decimal commas."""
    record, _, box = random_record(draft)
    box.sent = False
    if isinstance(draft, Coco):
        record["bbox"] = [str(number).replace(".0", "") + ",5" for number in record["bbox"]]
    elif isinstance(draft, Voc):
        record.numbers = {key: f"{number},5" for key, number in record.numbers.items()}
    else:
        record[1:] = [word.replace(".", ",") for word in record[1:]]


@defect(FEWER)
def unknown_ids_coco(draft: Coco) -> None:
    """The image or category of a box does not exist."""
    record, _, box = random_record(draft)
    record[draft.rng.choice(("image_id", "category_id"))] = 123456
    box.sent = False


@defect(FEWER)
def unknown_class_yolo(draft: Yolo) -> None:
    """The class of a box has no name."""
    row, _, box = random_record(draft)
    row[0] = draft.rng.choice(("-1", "99", "1.5", "\uff11"))
    box.sent = False
