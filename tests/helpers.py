"""Tiny datasets, ids for them, and two ways to run the command; for all tests."""

from __future__ import annotations

import ast
import io
import json
import os
import pickle
import re
import subprocess
import sys
import uuid
from collections.abc import Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Self
from unittest import mock

import pytest

import regionbatch
import regionbatch_cli
from regionbatch.readers.coco import jsonpieces
from regionbatch.readers.voc import reader as voc
from regionbatch.readers.voc import xml
from regionbatch.readers.yolo import reader as yolo
from regionbatch_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

ROOT = Path(__file__).parents[1]
"""The top of the repository."""

Box = tuple[str, str, Sequence[object]]
"""Image, class, and the four numbers as they shall stand in the file."""

SIZE = (200, 100)
"""Width and height of images, unless a test says otherwise."""


def write_coco(
    folder: Path,
    boxes: Iterable[Box],
    *,
    images: Mapping[str, tuple[int, int]] | None = None,
    tags: Sequence[str] = (),
    name: str = "annotations.json",
    **extra: object,
) -> Path:
    """A folder with one COCO file; annotation ids count from 1. `extra` goes into each annotation."""
    boxes = list(boxes)
    sizes = dict(images or {image: SIZE for image, _, _ in boxes})
    names = list(dict.fromkeys([*tags, *(tag for _, tag, _ in boxes)]))
    content = {
        "images": [
            {"id": number, "file_name": image, "width": width, "height": height}
            for number, (image, (width, height)) in enumerate(sizes.items(), 1)
        ],
        "categories": [{"id": number, "name": tag} for number, tag in enumerate(names, 1)],
        "annotations": [
            {
                "id": number,
                "image_id": list(sizes).index(image) + 1,
                "category_id": names.index(tag) + 1,
                "bbox": list(numbers),
                **extra,
            }
            for number, (image, tag, numbers) in enumerate(boxes, 1)
        ],
    }
    return write_json(folder / name, content).parent


def write_voc(folder: Path, boxes: Iterable[Box], *, images: Mapping[str, tuple[int, int]] | None = None) -> Path:
    """A folder with one XML an image; the numbers are xmin, ymin, xmax, ymax."""
    boxes = list(boxes)
    folder.mkdir(parents=True, exist_ok=True)
    for image, (width, height) in (images or {image: SIZE for image, _, _ in boxes}).items():
        objects = "".join(
            f"<object><name>{tag}</name><bndbox><xmin>{x}</xmin><ymin>{y}</ymin><xmax>{x2}</xmax><ymax>{y2}</ymax>"
            "</bndbox></object>\n"
            for of, tag, (x, y, x2, y2) in boxes
            if of == image
        )
        (folder / image).with_suffix(".xml").write_text(
            f"<annotation><filename>{image}</filename><size><width>{width}</width><height>{height}</height></size>\n"
            f"{objects}</annotation>",
            encoding="utf-8",
        )
    return folder


def write_yolo(folder: Path, boxes: Iterable[Box], *, images: Iterable[str] = (), tags: Sequence[str] = ()) -> Path:
    """A folder with classes.txt and one label file an image; the numbers are what follows the class in a row."""
    boxes = list(boxes)
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys([*tags, *(tag for _, tag, _ in boxes)]))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    for image in dict.fromkeys([*images, *(image for image, _, _ in boxes)]):
        rows = "".join(
            f"{names.index(tag)} {' '.join(map(str, numbers))}\n" for of, tag, numbers in boxes if of == image
        )
        (folder / image).with_suffix(".txt").write_text(rows, encoding="utf-8")
    return folder


def write_json(path: Path, content: object) -> Path:
    """A JSON file; NaN and Infinity are written as Python does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def id_of(name: str) -> str:
    """A UUID of a name, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def ids_of(names: Iterable[str]) -> dict[str, str]:
    """A table of ids."""
    return {name: id_of(name) for name in names}


def batches_of(dataset: regionbatch.Dataset) -> regionbatch.Batches:
    """The batches of a dataset, with an id for every name."""
    return regionbatch.batches(dataset, tag_ids=ids_of(dataset.tags), image_ids=ids_of(dataset.images.names))


def write_id_files(folder: Path, dataset: regionbatch.Dataset) -> list[str]:
    """The files that `convert` needs for a dataset, as its options."""
    tags = write_json(folder / "tags.json", ids_of(dataset.tags))
    images = write_json(folder / "images.json", ids_of(dataset.images.names))
    return ["--tags", str(tags), "--images", str(images)]


def mentions(said: object, *tokens: object) -> bool:
    """Check that a message contains all tokens, each as a whole: `a.txt:1` is not in `a.txt:12`.

    Tokens are options, places, names and values, never words of a sentence: only `test_messages.py` reviews wording.
    An option is found in the command's spelling and in Python's: `--coco-boxes` also as `coco_boxes`.
    """
    text = str(said)
    for token in map(str, tokens):
        spellings = [token]
        if token.startswith("--"):
            spellings.append(token[2:].replace("-", "_"))
        if not any(re.search(rf"(?<!\w){re.escape(spelling)}(?!\w)", text) for spelling in spellings):
            return False
    return True


@contextmanager
def raises_mentioning(error: type[Exception], *tokens: object) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Expect an error whose message `mentions` all tokens."""
    with pytest.raises(error) as caught:
        yield caught
    assert mentions(caught.value, *tokens), f"{tokens} are not all in: {caught.value}"


class Result(NamedTuple):
    """What a run of the command left."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which must be nothing but one JSON document."""
        return json.loads(self.stdout)


def command(*arguments: str | Path) -> Result:
    """Run the command in this process."""
    out, err = (io.TextIOWrapper(io.BytesIO(), "utf-8", newline="", write_through=True) for _ in range(2))
    status = 0
    argv = mock.patch.object(sys, "argv", ["regionbatch", *map(str, arguments)])
    with argv, redirect_stdout(out), redirect_stderr(err):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
    texts = []
    for stream in (out, err):
        stream.flush()
        buffer = stream.buffer
        texts.append(buffer.getvalue().decode() if isinstance(buffer, io.BytesIO) else "")
    return Result(status, *texts)


def environment(**extra: str) -> dict[str, str]:
    """The environment for a process that shall find the sources wherever it is started."""
    homes = [str(Path(package.__path__[0]).parent) for package in (regionbatch, regionbatch_cli)]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(homes), "PYTHONUTF8": "1", **extra}


def process(*arguments: str | Path, cwd: Path | None = None, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in a process of its own, as `process("-m", "regionbatch_cli", "formats")`."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )


def imports_of(tree: ast.AST) -> set[str]:
    """All modules that a file imports, wherever in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


class HelperHere:
    """In place of a helper: does its work in this process when asked. What it is given and gives is pickled as well."""

    def __init__(self, work: Callable[..., Iterable[Any]], /, *given: object) -> None:
        self._call = pickle.dumps((work, given))

    def items(self) -> Iterable[Any] | None:
        work, given = pickle.loads(self._call)
        try:
            items = [pickle.dumps(item, 5) for item in work(*given)]
        except Exception:  # noqa: BLE001 - a process ends with any
            return None
        return map(pickle.loads, items)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass


def always_helped(patch: pytest.MonkeyPatch, helper: type | None = HelperHere) -> None:
    """Have the second half of every dataset, however small, read by a helper: the real one, if it is None."""
    patch.setattr(jsonpieces, "HELPED", 0)
    patch.setattr(jsonpieces, "_START", 0)
    for module in (voc, yolo):
        patch.setattr(module, "_HELPED", 0)
    patch.setattr(xml, "_PACKED", 2)
    for module in (jsonpieces, voc, yolo) if helper else ():
        patch.setattr(module, "Helper", helper)
