"""Upload image files in batches, each under a unique name by which the response gives its ID.

Uploading the same bytes again is safe: the status is `OKDuplicate`, with the ID of the image that
the project has.
"""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.customvision.image_files import Refusal, digest_of
from regionbatch.customvision.journal import UploadedImage
from regionbatch.customvision.rate_limiter import MAX_TRIES, TRIES_BEFORE_SPLIT, run_bounded
from regionbatch.customvision.regions import ends_run
from regionbatch.customvision.service_types import ImageUpload
from regionbatch.customvision.shrink import shrink_image
from regionbatch.errors import ServiceError, TransportError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.customvision.image_files import ImagesToUpload
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.service_types import ImageUploadResult
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.dataset import Images
    from regionbatch.findings import Progress

IN_FLIGHT = 2
"""Number of calls at a time; each has a body of up to 30 MB."""
_CREATE = "CreateImagesFromFiles"
_TRANSIENT = ("ErrorStorage", "ErrorUnknown")
_UNCONFIRMED = Refusal("Unconfirmed", "sent, but not named in the response")


class ImageUploader:
    """Uploads the images of a dataset to one project."""

    def __init__(
        self, session: ProjectSession, images: Images, to_upload: ImagesToUpload, journal: Journal
    ) -> None:
        """Start with nothing uploaded."""
        self._session = session
        self._images = images
        self._to_upload = to_upload
        self._journal = journal
        self.ids: dict[int, str] = {}
        """The ID of each image that the project has, by number."""
        self.refused: dict[int, Refusal] = {}
        """Images that were refused."""
        self.already_stored: set[int] = set()
        """Images that the project had before."""

    def upload(self, progress: Progress | None = None) -> None:
        """Upload all images; afterwards, each has an ID or was refused.

        Raises:
            ServiceError: The run cannot continue, e.g. without access.
        """
        done = 0

        def batch_done(batch: Sequence[int]) -> None:
            nonlocal done
            done += len(batch)
            if progress:
                progress("uploading images", done, self._to_upload.count)

        run_bounded(
            self._upload_batch,
            self._to_upload.batches,
            max_workers=IN_FLIGHT,
            rate_limiter=self._session.rate_limiter,
            done=batch_done,
        )
        self._assign_duplicates()

    def _assign_duplicates(self) -> None:
        """Give images with equal files the ID, or the refusal, of the one that was uploaded."""
        duplicate_of = self._to_upload.duplicate_of
        ids: dict[int, str] = {}
        for row, original in duplicate_of.items():
            if original in self.ids:
                ids[row] = self.ids[original]
            elif original in self.refused:
                self.refused[row] = self.refused[original]
        self._record(ids)

    def _upload_batch(self, rows: Sequence[int]) -> None:
        """Upload one batch; afterwards, each of its images has an ID or was refused."""
        limiter = self._session.rate_limiter
        refusal = _UNCONFIRMED
        for tries in range(1, MAX_TRIES + 1):
            problem: ServiceError
            try:
                results = limiter.call(_CREATE, partial(self._create, rows), repeat=False)
            except ServiceError as error:
                if self._should_give_up(error, tries):
                    raise
                if _should_split(error, rows, tries):
                    self._split(rows, error)
                    return
                problem = error
            else:
                refusal = self._apply(rows, results) or refusal
                rows = self._without_result(rows)
                if not rows:
                    return
                problem = _unconfirmed(len(rows), refusal)
            limiter.wait_out(problem, limiter.delay(tries))
        self.refused.update(dict.fromkeys(rows, refusal))

    def _should_give_up(self, error: ServiceError, tries: int) -> bool:
        """Return whether no further call can succeed."""
        never_responds = tries == MAX_TRIES and not error.status
        is_hopeless = self._session.rate_limiter.is_hopeless(_CREATE)
        return ends_run(error) or is_hopeless or never_responds

    def _create(self, rows: Sequence[int]) -> list[ImageUploadResult]:
        uploads: list[ImageUpload] = []
        for row in rows:
            contents = self._contents(row)
            if contents is not None:
                uploads.append(ImageUpload(name=self._name(row), contents=contents))
        if not uploads:
            return []
        call = self._journal.start_call(_CREATE)
        results = self._session.client.create_images(self._session.project_id, uploads)
        self._journal.finish_call(call)
        return results

    def _split(self, rows: Sequence[int], error: ServiceError) -> None:
        """Upload the halves of a refused batch, until the images that cause it are found."""
        if len(rows) == 1:
            code = error.code or str(error.status)
            self.refused[rows[0]] = Refusal(code, error.service_message)
            return
        middle = len(rows) // 2
        self._upload_batch(rows[:middle])
        self._upload_batch(rows[middle:])

    def _apply(self, rows: Sequence[int], results: Sequence[ImageUploadResult]) -> Refusal | None:
        """Note the ID or refusal of each image; return the last failure that may be temporary."""
        row_by_name = {self._name(row): row for row in rows}
        ids: dict[int, str] = {}
        temporary: Refusal | None = None
        for result in results:
            row = row_by_name.get(result.source_url)
            if len(rows) == len(results) == 1:
                row = rows[0]  # the only one, even if the service changed its name
            if row is None:
                continue
            if result.image is not None:
                ids[row] = result.image.id.lower()
                if result.status == "OKDuplicate":
                    self.already_stored.add(row)
            elif result.status in _TRANSIENT:
                temporary = Refusal(result.status, "the service could not store the image")
            elif not result.status.startswith("OK"):
                self.refused[row] = Refusal(result.status, "the service refused the image")
        self._record(ids)
        return temporary

    def _without_result(self, rows: Sequence[int]) -> list[int]:
        return [row for row in rows if row not in self.ids and row not in self.refused]

    def _record(self, ids: Mapping[int, str]) -> None:
        """Note the IDs of images, also in the journal."""
        names = self._images.names
        fingerprints = self._to_upload.fingerprints
        self._journal.add_images(
            {names[row]: UploadedImage(id_, fingerprints[row]) for row, id_ in ids.items()}
        )
        self.ids.update(ids)

    def _name(self, row: int) -> str:
        """Return a unique name that no server has a reason to change."""
        if row in self._to_upload.shrink:
            return f"{row}.jpg"
        extension = Path(self._images.paths[row]).suffix.lower()
        return f"{row}{extension}" if extension.isascii() else str(row)

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


def _should_split(error: ServiceError, rows: Sequence[int], tries: int) -> bool:
    """Return whether to upload the halves of a batch instead of trying it again."""
    if tries == MAX_TRIES or not isinstance(error, TransportError):
        return True
    # Sending the batch took too long, or one of its images breaks the service.
    takes_too_long = error.status == HTTPStatus.REQUEST_TIMEOUT
    is_server_error = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    keeps_failing = is_server_error and tries >= TRIES_BEFORE_SPLIT
    return len(rows) > 1 and (takes_too_long or keeps_failing)


def _unconfirmed(count: int, refusal: Refusal) -> ServiceError:
    images = "1 image is" if count == 1 else f"{count} images are"
    return ServiceError(f"{_CREATE}: {images} not confirmed: '{refusal.code}'. Run it again.")
