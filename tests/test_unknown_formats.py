"""Files that no reader recognises: the error says what they are, and what to do with them."""

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
from regionbatch.plugins import BUILT_IN
from regionbatch.unknown_formats import UNPACK, UNSUPPORTED, identify_files

if TYPE_CHECKING:
    from pathlib import Path

KITTI = "Car 0.00 0 -1.57 599.41 156.40 629.75 189.25 2.85 2.63 12.34 0.47 1.49 69.44 -1.56\n"


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


FILES: dict[str, tuple[str, bytes | str, str, str]] = {
    "zip": ("data.zip", zipped(), "ZIP", UNPACK),
    "zip with another extension": ("data.json", zipped(), "ZIP", UNPACK),
    "gzip": ("instances.json.gz", gzip.compress(b"{}"), "gzip", UNPACK),
    "tar": ("data.tar", tarred(), "tar", UNPACK),
    "json lines": (
        "a.jsonl",
        '{"image": "a.jpg", "boxes": []}\n{"image": "b.jpg", "boxes": []}\n',
        "JSON record",
        UNSUPPORTED,
    ),
    "json lines with another extension": (
        "a.json",
        '{"image": "a.jpg"}\n{"image": "b.jpg"}\n',
        "JSON record",
        UNSUPPORTED,
    ),
    "tfrecord": (
        "train.tfrecord-00000-of-00010",
        b"\x20" + bytes(11) + b"\x0a" + bytes(40),
        "TFRecord",
        UNSUPPORTED,
    ),
    "cvat": ("a.xml", "<annotations><job/></annotations>", "CVAT", "cvat"),
    "cvat for video": (
        "a.xml",
        "<annotations><track id='1'/></annotations>",
        "CVAT for video",
        UNSUPPORTED,
    ),
    "capital letter": (
        "a.xml",
        "<Annotation><filename>a.jpg</filename></Annotation>",
        "<Annotation>",
        UNSUPPORTED,
    ),
    "imglab": (
        "a.xml",
        "<dataset><images><image file='a.jpg'/></images></dataset>",
        "imglab",
        UNSUPPORTED,
    ),
    "other xml": ("a.xml", "<svg/>", "<svg>", UNSUPPORTED),
    "kitti": ("000001.txt", KITTI, "KITTI", UNSUPPORTED),
    "mot": ("gt.txt", "1,1,10,20,30,40,1,1,1.0\n", "MOT", UNSUPPORTED),
    "dota": ("P1.txt", "1 2 3 4 5 6 7 8 plane 0\n", "DOTA", UNSUPPORTED),
    "dota with its header": (
        "P1.txt",
        "imagesource:GoogleEarth\ngsd:0.146\n1 2 3 4 5 6 7 8 plane 0\n",
        "DOTA",
        UNSUPPORTED,
    ),
    "labelme": ("a.json", '{"shapes": [], "imagePath": "a.jpg"}', "LabelMe", UNSUPPORTED),
    "label studio": (
        "a.json",
        '[{"id": 1, "annotations": [{"result": []}], "data": {"image": "a"}}]',
        "Label Studio",
        UNSUPPORTED,
    ),
    "createml": (
        "a.json",
        '[{"image": "a.jpg", "annotations": [{"label": "cat", "coordinates": {"x": 1}}]}]',
        "CreateML",
        UNSUPPORTED,
    ),
    "supervisely": (
        "a.json",
        '{"size": {}, "objects": [{"classTitle": "cat"}]}',
        "Supervisely",
        UNSUPPORTED,
    ),
    "datumaro": (
        "a.json",
        '{"info": {}, "categories": {"label": {}}, "items": []}',
        "Datumaro",
        UNSUPPORTED,
    ),
    "via": ("a.json", '{"a.jpg1": {"regions": [{"shape_attributes": {}}]}}', "VIA", UNSUPPORTED),
    "via csv": (
        "a.csv",
        "filename,file_size,file_attributes,region_shape_attributes\n",
        "VIA",
        UNSUPPORTED,
    ),
    "open images": (
        "a.csv",
        "ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax\n",
        "Open Images",
        UNSUPPORTED,
    ),
    "csv": ("a.csv", "filename,width,height,class,xmin,ymin,xmax,ymax\n", "CSV", UNSUPPORTED),
    "results": ("a.json", '[{"image_id": 1, "score": 0.5}]', "results", ""),
    "broken json": ("a.json", '{"images": [', "truncated", ""),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("as_file", [False, True])
def test_the_error_names_the_file_and_its_format(name: str, as_file: bool, tmp_path: Path) -> None:
    path, content, title, hint = FILES[name]
    (tmp_path / path).write_bytes(content.encode() if isinstance(content, str) else content)
    [identified] = identify_files(Tree.at(tmp_path), BUILT_IN)
    assert (identified.path, identified.hint or identified.reader) == (path, hint)
    assert mentions(identified.description, title)
    with pytest.raises(UnknownFormatError) as caught:
        rb.read(tmp_path / path if as_file else tmp_path)
    assert str(identified) in str(caught.value)


def test_an_installed_reader_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"shapes": [], "imagePath": "a.jpg"}', encoding="utf-8")
    for name in ("labelme", "LabelMe", "label_me"):
        [identified] = identify_files(Tree.at(tmp_path), [name])
        assert (identified.reader, identified.hint) == (name, "")
        assert f'`format="{name}"`' in str(identified)
    [identified] = identify_files(Tree.at(tmp_path), ["other"])
    assert (identified.reader, identified.hint) == ("", UNSUPPORTED)


def test_few_files_are_named_and_few_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(200):
        (tmp_path / f"{number}.zip").write_bytes(zipped())
        (tmp_path / f"{number}.xml").write_text(f"<r{number}/>", encoding="utf-8")
    opened: list[str] = []
    beginning = Tree.beginning

    def counted(tree: Tree, path: str) -> Any:
        opened.append(path)
        return beginning(tree, path)

    monkeypatch.setattr(Tree, "beginning", counted)
    assert len(identify_files(Tree.at(tmp_path), [])) == 3
    assert len(opened) < 20
