"""The table of defects, and the outcomes that are right for a dataset with each."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from defective.scenes import drawn, random_scene
from defective.writers import Coco, Draft, Voc, Yolo

if TYPE_CHECKING:
    from collections.abc import Callable

    from defective.scenes import Box, SceneImage

# The right outcomes of a dataset.
CERTAIN = frozenset({"certain"})
"""Status 0, also with --strict, and every region is correct."""
RIGHT = CERTAIN | {"noted"}
"""Status 0 and every region is correct; --strict may fail, as with boxes from polygons."""
ASK = frozenset({"error", "doubt"})
"""An error, or a doubt that --strict fails on: the dataset alone does not show what is true."""
FEWER = frozenset({"dropped", "fewer"})
"""Status 3: dropped boxes are counted, and every region that is sent is correct."""

DRAFTS: dict[str, type[Draft]] = {"coco": Coco, "voc": Voc, "yolo": Yolo}

Change = Any
"""A function that changes a draft of one format.

It may return the right outcomes if they depend on the scene."""


class Defect(NamedTuple):
    """A defect of datasets in one format."""

    change: Change
    right: frozenset[str]

    @property
    def name(self) -> str:
        """The name of the defect."""
        return str(self.change.__name__)


DEFECTS: dict[str, list[Defect]] = {"coco": [], "voc": [], "yolo": []}


def defect(right: frozenset[str]) -> Callable[[Change], Change]:
    """Add a function to the table, for the formats of the draft that it takes."""

    def add(change: Change) -> Change:
        annotation = change.__annotations__["draft"]
        for format, draft in DRAFTS.items():  # noqa: A001 - the option's name
            if annotation in {draft.__name__, "Draft"}:
                DEFECTS[format].append(Defect(change, right))
        return change

    return add


def make(seed: int, format: str, name: str = "") -> tuple[Draft, Defect]:  # noqa: A002 - the option's name
    """Return a random dataset and its defect.

    Args:
        seed: Chooses the scene, and the defect unless it is named.
        format: The format of the dataset.
        name: The name of the defect; `no defect` for none.
    """
    rng = Random(f"{seed} {format} {name}")
    draft = DRAFTS[format](rng, random_scene(Random(seed)))
    table = DEFECTS[format]
    chosen = {one.name: one for one in table}.get(name, table[seed % len(table)])
    if name == "no defect":
        chosen = Defect(no_defect, CERTAIN)
    right = chosen.change(draft)
    return draft, chosen if right is None else Defect(chosen.change, right)


def no_defect(draft: Draft) -> None:
    """The dataset has no defect."""
    with_records(draft)


def with_records(draft: Any) -> Any:
    """Make the records of a draft, and return it."""
    draft.make()
    return draft


def random_record(draft: Any) -> tuple[Any, SceneImage, Box]:
    """Make the records of a draft, and return one of them."""
    record: tuple[Any, SceneImage, Box] = draft.rng.choice(with_records(draft).records)
    return record


def without_sizes(draft: Any) -> None:
    """Remove the declared sizes of all images."""
    if isinstance(draft, Coco):
        for entry, _ in draft.images:
            del entry["width"], entry["height"]
    else:
        for header in draft.headers.values():
            header.size = None


def rotate_files(draft: Draft) -> None:
    """Use image files that EXIF rotates; the boxes fit the images as viewers show them."""
    for image in draft.scene.images:
        if image.size[0] != image.size[1]:
            image.extension, image.content = ".jpg", drawn(image.size[::-1], "JPEG", 6)
