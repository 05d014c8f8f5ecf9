"""Files made to do harm: each ends in a clear error or a finding, within seconds and bounded memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, NamedTuple

import pytest

import regionbatch as rb
from helpers import ROOT, mentions, raises_mentioning, write_yolo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

POSIX = os.name == "posix"
SECONDS = 20
MEBIBYTES = 700


class Outcome(NamedTuple):
    """What reading came to: the account of the boxes and the findings by code, or an error."""

    read: int = 0
    kept: int = 0
    dropped: int = 0
    findings: Mapping[str, int] = {}
    error: str = ""


def run_bounded(path: Path, format: str) -> Outcome:  # noqa: A002 - the keyword of `read`
    """Read in a process of its own, with a limit on time and memory."""
    code = (
        "import json, resource, sys, regionbatch as rb\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({MEBIBYTES} << 20,) * 2)\n"
        "try:\n"
        "    dataset = rb.read(sys.argv[1], format=sys.argv[2])\n"
        "    ledger, counts = dataset.ledger, dataset.findings.counts()\n"
        "    print(json.dumps([ledger.read, ledger.kept, sum(ledger.dropped.values()), counts]))\n"
        "except rb.RegionBatchError as error:\n"
        "    print(json.dumps([0, 0, 0, {}, str(error)[:2000]]))\n"
    )
    # Fewer threads, so that their stacks do not count against the limit.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-c", code, str(path), format]
    done = subprocess.run(command, capture_output=True, timeout=SECONDS, check=False, env=environment)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return Outcome(*json.loads(done.stdout))


needs_posix = pytest.mark.skipif(not POSIX, reason="limits on memory, pipes and links need POSIX")


def coco(annotations: str, *, before: str = "", after: str = "") -> str:
    images = '[{"id": 1, "file_name": "a.jpg", "width": 100, "height": 100}]'
    categories = '[{"id": 1, "name": "cat"}]'
    return f'{{{before}"images": {images}, "categories": {categories}, "annotations": [{annotations}]{after}}}'


GOOD = '{"id": 7, "image_id": 1, "category_id": 1, "bbox": [10, 10, 20, 20]}'


@needs_posix
@pytest.mark.parametrize("where", ["in a record", "beside the arrays"])
def test_json_nested_a_hundred_thousand_deep(tmp_path: Path, where: str) -> None:
    deep = "[" * 100_000 + "]" * 100_000
    path = tmp_path / "deep.json"
    if where == "in a record":
        path.write_text(coco(GOOD[:-1] + f', "x": {deep}}}'), encoding="utf-8")
        assert mentions(run_bounded(path, "coco").error, "deep.json")
    else:
        path.write_text(coco(GOOD, after=f', "x": {deep}'), encoding="utf-8")
        assert run_bounded(path, "coco")[:2] == (1, 1)


@needs_posix
def test_number_with_a_million_digits(tmp_path: Path) -> None:
    number = "9" * 1_000_000
    path = tmp_path / "digits.json"
    records = [GOOD, GOOD.replace("[10,", f"[{number},"), GOOD.replace('"image_id": 1', f'"image_id": {number}')]
    path.write_text(coco(", ".join(records)), encoding="utf-8")
    told = run_bounded(path, "coco")
    assert told[:2] == (3, 1)
    assert (told.findings["not_a_box"], told.findings["unknown_image"]) == (1, 1)


@needs_posix
@pytest.mark.parametrize("content", ["a string without end", "one long string", "escaped quotes"])
def test_two_gigabyte_line(tmp_path: Path, content: str) -> None:
    """A sparse file: two gigabytes of zero bytes on one line, in a JSON string; or quotes that never close."""
    path = tmp_path / "huge.json"
    head = coco(GOOD)[:-2].encode() + b', {"id": 8, "caption": "'
    with path.open("wb") as file:
        file.write(head)
        if content == "escaped quotes":
            file.write(b'\\"' * 2_000_000)
        else:
            file.seek(2 * 2**30)
            file.write(b'"}]}' if content == "one long string" else b"x")
    told = run_bounded(path, "coco")
    assert mentions(told.error, "huge.json")


@needs_posix
@pytest.mark.parametrize(("format", "name"), [("yolo", "labels/a.txt"), ("voc", "Annotations/a.xml")])
def test_label_file_of_two_gigabytes(tmp_path: Path, format: str, name: str) -> None:  # noqa: A002
    good = {"yolo": ("labels/b.txt", "0 .5 .5 .2 .2\n"), "voc": ("Annotations/b.xml", VOC)}[format]
    for path, content in (good, ("classes.txt", "cat\n")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    with (tmp_path / name).open("wb") as file:
        file.seek(2 * 2**30)
        file.write(b"x")
    told = run_bounded(tmp_path, format)
    assert told[:2] == (1, 1)
    assert told.findings["unreadable_file"] == 1


VOC = """<annotation><filename>b.jpg</filename><size><width>100</width><height>100</height></size>
<object><name>cat</name><bndbox><xmin>10</xmin><ymin>10</ymin><xmax>20</xmax><ymax>20</ymax></bndbox></object>
</annotation>"""


def voc_folder(root: Path) -> Path:
    (root / "Annotations").mkdir()
    (root / "Annotations" / "b.xml").write_text(VOC, encoding="utf-8")
    return root / "Annotations"


@needs_posix
def test_billion_laughs(tmp_path: Path) -> None:
    entities = '<!ENTITY a0 "ha">' + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    bomb = f"<!DOCTYPE annotation [{entities}]>{VOC.replace('cat', '&a11;')}"
    (voc_folder(tmp_path) / "bomb.xml").write_text(bomb, encoding="utf-8")
    told = run_bounded(tmp_path, "voc")
    assert told[:2] == (1, 1)
    assert told.findings["unsafe_xml"] == 1


def test_external_entity_is_never_fetched(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("the secret", encoding="utf-8")
    (tmp_path / "data").mkdir()
    folder = voc_folder(tmp_path / "data")
    doctype = f'<!DOCTYPE annotation [<!ENTITY x SYSTEM "{secret.as_uri()}">]>'
    (folder / "bomb.xml").write_text(doctype + VOC.replace("cat", "&x;"), encoding="utf-8")
    dataset = rb.read(tmp_path / "data")
    assert dataset.findings.counts()["unsafe_xml"] == 1
    assert "the secret" not in " ".join(dataset.tags)


def test_doctype_that_names_a_dtd_is_read_and_not_fetched(tmp_path: Path) -> None:
    folder = voc_folder(tmp_path)
    doctype = '<!DOCTYPE annotation SYSTEM "http://127.0.0.1:9/never.dtd">'
    (folder / "b.xml").write_text(doctype + VOC, encoding="utf-8")
    assert len(rb.read(tmp_path)) == 1


@needs_posix
@pytest.mark.parametrize(("format", "name"), [("yolo", "labels/a.txt"), ("voc", "Annotations/a.xml")])
@pytest.mark.parametrize("kind", ["pipe", "folder", "broken link", "link loop"])
def test_label_file_that_is_no_file(tmp_path: Path, format: str, name: str, kind: str) -> None:  # noqa: A002
    good = {"yolo": ("labels/b.txt", "0 .5 .5 .2 .2\n"), "voc": ("Annotations/b.xml", VOC)}[format]
    for path, content in (good, ("classes.txt", "cat\n")):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(content, encoding="utf-8")
    odd = tmp_path / name
    if kind == "pipe":
        os.mkfifo(odd)
    elif kind == "folder":
        odd.mkdir()
    elif kind == "broken link":
        odd.symlink_to("nowhere")
    else:
        odd.symlink_to(odd)
    told = run_bounded(tmp_path, format)
    assert told[:2] == (1, 1)
    if kind != "folder":  # a folder called a.txt is a folder, and may hold labels itself
        assert told.findings["unreadable_file"] == 1


@needs_posix
@pytest.mark.parametrize("kind", ["pipe", "broken link", "link that leads out", "folder that leads out"])
def test_a_picture_whose_label_cannot_be_opened_does_not_go_without_boxes(tmp_path: Path, kind: str) -> None:
    folder = write_yolo(tmp_path / "set", [("b.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    (folder / "x" / "images").mkdir(parents=True)
    (folder / "x" / "images" / "a.jpg").touch()
    (folder / "b.jpg").touch()
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    if kind == "folder that leads out":
        (folder / "x" / "labels").symlink_to(tmp_path / "secret")
    else:
        (folder / "x" / "labels").mkdir()
        odd = folder / "x" / "labels" / "a.txt"
        if kind == "pipe":
            os.mkfifo(odd)
        else:
            odd.symlink_to("nowhere" if kind == "broken link" else tmp_path / "secret" / "a.txt")
    dataset = rb.read(folder)
    assert [region.image for region in dataset] == ["b.jpg"]
    assert list(dataset.images.names) == ["b.jpg"]
    assert dataset.ledger.images.dropped == {"unreadable_file": 1}
    [finding] = dataset.findings.first("unreadable_file")
    assert finding.file == "x/labels/a.txt"


def test_label_and_picture_in_different_unicode_forms(tmp_path: Path) -> None:
    for folder in ("x", "y"):
        (tmp_path / "images" / folder).mkdir(parents=True)
        (tmp_path / "labels" / folder).mkdir(parents=True)
        (tmp_path / "images" / folder / "e\u0301.jpg").touch()
        (tmp_path / "labels" / folder / "\u00e9.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    dataset = rb.read(tmp_path)
    assert len(dataset) == len(dataset.images) == sum(map(bool, dataset.images.paths)) == 2


@needs_posix
@pytest.mark.parametrize("name", ["coco", "voc", "yolo"])
def test_a_folder_that_may_not_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What is in it is lost, which nobody must overlook."""
    folder = tmp_path / "set"
    shutil.copytree(ROOT / "fixtures" / "scene" / name, folder)
    closed = next(path for path in sorted(folder.iterdir()) if path.is_dir())
    (closed / "private").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).rstrip(os.sep).endswith("private"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    dataset = rb.read(folder)
    [finding] = dataset.findings.first("unreadable_file")
    assert (finding.file, bool(finding.value)) == (f"{closed.name}/private", True)
    assert dataset.ledger.images.lost == 1


def test_folders_that_link_in_a_circle(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "labels" / "again").symlink_to(tmp_path)
    (tmp_path / "other").symlink_to(tmp_path / "labels")
    assert not run_bounded(tmp_path, "yolo").error


@needs_posix
def test_folders_without_end(tmp_path: Path) -> None:
    deep = tmp_path.joinpath(*["a"] * 90)
    deep.mkdir(parents=True)
    (deep / "a.txt").write_text("0 0.5 0.5 0.1 0.1\n", encoding="utf-8")
    with raises_mentioning(rb.DatasetError, "a/a", 64):
        rb.read(tmp_path)


def test_a_name_that_is_too_long() -> None:
    with pytest.raises(rb.DatasetNotFoundError):
        rb.read("a" * 5_000)


def test_nothing_outside_the_data_set_is_opened(tmp_path: Path) -> None:
    """A file name with `../`, an absolute one, and links that lead out: named, never opened."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    data = tmp_path / "data"
    (data / "images").mkdir(parents=True)
    (data / "labels").mkdir()
    (data / "labels" / "secret.txt").symlink_to(outside / "secret.txt")
    (data / "labels" / "linked").symlink_to(outside)
    (data / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (data / "classes.txt").write_text("cat\n", encoding="utf-8")
    (data / "data.yaml").write_text(
        f"train: [../outside, {outside.as_posix()}, images]\nnames: [cat]\n", encoding="utf-8"
    )
    dataset = rb.read(data, format="yolo")
    assert [region.image for region in dataset] == ["images/b"]
    assert dataset.findings.counts()["outside_dataset"] == 2


def test_coco_names_that_leave_the_folder_are_only_names(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    data = tmp_path / "data"
    data.mkdir()
    names = ["../secret.png", (tmp_path / "secret.png").as_posix(), "C:\\pictures\\secret.png"]
    images = [{"id": n, "file_name": name, "width": 10, "height": 10} for n, name in enumerate(names)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [1, 1, 5, 5]} for n in range(3)]
    content = {"images": images, "categories": [{"id": 1, "name": "cat"}], "annotations": boxes}
    (data / "a.json").write_text(json.dumps(content), encoding="utf-8")
    dataset = rb.read(data)
    assert len(dataset) == 3
    assert set(dataset.images.paths) == {""}
    assert dataset.findings.counts()["outside_dataset"] == 3


@needs_posix
def test_mask_that_lies_about_its_size(tmp_path: Path) -> None:
    """Run lengths that do not fill the mask would make C code read and write where it should not."""
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
        f'{{"id": {n}, "image_id": 1, "category_id": 1, "segmentation": {mask}}}' for n, mask in enumerate(masks)
    ]
    path = tmp_path / "masks.json"
    path.write_text(coco(", ".join([GOOD, *records])), encoding="utf-8")
    assert run_bounded(path, "coco")[:3] == (11, 1, 10)


@needs_posix
def test_yaml_that_grows(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "b.txt").write_text("0 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("\n".join([*lines, "names: *a9"]), encoding="utf-8")
    told = run_bounded(tmp_path, "yolo")
    assert told.error or told.read


@needs_posix
def test_yaml_nested_deep(tmp_path: Path) -> None:
    (tmp_path / "data.yaml").write_text("names: " + "[" * 50_000, encoding="utf-8")
    assert run_bounded(tmp_path, "yolo").error


@needs_posix
def test_picture_that_is_a_bomb(tmp_path: Path) -> None:
    """A header that declares 2 billion pixels a side: only the header is read."""
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (2**31 - 1).to_bytes(4, "big") * 2 + b"\x08\x02\0\0\0"
    (tmp_path / "a.png").write_bytes(header)
    path = tmp_path / "a.json"
    path.write_text(
        coco(GOOD).replace("a.jpg", "a.png").replace('"width": 100, "height": 100', '"x": 1'), encoding="utf-8"
    )
    assert not run_bounded(path, "coco").error


@needs_posix
def test_links_that_branch(tmp_path: Path) -> None:
    """Two links a folder to the next: 2^30 ways to the last."""
    for depth in range(30):
        (tmp_path / "set" / str(depth)).mkdir(parents=True)
        for name in "ab":
            (tmp_path / "set" / str(depth) / name).symlink_to(tmp_path / "set" / str(depth + 1))
    write_yolo(tmp_path / "set" / "30", [("a.jpg", "cat", (0.5, 0.5, 0.2, 0.2))])
    assert run_bounded(tmp_path / "set", "yolo")[:2] == (2, 2), "its own way, and that by one link"


@needs_posix
def test_names_that_lead_to_folders_that_are_not_there(tmp_path: Path) -> None:
    deep = "/".join(["a"] * 60)
    images = [{"id": n, "file_name": f"{n}/{deep}/{n}.jpg", "width": 9, "height": 9} for n in range(20_000)]
    content = {"images": images, "categories": [], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps(content), encoding="utf-8")
    told = run_bounded(tmp_path / "a.json", "coco")
    assert (told.read, told.error) == (0, "")


@needs_posix
def test_counts_of_a_mask_that_are_a_number(tmp_path: Path) -> None:
    shape = '{"size": [100, 100], "counts": 100000000000000000}'
    path = tmp_path / "a.json"
    path.write_text(
        coco(f'{GOOD}, {{"id": 8, "image_id": 1, "category_id": 1, "segmentation": {shape}}}'), encoding="utf-8"
    )
    assert run_bounded(path, "coco")[:3] == (2, 1, 1)
