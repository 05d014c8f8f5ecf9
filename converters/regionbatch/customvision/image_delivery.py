"""What the deliveries of image files and image URLs share: each image gets an ID or a refusal."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from regionbatch.customvision.delivery import Delivery
from regionbatch.customvision.fingerprints import UploadedImage
from regionbatch.customvision.image_files import Refusal
from regionbatch.customvision.rate_limiter import MAX_FIRST_TRIES
from regionbatch.customvision.stored_names import metadata_of
from regionbatch.errors import ServiceError
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from regionbatch.customvision.image_files import ImagesToUpload
    from regionbatch.customvision.service_types import ImageUploadResult, ServiceImage
    from regionbatch.customvision.session import JournaledCall, ProjectSession
    from regionbatch.dataset import Images

    Call = Callable[[], list[ImageUploadResult]]

MAX_RESENDS = 5
"""How often images that the service could not store are uploaded again, within half a minute."""
_TRANSIENT = ("ErrorStorage", "ErrorUnknown")
_NAMELESS = "Nameless"
_UNCONFIRMED = Refusal("Unconfirmed", "sent, but not named in the response")


class ImageDelivery(Delivery["Sequence[int]"]):
    """Uploads batches of images, given by their numbers in the dataset, and notes their IDs.

    Uploading the same bytes again is safe: the status is `OKDuplicate`, with the ID of the image
    that the project has. So images are not looked up.
    """

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
        self.other_sizes: dict[int, str] = {}
        """Images that have another size in the project than in the dataset: both sizes."""
        self.transient: dict[int, Refusal] = {}
        """Why the service did not accept images that are sent again."""
        self.is_nameless = False
        """Whether the responses do not contain the names of the images."""
        self.session = session
        self.images = images
        self.to_upload = to_upload
        self._store_names = store_names

    def call_for(self, rows: Sequence[int]) -> Call | None:
        """Return the call that uploads images; None: all of them were refused."""
        raise NotImplementedError

    def row_of(self, source_url: str, rows: Sequence[int]) -> int | None:
        """Return the image that a result is for, from its `sourceUrl`; None: it names no image."""
        raise NotImplementedError

    def refusal_of(self, _row: int, _image: ServiceImage) -> Refusal | None:
        """Return why an image that the service accepted is not the one of the dataset."""
        return None

    def error_of(self, row: int, status: str) -> None:
        """Note an image that the service did not accept; it is sent again or refused."""
        if status in _TRANSIENT:
            message = "the service could not store the image"
            self.transient[row] = Refusal(status, message)
        else:
            self.refused[row] = Refusal(status, "the service refused the image")

    def send(self, items: Sequence[int], call: JournaledCall) -> Sequence[int]:
        """Upload a batch; return the images that have neither an ID nor a refusal."""
        make = self.call_for(items)
        if make is not None:
            self._apply(items, self.session.write(call, make))
        return [row for row in items if row not in self.ids and row not in self.refused]

    def fail(self, items: Sequence[int], error: ServiceError) -> None:
        """Refuse images."""
        reason = Refusal(error.code or str(error.status), error.service_message or str(error))
        for row in items:
            is_unconfirmed = error.code == _UNCONFIRMED.code
            self.refused[row] = self.transient.get(row, _UNCONFIRMED) if is_unconfirmed else reason

    def parts_of(self, items: Sequence[int]) -> list[Sequence[int]]:
        """Return the parts in which a batch is uploaded instead: single images if need be."""
        return [[row] for row in items] if self.is_nameless else super().parts_of(items)

    def max_resends(self) -> int:
        """Return how often images are uploaded again: fewer times before any was accepted."""
        return MAX_RESENDS if self.ids else MAX_FIRST_TRIES - 1

    def record(self, ids: Mapping[int, str]) -> None:
        """Note the IDs of images, also in the journal."""
        names = self.images.names
        fingerprints = self.to_upload.fingerprints
        self.session.journal.add_images(
            {names[row]: UploadedImage(id_, fingerprints[row]) for row, id_ in ids.items()}
        )
        self.ids.update(ids)

    def metadata(self, rows: Sequence[int]) -> dict[str, str] | None:
        """Return the metadata to store with the only image of a batch; None: there is none."""
        if not self._store_names:
            return None
        [row] = rows
        return metadata_of(self.images.names[row], self.to_upload.fingerprints[row])

    def _apply(self, rows: Sequence[int], results: Sequence[ImageUploadResult]) -> None:
        """Note the ID or refusal of each image.

        Raises:
            ServiceError: The results do not contain the names of the images.
        """
        results_of: dict[int, list[ImageUploadResult]] = defaultdict(list)
        nameless = 0
        # A single result belongs to the single image, even if the service changed its name.
        is_only = len(rows) == len(results) == 1
        for result in results:
            row = rows[0] if is_only else self.row_of(result.source_url or "", rows)
            if row is None:
                nameless += 1
            else:
                results_of[row].append(result)
        ids: dict[int, str] = {}
        for row, of_row in results_of.items():
            if len({result.image and result.image.id for result in of_row}) > 1:
                nameless += len(of_row)  # one of the results is for another image
            elif id_ := self._id_in(row, of_row[-1]):
                ids[row] = id_
        self.record(ids)
        is_settled = ids or not self.refused.keys().isdisjoint(rows)
        if nameless and not is_settled and len(rows) > 1:
            self.is_nameless = True
            raise ServiceError(
                f"{self.operation}: the response does not contain the names of "
                f"{counted(nameless, 'image')}. Upload them one by one.",
                code=_NAMELESS,
            )

    def _id_in(self, row: int, result: ImageUploadResult) -> str:
        """Return the ID in the result for an image; empty if there is none, which is noted."""
        if result.image is None:
            if not result.status.startswith("OK"):
                self.error_of(row, result.status)
            return ""
        refusal = self.refusal_of(row, result.image)
        if refusal is not None:
            self.refused[row] = refusal
            return ""
        if result.status == "OKDuplicate":
            self.already_stored.add(row)
        return result.image.id.lower()
