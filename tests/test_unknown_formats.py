"""What the message says about files that no reader claims: what they are, and what can be done."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import mentions
from regionbatch.errors import UnknownFormatError
from regionbatch.files.tree import Tree
from regionbatch.unknown_formats import found_in

if TYPE_CHECKING:
    from pathlib import Path

KITTI = "Car 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n"
LATER, UNPACK = "not supported yet", "unpack it"


def zipped() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.json", "{}")
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(tarfile.TarInfo("a.json"))
    return buffer.getvalue()


FOUND: dict[str, tuple[str, bytes | str, tuple[str, ...]]] = {
    "zip": ("data.zip", zipped(), ("ZIP", UNPACK)),
    "zip called otherwise": ("data.json", zipped(), ("ZIP", UNPACK)),
    "gzip": ("instances.json.gz", gzip.compress(b"{}"), ("gzip", UNPACK)),
    "tar": ("data.tar", tarred(), ("tar", UNPACK)),
    "json lines": (
        "a.jsonl",
        '{"image": "a.jpg", "boxes": []}\n{"image": "b.jpg", "boxes": []}\n',
        (LATER, "each line"),
    ),
    "json lines called json": ("a.json", '{"image": "a.jpg"}\n{"image": "b.jpg"}\n', (LATER, "each line")),
    "tfrecord": ("train.tfrecord-00000-of-00010", b"\x20" + bytes(11) + b"\x0a" + bytes(40), ("TFRecord", LATER)),
    "cvat": ("a.xml", "<annotations><job/></annotations>", ("CVAT", "--format cvat")),
    "cvat for video": ("a.xml", "<annotations><track id='1'/></annotations>", ("CVAT for video", LATER)),
    "capitals": ("a.xml", "<Annotation><filename>a.jpg</filename></Annotation>", ("<Annotation>", "Pascal VOC", LATER)),
    "imglab": ("a.xml", "<dataset><images><image file='a.jpg'/></images></dataset>", ("imglab", LATER)),
    "other xml": ("a.xml", "<svg/>", ("<svg>", LATER)),
    "kitti": ("000001.txt", KITTI, ("KITTI", LATER)),
    "mot": ("gt.txt", "1,1,10,20,30,40,1,1,1.0\n", ("MOT", LATER)),
    "dota": ("P1.txt", "1 2 3 4 5 6 7 8 plane 0\n", ("DOTA", LATER)),
    "labelme": ("a.json", '{"shapes": [], "imagePath": "a.jpg"}', ("labelme", LATER)),
    "label studio": (
        "a.json",
        '[{"id": 1, "annotations": [{"result": []}], "data": {"image": "a"}}]',
        ("Label Studio",),
    ),
    "createml": (
        "a.json",
        '[{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}]',
        ("CreateML", LATER),
    ),
    "supervisely": ("a.json", '{"size": {}, "objects": [{"classTitle": "cat"}]}', ("Supervisely", LATER)),
    "datumaro": ("a.json", '{"info": {}, "categories": {"label": {}}, "items": []}', ("Datumaro", LATER)),
    "via": ("a.json", '{"a.jpg1": {"regions": [{"shape_attributes": {}}]}}', ("VIA", LATER)),
    "via csv": ("a.csv", "filename,file_size,file_attributes,region_shape_attributes\n", ("VIA", LATER)),
    "open images": ("a.csv", "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n", ("Open Images", LATER)),
    "csv": ("a.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n", ("CSV", LATER)),
    "results": ("a.json", '[{"image_id": 1, "score": 0.5}]', ("results",)),
    "broken json": ("a.json", '{"images": [', ("cut off",)),
}


@pytest.mark.parametrize("name", FOUND)
@pytest.mark.parametrize("as_file", [False, True])
def test_what_was_found_is_named(name: str, as_file: bool, tmp_path: Path) -> None:
    file, content, says = FOUND[name]
    (tmp_path / file).write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(UnknownFormatError) as caught:
        rb.read(tmp_path / file if as_file else tmp_path)
    assert mentions(str(caught.value), file, *says, "--format")


def test_an_installed_reader_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shapes": [], "imagePath": "a.jpg"}', encoding="utf-8")
    for name in ("labelme", "LabelMe", "label_me"):
        [found] = found_in(Tree.at(tmp_path), [name])
        assert mentions(found, f"--format {name}")
    [found] = found_in(Tree.at(tmp_path), ["other"])
    assert mentions(found, LATER)


def test_few_are_named_and_nothing_is_read_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(200):
        (tmp_path / f"{number}.zip").write_bytes(zipped())
        (tmp_path / f"{number}.xml").write_text(f"<r{number}/>", encoding="utf-8")
    looked_at: list[str] = []
    beginning = Tree.beginning

    def counted(tree: Tree, path: str) -> Any:
        looked_at.append(path)
        return beginning(tree, path)

    monkeypatch.setattr(Tree, "beginning", counted)
    assert len(found_in(Tree.at(tmp_path), [])) == 3
    assert len(looked_at) < 20
