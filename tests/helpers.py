"""Tiny datasets, IDs for them, and two ways to run the command; for all tests."""

from __future__ import annotations

import ast
import importlib
import io
import json
import os
import pickle
import re
import shutil
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import pytest

import regionbatch
import regionbatch_cli
from regionbatch import part_reading, processes
from regionbatch.testing import collected_cases
from regionbatch_cli.main import main

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from regionbatch.testing import Case

ROOT = Path(__file__).parents[1]
SCENE_TABLES: dict[str, Any] = {
    "tag_ids": ROOT / "fixtures/scene/tags.json",
    "image_ids": ROOT / "fixtures/scene/images.json",
}
"""The IDs of the scene, which is the same in every format, by keyword."""
"""Top folder of the repository."""

Box = tuple[str, str, Sequence[object]]
"""Image, class, and the four numbers as written to the file."""

SIZE = (200, 100)
"""Default width and height of images."""


def write_coco(
    folder: Path,
    boxes: Iterable[Box],
    *,
    images: Mapping[str, tuple[int, int]] | None = None,
    tags: Sequence[str] = (),
    name: str = "annotations.json",
    **extra: object,
) -> Path:
    """Write a folder with one COCO file; annotation IDs count from 1.

    `extra` is added to each annotation.
    """
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


def write_voc(
    folder: Path, boxes: Iterable[Box], *, images: Mapping[str, tuple[int, int]] | None = None
) -> Path:
    """Write a folder with one XML file per image; the numbers are xmin, ymin, xmax, ymax."""
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


def write_yolo(
    folder: Path, boxes: Iterable[Box], *, images: Iterable[str] = (), tags: Sequence[str] = ()
) -> Path:
    """Write a folder with classes.txt and a label file for each image.

    A row is the class and the four numbers.
    """
    boxes = list(boxes)
    folder.mkdir(parents=True, exist_ok=True)
    names = list(dict.fromkeys([*tags, *(tag for _, tag, _ in boxes)]))
    (folder / "classes.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    for image in dict.fromkeys([*images, *(image for image, _, _ in boxes)]):
        rows = "".join(
            f"{names.index(tag)} {' '.join(map(str, numbers))}\n"
            for of, tag, numbers in boxes
            if of == image
        )
        (folder / image).with_suffix(".txt").write_text(rows, encoding="utf-8")
    return folder


def write_json(path: Path, content: object) -> Path:
    """Write a JSON file, with NaN and Infinity as Python writes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def id_of(name: str) -> str:
    """Return a UUID for a name: equal names have equal UUIDs."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def ids_of(names: Iterable[str]) -> dict[str, str]:
    """Return an ID table."""
    return {name: id_of(name) for name in names}


def batches_of(dataset: regionbatch.Dataset) -> regionbatch.Batches:
    """Return the batches of a dataset, with an ID for every name."""
    return regionbatch.batches(
        dataset, tag_ids=ids_of(dataset.tags), image_ids=ids_of(dataset.images.names)
    )


def write_id_files(folder: Path, dataset: regionbatch.Dataset) -> list[str]:
    """Write the ID files of a dataset, and return them as options of `convert`."""
    tags = write_json(folder / "tags.json", ids_of(dataset.tags))
    images = write_json(folder / "images.json", ids_of(dataset.images.names))
    return ["--tag-ids", str(tags), "--image-ids", str(images)]


def fixture_cases(format: str) -> list[Case]:  # noqa: A002 - the keyword of `read`
    """Return the cases of a format in `fixtures/`, read once for all tests."""
    return collected_cases(ROOT / "fixtures" / format)


def mentions(said: object, *tokens: object) -> bool:
    """Check that a message contains all tokens, each as a whole: `a.txt:1` is not in `a.txt:12`.

    Tokens are options, places, names and values, never words of a sentence: `test_messages.py`
    reviews wording. An option is found in both spellings: `--coco-boxes` also as `coco_boxes`.
    """
    text = str(said)
    for token in map(str, tokens):
        spellings = [token]
        if token.startswith("--"):
            spellings.append(token[2:].replace("-", "_"))
        if not any(
            re.search(rf"(?<!\w){re.escape(spelling)}(?!\w)", text) for spelling in spellings
        ):
            return False
    return True


@contextmanager
def raises_mentioning(
    error: type[Exception], *tokens: object
) -> Iterator[pytest.ExceptionInfo[Exception]]:
    """Expect an error whose message `mentions` all tokens."""
    with pytest.raises(error) as caught:
        yield caught
    assert mentions(caught.value, *tokens), f"{tokens} are not all in: {caught.value}"


class ManualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, time: float = 1000.0) -> None:
        self.time = time

    def __call__(self) -> float:
        return self.time


class Result(NamedTuple):
    """Exit status and output of a run of the command."""

    status: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON document."""
        return json.loads(self.stdout)


def command(*arguments: str | Path, one_stream: bool = False) -> Result:
    """Run the command in this process.

    With `one_stream`, what it prints on standard error is in `stdout`, as on a terminal.
    """
    out, err = io.BytesIO(), io.BytesIO()
    with (
        mock.patch.object(sys, "argv", ["regionbatch", *map(str, arguments)]),
        redirect_stdout(_text_stream(out)),
        redirect_stderr(sys.stdout if one_stream else _text_stream(err)),
    ):
        try:
            main()
        except SystemExit as end:
            status = end.code if isinstance(end.code, int) else 1
        else:
            status = 0
        sys.stdout.flush()
        sys.stderr.flush()
        return Result(status, out.getvalue().decode(), err.getvalue().decode())


def _text_stream(buffer: io.BytesIO) -> io.TextIOWrapper:
    return io.TextIOWrapper(buffer, "utf-8", newline="", write_through=True)


def environment(**extra: str) -> dict[str, str]:
    """Return the environment for a process that finds the sources from any folder."""
    homes = [str(Path(package.__path__[0]).parent) for package in (regionbatch, regionbatch_cli)]
    own = {"PYTHONPATH": os.pathsep.join(homes), "PYTHONUTF8": "1", **extra}
    inherited = {name: os.environ[name] for name in os.environ if name != "PYTHONUNBUFFERED"}
    return inherited | own  # with a buffer, as users have it


def process(
    *arguments: str | Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Run Python in a new process: `process("-m", "regionbatch_cli", "formats")`."""
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment(**env),
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def run_pytest(*folders: Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest in a new process that finds the packages of some folders, without its plugins."""
    paths = os.pathsep.join([environment()["PYTHONPATH"], *map(str, folders)])
    options = ("-q", "-W", "error", "-p", "no:cacheprovider")
    variables = {"PYTHONPATH": paths, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    # The folders of another run of pytest may be deleted by a third one.
    folder = f"--basetemp={cwd / '.basetemp'}"
    return process("-m", "pytest", *options, folder, cwd, cwd=cwd, **variables)


PLUGIN_EXAMPLE = ROOT / "tests" / "plugin_example"


def write_csv_table(folder: Path) -> Path:
    """Write a dataset that only the example plugin can read."""
    folder.mkdir()
    text = "image,width,height,tag,left,top,right,bottom\na.jpg,200,100,cat,20,10,60,40\n"
    (folder / "boxes.csv").write_text(text, encoding="utf-8")
    return folder


class PluginSite(NamedTuple):
    """A folder of installed packages, as after `pip install --target`. Nothing is built."""

    folder: Path

    def install(self, name: str, readers: dict[str, str], module: str = "", code: str = "") -> None:
        """Install a package with one module, and readers as entry points."""
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir(parents=True)
        lines = "".join(f"{key} = {value}\n" for key, value in readers.items())
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(f"[regionbatch.readers]\n{lines}", encoding="utf-8")
        if module:
            (self.folder / f"{module}.py").write_text(code, encoding="utf-8")

    def install_example(self) -> None:
        """Install the example plugin with the name and entry points of its pyproject.toml."""
        project = tomllib.loads((PLUGIN_EXAMPLE / "pyproject.toml").read_text(encoding="utf-8"))[
            "project"
        ]
        self.install(project["name"], project["entry-points"]["regionbatch.readers"])
        shutil.copytree(PLUGIN_EXAMPLE / "regionbatch_csv", self.folder / "regionbatch_csv")

    def run(
        self, *arguments: str | Path, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run Python with these packages."""
        paths = os.pathsep.join([environment()["PYTHONPATH"], str(self.folder)])
        return process(*arguments, cwd=cwd, PYTHONPATH=paths)

    def command(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run the command with these packages, in this process, which forgets them again."""
        before = {*sys.modules}
        with mock.patch.object(sys, "path", [*sys.path, str(self.folder)]):
            importlib.invalidate_caches()
            done = command(*arguments)
        for name in sys.modules.keys() - before:
            if any(self.folder.glob(f"{name.partition('.')[0]}*")):
                del sys.modules[name]
        return subprocess.CompletedProcess(arguments, *done)


def json_of(done: subprocess.CompletedProcess[str]) -> Any:
    """Return the JSON that a successful process printed."""
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def imports_of(tree: ast.AST) -> set[str]:
    """Return all modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


class InThisProcess(Executor):
    """Calls functions at once, in this process, but pickles arguments and results too.

    The arrays of results are read-only, as those of Ray are, which share memory.
    """

    def __init__(self) -> None:
        self.results: list[Any] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        future: Future[Any] = Future()
        arrays: list[pickle.PickleBuffer] = []
        try:
            call, arguments = pickle.loads(pickle.dumps((fn, args), 5))
            result = pickle.dumps(call(*arguments), 5, buffer_callback=arrays.append)
            buffers = [bytes(array.raw()) for array in arrays]
            self.results.append(pickle.loads(result, buffers=buffers))
            future.set_result(self.results[-1])
        except Exception as error:  # noqa: BLE001 - as an executor does
            future.set_exception(error)
        return future


def always_in_parts(
    patch: pytest.MonkeyPatch, n: int = 2, executor: Executor | None = None
) -> Executor:
    """Read every dataset, even a small one, in n parts; return the executor."""
    used = executor or InThisProcess()
    patch.setattr(part_reading, "MIN_PARTS", n)
    patch.setattr(part_reading, "MIN_PARTS_OF_LARGE", 0)
    patch.setattr(part_reading, "available_processes", lambda: 2)
    patch.setattr(processes, "local_processes", lambda **_: nullcontext(used))
    return used
