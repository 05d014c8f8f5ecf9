"""Store projects, tags, images and regions in SQLite. The rules are in the operations."""

from __future__ import annotations

import sqlite3
import threading
import uuid
from collections import defaultdict
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from regionbatch.local.contract import Image, ImageRegion, ImageRegionCreateResult, ImageTag, Tag
from regionbatch.sqlite_files import SERVICE, is_empty, is_foreign

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

RegionKey: TypeAlias = tuple[str, str, float, float, float, float]
"""The identity of a region: image, tag, and left, top, width and height as 32-bit floats."""

PRAGMAS = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;"
SCHEMA = """
CREATE TABLE IF NOT EXISTS projects (
    id TEXT PRIMARY KEY, name TEXT, description TEXT, domain TEXT, classification TEXT,
    platforms TEXT, created TEXT);
CREATE TABLE IF NOT EXISTS tags (
    id TEXT PRIMARY KEY, project TEXT REFERENCES projects, name TEXT, description TEXT, type TEXT,
    UNIQUE (project, name));
CREATE TABLE IF NOT EXISTS images (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, project TEXT REFERENCES projects,
    digest BLOB, width INTEGER, height INTEGER, created TEXT, UNIQUE (project, digest));
CREATE TABLE IF NOT EXISTS image_tags (
    image TEXT REFERENCES images (id) ON DELETE CASCADE,
    tag TEXT REFERENCES tags (id) ON DELETE CASCADE,
    created TEXT, PRIMARY KEY (image, tag)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS regions (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT UNIQUE, image TEXT, tag TEXT,
    left REAL, top REAL, width REAL, height REAL, created TEXT,
    FOREIGN KEY (image, tag) REFERENCES image_tags ON DELETE CASCADE);
CREATE INDEX IF NOT EXISTS tags_of_image ON image_tags (tag);
CREATE INDEX IF NOT EXISTS regions_of_image ON regions (image, tag);
"""

TAGGING_FILTERS = {
    "All": "",
    "Tagged": "AND EXISTS (SELECT 1 FROM image_tags WHERE image = images.id)",
    "Untagged": "AND NOT EXISTS (SELECT 1 FROM image_tags WHERE image = images.id)",
}
TAGS_FILTER = (
    "AND EXISTS (SELECT 1 FROM image_tags WHERE image = images.id "
    "AND tag IN (SELECT value FROM json_each(?)))"
)
ORDERS = {"Newest": "DESC", "Oldest": "ASC"}


class ProjectRow(NamedTuple):
    """A project as it is stored; `platforms` is separated by commas."""

    id: str
    name: str
    description: str | None
    domain: str
    classification: str | None
    platforms: str
    created: str


class Store:
    """The tables. Every statement runs in a `transaction`, one per call of the service."""

    def __init__(self, path: Path | None = None) -> None:
        """Open or create the database; None keeps it in memory.

        Raises:
            OSError: The file cannot be opened.
            sqlite3.Error: The file is not a database of the service, or cannot be opened.
        """
        empty = path is None or is_empty(path)
        self._db = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False
        )
        self._lock = threading.Lock()
        try:
            if is_foreign(self._db, SERVICE, empty=empty):
                raise sqlite3.DatabaseError("its tables belong to another program")
            self._db.executescript(f"PRAGMA application_id = {SERVICE}; {PRAGMAS} {SCHEMA}")
        except sqlite3.Error:
            self._db.close()
            raise

    def close(self) -> None:
        """Close the database."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write everything in the block, or nothing if it raises an exception."""
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
        self,
        name: str,
        description: str | None,
        domain: str,
        classification: str | None,
        platforms: str,
    ) -> str:
        """Create a project, and return its ID."""
        row = ProjectRow(new_id(), name, description, domain, classification, platforms, now())
        self._db.execute("INSERT INTO projects VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return row.id

    def projects(self, project: str | None = None) -> list[ProjectRow]:
        """Return the project with this ID, or none; by default, return all."""
        rows = self._db.execute(
            "SELECT * FROM projects WHERE id = coalesce(?, id) ORDER BY created", (project,)
        )
        return [ProjectRow(*row) for row in rows]

    def add_tag(self, project: str, name: str, description: str | None, kind: str) -> str:
        """Create a tag, and return its ID."""
        tag = new_id()
        self._db.execute(
            "INSERT INTO tags VALUES (?, ?, ?, ?, ?)", (tag, project, name, description, kind)
        )
        return tag

    def tags(self, project: str) -> list[Tag]:
        """Return all tags of a project with the numbers of their images."""
        rows = self._db.execute(
            "SELECT id, name, description, type, "
            "(SELECT count(*) FROM image_tags WHERE tag = tags.id) FROM tags WHERE project = ?",
            (project,),
        )
        members = ("id", "name", "description", "type", "image_count")
        return [Tag(**dict(zip(members, row, strict=True))) for row in rows]

    def tag_types(self, project: str) -> dict[str, str]:
        """Return the type of each tag of a project; faster than `tags`, which counts images."""
        return dict(
            self._db.execute("SELECT id, type FROM tags WHERE project = ?", (project,)).fetchall()
        )

    def delete_tag(self, tag: str) -> None:
        """Delete a tag with its regions."""
        self._db.execute("DELETE FROM tags WHERE id = ?", (tag,))

    # Images.

    def image_with(self, project: str, digest: bytes) -> str | None:
        """Return the ID of the image with this SHA-256 digest; None: there is none."""
        row = self._db.execute(
            "SELECT id FROM images WHERE project = ? AND digest = ?", (project, digest)
        ).fetchone()
        return row and str(row[0])

    def add_image(self, project: str, digest: bytes, width: int, height: int) -> str:
        """Store the digest and the size in pixels of an image, and return its ID."""
        image = new_id()
        self._db.execute(
            "INSERT INTO images (id, project, digest, width, height, created) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (image, project, digest, width, height, now()),
        )
        return image

    def known_images(self, project: str, images: Iterable[str]) -> set[str]:
        """Return the IDs that belong to images of the project."""
        rows = self._with_ids(
            "SELECT id FROM images WHERE id IN ({}) AND project = ?", images, project
        )
        return {row[0] for row in rows}

    def count_images(self, project: str, tagging: str, tags: Sequence[str] = ()) -> int:
        """Count the images of a project: All, Tagged or Untagged, with any of the tags."""
        where, values = _filter(project, tagging, tags)
        statement = f"SELECT count(*) FROM images {where}"  # noqa: S608 - constants
        return int(self._db.execute(statement, values).fetchone()[0])

    def page(
        self, project: str, tagging: str, tags: Sequence[str], *, order: str, take: int, skip: int
    ) -> list[str]:
        """Return the IDs on a page of these images, Newest or Oldest first."""
        where, values = _filter(project, tagging, tags)
        order_by = f"ORDER BY number {ORDERS[order]} LIMIT ? OFFSET ?"
        statement = f"SELECT id FROM images {where} {order_by}"  # noqa: S608 - constants
        rows = self._db.execute(statement, (*values, take, skip))
        return [row[0] for row in rows]

    def images(self, ids: Sequence[str]) -> list[Image]:
        """Return images with their tags and regions, in the order of the IDs."""
        tags = self._tags_by_image(ids)
        regions: dict[str, list[ImageRegion]] = defaultdict(list)
        for image_id, fields in self._regions("image IN ({})", ids):
            regions[image_id].append(ImageRegion(**fields))
        found: dict[str, Image] = {}
        for image_id, created, width, height in self._with_ids(
            "SELECT id, created, width, height FROM images WHERE id IN ({})", ids
        ):
            found[image_id] = Image(
                id=image_id,
                created=created,
                width=width,
                height=height,
                tags=tags[image_id],
                regions=regions[image_id],
            )
        return [found[image_id] for image_id in ids]

    def _tags_by_image(self, ids: Sequence[str]) -> dict[str, list[ImageTag]]:
        tags: dict[str, list[ImageTag]] = defaultdict(list)
        for image_id, tag_id, name, created in self._with_ids(
            "SELECT image, tag, name, created FROM image_tags JOIN tags ON tags.id = tag "
            "WHERE image IN ({})",
            ids,
        ):
            tags[image_id].append(ImageTag(tag_id=tag_id, tag_name=name, created=created))
        return tags

    def delete_images(self, project: str, images: Sequence[str] | None) -> None:
        """Delete images with their regions; None: all images."""
        if images is None:
            self._db.execute("DELETE FROM images WHERE project = ?", (project,))
        else:
            self._with_ids("DELETE FROM images WHERE id IN ({}) AND project = ?", images, project)

    # Tags and regions on images.

    def tag_images(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add tags to images: pairs of image and tag."""
        created = now()
        self._db.executemany(
            "INSERT OR IGNORE INTO image_tags VALUES (?, ?, ?)",
            [(image, tag, created) for image, tag in pairs],
        )

    def regions_on(self, images: Iterable[str]) -> list[RegionKey]:
        """Return the regions of some images."""
        return self._with_ids(
            "SELECT image, tag, left, top, width, height FROM regions WHERE image IN ({})", images
        )

    def add_regions(self, keys: Sequence[RegionKey]) -> list[ImageRegionCreateResult]:
        """Store regions; their images already have the tags."""
        created = now()
        ids = [new_id() for _ in keys]
        self._db.executemany(
            "INSERT INTO regions (id, image, tag, left, top, width, height, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(region, *key, created) for region, key in zip(ids, keys, strict=True)],
        )
        return self._created("regions.id IN ({})", ids)

    def regions(self, project: str) -> list[ImageRegionCreateResult]:
        """Return all regions of a project."""
        rows = self._db.execute("SELECT id FROM images WHERE project = ?", (project,))
        return self._created("image IN ({})", [row[0] for row in rows])

    def _created(self, where: str, ids: Iterable[str]) -> list[ImageRegionCreateResult]:
        rows = self._regions(where, ids)
        return [ImageRegionCreateResult(image_id=image_id, **fields) for image_id, fields in rows]

    def known_regions(self, project: str, regions: Iterable[str]) -> set[str]:
        """Return the IDs that belong to regions of the project."""
        rows = self._with_ids(
            "SELECT regions.id FROM regions JOIN images ON images.id = image "
            "WHERE regions.id IN ({}) AND project = ?",
            regions,
            project,
        )
        return {row[0] for row in rows}

    def delete_regions(self, regions: Sequence[str]) -> None:
        """Delete regions. An image loses a tag with the last region that has it."""
        pairs = self._with_ids("SELECT DISTINCT image, tag FROM regions WHERE id IN ({})", regions)
        self._with_ids("DELETE FROM regions WHERE id IN ({})", regions)
        self._db.executemany(
            "DELETE FROM image_tags WHERE image = ? AND tag = ? AND NOT EXISTS "
            "(SELECT 1 FROM regions WHERE image = image_tags.image AND tag = image_tags.tag)",
            pairs,
        )

    def _regions(self, where: str, ids: Iterable[str]) -> list[tuple[str, dict[str, Any]]]:
        """Return the image ID and the members of `ImageRegion` of each region."""
        # In the order of the members of ImageRegion.
        columns = "left, top, width, height, regions.id, tag, name, created"
        rows = self._with_ids(
            f"SELECT image, {columns} FROM regions "  # noqa: S608 - constants
            f"JOIN tags ON tags.id = tag WHERE {where} ORDER BY number",
            ids,
        )
        names = ImageRegion.__struct_fields__
        return [(image, dict(zip(names, fields, strict=True))) for image, *fields in rows]

    def _with_ids(self, statement: str, ids: Iterable[str], *values: str) -> list[Any]:
        """Run a statement in which `{}` is a list of IDs of any length, and return the rows."""
        statement = statement.format("SELECT value FROM json_each(?)")
        json_ids = msgspec.json.encode(list(ids)).decode()
        return self._db.execute(statement, (json_ids, *values)).fetchall()


def _filter(project: str, tagging: str, tags: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    where = f"WHERE project = ? {TAGGING_FILTERS[tagging]}"
    if not tags:
        return where, (project,)
    return f"{where} {TAGS_FILTER}", (project, msgspec.json.encode(tags).decode())


def new_id() -> str:
    """Return a new ID as the service writes it."""
    return str(uuid.uuid4())


def now() -> str:
    """Return the current time in UTC as RFC 3339."""
    return datetime.now(UTC).isoformat()
