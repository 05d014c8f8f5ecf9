"""Upload the images of a dataset in batches, and end hopeless uploads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from regionbatch.customvision.delivery import deliver, work_on_batches
from regionbatch.customvision.file_delivery import FileDelivery
from regionbatch.customvision.url_delivery import IMAGE_CHANGED, UrlDelivery
from regionbatch.errors import LimitError, ServiceError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from regionbatch.customvision.image_delivery import ImageDelivery
    from regionbatch.customvision.image_files import ImagesToUpload
    from regionbatch.customvision.plan import UploadOptions
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Progress

FILES_IN_FLIGHT = 2
"""Number of calls at a time; each has a body of up to 30 MB."""
URLS_IN_FLIGHT = 4
"""The same for calls with URLs, which wait for the service."""
MAX_FAILED_BATCHES = 3
"""Number of batches in a row without an uploaded image after which the run ends."""
_OF_THE_FILE = (
    "ErrorSource",
    "ErrorImageFormat",
    "ErrorImageSize",
    "ErrorImageDimensions",
    IMAGE_CHANGED,
)
"""Refusals that say nothing about other images."""


def uploader_of(
    session: ProjectSession, dataset: Dataset, to_upload: ImagesToUpload, options: UploadOptions
) -> ImageUploader:
    """Return the uploader for the images of a dataset, of their files or of signed URLs."""
    names = options.store_names
    if options.sign is None:
        files = FileDelivery(session, dataset.images, to_upload, store_names=names)
        return ImageUploader(files, one_by_one=names, in_flight=FILES_IN_FLIGHT)
    differing = dataset.findings.first("size_mismatch", sys.maxsize)
    urls = UrlDelivery(
        session,
        dataset.images,
        to_upload,
        options.sign,
        store_names=names,
        not_compared={finding.file for finding in differing},
    )
    return ImageUploader(urls, one_by_one=names, in_flight=URLS_IN_FLIGHT)


class ImageUploader:
    """Uploads the images of a dataset to one project."""

    def __init__(self, delivery: ImageDelivery, *, one_by_one: bool, in_flight: int) -> None:
        """Start with nothing uploaded.

        Args:
            delivery: How the images are sent.
            one_by_one: Upload one image in a call.
            in_flight: The number of calls at a time.
        """
        self.delivery = delivery
        self._to_upload = delivery.to_upload
        self._one_by_one = one_by_one
        self._in_flight = in_flight
        self._failed_batches = 0

    def upload(self, progress: Progress | None = None) -> None:
        """Upload all images; afterwards, each has an ID or was refused.

        Raises:
            ServiceError: The run cannot continue, e.g. without access, or because no image of
                several batches was accepted.
        """
        work_on_batches(
            self.delivery.session,
            self._upload_batch,
            self._to_upload.batches,
            step="uploading images",
            total=self._to_upload.count,
            max_workers=self._in_flight,
            progress=progress,
            check=self._check_batch,
        )
        self._assign_duplicates()

    def _upload_batch(self, rows: Sequence[int]) -> None:
        one_by_one = self._one_by_one or self.delivery.is_nameless
        parts = [[row] for row in rows] if one_by_one else [rows]
        for part in parts:
            deliver(self.delivery.session, self.delivery, part)

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
            f"accepted: '{refusal.code}: {refusal.message}'. Correct the cause, then run the "
            "upload again.",
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
