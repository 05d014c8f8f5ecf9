"""Detect the format of a dataset: ask the built-in readers, then those of other packages."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from regionbatch import plugins
from regionbatch.errors import PluginError, UnknownFormatError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from regionbatch.files.tree import Tree
    from regionbatch.plugins import Reader

_DETECTING_MODULES = {
    "coco": "regionbatch.readers.coco.json_kinds",
    "voc": "regionbatch.readers.voc.xml_files",
    "yolo": "regionbatch.readers.yolo.detection",
    "cvat": "regionbatch.readers.cvat",
    "vott": "regionbatch.readers.vott",
}
"""The modules with the `detect` of each built-in reader, which do not load the reader itself."""


def detect(tree: Tree) -> tuple[str, Reader, str]:
    """Find the reader that recognises a dataset.

    Args:
        tree: The files of the dataset.

    Returns:
        The format, its reader, and the reason.

    Raises:
        UnknownFormatError: No reader recognises the dataset, or more than one does.
    """
    claims: list[tuple[str, Reader, str]] = []
    for name, module in _DETECTING_MODULES.items():
        reason = import_module(module).detect(tree)
        if reason:
            claims.append((name, plugins.built_in_reader(name), reason))
    errors: list[PluginError] = []
    if not claims:
        claims = list(_plugin_claims(tree, errors))
    if len(claims) == 1:
        return claims[0]
    if not claims:
        raise _unrecognised(tree, errors) from (errors[0] if errors else None)
    reasons = ", ".join(f"{name} ({reason})" for name, _, reason in claims)
    names = [name for name, _, _ in claims]
    choose = " or ".join(f'`format="{name}"`' for name in names)
    raise UnknownFormatError(
        f"{tree.source}: several formats match: '{reasons}'. Choose one with {choose}.",
        place=tree.source,
        option="format",
        choices=names,
    )


def _plugin_claims(tree: Tree, errors: list[PluginError]) -> Iterator[tuple[str, Reader, str]]:
    """Yield the plugins that recognise a dataset. Those that fail are added to `errors`."""
    for name in plugins.plugin_names():
        try:
            reader = plugins.get(name)
            with plugins.named_if_broken(name, lambda: tree.source):
                reason = reader.detect(tree)
        except PluginError as error:
            errors.append(error)
            continue
        if reason:
            yield name, reader, reason


def _unrecognised(tree: Tree, errors: Sequence[PluginError]) -> UnknownFormatError:
    """Return the error for a dataset that no reader recognises."""
    content = "".join(f" {sentence}" for sentence in _content_hints(tree))
    names = plugins.format_names()
    broken = "".join(f" Broken plugin: {error}" for error in errors)
    return UnknownFormatError(
        f"{tree.source}: unrecognised dataset format.{content} "
        f"Check the path, or choose a `format`: {', '.join(names)}.{broken}",
        place=tree.source,
        option="format",
        choices=names,
    )


def _content_hints(tree: Tree) -> Iterator[str]:
    """Yield phrases about the content of a folder that no reader recognises."""
    from regionbatch.findings.text import escape_unprintable  # noqa: PLC0415 - only for this error
    from regionbatch.unknown_formats import identify_files  # noqa: PLC0415 - as above

    no_files = not tree.named and not any(listing.files for _, listing in tree.folders())
    if no_files and not tree.unreadable_folders:
        yield "The folder has no files."
    for found in identify_files(tree, plugins.format_names()):  # lists the folder
        yield f"{escape_unprintable(str(found))}."
    if tree.outside_links:
        links = ", ".join(tree.outside_links[:3])
        yield f"Links that lead out of the folder are not followed: {links}."
    if tree.unreadable_folders:
        yield f"Folders that cannot be opened: {', '.join(tree.unreadable_folders[:3])}."
