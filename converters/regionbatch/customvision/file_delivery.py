"""Upload image files in batches, each under a unique name by which the response gives its ID."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from regionbatch.customvision.image_delivery import ImageDelivery
from regionbatch.customvision.image_files import Refusal, digest_of
from regionbatch.customvision.service_types import ImageUpload
from regionbatch.customvision.shrink import shrink_image

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.customvision.image_delivery import Call

_NAME = re.compile(r"(?<![0-9a-z])(\d+)-([0-9a-f]{16})(?![0-9a-z])", re.IGNORECASE)


class FileDelivery(ImageDelivery):
    """Uploads the bytes of image files."""

    operation = "CreateImagesFromFiles"

    def call_for(self, rows: Sequence[int]) -> Call | None:
        """Read the files, and return the call that uploads them."""
        uploads: list[ImageUpload] = []
        for row in rows:
            contents = self._contents(row)
            if contents is not None:
                uploads.append(ImageUpload(name=self._name(row), contents=contents))
        if not uploads:
            return None
        metadata = self.metadata(rows)
        options = {} if metadata is None else {"metadata": metadata}
        session = self.session
        return partial(session.client.create_images, session.project_id, uploads, **options)

    def row_of(self, source_url: str, rows: Sequence[int]) -> int | None:
        """Return the image that a result is for, by its name; the name may be part of a URL."""
        for found in _NAME.finditer(unquote(source_url)):
            row = int(found[1])
            if row in rows and found[2].lower() == self._token(row):
                return row
        return None

    def _name(self, row: int) -> str:
        """Return a unique name, which is recognised even if the service changes it."""
        extension = Path(self.images.paths[row]).suffix.lower()
        if row in self.to_upload.shrink:
            extension = ".jpg"
        return f"{row}-{self._token(row)}{extension if extension.isascii() else ''}"

    def _token(self, row: int) -> str:
        return self.to_upload.fingerprints[row].digest[:8].hex()

    def _contents(self, row: int) -> bytes | None:
        """Return the bytes to upload for an image; None: it cannot be uploaded and is refused."""
        fingerprint = self.to_upload.fingerprints[row]
        try:
            with Path(self.images.paths[row]).open("rb") as file:
                # Read no more than is needed: the file may have grown without limit.
                content = file.read(fingerprint.size + 1)
            if digest_of(content) == fingerprint.digest:
                return shrink_image(content) if row in self.to_upload.shrink else content
            message = "the file changed during the upload; run the upload again"
        except OSError as error:
            message = f"the file cannot be read: {error}"
        self.refused[row] = Refusal("ErrorSource", message)
        return None
