"""Decode request bodies in the three media types of the API: JSON, XML and forms."""

from __future__ import annotations

import re
from typing import Any, TypeVar
from urllib.parse import parse_qsl

import msgspec
from lxml import etree

from regionbatch.local.rules import RefusedError

T = TypeVar("T")

REPEATED = {"regions", "images", "tagIds"}
"""Members that are lists. In XML, each entry is an element of that name, without a wrapper."""

MAX_XML_TAGS = 300_000
"""Start tags, end tags and attributes of an XML body: 64 images with 300 regions have 270,000."""


def decode_body(body: bytes, content_type: str, kind: type[T], *, otherwise: RefusedError) -> T:
    """Decode a body. As on the real service, one wrong member invalidates the whole body.

    Args:
        body: The bytes of the body.
        content_type: The Content-Type header.
        kind: The message that is expected.
        otherwise: The error for a body that is not this message.

    Raises:
        RefusedError: `otherwise`, or 415 for a media type that the API does not accept.
    """
    media_type = content_type.partition(";")[0].strip().lower()
    try:
        match media_type:
            case "application/json":
                return msgspec.json.decode(body, type=kind)
            case "application/xml" | "text/xml":
                return msgspec.convert(_decode_xml(body), type=kind, strict=False)
            case "application/x-www-form-urlencoded":
                return msgspec.convert(_decode_form(body), type=kind, strict=False)
    except (msgspec.MsgspecError, etree.XMLSyntaxError, ValueError, RecursionError) as error:
        raise otherwise from error
    raise RefusedError(
        415, "UnsupportedMediaType", f"The media type {media_type!r} is not supported"
    )


def _decode_xml(body: bytes) -> Any:  # noqa: ANN401 - checked by `msgspec.convert`
    if max(body.count(b"<"), body.count(b"=")) > MAX_XML_TAGS:  # before parsing
        raise ValueError("too many tags")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False
    )
    root = etree.fromstring(body, parser)
    if root.getroottree().docinfo.internalDTD is not None:
        raise ValueError("a document type is not accepted")
    return _members(root)


def _members(node: etree._Element) -> Any:  # noqa: ANN401 - as above
    children = [child for child in node if isinstance(child.tag, str)]
    if not children:
        return (node.text or "").strip()
    members: dict[str, Any] = {}
    for child in children:
        name = etree.QName(child).localname
        if name in REPEATED:
            members.setdefault(name, []).append(_members(child))
        else:
            members[name] = _members(child)
    return members


def _decode_form(body: bytes) -> Any:  # noqa: ANN401 - as above
    """Return the nested members of keys such as `regions[0].imageId` or `regions[0][imageId]`."""
    tree: dict[str, Any] = {}
    for key, value in parse_qsl(body.decode(), keep_blank_values=True):
        *path, last = re.findall(r"[^.\[\]]+", key) or [key]
        node: Any = tree
        for name in path:
            node = node.setdefault(name, {})
            if not isinstance(node, dict):
                message = f"{key} is both a value and a group of values"
                raise ValueError(message)  # noqa: TRY004 - the value is wrong
        node[last] = value
    return _with_lists(tree)


def _with_lists(node: Any) -> Any:  # noqa: ANN401 - as above
    """Return nested members with lists for groups whose names are numbers."""
    if not isinstance(node, dict):
        return node
    members = {name: _with_lists(value) for name, value in node.items()}
    if members and all(name.isdecimal() for name in members):
        return [members[name] for name in sorted(members, key=int)]
    return members
