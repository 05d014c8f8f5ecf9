"""The encoding of a text: different bytes are never one name, and nothing is replaced."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from regionbatch.errors import OptionError, StrictError
from regionbatch.files.text import UndecodableError, as_utf8, checked_encoding, is_utf8_file

if TYPE_CHECKING:
    from pathlib import Path

CAT, DOG = "猫", "狗"


def read(data: bytes, asked: str | None = None, declared: str | None = None) -> tuple[str, bool]:
    text, guessed = as_utf8(data, asked, declared)
    return text.decode(), guessed


def test_different_bytes_are_different_text() -> None:
    """Even bytes that cp1252 does not define."""
    singles = [bytes([number]) for number in range(128, 256)]
    texts = [
        read(b"\xa0" + one)[0] for one in (*singles, *(a + b for a, b in combinations(singles, 2)))
    ]
    assert len({*texts}) == len(texts)
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(texts)


@pytest.mark.parametrize(
    ("text", "codec", "asked", "declared", "expected", "guessed"),
    [
        ("Käse", "utf-8", None, None, "Käse", False),
        ("Käse", "utf-8", "gbk", None, "Käse", False),
        ("Käse", "utf-8", None, "gb2312", "Käse", False),
        ("Käse", "utf-8", None, "iso-8859-1", "Käse", False),
        (DOG, "utf-8", "gbk", None, DOG, False),
        (CAT, "utf-8-sig", "gbk", None, CAT, False),
        ("è", "utf-8-sig", "gbk", "gbk", "è", False),
        (CAT, "gbk", None, None, "è", False),  # the bytes are valid UTF-8 by chance
        (CAT, "gbk", "gbk", None, CAT, False),
        (CAT, "gb2312", None, "gb2312", CAT, False),
        (CAT, "gb2312", None, "GB2312", CAT, False),
        (CAT, "gb2312", "cp1252", "gb2312", CAT, False),
        (DOG, "gbk", None, None, "¹·", True),
        (DOG, "gbk", None, "utf-8", "¹·", True),
        (DOG, "gbk", "gbk", "utf-8", DOG, False),
        ("Käse", "cp1252", None, "gb2312", "Käse", True),
        ("Käse", "cp1252", None, "windows-1252", "Käse", False),
        ("Käse", "cp1252", None, "klingon", "Käse", True),
        ("Käse", "cp1252", None, "utf-16", "Käse", True),
        ("Käse", "cp1252", None, "zip", "Käse", True),
        (CAT, "iso-2022-jp", None, "iso-2022-jp", CAT, False),
        (CAT, "hz", None, "hz-gb-2312", CAT, False),
        (CAT, "utf-16", None, None, CAT, False),
        (f"a{CAT}", "utf-16-le", "gbk", None, f"a{CAT}", False),
        (CAT, "utf-32", None, None, CAT, False),
        ("cat", "ascii", "gbk", "utf-16", "cat", False),
    ],
)
def test_the_encoding_of_a_text(
    text: str, codec: str, asked: str | None, declared: str | None, expected: str, guessed: bool
) -> None:
    assert read(text.encode(codec), asked, declared) == (expected, guessed)


@pytest.mark.parametrize(
    ("data", "asked"),
    [
        (b"\xff\xfe\x3d\xd8", None),
        (b"\xff\xfea", None),
        (b"a\0\x3d\xd8", None),
        (b"\x81\xff", "gbk"),
        (DOG.encode("gbk"), "utf-8"),
        (b"\x81", "cp932"),
    ],
)
def test_bytes_that_are_not_text_in_their_encoding_are_rejected(
    data: bytes, asked: str | None
) -> None:
    with pytest.raises(UndecodableError):
        as_utf8(data, asked)


@pytest.mark.parametrize(
    "name", ["gbk", "GBK", "cp932", "cp950", "euc-kr", "koi8-r", "latin-1", "utf-8", "Shift_JIS"]
)
def test_encodings_that_are_accepted(name: str) -> None:
    assert checked_encoding(name)


@pytest.mark.parametrize(
    "name",
    [
        *("klingon", "", "rot13", "zip", "hex", "idna", "punycode", "undefined", "unicode_escape"),
        *(
            "raw_unicode_escape",
            "utf-7",
            "utf-16",
            "utf-32",
            "cp037",
            "hz",
            "iso-2022-jp",
            "gbk\0",
            "mbcs ",
        ),
    ],
)
def test_encodings_that_are_rejected(name: str, tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_text("cat\n", encoding="utf-8")
    (tmp_path / "a.txt").write_text("0 .5 .5 .5 .5\n", encoding="utf-8")
    with pytest.raises(OptionError) as caught:
        rb.read(tmp_path, encoding=name)
    assert (caught.value.option, caught.value.value) == ("encoding", name)


def test_strict_mode_fails_if_a_name_depends_on_a_guess(tmp_path: Path) -> None:
    (tmp_path / "classes.txt").write_bytes(f"{DOG}\n".encode("gbk"))
    (tmp_path / "a.txt").write_text("0 .5 .5 .5 .5\n", encoding="utf-8")
    with pytest.raises(StrictError, match="encoding"):
        rb.read(tmp_path, strict=True)
    [finding] = rb.read(tmp_path).findings.first("doubtful_decision")
    assert "¹·" in finding.value
    assert "classes.txt" in finding.value
    assert rb.read(tmp_path, strict=True, encoding="gbk").tags == [DOG]


@pytest.mark.parametrize("at", [-3, -2, -1, 0, 1])
def test_a_file_is_checked_in_chunks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    """A character may start in one chunk and end in the next, or be truncated."""
    monkeypatch.setattr("regionbatch.files.text._CHUNK", 64)
    path = tmp_path / "a.json"
    for text, expected in (
        (CAT.encode(), True),
        (CAT.encode()[:2], False),
        (b"\xff", False),
        (b"abc", True),
    ):
        for end in (b"", b"x" * 100):
            path.write_bytes(b"x" * (64 + at) + text + end)
            with path.open("rb", buffering=0) as file:
                assert is_utf8_file(file) is expected
            with path.open("rb", buffering=0) as file:
                assert is_utf8_file(file, but_ascii=True) is (text == b"abc")
