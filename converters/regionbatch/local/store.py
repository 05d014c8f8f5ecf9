"""Store projects, tags, images and regions in SQLite. The rules are in the operations."""

from __future__ import annotations

import uuid
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import msgspec

from regionbatch.local.contract import Image, ImageRegion, ImageTag, StoredRegion, Tag
from regionbatch.local.database import Database

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

RegionKey: TypeAlias = tuple[str, str, float, float, float, float]
"""The identity of a region: image, tag, and left, top, width and height as 32-bit floats."""

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
CREATE TABLE IF NOT EXISTS image_metadata (
    image TEXT REFERENCES images (id) ON DELETE CASCADE, key TEXT, value TEXT,
    PRIMARY KEY (image, key)) WITHOUT ROWID;
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
METADATA_FILTER = (
    "AND EXISTS (SELECT 1 FROM image_metadata WHERE image = images.id AND key = ? AND value = ?)"
)
ORDERS = {"Newest": "DESC", "Oldest": "ASC"}
AT_OR_BEFORE = {"Newest": ">=", "Oldest": "<="}


class ProjectRow(NamedTuple):
    """A project as it is stored; `platforms` is separated by commas."""

    id: str
    name: str
    description: str | None
    domain: str
    classification: str | None
    platforms: str
    created: str


class Selection(NamedTuple):
    """The images of a project that a listing returns and a count counts."""

    project: str
    tagging: str = "All"
    """All, Tagged or Untagged."""
    tags: Sequence[str] = ()
    """Only images with any of these tags, if there are any."""
    metadata: tuple[str, str] | None = None
    """Only images with this key and value."""

    def sql(self) -> tuple[str, tuple[str, ...]]:
        """Return the WHERE clause and its values."""
        where = f"WHERE project = ? {TAGGING_FILTERS[self.tagging]}"
        values = [self.project]
        if self.tags:
            where += f" {TAGS_FILTER}"
            values.append(msgspec.json.encode(self.tags).decode())
        if self.metadata:
            where += f" {METADATA_FILTER}"
            values += self.metadata
        return where, tuple(values)


class Store(Database):
    """The tables. Every statement runs in a `transaction`, one per call of the service."""

    schema = SCHEMA

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
        created = f"{now()}Z"  # as recorded, only projects have the time zone
        row = ProjectRow(new_id(), name, description, domain, classification, platforms, created)
        self._write("INSERT INTO projects VALUES (?, ?, ?, ?, ?, ?, ?)", [row])
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
        self._write(
            "INSERT INTO tags VALUES (?, ?, ?, ?, ?)", [(tag, project, name, description, kind)]
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
            self._db.execute(
                "SELECT id, type FROM tags WHERE project = ? ORDER BY rowid", (project,)
            ).fetchall()
        )

    def delete_tag(self, tag: str) -> None:
        """Delete a tag with its regions."""
        self._write("DELETE FROM tags WHERE id = ?", [(tag,)])

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
        self._write(
            "INSERT INTO images (id, project, digest, width, height, created) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            [(image, project, digest, width, height, now())],
        )
        return image

    def known_images(self, project: str, images: Iterable[str]) -> set[str]:
        """Return the IDs that belong to images of the project."""
        rows = self._with_ids(
            "SELECT id FROM images WHERE id IN ({}) AND project = ?", images, project
        )
        return {row[0] for row in rows}

    def count_images(self, selection: Selection) -> int:
        """Count images."""
        where, values = selection.sql()
        statement = f"SELECT count(*) FROM images {where}"  # noqa: S608 - constants
        return int(self._db.execute(statement, values).fetchone()[0])

    def page(self, selection: Selection, *, order: str, take: int, skip: int) -> list[str]:
        """Return the IDs on a page of images, Newest or Oldest first."""
        where, values = selection.sql()
        order_by = f"ORDER BY number {ORDERS[order]} LIMIT ? OFFSET ?"
        statement = f"SELECT id FROM images {where} {order_by}"  # noqa: S608 - constants
        rows = self._db.execute(statement, (*values, take, skip))
        return [row[0] for row in rows]

    def shift_images(self, project: str, order: str, last: str) -> None:
        """Tag an image without regions, or take its tag off, so that rows after `last` shift.

        The image is one that is listed before `last`, or `last` itself. If all of them have
        regions, an image is added there.
        """
        tag = next(
            (id_ for id_, kind in self.tag_types(project).items() if kind == "Regular"), None
        )
        if tag is None:
            return
        statement = (
            "SELECT id, EXISTS (SELECT 1 FROM image_tags WHERE image = id) FROM images "  # noqa: S608
            "WHERE project = ? AND NOT EXISTS (SELECT 1 FROM regions WHERE image = images.id) "
            f"AND number {AT_OR_BEFORE[order]} (SELECT number FROM images WHERE id = ?) "
            "ORDER BY number LIMIT 1"
        )
        found = self._db.execute(statement, (project, last)).fetchone()
        image, is_tagged = found or (self._add_first_image(project, order), False)
        if is_tagged:
            self._write("DELETE FROM image_tags WHERE image = ?", [(image,)])
        else:
            self.tag_images([(image, tag)])

    def _add_first_image(self, project: str, order: str) -> str:
        """Add an image that is listed before all others of any project."""
        image = self.add_image(project, new_id().encode(), 1, 1)
        if order == "Oldest":
            statement = (
                "UPDATE images SET number = (SELECT min(number) FROM images) - 1 WHERE id = ?"
            )
            self._write(statement, [(image,)])
        return image

    def images(self, ids: Sequence[str]) -> list[Image]:
        """Return images in the order of the IDs. The newest region of each image comes first."""
        tags = self._tags_by_image(ids)
        metadata = self._metadata_by_image(ids)
        regions: dict[str, list[ImageRegion]] = defaultdict(list)
        for image_id, fields in reversed(self._regions("image IN ({})", ids)):
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
                metadata=metadata[image_id],
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

    def add_metadata(self, images: Iterable[str], metadata: Mapping[str, str]) -> None:
        """Set members of the metadata of images; the others stay."""
        self._write(
            "INSERT OR REPLACE INTO image_metadata VALUES (?, ?, ?)",
            [(image, key, value) for image in images for key, value in metadata.items()],
        )

    def _metadata_by_image(self, ids: Iterable[str]) -> dict[str, dict[str, str]]:
        metadata: dict[str, dict[str, str]] = defaultdict(dict)
        for image_id, key, value in self._with_ids(
            "SELECT image, key, value FROM image_metadata WHERE image IN ({})", ids
        ):
            metadata[image_id][key] = value
        return metadata

    def delete_images(self, project: str, images: Sequence[str] | None) -> None:
        """Delete images with their regions; None: all images."""
        if images is None:
            self._write("DELETE FROM images WHERE project = ?", [(project,)])
        else:
            self._write(
                "DELETE FROM images WHERE id = ? AND project = ?",
                [(image, project) for image in images],
            )

    # Tags and regions on images.

    def tag_images(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Add tags to images: pairs of image and tag."""
        created = now()
        self._write(
            "INSERT OR IGNORE INTO image_tags VALUES (?, ?, ?)",
            [(image, tag, created) for image, tag in pairs],
        )

    def regions_on(self, images: Iterable[str]) -> list[RegionKey]:
        """Return the regions of some images."""
        return self._with_ids(
            "SELECT image, tag, left, top, width, height FROM regions WHERE image IN ({})", images
        )

    def add_regions(self, keys: Sequence[RegionKey]) -> list[StoredRegion]:
        """Store regions; their images already have the tags."""
        created = now()
        ids = [new_id() for _ in keys]
        self._write(
            "INSERT INTO regions (id, image, tag, left, top, width, height, created) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(region, *key, created) for region, key in zip(ids, keys, strict=True)],
        )
        return self._created("regions.id IN ({})", ids)

    def regions(self, project: str) -> list[StoredRegion]:
        """Return all regions of a project."""
        rows = self._db.execute("SELECT id FROM images WHERE project = ?", (project,))
        return self._created("image IN ({})", [row[0] for row in rows])

    def _created(self, where: str, ids: Iterable[str]) -> list[StoredRegion]:
        rows = self._regions(where, ids)
        return [StoredRegion(image_id=image_id, **fields) for image_id, fields in rows]

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
        self._write("DELETE FROM regions WHERE id = ?", [(region,) for region in regions])
        self._write(
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


def new_id() -> str:
    """Return a new ID as the service writes it."""
    return str(uuid.uuid4())


def now() -> str:
    """Return the current time in UTC as the service writes it: without the time zone."""
    return datetime.now(UTC).replace(tzinfo=None).isoformat()
