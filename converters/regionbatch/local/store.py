"""Projects, tags, images and regions in SQLite: a file, or memory. Storage only; the rules are in `operations`."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from regionbatch.databases import SERVICE, is_empty, is_foreign
from regionbatch.local.contract import Image, ImageRegion, ImageRegionCreateResult, ImageTag, Tag

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

RegionKey: TypeAlias = tuple[str, str, float, float, float, float]
"""What makes two regions the same: image, tag, and the four 32-bit numbers."""

PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
SCHEMA = """
CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY, name TEXT, description TEXT, domain TEXT, classification TEXT, platforms TEXT, created TEXT);
CREATE TABLE IF NOT EXISTS tags (
    id TEXT PRIMARY KEY, project TEXT REFERENCES projects, name TEXT, description TEXT, type TEXT,
    UNIQUE (project, name));
CREATE TABLE IF NOT EXISTS images (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, project TEXT REFERENCES projects, digest BLOB,
    width INTEGER, height INTEGER, created TEXT, UNIQUE (project, digest));
CREATE TABLE IF NOT EXISTS image_tags (
    image TEXT REFERENCES images (id) ON DELETE CASCADE, tag TEXT REFERENCES tags (id) ON DELETE CASCADE, created TEXT,
    PRIMARY KEY (image, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS regions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, image TEXT, tag TEXT,
    left REAL, top REAL, width REAL, height REAL, created TEXT,
    FOREIGN KEY (image, tag) REFERENCES image_tags ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS tags_of_image ON image_tags (tag);
CREATE INDEX IF NOT EXISTS regions_of_image ON regions (image, tag);
"""

TAGGING = {
    "All": "",
    "Tagged": "AND EXISTS (SELECT 1 FROM image_tags WHERE image = images.id)",
    "Untagged": "AND NOT EXISTS (SELECT 1 FROM image_tags WHERE image = images.id)",
}
WITH_TAGS = "AND EXISTS (SELECT 1 FROM image_tags WHERE image = images.id AND tag IN (SELECT value FROM json_each(?)))"
ORDERS = {"Newest": "DESC", "Oldest": "ASC"}


class ProjectRow(NamedTuple):
    """A project as it is stored; `platforms` is a list with commas."""

    id: str
    name: str
    description: str | None
    domain: str
    classification: str | None
    platforms: str
    created: str


class Store:
    """The tables. Every statement belongs into a `transaction`, one for each call of the service."""

    def __init__(self, path: Path | None = None) -> None:
        """Open or make the database; None keeps it in memory."""
        empty = path is None or is_empty(path)
        self._db = sqlite3.connect(path or ":memory:", isolation_level=None, check_same_thread=False)
        self._lock = threading.Lock()
        try:
            if is_foreign(self._db, SERVICE, empty=empty):
                raise sqlite3.DatabaseError("the tables of something else")
            self._db.executescript(f"PRAGMA application_id = {SERVICE}; {PRAGMAS} {SCHEMA}")
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is written, or, after an exception, nothing."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    # Projects and tags.

    def add_project(
        self, name: str, description: str | None, domain: str, classification: str | None, platforms: str
    ) -> str:
        """Make a project; its id."""
        row = ProjectRow(new_id(), name, description, domain, classification, platforms, now())
        self._db.execute("INSERT INTO projects VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return row.id

    def projects(self, project: str | None = None) -> list[ProjectRow]:
        """Return the project with this id, or all of them."""
        rows = self._db.execute("SELECT * FROM projects WHERE id = coalesce(?, id) ORDER BY created", (project,))
        return [ProjectRow(*row) for row in rows]

    def add_tag(self, project: str, name: str, description: str | None, kind: str) -> str:
        """Make a tag; its id."""
        tag = new_id()
        self._db.execute("INSERT INTO tags VALUES (?, ?, ?, ?, ?)", (tag, project, name, description, kind))
        return tag

    def tags(self, project: str) -> list[Tag]:
        """All tags of a project with the numbers of their images."""
        rows = self._db.execute(
            "SELECT id, name, description, type, (SELECT count(*) FROM image_tags WHERE tag = tags.id) "
            "FROM tags WHERE project = ?",
            (project,),
        )
        return [Tag(id=i, name=n, description=d, type=t, image_count=c) for i, n, d, t, c in rows]

    def tag_types(self, project: str) -> dict[str, str]:
        """Types of the project's tags by id; quick, for nothing is counted."""
        return dict(self._db.execute("SELECT id, type FROM tags WHERE project = ?", (project,)).fetchall())

    def delete_tag(self, tag: str) -> None:
        """Delete a tag with its regions."""
        self._db.execute("DELETE FROM tags WHERE id = ?", (tag,))

    # Images.

    def image_with(self, project: str, digest: bytes) -> str | None:
        """Return the id of the image with these bytes."""
        row = self._db.execute("SELECT id FROM images WHERE project = ? AND digest = ?", (project, digest)).fetchone()
        return row and str(row[0])

    def add_image(self, project: str, digest: bytes, width: int, height: int) -> str:
        """Store an image (its digest and its size in pixels, not its bytes); its id."""
        image = new_id()
        self._db.execute(
            "INSERT INTO images (id, project, digest, width, height, created) VALUES (?, ?, ?, ?, ?, ?)",
            (image, project, digest, width, height, now()),
        )
        return image

    def known_images(self, project: str, images: Iterable[str]) -> set[str]:
        """Those of the ids that are images of the project."""
        return {
            row[0] for row in self._among("SELECT id FROM images WHERE id IN ({}) AND project = ?", images, project)
        }

    def count_images(self, project: str, tagging: str, tags: Sequence[str] = ()) -> int:
        """Count the images of a project: All, Tagged or Untagged, and with any of the tags."""
        where, values = _filter(project, tagging, tags)
        return int(self._db.execute(f"SELECT count(*) FROM images {where}", values).fetchone()[0])  # noqa: S608 - constants

    def page(self, project: str, tagging: str, tags: Sequence[str], *, order: str, take: int, skip: int) -> list[str]:
        """Ids of a page of those images, Newest or Oldest first."""
        where, values = _filter(project, tagging, tags)
        rows = self._db.execute(
            f"SELECT id FROM images {where} ORDER BY number {ORDERS[order]} LIMIT ? OFFSET ?",  # noqa: S608 - constants
            (*values, take, skip),
        )
        return [row[0] for row in rows]

    def images(self, ids: Sequence[str]) -> list[Image]:
        """Images with their tags and regions, in the order of the ids."""
        tags: dict[str, list[ImageTag]] = defaultdict(list)
        for image, tag, name, created in self._among(
            "SELECT image, tag, name, created FROM image_tags JOIN tags ON tags.id = tag WHERE image IN ({})", ids
        ):
            tags[image].append(ImageTag(tag_id=tag, tag_name=name, created=created))
        regions: dict[str, list[ImageRegion]] = defaultdict(list)
        for image, fields in self._regions("image IN ({})", ids):
            regions[image].append(ImageRegion(**fields))
        found = {
            image: Image(
                id=image, created=created, width=width, height=height, tags=tags[image], regions=regions[image]
            )
            for image, created, width, height in self._among(
                "SELECT id, created, width, height FROM images WHERE id IN ({})", ids
            )
        }
        return [found[image] for image in ids]

    def delete_images(self, project: str, images: Sequence[str] | None) -> None:
        """Delete images with their regions; None deletes all."""
        if images is None:
            self._db.execute("DELETE FROM images WHERE project = ?", (project,))
        else:
            self._among("DELETE FROM images WHERE id IN ({}) AND project = ?", images, project)

    # Tags and regions on images.

    def tag_images(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Put tags on images: pairs of image and tag."""
        created = now()
        self._db.executemany(
            "INSERT OR IGNORE INTO image_tags VALUES (?, ?, ?)", [(image, tag, created) for image, tag in pairs]
        )

    def regions_on(self, images: Iterable[str]) -> list[RegionKey]:
        """Regions that the images have."""
        return self._among("SELECT image, tag, left, top, width, height FROM regions WHERE image IN ({})", images)

    def add_regions(self, keys: Sequence[RegionKey]) -> list[ImageRegionCreateResult]:
        """Store regions on images that have the tags."""
        created = now()
        ids = [new_id() for _ in keys]
        self._db.executemany(
            "INSERT INTO regions (id, image, tag, left, top, width, height, created) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(region, *key, created) for region, key in zip(ids, keys, strict=True)],
        )
        return [ImageRegionCreateResult(image_id=i, **fields) for i, fields in self._regions("regions.id IN ({})", ids)]

    def regions(self, project: str) -> list[ImageRegionCreateResult]:
        """All regions of a project."""
        images = [row[0] for row in self._db.execute("SELECT id FROM images WHERE project = ?", (project,))]
        return [ImageRegionCreateResult(image_id=i, **fields) for i, fields in self._regions("image IN ({})", images)]

    def known_regions(self, project: str, regions: Iterable[str]) -> set[str]:
        """Those of the ids that are regions of the project."""
        return {
            row[0]
            for row in self._among(
                "SELECT regions.id FROM regions JOIN images ON images.id = image "
                "WHERE regions.id IN ({}) AND project = ?",
                regions,
                project,
            )
        }

    def delete_regions(self, regions: Sequence[str]) -> None:
        """Delete regions; a tag leaves an image with its last region."""
        pairs = self._among("SELECT DISTINCT image, tag FROM regions WHERE id IN ({})", regions)
        self._among("DELETE FROM regions WHERE id IN ({})", regions)
        self._db.executemany(
            "DELETE FROM image_tags WHERE image = ? AND tag = ? AND NOT EXISTS "
            "(SELECT 1 FROM regions WHERE image = image_tags.image AND tag = image_tags.tag)",
            pairs,
        )

    def _regions(self, where: str, ids: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
        """Regions as pairs of image id and members of `ImageRegion`."""
        columns = "image, left, top, width, height, regions.id, tag, name, created"  # as ImageRegion lists its members
        rows = self._among(
            f"SELECT {columns} FROM regions JOIN tags ON tags.id = tag WHERE {where} ORDER BY number",  # noqa: S608 - constants
            ids,
        )
        return [(image, dict(zip(ImageRegion.__struct_fields__, fields, strict=True))) for image, *fields in rows]

    def _among(self, statement: str, ids: Iterable[str], *values: str) -> list[Any]:
        """Run a statement whose `{}` stands for a list of ids of any length."""
        listed = msgspec.json.encode(list(ids)).decode()
        return self._db.execute(statement.format("SELECT value FROM json_each(?)"), (listed, *values)).fetchall()


def _filter(project: str, tagging: str, tags: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    where = f"WHERE project = ? {TAGGING[tagging]}"
    if not tags:
        return where, (project,)
    return f"{where} {WITH_TAGS}", (project, msgspec.json.encode(tags).decode())


def new_id() -> str:
    """Return a fresh id as the service writes it."""
    return str(uuid.uuid4())


def now() -> str:
    """Return the time in UTC as RFC 3339."""
    return datetime.now(UTC).isoformat()
