"""Readers: the contract, the built-in ones, those of other packages, and which of them claims a path.

A plugin is found through the entry-point group `regionbatch.readers`; it is imported only when formats are listed, when
it is asked for by name, or when no built-in reader claims the path. The guide is in the documentation of the library.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import is_dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from regionbatch.errors import PluginError, RegionBatchError, UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from importlib.metadata import EntryPoint
    from pathlib import Path

    from regionbatch.dataset import RawAnnotations
    from regionbatch.findings import Report
    from regionbatch.options import ReadOptions

GROUP = "regionbatch.readers"
_HERE = "built in"

BUILT_IN = {
    "coco": "regionbatch.readers.coco:CocoReader",
    "voc": "regionbatch.readers.voc:VocReader",
    "yolo": "regionbatch.readers.yolo:YoloReader",
}


@runtime_checkable
class Reader(Protocol):
    """A reader of one format. It parses; it scales, clips and drops nothing that can be written as four numbers."""

    title: ClassVar[str]
    """One line for people: what it reads."""
    options: ClassVar[type[ReadOptions]]
    """A frozen dataclass; its fields are what `regionbatch.read` takes by keyword."""

    def claims(self, path: Path) -> str | None:
        """Why this path is of the format, in a few words; None if it is not. Reads little and never raises."""
        ...

    def read(self, path: Path, options: Any, report: Report) -> RawAnnotations:  # noqa: ANN401 - see below
        """Read the annotations as they stand in the files.

        `options` is an instance of the reader's own dataclass. Every record met is counted with `report.read`, also
        those that are reported with `report.add` because no four numbers can be made of them. Raises a `DatasetError`
        only when nothing can be read.
        """
        ...


class Listed(NamedTuple):
    """A reader in the list of formats."""

    name: str
    origin: str
    """`built in`, or the distribution that brings it."""
    reader: Reader | None
    """None: it is broken, and `trouble` says how."""
    trouble: str = ""


def get(name: str) -> Reader:
    """The reader of a format.

    Raises:
        UnknownFormatError: No reader has the name; those that exist are listed.
        PluginError: Two packages bring a reader of the name, or it cannot be imported.
    """
    if name in BUILT_IN:
        _refuse_twins(name, [plugin for plugin in _plugins() if plugin.name == name])
        return _load(name, BUILT_IN[name])
    found = [plugin for plugin in _plugins() if plugin.name == name]
    _refuse_twins(name, found)
    if not found:
        known = [*BUILT_IN, *(plugin.name for plugin in _plugins())]
        from difflib import get_close_matches  # noqa: PLC0415 - only for a mistake

        near = get_close_matches(name, known, 1)
        hint = f"did you mean {near[0]}?" if near else f"known formats: {', '.join(known)}"
        raise UnknownFormatError(f"--format: no reader of this name, got {name}; {hint}")
    return _load(name, found[0].value, _origin(found[0]))


def listed() -> Iterator[Listed]:
    """All readers, built in and plugged in; a broken one is named with its trouble."""
    for name, target in BUILT_IN.items():
        yield Listed(name, _HERE, _load(name, target))
    for plugin in _plugins():
        origin = _origin(plugin)
        try:
            yield Listed(plugin.name, origin, get(plugin.name))
        except PluginError as error:
            yield Listed(plugin.name, origin, None, str(error))


def detect(path: Path) -> tuple[str, Reader, str]:
    """The format of a path: its name, its reader, and why.

    Raises:
        UnknownFormatError: No reader claims it, or more than one does.
    """
    built_in = {name: _load(name, target) for name, target in BUILT_IN.items()}
    claims = [(name, reader, why) for name, reader in built_in.items() if (why := reader.claims(path))]
    troubles: list[str] = []
    if not claims:
        plugged = [one for one in listed() if one.origin != _HERE]
        claims = [(one.name, one.reader, why) for one in plugged if (why := _claim(one, path, troubles)) and one.reader]
    if len(claims) == 1:
        return claims[0]
    if not claims:
        needed = "; ".join(f"{name}: {reader.title}" for name, reader in built_in.items())
        broken = "".join(f"; broken: {trouble}" for trouble in troubles)
        raise UnknownFormatError(
            f"{path}: no data set that a reader knows; looked for {needed}; or name --format{_seen(path)}{broken}"
        )
    reasons = "; ".join(f"{name}: {why}" for name, _, why in claims)
    raise UnknownFormatError(f"{path}: more than one format is here, got {reasons}; choose one with --format")


@contextmanager
def named_if_broken(name: str) -> Iterator[None]:
    """Turn what a reader of another package raises, and should not, into an error that names it.

    Raises:
        PluginError: It raised something else than a `RegionBatchError`.
    """
    try:
        yield
    except Exception as error:
        if name in BUILT_IN or isinstance(error, RegionBatchError):
            raise
        what = f"raised {type(error).__name__}: {error}"
        raise PluginError(f"{name}: the reader is broken, it {what}; update the package that brings it") from error


def _seen(path: Path) -> str:
    """What is in a folder that nobody claims, as far as it may help."""
    from regionbatch.readers.coco_files import others  # noqa: PLC0415 - only for the message
    from regionbatch.readers.files import tree_of  # noqa: PLC0415

    if not path.is_dir():
        return ""
    tree = tree_of(path)
    seen = [("the JSON files here are", others(tree))]  # it lists the folder
    seen.append(("links that lead out of it are not followed:", ", ".join(tree.outside[:3])))
    seen.append(("folders that may not be opened:", ", ".join(tree.closed[:3])))
    return "".join(f"; {what} {names}" for what, names in seen if names)


def _claim(plugin: Listed, path: Path, troubles: list[str]) -> str | None:
    """Why a plugin claims a path; a broken one claims nothing, and its trouble is kept."""
    if plugin.reader is None:
        troubles.append(plugin.trouble)
        return None
    try:
        return plugin.reader.claims(path)
    except Exception as error:  # noqa: BLE001 - somebody else's code, which must not stop the others
        troubles.append(f"{plugin.name}: claims of {plugin.origin} raised {type(error).__name__}: {error}; update it")
        return None


def _plugins() -> list[EntryPoint]:
    from importlib.metadata import entry_points  # noqa: PLC0415 - a third of the start-up, and mostly not needed

    return sorted(entry_points(group=GROUP), key=lambda plugin: (plugin.name, plugin.value))


def _origin(plugin: EntryPoint) -> str:
    return plugin.dist.name if plugin.dist else plugin.value


def _refuse_twins(name: str, found: list[EntryPoint]) -> None:
    origins = [*(["regionbatch itself"] if name in BUILT_IN else []), *map(_origin, found)]
    if len(origins) > 1:
        raise PluginError(f"{name}: two readers have this name, got {' and '.join(origins)}; uninstall one of them")


def _load(name: str, target: str, origin: str = "regionbatch") -> Reader:
    try:
        module, _, attribute = target.partition(":")
        reader = getattr(import_module(module), attribute)()
    except Exception as error:
        raise PluginError(
            f"{name}: the reader of {origin} cannot be loaded, "
            f"got {type(error).__name__}: {error}; update or uninstall that package"
        ) from error
    if not (isinstance(reader, Reader) and is_dataclass(reader.options)):
        raise PluginError(
            f"{name}: the reader of {origin} lacks title, options (a dataclass), claims or read; "
            "see regionbatch.plugins.Reader"
        )
    return reader
