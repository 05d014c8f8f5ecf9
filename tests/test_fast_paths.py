"""Fast paths change nothing: fixture cases are read the same with and without each of them.

A fast path may only parse, list or sort faster. Here each is disabled in turn, and everything that
a caller can see must stay the same: regions to the last bit, findings with their places, the
ledger, the decisions, the messages.
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
from all_cases import check_each, one_of_each_kind
from helpers import ROOT, always_in_parts, fixture_cases, id_of
from regionbatch import boxes, image_matching, payload
from regionbatch.files import image_lookup, spelling
from regionbatch.files.folders import Folder
from regionbatch.files.image_index import ImageIndex
from regionbatch.files.tree import Tree
from regionbatch.names import tables
from regionbatch.readers.coco import json_stream
from regionbatch.readers.coco.reader import CocoReader
from regionbatch.readers.voc.ordinary import OrdinaryFiles
from regionbatch.readers.voc.reader import VocReader
from regionbatch.readers.yolo import row_parser as yolo_row_parser
from regionbatch.readers.yolo.reader import YoloReader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regionbatch.files.image_index import ImageFolder
    from regionbatch.plugins import Reader
    from regionbatch.testing import Case

    Patch = Callable[[pytest.MonkeyPatch], None]

READERS: dict[str, Reader] = {"coco": CocoReader(), "voc": VocReader(), "yolo": YoloReader()}


def plain_records(patch: pytest.MonkeyPatch) -> None:
    """Decode JSON records with Python's own parser, never typed."""
    patch.setattr(json_stream, "typed_records", lambda *_: None)


def line_by_line(patch: pytest.MonkeyPatch) -> None:
    """Parse label files line by line, never many at once."""
    patch.setattr(yolo_row_parser, "_parse_at_once", lambda _texts: None)


def file_by_file(patch: pytest.MonkeyPatch) -> None:
    """Parse each label file by itself."""
    patch.setattr(yolo_row_parser, "_BLOCK", 1)


def a_line_at_a_time(patch: pytest.MonkeyPatch) -> None:
    """Decode the numbers of each line of label files by themselves."""
    patch.setattr(yolo_row_parser, "_CHUNK", 1)


def every_file_by_lxml(patch: pytest.MonkeyPatch) -> None:
    """Parse VOC files with lxml, including those of the ordinary layout."""
    patch.setattr(OrdinaryFiles, "add", lambda *_: False)


def image_by_image(patch: pytest.MonkeyPatch) -> None:
    """Look up each image among all, never a whole folder as a set of names."""

    def match_all(folder: ImageFolder, wanted: set[str]) -> Iterator[tuple[int, str]]:
        for image, name in enumerate(folder.names, folder.first):
            if not wanted.isdisjoint(spelling.normalised_names(name)):
                yield image, name

    patch.setattr(image_matching._Matching, "_match_folder", lambda *_: None)
    patch.setattr(image_lookup, "_wanted_images", match_all)


def row_by_row(patch: pytest.MonkeyPatch) -> None:
    """Clean boxes one at a time."""
    patch.setattr(boxes, "BLOCK_ROWS", 1)


PATCHES: dict[str, list[list[Patch]]] = {
    "coco": [[plain_records, image_by_image, row_by_row]],
    "voc": [[every_file_by_lxml, image_by_image, row_by_row]],
    "yolo": [[line_by_line, image_by_image, row_by_row], [file_by_file, a_line_at_a_time]],
}
"""Patches that are applied together belong to different steps: parsing, images, rules."""
SCENE = ROOT / "fixtures" / "scene" / "yolo"


def result_of(case: Case) -> list[Any]:
    """Return everything that a caller can see of reading a case."""
    reader = READERS[case.name.partition("/")[0]]
    try:
        dataset = rb.read(case.input, format=reader, **case.options(reader.options))
    except rb.RegionBatchError as error:
        return [type(error), str(error), error.place, error.option]
    images, regions = dataset.images, dataset.regions
    return [
        list(dataset),
        [dataset.findings.files[file] for file in regions.file],
        [
            column.tolist()
            for column in (regions.where, regions.adjusted, images.width, images.height)
        ],
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


@pytest.mark.parametrize("format", PATCHES)
def test_result_is_the_same_without_a_fast_path(format: str) -> None:  # noqa: A002
    def check(case: Case) -> None:
        expected = result_of(case)
        for patches in PATCHES[format]:
            with pytest.MonkeyPatch.context() as context:
                for disable in patches:
                    disable(context)
                found = result_of(case)
            assert found == expected, [disable.__name__ for disable in patches]

    check_each(one_of_each_kind(fixture_cases(format)), check)


@pytest.mark.parametrize("format", PATCHES)
def test_bodies_written_together_equal_single_bodies(format: str) -> None:  # noqa: A002
    reader = READERS[format]
    readable = [case for case in fixture_cases(format) if not case.expects_error]
    for case in one_of_each_kind(readable):
        dataset = rb.read(case.input, format=reader, **case.options(reader.options))
        images, tags = (
            [id_of(name) for name in names] for names in (dataset.images.names, dataset.tags)
        )
        rows = [(id_of(row[0]), id_of(row[1]), *row[2:]) for row in dataset]
        for size in (1, 2, 3) if rows else ():
            lines = payload.blank_lines(len(rows) // size, size)
            columns = payload.entries_of(dataset.regions, slice(len(rows) // size * size))
            payload.Bodies(images, tags).write(lines, columns)
            starts = range(0, len(rows) // size * size, size)
            assert [line.tobytes() for line in lines] == [
                payload.body(rows[at : at + size]) + b"\n" for at in starts
            ]


names = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(['"', '":"', "\\", "a"])
values = st.sampled_from(
    [id_of("a"), id_of("b"), id_of("a").upper(), "", '"', 5, None, {"id": id_of("a")}]
)
pairs = st.lists(st.tuples(names, st.just(id_of("a")) | values), max_size=4)


@given(pairs, st.booleans(), st.booleans())
def test_id_tables_read_at_once_equal_tables_read_pair_by_pair(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, spaced: bool, ascii_: bool
) -> None:
    dumps = json.JSONEncoder(
        ensure_ascii=ascii_, separators=(" , ", " : ") if spaced else None
    ).encode
    text = "{" + ",".join(f"{dumps(name)}:{dumps(value)}" for name, value in rows) + "}"
    path = tmp_path_factory.getbasetemp() / "ids.json"
    path.write_text(text, encoding="utf-8")
    assert ids_or_error(path) == ids_or_error(path, at_once=False)


def ids_or_error(path: Path, *, at_once: bool = True) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        if not at_once:
            patch.setattr(tables, "_canonical_table", lambda _data: None)
        try:
            return rb.read_ids(path)
        except rb.ResolveError as error:
            return str(error)


OPENED_FILES = """
import sys
import regionbatch
opened = []
sys.addaudithook(lambda event, given: opened.append(str(given[0])) if event == "open" else None)
dataset = regionbatch.read(sys.argv[1], format="yolo")
print(len(dataset), sum(bool(path) for path in dataset.images.paths))
print(*(path for path in opened if path.endswith((".txt", ".yaml", ".jpg", ".png"))), sep="\\n")
"""


def test_yolo_opens_no_image() -> None:
    done = subprocess.run(  # in its own process: an audit hook cannot be removed
        [sys.executable, "-c", OPENED_FILES, SCENE],
        capture_output=True,
        text=True,
        check=True,
        encoding="utf-8",
    )
    counts, *opened = done.stdout.splitlines()
    assert counts == "12 6", "boxes, and images on disk"
    assert {Path(path).suffix for path in opened} == {".txt", ".yaml"}


def test_bad_label_files_are_reported_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Files that are too large (one for two images) or not UTF-8, in any block, in both parts."""
    row = b"0 0.5 0.5 0.25 0.25\n"
    odd = b"0 0.5 0.5 0.25 0.25 \xe4\n"
    large = b"0" * (yolo_row_parser.MAX_FILE_SIZE + 1)
    files = {"a": row, "b": odd, "c": large, "d": row, "e": row, "f": odd, "g": large, "h": row}
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    for name, content in files.items():
        (tmp_path / f"{name}.txt").write_bytes(content)
        (tmp_path / f"{name}.jpg").touch()
    (tmp_path / "c.png").touch()

    def result() -> Any:
        dataset = rb.read(tmp_path, format="yolo")
        findings = sorted((finding.code, finding.place) for finding in dataset.findings)
        return [(region.image, region.tag) for region in dataset], findings, dataset.ledger

    expected = result()
    assert expected[0] == [(f"{name}.jpg", "cat") for name in "adeh"]
    assert [place for code, place in expected[1] if code == "unreadable_file"] == [
        "c.txt",
        "c.txt",
        "g.txt",
    ]
    assert [place for code, place in expected[1] if code == "odd_encoding"] == ["b.txt", "f.txt"]
    file_by_file(monkeypatch)
    assert result() == expected
    always_in_parts(monkeypatch)
    assert result() == expected


def test_names_of_large_folders_are_in_the_order_of_python() -> None:
    some = ["b.txt", "a b.txt", "\udc80.txt", "\uffff.txt", "\U00010000.txt", "é.txt", "B.txt"]
    names = [f"{number * 7919 % 10_007}.txt" for number in range(10_000)] + some
    assert Folder(names).by_extension[".txt"] == sorted(names)
    long_names = [*names, f"{'x' * 200}.txt"]
    assert Folder(long_names).by_extension[".txt"] == sorted(long_names)


@pytest.mark.parametrize(
    "name",
    [
        "{:05}",
        "{:08}.txt",
        "a{:05}b.txt",
        "{:05}.tar.gz",
        "é{:05}.txt",
        "{:05}\u20ac.txt",
        "{0:05}{0:05}.txt",
    ],
)
def test_numbered_names_of_large_folders_are_in_the_order_of_python(name: str) -> None:
    names = [name.format(number * 7919 % 10_007) for number in range(10_000)]
    assert Folder(names)._names == sorted(names)
    others = [names[0][:-4], f"{name.format(0)}x", f"0{names[0][1:]}~", "a.txt"]
    longer_and_shorter = ["~" * (len(names[0]) + 1), "~" * (len(names[0]) - 1)]
    for more in (*([other] for other in others), longer_and_shorter):
        assert Folder([*names, *more])._names == sorted([*names, *more])


def test_images_with_one_stem_match_no_label_file_alone() -> None:
    index = ImageIndex([Tree.empty("dataset")])
    index.add_folder(0, "images", ["a.jpg", "a.png"])
    assert index.with_stems_of(0, ["a.TXT", "a.txt"]).tolist() == [-1, -1]
