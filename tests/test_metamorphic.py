"""What must not matter does not: other spellings, orders and places of the same dataset give the same regions.

`test_scene.py` reverses records and adds pictures; here is the rest, and what only generated sets can show: that the
readers' fast ways and their patient ways are one.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import etree

import regionbatch
from helpers import ROOT, write_coco, write_json, write_voc, write_yolo
from regionbatch.errors import DatasetError
from regionbatch.readers.coco.jsonpieces import Kind, Pieces
from regionbatch.readers.coco.jsontext import document
from regionbatch.readers.coco.reader import CocoReader
from regionbatch.readers.coco.records import WANTED
from regionbatch.readers.yolo import tables
from regionbatch.testing import cases_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

FIXTURES = ROOT / "fixtures"
VARIANTS = sorted(path.name for path in (FIXTURES / "scene").iterdir() if path.is_dir())
COCO_CASES = [case for case in cases_in(FIXTURES / "coco") if not case.refused]


def told(dataset: regionbatch.Dataset) -> list[Any]:
    """What must stay: every region to the last bit, in any order; the account; the classes; the findings but places."""
    account = [dataset.ledger.read, dict(dataset.ledger.adjusted), dict(dataset.ledger.dropped)]
    return [sorted(dataset), account, sorted(dataset.tags), dataset.findings.counts()]


def files_of(folder: Path, *endings: str) -> list[Path]:
    """The files of a folder with some endings."""
    return [path for path in sorted(folder.rglob("*")) if path.suffix in endings]


# Changes to a whole folder; each gives where the dataset is then.


def with_crlf(folder: Path) -> None:
    for path in files_of(folder, ".json", ".xml", ".txt", ".yaml", ".data", ".names"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))


def with_byte_order_mark(folder: Path) -> None:
    for path in files_of(folder, ".json", ".xml", ".txt", ".yaml", ".data", ".names"):
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())


def as_utf16(folder: Path) -> None:
    for path in files_of(folder, ".json", ".xml", ".txt", ".yaml", ".data", ".names"):
        text = path.read_text(encoding="utf-8").replace('encoding="utf-8"', 'encoding="utf-16"')
        path.write_bytes(text.encode("utf-16"))


def on_one_line(folder: Path) -> None:
    """JSON without a blank, XML without a line end; for rows, a blank line between all and none at the end."""
    for path in files_of(folder, ".json"):
        path.write_text(json.dumps(load(path), separators=(",", ":"), ensure_ascii=False), encoding="utf-8")
    for path in files_of(folder, ".xml"):
        path.write_text(re.sub(r">\s+<", "><", path.read_text(encoding="utf-8")), encoding="utf-8")
    for path in files_of(folder / "labels", ".txt"):
        path.write_text(path.read_text(encoding="utf-8").replace("\n", "\n\n").rstrip(), encoding="utf-8")


def spread_out(folder: Path) -> None:
    """Blanks wherever they may stand; all but ASCII escaped."""
    for path in files_of(folder, ".json"):
        path.write_text(json.dumps(load(path), indent="\t \r\n", separators=(" \n, ", "\n :\t")), encoding="utf-8")
    for path in files_of(folder, ".xml"):
        root = etree.fromstring(path.read_bytes())
        etree.indent(root, "\t\n  ")
        path.write_bytes(etree.tostring(root, encoding="ascii"))
    for path in label_rows(folder):
        path.write_text(path.read_text(encoding="utf-8").replace(" ", " \t ").replace("\n", " \n"), encoding="utf-8")


def with_keys_reordered(folder: Path) -> None:
    """The fields of all JSON objects, the children of all XML elements, and the lines of data files, the other way."""
    for path in files_of(folder, ".json"):
        path.write_text(json.dumps(backwards(load(path)), ensure_ascii=False), encoding="utf-8")
    for path in files_of(folder, ".xml"):
        root = etree.fromstring(path.read_bytes())
        for element in root.iter():
            if element.tag not in ("polygon", "annotation"):
                element[:] = reversed(element)
        path.write_bytes(etree.tostring(root, encoding="utf-8"))
    for path in files_of(folder, ".data"):
        path.write_text("\n".join(reversed(path.read_text(encoding="utf-8").splitlines())), encoding="utf-8")


def with_numbers_spelt_otherwise(folder: Path) -> None:
    """10 as 10.0 and 1e1, in JSON also as "10"; ids too."""
    for path in files_of(folder, ".json"):
        content = load(path)
        for number, record in enumerate(content.get("annotations", ())):
            spell: Callable[[float], Any] = (float, str, lambda value: f"{value:.12e}")[number % 3]
            record.update({key: spell(record[key]) for key in ("image_id", "category_id") if number % 3 < 2})
            if "bbox" in record:
                record["bbox"] = [spell(value) for value in record["bbox"]]
        write_json(path, content)
    for path in files_of(folder, ".xml"):
        text = path.read_text(encoding="utf-8")
        text = re.sub(r"<(xm..|width)>(\d+)</", lambda found: f"<{found[1]}>{int(found[2]) / 10}e1</", text)
        path.write_text(re.sub(r"<(ym..|height)>(\d+)</", r"<\1>\2.0</", text), encoding="utf-8")
    for path in label_rows(folder):
        text = re.sub(r"(?m)^(\d+) ", r"\1.0 ", path.read_text(encoding="utf-8"))
        path.write_text(re.sub(r" 0\.", " .", text), encoding="utf-8")


def with_fields_of_other_tools(folder: Path) -> None:
    """Keys, elements and attributes that say nothing about boxes."""
    other = {"annotations": [{"bbox": [9, 9, 9, 9]}], "text": '},{"images":[{', "deep": [[[{}]]]}
    for path in files_of(folder, ".json"):
        if path.name == "notes.json":
            continue
        content = load(path)
        for key in ("images", "annotations", "categories"):
            content[key] = [{"other": other, **record, "more": other} for record in content.get(key, ())]
        write_json(path, {"before": other, **content, "after": [other, "}]}"]})
    for path in files_of(folder, ".xml"):
        text = path.read_text(encoding="utf-8").replace(
            "<object>", '<object id="1" b="&lt;">\n<other><name>x</name></other>'
        )
        path.write_text(text.replace("<filename>", "<!-- <object> --><?pi <object>?><filename>"), encoding="utf-8")
    for path in files_of(folder, ".yaml"):
        path.write_text("# train: nowhere\nother: {names: [x]}\n" + path.read_text(encoding="utf-8"), encoding="utf-8")


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def backwards(value: Any) -> Any:
    """A JSON value with the fields of all objects in it the other way round."""
    if isinstance(value, dict):
        return {key: backwards(value[key]) for key in reversed(value)}
    return [backwards(part) for part in value] if isinstance(value, list) else value


def label_rows(folder: Path) -> list[Path]:
    return [path for path in files_of(folder, ".txt") if re.match(rb"\d+ \d", path.read_bytes())]


@pytest.mark.parametrize(
    "change",
    [
        *(with_crlf, with_byte_order_mark, as_utf16, on_one_line, spread_out, with_keys_reordered),
        *(with_numbers_spelt_otherwise, with_fields_of_other_tools),
    ],
)
@pytest.mark.parametrize("variant", VARIANTS)
def test_same_after(variant: str, change: Callable[[Path], None], tmp_path: Path) -> None:
    shutil.copytree(FIXTURES / "scene" / variant, tmp_path / "scene")
    before = told(regionbatch.read(tmp_path / "scene"))
    change(tmp_path / "scene")
    assert told(regionbatch.read(tmp_path / "scene")) == before


@pytest.mark.parametrize("variant", VARIANTS)
def test_same_in_another_place(variant: str, tmp_path: Path) -> None:
    """Also where the folders above are called like parts of a dataset."""
    before = told(regionbatch.read(FIXTURES / "scene" / variant))
    for place in ("my set, of 東京 & Zürich (2)", "images/train/labels", "Annotations/annotations"):
        shutil.copytree(FIXTURES / "scene" / variant, tmp_path / place)
        assert told(regionbatch.read(tmp_path / place)) == before


# Generated sets.

edges = st.integers(0, 400).map(lambda eighths: eighths / 8)
boxes = st.lists(
    st.tuples(st.sampled_from("abc"), st.sampled_from(["cat", "Hund", "кот"]), st.tuples(edges, edges, edges, edges)),
    min_size=1,
    max_size=12,
)
IMAGES = dict.fromkeys(("a.jpg", "b.jpg", "c.jpg"), (200, 100))


@contextmanager
def new_folder() -> Iterator[Path]:
    """A folder for one example of a property."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@given(boxes, st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_three_formats_and_any_order_say_the_same(rows: list[Any], chance: Any) -> None:
    """Also boxes that are clipped, empty, or twice; numbers are eighths of pixels, so that every format holds them."""
    listed = [(f"{image}.jpg", tag, numbers) for image, tag, numbers in rows]
    shuffled = listed.copy()
    chance.shuffle(shuffled)
    results = []
    with new_folder() as folder:
        for number, some in enumerate((listed, shuffled)):
            ltwh = [(image, tag, (x - 5, y, w + 0.125, h)) for image, tag, (x, y, w, h) in some]
            corners = [(image, tag, (x, y, x + w, y + h)) for image, tag, (x, y, w, h) in ltwh]
            centres = [
                (image, tag, ((x + w / 2) / 200, (y + h / 2) / 100, w / 200, h / 100))
                for image, tag, (x, y, w, h) in ltwh
            ]
            write_coco(folder / f"coco{number}", ltwh, images=IMAGES)
            write_voc(folder / f"voc{number}", corners, images=IMAGES)
            write_yolo(folder / f"yolo{number}", centres, images=list(IMAGES))
            for format in ("coco", "voc", "yolo"):  # noqa: A001 - as everywhere
                options: dict[str, Any] = {"coco_boxes": "pixels"} if format == "coco" else {}
                dataset = regionbatch.read(folder / f"{format}{number}", format=format, **options)
                regions = sorted((region.image[:1], *region[1:2], *np.round(region[2:], 7)) for region in dataset)
                ledger = dataset.ledger
                results.append((regions, ledger.read, dict(ledger.adjusted), dict(ledger.dropped)))
    assert all(result == results[0] for result in results)


# The splitter of JSON, against `json.loads` of the whole.


class Loose(msgspec.Struct):
    """A record whose types fit nearly anything, so that pieces are decoded by type."""

    id: object = None


def pieces_of(path: Path, wanted: dict[str, Any], size: int) -> dict[str, list[Any]]:
    """The plain records of each array, read in pieces; a typed record is given as the value of its `id`."""
    found: dict[str, list[Any]] = {key: [] for key in wanted}
    with document(path) as opened:
        for piece in Pieces(opened, wanted, size):
            if piece.typed is None:
                found[piece.key] += [record.get("id") if isinstance(record, dict) else record for record in piece.plain]
            else:
                found[piece.key] += [record.id for record in piece.typed]
    return found


TRICKY = (
    *('},{"id":7}', '}],"annotations":[{', '"', "\\", '\\"', "]}", "[[[[", "}}}}", "\u2028é😀", "\x7f", "", "a" * 300),
    *('"annotations":[{"id":666}]', "{", "}", "},", "\n},\n{\n", "/* */", "\ud83d"),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.sampled_from(TRICKY) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "annotations", "a}", '"', "x"]), inner, max_size=3)
        | st.just([{"id": 1}, {"id": 2}])
    ),
    max_leaves=8,
)
records = st.dictionaries(st.sampled_from(["id", "x", "annotations", "images", "},{", "\\"]), values, max_size=4)
others = st.dictionaries(st.sampled_from(["info", "}", "licenses", "x]", 'annotations"']), values, max_size=3)
spellings = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"separators": (" \n,\r\n\t", " :  ")},
        {"indent": 1},
        {"indent": "\t\r\n", "ensure_ascii": True},
    ]
)


def spelt(content: dict[str, Any], spelling: dict[str, Any]) -> bytes:
    """JSON text; where it is not escaped, what UTF-8 cannot hold is."""
    text = json.dumps(content, **{"ensure_ascii": False, **spelling})
    return text.encode(errors="backslashreplace")


@given(
    before=others,
    arrays=st.permutations(["images", "annotations", "categories"]),
    columns=st.lists(st.lists(records, max_size=6), min_size=3, max_size=3),
    after=others,
    spelling=spellings,
    size=st.sampled_from([1, 7, 64, 200, 1024, 2**21]),
    mark=st.sampled_from([b"", b"\xef\xbb\xbf", b" \r\n\t"]),
)
@settings(max_examples=150)
def test_pieces_are_what_the_whole_says(
    before: dict[str, Any],
    arrays: list[str],
    columns: list[list[Any]],
    after: dict[str, Any],
    spelling: dict[str, Any],
    size: int,
    mark: bytes,
) -> None:
    """Whatever the size of a piece: records larger than it, brackets and quotes in strings, decoys, any order."""
    content = {
        **before,
        **dict(zip(arrays, columns, strict=True)),
        **{f"{key}2": value for key, value in after.items()},
    }
    text = spelt(content, spelling)
    whole = json.loads(text)
    with new_folder() as folder:
        path = folder / "a.json"
        path.write_bytes(mark + text)
        got = pieces_of(path, dict.fromkeys(arrays, Kind(Loose)), size)
    assert got == {key: [record.get("id") for record in whole[key]] for key in arrays}


@given(st.lists(values, max_size=5), spellings, st.sampled_from([1, 64, 2**21]))
@settings(max_examples=60)
def test_pieces_of_what_are_no_records(content: list[Any], spelling: dict[str, Any], size: int) -> None:
    """An array may hold anything: it comes as it is, for the reader to report."""
    text = spelt({"annotations": content}, spelling)
    wanted = [value.get("id") if isinstance(value, dict) else value for value in json.loads(text)["annotations"]]
    with new_folder() as folder:
        path = folder / "a.json"
        path.write_bytes(text)
        assert pieces_of(path, {"annotations": Kind(Loose)}, size)["annotations"] == wanted


@given(st.lists(records, min_size=1, max_size=4), st.integers(0, 10**6), spellings, st.sampled_from([64, 2**21]))
@settings(max_examples=60)
def test_a_document_that_is_cut_off_is_refused(
    content: list[Any], place: int, spelling: dict[str, Any], size: int
) -> None:
    """Wherever the cut is: half of a file is never taken for the whole."""
    text = spelt({"images": [], "annotations": content}, spelling)
    with new_folder() as folder:
        path = folder / "a.json"
        path.write_bytes(text[: place % (len(text) - 1) + 1])
        with pytest.raises(DatasetError):
            pieces_of(path, {"annotations": Kind(Loose)}, size)


def with_records_of_no_type(data: bytes) -> bytes:
    """A caption before the annotations, an image and a category of nothing: no type fits the piece they stand in."""
    for key, record in ((b"annotations", b'{"caption": ""}'), (b"images", b"{}"), (b"categories", b"{}")):
        data = re.sub(rb'("%b"\s*:\s*\[)(?=\s*{)' % key, rb"\1%b," % record, data)
    return data


@pytest.mark.parametrize("case", COCO_CASES, ids=[case.name for case in COCO_CASES])
def test_typed_records_and_plain_ones_are_read_alike(case: Any, tmp_path: Path) -> None:
    options = case.options(CocoReader.options)
    outcomes = []
    for plain in (False, True):
        copy = tmp_path / str(plain)
        shutil.copytree(case.path / "input", copy)
        for path in files_of(copy, ".json") if plain else ():
            path.write_bytes(with_records_of_no_type(path.read_bytes()))
        dataset = regionbatch.read(copy / case.expected.get("read", ""), format="coco", **options)
        findings = [(one.code, one.value) for one in dataset.findings if one.code not in ("no_box", "not_an_image")]
        images = dataset.images
        outcomes.append([list(dataset), dataset.tags, images.names, images.width.tolist(), findings])
    assert outcomes[0] == outcomes[1]


def test_records_of_no_type_do_what_the_test_above_needs(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = b'{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}'
    image = b'{"id": 1, "file_name": "a", "width": 9, "height": 9}'
    text = b'{"annotations": [%b], "images": [%b], "categories": [{"id": 1, "name": "b"}]}' % (record, image)
    for data, typed in ((text, True), (with_records_of_no_type(text), False)):
        path.write_bytes(data)
        with document(path) as opened:
            assert {piece.key for piece in Pieces(opened, WANTED) if (piece.typed is not None) is typed} == {*WANTED}


# Rows of YOLO: all at once, or line by line.

number_texts = (
    st.sampled_from(["0", "1", "-0", "0.0", "5e-1", "1E+2", "1e5", "99999999999999999999", "0.30000000000000004"])
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-2, max_value=2).map(str)
)
lines = st.lists(number_texts, max_size=9).map(" ".join)
row_texts = st.tuples(st.lists(lines, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n", " \n", "\n\t"])).map(
    lambda parts: parts[1].join(parts[0]).encode()
)


Columns = tuple[list[float], ...]


def columns_of(table: tables.Table) -> Columns:
    assert not table.odd
    return tuple(column.tolist() for column in (table.values, table.lengths, table.file, table.line))


def patiently(texts: list[bytes]) -> Columns:
    found: list[list[float]] = [[], [], [], []]
    for number, text in enumerate(texts):
        table = tables._line_by_line(text)
        for at, more in enumerate(columns_of(table._replace(file=table.file + number))):
            found[at] += more
    return tuple(found)


@given(st.lists(row_texts, min_size=1, max_size=5))
@example([b"", b"\n", b"\r\n", b"0 .5", b"1 2\r\n\r\n3"])
@example([b"0 0.5 0.5 0.25 0.25", b"1 0.5 0.5 0.25 0.25\n"])
@example([b"0\x0b1\x0c2 3\n", b" \t\n 4\n"])
@settings(max_examples=150)
def test_rows_at_once_are_the_rows_line_by_line(texts: list[bytes]) -> None:
    slow = patiently(texts)
    fast = tables._plain_numbers(texts)
    if fast is not None:
        assert columns_of(fast) == slow
        assert [column.dtype for column in fast[:4]] == [column.dtype for column in tables._line_by_line(b"0")[:4]]
    assert columns_of(tables.tabulate(tables._block(texts, {}, []))) == slow


@given(st.lists(st.binary(max_size=12) | row_texts, min_size=1, max_size=4))
@settings(max_examples=200)
def test_the_fast_way_takes_nothing_that_the_patient_way_refuses(texts: list[bytes]) -> None:
    fast = tables._plain_numbers(texts)
    if fast is not None:
        assert columns_of(fast) == patiently(texts)


# Lists of names and pictures.


def test_a_blank_line_in_a_list_counts(tmp_path: Path) -> None:
    """The class behind it keeps its number, as labelImg and darknet write it; the finding names the right line."""
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 .5 .5 .2 .2\n1 .5 .5 .2 .2\n2 .5 .5 .2 .2\n", encoding="utf-8")
    (tmp_path / "obj.names").write_text("cat\n\ndog \u2028x\n\n \n", encoding="utf-8")
    (tmp_path / "data.yaml").write_text("train: train.txt\n", encoding="utf-8")
    (tmp_path / "train.txt").write_text("\nimages/a.jpg\n\n\nimages/b.jpg\n", encoding="utf-8")
    dataset = regionbatch.read(tmp_path)
    assert [region.tag for region in dataset] == ["cat", "dog \u2028x"]
    places = {finding.code: finding.place for finding in dataset.findings}
    images = {"image_not_on_disk": "images/a.jpg"}
    assert places == {"missing_label": "train.txt:5", "unknown_class": "labels/a.txt:2", **images}
