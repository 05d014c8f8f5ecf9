"""The splitter of large JSON files, attacked: whatever is in a file, the pieces hold what the whole document holds."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import regionbatch as rb
from helpers import always_helped, mentions, raises_mentioning
from regionbatch.readers.coco import jsonpieces
from regionbatch.readers.coco.jsonpieces import Kind, Pieces
from regionbatch.readers.coco.jsontext import document

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (8, 64, 1000, 2**21)
"""Bytes a piece: far smaller than a record, about one, some, and what is used."""


class Record(msgspec.Struct):
    id: int
    bbox: tuple[float, float, float, float] | None = None
    name: str = ""


WANTED = {"images": Kind(Record), "annotations": Kind(Record)}


SHARES = (0, 0.5, -0.5)
"""By how much of a file the middle, which a helper begins at, is moved."""


def values(record: Any) -> Any:
    """What is compared of a record: id, bbox and name."""
    return (record.get("id"), record.get("bbox"), record.get("name", "")) if isinstance(record, dict) else record


def pieces_of(path: Path, size: int, helped: float | None = None) -> dict[str, list[Any]]:
    """The values of all records, by key, typed or plain; `helped`: with a helper, as `SHARES` say."""
    found: dict[str, list[Any]] = {}
    longest = "" if helped is None else "annotations"
    with document(path) as opened, pytest.MonkeyPatch.context() as patch:
        if helped is not None:
            always_helped(patch)
            patch.setattr(jsonpieces, "_START", int(helped * path.stat().st_size))
        for number, piece in enumerate(Pieces(opened, WANTED, size, longest=longest)):
            assert number < path.stat().st_size, "it goes round in a circle"
            typed = [(one.id, one.bbox and list(one.bbox), one.name) for one in piece.typed or ()]
            found.setdefault(piece.key, []).extend(typed or map(values, piece.plain))
    return {key: records for key, records in found.items() if records}


def whole(path: Path) -> dict[str, list[Any]]:
    content = json.loads(path.read_text(encoding="utf-8"))
    records = {key: content[key] for key in WANTED if isinstance(content.get(key), list) and content[key]}
    return {key: [*map(values, some)] for key, some in records.items()}


def check(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    if any(not isinstance(content.get(key), (list, type(None))) for key in WANTED):
        with raises_mentioning(rb.DatasetError, path.name, "annotations"):
            pieces_of(path, SIZES[0])
        return
    wanted = whole(path)
    for size in SIZES:
        assert pieces_of(path, size) == wanted
        for share in SHARES:
            assert pieces_of(path, size, share) == wanted


DECOYS = st.sampled_from(
    ["},{", "}]", "]}", '"', "\\", '\\"', '"annotations": [', "}, {", "{", "[", "\u2028", "ä", "😀", "", "\\u007d,{"]
)
TEXT = st.lists(DECOYS | st.text(max_size=3), max_size=4).map("".join)
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT | st.just("annotations"), inner, max_size=3),
    max_leaves=10,
)
BBOX = st.lists(st.floats(-9, 99), min_size=4, max_size=4) | st.none()
OTHER = {"name": TEXT, "x": VALUE, "segmentation": VALUE}
GOOD = st.fixed_dictionaries({"id": st.integers(0, 99)}, optional={"bbox": BBOX, **OTHER})
ODD = st.fixed_dictionaries({"id": st.text(max_size=2)}, optional={"bbox": VALUE, **OTHER}) | VALUE
DOCUMENT = st.fixed_dictionaries(
    {},
    optional={
        "info": VALUE,
        "images": st.lists(GOOD, max_size=6),
        "videos": st.lists(VALUE, max_size=3),
        "annotations": st.lists(GOOD, max_size=12) | st.lists(GOOD | ODD, max_size=12) | VALUE,
        "bbox_format": TEXT,
        "z": VALUE,
    },
)
LAYOUT = st.sampled_from(
    [{}, {"separators": (",", ":")}, {"indent": 1}, {"indent": "\t"}, {"separators": (" ,\n", "\r\n: ")}]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=300)
@given(content=DOCUMENT, keys=st.randoms(), layout=LAYOUT, ascii_only=st.booleans())
def test_any_document(
    tmp_path: Path, content: dict[str, Any], keys: Any, layout: dict[str, Any], ascii_only: bool
) -> None:
    order = list(content)
    keys.shuffle(order)
    text = json.dumps({key: content[key] for key in order}, ensure_ascii=ascii_only, **layout)
    path = tmp_path / "a.json"
    path.write_bytes(text.encode("utf-8", "surrogatepass") if ascii_only else text.encode("utf-8", "replace"))
    check(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"annotations": []}',
        '{"annotations": [ ] , "images":[\n]\n}',
        '{"annotations": [{"id": 1}], "x": {"annotations": [{"id": 2}]}}',
        '{"x": "\\"annotations\\": [{\\"id\\": 3}]", "annotations": [{"id": 1}]}',
        '{"annotations": [{"id": 1, "x": "},{"}, {"id": 2, "x": [{"y": 1},{"z": [2]}]}]}',
        '{"annotations": [{"id": 1, "x": "}]"}, {"id": 2}], "images": [{"id": 3, "x": [{"a": 1}]}]}',
        '{"annotations": [{"id": 1, "x": [{"a": 1}]}], "images": [{"id": 3}]}',
        '{"annotations": [{"id": 1, "x": [{"id": 9}], "y": 2}, {"id": 2}]}',
        '{"annotations": null, "images": [{"id": 2}]}',
        '{"annot\\u0061tions": [{"id": 1}], "im\\u0061ges": [{"id": 2}]}',
        '{"annotations": [1, null, "x", {"id": 4}, [], {}]}',
        '{"annotations": [{"id": 1, "x": "' + "a" * 5000 + '"}, {"id": 2}]}',
        '{"a": 1.5e-3, "b": -0, "c": true, "d": null, "annotations": [{"id": 1}], "e": []}',
        '{"annotations": [{"id": 1, "x": "\\\\"}, {"id": 2, "x": "\\\\\\""}, {"id": 3}]}',
        '{"images": [{"id": 1, "name": "{a},{b}"}]}',
        '{"annotations": [{"id": 1, "name": "},{"}, {"id": 2, "name": "a},{b"}], "images": [{"id": 3, "name": "},{"}]}',
    ],
)
def test_attacks(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    check(path)


@pytest.mark.parametrize(
    ("text", "token"),
    [
        ("", ""),
        ("[]", ""),
        ('{"annotations": [{"id": 1}', ""),
        ('{"annotations": [{"id": 1}]', ""),
        ('{"annotations": [{"id": 1},]}', ""),
        ('{"annotations": [{"id": 1}] "images": []}', "images"),
        ('{"annotations": [{"id": 1}], "annotations": [{"id": 2}]}', "annotations"),
        ('{"annotations": [{"id": 01}]}', ""),
        ('{"annotations": [{"id": 1 "x": 2}]}', ""),
        ('{"x": "never ends', ""),
        ('{"x": {"y": [1, 2}', ""),
        ("{annotations: []}", "annotations"),
        ('{"annotations": {"1": {"id": 1}}}', "annotations"),
        ('{"annotations": "none"}', "annotations"),
        ('{"annotations": [{"id": 1}]}{"annotations": [{"id": 2}]}', ""),
        ('{"annotations": [{"id": 1}]},', ""),
    ],
)
def test_broken_documents_are_told_with_their_line(tmp_path: Path, text: str, token: str) -> None:
    """And with the key, where one is at fault."""
    path = tmp_path / "a.json"
    path.write_text(text and "\n" + text, encoding="utf-8")
    for size in SIZES:
        for helped in (None, *SHARES):
            with pytest.raises(rb.DatasetError) as caught:
                pieces_of(path, size, helped)
            place = "a.json:2" if text else "a.json"
            assert caught.value.place == place
            assert mentions(caught.value, place)
            assert token in str(caught.value)


def test_a_document_that_is_cut_off_anywhere_is_told(tmp_path: Path) -> None:
    """Also behind a comma, where a helper's part has an end that was met before."""
    good, odd = '{"id": 1}', '{"id": "2"}'
    text = f'{{"images": [{good}], "annotations": [{", ".join([good] * 5)}, {odd}, {good}]}}'
    path = tmp_path / "a.json"
    for end in range(1, len(text)):
        path.write_text(text[:end], encoding="utf-8")
        for size in SIZES:
            for helped in (None, *SHARES):
                with pytest.raises(rb.DatasetError, match=r"^a\.json:1:"):
                    pieces_of(path, size, helped)


def test_a_place_on_a_long_line_has_its_column(tmp_path: Path) -> None:
    good = json.dumps({"id": 1, "x": "ä" * 300}, ensure_ascii=False)
    path = tmp_path / "a.json"
    path.write_text(f'{{\n"annotations": [{good}, {{"id": oops}}]}}', encoding="utf-8")
    at = path.read_bytes().splitlines()[1].index(b"oops") + 1
    for size in SIZES:
        with raises_mentioning(rb.DatasetError, f"a.json:2:{at}", "oops") as caught:
            pieces_of(path, size)
        assert getattr(caught.value, "place", "") == f"a.json:2:{at}"


def test_a_document_that_cannot_be_opened_has_the_place_that_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    for name in ("a.json", "gone.json"):
        for told, place in (("", name), (f"annotations/{name}", f"annotations/{name}")):
            with pytest.raises(rb.DatasetError) as caught, document(tmp_path / name, told):
                pass
            assert caught.value.place == place


def test_brackets_nested_too_deep_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(f'{{"annotations": [{{"id": "1", "x": {"[" * 100_000}{"]" * 100_000}}}]}}', encoding="utf-8")
    with pytest.raises(rb.DatasetError) as caught:
        pieces_of(path, SIZES[-1])
    assert caught.value.place.startswith("a.json")


def test_what_is_no_utf8_is_read_as_cp1252_as_a_whole(tmp_path: Path) -> None:
    """Not byte by byte: two names of different bytes would become one."""
    path = tmp_path / "a.json"
    path.write_bytes('{"images": [{"id": "Käse"}, {"id": "K'.encode() + b'\xe4se"}]}')
    with document(path) as opened:
        assert opened.guessed
        pieces = Pieces(opened, WANTED)
        assert [record["id"] for piece in pieces for record in piece.plain] == ["KÃ¤se", "Käse"]
