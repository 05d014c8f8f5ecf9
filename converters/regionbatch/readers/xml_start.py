"""The first bytes of an XML file, from which readers recognise it. Loads no parser."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.files.text import UnreadableError

if TYPE_CHECKING:
    from regionbatch.files.tree import Tree


def xml_start(tree: Tree, name: str) -> bytes:
    """Return the first bytes of a file, without the zeros of UTF-16.

    If they end inside a comment, return the whole file. If the file cannot be read, return nothing.
    """
    try:
        start = tree.beginning(name).replace(b"\0", b"")
        ends_in_comment = start.rfind(b"<!--") > start.rfind(b"-->")
        if ends_in_comment:
            start = tree.read(name).replace(b"\0", b"")
    except UnreadableError:
        return b""
    return start
