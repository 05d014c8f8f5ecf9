"""Hostile files: each ends in an error or a finding, within seconds and bounded memory."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from bounded import needs_posix, run_bounded

import regionbatch as rb
from helpers import mentions

if TYPE_CHECKING:
    from pathlib import Path


def coco(annotations: str, *, before: str = "", after: str = "") -> str:
    images = '[{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}]'
    categories = '[{"id": 1, "name": "cat"}]'
    arrays = f'"images": {images}, "categories": {categories}, "annotations": [{annotations}]'
    return f"{{{before}{arrays}{after}}}"


GOOD = '{"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}'


@needs_posix
@pytest.mark.parametrize("where", ["in a record", "next to the arrays"])
def test_json_nested_100_000_levels_deep(tmp_path: Path, where: str) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    path = tmp_path / "deep.json"
    if where == "in a record":
        path.write_text(coco(GOOD[:-1] + f', "x": {deep}}}'), encoding="utf-8")
        assert mentions(run_bounded(path, "coco").error, "deep.json")
    else:
        path.write_text(coco(GOOD, after=f', "x": {deep}'), encoding="utf-8")
        assert run_bounded(path, "coco")[:2] == (1, 1)


@needs_posix
def test_a_number_with_a_million_digits(tmp_path: Path) -> None:
    number = "9" * 1_000_000
    path = tmp_path / "digits.json"
    records = [
        GOOD,
        GOOD.replace("[10,", f"[{number},"),
        GOOD.replace('"image_id": 1', f'"image_id": {number}'),
    ]
    path.write_text(coco(", ".join(records)), encoding="utf-8")
    outcome = run_bounded(path, "coco")
    assert outcome[:2] == (3, 1)
    assert (outcome.findings["not_a_box"], outcome.findings["unknown_image"]) == (1, 1)


@needs_posix
@pytest.mark.parametrize("content", ["an open string", "one long string", "escaped quotes"])
def test_a_line_that_is_larger_than_memory(tmp_path: Path, content: str) -> None:
    """A sparse file with a JSON string of zero bytes on one line; or quotes that never close.

    The process may use 250 MiB, and the line has 300 MiB.
    """
    path = tmp_path / "huge.json"
    head = coco(GOOD)[:-2].encode() + b', {"id": 8, "caption": "'
    with path.open("wb") as file:
        file.write(head)
        if content == "escaped quotes":
            file.write(b'\\"' * 2_000_000)
        else:
            file.seek(300 * 2**20)
            file.write(b'"}]}' if content == "one long string" else b"x")
    outcome = run_bounded(path, "coco", 250)
    assert mentions(outcome.error, "huge.json")


@needs_posix
@pytest.mark.parametrize(
    ("format", "name"), [("yolo", "labels/a.txt"), ("voc", "Annotations/a.xml")]
)
def test_a_large_label_file(tmp_path: Path, format: str, name: str) -> None:  # noqa: A002
    good = {"yolo": ("labels/b.txt", "0 .5 .5 .2 .2\n"), "voc": ("Annotations/b.xml", VOC)}[format]
    for path, content in (good, ("classes.txt", "cat\n")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    with (tmp_path / name).open("wb") as file:
        file.seek(2 * 2**30)
        file.write(b"x")
    outcome = run_bounded(tmp_path, format)
    assert outcome[:2] == (1, 1)
    assert outcome.findings["unreadable_file"] == 1


VOC = """<annotation><filename>b.jpg</filename><size><width>100</width><height>100</height></size>
<object><name>cat</name>
<bndbox><xmin>10</xmin><ymin>10</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""


def voc_folder(root: Path) -> Path:
    (root / "Annotations").mkdir()
    (root / "Annotations" / "b.xml").write_text(VOC, encoding="utf-8")
    return root / "Annotations"


@needs_posix
def test_billion_laughs(tmp_path: Path) -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(
        f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12)
    )
    bomb = f"<!DOCTYPE annotation [{entities}]>{VOC.replace('cat', '&a11;')}"
    (voc_folder(tmp_path) / "bomb.xml").write_text(bomb, encoding="utf-8")
    outcome = run_bounded(tmp_path, "voc")
    assert outcome[:2] == (1, 1)
    assert outcome.findings["unsafe_xml"] == 1


def test_an_external_entity_is_never_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret", encoding="utf-8")
    (tmp_path / "data").mkdir()
    folder = voc_folder(tmp_path / "data")
    doctype = f'<!DOCTYPE annotation [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    (folder / "bomb.xml").write_text(doctype + VOC.replace("cat", "&x;"), encoding="utf-8")
    dataset = rb.read(tmp_path / "data")
    assert dataset.findings.counts()["unsafe_xml"] == 1
    assert "the secret" not in " ".join(dataset.tags)


def test_a_dtd_is_never_fetched(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path)
    doctype = '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/never.dtd">'
    (folder / "b.xml").write_text(doctype + VOC, encoding="utf-8")
    assert len(rb.read(tmp_path)) == 1


@needs_posix
@pytest.mark.parametrize(
    ("format", "name"), [("yolo", "labels/{}.txt"), ("voc", "Annotations/{}.xml")]
)
def test_label_files_that_are_not_files(tmp_path: Path, format: str, name: str) -> None:  # noqa: A002
    good = {"yolo": ("labels/b.txt", "0 .5 .5 .2 .2\n"), "voc": ("Annotations/b.xml", VOC)}[format]
    for path, content in (good, ("classes.txt", "cat\n")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    os.mkfifo(tmp_path / name.format("pipe"))
    (tmp_path / name.format("folder")).mkdir()  # it may contain labels, so it has no finding
    (tmp_path / name.format("broken-link")).symlink_to("nowhere")
    loop = tmp_path / name.format("link-loop")
    loop.symlink_to(loop)
    outcome = run_bounded(tmp_path, format)
    assert outcome[:2] == (1, 1)
    assert outcome.findings["unreadable_file"] == 3


@needs_posix
def test_masks_whose_runs_do_not_add_up(tmp_path: Path) -> None:
    """C code would read and write outside its memory if such a mask reached it."""
    masks = [
        '{"size": [100, 100], "counts": [5, 99999999999]}',
        '{"size": [100, 100], "counts": [-5, 10005]}',
        '{"size": [1000000000, 1000000000], "counts": [0]}',
        '{"size": [100, 100], "counts": "' + "o" * 100_000 + '"}',
        '{"size": [100, 100], "counts": "\\u0000\\uffff"}',
        '{"size": [0, 0], "counts": []}',
        '{"size": "x", "counts": {}}',
        "[[1, 2, 3]]",
        '[["a", "b", "c", "d"]]',
        '{"size": [10, 10]}',
    ]
    records = [
        f'{{"id": {n}, "image_id": 1, "category_id": 1, "segmentation": {mask}}}'
        for n, mask in enumerate(masks)
    ]
    path = tmp_path / "masks.json"
    path.write_text(coco(", ".join([GOOD, *records])), encoding="utf-8")
    assert run_bounded(path, "coco")[:3] == (11, 1, 10)


@needs_posix
def test_yaml_with_exponential_aliases(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "names: *a9"]), encoding="utf-8")
    outcome = run_bounded(tmp_path, "yolo")
    assert outcome.error or outcome.read


@needs_posix
def test_yaml_nested_deeply(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: " + "[" * 50_000, encoding="utf-8")
    assert run_bounded(tmp_path, "yolo").error


@needs_posix
def test_an_image_that_declares_a_huge_size(tmp_path: Path) -> None:
    """Two billion pixels on each side; only the header is read."""
    header = (
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (2**31 - 1).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    )
    (tmp_path / "a.png").write_bytes(header)
    path = tmp_path / "a.json"
    path.write_text(
        coco(GOOD).replace("a.jpg", "a.png").replace('"width": 100, "height": 100', '"x": 1'),
        encoding="utf-8",
    )
    assert not run_bounded(path, "coco").error


@needs_posix
def test_a_mask_whose_counts_are_a_number(tmp_path: Path) -> None:
    shape = '{"size": [100, 100], "counts": 100000000000000000}'
    path = tmp_path / "a.json"
    path.write_text(
        coco(f'{GOOD}, {{"id": 8, "image_id": 1, "category_id": 1, "segmentation": {shape}}}'),
        encoding="utf-8",
    )
    assert run_bounded(path, "coco")[:3] == (2, 1, 1)
