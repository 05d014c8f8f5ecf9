"""The beginning of an XML file, by which readers recognise it. Loads no parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.files.text import UnreadableError

if TYPE_CHECKING:
    from regionbatch.files.tree import Tree


def xml_start(tree: Tree, name: str) -> bytes:
    """Return the first bytes of a file, or all if a comment is longer than those; without the zeros of UTF-16.

    Empty if the file cannot be read.
    """
    try:
        start = tree.beginning(name).replace(b"\0", b"")
        if start.rfind(b"<!--") > start.rfind(b"-->"):
            start = tree.read(name).replace(b"\0", b"")
    except UnreadableError:
        return b""
    return start
