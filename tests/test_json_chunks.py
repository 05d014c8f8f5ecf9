"""COCO files read in chunks: the records are those that `json.loads` finds in the whole file."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import regionbatch
from all_cases import check_each, one_of_each_kind
from helpers import fixture_cases
from regionbatch.errors import DatasetError
from regionbatch.readers.coco.json_stream import ArraySpec, ArrayStream
from regionbatch.readers.coco.json_text import document
from regionbatch.readers.coco.reader import CocoReader
from regionbatch.readers.coco.records import ARRAY_SPECS

if TYPE_CHECKING:
    from regionbatch.testing import Case

COCO_CASES = [case for case in fixture_cases("coco") if not case.expects_error]


class AnyRecord(msgspec.Struct):
    """A record type that fits nearly anything, so that chunks are decoded by type."""

    id: object = None


def records_in(path: Path, wanted: dict[str, Any], size: int) -> dict[str, list[Any]]:
    """Return the records of each array, read in chunks; of an object only the value of its `id`."""
    found: dict[str, list[Any]] = {key: [] for key in wanted}
    with document(path) as opened:
        for chunk in ArrayStream(opened, wanted, size):
            if chunk.typed is None:
                found[chunk.key] += [
                    record.get("id") if isinstance(record, dict) else record
                    for record in chunk.plain
                ]
            else:
                found[chunk.key] += [record.id for record in chunk.typed]
    return found


TRICKY = (
    *(
        '},{"id":7}',
        '}],"annotations":[{',
        '"',
        "\\",
        '\\"',
        "]}",
        "[[[[",
        "}}}}",
        "\u2028é😀",
        "\x7f",
        "",
        "a" * 300,
    ),
    *('"annotations":[{"id":666}]', "{", "}", "},", "\n},\n{\n", "/* */", "\ud83d"),
)
values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**40), 2**40)
    | st.sampled_from(TRICKY)
    | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "annotations", "a}", '"', "x"]), inner, max_size=3)
        | st.just([{"id": 1}, {"id": 2}])
    ),
    max_leaves=8,
)
records = st.dictionaries(
    st.sampled_from(["id", "x", "annotations", "images", "},{", "\\"]), values, max_size=4
)
others = st.dictionaries(
    st.sampled_from(["info", "}", "licenses", "x]", 'annotations"']), values, max_size=3
)
spellings = st.sampled_from(
    [
        {"separators": (",", ":")},
        {"separators": (" \n,\r\n\t", " :  ")},
        {"indent": 1},
        {"indent": "\t\r\n", "ensure_ascii": True},
    ]
)


def as_json(content: dict[str, Any], spelling: dict[str, Any]) -> bytes:
    """Return JSON text; characters that UTF-8 cannot encode are always escaped."""
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
def test_chunks_contain_the_same_records_as_the_whole_file(
    before: dict[str, Any],
    arrays: list[str],
    columns: list[list[Any]],
    after: dict[str, Any],
    spelling: dict[str, Any],
    size: int,
    mark: bytes,
) -> None:
    """For any chunk size and order of arrays, with larger records and with brackets in strings."""
    content = {
        **before,
        **dict(zip(arrays, columns, strict=True)),
        **{f"{key}2": value for key, value in after.items()},
    }
    text = as_json(content, spelling)
    whole = json.loads(text)
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_bytes(mark + text)
        got = records_in(path, dict.fromkeys(arrays, ArraySpec(AnyRecord)), size)
    assert got == {key: [record.get("id") for record in whole[key]] for key in arrays}


@given(st.lists(values, max_size=5), spellings, st.sampled_from([1, 64, 2**21]))
def test_values_that_are_not_records_are_returned_as_they_are(
    content: list[Any], spelling: dict[str, Any], size: int
) -> None:
    """The reader reports them."""
    text = as_json({"annotations": content}, spelling)
    wanted = [
        value.get("id") if isinstance(value, dict) else value
        for value in json.loads(text)["annotations"]
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_bytes(text)
        assert (
            records_in(path, {"annotations": ArraySpec(AnyRecord)}, size)["annotations"] == wanted
        )


@given(
    st.lists(records, min_size=1, max_size=4),
    st.integers(0, 10**6),
    spellings,
    st.sampled_from([64, 2**21]),
)
def test_a_truncated_file_is_an_error(
    content: list[Any], place: int, spelling: dict[str, Any], size: int
) -> None:
    """Wherever it is truncated."""
    text = as_json({"images": [], "annotations": content}, spelling)
    with TemporaryDirectory() as folder:
        path = Path(folder, "a.json")
        path.write_bytes(text[: place % (len(text) - 1) + 1])
        with pytest.raises(DatasetError):
            records_in(path, {"annotations": ArraySpec(AnyRecord)}, size)


def with_untyped_records(data: bytes) -> bytes:
    """Add a caption, an empty image and an empty category: no type fits their chunks."""
    for key, record in (
        (b"annotations", b'{"caption": ""}'),
        (b"images", b"{}"),
        (b"categories", b"{}"),
    ):
        data = re.sub(rb'("%b"\s*:\s*\[)(?=\s*{)' % key, rb"\1%b," % record, data)
    return data


def test_typed_and_untyped_records_are_read_alike(tmp_path: Path) -> None:
    def check(case: Case) -> None:
        copy = tmp_path / case.name
        shutil.copytree(case.path / "input", copy)
        changed = {path: with_untyped_records(path.read_bytes()) for path in copy.rglob("*.json")}
        expected = outcome_of(case, copy)
        for path, content in changed.items():
            path.write_bytes(content)
        assert outcome_of(case, copy) == expected

    check_each(one_of_each_kind(COCO_CASES), check)


def outcome_of(case: Case, folder: Path) -> list[Any]:
    """Return the content of a case, without findings about records of `with_untyped_records`."""
    options = case.options(CocoReader.options)
    dataset = regionbatch.read(folder / case.expected.get("read", ""), format="coco", **options)
    findings = [
        (one.code, one.value)
        for one in dataset.findings
        if one.code not in ("no_box", "not_an_image")
    ]
    images = dataset.images
    return [list(dataset), dataset.tags, images.names, images.width.tolist(), findings]


def test_untyped_records_are_not_decoded_by_type(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    record = b'{"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]}'
    image = b'{"id": 1, "file_name": "a", "width": 9, "height": 9}'
    text = b'{"annotations": [%b], "images": [%b], "categories": [{"id": 1, "name": "b"}]}' % (
        record,
        image,
    )
    for data, typed in ((text, True), (with_untyped_records(text), False)):
        path.write_bytes(data)
        with document(path) as opened:
            assert {
                chunk.key
                for chunk in ArrayStream(opened, ARRAY_SPECS)
                if (chunk.typed is not None) is typed
            } == {*ARRAY_SPECS}
