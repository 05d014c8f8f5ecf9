"""Mistakes in YOLO datasets: a small dataset for each error that reading can raise."""

from __future__ import annotations

from messages.causes import (
    ROW,
    YOLO,
    Cause,
)
from regionbatch.files.tree import MOST_LINES

YOLO_MISTAKES: dict[str, Cause] = {
    "no data file": Cause(
        {**YOLO, "a.yaml": "x: 1"},
        "a.yaml",
        {"format": "yolo"},
    ),
    "a file of an unknown format": Cause(
        {**YOLO, "a.yaml": "x: 1"},
        "a.yaml",
    ),
    "no labels": Cause(
        {"classes.txt": "cat"},
        "",
        {"format": "yolo"},
    ),
    "no such split of YOLO": Cause(
        {**YOLO, "data.yaml": "train: labels\nnames: [cat]"},
        options={"split": "test"},
    ),
    "pixels in YOLO": Cause(
        {**YOLO, "labels/a.txt": "0 155 144 481 298\n"},
    ),
    "tracks in YOLO": Cause(
        {**YOLO, "labels/a.txt": "0 0.5 0.5 0.2 0.2 0.91 2\n"},
    ),
    "kpt_shape of one of two datasets": Cause(
        {
            "a/b/c/d/data.yaml": "train: labels\nnames: [cat]\nkpt_shape: [1, 2]",
            "a/b/c/d/labels/a.txt": "0 .5 .5 .2 .2 .5 .5\n",
            "a/b/c/e/data.yaml": "train: labels\nnames: [cat]",
            "a/b/c/e/labels/a.txt": "0 .5 .5 .2 .2\n",
        },
    ),
    "KITTI in YOLO": Cause(
        {
            **YOLO,
            "labels/a.txt": "Car 0.00 0 -1.58 587.01 173.33 614.12 200.12 "
            "1.65 1.67 3.64 -0.65 1.71 46.70 -1.59\n",
        },
        options={"format": "yolo"},
    ),
    "keypoints of another length": Cause(
        {
            "labels/a.txt": "0 .5 .5 .2 .2 .5 .5 2\n",
            "data.yaml": "train: labels\nnames: [cat]\nkpt_shape: [2, 2]",
        },
    ),
    "keypoints without kpt_shape": Cause(
        {**YOLO, "labels/a.txt": "0 .5 .5 .4 .4 .4 .4 .6 .6\n"},
    ),
    "numbers that may be rotations": Cause(
        {**YOLO, "labels/a.txt": "0 .5 .5 .4 .1 1.5708\n"},
    ),
    "classes from 1": Cause(
        {**YOLO, "classes.txt": "cat\ndog\n", "labels/a.txt": "2 .5 .5 .4 .1\n1 .5 .5 .2 .1\n"},
    ),
    "names in an unknown mapping": Cause(
        {**YOLO, "data.yaml": "names: {a: b}"},
    ),
    "names in a missing file": Cause(
        {**YOLO, "data.yaml": "names: a.names"},
    ),
    "labels without their images": Cause(
        {**YOLO, "images/b.jpg": ""},
    ),
    "one folder for two splits": Cause(
        {**YOLO, "data.yaml": "train: x/labels\nval: y/labels\nnames: [cat]"},
        options={"split": "val"},
    ),
    "no names": Cause({"labels/a.txt": ROW}),
    "no names in one of two folders": Cause(
        {"x/classes.txt": "cat", "x/a.txt": ROW, "y/b.txt": ROW},
    ),
    "names that disagree": Cause(
        {**YOLO, "data.yaml": "names: [cow, dog]"},
    ),
    "lists of names of different lengths": Cause(
        {**YOLO, "data.yaml": "names: [cat, dog]"},
    ),
    "notes without numbers": Cause(
        {"labels/a.txt": ROW, "notes.json": '{"categories": [{"name": "cat"}]}'},
    ),
    "a missing file of names": Cause(YOLO, options={"names": "nowhere.txt"}),
    "a file without names": Cause(
        {"empty.txt": "", **YOLO},
        options={"names": "empty.txt"},
    ),
    "splits in missing folders": Cause(
        {"data.yaml": "train: x/y\nnames: [cat]"},
    ),
    "more lines than a list has": Cause(
        {
            **YOLO,
            "data.yaml": "names: [cat]\ntrain: train.txt\n",
            "train.txt": "\n" * (MOST_LINES + 1),
        },
    ),
    "a description that is too large": Cause(
        {**YOLO, "data.yaml": f"train: x\nnames: [cat]\n{'#' * 2**22}"},
    ),
    "a line break of YAML 1.1": Cause(
        {**YOLO, "data.yaml": "train: x\nnames: ['big\x85dog']"},
    ),
    "broken YAML": Cause(
        {**YOLO, "data.yaml": "train: x\nnames: [cat"},
    ),
    "a backslash in double quotes": Cause(
        {**YOLO, "data.yaml": 'path: "C:\\data"\nnames: [cat]'},
    ),
    "a path of a Windows user in double quotes": Cause(
        {**YOLO, "data.yaml": 'path: "C:\\Users\\x"\nnames: [cat]'},
    ),
    "a TAB in a path": Cause(
        {**YOLO, "data.yaml": 'train: "data\\train"\nnames: [cat]'},
    ),
    "a TAB in the path of a list of names": Cause({**YOLO, "data.yaml": 'names: "data\\t.names"'}),
    "a mapping for a path": Cause(
        {**YOLO, "data.yaml": "train: {images: x, labels: y}\nnames: [cat]"},
    ),
    "text to merge": Cause(
        {**YOLO, "data.yaml": "<<: base.yaml\nnames: [cat]"},
    ),
    "a description of too many values": Cause(
        {**YOLO, "data.yaml": "names:\n" + "- x\n" * 130_000},
    ),
    "a description of too many paths": Cause(
        {**YOLO, "data.yaml": f"train: [{'x, ' * 1001}]\nnames: [cat]"},
    ),
    "too many class names": Cause(
        {**YOLO, "classes.txt": "".join(f"{number}\n" for number in range(100_001))},
    ),
    "a list of too many lines": Cause(
        {**YOLO, "classes.txt": "\n" * 1_000_001},
    ),
    "a control character in YAML": Cause(
        {**YOLO, "data.yaml": "train: labels\nnames: [cat\x01]"},
    ),
    "duplicate names": Cause(
        {**YOLO, "data.yaml": "train: labels\nnames: [cat]\nnc: 1\nnames: [dog]"},
    ),
    "a duplicate number": Cause(
        {**YOLO, "data.yaml": "names:\n  0: cat\n  1: dog\n  '0': cow\n"},
    ),
    "names that are text": Cause({**YOLO, "data.yaml": "names: cat dog"}),
    "a huge data.yaml": Cause(
        {"data.yaml": "", **YOLO},
        sparse=2**26 + 1,
    ),
    "a huge list of names": Cause({"classes.txt": "", "labels/a.txt": ROW}, sparse=2**26 + 1),
}
