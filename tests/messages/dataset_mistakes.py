"""Mistakes in datasets: a small dataset for each error that reading can raise."""

from __future__ import annotations

from messages.causes import (
    COCO,
    RECORD,
    VOC,
    YOLO,
    Cause,
    coco,
    voc,
)
from messages.yolo_mistakes import YOLO_MISTAKES

DATASET_MISTAKES: dict[str, Cause] = {
    "a missing path": Cause({}, "nowhere"),
    "folders nested too deeply": Cause(
        {"/".join(["a"] * 70) + "/a.txt": ""},
    ),
    "an unknown format": Cause(YOLO, options={"format": "yola"}),
    "an unrecognised format": Cause({"a.doc": ""}),
    "no CVAT": Cause({"a.txt": "x"}, options={"format": "cvat"}),
    "normalised CVAT": Cause(
        {
            "a.xml": "<annotations><version>1.1</version>\n<image name='a.jpg'>\n"
            "<box label='cat' xtl='.1' ytl='.1' xbr='.3' ybr='.4'/></image></annotations>"
        },
    ),
    "tracks of CVAT": Cause(
        {"a.xml": "<annotations><version>1.1</version>\n<track/></annotations>"},
        options={"format": "cvat"},
    ),
    "a broken CVAT file": Cause(
        {"a.xml": "<annotations><version>1.1</version><image"},
        options={"format": "cvat"},
    ),
    "a split that CVAT does not have": Cause(
        {
            "a.xml": "<annotations>"
            '<image name="a.jpg" subset="val" width="9" height="9"/></annotations>'
        },
        options={"format": "cvat", "split": "test"},
    ),
    "no VoTT": Cause({"a.txt": "x"}, options={"format": "vott"}),
    "broken VoTT files": Cause(
        {"a.json": '{"assets": {"1": {"asset": {"name": "a.jpg"}'},
        options={"format": "vott"},
    ),
    "two formats": Cause({**YOLO, "a.json": COCO}),
    "an option of another format": Cause(
        YOLO,
        options={"voc_origin": "1"},
    ),
    "an unknown choice": Cause(YOLO, options={"yolo_rows": "wide"}),
    "no image files": Cause(
        YOLO,
        options={"image_dir": "nowhere"},
    ),
    "an unknown encoding": Cause(
        YOLO,
        options={"encoding": "klingon"},
    ),
    "a list that is not in the chosen encoding": Cause(
        {**YOLO, "classes.txt": b"\xff\xff\n"},
        options={"encoding": "gbk"},
    ),
    "an unknown mark": Cause(YOLO, options={"drop": ["tall"]}),
    "a class that is not text": Cause(YOLO, options={"only": [1]}),
    "an unknown class": Cause(YOLO, options={"only": ["dog"]}),
    "a fraction above 1": Cause(YOLO, options={"max_clip": 2}),
    "a dropped row in strict mode": Cause(
        {**YOLO, "labels/b.txt": "0 0.5 0.5 0.25\n"},
        options={"strict": True},
    ),
    # COCO
    "normalised boxes or pixels": Cause(
        coco(
            f'"annotations": [{RECORD}, {RECORD.replace("1, 2, 30, 40", "0.1, 0.1, 0.2, 0.2")}, '
            f"{RECORD.replace('1, 2, 30, 40', '0.1, 0.1, 0.3, 0.3')}]}}"
        ),
    ),
    "a comma without a record": Cause(
        coco(f'"annotations": [{RECORD}, {RECORD},{" " * 2**21}]}}'),
    ),
    "more keys than a COCO file has": Cause(
        coco("".join(f'"k{number}": 1, ' for number in range(10_001)) + '"annotations": []}'),
    ),
    "zeros after the JSON": Cause(
        {"a.json": COCO + "\n" * 70_000},
    ),
    "records that are numbers": Cause(
        coco(f'"annotations": [{",".join("1" * 100_001)}]}}'),
    ),
    "centres in COCO": Cause(
        coco(
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 40, 20, 30], '
            '"segmentation": [[40, 25, 60, 25, 60, 55]]}]}'
        ),
    ),
    "a split in normalised coordinates": Cause(
        {"train.json": COCO, "val.json": COCO.replace("1, 2, 30, 40", "0.1, 0.1, 0.2, 0.2")},
    ),
    "no array of images": Cause(
        {"a.json": COCO.replace('"images"', '"photos"')},
    ),
    "an object in place of an array": Cause(coco('"annotations": {"1": 2}}')),
    "two documents": Cause({"a.json": f"{COCO}\n{COCO}"}),
    "an unknown order of numbers": Cause(
        coco('"annotations": [], "bbox_format": "cxcywh"}'),
    ),
    "an unknown bbox_mode": Cause(
        coco(f'"annotations": [{RECORD[:-1]}, "bbox_mode": 4}}]}}'),
    ),
    "two bbox_modes": Cause(
        coco(f'"annotations": [{RECORD}, {RECORD[:-1]}, "bbox_mode": 0}}]}}'),
    ),
    "a bbox_mode against a bbox_format": Cause(
        coco(f'"bbox_format": "xywh", "annotations": [{RECORD[:-1]}, "bbox_mode": 0}}]}}'),
    ),
    "corners in place of widths and heights": Cause(
        coco(f'"annotations": [{RECORD[:-1]}, "area": 1102}}]}}'),
    ),
    "JSON Lines": Cause(
        {
            "a.json": '{"image": "a.jpg", "annotations": []}\n'
            '{"image": "b.jpg", "annotations": []}\n'
        },
        "a.json",
        options={"format": "coco"},
    ),
    "seven JSON files": Cause(
        {f"{name}.json": COCO for name in "abcdefg"},
    ),
    "a JSON of one file": Cause(
        {"a.json": COCO},
        "a.json",
        options={"coco_json": "b.json"},
    ),
    "a panoptic JSON": Cause(
        {"a.json": COCO.replace('"bbox"', '"segments_info": [{"id": 1}], "x"')},
        "a.json",
    ),
    "a panoptic JSON, read as COCO": Cause(
        {"a.json": COCO.replace('"bbox"', '"segments_info": [{"id": 1}], "x"')},
        "a.json",
        {"format": "coco"},
    ),
    "a split of one JSON": Cause(
        {"a.json": COCO},
        options={"split": "val"},
    ),
    "results for a dataset": Cause(
        {"a.json": '[{"image_id": 1, "score": 0.5}]'},
        "a.json",
    ),
    "results for a dataset, read as COCO": Cause(
        {"a.json": '[{"image_id": 1, "score": 0.5}]'},
        "a.json",
        {"format": "coco"},
    ),
    "a folder without COCO": Cause(
        {"a.json": '{"shapes": [], "imagePath": ""}'},
        options={"format": "coco"},
    ),
    "a missing COCO file": Cause(
        {"a.json": COCO},
        options={"coco_json": "b.json"},
    ),
    "two JSON files": Cause(
        {"a.json": COCO, "b.json": COCO},
    ),
    "a split and another JSON file": Cause({"a.json": COCO, "train.json": COCO}),
    "no such split of COCO": Cause({"train.json": COCO}, options={"split": "test"}),
    "an empty JSON": Cause(
        {"a.json": "", "b.json": COCO},
        "a.json",
    ),
    "an empty JSON, read as COCO": Cause({"a.json": ""}, "a.json", {"format": "coco"}),
    "no key": Cause({"a.json": COCO[:-1] + "\n, 5}"}),
    "no value": Cause({"a.json": COCO[:-1] + ',"x": }'}),
    "no comma": Cause({"a.json": COCO[:-1] + '"x": 1}'}),
    "a duplicate key": Cause(
        {"a.json": COCO[:-1] + ', "annotations": []}'},
    ),
    "a duplicate header": Cause(
        {"a.json": '{"bbox_format": "ltrb", "bbox_format": "ltwh",' + COCO[1:]},
    ),
    "centres": Cause(
        coco(
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1,'
            '"bbox": [150, 160, 100, 120],'
            '"segmentation": [[100, 100, 200, 100, 200, 220, 100, 220]]}]}'
        ),
    ),
    "a broken record": Cause(
        coco('"annotations": [\n{"id": 1, "bbox": [1, 2}]}'),
    ),
    "truncated in a record": Cause(
        coco('"annotations": [{"id": 1'),
    ),
    "truncated in a value": Cause(
        {"a.json": COCO[:-1] + ', "x": {"y": ['},
    ),
    "deep brackets": Cause(
        coco(f'"annotations": [{{"x": {"[" * 5000}{"]" * 5000}}}]}}'),
    ),
    "a huge record": Cause(
        coco(f'"annotations": [{{"x": "{"a" * (5 << 20)}"}}]}}'),
    ),
    "nothing after a comma": Cause(coco('"annotations": [1, ]}')),
    "thousands of keys": Cause(
        {"a.json": COCO[:-1] + "".join(f', "{number}": 1' for number in range(10_000)) + "}"},
    ),
    "whitespace after the end": Cause({"a.json": COCO + " " * 70_000}),
    "numbers in place of records": Cause(
        coco(f'"annotations": [{"1," * 100_000}1]}}'),
    ),
    # Pascal VOC
    "normalised boxes among pixels": Cause(
        {"a.xml": voc("1 2 30 40", ".1 .2 .3 .4")},
    ),
    "a normalised file": Cause(
        {"a.xml": voc("1 2 30 40"), "b.xml": voc(".1 .2 .3 .4")},
    ),
    "normalised boxes far over the edge": Cause(
        {"a.xml": voc(".5 .5 1.3 .7")},
    ),
    "normalised boxes counted from 1": Cause(
        {"a.xml": voc(".1 .2 .3 .4")},
        options={"voc_origin": "1"},
    ),
    "no XML": Cause({"a.txt": ""}, options={"format": "voc"}),
    "no XML that can be read": Cause(
        {"a.xml": "<annotation>", "b.xml": "<annotation></x>"},
    ),
    "a split of one XML": Cause(
        {"a.xml": VOC},
        "a.xml",
        {"split": "val"},
    ),
    "no such split of VOC": Cause(
        {"Annotations/a.xml": VOC, "ImageSets/Main/train.txt": "a"},
        options={"split": "test"},
    ),
    "a split without an XML": Cause(
        {"Annotations/a.xml": VOC, "ImageSets/Main/train.txt": "b"},
        options={"split": "train"},
    ),
    **YOLO_MISTAKES,
}
