"""Tables of the IDs in a project by name: of its tags, and of its images whose name is known.

The files are those that `tag_ids` and `image_ids` accept: an object `{"name": "id"}`. The service
keeps no image names. They come from the journal of an upload, or from the metadata of images.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from regionbatch.customvision.journal import Journal
from regionbatch.customvision.journal_file import missing_journal
from regionbatch.customvision.plan_tags import placeholder_id, regular_tag_ids
from regionbatch.customvision.snapshot import read_images, read_project
from regionbatch.errors import OutputError, ResolveError
from regionbatch.files.atomic_write import atomic_write
from regionbatch.files.output_paths import has_signature, resolve_target
from regionbatch.files.unfinished_output import delete_abandoned
from regionbatch.names.tables import read_ids
from regionbatch.report import as_json

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from os import PathLike
    from pathlib import PurePath

    from regionbatch.customvision.session import ProjectSession
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.findings import Progress

TAGS_FILE = "tags.json"
IMAGES_FILE = "images.json"


@dataclass(frozen=True, kw_only=True)
class IdTables:
    """The IDs of a project by name."""

    tags: Mapping[str, str]
    """IDs of the tags that take regions, by name."""
    images: Mapping[str, str] | None
    """IDs of the images whose name is known, by name; None: no name is known."""
    unnamed: int
    """Number of images in the project whose name is not known; 0 if they were not read."""
    deleted: Sequence[str]
    """Names in the journal whose image is no longer in the project."""
    ambiguous: Mapping[str, Sequence[str]]
    """Names that several images have in their metadata, with the IDs of these."""


def read_id_tables(
    session: ProjectSession,
    journal: str | PathLike[str] | None = None,
    progress: Progress | None = None,
) -> IdTables:
    """Read the tags of a project, and its images if there is a source of their names.

    The journal is the first source of names. Metadata is used only for other images and other
    names.

    Args:
        session: The project.
        journal: The journal of an upload to the project; None: no journal.
        progress: Called after each page of images.

    Raises:
        JournalError: The journal does not exist, or belongs to another project.
        ServiceError: The project cannot be read.
    """
    recorded = _recorded_images(session.project_id, journal)
    tags = regular_tag_ids(session.tags())
    if not recorded and not session.client.has_metadata:
        return IdTables(tags=tags, images=None, unnamed=0, deleted=(), ambiguous={})
    snapshot = read_project(session, progress=progress)
    unlisted = [id_ for id_ in recorded.values() if id_ not in snapshot.images]
    stored = {*snapshot.images, *read_images(session, unlisted).images}  # a listing may lag
    images = {name: id_ for name, id_ in recorded.items() if id_ in stored}
    used = set(images.values())
    others: dict[str, list[str]] = {}
    for id_, (name, _) in snapshot.names.items():
        if name not in images and id_ not in used:
            others.setdefault(name, []).append(id_)
    named = {name: ids[0] for name, ids in others.items() if len(ids) == 1}
    used.update(named.values())
    return IdTables(
        tags=tags,
        images={**images, **named} or None,
        unnamed=len(stored - used),
        deleted=[name for name in recorded if name not in images],
        ambiguous={name: ids for name, ids in others.items() if len(ids) > 1},
    )


def _recorded_images(project_id: str, journal: str | PathLike[str] | None) -> dict[str, str]:
    """Return the IDs by name of the images in a journal."""
    if journal is None:
        return {}
    if not Path(journal).exists():
        raise missing_journal(journal)
    with Journal(journal, project_id, read_only=True) as opened:
        return {name: image.id.lower() for name, image in opened.images().items()}


def tag_ids_of(result: UploadResult) -> dict[str, str]:
    """Return the IDs by name of the tags that the project is known to have after an upload."""
    before = result.plan.batches.tag_ids
    created = dict(zip(before, result.batches.tag_ids, strict=True))
    ids = {name: created.get(id_, id_) for name, id_ in result.plan.tag_ids.items()}
    return {name: id_ for name, id_ in ids.items() if id_ != placeholder_id(name)}


def check_id_files(folder: str | PathLike[str], *, overwrite: bool, option: str = "target") -> None:
    """Check that the files can be written, before the work starts.

    Args:
        folder: Where the files are written.
        overwrite: Whether tables that exist there may be replaced.
        option: The keyword argument that the folder is from.

    Raises:
        OptionError: The folder is not a local path.
        OutputError: A file exists and `overwrite` is off, or it is not a table of IDs, or the
            folder cannot be created.
    """
    target = resolve_target(folder, option)
    if target.exists() and not target.is_dir():
        raise OutputError(
            f"{target}: is a file, but the output is a folder. Choose another name.",
            place=str(target),
        )
    for path in (target / TAGS_FILE, target / IMAGES_FILE):
        if not path.exists():
            continue
        if not _is_table(path):
            raise OutputError(
                f"{path}: not a table of IDs, and is not replaced. Choose another folder.",
                place=str(path),
            )
        if not overwrite:
            raise OutputError(
                f"{path}: already exists. Choose another folder, or replace it with "
                "`overwrite=True`.",
                place=str(path),
                option="overwrite",
            )


def write_id_files(
    folder: str | PathLike[str],
    tags: Mapping[str, str],
    images: Mapping[str, str] | None,
    *,
    overwrite: bool = False,
    option: str = "target",
) -> list[Path]:
    """Write tables of IDs as `tags.json` and `images.json`, each completely or not at all.

    Args:
        folder: Where to write them; created if it does not exist.
        tags: Tag IDs by name.
        images: Image IDs by name; None: do not write this file.
        overwrite: Replace tables that exist there.
        option: The keyword argument that the folder is from.

    Returns:
        The files that were written.

    Raises:
        OutputError: See `check_id_files`; or a file cannot be written.
    """
    check_id_files(folder, overwrite=overwrite, option=option)
    target = resolve_target(folder, option)
    written = []
    for name, ids in ((TAGS_FILE, tags), (IMAGES_FILE, images)):
        if ids is None:
            continue
        path = target / name
        delete_abandoned(path, _may_be_unfinished)
        try:
            with atomic_write(path, _is_table if overwrite else None) as file:
                file.write(as_json(dict(sorted(ids.items())), indent=1) + b"\n")
        except OutputError:
            raise
        except OSError as error:
            raise OutputError(
                f"{path}: cannot be written: '{error.strerror or error}'. Choose another folder.",
                place=str(path),
            ) from error
        written.append(Path(folder) / name)
    return written


def _may_be_unfinished(path: PurePath) -> bool:
    """Return whether a file may be the first part of a table, left by a killed run."""
    return has_signature(path, b"{\n")


def _is_table(path: PurePath) -> bool:
    """Return whether a file is a table of IDs."""
    try:
        read_ids(Path(path))
    except (ResolveError, OSError):
        return False
    return True
