"""Random datasets with a defect each, written by `defects.py`: none is read wrong with status 0.

A run is wrong if it sends a region that is not true, or leaves one out without saying so, unless it said that something
is doubtful, which --strict fails on. With --strict, there is no excuse.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, NamedTuple

import defects  # noqa: F401 - it fills the table
import pytest
from defective.scenes import Region, id_of
from defective.table import DEFECTS, make

import regionbatch
from helpers import Result, command, write_json

if TYPE_CHECKING:
    from pathlib import Path

    from defective.writers import Draft

SEEDS, BLOCK = 200, 10
SIDES = ("left", "top", "width", "height")


@pytest.mark.parametrize("format", DEFECTS)
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_no_run_is_wrong_and_has_status_0(tmp_path: Path, format: str, first: int) -> None:  # noqa: A002
    bad = [told for seed in range(first, first + BLOCK) if (told := judged(tmp_path / str(seed), seed, format))]
    assert not bad, "\n".join(bad)


@pytest.mark.parametrize("format", DEFECTS)
def test_every_defect_has_a_dataset(format: str) -> None:  # noqa: A002
    chosen = {make(seed, format)[1].name for seed in range(SEEDS)}
    assert chosen == {one.name for one in DEFECTS[format]}


@pytest.mark.parametrize("format", DEFECTS)
def test_what_has_no_defect_is_certain(tmp_path: Path, format: str) -> None:  # noqa: A002
    bad = [told for seed in range(30) if (told := judged(tmp_path / str(seed), seed, format, "no defect"))]
    assert not bad, "\n".join(bad)


def judged(folder: Path, seed: int, format: str, name: str = "") -> str:  # noqa: A002
    """Read a random dataset, and say what is not as it should be; empty: nothing."""
    draft, defect = make(seed, format, name)
    for path, content in draft.files().items():
        (folder / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / path).write_bytes(content)
    room = Room(folder, draft)
    outcome, why = room.outcome()
    place = f"seed {seed}, {format}, {defect.name}"
    if outcome not in defect.right:
        return f"{place}: {outcome}, not {' or '.join(sorted(defect.right))}: {why}"
    if outcome in {"error", "doubt"} and draft.remedy and not room.remedied():
        return f"{place}: {' '.join(draft.remedy)} does not read it: {why}"
    return ""


class Run(NamedTuple):
    """What a conversion sent, and said."""

    result: Result
    regions: list[Region]
    dropped: int


class Room:
    """A dataset in a folder, and its tables of IDs."""

    def __init__(self, folder: Path, draft: Draft) -> None:
        self.folder, self.draft = folder, draft
        self.data = folder / "data"
        self.truth = draft.scene.truth()
        self.images = {id_of(picture.path): picture.path for picture in draft.scene.pictures}
        write_json(folder / "images.json", {path: draft.image_id(path) for path in self.images.values()})
        self.tags: list[str] = []
        self.doubtful = False
        with suppress(regionbatch.RegionBatchError):  # the command will have it too
            dataset = regionbatch.read(self.data)
            self.tags = [*dataset.tags]
            self.doubtful = bool(dataset.findings.doubtful())

    def outcome(self) -> tuple[str, str]:
        """What comes of the dataset, as `defects.py` names it, and why."""
        run, strict = self.convert(), self.convert("--strict")
        status = run.result.status
        extra, missing = unmatched(run.regions, self.truth)
        why = f"{run.result.stderr.strip()} {strict.result.stderr.strip()} sent: {extra[:3]} missing: {missing[:3]}"
        if strict.result.status == 0 and (status or extra or missing):
            return "wrong with --strict", why
        if status not in {0, 3}:
            return "error" if status == 1 and run.result.stderr.startswith("Error: ") else "crash", why
        if self.doubtful:
            return "doubt", why
        if extra or (missing and (status == 0 or len(missing) > run.dropped)):
            return f"wrong with status {status}", why
        if status == 3:
            return "fewer" if missing else "dropped", why
        return "noted" if strict.result.status else "certain", why

    def remedied(self) -> bool:
        """Whether the options that the draft names make it right."""
        options = [word.format(folder=self.data) for word in self.draft.remedy]
        seen = command("inspect", self.data, "--json", *options)
        if seen.status not in {0, 3}:
            return False
        self.tags = [*seen.json["classes"]]
        return unmatched(self.convert(*options).regions, self.truth) == ([], [])

    def convert(self, *options: str) -> Run:
        """Convert the dataset, with an ID for every tag that is read."""
        tags = write_json(self.folder / "tags.json", {name: self.draft.tag_id(name) for name in self.tags})
        out = self.folder / "out.jsonl"
        tables: list[str | Path] = ["--tags", tags, "--images", self.folder / "images.json"]
        result = command("convert", self.data, "-o", out, *tables, "--json", "--overwrite", *options)
        if result.status not in {0, 3}:
            return Run(result, [], 0)
        names = {id_of(name): name for name in self.tags}
        regions = [
            Region(
                self.images.get(one["imageId"], one["imageId"]),
                names.get(one["tagId"], one["tagId"]),
                *(one[side] for side in SIDES),
            )
            for line in out.read_text(encoding="utf-8").splitlines()
            for one in json.loads(line)["regions"]
        ]
        return Run(result, regions, sum(result.json["boxes"]["dropped"].values()))


def unmatched(regions: list[Region], truth: list[Region]) -> tuple[list[Region], list[Region]]:
    """What was sent and is not true, and what is true and was not sent."""
    missing = [*truth]
    extra = []
    for region in regions:
        alike = next((one for one in missing if one[:2] == region[:2] and near(one, region)), None)
        if alike is None:
            extra.append(region)
        else:
            missing.remove(alike)
    return extra, missing


def near(one: Region, other: Region) -> bool:
    """Whether two regions are the same box."""
    return all(abs(a - b) <= 1e-6 for a, b in zip(one.box, other.box, strict=True))
