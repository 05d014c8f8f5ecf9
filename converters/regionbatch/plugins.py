"""Readers: their contract, the built-in ones, and those of other packages.

A plugin is found through an entry point in the group `regionbatch.readers`. It is imported only
when formats are listed, when it is chosen by name, or when no built-in reader recognises a dataset.
Its options are found through the group `regionbatch.options`, so that help can be shown without
importing the plugin. The guide is in the documentation of the library.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import MISSING, fields, is_dataclass
from importlib import import_module
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

from regionbatch.errors import OptionError, PluginError, RegionBatchError
from regionbatch.installed import entry_points
from regionbatch.options import BUILT_IN_OPTIONS, ReadOptions
from regionbatch.reader_contract import PartsReader, Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from regionbatch.installed import EntryPoint

__all__ = ["PartsReader", "Reader", "format_names", "get"]

GROUP = "regionbatch.readers"
OPTIONS_GROUP = "regionbatch.options"
_BUILT_IN_ORIGIN = "built in"
_OWN_PACKAGE = "regionbatch"

BUILT_IN = {
    "coco": "regionbatch.readers.coco.reader:CocoReader",
    "voc": "regionbatch.readers.voc.reader:VocReader",
    "yolo": "regionbatch.readers.yolo.reader:YoloReader",
    "cvat": "regionbatch.readers.cvat:CvatReader",
    "vott": "regionbatch.readers.vott:VottReader",
}

ARGUMENTS_OF_READ = frozenset(
    {
        "source",
        "format",
        "drop",
        "only",
        "max_clip",
        "storage_options",
        "strict",
        "progress",
        "executor",
    }
)
"""Arguments of `regionbatch.read` itself; a reader's option cannot have one of these names."""


class ReaderInfo(NamedTuple):
    """A reader in the list of formats."""

    name: str
    """The format."""
    origin: str
    """`built in`, or the package that provides the reader."""
    reader: Reader | None
    """None if the plugin cannot be loaded."""
    error: str = ""
    """Why the plugin cannot be loaded."""


class ReaderOptionsInfo(NamedTuple):
    """The options of a reader, as the help of a command shows them."""

    name: str
    """The format."""
    origin: str
    """`built in`, or the package that provides the reader."""
    options: type[ReadOptions] | None
    """None if the plugin cannot be loaded."""
    error: str = ""
    """Why the plugin cannot be loaded."""

    @property
    def is_built_in(self) -> bool:
        """Whether the reader is part of regionbatch."""
        return self.origin == _BUILT_IN_ORIGIN


def format_names() -> list[str]:
    """Return the names of all formats, including those of plugins. Nothing is imported."""
    return list(dict.fromkeys([*BUILT_IN, *plugin_names()]))


def get(name: str) -> Reader:
    """Return the reader of a format.

    Args:
        name: Name of the format, such as `coco`.

    Raises:
        OptionError: There is no such format. `choices` are the known ones.
        PluginError: Two packages provide the format, or its plugin cannot be loaded.

    Example:
        >>> from regionbatch import plugins
        >>> plugins.get("yolo").title
        '...YOLO...'
    """
    found = [plugin for plugin in _plugins() if plugin.name == name]
    _check_only_one(name, found)
    if name in BUILT_IN:
        return built_in_reader(name)
    if not found:
        raise unknown_format(name)
    return _load_plugin(found[0])


def built_in_reader(name: str) -> Reader:
    """Return the reader of a built-in format."""
    return _load(name, BUILT_IN[name])


def is_built_in(reader: Reader) -> bool:
    """Return whether a reader is part of regionbatch. One that a plugin derives from it is not."""
    kind = type(reader)
    return f"{kind.__module__}:{kind.__qualname__}" in BUILT_IN.values()


def plugin_names() -> list[str]:
    """Return the names of the formats of plugins. Nothing is imported."""
    return [plugin.name for plugin in _plugins()]


def unknown_format(name: str) -> OptionError:
    """Return the error for a format that no reader has."""
    known = format_names()
    from difflib import get_close_matches  # noqa: PLC0415 - only for this error

    similar = get_close_matches(name, known, 1)
    hint = f"Did you mean '{similar[0]}'?" if similar else f"Choose one of: {', '.join(known)}."
    return OptionError(
        f"format: no such format: '{name}'. {hint}", option="format", value=name, choices=known
    )


def listed() -> Iterator[ReaderInfo]:
    """Yield all readers, including those of plugins. One that cannot be loaded has an error."""
    for name in BUILT_IN:
        yield ReaderInfo(name, _BUILT_IN_ORIGIN, built_in_reader(name))
    for plugin in _plugins():
        try:
            yield ReaderInfo(plugin.name, plugin.distribution, get(plugin.name))
        except PluginError as error:
            yield ReaderInfo(plugin.name, plugin.distribution, None, str(error))


def built_in_options() -> list[ReaderOptionsInfo]:
    """Return the options of the built-in readers, without importing the readers."""
    return [
        ReaderOptionsInfo(name, _BUILT_IN_ORIGIN, BUILT_IN_OPTIONS.get(name, ReadOptions))
        for name in BUILT_IN
    ]


def plugin_options() -> list[ReaderOptionsInfo]:
    """Return the options of the plugins. A plugin that cannot be loaded has an error.

    The options are imported from the entry-point group `regionbatch.options`. A reader itself is
    imported only if it has no such entry point.
    """
    found = []
    plugins = _plugins()
    for plugin in plugins:
        try:
            _check_only_one(plugin.name, [each for each in plugins if each.name == plugin.name])
            declared = _declared_options(plugin) or _load_plugin(plugin).options
        except PluginError as error:
            found.append(ReaderOptionsInfo(plugin.name, plugin.distribution, None, str(error)))
        else:
            found.append(ReaderOptionsInfo(plugin.name, plugin.distribution, declared))
    return found


def option_classes() -> list[ReaderOptionsInfo]:
    """Return the options of all readers: the built-in ones first, then the plugins by name."""
    return [*built_in_options(), *plugin_options()]


@contextmanager
def named_if_broken(name: str, file: Callable[[], str]) -> Iterator[None]:
    """Turn an unexpected exception of a plugin into an error that names the plugin.

    Args:
        name: Name of the format.
        file: Returns the file that the plugin is reading.

    Raises:
        PluginError: The plugin raised an exception other than a `RegionBatchError`.
    """
    try:
        yield
    except Exception as error:
        if name in BUILT_IN or isinstance(error, RegionBatchError):
            raise
        from regionbatch.findings.text import quoted  # noqa: PLC0415 - only for this error

        package = next(plugin.distribution for plugin in _plugins() if plugin.name == name)
        place = file()
        problem = quoted(f"{type(error).__name__}: {error}")
        raise PluginError(
            f"{place}: the reader '{name}' of the package {package} failed: {problem}. "
            "Update the package, or report the error to its authors.",
            place=place,
        ) from error


def _plugins() -> list[EntryPoint]:
    return entry_points(GROUP)


def _check_only_one(name: str, found: list[EntryPoint]) -> None:
    own = [_OWN_PACKAGE] if name in BUILT_IN else []
    packages = [*own, *(plugin.distribution for plugin in found)]
    if len(packages) > 1:
        raise PluginError(
            f"{name}: several packages provide this format: '{', '.join(packages)}'. "
            "Uninstall all but one.",
            value=tuple(packages),
        )


def _load_plugin(plugin: EntryPoint) -> Reader:
    reader = _load(plugin.name, plugin.value, plugin.distribution)
    _checked_options(plugin, reader.options)
    declared = _declared_options(plugin)
    if declared not in (None, reader.options):
        raise PluginError(
            f"{plugin.name}: the reader of the package {plugin.distribution} has different options "
            f"from its entry point in {OPTIONS_GROUP}: '{declared.__name__}'. "
            "Update or uninstall the package.",
            value=declared.__name__,
        )
    return reader


def _declared_options(plugin: EntryPoint) -> type[ReadOptions] | None:
    """Return the options that a plugin's package declares by an entry point; None: it has none."""
    for point in entry_points(OPTIONS_GROUP):
        if (point.name, point.distribution) == (plugin.name, plugin.distribution):
            return _checked_options(plugin, _import(plugin.name, point.value, plugin.distribution))
    return None


def _checked_options(
    plugin: EntryPoint,
    options: Any,  # noqa: ANN401 - whatever a package names
) -> type[ReadOptions]:
    """Return the options of a plugin if they can be given by keyword."""
    if not (
        isinstance(options, type) and is_dataclass(options) and issubclass(options, ReadOptions)
    ):
        raise _wrong_options(plugin, "are not a dataclass derived from ReadOptions", options)
    for field in fields(options):
        if field.name in ARGUMENTS_OF_READ:
            raise _wrong_options(
                plugin, "include the name of an argument of regionbatch.read", field.name
            )
        if field.default is MISSING and field.default_factory is MISSING:
            raise _wrong_options(plugin, "include one that has no default", field.name)
    return options


def _wrong_options(plugin: EntryPoint, problem: str, value: object) -> PluginError:
    return PluginError(
        f"{plugin.name}: the options of the reader of the package {plugin.distribution} "
        f"{problem}: '{value}'. Update or uninstall the package.",
        value=str(value),
    )


def _import(name: str, target: str, package: str) -> Any:  # noqa: ANN401 - whatever a package names
    module, _, attribute = target.partition(":")
    try:
        return attrgetter(attribute)(import_module(module))
    except (Exception, SystemExit) as error:
        raise _not_loaded(name, package, error) from error


def _not_loaded(name: str, package: str, error: BaseException) -> PluginError:
    from regionbatch.findings.text import quoted  # noqa: PLC0415 - only for this error

    problem = quoted(f"{type(error).__name__}: {error}")
    return PluginError(
        f"{name}: cannot load the reader of the package {package}: {problem}. "
        "Update or uninstall the package."
    )


def _load(name: str, target: str, package: str = _OWN_PACKAGE) -> Reader:
    reader_class = _import(name, target, package)
    try:
        reader: Reader = reader_class()
    except (Exception, SystemExit) as error:
        raise _not_loaded(name, package, error) from error
    missing = missing_parts(reader)
    if missing:
        raise PluginError(
            f"{name}: the reader of the package {package} lacks '{', '.join(missing)}'. "
            "Update or uninstall the package. See regionbatch.plugins.Reader.",
            value=missing,
        )
    return reader


def missing_parts(reader: object) -> list[str]:
    """Return what an object lacks to be a reader: names of attributes and methods."""
    missing = [
        name for name in ("title", "detect", "references", "read") if not hasattr(reader, name)
    ]
    if not is_dataclass(getattr(reader, "options", None)):
        missing.append("options (a dataclass)")
    return missing
