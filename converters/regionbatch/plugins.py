"""Readers: the contract, the built-in ones, those of other packages, and which of them claims a path.

A plugin is found through the entry-point group `regionbatch.readers`; it is imported only when formats are listed, when
it is asked for by name, or when no built-in reader claims the path. Its options are found through
the group `regionbatch.options`, so that help is shown without importing the plugin. The guide is in
the documentation of the library.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, runtime_checkable

from regionbatch.errors import PluginError, RegionBatchError, UnknownFormatError
from regionbatch.installed import entry_points
from regionbatch.options import BUILT_IN_OPTIONS, ReadOptions

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.installed import EntryPoint

GROUP = "regionbatch.readers"
OPTIONS_GROUP = "regionbatch.options"
_HERE = "built in"

BUILT_IN = {
    "coco": "regionbatch.readers.coco.reader:CocoReader",
    "voc": "regionbatch.readers.voc.reader:VocReader",
    "yolo": "regionbatch.readers.yolo.reader:YoloReader",
    "cvat": "regionbatch.readers.cvat:CvatReader",
    "vott": "regionbatch.readers.vott:VottReader",
}

ARGUMENTS_OF_READ = frozenset({"source", "format", "drop", "only", "max_clip", "strict", "progress"})
"""The arguments of `regionbatch.read` itself: an option of a reader cannot have their names."""


@runtime_checkable
class Reader(Protocol):
    """A reader of one format. It parses; it scales, clips and drops nothing that can be written as four numbers."""

    title: ClassVar[str]
    """One line for people: what it reads."""
    options: ClassVar[type[ReadOptions]]
    """A frozen dataclass; its fields are what `regionbatch.read` takes by keyword."""

    def detect(self, tree: Tree) -> str | None:
        """Return why the files of a tree are of the format, in a few words; None if they are not.

        Decides by content, reads little and never raises. `tree.candidates` yields the files to look at, also where
        the user named a single file.
        """
        ...

    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:  # noqa: ANN401 - see below
        """Return what the dataset consists of: its annotation files and image lists. Parses no annotation.

        Args:
            tree: The files of the dataset.
            options: An instance of the reader's own dataclass.
            log: Where findings and decisions are reported.

        Raises:
            DatasetError: There is nothing to read.
        """
        ...

    def read(self, tree: Tree, files: Sequence[str], options: Any, log: FindingLog) -> RawAnnotations:  # noqa: ANN401
        """Return the annotations of some files as they stand in them.

        Opens no image and returns no path: the images are found by the names in `RawAnnotations.images`. Every record
        is counted with `log.read`, also those that are reported with `log.add` because no four numbers can be made of
        them. May be called again for files that are not part of the dataset, to count their boxes.

        Args:
            tree: The files of the dataset.
            files: Those of `References.files` to read; a label file once for each of its images.
            options: An instance of the reader's own dataclass.
            log: Where findings and decisions are reported.

        Raises:
            DatasetError: Nothing can be read.
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


class ListedOptions(NamedTuple):
    """The options of a reader in the help of a command."""

    name: str
    """The format."""
    origin: str
    """`built in`, or the distribution that brings the reader."""
    options: type[ReadOptions] | None
    """None: the plugin is broken, and `trouble` says how."""
    trouble: str = ""

    @property
    def is_built_in(self) -> bool:
        """Whether the reader is part of regionbatch."""
        return self.origin == _HERE


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
    return _load_plugin(found[0])


def listed() -> Iterator[Listed]:
    """All readers, built in and plugged in; a broken one is named with its trouble."""
    for name, target in BUILT_IN.items():
        yield Listed(name, _HERE, _load(name, target))
    for plugin in _plugins():
        try:
            yield Listed(plugin.name, plugin.distribution, get(plugin.name))
        except PluginError as error:
            yield Listed(plugin.name, plugin.distribution, None, str(error))


def built_in_options() -> list[ListedOptions]:
    """Return the options of the built-in readers, without importing the readers."""
    return [ListedOptions(name, _HERE, BUILT_IN_OPTIONS.get(name, ReadOptions)) for name in BUILT_IN]


def plugin_options() -> list[ListedOptions]:
    """Return the options of the plugins; a broken one is named with its trouble.

    Imports what the entry-point group `regionbatch.options` names for a reader; the reader itself
    only if that is missing.
    """
    found = []
    plugins = _plugins()
    for plugin in plugins:
        try:
            _refuse_twins(plugin.name, [other for other in plugins if other.name == plugin.name])
            declared = _declared_options(plugin) or _load_plugin(plugin).options
        except PluginError as error:
            found.append(ListedOptions(plugin.name, plugin.distribution, None, str(error)))
        else:
            found.append(ListedOptions(plugin.name, plugin.distribution, declared))
    return found


def option_classes() -> list[ListedOptions]:
    """Return the options of all readers: the built-in ones first, then the plugins by name."""
    return [*built_in_options(), *plugin_options()]


def detect(tree: Tree) -> tuple[str, Reader, str]:
    """The format of a tree: its name, its reader, and why.

    Raises:
        UnknownFormatError: No reader claims it, or more than one does.
    """
    built_in = {name: _load(name, target) for name, target in BUILT_IN.items()}
    claims = [(name, reader, why) for name, reader in built_in.items() if (why := reader.detect(tree))]
    troubles: list[str] = []
    if not claims:
        plugged = [one for one in listed() if one.origin != _HERE]
        claims = [(one.name, one.reader, why) for one in plugged if (why := _claim(one, tree, troubles)) and one.reader]
    if len(claims) == 1:
        return claims[0]
    if not claims:
        needed = "; ".join(f"{name}: {reader.title}" for name, reader in built_in.items())
        broken = "".join(f"; broken: {trouble}" for trouble in troubles)
        raise UnknownFormatError(
            f"{tree.source}: no dataset that a reader knows{_seen(tree)}; looked for {needed}; or name --format{broken}"
        )
    reasons = "; ".join(f"{name}: {why}" for name, _, why in claims)
    raise UnknownFormatError(f"{tree.source}: more than one format is here, got {reasons}; choose one with --format")


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


def _seen(tree: Tree) -> str:
    """Return what is in a folder that nobody claims, as far as it may help."""
    from regionbatch.findings import on_one_line  # noqa: PLC0415 - NumPy, only for the message
    from regionbatch.unknown_formats import found_in  # noqa: PLC0415 - as above

    found = found_in(tree, [*BUILT_IN, *(plugin.name for plugin in _plugins())])  # it lists the folder
    seen = [*map(on_one_line, found)]
    for what, names in (
        ("links that lead out of it are not followed", tree.outside),
        ("folders that may not be opened", tree.closed),
    ):
        if names:
            seen.append(f"{what}: {', '.join(names[:3])}")
    return "".join(f"; {one}" for one in seen)


def _claim(plugin: Listed, tree: Tree, troubles: list[str]) -> str | None:
    """Why a plugin claims a tree; a broken one claims nothing, and its trouble is kept."""
    if plugin.reader is None:
        troubles.append(plugin.trouble)
        return None
    try:
        return plugin.reader.detect(tree)
    except Exception as error:  # noqa: BLE001 - somebody else's code, which must not stop the others
        troubles.append(f"{plugin.name}: detect of {plugin.origin} raised {type(error).__name__}: {error}; update it")
        return None


def _plugins() -> list[EntryPoint]:
    return entry_points(GROUP)


def _refuse_twins(name: str, found: list[EntryPoint]) -> None:
    own = ["regionbatch itself"] if name in BUILT_IN else []
    origins = [*own, *(plugin.distribution for plugin in found)]
    if len(origins) > 1:
        raise PluginError(f"{name}: two readers have this name, got {' and '.join(origins)}; uninstall one of them")


def _load_plugin(plugin: EntryPoint) -> Reader:
    reader = _load(plugin.name, plugin.value, plugin.distribution)
    _checked_options(plugin, reader.options)
    declared = _declared_options(plugin)
    if declared not in (None, reader.options):
        raise PluginError(
            f"{plugin.name}: the options of the reader of {plugin.distribution} are not the class "
            f"that its entry point in {OPTIONS_GROUP} names. Update or uninstall that package."
        )
    return reader


def _declared_options(plugin: EntryPoint) -> type[ReadOptions] | None:
    """Return the options that a plugin's package declares by an entry point; None without one."""
    for point in entry_points(OPTIONS_GROUP):
        if (point.name, point.distribution) == (plugin.name, plugin.distribution):
            return _checked_options(plugin, _import(plugin.name, point.value, plugin.distribution))
    return None


def _checked_options(
    plugin: EntryPoint,
    options: Any,  # noqa: ANN401 - whatever a package names
) -> type[ReadOptions]:
    """Return the options of a plugin if they can be given by keyword."""
    trouble = ""
    if isinstance(options, type) and is_dataclass(options) and issubclass(options, ReadOptions):
        for field in fields(options):
            if field.name in ARGUMENTS_OF_READ:
                trouble = f"include {field.name!r}, which is an argument of regionbatch.read"
            elif field.default is MISSING and field.default_factory is MISSING:
                trouble = f"include {field.name!r}, which has no default"
        if not trouble:
            return options
    else:
        trouble = "are not a dataclass derived from ReadOptions"
    raise PluginError(
        f"{plugin.name}: the options of the reader of {plugin.distribution} {trouble}. "
        "Update or uninstall that package."
    )


def _import(name: str, target: str, origin: str) -> Any:  # noqa: ANN401 - whatever a package names
    module, _, attribute = target.partition(":")
    try:
        return attrgetter(attribute)(import_module(module))
    except (Exception, SystemExit) as error:
        raise _not_loaded(name, origin, error) from error


def _not_loaded(name: str, origin: str, error: BaseException) -> PluginError:
    return PluginError(
        f"{name}: the reader of {origin} cannot be loaded, "
        f"got {type(error).__name__}: {error}; update or uninstall that package"
    )


def _load(name: str, target: str, origin: str = "regionbatch") -> Reader:
    made = _import(name, target, origin)
    try:
        reader = made()
    except (Exception, SystemExit) as error:
        raise _not_loaded(name, origin, error) from error
    if not (isinstance(reader, Reader) and is_dataclass(reader.options)):
        raise PluginError(
            f"{name}: the reader of {origin} lacks title, options (a dataclass), detect, references or read; "
            "see regionbatch.plugins.Reader"
        )
    return reader
