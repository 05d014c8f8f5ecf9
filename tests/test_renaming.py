"""What classes are called in the project: texts and files."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    with pytest.raises(OptionError, match=f"--map: OLD=NEW is needed, got {pair}; as --map cat=feline"):
        read_renames([pair])


MISTAKES: dict[str, tuple[str, bytes, str]] = {
    "not JSON": ("m.json", b"cat=feline", r"m\.json: not JSON, got .*; needed is"),
    "a list": ("m.json", b'["cat"]', r"m\.json: pairs of names are needed, got \(\)"),
    "a number": ("m.json", b'{"cat": 5}', r"m\.json: pairs of names are needed, got \('cat', 5\)"),
    "an empty name": ("m.csv", b"cat, \n", r"m\.csv: pairs of names are needed"),
    "three columns": ("m.csv", b"cat,feline,x\n", r"m\.csv: pairs of names are needed, got \('cat', 'feline', 'x'\)"),
    "not UTF-8": ("m.csv", "größe,x".encode("cp1252"), r"m\.csv: cannot be read, got .*save it as UTF-8"),
    "nested too deep": ("m.json", b"[" * 100_000, r"m\.json: not JSON"),
}


@pytest.mark.parametrize(("name", "content", "told"), MISTAKES.values(), ids=MISTAKES)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, name: str, content: bytes, told: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ResolveError, match=told):
        read_renames(file=tmp_path / name)


def test_a_name_that_is_renamed_twice(tmp_path: Path) -> None:
    """Which of the two is meant would be a guess."""
    for name, text in (("m.csv", "cat,feline\ncat,tiger\n"), ("m.json", '{"cat": "feline", "cat": "tiger"}')):
        (tmp_path / name).write_text(text, encoding="utf-8")
        with pytest.raises(ResolveError, match="cat has two new names, got feline and tiger; keep one"):
            read_renames(file=tmp_path / name)
    with pytest.raises(ResolveError, match="--map: cat has two new names"):
        read_renames(["cat=feline", "cat=tiger"])
    assert read_renames(["cat=feline", "cat = feline"]) == {"cat": "feline"}


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ResolveError, match=r"m\.json: cannot be read, got .*; check the path"):
        read_renames(file=tmp_path / "m.json")
