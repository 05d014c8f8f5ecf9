"""What is fast is also right: every case of the fixtures is read alike with each short cut and without it.

The rules stand once. A short cut may only parse, list or order; here each is taken away in turn, and all that a caller
can see must stay: regions to the last bit, findings with their places, the account, the decisions, the messages.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import regionbatch as rb
from helpers import ROOT, always_helped, id_of
from regionbatch import association, boxes, ids, payload
from regionbatch.files import image_index
from regionbatch.readers.coco import jsonpieces
from regionbatch.readers.coco.reader import CocoReader
from regionbatch.readers.voc.reader import VocReader
from regionbatch.readers.yolo import tables as yolo_tables
from regionbatch.readers.yolo.reader import YoloReader
from regionbatch.testing import cases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regionbatch.files.image_index import ImageFolder
    from regionbatch.plugins import Reader
    from regionbatch.testing import Case

    Patch = Callable[[pytest.MonkeyPatch], None]

READERS: dict[str, Reader] = {"coco": CocoReader(), "voc": VocReader(), "yolo": YoloReader()}


def plain_records(patch: pytest.MonkeyPatch) -> None:
    """JSON records as Python's own parser gives them, never typed."""
    patch.setattr(jsonpieces, "typed_records", lambda *_: None)


def pieces_of_64_bytes(patch: pytest.MonkeyPatch) -> None:
    """JSON cut at nearly every record."""
    patch.setattr(jsonpieces.Pieces.__init__, "__defaults__", (64,))


def line_by_line(patch: pytest.MonkeyPatch) -> None:
    """Label files line by line, never many at once."""
    patch.setattr(yolo_tables, "_plain_numbers", lambda _texts: None)


def file_by_file(patch: pytest.MonkeyPatch) -> None:
    """Each label file by itself."""
    patch.setattr(yolo_tables, "_BLOCK", 1)


def image_by_image(patch: pytest.MonkeyPatch) -> None:
    """Each image looked up by itself among all, never a whole folder as a set of names."""

    def match_all(folder: ImageFolder, wanted: set[str]) -> Iterator[tuple[int, str]]:
        for image, name in enumerate(folder.names, folder.first):
            if not wanted.isdisjoint(image_index._names(name)):
                yield image, name

    patch.setattr(association._Matching, "_match_folder", lambda *_: None)
    patch.setattr(image_index, "_matching", match_all)


def row_by_row(patch: pytest.MonkeyPatch) -> None:
    """Boxes judged one at a time."""
    patch.setattr(boxes, "_BLOCK", 1)


def in_two_halves(patch: pytest.MonkeyPatch) -> None:
    """The second half by a helper: it is what only large datasets have, and here all do."""
    pieces_of_64_bytes(patch)
    always_helped(patch)


WAYS: dict[str, list[Patch]] = {
    "coco": [plain_records, pieces_of_64_bytes, image_by_image, row_by_row, in_two_halves],
    "voc": [image_by_image, row_by_row, in_two_halves],
    "yolo": [line_by_line, file_by_file, image_by_image, row_by_row, in_two_halves],
}
SCENE = ROOT / "fixtures" / "scene" / "yolo"
CASES = {
    f"{case.name}-{without.__name__}": (case, without)
    for format, ways in WAYS.items()  # noqa: A001 - the keyword of `read`
    for case in cases_in(ROOT / "fixtures" / format)
    for without in ways
}


def seen(case: Case) -> list[Any]:
    """All that reading a case shows to a caller."""
    format = case.name.split("/")[0]  # noqa: A001
    try:
        dataset = rb.read(case.input, format=format, **case.options(READERS[format].options))
    except rb.RegionBatchError as error:
        return [type(error), str(error), error.place, error.option]
    images, regions = dataset.images, dataset.regions
    return [
        list(dataset),
        [dataset.findings.files[file] for file in regions.file],
        [column.tolist() for column in (regions.where, regions.adjusted, images.width, images.height)],
        [
            images.names,
            images.paths,
            images.exact.tolist(),
            [images.splits[split] if split >= 0 else "" for split in images.split],
        ],
        dataset.tags,
        sorted(dataset.findings),
        [dataset.ledger, dict(dataset.decisions)],
    ]


@pytest.mark.parametrize(("case", "without"), CASES.values(), ids=CASES)
def test_the_same_without_a_short_cut(case: Case, without: Patch, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = seen(case)
    without(monkeypatch)
    assert seen(case) == expected


@pytest.mark.parametrize("format", WAYS)
def test_bodies_at_once_are_bodies_one_by_one(format: str) -> None:  # noqa: A002 - the keyword of `read`
    for case in cases_in(ROOT / "fixtures" / format):
        if case.refused:
            continue
        dataset = rb.read(case.input, format=format, **case.options(READERS[format].options))
        images, tags = ([id_of(name) for name in names] for names in (dataset.images.names, dataset.tags))
        rows = [(id_of(row[0]), id_of(row[1]), *row[2:]) for row in dataset]
        for size in (1, 2, 3) if rows else ():
            lines = payload.Bodies(images, tags).lines(dataset.regions, 0, len(rows) // size, size)
            starts = range(0, len(rows) // size * size, size)
            assert [line.tobytes() for line in lines] == [payload.body(rows[at : at + size]) + b"\n" for at in starts]


names = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(['"', '":"', "\\", "a"])
values = st.sampled_from([id_of("a"), id_of("b"), id_of("a").upper(), "", '"', 5, None, {"id": id_of("a")}])
pairs = st.lists(st.tuples(names, st.just(id_of("a")) | values), max_size=4)


@given(pairs, st.booleans(), st.booleans())
def test_ids_at_once_are_ids_pair_by_pair(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, spaced: bool, ascii_: bool
) -> None:
    dumps = json.JSONEncoder(ensure_ascii=ascii_, separators=(" , ", " : ") if spaced else None).encode
    text = "{" + ",".join(f"{dumps(name)}:{dumps(value)}" for name, value in rows) + "}"
    path = tmp_path_factory.getbasetemp() / "ids.json"
    path.write_text(text, encoding="utf-8")
    assert outcome(path) == outcome(path, at_once=False)


def outcome(path: Path, *, at_once: bool = True) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        if not at_once:
            patch.setattr(ids, "_plain_table", lambda _data: None)
        try:
            return rb.read_ids(path)
        except rb.ResolveError as error:
            return str(error)


NO_PICTURE = """
import sys
import regionbatch
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
dataset = regionbatch.read(sys.argv[1], format="yolo")
print(len(dataset), sum(bool(path) for path in dataset.images.paths))
print(*(path for path in opened if path.endswith((".txt", ".yaml", ".jpg", ".png"))), sep="\\n")
"""


def test_yolo_opens_no_picture() -> None:
    done = subprocess.run(  # in a process of its own: such a hook stays until the end
        [sys.executable, "-c", NO_PICTURE, SCENE], capture_output=True, text=True, check=True, encoding="utf-8"
    )
    counts, *opened = done.stdout.splitlines()
    assert counts == "12 6", "boxes, and pictures that are there"
    assert {Path(path).suffix for path in opened} == {".txt", ".yaml"}


def test_bad_label_files_are_told_wherever_they_stand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too large ones, one of them that of two pictures, and others that are no UTF-8: in any block, in both halves."""
    row, odd, large = b"0 0.5 0.5 0.25 0.25\n", b"0 0.5 0.5 0.25 0.25 \xe4\n", b"0" * (yolo_tables.LARGEST_FILE + 1)
    files = {"a": row, "b": odd, "c": large, "d": row, "e": row, "f": odd, "g": large, "h": row}
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    for name, content in files.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
        (tmp_path / f"{name}.jpg").touch()
    (tmp_path / "c.png").touch()

    def told() -> Any:
        dataset = rb.read(tmp_path, format="yolo")
        findings = sorted((finding.code, finding.place) for finding in dataset.findings)
        return [(region.image, region.tag) for region in dataset], findings, dataset.ledger

    expected = told()
    assert expected[0] == [(f"{name}.jpg", "cat") for name in "adeh"]
    assert [place for code, place in expected[1] if code == "unreadable_file"] == ["c.txt", "c.txt", "g.txt"]
    assert [place for code, place in expected[1] if code == "odd_encoding"] == ["b.txt", "f.txt"]
    file_by_file(monkeypatch)
    assert told() == expected
    always_helped(monkeypatch)
    assert told() == expected
