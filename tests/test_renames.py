"""Renames of classes, from OLD=NEW texts and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from helpers import raises_mentioning
from regionbatch.errors import OptionError, ResolveError
from regionbatch.names.renames import normalise_renames, read_renames

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "JSON": ("m.json", '{"cat": "feline", "big dog": "canine"}'),
    "CSV": ("m.csv", "cat,feline\nbig dog,canine\n"),
    "CSV with whitespace": ("m.csv", " cat , feline \r\n\r\nbig dog,canine"),
    "a byte-order mark": ("m.json", '\ufeff{"cat": "feline", "big dog": "canine"}'),
}


@pytest.mark.parametrize("rename", ["cat=feline", ["cat=feline"], 3])
def test_a_rename_that_is_not_a_mapping_is_an_option_error(rename: Any) -> None:
    with raises_mentioning(OptionError, "rename", "mapping"):
        normalise_renames(rename)


@pytest.mark.parametrize(("name", "text"), FILES.values(), ids=FILES)
def test_every_form_of_a_file(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_renames(file=tmp_path / name) == {"cat": "feline", "big dog": "canine"}


def test_texts_take_precedence_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"cat": "feline", "dog": "canine"}', encoding="utf-8")
    renames = read_renames(["cat=tiger", "a = b=c"], tmp_path / "m.json")
    assert renames == {"cat": "tiger", "dog": "canine", "a": "b=c"}


def test_no_renames_by_default() -> None:
    assert read_renames() == {}


@pytest.mark.parametrize("pair", ["cat", "cat=", "=feline", "", " = "])
def test_a_text_that_is_not_a_pair(pair: str) -> None:
    with pytest.raises(OptionError) as caught:
        read_renames([pair])
    assert (caught.value.option, caught.value.value) == ("rename", pair)


MISTAKES: dict[str, tuple[str, bytes, list[str]]] = {
    "not JSON": ("m.json", b"cat=feline", ["JSON"]),
    "a list": ("m.json", b'["cat"]', []),
    "a number": ("m.json", b'{"cat": 5}', ["cat", "5"]),
    "an empty name": ("m.csv", b"cat, \n", ["cat"]),
    "three columns": ("m.csv", b"cat,feline,x\n", ["cat", "feline", "x"]),
    "not UTF-8": ("m.csv", "größe,x".encode("cp1252"), ["UTF-8"]),
    "nested too deep": ("m.json", b"[" * 100_000, ["JSON"]),
}


@pytest.mark.parametrize(("name", "content", "tokens"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_file_is_reported(
    tmp_path: Path, name: str, content: bytes, tokens: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with raises_mentioning(ResolveError, tmp_path / name, *tokens):
        read_renames(file=tmp_path / name)


def test_a_class_with_two_new_names(tmp_path: Path) -> None:
    """Choosing one of the two would be a guess."""
    for name, text in (
        ("m.csv", "cat,feline\ncat,tiger\n"),
        ("m.json", '{"cat": "feline", "cat": "tiger"}'),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with raises_mentioning(ResolveError, tmp_path / name, "cat", "feline", "tiger"):
            read_renames(file=tmp_path / name)
    with raises_mentioning(ResolveError, "rename", "cat", "feline", "tiger"):
        read_renames(["cat=feline", "cat=tiger"])
    assert read_renames(["cat=feline", "cat = feline"]) == {"cat": "feline"}


def test_a_missing_file(tmp_path: Path) -> None:
    with raises_mentioning(ResolveError, tmp_path / "m.json"):
        read_renames(file=tmp_path / "m.json")
