"""Upload image files in batches, each under a unique name by which the response gives its ID.

Uploading the same bytes again is safe: the status is `OKDuplicate`, with the ID of the image that
the project has.
"""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote

from regionbatch.customvision.delivery import Delivery, deliver, work_on_batches
from regionbatch.customvision.fingerprints import UploadedImage
from regionbatch.customvision.image_files import Refusal, digest_of
from regionbatch.customvision.rate_limiter import MAX_FIRST_TRIES
from regionbatch.customvision.service_types import ImageUpload
from regionbatch.customvision.shrink import shrink_image
from regionbatch.customvision.stored_names import metadata_of
from regionbatch.errors import LimitError, ServiceError
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.customvision.image_files import ImagesToUpload
    from regionbatch.customvision.service_types import ImageUploadResult
    from regionbatch.customvision.session import JournaledCall, ProjectSession
    from regionbatch.dataset import Images
    from regionbatch.findings import Progress

IN_FLIGHT = 2
"""Number of calls at a time; each has a body of up to 30 MB."""
MAX_FAILED_BATCHES = 3
"""Number of batches in a row without an uploaded image after which the run ends."""
MAX_RESENDS = 5
"""How often images are uploaded again that the service could not store: within half a minute."""
_TRANSIENT = ("ErrorStorage", "ErrorUnknown")
_OF_THE_FILE = (
    "ErrorSource",
    "ErrorImageFormat",
    "ErrorImageSize",
    "ErrorImageDimensions",
)
"""Refusals that say nothing about other images."""
_NAMELESS = "Nameless"
_UNCONFIRMED = Refusal("Unconfirmed", "sent, but not named in the response")
_NAME = re.compile(r"(?<![0-9a-z])(\d+)-([0-9a-f]{16})(?![0-9a-z])", re.IGNORECASE)


class ImageDelivery(Delivery["Sequence[int]"]):
    """Uploads batches of images, which are numbers in the dataset; notes the ID of each."""

    operation = "CreateImagesFromFiles"
    can_look_up = False

    def __init__(
        self,
        session: ProjectSession,
        images: Images,
        to_upload: ImagesToUpload,
        *,
        store_names: bool,
    ) -> None:
        """Start with nothing uploaded."""
        self.ids: dict[int, str] = {}
        """The ID of each image that the project has, by number."""
        self.refused: dict[int, Refusal] = {}
        """Images that were refused."""
        self.already_stored: set[int] = set()
        """Images that the project had before."""
        self.is_nameless = False
        """Whether the responses do not contain the names of the images."""
        self._session = session
        self._images = images
        self._to_upload = to_upload
        self._store_names = store_names
        self._last_refusal = _UNCONFIRMED

    def send(self, items: Sequence[int], call: JournaledCall) -> Sequence[int]:
        """Upload a batch; return the images that have neither an ID nor a refusal."""
        uploads = self._uploads(items)
        if uploads:
            session = self._session
            options = {"metadata": self._metadata(items[0])} if self._store_names else {}
            create = partial(session.client.create_images, session.project_id, uploads, **options)
            self._apply(items, session.write(call, create))
        return [row for row in items if row not in self.ids and row not in self.refused]

    def fail(self, items: Sequence[int], error: ServiceError) -> None:
        """Refuse images."""
        refusal = self._last_refusal
        if error.code != _UNCONFIRMED.code:
            refusal = Refusal(error.code or str(error.status), error.service_message or str(error))
        self.refused.update(dict.fromkeys(items, refusal))

    def parts_of(self, items: Sequence[int]) -> list[Sequence[int]]:
        """Return the parts in which a batch is uploaded instead: single images if need be."""
        return [[row] for row in items] if self.is_nameless else super().parts_of(items)

    def max_resends(self) -> int:
        """Return how often images are uploaded again: seldom before one was accepted."""
        return MAX_RESENDS if self.ids else MAX_FIRST_TRIES - 1

    def record(self, ids: Mapping[int, str]) -> None:
        """Note the IDs of images, also in the journal."""
        names = self._images.names
        fingerprints = self._to_upload.fingerprints
        self._session.journal.add_images(
            {names[row]: UploadedImage(id_, fingerprints[row]) for row, id_ in ids.items()}
        )
        self.ids.update(ids)

    def _metadata(self, row: int) -> dict[str, str]:
        digest = self._to_upload.fingerprints[row].digest
        return metadata_of(self._images.names[row], digest)

    def _uploads(self, rows: Sequence[int]) -> list[ImageUpload]:
        uploads: list[ImageUpload] = []
        for row in rows:
            contents = self._contents(row)
            if contents is not None:
                uploads.append(ImageUpload(name=self._name(row), contents=contents))
        return uploads

    def _apply(self, rows: Sequence[int], results: Sequence[ImageUploadResult]) -> None:
        """Note the ID or refusal of each image.

        Raises:
            ServiceError: The results do not contain the names of the images.
        """
        ids: dict[int, str] = {}
        nameless = 0
        for result in results:
            # The only one, even if the service changed its name.
            is_only = len(rows) == len(results) == 1
            row = rows[0] if is_only else self._row_of(result.source_url, rows)
            if row is None:
                nameless += result.image is not None
            elif result.image is not None:
                ids[row] = result.image.id.lower()
                if result.status == "OKDuplicate":
                    self.already_stored.add(row)
            elif result.status in _TRANSIENT:
                message = "the service could not store the image"
                self._last_refusal = Refusal(result.status, message)
            elif not result.status.startswith("OK"):
                self.refused[row] = Refusal(result.status, "the service refused the image")
        self.record(ids)
        if nameless and not ids and len(rows) > 1:
            self.is_nameless = True
            raise ServiceError(
                f"{self.operation}: the response does not contain the names of "
                f"{counted(nameless, 'image')}. Upload them one by one.",
                code=_NAMELESS,
            )

    def _row_of(self, source_url: str | None, rows: Sequence[int]) -> int | None:
        """Return the image with the name in a result, even if the name is part of a URL."""
        for found in _NAME.finditer(unquote(source_url or "")):
            row = int(found[1])
            if row in rows and found[2].lower() == self._token(row):
                return row
        return None

    def _name(self, row: int) -> str:
        """Return a unique name, which is recognised even if the service changes it."""
        extension = Path(self._images.paths[row]).suffix.lower()
        if row in self._to_upload.shrink:
            extension = ".jpg"
        return f"{row}-{self._token(row)}{extension if extension.isascii() else ''}"

    def _token(self, row: int) -> str:
        return self._to_upload.fingerprints[row].digest[:8].hex()

    def _contents(self, row: int) -> bytes | None:
        """Return the bytes to upload for an image; None: it cannot be uploaded and is refused."""
        fingerprint = self._to_upload.fingerprints[row]
        try:
            with Path(self._images.paths[row]).open("rb") as file:
                # Read no more than is needed: the file may have grown without limit.
                content = file.read(fingerprint.size + 1)
            if digest_of(content) == fingerprint.digest:
                return shrink_image(content) if row in self._to_upload.shrink else content
            message = "the file changed during the upload; run it again"
        except OSError as error:
            message = f"the file cannot be read: {error}"
        self.refused[row] = Refusal("ErrorSource", message)
        return None


class ImageUploader:
    """Uploads the images of a dataset to one project."""

    def __init__(
        self,
        session: ProjectSession,
        images: Images,
        to_upload: ImagesToUpload,
        *,
        store_names: bool = False,
    ) -> None:
        """Start with nothing uploaded.

        Args:
            session: The project.
            images: The images of the dataset.
            to_upload: The images to upload.
            store_names: Store the name of each image in its metadata, one image in a call.
        """
        self.delivery = ImageDelivery(session, images, to_upload, store_names=store_names)
        self._session = session
        self._to_upload = to_upload
        self._store_names = store_names
        self._failed_batches = 0

    def upload(self, progress: Progress | None = None) -> None:
        """Upload all images; afterwards, each has an ID or was refused.

        Raises:
            ServiceError: The run cannot continue, e.g. without access, or because no image of
                several batches was accepted.
        """
        work_on_batches(
            self._session,
            self._upload_batch,
            self._to_upload.batches,
            step="uploading images",
            total=self._to_upload.count,
            max_workers=IN_FLIGHT,
            progress=progress,
            check=self._check_batch,
        )
        self._assign_duplicates()

    def _upload_batch(self, rows: Sequence[int]) -> None:
        one_by_one = self._store_names or self.delivery.is_nameless
        parts = [[row] for row in rows] if one_by_one else [rows]
        for part in parts:
            deliver(self._session, self.delivery, part)

    def _check_batch(self, rows: Sequence[int]) -> None:
        """End the run if it is hopeless: several batches in a row without an uploaded image.

        Raises:
            ServiceError: The run is hopeless.
        """
        delivery = self.delivery
        if any(row in delivery.ids for row in rows):
            self._failed_batches = 0
            return
        refusals = {delivery.refused[row] for row in rows if row in delivery.refused}
        if delivery.ids and all(refusal.code in _OF_THE_FILE for refusal in refusals):
            return
        self._failed_batches += 1
        if self._failed_batches < MAX_FAILED_BATCHES:
            return
        refusal = min(refusals)
        kind = LimitError if "Limit" in refusal.code else ServiceError
        raise kind(
            f"{delivery.operation}: no image of {self._failed_batches} batches in a row was "
            f"accepted: '{refusal.code}: {refusal.message}'. Correct the cause, then run it again.",
            code=refusal.code,
            service_message=refusal.message,
        )

    def _assign_duplicates(self) -> None:
        """Give images with equal files the ID, or the refusal, of the one that was uploaded."""
        delivery = self.delivery
        ids: dict[int, str] = {}
        for row, original in self._to_upload.duplicate_of.items():
            if original in delivery.ids:
                ids[row] = delivery.ids[original]
            elif original in delivery.refused:
                delivery.refused[row] = delivery.refused[original]
        delivery.record(ids)
