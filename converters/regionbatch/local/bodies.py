"""Bodies of calls in the three forms of the contract: JSON, XML and forms, read into the messages."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from lxml import etree

from regionbatch.local.rules import RefusedError

T = TypeVar("T")

LISTS = {"regions", "images", "tagIds"}
"""Members that repeat; in XML each entry is an element of that name, without a wrapper, as in the reference page."""


MOST_TAGS = 300_000
"""Start tags, end tags and attributes of an XML body: 64 images with 300 regions each have 270,000."""


def read_body(body: bytes, content_type: str, kind: type[T], *, otherwise: RefusedError) -> T:
    """Read a body as a message; one wrong member and the whole body fails to bind, as on the real service.

    Raises:
        RefusedError: `otherwise` for a body that cannot be read, 415 for a media type that the contract does not name.

    """
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        match media_type:
            case "application/json":
                return msgspec.json.decode(body, type=kind)
            case "application/xml" | "text/xml":
                return msgspec.convert(_xml(body), type=kind, strict=False)
            case "application/x-www-form-urlencoded":
                return msgspec.convert(_form(body), type=kind, strict=False)
    except (msgspec.MsgspecError, etree.XMLSyntaxError, ValueError, RecursionError) as error:
        raise otherwise from error
    raise RefusedError(415, "UnsupportedMediaType", f"The media type {media_type!r} is not supported")


def _xml(body: bytes) -> Any:  # noqa: ANN401 - nested lists and text, checked by convert
    if max(body.count(b"<"), body.count(b"=")) > MOST_TAGS:  # before a parser sees it
        raise ValueError("too many tags")
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    root = etree.fromstring(body, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type is not accepted")
    return _element(root)


def _element(node: etree._Element) -> Any:  # noqa: ANN401 - as above
    children = [child for child in node if isinstance(child.tag, str)]
    if not children:
        return (node.text or "").strip()
    members: dict[str, Any] = {}
    for child in children:
        name = etree.QName(child).localname
        if name in LISTS:
            members.setdefault(name, []).append(_element(child))
        else:
            members[name] = _element(child)
    return members


def _form(body: bytes) -> Any:  # noqa: ANN401 - as above
    """`regions[0].imageId=…` and `regions[0][imageId]=…` become nested members."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(body.decode(), keep_blank_values=True):
        *path, last = re.findall(r"[^.\[\]]+", key) or [key]
        node: Any = tree
        for name in path:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                raise ValueError(f"{key} is a value and a group of values")  # noqa: TRY004 - the value is wrong
        node[last] = value
    return _numbered_to_lists(tree)


def _numbered_to_lists(node: Any) -> Any:  # noqa: ANN401 - as above
    if not isinstance(node, dict):
        return node
    members = {name: _numbered_to_lists(value) for name, value in node.items()}
    if members and all(name.isdecimal() for name in members):
        return [members[name] for name in sorted(members, key=int)]
    return members
