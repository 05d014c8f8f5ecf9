"""What classes are called in the project: texts and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from helpers import raises_mentioning
from regionbatch.errors import OptionError, ResolveError
from regionbatch.renaming import read_renames

if TYPE_CHECKING:
    from pathlib import Path

FILES = {
    "JSON": ("m.json", '{"cat": "feline", "big dog": "canine"}'),
    "CSV": ("m.csv", "cat,feline\nbig dog,canine\n"),
    "CSV with blanks": ("m.csv", " cat , feline \r\n\r\nbig dog,canine"),
    "a byte-order mark": ("m.json", '\ufeff{"cat": "feline", "big dog": "canine"}'),
}


@pytest.mark.parametrize(("name", "text"), FILES.values(), ids=FILES)
def test_files(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert read_renames(file=tmp_path / name) == {"cat": "feline", "big dog": "canine"}


def test_texts_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "m.json").write_text('{"cat": "feline", "dog": "canine"}', encoding="utf-8")
    renames = read_renames(["cat=tiger", "a = b=c"], tmp_path / "m.json")
    assert renames == {"cat": "tiger", "dog": "canine", "a": "b=c"}


def test_nothing_is_renamed_unless_asked() -> None:
    assert read_renames() == {}


@pytest.mark.parametrize("pair", ["cat", "cat=", "=feline", "", " = "])
def test_a_text_that_is_no_pair(pair: str) -> None:
    with raises_mentioning(OptionError, "--map", "OLD=NEW", *([pair] if pair.strip() else [])):
        read_renames([pair])


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
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, content: bytes, tokens: list[str]) -> None:
    (tmp_path / name).write_bytes(content)
    with raises_mentioning(ResolveError, tmp_path / name, *tokens):
        read_renames(file=tmp_path / name)


def test_a_name_that_is_renamed_twice(tmp_path: Path) -> None:
    """Which of the two is meant would be a guess."""
    for name, text in (("m.csv", "cat,feline\ncat,tiger\n"), ("m.json", '{"cat": "feline", "cat": "tiger"}')):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with raises_mentioning(ResolveError, tmp_path / name, "cat", "feline", "tiger"):
            read_renames(file=tmp_path / name)
    with raises_mentioning(ResolveError, "--map", "cat", "feline", "tiger"):
        read_renames(["cat=feline", "cat=tiger"])
    assert read_renames(["cat=feline", "cat = feline"]) == {"cat": "feline"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with raises_mentioning(ResolveError, tmp_path / "m.json"):
        read_renames(file=tmp_path / "m.json")
