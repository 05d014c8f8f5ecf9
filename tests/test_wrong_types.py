"""Arguments of a wrong type are errors of the library, before anything is read or written."""

from __future__ import annotations

import io
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.pipeline.transport import RequestsTransport

import regionbatch as rb
from helpers import ROOT, batches_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"
KEY = "a-secret-key-of-32-characters-00"
ENDPOINT = "https://name.cognitiveservices.azure.com"
PROJECT = "0a1b2c3d-0000-4000-8000-00000000000a"
IDS: dict[str, Any] = {"tag_ids": {}, "image_ids": {}}


@pytest.fixture(scope="module")
def scene() -> rb.Dataset:
    return rb.read(SCENE / "coco")


def uploaded(**options: Any) -> Callable[[rb.Dataset, Path], object]:
    """Upload to a service that is never called."""

    def run(dataset: rb.Dataset, _: Path) -> object:
        with rb.TrainingClient(ENDPOINT, KEY) as client:
            given = {"dataset": dataset, "client": client, "project_id": PROJECT, **options}
            return rb.upload(**given)

    return run


def verified(**options: Any) -> Callable[[rb.Dataset, Path], object]:
    """Verify with a service that is never called."""

    def run(dataset: rb.Dataset, _: Path) -> object:
        with rb.TrainingClient(ENDPOINT, KEY) as client:
            given = {"dataset": dataset, "client": client, "project_id": PROJECT, **options}
            return rb.verify(**given)

    return run


class PathInBytes:
    """A path that `pathlib` cannot use."""

    def __fspath__(self) -> bytes:
        return b"out"


def closed_file() -> io.BytesIO:
    file = io.BytesIO()
    file.close()
    return file


def test_errors_about_the_path_of_a_page_name_the_argument(scene: rb.Dataset) -> None:
    for write in (rb.write_html, lambda data, path: rb.write_report(path, data)):
        for path in ("", None, 3, b"a"):
            with pytest.raises(rb.OptionError) as caught:
                write(scene, path)  # type: ignore[arg-type]
            assert caught.value.option == "path"
            assert str(caught.value).startswith("path: ")


WRONG: dict[str, Callable[[Any, Path], object]] = {
    "write a dataset": lambda data, path: rb.write(data, path / "out"),
    "write a path": lambda _, path: rb.write("batches", path / "out"),  # type: ignore[arg-type]
    "write a number": lambda _, path: rb.write(5, path / "out"),  # type: ignore[arg-type]
    "write texts": lambda _, path: rb.write(["a"], path / "out"),  # type: ignore[list-item]
    "write to a number": lambda data, _: rb.write(batches_of(data), 5),  # type: ignore[arg-type]
    "write to an object without write": lambda data, _: rb.write(
        batches_of(data), SimpleNamespace(write=None)
    ),
    "write to a closed file": lambda data, _: rb.write(batches_of(data), closed_file()),
    "write to a file that is open for reading": lambda data, _: rb.write(
        batches_of(data),
        io.BufferedReader(io.BytesIO()),
    ),
    "write to a class": lambda data, _: rb.write(batches_of(data), io.BytesIO),  # type: ignore[arg-type]
    "write to a path in bytes": lambda data, _: rb.write(batches_of(data), PathInBytes()),  # type: ignore[arg-type]
    "convert to a path in bytes": lambda *_: rb.convert(SCENE / "coco", PathInBytes(), **IDS),  # type: ignore[arg-type]
    "convert to an empty path": lambda *_: rb.convert(SCENE / "coco", "", **IDS),
    "read a path in bytes": lambda *_: rb.read(PathInBytes()),  # type: ignore[arg-type]
    "a page without a path": lambda data, _: rb.write_html(data, None),  # type: ignore[arg-type]
    "a page with an empty path": lambda data, _: rb.write_html(data, ""),
    "a page with a path in bytes": lambda data, _: rb.write_html(data, b"p"),  # type: ignore[arg-type]
    "a page to a file object": lambda data, _: rb.write_html(data, io.BytesIO()),  # type: ignore[arg-type]
    "a report without a path": lambda data, _: rb.write_report(None, data),  # type: ignore[arg-type]
    "a report with an empty path": lambda data, _: rb.write_report("", data),
    "an empty folder of images": lambda *_: rb.read(SCENE / "coco", image_dir=""),
    "no folder of images": lambda *_: rb.read(SCENE / "coco", image_dir=[None]),  # type: ignore[list-item]
    "an empty path of IDs": lambda data, _: rb.batches(data, **IDS | {"tag_ids": ""}),
    "an empty path of a journal": uploaded(journal=""),
    "an empty path of a journal to verify": verified(journal=""),
    "overwrite as text": lambda data, path: rb.write(batches_of(data), path / "o", overwrite="no"),  # type: ignore[arg-type]
    "progress of write": lambda data, path: rb.write(batches_of(data), path / "o", progress=1),  # type: ignore[arg-type]
    "batches of a path": lambda *_: rb.batches("path", **IDS),  # type: ignore[arg-type]
    "batches of batches": lambda data, _: rb.batches(batches_of(data), **IDS),  # type: ignore[arg-type]
    "batches of nothing": lambda *_: rb.batches(None, **IDS),  # type: ignore[arg-type]
    "skip_unresolved as text": lambda data, _: rb.batches(data, **IDS | {"skip_unresolved": "no"}),
    "IDs that are a number": lambda data, _: rb.batches(data, tag_ids=3, image_ids={}),  # type: ignore[arg-type]
    "renames that are text": lambda data, _: rb.batches(data, **IDS | {"rename": "a=b"}),
    "a summary of a path": lambda *_: rb.summary("path"),  # type: ignore[arg-type]
    "a report of a path": lambda _, path: rb.write_report(path / "r.json", "path"),  # type: ignore[arg-type]
    "a summary with a path": lambda data, _: rb.summary(data, "path"),  # type: ignore[arg-type]
    "a report with a number": lambda data, path: rb.write_report(path / "r", data, 5),  # type: ignore[arg-type]
    "read a number": lambda *_: rb.read(3),  # type: ignore[arg-type]
    "read a list": lambda *_: rb.read([1]),  # type: ignore[arg-type]
    "read a dataset": lambda data, _: rb.read(data),
    "progress of read": lambda *_: rb.read(SCENE / "coco", progress=1),  # type: ignore[arg-type]
    "strict as text": lambda *_: rb.read(SCENE / "coco", strict="no"),  # type: ignore[arg-type]
    "strict as a number": lambda *_: rb.read(SCENE / "coco", strict=1),  # type: ignore[arg-type]
    "a misspelt option": lambda *_: rb.read(SCENE / "coco", spilt="train"),  # type: ignore[call-arg]
    "a path that is a number": lambda *_: rb.read_ids(3),  # type: ignore[arg-type]
    "an endpoint that is a number": lambda *_: rb.TrainingClient(3, "k"),  # type: ignore[arg-type]
    "no endpoint": lambda *_: rb.TrainingClient(None, "k"),  # type: ignore[arg-type]
    "a key that is a number": lambda *_: rb.TrainingClient(ENDPOINT, 3),  # type: ignore[arg-type]
    "a key as bytes": lambda *_: rb.TrainingClient(ENDPOINT, b"k"),  # type: ignore[arg-type]
    "a version that is a number": lambda *_: rb.TrainingClient(ENDPOINT, KEY, version=3.3),  # type: ignore[arg-type]
    "a timeout as text": lambda *_: rb.TrainingClient(ENDPOINT, KEY, timeout="9"),  # type: ignore[arg-type]
    "a timeout of 0": lambda *_: rb.TrainingClient(ENDPOINT, KEY, timeout=0),
    "a transport that is none": lambda *_: rb.TrainingClient(ENDPOINT, KEY, transport=5),  # type: ignore[arg-type]
    "a session that is none": lambda *_: rb.TrainingClient(ENDPOINT, KEY, session=5),  # type: ignore[arg-type]
    "a credential that is none": lambda *_: rb.TrainingClient(ENDPOINT, credential=5),  # type: ignore[arg-type]
    "a transport and a session": lambda *_: rb.TrainingClient(
        ENDPOINT, KEY, transport=RequestsTransport(), session=requests.Session()
    ),
    "upload a path": uploaded(dataset="path"),
    "upload with a path as client": uploaded(client="path"),
    "upload to a number": uploaded(project_id=5),
    "create_tags as text": uploaded(create_tags="no"),
    "dry_run as text": uploaded(dry_run="no"),
    "progress of upload": uploaded(progress=1),
    "planned of upload": uploaded(planned=1),
    "notice of upload": uploaded(notice="x"),
    "tier as a number": uploaded(tier=0),
    "tier as a list": uploaded(tier=["F0"]),
    "in_flight as text": uploaded(in_flight="3"),
    "no batch in flight": uploaded(in_flight=0),
    "journal as a number": uploaded(journal=3),
    "verify a path": verified(dataset="path"),
    "verify with nothing": verified(client=None),
    "progress of verify": verified(progress=1),
    "convert with strict as text": lambda _, path: rb.convert(
        SCENE / "coco", path / "o", **IDS | {"strict": "no"}
    ),
    "convert a number": lambda _, path: rb.convert(3, path / "o", **IDS),  # type: ignore[arg-type]
    "convert to a number": lambda *_: rb.convert(SCENE / "coco", 3, **IDS),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_type_is_an_error_of_the_library(
    name: str, scene: rb.Dataset, tmp_path: Path
) -> None:
    with pytest.raises(rb.RegionBatchError) as caught:
        WRONG[name](scene, tmp_path)
    assert not any(tmp_path.iterdir())
    assert KEY not in str(caught.value)
    assert caught.value.option or isinstance(caught.value, rb.ResolveError)
