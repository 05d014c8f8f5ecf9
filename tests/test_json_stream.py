"""JSON streams: whatever is in a file, the chunks hold the same records as the whole document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import regionbatch as rb
from helpers import mentions, raises_mentioning
from regionbatch.files.storage import LOCAL
from regionbatch.readers.coco.json_parts import DecodedParts, decode_part, divide
from regionbatch.readers.coco.json_stream import ArraySpec, ArrayStream
from regionbatch.readers.coco.json_text import document

if TYPE_CHECKING:
    from pathlib import Path

SIZES = (8, 64, 1000, 2**21)
"""Sizes of chunks in bytes: much less than a record, about one, several, and the whole file."""


class Record(msgspec.Struct):
    id: int
    bbox: tuple[float, float, float, float] | None = None
    name: str = ""


SPECS = {"images": ArraySpec(Record), "annotations": ArraySpec(Record)}


PARTS = (2, 3, 7)
"""Numbers of parts that are decoded apart from the rest."""


def values(record: Any) -> Any:
    """Return the values of a record that are compared."""
    if not isinstance(record, dict):
        return record
    return record.get("id"), record.get("bbox"), record.get("name", "")


def read_in_chunks(path: Path, size: int, parts: int = 1) -> dict[str, list[Any]]:
    """Return the values of all records by key, with some parts decoded apart from the rest."""
    found: dict[str, list[Any]] = {}
    with document(path) as opened, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ArrayStream.__init__, "__defaults__", (size,))
        jobs = divide(LOCAL, str(path), parts, "annotations", SPECS["annotations"])
        decoded = DecodedParts([job.start for job in jobs], [decode_part(*job) for job in jobs])
        stream = ArrayStream(opened, SPECS, longest="annotations", parts=decoded)
        for number, chunk in enumerate(stream):
            assert number < path.stat().st_size, "it never ends"
            typed = [(one.id, one.bbox and list(one.bbox), one.name) for one in chunk.typed or ()]
            found.setdefault(chunk.key, []).extend(typed or map(values, chunk.plain))
    return {key: records for key, records in found.items() if records}


def read_whole(path: Path) -> dict[str, list[Any]]:
    """Return the same, decoded by `json.loads`."""
    content = json.loads(path.read_text(encoding="utf-8"))
    found = {}
    for key in SPECS:
        if isinstance(content.get(key), list) and content[key]:
            found[key] = [*map(values, content[key])]
    return found


def check_chunks(path: Path) -> None:
    """Check that chunks of every size hold the records of the whole document."""
    content = json.loads(path.read_text(encoding="utf-8"))
    if any(not isinstance(content.get(key), (list, type(None))) for key in SPECS):
        with raises_mentioning(rb.DatasetError, path.name, "annotations"):
            read_in_chunks(path, SIZES[0])
        return
    expected = read_whole(path)
    for size in SIZES:
        for parts in (1, *PARTS):
            assert read_in_chunks(path, size, parts) == expected


DECOYS = st.sampled_from(
    [
        "},{",
        "}]",
        "]}",
        '"',
        "\\",
        '\\"',
        '"annotations": [',
        "}, {",
        "{",
        "[",
        "\u2028",
        "ä",
        "😀",
        "",
        "\\u007d,{",
    ]
)
TEXT = st.lists(DECOYS | st.text(max_size=3), max_size=4).map("".join)
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(TEXT | st.just("annotations"), inner, max_size=3)
    ),
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
    [
        {},
        {"separators": (",", ":")},
        {"indent": 1},
        {"indent": "\t"},
        {"separators": (" ,\n", "\r\n: ")},
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(content=DOCUMENT, keys=st.randoms(), layout=LAYOUT, ascii_only=st.booleans())
def test_random_documents(
    tmp_path: Path, content: dict[str, Any], keys: Any, layout: dict[str, Any], ascii_only: bool
) -> None:
    order = list(content)
    keys.shuffle(order)
    text = json.dumps({key: content[key] for key in order}, ensure_ascii=ascii_only, **layout)
    path = tmp_path / "a.json"
    path.write_bytes(
        text.encode("utf-8", "surrogatepass") if ascii_only else text.encode("utf-8", "replace")
    )
    check_chunks(path)


@pytest.mark.parametrize(
    "text",
    [
        '{"annotations": []}',
        '{"annotations": [ ] , "images":[\n]\n}',
        '{"annotations": [{"id": 1}], "x": {"annotations": [{"id": 2}]}}',
        '{"x": "\\"annotations\\": [{\\"id\\": 3}]", "annotations": [{"id": 1}]}',
        '{"annotations": [{"id": 1, "x": "},{"}, {"id": 2, "x": [{"y": 1},{"z": [2]}]}]}',
        (
            '{"annotations": [{"id": 1, "x": "}]"}, {"id": 2}], '
            '"images": [{"id": 3, "x": [{"a": 1}]}]}'
        ),
        '{"annotations": [{"id": 1, "x": [{"a": 1}]}], "images": [{"id": 3}]}',
        '{"annotations": [{"id": 1, "x": [{"id": 9}], "y": 2}, {"id": 2}]}',
        '{"annotations": null, "images": [{"id": 2}]}',
        '{"annot\\u0061tions": [{"id": 1}], "im\\u0061ges": [{"id": 2}]}',
        '{"annotations": [1, null, "x", {"id": 4}, [], {}]}',
        '{"annotations": [{"id": 1, "x": "' + "a" * 5000 + '"}, {"id": 2}]}',
        '{"a": 1.5e-3, "b": -0, "c": true, "d": null, "annotations": [{"id": 1}], "e": []}',
        '{"annotations": [{"id": 1, "x": "\\\\"}, {"id": 2, "x": "\\\\\\""}, {"id": 3}]}',
        '{"images": [{"id": 1, "name": "{a},{b}"}]}',
        (
            '{"annotations": [{"id": 1, "name": "},{"}, {"id": 2, "name": "a},{b"}], '
            '"images": [{"id": 3, "name": "},{"}]}'
        ),
    ],
)
def test_documents_with_misleading_boundaries(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.json"
    path.write_text(text, encoding="utf-8")
    check_chunks(path)


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
        ('{"annotations": [{"id": 1}],}', ""),
        ('{"annotations": [{"id": 1}] ,, "x": 1}', ""),
    ],
)
def test_broken_documents_are_reported_with_their_line(
    tmp_path: Path, text: str, token: str
) -> None:
    """And with the key, if one is wrong."""
    path = tmp_path / "a.json"
    path.write_text(text and "\n" + text, encoding="utf-8")
    for size in SIZES:
        for parts in (1, *PARTS):
            with pytest.raises(rb.DatasetError) as caught:
                read_in_chunks(path, size, parts)
            place = "a.json:2" if text else "a.json"
            assert caught.value.place == place
            assert mentions(caught.value, place)
            assert token in str(caught.value)


def test_truncated_documents_are_reported(tmp_path: Path) -> None:
    """They are also reported if they end after a comma, where a worker's part ends."""
    good, odd = '{"id": 1}', '{"id": "2"}'
    text = f'{{"images": [{good}], "annotations": [{", ".join([good] * 5)}, {odd}, {good}]}}'
    path = tmp_path / "a.json"
    for end in range(1, len(text)):
        path.write_text(text[:end], encoding="utf-8")
        for size in SIZES:
            for parts in (1, *PARTS):
                with pytest.raises(rb.DatasetError, match=r"^a\.json:1:"):
                    read_in_chunks(path, size, parts)


def test_a_place_in_a_long_line_includes_the_column(tmp_path: Path) -> None:
    good = json.dumps({"id": 1, "x": "ä" * 300}, ensure_ascii=False)
    path = tmp_path / "a.json"
    path.write_text(f'{{\n"annotations": [{good}, {{"id": oops}}]}}', encoding="utf-8")
    at = path.read_bytes().splitlines()[1].index(b"oops") + 1
    for size in SIZES:
        with pytest.raises(rb.DatasetError) as caught:
            read_in_chunks(path, size)
        assert caught.value.place == f"a.json:2:{at}"
        assert str(caught.value.value).startswith("oops")


def test_an_error_when_opening_names_the_given_place(tmp_path: Path) -> None:
    (tmp_path / "a.json").touch()
    for name in ("a.json", "missing.json"):
        for place in ("", f"annotations/{name}"):
            with pytest.raises(rb.DatasetError) as caught, document(tmp_path / name, place):
                pass
            assert caught.value.place == (place or name)


def test_brackets_nested_too_deeply_are_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(
        f'{{"annotations": [{{"id": "1", "x": {"[" * 100_000}{"]" * 100_000}}}]}}', encoding="utf-8"
    )
    with pytest.raises(rb.DatasetError) as caught:
        read_in_chunks(path, SIZES[-1])
    assert caught.value.place.startswith("a.json")


def test_text_that_is_not_utf8_is_read_as_cp1252_as_a_whole(tmp_path: Path) -> None:
    """Not byte by byte: names with different bytes must stay different."""
    path = tmp_path / "a.json"
    path.write_bytes('{"images": [{"id": "Käse"}, {"id": "K'.encode() + b'\xe4se"}]}')
    with document(path) as opened:
        assert opened.is_guess
        chunks = ArrayStream(opened, SPECS)
        assert [record["id"] for chunk in chunks for record in chunk.plain] == ["KÃ¤se", "Käse"]
