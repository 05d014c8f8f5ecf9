"""Programs that regionbatch is compared with; run.py starts each in a process of its own.

    python tests/benchmarks/rivals.py RIVAL coco|voc|yolo DIR OUT.jsonl

DIR was written by generate.py. `plain` is the script that one would write without regionbatch for
files without faults. It does the whole job, from the dataset to OUT.jsonl. `plain-gc-off` does the
same without Python's cyclic garbage collector. The libraries only read: their boxes are counted,
and nothing is written. `panlabel`, a program in Rust, writes a COCO file. `touch` reads every byte
and writes as many bytes as the output has. All except these two print the number of boxes.

    pip install pycocotools globox hotcoco panlabel supervision opencv-python-headless
"""

# Imports are inside functions, so that each rival only imports what it needs.
# ruff: noqa: PLC0415
from __future__ import annotations

import gc
import json
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from xml.etree.ElementTree import Element

COCO_FILE = "dataset/annotations/instances_train2017.json"
YOLO_IMAGES, YOLO_LABELS = "dataset/images/train2017", "dataset/labels/train2017"
BYTES_PER_REGION = 172
"""Size of a region in the output of regionbatch: two IDs and four numbers."""


def plain_coco(data: Path, out: Path) -> int:
    """Use json and a loop."""
    tag_ids, image_ids = read_ids(data)
    with (data / COCO_FILE).open(encoding="utf-8") as file:
        document = json.load(file)
    images = {image["id"]: image for image in document["images"]}
    names = {category["id"]: category["name"] for category in document["categories"]}
    regions = []
    for annotation in document["annotations"]:
        image = images[annotation["image_id"]]
        left, top, width, height = annotation["bbox"]
        regions.append(
            {
                "imageId": image_ids[image["file_name"]],
                "tagId": tag_ids[names[annotation["category_id"]]],
                "left": left / image["width"],
                "top": top / image["height"],
                "width": width / image["width"],
                "height": height / image["height"],
            }
        )
    return write_batches(regions, out)


def plain_voc(data: Path, out: Path) -> int:
    """Use ElementTree and a loop.

    Pixels count from 1, and the last one belongs to the box, as in the devkit.
    """
    from xml.etree import ElementTree as ET

    tag_ids, image_ids = read_ids(data)
    regions = []
    for path in sorted((data / "dataset" / "Annotations").glob("*.xml")):
        root = ET.parse(path).getroot()
        image_id = image_ids[root.findtext("filename", "")]
        image_width, image_height = number(root, "size/width"), number(root, "size/height")
        for item in root.findall("object"):
            left, top = number(item, "bndbox/xmin") - 1, number(item, "bndbox/ymin") - 1
            right, bottom = number(item, "bndbox/xmax"), number(item, "bndbox/ymax")
            regions.append(
                {
                    "imageId": image_id,
                    "tagId": tag_ids[item.findtext("name", "")],
                    "left": left / image_width,
                    "top": top / image_height,
                    "width": (right - left) / image_width,
                    "height": (bottom - top) / image_height,
                }
            )
    return write_batches(regions, out)


def plain_yolo(data: Path, out: Path) -> int:
    """Use open, split and a loop."""
    import yaml

    tag_ids, image_ids = read_ids(data)
    names = yaml.safe_load((data / "dataset" / "data.yaml").read_text(encoding="utf-8"))["names"]
    regions = []
    for path in sorted((data / YOLO_LABELS).glob("*.txt")):
        image_id = image_ids[f"images/train2017/{path.stem}.jpg"]
        with path.open(encoding="utf-8") as file:
            for line in file:
                label, *numbers = line.split()
                x, y, width, height = map(float, numbers)
                regions.append(
                    {
                        "imageId": image_id,
                        "tagId": tag_ids[names[int(label)]],
                        "left": x - width / 2,
                        "top": y - height / 2,
                        "width": width,
                        "height": height,
                    }
                )
    return write_batches(regions, out)


def read_ids(data: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the IDs of tags and of images, by name."""
    tags, images = (
        json.loads((data / f"{kind}.json").read_text(encoding="utf-8"))
        for kind in ("tags", "images")
    )
    return tags, images


def number(element: Element, path: str) -> float:
    """Return a number in an XML element."""
    return float(element.findtext(path, "nan"))


def write_batches(regions: list[dict[str, Any]], out: Path) -> int:
    """Write a line for every 64 regions, and return how many regions were written."""
    with out.open("w", encoding="utf-8") as file:
        for start in range(0, len(regions), 64):
            file.write(json.dumps({"regions": regions[start : start + 64]}) + "\n")
    return len(regions)


def gc_off(rival: Callable[[Path, Path], int]) -> Callable[[Path, Path], int]:
    """Return the same rival without the cyclic garbage collector."""

    def run(data: Path, out: Path) -> int:
        gc.disable()
        return rival(data, out)

    return run


def pycocotools_coco(data: Path, _out: Path) -> int:
    """Load and index."""
    from contextlib import redirect_stdout

    from pycocotools.coco import COCO

    with redirect_stdout(sys.stderr):
        return len(COCO(str(data / COCO_FILE)).anns)


def globox_coco(data: Path, _out: Path) -> int:
    """Make an object for each box."""
    from globox import AnnotationSet

    return sum(len(annotation.boxes) for annotation in AnnotationSet.from_coco(data / COCO_FILE))


def globox_voc(data: Path, _out: Path) -> int:
    """Make an object for each box; pixels are counted from 0."""
    from globox import AnnotationSet

    annotations = AnnotationSet.from_pascal_voc(data / "dataset" / "Annotations")
    return sum(len(annotation.boxes) for annotation in annotations)


def globox_yolo(data: Path, _out: Path) -> int:
    """Make an object for each box; every image is opened for its size."""
    from globox import AnnotationSet

    annotations = AnnotationSet.from_yolo_darknet(
        data / YOLO_LABELS, image_folder=data / YOLO_IMAGES
    )
    return sum(len(annotation.boxes) for annotation in annotations)


def hotcoco_coco(data: Path, _out: Path) -> int:
    """Load and index in Rust, without returning a box."""
    from hotcoco import COCO

    return len(COCO(str(data / COCO_FILE)).get_ann_ids())


def hotcoco_voc(data: Path, _out: Path) -> int:
    """Load and index in Rust; pixels count from 1, and the last one belongs to the box."""
    from hotcoco import COCO

    return len(COCO.from_voc(str(data / "dataset")).get_ann_ids())


def hotcoco_yolo(data: Path, _out: Path) -> int:
    """Load and index in Rust; every image is opened for its size.

    The library expects data.yaml among the labels, where it is copied for the time of the run.
    """
    from hotcoco import COCO

    copied = data / YOLO_LABELS / "data.yaml"
    shutil.copyfile(data / "dataset" / "data.yaml", copied)
    try:
        return len(COCO.from_yolo(str(data / YOLO_LABELS), str(data / YOLO_IMAGES)).get_ann_ids())
    finally:
        copied.unlink()


def panlabel(source: str, *options: str) -> Callable[[Path, Path], None]:
    """Return the conversion of a dataset to COCO, which takes the place of this process."""

    def run(data: Path, out: Path) -> None:
        import sysconfig

        program = f"{sysconfig.get_path('scripts')}/panlabel"
        files = ["--input", str(data / source), "--output", str(out)]
        os.execv(
            program,
            [
                program,
                "convert",
                "--from",
                sys.argv[2],
                "--to",
                "coco",
                "--allow-lossy",
                *files,
                *options,
            ],
        )

    return run


def supervision_yolo(data: Path, _out: Path) -> int:
    """Make arrays for each image; every image is opened for its size."""
    from supervision import DetectionDataset

    dataset = DetectionDataset.from_yolo(
        str(data / YOLO_IMAGES), str(data / YOLO_LABELS), str(data / "dataset" / "data.yaml")
    )
    return sum(len(detections) for detections in dataset.annotations.values())


def touch(data: Path, out: Path) -> None:
    """Read all bytes except those of images, and write as many bytes as the output has.

    That is the cost of moving the bytes alone.
    """
    block = bytearray(2**20)
    for folder, _, names in os.walk(data):
        for name in names:
            if not name.endswith(".jpg"):
                with open(f"{folder}/{name}", "rb", buffering=0) as file:  # noqa: PTH123 - a Path costs as much again
                    while file.readinto(block):
                        pass
    regions = json.loads((data / "facts.json").read_bytes())["regions"]
    with out.open("wb") as file:
        for _ in range(0, regions, 64):
            file.write(bytes(64 * BYTES_PER_REGION))


RIVALS: dict[str, dict[str, Callable[[Path, Path], int | None]]] = {
    "plain": {"coco": plain_coco, "voc": plain_voc, "yolo": plain_yolo},
    "plain-gc-off": {
        "coco": gc_off(plain_coco),
        "voc": gc_off(plain_voc),
        "yolo": gc_off(plain_yolo),
    },
    "pycocotools": {"coco": pycocotools_coco},
    "globox": {"coco": globox_coco, "voc": globox_voc, "yolo": globox_yolo},
    "hotcoco": {"coco": hotcoco_coco, "voc": hotcoco_voc, "yolo": hotcoco_yolo},
    "panlabel": {
        "coco": panlabel(COCO_FILE),
        "voc": panlabel("dataset"),
        "yolo": panlabel("dataset", "--split", "train"),
    },
    "supervision": {"yolo": supervision_yolo},
    "touch": dict.fromkeys(("coco", "voc", "yolo"), touch),
}


def main() -> None:
    """Run one rival once."""
    name, kind, data, out = sys.argv[1:]
    count = RIVALS[name][kind](Path(data), Path(out))
    if count is not None:
        print(count)


if __name__ == "__main__":
    main()
