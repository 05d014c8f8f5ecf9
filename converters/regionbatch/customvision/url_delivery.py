"""Let the service fetch images from signed URLs, by which the response also gives their IDs.

Each call signs again, as late as possible. Of a URL, only its address is kept, in memory.
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from regionbatch.customvision.image_delivery import ImageDelivery
from regionbatch.customvision.image_files import Refusal
from regionbatch.customvision.signed_urls import (
    NotSignedError,
    address_of,
    signed_url,
    without_queries,
)
from regionbatch.errors import RegionBatchError
from regionbatch.limits import SMALL_IMAGE_SIDE

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from regionbatch.customvision.image_delivery import Call
    from regionbatch.customvision.image_files import ImagesToUpload
    from regionbatch.customvision.service_types import ImageUploadResult, ServiceImage
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.signed_urls import SignUrl
    from regionbatch.dataset import Images

IMAGE_CHANGED = "ImageChanged"
"""Code of an image that was replaced at its URL after the dataset was read."""
MAX_FETCHES = 3
"""How often an image that the service cannot fetch is sent: its signature may have expired, or the
storage may be busy."""
_NOT_SIGNED = "NotSigned"
_NO_SOURCE = Refusal(
    "ErrorSource",
    "cannot be fetched: missing, denied, or its signature expired",
)


class UrlDelivery(ImageDelivery):
    """Sends signed URLs, from which the service fetches the images."""

    operation = "CreateImagesFromUrls"

    def __init__(
        self,
        session: ProjectSession,
        images: Images,
        to_upload: ImagesToUpload,
        sign: SignUrl,
        *,
        store_names: bool,
        not_compared: Container[str] = (),
    ) -> None:
        """Start with nothing uploaded.

        Args:
            session: The project.
            images: The images of the dataset.
            to_upload: The images to upload.
            sign: Returns a URL for a path.
            store_names: Whether the name of each image is stored in its metadata.
            not_compared: Names of images whose size in the dataset is known to differ from the
                file's.
        """
        super().__init__(session, images, to_upload, store_names=store_names)
        self._sign = sign
        self._not_compared = not_compared
        self._addresses: dict[int, str] = {}
        self._failed_fetches: Counter[int] = Counter()

    def call_for(self, rows: Sequence[int]) -> Call:
        """Return the call that lets the service fetch images. It signs the URLs when it is made."""
        return partial(self._create, rows)

    def _create(self, rows: Sequence[int]) -> list[ImageUploadResult]:
        urls = [url for row in rows if (url := self._signed_url(row))]
        if not urls:
            return []
        session = self.session
        return session.client.create_images_from_urls(
            session.project_id, urls, metadata=self.metadata(rows)
        )

    def _signed_url(self, row: int) -> str:
        """Return the URL of an image; empty if there is none, so that the image is refused."""
        try:
            url = signed_url(self._sign, self.images.paths[row])
        except (NotSignedError, RegionBatchError) as error:
            self.refused[row] = Refusal(_NOT_SIGNED, without_queries(str(error)))
            return ""
        self._addresses[row] = address_of(url)
        return url

    def row_of(self, source_url: str, rows: Sequence[int]) -> int | None:
        """Return the only image of a batch with the address in a result."""
        found = [row for row in rows if self._addresses.get(row) == source_url]
        return found[0] if len(found) == 1 else None

    def error_of(self, row: int, status: str) -> None:
        """Note an image that the service did not accept.

        If it could not be fetched, it is sent again with a new signature.
        """
        if status != _NO_SOURCE.code:
            super().error_of(row, status)
            return
        self._failed_fetches[row] += 1
        if self._failed_fetches[row] < MAX_FETCHES:
            self.transient[row] = _NO_SOURCE
        else:
            self.refused[row] = _NO_SOURCE

    def refusal_of(self, row: int, image: ServiceImage) -> Refusal | None:
        """Return why an image is not the one of the dataset: its sides have another ratio.

        An image of the same shape may be the same one, enlarged by the service or by somebody else.
        """
        width, height = int(self.images.width[row]), int(self.images.height[row])
        found_width, found_height = image.width or 0, image.height or 0
        is_known = min(width, height, found_width, found_height) > 0
        is_equal = (width, height) == (found_width, found_height)
        if not is_known or is_equal or self.images.names[row] in self._not_compared:
            return None
        sizes = f"{width} x {height} in the dataset, {found_width} x {found_height} at its URL"
        # The sides of a rescaled image are rounded to pixels.
        if abs(width * found_height - height * found_width) > width + height:
            return Refusal(IMAGE_CHANGED, sizes)
        is_enlarged = min(width, height) < SMALL_IMAGE_SIDE <= min(found_width, found_height)
        if not is_enlarged:
            self.other_sizes[row] = sizes
        return None
