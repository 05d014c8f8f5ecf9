"""Executors that do not fit: a call for each error that they raise."""

from __future__ import annotations

import errno
import sys
import tempfile
from concurrent.futures import Executor, Future
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch
from helpers import ROOT, InThisProcess
from regionbatch import parts
from regionbatch.in_parts.work import WrittenPart
from regionbatch.process_count import PROCESSES_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene" / "yolo"


class Client:
    """Looks like the client of a Dask cluster."""

    def get_executor(self) -> None:
        raise NotImplementedError


def read_by(executor: Any) -> Callable[[Path], object]:
    return lambda _: regionbatch.read(SCENE, executor=executor)


def read_with_processes(_folder: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(PROCESSES_VARIABLE, "two")
        return regionbatch.read(SCENE)


class Elsewhere(Executor):
    """Calls functions like a process that differs from this one."""

    def __init__(self, target: Any, name: str, value: object) -> None:
        self.difference = target, name, value

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(*self.difference)
            return done(fn(*args))


class WithoutPackage(InThisProcess):
    """Calls functions like a process without regionbatch."""

    def submit(self, *_: Any, **__: Any) -> Any:
        return super().submit(__import__, "regionbatch_of_another_version")


class Returning(InThisProcess):
    """Returns something other than a future, or other than the result of the call."""

    def __init__(self, found: object) -> None:
        super().__init__()
        self.found = found

    def submit(self, *_: Any, **__: Any) -> Any:
        return self.found


def done(result: object) -> Future[object]:
    future: Future[object] = Future()
    future.set_result(result)
    return future


DIFFERENCES: dict[str, tuple[Any, str, object]] = {
    "another version": (regionbatch, "__version__", "0.0.9"),
    "another encoding of file names": (sys, "getfilesystemencoding", lambda: "latin-1"),
    "a missing file": (parts, "_state_of", lambda *_: None),
    "another file": (parts, "_state_of", lambda *_: (7, 7)),
}
"""What differs in a process: what is replaced there, and by what."""


class JudgingDifferently(InThisProcess):
    """Finds other numbers when it judges the boxes again."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Any:
        *call, result = super().submit(fn, *args).result()
        if isinstance(result, WrittenPart):
            judged = result.judged._replace(by_tag=result.judged.by_tag + 1)
            result = result._replace(judged=judged)
        return done((*call, result))


def written_by(executor: Any) -> Callable[[Path], object]:
    tables: dict[str, Any] = {
        "tag_ids": ROOT / "fixtures/scene/tags.json",
        "image_ids": ROOT / "fixtures/scene/images.json",
    }
    return lambda folder: regionbatch.convert(SCENE, folder / "out", executor=executor, **tables)


def written_without_space(folder: Path) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "TemporaryFile", no_space)
        return written_by(InThisProcess())(folder)


def summary_of_files(folder: Path) -> object:
    written: Any = written_by(InThisProcess())(folder)
    return regionbatch.summary(regionbatch.read(SCENE), written)


def no_space(**_: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


EXECUTOR_MISTAKES: dict[str, Callable[[Path], object]] = {
    "an executor that is a number": read_by(3),
    "an executor that is a client": read_by(Client()),
    "an executor without futures": read_by(Returning(None)),
    "an executor with other results": read_by(Returning(done("text"))),
    "an executor without regionbatch": read_by(WithoutPackage()),
    "an executor that judges differently": written_by(JudgingDifferently()),
    "a number of processes that is none": read_with_processes,
    "a temporary file without space": written_without_space,
    "a summary of files": summary_of_files,
    **{
        f"an executor with {name}": read_by(Elsewhere(*difference))
        for name, difference in DIFFERENCES.items()
    },
}
