"""The payload of one call: its text, and its entries."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, overload

import msgspec
from msgspec.structs import astuple

from regionbatch import payload
from regionbatch.errors import OptionError
from regionbatch.findings.text import quoted
from regionbatch.limits import REGIONS_PER_BATCH
from regionbatch.names.uuids import as_uuid

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Entry(msgspec.Struct, gc=False, rename="camel"):
    """One region of a payload, with its fields in the order of the service's reference page.

    Example:
        >>> from regionbatch.batching import Entry
        >>> entry = Entry(
        ...     "0a1b2c3d-0000-4000-8000-00000000000a",
        ...     "b607964f-7bd6-4a3b-a869-6791fb6aab87",
        ...     left=0.1,
        ...     top=0.2,
        ...     width=0.3,
        ...     height=0.4,
        ... )
        >>> entry.left + entry.width
        0.4
    """

    image_id: str
    """UUID of the image in the project."""
    tag_id: str
    """UUID of the tag in the project."""
    left: float
    """Left edge, normalised to 0 to 1."""
    top: float
    """Top edge, normalised to 0 to 1."""
    width: float
    """Width, normalised to 0 to 1."""
    height: float
    """Height, normalised to 0 to 1."""


class _Payload(msgspec.Struct, gc=False):
    regions: list[Entry]


_decode = msgspec.json.Decoder(_Payload).decode


class Batch(Sequence[Entry]):
    """The payload of one call of CreateImageRegions: 1 to 64 entries.

    A batch holds its JSON text; entries are created when they are accessed.

    Example:
        >>> dataset = rb.read("fixtures/scene/voc")
        >>> tables = {
        ...     "tag_ids": "fixtures/scene/tags.json",
        ...     "image_ids": "fixtures/scene/images.json",
        ... }
        >>> batch = rb.batches(dataset, **tables)[0]
        >>> len(batch), batch[0].tag_id
        (12, '611a988e-650b-50de-9838-a7aff1695725')
        >>> batch.to_json()[:24]
        b'{"regions":[{"imageId":"'
    """

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        """Keep the JSON text that `payload.body` made; to make a batch of entries, use `Batch.of`.

        Args:
            body: The text, which is not checked.
        """
        self._body = body

    @classmethod
    def of(cls, entries: Iterable[Entry]) -> Batch:
        """Make a batch of entries.

        Args:
            entries: 1 to 64 entries with UUIDs of 36 characters and numbers from 0 to 1.

        Raises:
            OptionError: An entry is not valid, or the number of entries is not 1 to 64.

        Example:
            >>> from regionbatch.batching import Entry
            >>> image = "0a1b2c3d-0000-4000-8000-00000000000a"
            >>> tag = "b607964f-7bd6-4a3b-a869-6791fb6aab87"
            >>> rb.Batch.of([Entry(image, tag, 0.1, 0.2, 0.3, 0.4)])
            Batch(1)
        """
        entries = list(entries)
        if not 0 < len(entries) <= REGIONS_PER_BATCH:
            raise OptionError(
                f"entries: wrong number of entries: '{len(entries)}'. "
                f"Pass 1 to {REGIONS_PER_BATCH}.",
                option="entries",
                value=len(entries),
            )
        if wrong := [entry for entry in entries if not _is_valid(entry)]:
            raise OptionError(
                f"entries: not a valid entry: {quoted(str(wrong[0]))}. "
                "Use UUIDs of 36 characters and numbers from 0 to 1.",
                option="entries",
                value=wrong[0],
            )
        return cls(payload.body(map(astuple, entries)))

    @overload
    def __getitem__(self, at: int) -> Entry: ...
    @overload
    def __getitem__(self, at: slice) -> list[Entry]: ...
    def __getitem__(self, at: int | slice) -> Entry | list[Entry]:
        """Return one entry, or a list of them for a slice."""
        return _decode(self._body).regions[at]

    def __iter__(self) -> Iterator[Entry]:
        """Yield all entries."""
        return iter(_decode(self._body).regions)

    def __len__(self) -> int:
        """Return the number of entries."""
        return payload.count(self._body)

    def __repr__(self) -> str:
        """Return the type and the number of entries."""
        return f"Batch({len(self)})"

    def to_json(self) -> bytes:
        """Return the body of the call as JSON on one line, in UTF-8."""
        return self._body

    def to_xml(self) -> bytes:
        """Return the body of the call as XML."""
        # IDs are UUIDs and the other values numbers, so nothing needs escaping.
        regions = "".join(
            f"<regions><imageId>{entry.image_id}</imageId><tagId>{entry.tag_id}</tagId>"
            f"<left>{entry.left:.9f}</left><top>{entry.top:.9f}</top>"
            f"<width>{entry.width:.9f}</width><height>{entry.height:.9f}</height></regions>"
            for entry in self
        )
        return f"<ImageRegionCreateBatch>{regions}</ImageRegionCreateBatch>".encode()


def _is_valid(entry: Entry) -> bool:
    """Return whether the IDs of an entry are UUIDs and its numbers are from 0 to 1."""
    image_id, tag_id, *numbers = astuple(entry)
    are_ids = all(as_uuid(id_) == id_.lower() for id_ in (image_id, tag_id))
    return are_ids and all(0 <= number <= 1 for number in numbers)
