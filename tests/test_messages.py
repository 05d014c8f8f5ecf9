"""Every error that a user can cause, provoked and read: what is wrong, where, and the option or the edit that helps.

The last tests see to it that the tables are whole: no `raise` of the core, and no finding code, is without an entry.
"""

from __future__ import annotations

import ast
import io
import os
import re
import traceback
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import pytest

import regionbatch
from helpers import ROOT, batches_of, id_of, ids_of, write_json
from regionbatch import errors, plugins
from regionbatch.batching import Batch, Entry
from regionbatch.boxes import BoxMode
from regionbatch.clean import clean
from regionbatch.codes import CODES
from regionbatch.dataset import ImageReferences, Images, PlacedAnnotations, RawAnnotations, References
from regionbatch.files import whole
from regionbatch.files.tree import MOST_LINES
from regionbatch.findings import FindingLog
from regionbatch.ids import checked_project
from regionbatch.installed import EntryPoint
from regionbatch.options import ReadOptions
from regionbatch.readers.coco.jsonpieces import Pieces
from regionbatch.readers.coco.jsontext import document
from regionbatch.renaming import read_renames
from regionbatch.testing import cases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from regionbatch.files.tree import Tree

LIBRARY = Path(regionbatch.__path__[0])
MODULES = [
    *sorted((LIBRARY / "readers").rglob("*.py")),
    *sorted((LIBRARY / "files").glob("*.py")),
    *(LIBRARY / f"{name}.py" for name in ("image_scope", "image_table")),
    *(LIBRARY / f"{name}.py" for name in ("batching", "clean", "ids", "options", "output", "plugins")),
    *(LIBRARY / f"{name}.py" for name in ("reading", "renaming", "report", "resolve")),
]
FORM = re.compile(r"\S.*: \S.*(; \S.*|\. [A-Z].*\.)")
"""`PLACE: what: 'value'. What to do.`, or as it was before: `PLACE: WHAT, got VALUE; NEXT STEP`. On one line."""

Files = dict[str, str | bytes]
IMAGES = '"images": [{"id": 1, "file_name": "a.jpg", "width": 100, "height": 80}]'
CATEGORIES = '"categories": [{"id": 1, "name": "cat"}]'
RECORD = '{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 30, 40]}'
COCO = f'{{{IMAGES}, {CATEGORIES}, "annotations": [{RECORD}]}}'
VOC = "<annotation><size><width>9</width><height>9</height></size></annotation>"
ROW = "0 0.5 0.5 0.25 0.25\n"
YOLO: Files = {"labels/a.txt": ROW, "classes.txt": "cat\n"}


class Cause(NamedTuple):
    """A mistake: the files of a dataset, what is done with it, and what the error must say."""

    files: Files
    says: tuple[str, ...]
    read: str = ""
    """What is read, below the folder."""
    options: Mapping[str, Any] = {}
    sparse: int = 0
    """Bytes that the first file is made long, on disk a few."""


def coco(annotations: str) -> Files:
    """A COCO file with some text for its annotations and what follows."""
    return {"a.json": f"{{{IMAGES}, {CATEGORIES}, {annotations}"}


def voc(*boxes: str) -> str:
    """A VOC file with some boxes, each on a line of its own."""
    edges = ("<xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax>".format(*box.split()) for box in boxes)
    objects = [f"<object><name>cat</name><bndbox>{each}</bndbox></object>" for each in edges]
    return "\n".join([VOC.removesuffix("</annotation>"), *objects, "</annotation>"])


READING: dict[str, Cause] = {
    "nothing there": Cause({}, ("nowhere: there is no such file or folder", "check the path"), "nowhere"),
    "folders without end": Cause(
        {"/".join(["a"] * 70) + "/a.txt": ""}, ("a/a: folders are more than 64 deep", "further down")
    ),
    "an unknown format": Cause(YOLO, ("--format", "got yola", "did you mean yolo?"), options={"format": "yola"}),
    "no format at all": Cause({"a.doc": ""}, ("no dataset that a reader knows", "coco: a COCO JSON", "--format")),
    "no CVAT": Cause({"a.txt": "x"}, ("no CVAT XML here", "Name the folder"), options={"format": "cvat"}),
    "normalised CVAT": Cause(
        {
            "a.xml": "<annotations><version>1.1</version>\n<image name='a.jpg'>\n"
            "<box label='cat' xtl='.1' ytl='.1' xbr='.3' ybr='.4'/></image></annotations>"
        },
        ("a.xml:3: all boxes lie within 0 to 1, and must be in pixels", "Convert them"),
    ),
    "tracks of CVAT": Cause(
        {"a.xml": "<annotations><version>1.1</version>\n<track/></annotations>"},
        ("a.xml:2: tracks of CVAT for video are not supported", "Export the task as CVAT for images"),
        options={"format": "cvat"},
    ),
    "a broken CVAT file": Cause(
        {"a.xml": "<annotations><version>1.1</version><image"},
        ("no XML file can be read (a.xml", "Repair it"),
        options={"format": "cvat"},
    ),
    "a split that CVAT does not have": Cause(
        {"a.xml": '<annotations><image name="a.jpg" subset="val" width="9" height="9"/></annotations>'},
        ("no such split: 'test'", "Choose one of: val"),
        options={"format": "cvat", "split": "test"},
    ),
    "no VoTT": Cause({"a.txt": "x"}, ("no VoTT export", "Name an exported JSON"), options={"format": "vott"}),
    "broken VoTT files": Cause(
        {"a.json": '{"assets": {"1": {"asset": {"name": "a.jpg"}'},
        ("nothing can be read", "Repair it"),
        options={"format": "vott"},
    ),
    "two formats": Cause({**YOLO, "a.json": COCO}, ("more than one format", "coco: a.json", "--format")),
    "an option of another format": Cause(
        YOLO, ("--voc-origin: the yolo reader has no such option", "yolo_rows"), options={"voc_origin": "1"}
    ),
    "a choice that is none": Cause(YOLO, ("got wide; known: auto, box",), options={"yolo_rows": "wide"}),
    "pictures nowhere": Cause(
        YOLO, ("--image-dir: there is no such folder, got nowhere", "check the path"), options={"image_dir": "nowhere"}
    ),
    "an encoding that is none": Cause(
        YOLO, ("--encoding: no such text encoding: 'klingon'", "such as gbk"), options={"encoding": "klingon"}
    ),
    "a list in another encoding than asked": Cause(
        {**YOLO, "classes.txt": b"\xff\xff\n"},
        ("classes.txt: not text in gbk in line 1: ff ff", "name its encoding with --encoding"),
        options={"encoding": "gbk"},
    ),
    "a mark that is none": Cause(YOLO, ("drop: no such mark, got tall; known: crowd",), options={"drop": ["tall"]}),
    "a class that is none": Cause(
        YOLO, ("only: no such class, got dog; the dataset has cat",), options={"only": ["dog"]}
    ),
    "a share that is none": Cause(YOLO, ("--max-clip: not a number from 0 to 1: 2. Give",), options={"max_clip": 2}),
    "a doubt, read strictly": Cause(
        {**YOLO, "labels/b.txt": "0 0.5 0.5 0.25\n"},
        ("strict reading found 1 not_a_row", "labels/b.txt:1", "do without --strict"),
        options={"strict": True},
    ),
    # COCO
    "shares or pixels": Cause(
        coco(
            f'"annotations": [{RECORD}, {RECORD.replace("1, 2, 30, 40", "0.1, 0.1, 0.2, 0.2")}, '
            f"{RECORD.replace('1, 2, 30, 40', '0.1, 0.1, 0.3, 0.3')}]}}"
        ),
        (
            "a.json: annotation 1: boxes may be pixels or shares, got 2 of 3",
            "--coco-boxes pixels or --coco-boxes normalised",
        ),
    ),
    "a comma without a record": Cause(
        coco(f'"annotations": [{RECORD}, {RECORD},{" " * 2**21}]}}'), ("a record is needed behind a comma", "repair")
    ),
    "more keys than a COCO file has": Cause(
        coco("".join(f'"k{number}": 1, ' for number in range(10_001)) + '"annotations": []}'),
        ("there are more than 10000 keys", "repair"),
    ),
    "zeros behind the JSON": Cause(
        {"a.json": COCO + "\n" * 70_000}, ("a.json:1:201: more than 64 KiB follow the end", "repair")
    ),
    "records that are numbers": Cause(
        coco(f'"annotations": [{",".join("1" * 100_001)}]}}'),
        ("a.json: more than 100000 records are numbers", "A record of COCO is an object"),
    ),
    "centres in COCO": Cause(
        coco(
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 40, 20, 30], '
            '"segmentation": [[40, 25, 60, 25, 60, 55]]}]}'
        ),
        ("a.json: 1 boxes fit", "annotation 1 (50 40 20 30)", "--bbox-format ltwh"),
    ),
    "a split in shares": Cause(
        {"train.json": COCO, "val.json": COCO.replace("1, 2, 30, 40", "0.1, 0.1, 0.2, 0.2")},
        ("val.json: boxes are shares here and pixels elsewhere, got train.json", "--coco-boxes pixels or"),
    ),
    "no images": Cause(
        {"a.json": COCO.replace('"images"', '"pictures"')},
        ("a.json: there is no array of images, got pictures, categories, annotations", "needed is"),
    ),
    "no array": Cause(coco('"annotations": {"1": 2}}'), ("a.json:1: annotations must be an array", "repair")),
    "two documents": Cause({"a.json": f"{COCO}\n{COCO}"}, ("a.json:2: there is more behind the end", "repair")),
    "an unknown order of numbers": Cause(
        coco('"annotations": [], "bbox_format": "cxcywh"}'),
        ("a.json: an order of numbers that is not known, got cxcywh", "--bbox-format ltwh or --bbox-format ltrb"),
    ),
    "an unknown bbox_mode": Cause(
        coco(f'"annotations": [{RECORD[:-1]}, "bbox_mode": 4}}]}}'),
        ("a.json: an order of numbers that is not known, got bbox_mode 4", "--bbox-format ltwh or --bbox-format ltrb"),
    ),
    "two bbox_modes": Cause(
        coco(f'"annotations": [{RECORD}, {RECORD[:-1]}, "bbox_mode": 0}}]}}'),
        ("a.json: only 1 of 2 boxes have a 'bbox_mode' of corners", "--bbox-format ltwh or --bbox-format ltrb"),
    ),
    "a bbox_mode against a bbox_format": Cause(
        coco(f'"bbox_format": "xywh", "annotations": [{RECORD[:-1]}, "bbox_mode": 0}}]}}'),
        ("a.json: 'bbox_format' and 'bbox_mode' of its boxes contradict each other: 'xywh'", "--bbox-format"),
    ),
    "corners in place of widths and heights": Cause(
        coco(f'"annotations": [{RECORD[:-1]}, "area": 1102}}]}}'),
        (
            "a.json: 1 of 1 boxes fit their polygon or area as corners, and not as left, top, width, height",
            "annotation 1 (1 2 30 40)",
            "--bbox-format ltwh or --bbox-format ltrb",
        ),
    ),
    "JSON Lines": Cause(
        {"a.json": '{"image": "a.jpg", "annotations": []}\n{"image": "b.jpg", "annotations": []}\n'},
        ("a.json: not a COCO dataset, got JSON Lines, one record a line", "needed is a JSON object"),
        "a.json",
        options={"format": "coco"},
    ),
    "seven JSON files": Cause(
        {f"{name}.json": COCO for name in "abcdefg"},
        ("a.json: several JSON files", "a.json, b.json, c.json, d.json, e.json, f.json, g.json", "--coco-json"),
    ),
    "a JSON of one file": Cause(
        {"a.json": COCO},
        ("a.json is one file, got b.json", "leave it out"),
        "a.json",
        options={"coco_json": "b.json"},
    ),
    "a panoptic JSON": Cause(
        {"a.json": COCO.replace('"bbox"', '"segments_info": [{"id": 1}], "x"')},
        ("a.json: no dataset that a reader knows", "a panoptic COCO file (use the instances_* file)"),
        "a.json",
    ),
    "a panoptic JSON, read as COCO": Cause(
        {"a.json": COCO.replace('"bbox"', '"segments_info": [{"id": 1}], "x"')},
        ("got a panoptic COCO file (use the instances_* file)", "needed is"),
        "a.json",
        {"format": "coco"},
    ),
    "a split of one JSON": Cause(
        {"a.json": COCO},
        ("got --split val; the dataset has no splits, leave the option out",),
        options={"split": "val"},
    ),
    "results for a dataset": Cause(
        {"a.json": '[{"image_id": 1, "score": 0.5}]'},
        ("a.json: no dataset that a reader knows", "a list of results"),
        "a.json",
    ),
    "results for a dataset, read as COCO": Cause(
        {"a.json": '[{"image_id": 1, "score": 0.5}]'},
        ("not a COCO dataset, got a list of results", "needed is"),
        "a.json",
        {"format": "coco"},
    ),
    "a folder without COCO": Cause(
        {"a.json": '{"shapes": [], "imagePath": ""}'},
        ("no COCO JSON here", "needed is images", "labelme"),
        options={"format": "coco"},
    ),
    "a JSON that is not there": Cause(
        {"a.json": COCO}, ("got --coco-json b.json; choose from a.json",), options={"coco_json": "b.json"}
    ),
    "two JSON files": Cause(
        {"a.json": COCO, "b.json": COCO}, ("a.json: several JSON files", "a.json, b.json", "--coco-json")
    ),
    "a split and a JSON beside it": Cause({"a.json": COCO, "train.json": COCO}, ("several JSON files", "--coco-json")),
    "no such split of COCO": Cause(
        {"train.json": COCO}, ("got --split test; here is train",), options={"split": "test"}
    ),
    "an empty JSON": Cause(
        {"a.json": "", "b.json": COCO}, ("a.json: no dataset that a reader knows", "empty"), "a.json"
    ),
    "an empty JSON, read as COCO": Cause(
        {"a.json": ""}, ("not a COCO dataset, got empty", "needed is"), "a.json", {"format": "coco"}
    ),
    "no key": Cause({"a.json": COCO[:-1] + "\n, 5}"}, ("a.json:2: a key as", "repair the file")),
    "no value": Cause({"a.json": COCO[:-1] + ',"x": }'}, ("a.json:1:206: a value is needed", "got '}'", "repair")),
    "no comma": Cause({"a.json": COCO[:-1] + '"x": 1}'}, ("a.json:1: a comma or the closing }", "repair the file")),
    "a key twice": Cause(
        {"a.json": COCO[:-1] + ', "annotations": []}'}, ("annotations stands here a second time", "keep one")
    ),
    "a header twice": Cause(
        {"a.json": '{"bbox_format": "ltrb", "bbox_format": "ltwh",' + COCO[1:]},
        ("a.json:1: bbox_format is here a second time with another value; keep one",),
    ),
    "centres": Cause(
        coco(
            '"annotations": [{"id": 1, "image_id": 1, "category_id": 1, "bbox": [150, 160, 100, 120],'
            '"segmentation": [[100, 100, 200, 100, 200, 220, 100, 220]]}]}'
        ),
        ("a.json: 1 boxes fit their polygon as centre, width and height only", "Convert them"),
    ),
    "a broken record": Cause(
        coco('"annotations": [\n{"id": 1, "bbox": [1, 2}]}'), ("a.json:2: JSON that cannot be read", "repair")
    ),
    "cut off in a record": Cause(
        coco('"annotations": [{"id": 1'), ("a.json:1: the file ends in the middle of an array", "cut off")
    ),
    "cut off in a value": Cause(
        {"a.json": COCO[:-1] + ', "x": {"y": ['}, ("the file ends in the middle of a value", "cut off")
    ),
    "deep brackets": Cause(
        coco(f'"annotations": [{{"x": {"[" * 5000}{"]" * 5000}}}]}}'), ("a.json: brackets are nested too deep",)
    ),
    "a huge record": Cause(
        coco(f'"annotations": [{{"x": "{"a" * (5 << 20)}"}}]}}'), ("a.json:1: a record is larger than 4096 KiB",)
    ),
    "nothing behind a comma": Cause(
        coco('"annotations": [1, ]}'), ("a.json:1", "a record is needed behind a comma", "repair")
    ),
    "thousands of keys": Cause(
        {"a.json": COCO[:-1] + "".join(f', "{number}": 1' for number in range(10_000)) + "}"},
        ("a.json:1", "there are more than 10000 keys at the top level", "repair"),
    ),
    "blanks behind the end": Cause({"a.json": COCO + " " * 70_000}, ("a.json:1", "more than 64 KiB follow the end")),
    "numbers in place of records": Cause(
        coco(f'"annotations": [{"1," * 100_000}1]}}'),
        ("a.json: more than 100000 records are numbers, text or arrays", "is an object"),
    ),
    # Pascal VOC
    "normalised boxes among pixels": Cause(
        {"a.xml": voc("1 2 30 40", ".1 .2 .3 .4")},
        ("a.xml:3: boxes may be pixels or shares, got 1 of 2", "--voc-boxes pixels or --voc-boxes normalised"),
    ),
    "a normalised file": Cause(
        {"a.xml": voc("1 2 30 40"), "b.xml": voc(".1 .2 .3 .4")},
        ("b.xml: boxes are shares here and pixels elsewhere, got a.xml", "--voc-boxes pixels or"),
    ),
    "normalised boxes far over the edge": Cause(
        {"a.xml": voc(".5 .5 1.3 .7")},
        ("a.xml: cannot tell pixel from normalised boxes: every number is below 2", "--voc-boxes pixels or"),
    ),
    "normalised boxes counted from 1": Cause(
        {"a.xml": voc(".1 .2 .3 .4")},
        ("only corners in pixels can count from 1, got boxes that are normalised", "leave it out"),
        options={"voc_origin": "1"},
    ),
    "no XML": Cause({"a.txt": ""}, ("no XML file here", "Annotations", "--format"), options={"format": "voc"}),
    "no XML that can be read": Cause(
        {"a.xml": "<annotation>", "b.xml": "<annotation></x>"}, ("none of 2 XML files", "a.xml:1", "repair or remove")
    ),
    "a split of one XML": Cause(
        {"a.xml": VOC}, ("one file has no splits, got --split val", "name the folder"), "a.xml", {"split": "val"}
    ),
    "no such split of VOC": Cause(
        {"Annotations/a.xml": VOC, "ImageSets/Main/train.txt": "a"},
        ("got --split test; here is train",),
        options={"split": "test"},
    ),
    "a split without an XML": Cause(
        {"Annotations/a.xml": VOC, "ImageSets/Main/train.txt": "b"},
        ("ImageSets/Main/train.txt: no XML file of this split is here, got --split train", "correct the list"),
        options={"split": "train"},
    ),
    # YOLO
    "no data file": Cause(
        {**YOLO, "a.yaml": "x: 1"},
        ("a.yaml: no YOLO dataset; name the folder, its data.yaml",),
        "a.yaml",
        {"format": "yolo"},
    ),
    "a file of no format": Cause(
        {**YOLO, "a.yaml": "x: 1"}, ("a.yaml: no dataset that a reader knows", "or name --format"), "a.yaml"
    ),
    "no labels": Cause(
        {"classes.txt": "cat"}, ("no images and no label files", "check the folder"), "", {"format": "yolo"}
    ),
    "no such split of YOLO": Cause(
        {**YOLO, "data.yaml": "train: labels\nnames: [cat]"},
        ("data.yaml: no such split, got --split test; here is train",),
        options={"split": "test"},
    ),
    "pixels in YOLO": Cause(
        {**YOLO, "labels/a.txt": "0 155 144 481 298\n"},
        ("labels/a.txt:1: coordinates must be shares from 0 to 1", "1 of 1 rows", "--format and --yolo-rows"),
    ),
    "tracks in YOLO": Cause(
        {**YOLO, "labels/a.txt": "0 0.5 0.5 0.2 0.2 0.91 2\n"},
        ("labels/a.txt:1: rows of 7 numbers may end with", "'2'", "--yolo-rows box", "--yolo-rows polygon"),
    ),
    "kpt_shape of one of two datasets": Cause(
        {
            "a/b/c/d/data.yaml": "train: labels\nnames: [cat]\nkpt_shape: [1, 2]",
            "a/b/c/d/labels/a.txt": "0 .5 .5 .2 .2 .5 .5\n",
            "a/b/c/e/data.yaml": "train: labels\nnames: [cat]",
            "a/b/c/e/labels/a.txt": "0 .5 .5 .2 .2\n",
        },
        ("a/b/c/e/data.yaml: kpt_shape", "a/b/c/d/data.yaml", "--yolo-rows"),
    ),
    "KITTI in YOLO": Cause(
        {
            **YOLO,
            "labels/a.txt": "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n",
        },
        ("labels/a.txt:1: KITTI labels", "'Car 0.00 0", "Convert them"),
        options={"format": "yolo"},
    ),
    "keypoints of another length": Cause(
        {"labels/a.txt": "0 .5 .5 .2 .2 .5 .5 2\n", "data.yaml": "train: labels\nnames: [cat]\nkpt_shape: [2, 2]"},
        ("labels/a.txt:1: kpt_shape", "5 or 9 numbers", "1 of 1", "Correct kpt_shape", "--yolo-rows box"),
    ),
    "keypoints without kpt_shape": Cause(
        {**YOLO, "labels/a.txt": "0 .5 .5 .4 .4 .4 .4 .6 .6\n"},
        ("labels/a.txt:1: rows of 9 numbers", "1 of 1", "--yolo-rows polygon or --yolo-rows box", "kpt_shape"),
    ),
    "rotations or not": Cause(
        {**YOLO, "labels/a.txt": "0 .5 .5 .4 .1 1.5708\n"},
        ("labels/a.txt:1: sixth number", "'1.5708'", "xywhr-degrees", "xywhr-radians", "--yolo-rows box"),
    ),
    "classes from 1": Cause(
        {**YOLO, "classes.txt": "cat\ndog\n", "labels/a.txt": "2 .5 .5 .4 .1\n1 .5 .5 .2 .1\n"},
        ("labels/a.txt:2: class 1 is 'dog'", "'cat' if from 1", "--yolo-first-class 0 or --yolo-first-class 1"),
    ),
    "names that are none": Cause(
        {**YOLO, "data.yaml": "names: {a: b}"}, ("data.yaml: names must be a list", "got the keys a", "--names")
    ),
    "names in a file that is not here": Cause(
        {**YOLO, "data.yaml": "names: a.names"}, ("names is a file that is not here, got a.names", "--names")
    ),
    "labels of other pictures": Cause(
        {**YOLO, "images/b.jpg": ""},
        ("images/b.jpg: no label file matches an image", "labels/a.txt", "needs its image's name"),
    ),
    "one folder for two splits": Cause(
        {**YOLO, "data.yaml": "train: x/labels\nval: y/labels\nnames: [cat]"},
        ("data.yaml: train and val lead to one folder, labels, got --split val", "do without --split"),
        options={"split": "val"},
    ),
    "no names": Cause({"labels/a.txt": ROW}, ("no class names: no data.yaml, obj.data", "with --names")),
    "no names in one of two folders": Cause(
        {"x/classes.txt": "cat", "x/a.txt": ROW, "y/b.txt": ROW},
        ("y: no class names: no list is in this folder", "x/classes.txt is elsewhere", "with --names"),
    ),
    "names that disagree": Cause(
        {**YOLO, "data.yaml": "names: [cow, dog]"},
        (
            "classes.txt: class names differ from those of data.yaml",
            "files in labels: class 0 is 'cat', not 'cow'",
            "choose a list for all label files with --names.",
        ),
    ),
    "names of which one list has more": Cause(
        {**YOLO, "data.yaml": "names: [cat, dog]"}, ("both are for the label files in labels: 1 name, not 2.",)
    ),
    "notes without numbers": Cause(
        {"labels/a.txt": ROW, "notes.json": '{"categories": [{"name": "cat"}]}'},
        ("notes.json: categories must have an id from 0 and a name each: '[{", "use --names"),
    ),
    "no such file of names": Cause(
        YOLO, ("--names: there is no such file", "check the path"), options={"names": "nowhere.txt"}
    ),
    "a file without names": Cause(
        {"empty.txt": "", **YOLO}, ("--names: no class names in it", "one name a line"), options={"names": "empty.txt"}
    ),
    "folders that are not here": Cause(
        {"data.yaml": "train: x/y\nnames: [cat]"},
        ("data.yaml: none of its folders is here, got x/y", "correct the paths"),
    ),
    "more lines than a list has": Cause(
        {**YOLO, "data.yaml": "names: [cat]\ntrain: train.txt\n", "train.txt": "\n" * (MOST_LINES + 1)},
        (f"train.txt: more than {MOST_LINES} lines", "Split the list"),
    ),
    "a description that is too large": Cause(
        {**YOLO, "data.yaml": f"train: x\nnames: [cat]\n{'#' * 2**22}"},
        ("data.yaml: larger than the description of a dataset can be", "name the labels' folder"),
    ),
    "a line break of old YAML": Cause(
        {**YOLO, "data.yaml": "train: x\nnames: ['big\x85dog']"}, ("data.yaml:2: character", "'\\x85'", "Correct it")
    ),
    "broken YAML": Cause(
        {**YOLO, "data.yaml": "train: x\nnames: [cat"},
        ("data.yaml:2: not valid YAML (", "'names: [cat'", "Correct it"),
    ),
    "a backslash in double quotes": Cause(
        {**YOLO, "data.yaml": 'path: "C:\\data"\nnames: [cat]'},
        ("data.yaml:1: not valid YAML (found unknown escape character", "In double quotes a backslash", "or / in"),
    ),
    "a TAB in a path": Cause(
        {**YOLO, "data.yaml": 'train: "data\\train"\nnames: [cat]'},
        (
            "data.yaml: train has a TAB in its path, written \\t: 'data\\train'",
            "In double quotes a backslash",
            "or / in",
        ),
    ),
    "a TAB in the path of a list of names": Cause(
        {**YOLO, "data.yaml": 'names: "data\\t.names"'}, ("data.yaml: names has a TAB in its path",)
    ),
    "a mapping for a path": Cause(
        {**YOLO, "data.yaml": "train: {images: x, labels: y}\nnames: [cat]"},
        ("data.yaml: train must be a path or a list of paths: a mapping with images, labels.", "Write the paths"),
    ),
    "text to merge": Cause(
        {**YOLO, "data.yaml": "<<: base.yaml\nnames: [cat]"},
        ("data.yaml: << must merge a mapping, or a list of them: 'base.yaml'",),
    ),
    "a description of too many values": Cause(
        {**YOLO, "data.yaml": "names:\n" + "- x\n" * 130_000},
        ("data.yaml: larger than the description of a dataset can be", "Shorten it"),
    ),
    "a description of too many paths": Cause(
        {**YOLO, "data.yaml": f"train: [{'x, ' * 1001}]\nnames: [cat]"},
        ("data.yaml: more than 1000 paths of images", "Write them into a text file"),
    ),
    "too many class names": Cause(
        {**YOLO, "classes.txt": "".join(f"{number}\n" for number in range(100_001))},
        ("classes.txt: 100001 class names; more than 100000 are not read", "Shorten the list", "--names"),
    ),
    "a list of too many lines": Cause(
        {**YOLO, "classes.txt": "\n" * 1_000_001}, ("classes.txt: more than 1000000 lines", "Split the list")
    ),
    "a sign that YAML does not have": Cause(
        {**YOLO, "data.yaml": "train: labels\nnames: [cat\x01]"},
        ("data.yaml:2: not valid YAML (", "characters are not allowed): 'names: [cat\\x01]'", "Correct it"),
    ),
    "names twice": Cause(
        {**YOLO, "data.yaml": "train: labels\nnames: [cat]\nnc: 1\nnames: [dog]"},
        ("data.yaml:4: names has a second value, got another in line 2", "keep one"),
    ),
    "a number twice": Cause(
        {**YOLO, "data.yaml": "names:\n  0: cat\n  1: dog\n  '0': cow\n"},
        ("data.yaml:4: 0 has a second value, got another in line 2", "keep one"),
    ),
    "names that are text": Cause({**YOLO, "data.yaml": "names: cat dog"}, ("names must be a list", "got cat dog;")),
    "a huge data.yaml": Cause(
        {"data.yaml": "", **YOLO}, ("data.yaml: cannot be read, got larger than 64 MiB",), sparse=2**26 + 1
    ),
    "a huge list of names": Cause(
        {"classes.txt": "", "labels/a.txt": ROW}, ("classes.txt: cannot be read",), sparse=2**26 + 1
    ),
}


def read(cause: Cause, folder: Path) -> None:
    """Read the dataset of a cause."""
    folder = folder / "set"
    folder.mkdir()
    for name, text in cause.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    if cause.sparse:
        os.truncate(folder / next(iter(cause.files)), cause.sparse)
    options = dict(cause.options)
    if "names" in options:
        options["names"] = folder / options["names"]
    regionbatch.read(folder / cause.read, **options)


class Counting:
    """A reader that says it met a box more than it returns."""

    title: ClassVar[str] = "counts wrong"
    options: ClassVar[type[ReadOptions]] = ReadOptions

    def detect(self, tree: Tree) -> str | None:
        return tree.source

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({})

    def read(self, _tree: Tree, _files: Sequence[str], _options: ReadOptions, log: FindingLog) -> RawAnnotations:
        log.read(boxes=1)
        return without_boxes([])


@dataclass(frozen=True, kw_only=True)
class OddOptions(ReadOptions):
    """An option without a default."""

    needed: str


class WithOddOptions(Counting):
    """A reader with an option that has no default."""

    options = OddOptions


class Raising(Counting):
    """A reader that lets out what it should not."""

    def read(self, _tree: Tree, _files: Sequence[str], _options: ReadOptions, _log: FindingLog) -> RawAnnotations:
        raise KeyError("a")


class Outside(Counting):
    """A reader that refers to a file outside the dataset."""

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({"../a.txt": ""})


class Foreign(Counting):
    """A reader that returns the image of a file that it was not to read."""

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({"a.txt": ""}, one_image_each=True)

    def read(self, _tree: Tree, _files: Sequence[str], _options: ReadOptions, log: FindingLog) -> RawAnnotations:
        log.read(images=1)
        return without_boxes([log.file("b.txt")])


class Disordered(Counting):
    """A reader that returns the images of label files in another order than the files."""

    def references(self, _tree: Tree, _options: ReadOptions, _log: FindingLog) -> References:
        return References({"a.txt": "", "b.txt": ""}, one_image_each=True, declares_names=False)

    def read(self, _tree: Tree, files: Sequence[str], _options: ReadOptions, log: FindingLog) -> RawAnnotations:
        log.read(images=len(files))
        return without_boxes(log.add_files(files)[::-1].tolist())


def two_labels(reader: Counting) -> Callable[[Path], object]:
    """Read a folder with two label files."""

    def run(folder: Path) -> object:
        for name in ("a.txt", "b.txt"):
            (folder / name).touch()
        return regionbatch.read(folder, format=reader)

    return run


def without_boxes(files: list[int]) -> RawAnnotations:
    """An image for each of some files, by their codes, and no box."""
    nothing, sizes = np.empty(0, np.int32), np.zeros(len(files), np.int32)
    images = ImageReferences([""] * len(files), np.asarray(files, np.int32), sizes, sizes)
    return RawAnnotations(
        BoxMode.XYWH_REL, np.empty((0, 4)), nothing, nothing, images, [], nothing, np.empty(0, np.int64)
    )


def cleaned(*paths: str) -> Callable[[Path], object]:
    """Clean annotations of images called a.jpg that have these paths."""
    nothing, sizes = np.empty(0, np.int32), np.zeros(len(paths), np.int32)
    images = Images(["a.jpg"] * len(paths), sizes, sizes, paths, sizes - 1)
    placed = PlacedAnnotations(
        BoxMode.XYWH_REL, np.empty((0, 4)), nothing, nothing, images, [], nothing, np.empty(0, np.int64)
    )
    return lambda _: clean(placed, FindingLog())


class Full(io.BytesIO):
    """A file on a full disk."""

    def write(self, _data: object) -> int:
        raise OSError(28, "No space left on device")


def dataset(folder: Path, *names: str, tags: str = "cat\n") -> regionbatch.Dataset:
    """A dataset with a box on each of some images."""
    files: Files = {"classes.txt": tags, **{f"{name}.txt": ROW for name in names or ("a",)}}
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(str(text).encode())
    return regionbatch.read(folder)


def pieces_of(text: str) -> Callable[[Path], object]:
    """The splitter alone: the reader has looked at the file before."""

    def run(folder: Path) -> None:
        (folder / "a.json").write_text(text, encoding="utf-8")
        with document(folder / "a.json") as opened:
            list(Pieces(opened, {}))

    return run


def ids_from(text: str | bytes, name: str = "ids.json") -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
        return regionbatch.read_ids(folder / name)

    return run


def renames_from(text: str, name: str = "map.json") -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        (folder / name).write_bytes(text.encode())
        return read_renames((), folder / name)

    return run


def batched(images: Any, tags: dict[str, str], *names: str, **more: Any) -> Callable[[Path], object]:
    return lambda folder: regionbatch.batches(dataset(folder, *names), tag_ids=tags, image_ids=images, **more)


def written(target: str, *, before: str = "", content: str = "", **more: Any) -> Callable[[Path], object]:
    def run(folder: Path) -> object:
        batches = batches_of(dataset(folder / "set"))
        if before:
            (folder / before).parent.mkdir(parents=True, exist_ok=True)
            (folder / before).write_text(content, encoding="utf-8")
        return regionbatch.write(batches, Path() if target == os.curdir else folder / target, **more)

    return run


def swapped(function: str, *, before: bool, appears: str) -> Callable[[Path], object]:
    """Write to `o` in a folder; once a function of `whole` has run, a file appears there."""

    def do(folder: Path) -> object:
        batches = [Batch(b"")]
        if before:
            regionbatch.write(batches, folder / "o")
        real = getattr(whole, function)

        def and_then(*given: object) -> object:
            found = real(*given)
            (mine := next(folder.glob(appears), folder / "o") / "mine.txt").parent.mkdir(exist_ok=True)
            mine.touch()
            return found

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(whole, function, and_then)
            return regionbatch.write(batches, folder / "o", overwrite=True)

    return do


def plugged(format: str, *values: str, options: str = "") -> Callable[[Path], object]:  # noqa: A002 - as in `read`
    def run(folder: Path) -> object:
        points = [EntryPoint(plugins.GROUP, format, value, value) for value in values]
        declared = [EntryPoint(plugins.OPTIONS_GROUP, format, options, value) for value in values if options]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(plugins, "entry_points", lambda group: points if group == plugins.GROUP else declared)
            return regionbatch.read(folder, format=format)

    return run


def loaded(content: dict[str, Any], **options: Any) -> Callable[[Path], object]:
    return lambda _: regionbatch.read(SimpleNamespace(dataset=content), **options)


def report_on(name: str) -> Callable[[Path], object]:
    """Write a report of a dataset to a path in its folder."""

    def do(folder: Path) -> None:
        read = dataset(folder)
        (folder / "mine.json").write_text('{"images": []}', encoding="utf-8")
        regionbatch.write_report(folder / name, read)

    return do


CAT = {"cat": id_of("cat")}
DOING: dict[str, tuple[Callable[[Path], object], tuple[str, ...]]] = {
    "a project that is none": (
        lambda _: checked_project("1-2"),
        ("--project: not a project ID: '1-2'", "Copy it from"),
    ),
    "a JSON that is gone": (
        lambda folder: document(folder / "a.json").__enter__(),
        ("a.json: cannot be read", "check"),
    ),
    "an empty JSON": (pieces_of(""), ("a.json: the file is empty", "written to its end")),
    "no JSON object": (pieces_of("\n []"), ("a.json:2: a JSON object is needed, got '[]'", "repair the file")),
    # Ids
    "ids that are not there": (
        lambda folder: regionbatch.read_ids(folder / "x.json"),
        ("x.json: cannot be read", "check the path"),
    ),
    "ids in another encoding": (ids_from(b"\xff\xfe\xff"), ("ids.json: not UTF-8 text", "save it as UTF-8")),
    "ids that are no JSON": (ids_from('{\n"a": }'), ("ids.json:2: not JSON", "needed is an object")),
    "ids that are a number": (ids_from("5"), ("ids.json: no table of ids, got 5", "needed is an object")),
    "an id without a name": (ids_from('[{"id": "x"}]'), ("ids.json: entry 1 has no name or no id", "needed is")),
    "an id that is there twice": (
        ids_from(f'[{{"name": "cat", "id": "{id_of("a")}", "id": "{id_of("b")}"}}]'),
        ("ids.json: entry 1 has two values of 'id': ", id_of("a"), "Keep one."),
    ),
    "an id that is none": (
        ids_from("cat,7", "ids.csv"),
        ("ids.csv: the id of cat is no UUID, got '7'", "copy it from the service"),
    ),
    "a name with two ids": (
        ids_from(f"cat,{id_of('a')}\ncat,{id_of('b')}".upper().replace("CAT", "cat"), "ids.csv"),
        ("ids.csv: cat has two ids", id_of("a"), "keep one"),
    ),
    "ids of a wrong type": (
        batched([], CAT),
        ("image_ids: a table of ids or the path of one is needed, got list", "tags.json"),
    ),
    # Renaming
    "a map without =": (lambda _: read_renames(["cat"]), ("--map: OLD=NEW is needed, got cat", "--map cat=feline")),
    "a map that is not there": (
        lambda folder: read_renames((), folder / "x.csv"),
        ("x.csv: cannot be read", "check the path"),
    ),
    "a map that is no JSON": (renames_from("{"), ("map.json: not JSON", '{"old": "new"}')),
    "a map of something else": (
        renames_from("a,b,c", "map.csv"),
        ("map.csv: pairs of names are needed, got", "CSV old,new"),
    ),
    "a class with two new names": (
        renames_from("a,b\na,c", "map.csv"),
        ("map.csv: a has two new names, got b and c", "keep one"),
    ),
    # Resolving
    "a map of no class": (
        batched({"a": id_of("a")}, CAT, rename={"dog": "cat"}),
        ("--map: no such class in the dataset, got dog", "it has cat"),
    ),
    "a class without an id": (
        batched({"a": id_of("a")}, {"dog": id_of("dog")}),
        (
            "tag names: 1 with 1 boxes have no id, got cat (1 boxes)",
            "--map old=new",
            "--skip-unresolved",
            "the table has dog",
        ),
    ),
    "an image without an id": (batched({"b": id_of("b")}, CAT), ("image names: 1 with 1 boxes", "--skip-unresolved")),
    "a class that could be two": (
        batched({"a": id_of("a")}, {"Cat": id_of("1"), "CAT": id_of("2")}),
        ("cat: several tags could be meant, got Cat, CAT", "--map"),
    ),
    "an image that could be two": (
        batched({"x/a": id_of("1"), "y/a": id_of("2")}, CAT),
        ("a: several images could be meant, got x/a, y/a", "by their paths"),
    ),
    "two images of one id": (
        batched({"a": id_of("a")}, CAT, "x/a", "y/a"),
        ("y/a: it and x/a would both be", "by their paths"),
    ),
    # Output
    "lines of XML": (
        written("o.jsonl", payload="xml"),
        ("o.jsonl: a .jsonl file takes JSON, got --payload xml", "name a folder"),
    ),
    "a file where a folder shall be": (
        written("o", before="o"),
        ("o: a folder is to be written, but a file", "choose another name"),
    ),
    "an output that exists": (written("o.jsonl", before="o.jsonl"), ("o.jsonl: exists already", "--overwrite")),
    "an output with other things": (
        written("o", before="o/mine.txt", overwrite=True),
        ("o: holds other files than payloads, got mine.txt", "choose another folder"),
    ),
    "an output inside a file": (written("f/o", before="f"), ("cannot be written", "nothing was left there")),
    "a full disk": (
        lambda _: regionbatch.write([Batch(b"")], Full()),
        ("the file object: cannot be written, got No space", "not whole"),
    ),
    "an output of an impossible name": (written("o" * 5000), ("cannot be a name, got File name too long",)),
    "an output that is here": (written(os.curdir), ("the current folder cannot be replaced", "name a folder in it")),
    "an output that is something else": (
        written("o.jsonl", before="o.jsonl", content="{}", overwrite=True),
        ("o.jsonl: holds something else than payloads", "choose another name"),
    ),
    "a payload that is none": (
        written("o", payload="yaml"),
        ("--payload: no such form, got yaml", "known: json, xml"),
    ),
    "an output that is text": (
        lambda folder: regionbatch.write(batches_of(dataset(folder)), io.StringIO()),  # type: ignore[arg-type]
        ("target: a path or a binary file is needed, got StringIO", "open it with 'wb'"),
    ),
    "a batch by hand that is too long": (
        lambda _: Batch.of([Entry(id_of("a"), id_of("b"), 0, 0, 1, 1)] * 65),
        ("entries: 1 to 64 with ids of 36 characters", "got 65"),
    ),
    "an output in a cloud": (
        lambda _: regionbatch.write([], "s3://bucket/o"),
        ("s3://bucket/o: only local paths can be written: 's3'", "then copy it there"),
    ),
    "a dataset in a cloud": (
        lambda _: regionbatch.read("az://container/set"),
        ("az://container/set: only local datasets can be read: 'az'", "Download it first"),
    ),
    "an output that is a device": (
        lambda _: regionbatch.write([], os.devnull),
        ("null: is a pipe or a device", "with -o -"),
    ),
    "an output that appears": (
        swapped("_sync_files", before=False, appears="o"),
        ("o: appeared during the run", "Choose another name"),
    ),
    "an output that changes": (
        swapped("_sync_files", before=True, appears="o"),
        ("o: was changed during the run: 'mine.txt'", "run it again"),
    ),
    "an output that appears in a swap": (
        swapped("_look_into", before=True, appears="nothing"),
        (".old'. Look at both.", "o: appeared during the run. What was there before is"),
    ),
    "an output that changes in a swap": (
        swapped("_look_into", before=True, appears=".o.*.old"),
        (".gone: was replaced, but cannot be deleted: 'Directory not empty'", "Look at what is there"),
    ),
    "an output that looks like a file": (
        written("o.xml"),
        ("o.xml: payloads go to a folder or a .jsonl file, got .xml",),
    ),
    "a report on a folder": (report_on("."), ("a report is a file, got the name of a folder", "choose another name")),
    "a report on labels": (report_on("mine.json"), ("mine.json: no place for a report", "choose another name")),
    "a report inside a file": (report_on("mine.json/r"), ("the report cannot be written, got", "choose another path")),
    "an empty name": (lambda _: regionbatch.read(""), ("DATASET: an empty name", "or . for this folder")),
    "a split of a loaded COCO": (
        loaded({"images": []}, split="val"),
        ("split: a loaded COCO has no files, got val", "leave it out"),
    ),
    "a loaded COCO as another format": (
        loaded({"images": []}, format="voc"),
        ("format: a loaded COCO is read as coco, got voc", "leave it out"),
    ),
    "a loaded COCO of something else": (
        loaded({"images": [], "annotations": {}}),
        ("COCO: annotations must be a list, got dict", "load a COCO file"),
    ),
    "neither a path nor a loaded COCO": (
        lambda _: regionbatch.read(None),  # type: ignore[arg-type]
        ("source: a path or a loaded COCO is needed, got NoneType",),
    ),
    # Plugins
    "two readers of one name": (
        plugged("csv", "a:A", "b:B"),
        ("csv: two readers have this name, got a:A and b:B", "uninstall one"),
    ),
    "a reader that cannot be loaded": (
        plugged("csv", "no_such_module:Reader"),
        ("csv: the reader of no_such_module:Reader cannot be loaded, got ModuleNotFoundError", "update or uninstall"),
    ),
    "a reader that is none": (
        plugged("csv", "json:JSONDecoder"),
        ("csv: the reader of json:JSONDecoder lacks title", "see"),
    ),
    "a reader that counts wrong": (
        lambda folder: regionbatch.read(folder, format=Counting()),
        ("the ledger of boxes does not add up: 1 read = 0 kept", "defect of the reader"),
    ),
    "a reader whose options are none": (
        plugged("odd", f"{__name__}:WithOddOptions"),
        ("odd: the options of the reader of", "which has no default", "Update or uninstall"),
    ),
    "a reader whose options are declared otherwise": (
        plugged("raising", f"{__name__}:Raising", options="regionbatch.options:CocoOptions"),
        ("raising: the options of the reader of", "are not the class", "Update or uninstall"),
    ),
    "a reader that raises": (
        plugged("raising", f"{__name__}:Raising"),
        ("raising: the reader is broken, it raised KeyError: 'a'", "update the package"),
    ),
    "two images of one name": (
        cleaned("x/a.jpg", "y/a.jpg"),
        ("a.jpg: two pictures have this name, got x/a.jpg and y/a.jpg", "rename one"),
    ),
    "a reader that refers to a file outside": (
        two_labels(Outside()),
        ("../a.txt: the reader refers to a file that is not in the dataset", "Update its package."),
    ),
    "a reader that returns the image of another file": (
        two_labels(Foreign()),
        ("ImageReferences.file: 0 is not the code of a file to read", "Update the reader"),
    ),
    "a reader that returns images in another order": (
        two_labels(Disordered()),
        ("the reader must return one image for each file, in the order of the files",),
    ),
}


def provoke(do: Callable[[Path], object], folder: Path) -> tuple[str, str, int]:
    """The message of the error that something ends in, and the file and line of its `raise`."""
    with pytest.raises(regionbatch.RegionBatchError) as caught:
        do(folder)
    frames = [
        one for one in traceback.extract_tb(caught.value.__traceback__) if Path(one.filename).is_relative_to(LIBRARY)
    ]
    return str(caught.value), frames[-1].filename, frames[-1].lineno or 0


def check(message: str, says: tuple[str, ...], *, strict: bool = False) -> None:
    first, *rest = message.split("\n")
    assert FORM.fullmatch(first), first
    assert bool(rest) == strict, "only strict reading tells more than a line"
    assert "Traceback" not in message
    for part in says:
        assert part in message


@pytest.mark.parametrize("name", READING)
def test_reading(name: str, tmp_path: Path) -> None:
    cause = READING[name]
    message, _, _ = provoke(partial(read, cause), tmp_path)
    check(message, cause.says, strict=bool(cause.options.get("strict")))


@pytest.mark.parametrize("name", DOING)
def test_doing(name: str, tmp_path: Path) -> None:
    do, says = DOING[name]
    message, _, _ = provoke(do, tmp_path)
    check(message, says)


def test_every_raise_is_provoked(tmp_path: Path) -> None:
    """Each `raise` of one of our errors in the core is where one of the causes above ends."""
    met: set[tuple[str, int]] = set()
    runs: list[Callable[[Path], object]] = [do for do, _ in DOING.values()]
    runs += [partial(read, cause) for cause in READING.values()]
    for number, do in enumerate(runs):
        (tmp_path / str(number)).mkdir()
        _, file, line = provoke(do, tmp_path / str(number))
        met.add((Path(file).name, line))
    family = {name for name, value in vars(errors).items() if isinstance(value, type)}
    helpers = {"_broken", "_ambiguous", "_unresolved"}
    missing, count = [], 0
    for path in MODULES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
                name = ast.unparse(node.exc.func).rpartition(".")[2]
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                if name in family | helpers:
                    count += 1
                    if not any((path.name, line) in met for line in lines):
                        missing.append(f"{path.name}:{node.lineno}: {name}")
    assert not "\n".join(missing)
    assert count > 60


ADVICE = {
    "not_a_box": "correct or remove it",
    "not_a_row": "--yolo-rows",
    "pixel_row": "convert them to shares",
    "negative_size": "correct the file",
    "empty_box": "correct or remove it",
    "duplicate": "remove one",
    "unclear_rotation": "correct it, or remove it",
    "unread_angle": "name it 'rotation'",
    "unknown_image": "correct it, or add the image",
    "unknown_category": "correct or add it",
    "unknown_class": "--names",
    "ambiguous_id": "give each its own id",
    "unknown_image_size": "--image-dir",
    "unresolved": "--map",
    "deleted": "remove the mark to keep it",
    "left_out": "--drop or --only",
    "clipped": "check the file",
    "mostly_outside": "drop such boxes with --max-clip",
    "reordered": "check the file",
    "box_from_segmentation": "the box around its segmentation was taken",
    "box_from_shape": "the box around it was taken",
    "marked": "drop its mark",
    "ambiguous_image": "name the folder with image_dir",
    "ignored_file": "see what it is",
    "extra_column": "they were ignored",
    "unreadable_file": "repair or remove it",
    "unsafe_xml": "remove its <!ENTITY",
    "not_an_image": "correct or remove it",
    "merged_image": "its boxes were put together",
    "image_not_on_disk": "the project may have it",
    "size_mismatch": "check that the boxes fit the image",
    "outside_dataset": "never opened",
    "over_region_limit": "remove some",
    "stale_filename": "the label file's own name was used",
    "shared_label": "both got its boxes",
    "second_label": "remove the wrong one",
    "odd_encoding": "check the names",
    "region_failed": "see its message",
    "region_exceeded": "remove some",
    "region_missing": "upload it again",
    "region_moved": "correct the one that is wrong",
    "region_extra": "remove it there if it is wrong",
    "project_full": "some will be refused",
    "set_changed": "compared with the project afresh",
    "picture_changed": "sends it again",
    "same_picture": "has the boxes of both",
    "picture_shrunk": "they stay true",
    "picture_refused": "--shrink",
    "tag_renamed": "trimmed, NFC",
    "tag_merged": "it became one tag",
    "matched_loosely": "check it",
    "shared_tag": "correct the table",
    "control_character": "--map",
    "similar_tags": "--map OLD=NEW",
    "mapped": "--map",
    "class_count_mismatch": "the names win",
    "no_box": "it is no box",
    "no_annotations": "its images have no boxes",
    "missing_label": "not read",
    "unlisted_label": "add it to them",
    "missing_split": "not read",
    "swapped_axes": "correct the tool",
    "doubtful_decision": "decide with this option",
}
"""What the message of each finding must end with, or nearly: the edit, the option, or what was done about it."""


def test_every_code_has_its_advice() -> None:
    assert set(ADVICE) == set(CODES)


@pytest.mark.parametrize("code", CODES)
def test_a_finding_says_where_and_what_to_do(code: str) -> None:
    report = FindingLog()
    report.note(code, "labels/a\x1b.txt", "a\nvalue", 7)
    [finding] = report.findings()
    check(finding.message, (", got a\\nvalue; ", CODES[code].what))
    assert finding.message.startswith("labels/a\\x1b.txt:7: ")
    assert ADVICE[code] in finding.message.rpartition(", got a\\nvalue; ")[2]


@pytest.mark.parametrize("format", ["coco", "voc", "yolo"])
def test_the_findings_and_errors_of_all_cases(format: str) -> None:  # noqa: A002
    """Every message that the conformance cases lead to, read as a user gets it."""
    kind = {"coco": "Coco", "voc": "Voc", "yolo": "Yolo"}[format]
    reader = plugins.get(format)
    assert type(reader).__name__ == f"{kind}Reader"
    told = 0
    for case in cases_in(ROOT / "fixtures" / format):
        try:
            found = regionbatch.read(case.input, format=format, **case.options(reader.options))
        except regionbatch.RegionBatchError as error:
            check(str(error), (), strict=isinstance(error, errors.StrictError))
            continue
        for finding in found.findings:
            check(finding.message, (ADVICE[finding.code],))
            told += 1
    assert told > 20


def test_an_id_table_of_ids(tmp_path: Path) -> None:
    """What the tables above take for granted: with the right files, nothing is wrong."""
    found = dataset(tmp_path)
    write_json(tmp_path / "tags.json", ids_of(found.tags))
    assert len(regionbatch.batches(found, tag_ids=tmp_path / "tags.json", image_ids={"a": id_of("a")})) == 1
