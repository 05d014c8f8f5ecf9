"""Pictures go up: judged, batched, uploaded, each under a name of its own by which its id is found again.

Uploading the same bytes again is safe: the answer is `OKDuplicate` with the id that is there.
"""

from __future__ import annotations

import hashlib
import uuid
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.client import Picture
from regionbatch.customvision.journal import Stamp, Uploaded
from regionbatch.customvision.rate import STUBBORN, TRIES, in_flight
from regionbatch.customvision.regions import is_final
from regionbatch.customvision.shrink import FILE_BYTES, PIXELS, shrunk, too_many_pixels
from regionbatch.errors import ServiceError, TransportError
from regionbatch.files.image_headers import image_size
from regionbatch.limits import BODY_BYTES, IMAGE_ASPECT, IMAGE_BYTES, IMAGE_SIDE, IMAGES_PER_BATCH

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Mapping, Sequence

    from regionbatch.customvision.client import TrainingClient, UploadedImage
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.rate import Pace
    from regionbatch.dataset import Images
    from regionbatch.findings import FindingLog, Progress

IN_FLIGHT = 2
"""Bodies of 30 MB that are under way at a time."""
_CREATE = "CreateImagesFromFiles"
_SIGNATURES = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"BM", b"GIF87a", b"GIF89a")
_TRANSIENT = ("ErrorStorage", "ErrorUnknown")
_CAN_BE_SHRUNK = ("ErrorImageSize", "ErrorImageFormat")


@dataclass(frozen=True, slots=True)
class Pictures:
    """The pictures to upload."""

    batches: Sequence[Sequence[int]]
    """Numbers of images, each picture once, as they go up together."""
    twins: dict[int, int]
    """Images whose picture has the same bytes as that of an earlier one."""
    stand_ins: dict[int, str]
    """An id for each image that it has in the plan, before the service gives it one; the same for the same bytes."""
    shrink: frozenset[int]
    """Images whose picture is encoded again on its way."""
    refused: dict[int, tuple[str, str]]
    """Images whose picture cannot go up, with code and message."""
    files: dict[int, Stamp]
    """What the file of each was when it was looked at."""


def look(images: Images, rows: Sequence[int], report: FindingLog, *, shrink: bool) -> Pictures:
    """Look at the pictures of some images: what the service will not take, which are the same, how they are batched."""
    first: dict[bytes, int] = {}
    files: dict[int, Stamp] = {}
    twins: dict[int, int] = {}
    stand_ins: dict[int, str] = {}
    to_shrink: dict[int, str] = {}
    refused: dict[int, tuple[str, str]] = {}
    lengths: dict[int, int] = {}
    for done, row in enumerate(rows, 1):
        path = Path(images.paths[row])
        files[row], head = look_into(path, most=FILE_BYTES if shrink else IMAGE_BYTES)
        stand_ins[row] = str(uuid.UUID(bytes=files[row].digest[:16]))
        twin = first.setdefault(files[row].digest, row)
        code = None if twin != row else _trouble(path, files[row].size, head)
        can_be_shrunk = shrink and code is not None and code[0] in _CAN_BE_SHRUNK
        refusal = _beyond_shrinking(path, files[row].size) if can_be_shrunk else code
        if twin != row:
            twins[row] = twin
        elif code is None:
            lengths[row] = files[row].size
        elif refusal is None:
            to_shrink[row] = code[1]
            lengths[row] = IMAGE_BYTES
        else:
            refused[row] = refusal
        report.progress("looking at pictures", done, len(rows))
    for row, twin in twins.items():
        if twin in refused:
            refused[row] = refused[twin]
    _tell(report, images, "picture_shrunk", to_shrink)
    return Pictures(list(_batched(lengths)), twins, stand_ins, frozenset(to_shrink), refused, files)


def look_into(path: Path, *, most: int = FILE_BYTES) -> tuple[Stamp, bytes]:
    """What a file is recognised by, and its first bytes; an unreadable one has length 0 and is like no other.

    One of more than `most` bytes cannot be uploaded. It is not read to its end, and is like no other too.
    """
    nobody = _digest(str(path).encode(errors="surrogateescape"))
    try:
        seen = _seen(path)
        with path.open("rb") as file:
            head = file.read(8)
        digest = nobody if seen[0] > most else _file_digest(path)
    except OSError:
        return Stamp(0, 0, 0, 0, nobody), b""
    return Stamp(*seen, digest), head


def _seen(path: Path) -> tuple[int, int, int, int]:
    """What can be seen of a file without opening it, as a stamp has it."""
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino % 2**63  # SQLite's largest number


def _file_digest(path: Path) -> bytes:
    """The digest of a file; never the whole of it at once."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def is_still(path: Path, file: Stamp) -> bool:
    """Whether a file has what it had, as far as can be seen: one that is gone cannot be seen."""
    try:
        seen = _seen(path)
        return seen == file[:-1] or (seen[0] == file.size and _file_digest(path) == file.digest)
    except OSError:
        return True


def uploaded_before(
    images: Images, uploaded: Mapping[str, Uploaded], given: Container[int], report: FindingLog, *, same_set: bool
) -> tuple[dict[int, str], dict[int, str]]:
    """Ids of images that went up before, by number: those that still have that picture, and those that have another.

    `uploaded` is what the journal has of them. A picture that is not on disk is believed to be that one, unless the
    dataset is not the one that the journal was begun with: then another may have its name. Nothing is said of images
    whose id is `given`.
    """
    rows = {row: uploaded[name] for row, name in enumerate(images.names) if name in uploaded}
    paths = {row: Path(images.paths[row]) for row in rows if images.paths[row]}
    changed = {row: rows[row].id for row, path in paths.items() if not is_still(path, rows[row].file)}
    _tell(report, images, "picture_changed", {row: id_ for row, id_ in changed.items() if row not in given})
    still = {row: image.id for row, image in rows.items() if row not in changed and (same_set or row in paths)}
    return still, changed


def _trouble(path: Path, length: int, head: bytes) -> tuple[str, str] | None:
    """Why the service will not take a picture, under the status that it would answer; None: it will."""
    if not length:
        return "ErrorSource", "the file is empty or cannot be read"
    if not head.startswith(_SIGNATURES):
        return "ErrorImageFormat", "neither JPEG, PNG, BMP nor GIF"
    if length > IMAGE_BYTES:
        return "ErrorImageSize", f"{length / 2**20:.1f} MB, more than {IMAGE_BYTES // 2**20}"
    width, height = image_size(str(path))
    if max(width, height) > IMAGE_SIDE:
        return "ErrorImageSize", f"{width} x {height}, more than {IMAGE_SIDE} pixels"
    if max(width, height) > IMAGE_ASPECT * min(width, height):
        return "ErrorImageDimensions", f"{width} x {height}, more than {IMAGE_ASPECT} to 1"
    return None


def _beyond_shrinking(path: Path, length: int) -> tuple[str, str] | None:
    """Why a picture cannot be encoded again either, as far as its size tells; None: it may be."""
    if length > FILE_BYTES:
        return "ErrorImageSize", f"{length / 2**20:.1f} MB, more than {FILE_BYTES // 2**20}"
    width, height = image_size(str(path))
    return ("ErrorImageSize", too_many_pixels(width, height)) if width * height > PIXELS else None


def report_refused(images: Images, refused: Mapping[int, tuple[str, str]], report: FindingLog) -> None:
    """Say which images no region can be sent to, and why."""
    _tell(report, images, "picture_refused", {row: f"{code}: {said}" for row, (code, said) in refused.items()})


def _tell(report: FindingLog, images: Images, code: str, values: dict[int, str]) -> None:
    if values:
        report.add(code, np.asarray([*values], np.int32), value=[*values.values()], table=images.names)


def _batched(lengths: dict[int, int]) -> Iterator[list[int]]:
    """Full batches, by number and by the size that their body will have."""
    batch: list[int] = []
    room = BODY_BYTES
    for row, length in lengths.items():
        on_wire = length * 4 // 3 + 100
        if batch and (len(batch) == IMAGES_PER_BATCH or on_wire > room):
            yield batch
            batch, room = [], BODY_BYTES
        batch.append(row)
        room -= on_wire
    if batch:
        yield batch


class Uploader:
    """Uploads pictures to one project."""

    def __init__(
        self,
        client: TrainingClient,
        project_id: str,
        images: Images,
        pictures: Pictures,
        *,
        pace: Pace,
        journal: Journal,
    ) -> None:
        """Start with nothing uploaded."""
        self._client, self._project_id, self._pace, self._journal = client, project_id, pace, journal
        self._images, self._pictures = images, pictures
        self.ids: dict[int, str] = {}
        """The id of each image that went up, or was there."""
        self.refused: dict[int, tuple[str, str]] = {}
        """Images that the service refused, with code and message."""
        self.there: set[int] = set()
        """Images whose picture the project had already."""

    def upload(self, progress: Progress | None = None) -> None:
        """Upload all pictures; returns when each has an id or was refused.

        Raises:
            ServiceError: Going on is of no use: no access, no answer.
        """
        batches = self._pictures.batches
        done, total = 0, sum(map(len, batches))

        def tell(batch: Sequence[int]) -> None:
            nonlocal done
            done += len(batch)
            if progress:
                progress("uploading pictures", done, total)

        in_flight(self._deliver, batches, most=IN_FLIGHT, pace=self._pace, done=tell)

    def _deliver(self, rows: Sequence[int]) -> None:
        """Upload one batch until each of its pictures has an id or was refused."""
        last = ("Unconfirmed", "sent, but not named in the answer")
        for tries in range(1, TRIES + 1):
            try:
                answer = self._pace.call(_CREATE, lambda: self._create(rows), repeat=False)  # noqa: B023 - called at once
            except ServiceError as error:
                if is_final(error) or self._pace.gone(_CREATE) or (tries == TRIES and not error.status):
                    raise
                if tries == TRIES or not isinstance(error, TransportError) or _halves_help(error, rows, tries):
                    self._split(rows, error)
                    return
                trouble: ServiceError = error
            else:
                last = self._judge(rows, answer) or last
                rows = [row for row in rows if row not in self.ids and row not in self.refused]
                if not rows:
                    return
                trouble = ServiceError(f"{_CREATE}: {len(rows)} pictures are not there, got {last[0]}; run it again")
            self._pace.wait_out(trouble, self._pace.delay(tries))
        self.refused.update(dict.fromkeys(rows, last))

    def _create(self, rows: Sequence[int]) -> list[UploadedImage]:
        pictures = [
            Picture(name=self._name(row), contents=content)
            for row in rows
            if (content := self._contents(row)) is not None
        ]
        if not pictures:
            return []
        call = self._journal.before(_CREATE)
        answer = self._client.create_images(self._project_id, pictures)
        self._journal.after(call)
        return answer

    def _split(self, rows: Sequence[int], error: ServiceError) -> None:
        """A batch does not go in: halve it until those that are to blame stand alone."""
        if len(rows) == 1:
            self.refused[rows[0]] = error.code or str(error.status), error.said
            return
        middle = len(rows) // 2
        for half in (rows[:middle], rows[middle:]):
            self._deliver(half)

    def _judge(self, rows: Sequence[int], answer: Sequence[UploadedImage]) -> tuple[str, str] | None:
        """Take the ids and refusals of an answer, each row by its own status; the last trouble that may pass."""
        row_of = {self._name(row): row for row in rows}
        found: dict[int, str] = {}
        trouble = None
        for result in answer:
            # Of one picture there is no doubt, whatever the service made of its name.
            row = rows[0] if len(rows) == len(answer) == 1 else row_of.get(result.source_url)
            if row is None:
                continue
            if result.image is not None:
                found[row] = result.image.id.lower()
                if result.status == "OKDuplicate":
                    self.there.add(row)
            elif result.status in _TRANSIENT:
                trouble = result.status, "the service could not store the picture"
            elif not result.status.startswith("OK"):
                self.refused[row] = result.status, "the service refused the picture"
        self.remember(found)
        return trouble

    def remember(self, ids: Mapping[int, str]) -> None:
        """Note the ids of images, here and in the journal."""
        files, names = self._pictures.files, self._images.names
        self._journal.add_images({names[row]: Uploaded(id_, files[row]) for row, id_ in ids.items()})
        self.ids.update(ids)

    def _name(self, row: int) -> str:
        """A name that is unique and that nothing on its way will want to rewrite."""
        shrink = row in self._pictures.shrink
        ending = ".jpg" if shrink else Path(self._images.paths[row]).suffix.lower()
        return f"{row}{ending if ending.isascii() else ''}"

    def _contents(self, row: int) -> bytes | None:
        """What goes up for an image; None: nothing can, and it is refused."""
        try:
            with Path(self._images.paths[row]).open("rb") as file:
                content = file.read(self._pictures.files[row].size + 1)  # it may have grown, beyond all limits
            if _digest(content) == self._pictures.files[row].digest:
                return shrunk(content) if row in self._pictures.shrink else content
            self.refused[row] = "ErrorSource", "the file was changed while the upload ran; run it again"
        except OSError as error:
            self.refused[row] = "ErrorSource", f"the file cannot be read, got {error}"
        return None


def _halves_help(error: ServiceError, rows: Sequence[int], tries: int) -> bool:
    """Whether fewer pictures may fare better: it took too long to send them, or one of them breaks the service."""
    stubborn = error.status >= HTTPStatus.INTERNAL_SERVER_ERROR and tries >= STUBBORN
    return len(rows) > 1 and (stubborn or error.status == HTTPStatus.REQUEST_TIMEOUT)
