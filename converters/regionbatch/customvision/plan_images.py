"""The images of an upload: which the project has, and which have to be uploaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.customvision.image_files import (
    ImageFiles,
    Refusal,
    find_uploaded,
    images_by_url,
    inspect_images,
)
from regionbatch.customvision.signed_urls import check_signer, raise_if_remote
from regionbatch.customvision.snapshot import await_images, read_images
from regionbatch.customvision.stored_names import find_by_stored_name
from regionbatch.errors import ResolveError
from regionbatch.names.resolve import resolve
from regionbatch.names.tables import table_of
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from regionbatch.customvision.fingerprints import UploadedImage
    from regionbatch.customvision.image_files import ImagesToUpload
    from regionbatch.customvision.journal import Journal
    from regionbatch.customvision.plan import UploadOptions
    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.snapshot import ProjectSnapshot
    from regionbatch.dataset import Dataset, Images
    from regionbatch.findings import FindingLog
    from regionbatch.names.tables import Ids

_NOT_FOUND = Refusal("NotFoundImage", "the project has no image with this ID")


@dataclass(frozen=True, slots=True)
class ImagePlan:
    """The images of an upload: which the project has, and which to upload."""

    known: Mapping[str, str]
    """IDs by name of images that are not uploaded: given, or recorded by an earlier run."""
    uploaded: Mapping[str, str]
    """IDs by name of images that an earlier run uploaded and whose file is unchanged."""
    ids: Mapping[str, str]
    """IDs by name of all images; placeholders for images to upload."""
    to_upload: ImagesToUpload
    """The image files to upload."""
    refused: Mapping[int, Refusal]
    """Images that no region can be sent to, by number."""
    snapshot: ProjectSnapshot
    """What the project contains, including known images that the listing lacked."""
    names_by_id: Mapping[str, str]
    """Names by ID of the dataset's images in the project, including those that were replaced."""
    stores_names: bool
    """Whether the name of each image is stored in its metadata."""
    operation: str
    """The call that uploads images."""

    @property
    def upload_calls(self) -> int:
        """The number of calls that upload images."""
        return self.to_upload.count if self.stores_names else len(self.to_upload.batches)


def plan_images(
    dataset: Dataset,
    session: ProjectSession,
    log: FindingLog,
    options: UploadOptions,
    snapshot: ProjectSnapshot,
    *,
    same_dataset: bool,
) -> ImagePlan:
    """Find the ID of each image, or inspect its file in order to upload it."""
    images = dataset.images
    names = images.names
    journal = session.journal
    given = given_image_ids(images, options.image_ids, log)
    recorded = journal.images()
    files = ImageFiles(images, by_url=options.sign is not None)
    uploaded, _ = find_uploaded(files, recorded, given, log, same_dataset=same_dataset)
    uploaded |= find_by_stored_name(files, snapshot.names, {**uploaded, **given})
    ids = {**uploaded, **given}
    snapshot = _look_up_unlisted(session, snapshot, ids, given)
    deleted = [row for row, id_ in ids.items() if id_ not in snapshot.images]
    _raise_if_all_unknown(given, deleted)
    # Images that an earlier run uploaded and somebody has deleted since can be uploaded again.
    again = {row for row in deleted if row not in given and images.paths[row]}
    known = {row: id_ for row, id_ in ids.items() if row not in again}
    rows = [row for row, path in enumerate(images.paths) if path and row not in known]
    to_upload = _images_to_upload(dataset, files, rows, log, options)
    same_files = _ids_of_same_files(names, known, to_upload, recorded)
    planned = {**known, **to_upload.placeholder_ids, **same_files}
    not_found = {row: _NOT_FOUND for row in sorted(deleted) if row not in again}
    return ImagePlan(
        known=_by_name(known, names),
        uploaded=_by_name(uploaded, names),
        ids=_by_name(planned, names),
        to_upload=to_upload,
        refused={**not_found, **to_upload.refused},
        snapshot=snapshot,
        names_by_id=_names_by_id(names, known, journal),
        stores_names=options.store_names,
        operation="CreateImagesFromUrls" if options.sign else "CreateImagesFromFiles",
    )


def _images_to_upload(
    dataset: Dataset,
    files: ImageFiles,
    rows: Sequence[int],
    log: FindingLog,
    options: UploadOptions,
) -> ImagesToUpload:
    images = dataset.images
    if options.sign is None:
        raise_if_remote((images.paths[row] for row in rows), dataset.root)
        return inspect_images(images, rows, log, shrink=options.shrink)
    if rows:
        check_signer(options.sign, images.paths[rows[0]])
    return images_by_url(files, rows)


def _names_by_id(
    names: Sequence[str], known: Mapping[int, str], journal: Journal
) -> dict[str, str]:
    """Return names by ID of images, and of the images that newer files replaced.

    Images of the journal that the dataset no longer has are left out.
    """
    current = {*names}
    former = {id_: name for id_, name in journal.names_by_id().items() if name in current}
    return {**former, **{id_: names[row] for row, id_ in known.items()}}


def _by_name(ids: Mapping[int, str], names: Sequence[str]) -> dict[str, str]:
    return {names[row]: id_ for row, id_ in ids.items()}


def given_image_ids(images: Images, image_ids: Ids | None, log: FindingLog) -> dict[int, str]:
    """Return the IDs that a caller gives for images, by number."""
    if image_ids is None:
        return {}
    found = resolve(
        "image",
        images.names,
        range(len(images)),
        table_of(image_ids, "image_ids"),
        log,
        exact=np.flatnonzero(images.exact).tolist(),
        splits=images.split_names(),
        skip=True,
    )
    return {row: id_ for row, id_ in enumerate(found) if id_}


def _look_up_unlisted(
    session: ProjectSession,
    snapshot: ProjectSnapshot,
    ids: Mapping[int, str],
    given: Mapping[int, str],
) -> ProjectSnapshot:
    """Look up IDs that no listing has, before treating them as deleted.

    Images that an earlier run uploaded a moment ago are looked up for up to a minute.
    """
    unlisted = dict.fromkeys(id_ for id_ in ids.values() if id_ not in snapshot.images)
    snapshot = snapshot.updated_with(read_images(session, list(unlisted)))
    recorded = {id_ for row, id_ in ids.items() if row not in given}

    def outdated(snapshot: ProjectSnapshot) -> list[str]:
        return sorted(recorded - snapshot.images.keys())

    elapsed = session.journal.seconds_since_last_call()
    if elapsed >= session.rate_limiter.settle_seconds:
        return snapshot
    return await_images(session, snapshot, outdated, elapsed=elapsed)


def _raise_if_all_unknown(given: Mapping[int, str], deleted: Sequence[int]) -> None:
    if not given or not given.keys() <= set(deleted):
        return
    example = next(iter(given.values()))
    ids = "the image ID is" if len(given) == 1 else f"none of the {len(given)} image IDs is"
    not_ = "not " if len(given) == 1 else ""
    raise ResolveError(
        f"image_ids: {ids} {not_}in the project: '{example}'. "
        "Check that the IDs are from this project.",
        option="image_ids",
        value=example,
    )


def _ids_of_same_files(
    names: Sequence[str],
    known: Mapping[int, str],
    to_upload: ImagesToUpload,
    recorded: Mapping[str, UploadedImage],
) -> dict[int, str]:
    """Return the IDs of images whose file was uploaded before under another name.

    The plan then sees which regions both images have.
    """
    id_by_digest: dict[bytes, str] = {}
    for row, id_ in known.items():
        image = recorded.get(names[row])
        if image is not None and image.id == id_:
            id_by_digest[image.file.digest] = id_
    ids: dict[int, str] = {}
    for row, fingerprint in to_upload.fingerprints.items():
        if fingerprint.digest in id_by_digest:
            ids[row] = id_by_digest[fingerprint.digest]
    return ids


def raise_if_unresolved(dataset: Dataset, ids: Mapping[str, str]) -> None:
    """Raise if an image with boxes has no ID.

    Raises:
        ResolveError: Such an image has neither a file nor an ID.
    """
    names = dataset.images.names
    counts = np.bincount(dataset.regions.image, minlength=len(names))
    lost = [row for row in np.flatnonzero(counts).tolist() if names[row] not in ids]
    if not lost:
        return
    first = names[lost[0]]
    images = "1 image has" if len(lost) == 1 else f"{len(lost)} images have"
    boxes = counted(int(counts[lost].sum()), "box")
    more = "" if len(lost) == 1 else f" and {len(lost) - 1} more"
    raise ResolveError(
        f"image_ids: {images} neither a file nor an ID ({boxes}): '{first}'{more}. "
        "Choose the folder of the images with `image_dir`, list IDs with `image_ids`, "
        "or leave such images out with `skip_unresolved=True`.",
        option="image_ids",
        value=[names[row] for row in lost],
    )
