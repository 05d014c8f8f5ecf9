"""The table of defects, and what may come of a dataset that has one."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any, NamedTuple

from defective.scenes import drawn, random_scene
from defective.writers import Coco, Draft, Voc, Yolo

if TYPE_CHECKING:
    from collections.abc import Callable

    from defective.scenes import Box, Picture

# What may come of a dataset.
CERTAIN = frozenset({"certain"})
"""Status 0, also with --strict, and every region right."""
RIGHT = CERTAIN | {"noted"}
"""Status 0 and every region right; --strict may fail, as at boxes from shapes."""
ASK = frozenset({"error", "doubt"})
"""An error, or something doubtful, which --strict fails on: the data cannot say what is true."""
DROP = frozenset({"dropped"})
"""Status 3: exactly what is to be dropped is dropped, and the rest is right."""
FEWER = frozenset({"dropped", "fewer"})
"""Status 3: boxes are dropped, with their number, and none that is sent is wrong."""

DRAFTS: dict[str, type[Draft]] = {"coco": Coco, "voc": Voc, "yolo": Yolo}

Change = Any  # a function that changes a draft of one format; it may return what is right, where the scene decides


class Defect(NamedTuple):
    """A defect of datasets in one format."""

    change: Change
    right: frozenset[str]

    @property
    def name(self) -> str:
        """What it is called."""
        return str(self.change.__name__)


DEFECTS: dict[str, list[Defect]] = {"coco": [], "voc": [], "yolo": []}


def defect(right: frozenset[str]) -> Callable[[Change], Change]:
    """Put a function in the table, under the formats of the draft that it takes."""

    def put(change: Change) -> Change:
        annotation = change.__annotations__["draft"]
        for format, draft in DRAFTS.items():  # noqa: A001 - the option's name
            if annotation in {draft.__name__, "Draft"}:
                DEFECTS[format].append(Defect(change, right))
        return change

    return put


def make(seed: int, format: str, name: str = "") -> tuple[Draft, Defect]:  # noqa: A002 - the option's name
    """Return a random dataset with a defect: the one of that name, or one that the seed chooses; `no defect`: none."""
    rng = Random(f"{seed} {format} {name}")
    draft = DRAFTS[format](rng, random_scene(Random(seed)))
    table = DEFECTS[format]
    chosen = {one.name: one for one in table}.get(name, table[seed % len(table)])
    if name == "no defect":
        chosen = Defect(no_defect, CERTAIN)
    right = chosen.change(draft)
    return draft, chosen if right is None else Defect(chosen.change, right)


def no_defect(draft: Draft) -> None:
    """Nothing is wrong."""
    made(draft)


def made(draft: Any) -> Any:
    """Return a draft with its records made."""
    draft.make()
    return draft


def a_box(draft: Any) -> tuple[Any, Picture, Box]:
    """Make the records, and return one."""
    record: tuple[Any, Picture, Box] = draft.rng.choice(made(draft).records)
    return record


def without_sizes(draft: Any) -> None:
    """Declare no size of any image."""
    if isinstance(draft, Coco):
        for entry, _ in draft.images:
            del entry["width"], entry["height"]
    else:
        for head in draft.heads.values():
            head.size = None


def rotate_files(draft: Draft) -> None:
    """Have image files that EXIF rotates; the boxes are drawn in them as viewers show them."""
    for picture in draft.scene.pictures:
        if picture.size[0] != picture.size[1]:
            picture.extension, picture.content = ".jpg", drawn(picture.size[::-1], "JPEG", 6)
