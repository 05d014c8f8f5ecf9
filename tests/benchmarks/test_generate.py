"""The benchmark's datasets have the promised content; plain scripts and regionbatch agree."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

import regionbatch
from helpers import mentions

HERE = Path(__file__).parent
IMAGES, BOXES = {"coco": 118, "voc": 17, "yolo": 118}, {"coco": 860, "voc": 40, "yolo": 860}

Rows = list[tuple[str, str, tuple[float, ...]]]
"""Stem of the image, ID of the tag, and left, top, width, height; sorted."""


def script(name: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(HERE / name), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=False)


def generate(kind: str, folder: Path, *options: object) -> Path:
    done = script("generate.py", kind, folder, "--scale", 0.001, *options)
    assert done.returncode == 0, done.stderr
    return folder


def digest(folder: Path) -> str:
    """Return a digest of the names and the bytes of all files."""
    files = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
    return hashlib.sha256(
        b"".join(name.encode() + b"\n" + files[name] for name in sorted(files))
    ).hexdigest()


def rows(data: Path, output: Path) -> Rows:
    """Return the regions of a JSONL file."""
    names = {
        number: Path(name).stem
        for name, number in json.loads((data / "images.json").read_bytes()).items()
    }
    found = []
    for line in output.read_bytes().splitlines():
        regions = json.loads(line)["regions"]
        assert len(regions) <= 64
        found += [
            (
                names[region["imageId"]],
                region["tagId"],
                tuple(region[key] for key in ("left", "top", "width", "height")),
            )
            for region in regions
        ]
    return sorted(found)


def same(one: Rows, other: Rows) -> bool:
    """Return whether rows agree, with numbers within 1e-6."""
    return len(one) == len(other) and all(
        a[:2] == b[:2] and a[2] == pytest.approx(b[2], abs=1e-6)
        for a, b in zip(one, other, strict=True)
    )


@pytest.fixture(scope="module")
def sets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("sets")
    return {kind: generate(kind, folder / kind) for kind in BOXES}


@pytest.fixture(scope="module")
def plain(sets: dict[str, Path]) -> dict[str, Rows]:
    """Return the regions that the plain scripts write."""
    found = {}
    for kind, data in sets.items():
        done = script("rivals.py", "plain", kind, data, data / "plain.jsonl")
        assert (done.stdout.strip(), done.stderr) == (str(BOXES[kind]), "")
        found[kind] = rows(data, data / "plain.jsonl")
    return found


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("coco", "bb39137ed6720cd21aeb67384ad329fc501302ee82db090b14896e1d9a01a5c1"),
        ("voc", "d7c5841a8a5d1fbc2170072a86a245f0ebf70556541b402adb9f92bf3e51d790"),
        ("yolo", "7055f707a6f8d33ae8cc02468f81c296d0742270d9a0ed07a166f70083c4d61b"),
    ],
)
def test_seed_gives_the_same_bytes_everywhere(
    sets: dict[str, Path], kind: str, expected: str, tmp_path: Path
) -> None:
    assert digest(sets[kind] / "dataset") == expected
    assert digest(generate(kind, tmp_path / "other", "--seed", 18) / "dataset") != expected


@pytest.mark.parametrize("kind", BOXES)
def test_facts(sets: dict[str, Path], kind: str) -> None:
    facts = json.loads((sets[kind] / "facts.json").read_bytes())
    assert (facts["images"], facts["regions"]) == (IMAGES[kind], BOXES[kind])
    assert facts["images_with_boxes"] == {"coco": 117, "voc": 17, "yolo": 117}[kind]
    for name, count in (("images", IMAGES[kind]), ("tags", facts["classes"])):
        ids = json.loads((sets[kind] / f"{name}.json").read_bytes())
        assert len(ids) == len(set(ids.values())) == count


def test_coco(sets: dict[str, Path]) -> None:
    text = (sets["coco"] / "dataset/annotations/instances_train2017.json").read_text(
        encoding="utf-8"
    )
    document: dict[str, Any] = json.loads(text)
    assert text == json.dumps(document), "one line, separators and numbers as json writes them"
    assert list(document) == ["info", "licenses", "images", "annotations", "categories"]
    assert (
        document["categories"][0]["id"],
        document["categories"][-1]["id"],
        len(document["categories"]),
    ) == (
        1,
        90,
        80,
    )
    images = {image["id"]: image for image in document["images"]}
    annotations = document["annotations"]
    assert len(annotations) == BOXES["coco"]
    assert all(one["id"] < other["id"] for one, other in pairwise(annotations))
    assert sum(annotation["iscrowd"] for annotation in annotations) == BOXES["coco"] // 85
    for annotation in annotations:
        left, top, width, height = annotation["bbox"]
        image, shape = images[annotation["image_id"]], annotation["segmentation"]
        assert left >= 0 <= top
        assert left + width <= image["width"] + 1e-9
        assert top + height <= image["height"] + 1e-9
        if annotation["iscrowd"]:
            assert sum(shape["counts"]) == image["width"] * image["height"]
        else:
            x, y = ([number for part in shape for number in part[axis::2]] for axis in (0, 1))
            enclosing = [min(x), min(y), max(x) - min(x), max(y) - min(y)]
            assert enclosing == pytest.approx([left, top, width, height])


def test_voc(sets: dict[str, Path]) -> None:
    folder = sets["voc"] / "dataset"
    stems = (folder / "ImageSets/Main/trainval.txt").read_text(encoding="utf-8").split()
    files = sorted((folder / "Annotations").glob("*.xml"))
    assert [path.stem for path in files] == stems
    assert sum(len(ET.parse(path).findall("object")) for path in files) == BOXES["voc"]


def test_yolo(sets: dict[str, Path]) -> None:
    folder = sets["yolo"] / "dataset"
    files = sorted((folder / "labels/train2017").glob("*.txt"))
    assert len(files) == IMAGES["yolo"]
    assert [path.stem for path in sorted((folder / "images/train2017").glob("*.jpg"))] == [
        path.stem for path in files
    ]
    lines = [line for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    assert len(lines) == BOXES["yolo"]
    assert {len(line.split()) for line in lines} == {5}


def test_image_headers_have_the_size_of_the_annotations(
    sets: dict[str, Path], tmp_path: Path
) -> None:
    image_size = pytest.importorskip("PIL.Image")
    document = json.loads(
        (sets["coco"] / "dataset/annotations/instances_train2017.json").read_bytes()
    )
    for image in document["images"]:
        with image_size.open(
            sets["yolo"] / "dataset/images/train2017" / image["file_name"]
        ) as opened:
            assert opened.size == (image["width"], image["height"])
    bare = generate("yolo", tmp_path / "bare", "--no-images")
    assert not list(bare.rglob("*.jpg"))


def test_formats_hold_the_same_scene(plain: dict[str, Rows]) -> None:
    assert same(plain["coco"], plain["yolo"])


@pytest.mark.parametrize("kind", BOXES)
def test_regionbatch_writes_what_the_plain_script_writes(
    sets: dict[str, Path], plain: dict[str, Rows], kind: str, tmp_path: Path
) -> None:
    data, output = sets[kind], tmp_path / "out.jsonl"
    dataset = regionbatch.read(data / "dataset")
    regionbatch.write(
        regionbatch.batches(dataset, tag_ids=data / "tags.json", image_ids=data / "images.json"),
        output,
    )
    assert same(rows(data, output), plain[kind])


@pytest.mark.skipif(sys.platform == "win32", reason="run.py needs wait4")
def test_run_measures_and_notices_a_lost_box(tmp_path: Path) -> None:
    command = (
        "run.py",
        "coco",
        "--scale",
        0.001,
        "--repeat",
        2,
        "--only",
        "regionbatch",
        "plain",
        "touch",
    )
    measured = json.loads(script(*command, "--out", tmp_path, "--json").stdout)
    entries = measured["heats"][0]["entries"]
    assert [(entry["name"], entry["trouble"], len(entry["runs"])) for entry in entries] == [
        ("regionbatch", "", 2),
        ("plain", "", 2),
        ("touch", "", 2),
    ]
    assert all(
        run["cpu"] > 0 and run["wall"] > 0 and run["peak"] > 5
        for entry in entries
        for run in entry["runs"]
    )
    facts = tmp_path / "coco-0.001-17" / "facts.json"
    facts.write_text(facts.read_text(encoding="utf-8").replace("860", "861"), encoding="utf-8")
    done = script(*command, "--out", tmp_path)
    assert done.returncode == 1
    assert any(
        mentions(line, "regionbatch", BOXES["coco"], 861) for line in done.stdout.splitlines()
    )
