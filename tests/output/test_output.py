"""Output is complete, in every kind of target, and other files are never deleted."""

from __future__ import annotations

import gzip
import io
import tempfile
import types
from pathlib import Path, PureWindowsPath
from typing import Any

import pytest

import regionbatch as rb
from helpers import mentions, raises_mentioning
from output_helpers import COUNT, TARGETS, everything_below, posix
from regionbatch.errors import OptionError, OutputError
from regionbatch.files.paths import scheme_of
from regionbatch.output_target import check_target
from regionbatch.report import check_report


@pytest.mark.parametrize("payload", ["json", "xml"])
def test_a_folder(home: Path, batches: rb.Batches, payload: str) -> None:
    out = home / "new" / "out"
    assert rb.write(batches, out, payload=payload) == COUNT  # type: ignore[arg-type]
    wanted = [batch.to_json() if payload == "json" else batch.to_xml() for batch in batches]
    assert everything_below(home) == {
        f"new/out/batch-{number:05}.{payload}": body for number, body in enumerate(wanted, 1)
    }


def test_a_jsonl_file(home: Path, batches: rb.Batches) -> None:
    assert rb.write(batches, str(home / "new" / "out.jsonl")) == COUNT
    assert everything_below(home) == {
        "new/out.jsonl": b"".join(batch.to_json() + b"\n" for batch in batches)
    }


def test_a_file_object(batches: rb.Batches) -> None:
    file = io.BytesIO()
    assert rb.write(batches, file) == COUNT
    assert file.getvalue() == b"".join(batch.to_json() + b"\n" for batch in batches)
    assert not file.closed


def test_any_object_with_a_write_method(batches: rb.Batches) -> None:
    """Some do not return the number of bytes, and some have no buffer to flush."""
    for more in ({"flush": lambda: None}, {"flush": None}, {}):
        written: list[bytes] = []
        file: Any = types.SimpleNamespace(write=written.append, **more)
        assert rb.write(batches, file) == COUNT
        assert b"".join(written).count(b"\n") == COUNT


def test_nothing_to_write(home: Path, batches: rb.Batches) -> None:
    """An empty result differs from a run that did not happen."""
    assert rb.write(batches[:0], home / "out") == 0
    assert (home / "out").is_dir()
    assert rb.write(batches[:0], home / "out.jsonl") == 0
    assert (home / "out.jsonl").read_bytes() == b""


def test_progress_is_reported(home: Path, batches: rb.Batches) -> None:
    calls: list[tuple[str, int, int]] = []
    rb.write(batches, home / "out", progress=lambda *call: calls.append(call))
    assert calls[-1][1:] == (COUNT, COUNT)
    assert len({step for step, _, _ in calls}) == 1


def test_xml_is_not_written_to_a_jsonl_file(home: Path, batches: rb.Batches) -> None:
    with pytest.raises(OptionError) as caught:
        rb.write(batches, home / "out.jsonl", payload="xml")
    error = caught.value
    assert (error.place, error.option, error.value) == (str(home / "out.jsonl"), "payload", "xml")
    assert error.choices == ("json",)
    assert everything_below(home) == {}


@pytest.mark.parametrize("target", TARGETS)
def test_existing_output_is_an_error(home: Path, batches: rb.Batches, target: str) -> None:
    rb.write(batches[:1], home / target)
    before = everything_below(home)
    with pytest.raises(OutputError) as caught:
        rb.write(batches, home / target)
    assert (caught.value.place, caught.value.option) == (str(home / target), "overwrite")
    assert everything_below(home) == before


@pytest.mark.parametrize("target", TARGETS)
def test_overwriting_leaves_nothing_of_the_earlier_run(
    home: Path, batches: rb.Batches, target: str
) -> None:
    rb.write(batches, home / target)
    rb.write(batches[:1], home / target, overwrite=True)
    fresh = home / "fresh"
    rb.write(batches[:1], fresh / target)
    written = {
        name: body for name, body in everything_below(home).items() if not name.startswith("fresh/")
    }
    assert written == everything_below(fresh)


def test_an_empty_folder_may_be_written_to(home: Path, batches: rb.Batches) -> None:
    (home / "out").mkdir()
    assert rb.write(batches, home / "out") == COUNT
    assert len(everything_below(home)) == COUNT


@pytest.mark.parametrize(
    "other", ["notes.txt", "batch-00001.json.bak", "batch-1.json", "more/batch-00001.json"]
)
def test_a_folder_with_other_files_is_never_replaced(
    home: Path, batches: rb.Batches, other: str
) -> None:
    rb.write(batches, home / "out")
    (home / "out" / other).parent.mkdir(exist_ok=True)
    (home / "out" / other).write_text("mine", encoding="utf-8")
    before = everything_below(home)
    with raises_mentioning(OutputError, home / "out", other.partition("/")[0]):
        rb.write(batches, home / "out", overwrite=True)
    assert everything_below(home) == before


def test_a_folder_with_the_name_of_a_payload_is_not_deleted(
    home: Path, batches: rb.Batches
) -> None:
    """Only payload files are deleted."""
    (home / "out" / "batch-00001.json").mkdir(parents=True)
    (home / "out" / "batch-00001.json" / "notes.txt").write_text("mine", encoding="utf-8")
    with raises_mentioning(OutputError, home / "out", "batch-00001.json"):
        rb.write(batches, home / "out", overwrite=True)
    assert everything_below(home) == {"out/batch-00001.json/notes.txt": b"mine"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_is_not_replaced_by_a_folder_nor_a_folder_by_a_file(
    home: Path, batches: rb.Batches, overwrite: bool
) -> None:
    (home / "out").write_text("mine", encoding="utf-8")
    (home / "out.jsonl").mkdir()
    with raises_mentioning(OutputError, home / "out"):
        rb.write(batches, home / "out", overwrite=overwrite)
    with raises_mentioning(OutputError, home / "out.jsonl"):
        rb.write(batches, home / "out.jsonl", overwrite=overwrite)
    assert everything_below(home) == {"out": b"mine"}


@posix
@pytest.mark.parametrize("target", TARGETS)
def test_a_link_is_followed(home: Path, batches: rb.Batches, target: str) -> None:
    """Large output is often linked to a large disk."""
    rb.write(batches[:1], home / "other" / target)
    (home / target).symlink_to(home / "other" / target)
    names = sorted(path.name for path in home.iterdir())
    with pytest.raises(OutputError):
        rb.write(batches, home / target)
    rb.write(batches, home / target, overwrite=True)
    assert (home / target).is_symlink()
    written = b"".join(body.strip() for _, body in sorted(everything_below(home / "other").items()))
    assert written.count(b'"imageId"') == len(batches.regions)
    assert sorted(path.name for path in home.iterdir()) == names


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_file_without_payloads_is_not_replaced(
    home: Path, batches: rb.Batches, overwrite: bool
) -> None:
    """Then the message does not advise to overwrite."""
    (home / "mine.jsonl").write_text('{"a": 1}\n', encoding="utf-8")
    with raises_mentioning(OutputError, home / "mine.jsonl") as caught:
        rb.write(batches, home / "mine.jsonl", overwrite=overwrite)
    assert not mentions(caught.value, "overwrite")
    (home / "empty.jsonl").touch()
    assert rb.write(batches, home / "empty.jsonl", overwrite=True) == len(batches)


@pytest.mark.parametrize("target", [io.StringIO(), None, 3])
def test_a_target_that_is_neither_a_path_nor_a_binary_file(
    batches: rb.Batches, target: Any
) -> None:
    with pytest.raises(OptionError) as caught:
        rb.write(batches, target)
    assert (caught.value.option, caught.value.value) == ("target", target)


def test_an_unknown_payload_format(home: Path, batches: rb.Batches) -> None:
    payload: Any = "yaml"
    with pytest.raises(OptionError) as caught:
        rb.write(batches, home / "out", payload=payload)
    assert (caught.value.option, caught.value.value) == ("payload", "yaml")
    assert caught.value.choices == ("json", "xml")


def test_a_zipped_file(home: Path, batches: rb.Batches) -> None:
    with gzip.open(home / "out.gz", "wb") as file:
        rb.write(batches, file)
    assert gzip.decompress((home / "out.gz").read_bytes()).splitlines() == [
        batch.to_json() for batch in batches
    ]


@pytest.mark.parametrize(
    "url", ["s3://bucket/out", "az://c/o.jsonl", "https://a/out", "file:///out", "gs:/b"]
)
@pytest.mark.parametrize("kind", [str, Path])
def test_a_url_is_an_error(
    home: Path, batches: rb.Batches, monkeypatch: pytest.MonkeyPatch, url: str, kind: type
) -> None:
    monkeypatch.chdir(home)
    with raises_mentioning(OptionError, kind(url), url.partition(":")[0]):
        rb.write(batches, kind(url))
    with raises_mentioning(OptionError, kind(url)):
        rb.write_report(kind(url), rb.read(home.parent / "data", coco_boxes="pixels"))
    with raises_mentioning(rb.DatasetNotFoundError, kind(url)):
        rb.read(kind(url))
    assert everything_below(home) == {}


PATHS = [
    ("C:\\a", ""),
    ("c:/a", ""),
    ("./s3:/a", ""),
    ("a/b:/c", ""),
    ("\\\\nas\\a", ""),
    ("az://c/a", "az"),
]


@pytest.mark.parametrize(("path", "scheme"), PATHS)
def test_the_scheme_of_a_url(path: str, scheme: str) -> None:
    assert scheme_of(path) == scheme
    if not path.startswith("./"):  # Removed by pathlib.
        assert scheme_of(PureWindowsPath(path)) == scheme


class SmallFile(io.RawIOBase):
    """An unbuffered file that accepts some bytes at a time, up to a maximum."""

    def __init__(self, most: int) -> None:
        self.accepted = bytearray()
        self._most = most

    def writable(self) -> bool:
        return True

    def write(self, data: Any, /) -> Any:
        count = min(self._most - len(self.accepted), 100)
        self.accepted += bytes(data)[:count]
        return min(count, len(data)) or None


def test_an_unbuffered_file_gets_everything(batches: rb.Batches) -> None:
    whole = io.BytesIO()
    rb.write(batches, whole)
    small = SmallFile(10**6)
    assert rb.write(batches, small) == len(batches)
    assert bytes(small.accepted) == whole.getvalue()


def test_a_wrapper_of_an_unbuffered_file(home: Path, batches: rb.Batches) -> None:
    """Its `write` need not return the number of bytes."""

    class WithoutCount:
        def __init__(self, file: io.RawIOBase) -> None:
            self.file = file

        def write(self, data: bytes) -> None:
            self.file.write(data)

        def flush(self) -> None: ...

    whole = io.BytesIO()
    rb.write(batches, whole)
    with (home / "bodies").open("wb", 0) as file:
        assert rb.write(batches, WithoutCount(file)) == len(batches)
    assert (home / "bodies").read_bytes() == whole.getvalue()
    with tempfile.NamedTemporaryFile(buffering=0) as named:
        assert rb.write(batches, named) == len(batches)
        named.seek(0)
        assert named.read() == whole.getvalue()


def test_an_unbuffered_file_that_is_full(batches: rb.Batches) -> None:
    with pytest.raises(rb.OutputError):
        rb.write(batches, SmallFile(150))


@pytest.mark.parametrize("target", TARGETS)
def test_a_file_in_place_of_a_folder_is_noticed_before_the_work(home: Path, target: str) -> None:
    (home / "file").write_text("mine", encoding="utf-8")
    with raises_mentioning(OutputError, home / "file" / target, home / "file"):
        check_target(home / "file" / target, overwrite=False)
    with raises_mentioning(OutputError, home / "file" / "report.json", home / "file"):
        check_report(home / "file" / "report.json")
    check_target(home / "new" / target, overwrite=False)
    check_report(home / "new" / "report.json")
    assert sorted(home.rglob("*")) == [home / "file"]


def test_a_file_object_may_keep_what_it_is_given(
    batches: rb.Batches, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("regionbatch.batching._BATCHES_AT_ONCE", 1)
    kept: list[bytes] = []

    class File:
        def write(self, data: bytes) -> None:
            kept.append(data)

        def flush(self) -> None: ...

    rb.write(batches, File())
    assert len(kept) > 2
    assert kept == [batch.to_json() + b"\n" for batch in batches]
