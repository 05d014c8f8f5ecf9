"""Parsing YOLO label files all at once and line by line returns the same rows."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from regionbatch.readers.yolo import row_parser

number_texts = (
    st.sampled_from(
        [
            "0",
            "1",
            "-0",
            "0.0",
            "5e-1",
            "1E+2",
            "1e5",
            "99999999999999999999",
            "0.30000000000000004",
        ]
    )
    | st.floats(allow_nan=False, allow_infinity=False).map(repr)
    | st.decimals(allow_nan=False, allow_infinity=False, places=20, min_value=-2, max_value=2).map(
        str
    )
)
line_texts = st.lists(number_texts, max_size=9).map(" ".join)
row_texts = st.tuples(
    st.lists(line_texts, max_size=6), st.sampled_from(["\n", "\r\n", "\n\n", " \n", "\n\t"])
).map(lambda parts: parts[1].join(parts[0]).encode())


Columns = tuple[list[float], ...]


def columns_of(rows: row_parser.ParsedRows) -> Columns:
    assert not rows.invalid
    return tuple(column.tolist() for column in (rows.values, rows.lengths, rows.file, rows.line))


def parsed_by_line(texts: list[bytes]) -> Columns:
    found: list[list[float]] = [[], [], [], []]
    for number, text in enumerate(texts):
        rows = row_parser._parse_by_line(text)
        columns = columns_of(rows._replace(file=rows.file + number))
        for column, more in zip(found, columns, strict=True):
            column.extend(more)
    return tuple(found)


@given(st.lists(row_texts, min_size=1, max_size=5))
@example([b"", b"\n", b"\r\n", b"0 .5", b"1 2\r\n\r\n3"])
@example([b"0 0.5 0.5 0.25 0.25", b"1 0.5 0.5 0.25 0.25\n"])
@example([b"0\x0b1\x0c2 3\n", b" \t\n 4\n"])
def test_both_ways_return_the_same_rows(texts: list[bytes]) -> None:
    by_line = parsed_by_line(texts)
    at_once = row_parser._parse_at_once(texts)
    if at_once is not None:
        assert columns_of(at_once) == by_line
        assert [column.dtype for column in at_once[:4]] == [
            column.dtype for column in row_parser._parse_by_line(b"0")[:4]
        ]
    assert columns_of(row_parser.parse_block(row_parser.build_block(texts, {}, []))) == by_line


@given(st.lists(st.binary(max_size=12) | row_texts, min_size=1, max_size=4))
def test_texts_parsed_at_once_have_no_invalid_rows(texts: list[bytes]) -> None:
    at_once = row_parser._parse_at_once(texts)
    if at_once is not None:
        assert columns_of(at_once) == parsed_by_line(texts)
