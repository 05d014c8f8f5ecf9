"""Random datasets with one defect each (`defects.py`): no wrong result has status 0.

A result is wrong if it contains a region that is not true, or lacks one without reporting it,
unless a doubt was reported, which --strict fails on. With --strict a result must not be wrong.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

import defects  # noqa: F401 - it fills the table
import pytest
from defective.scenes import Region, id_of
from defective.table import DEFECTS, make

import regionbatch
from helpers import Result, command, write_json
from regionbatch import reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from defective.writers import Draft

SEEDS = int(os.environ.get("REGIONBATCH_SEEDS", "70"))
"""Number of random datasets, so that each defect occurs at least twice."""
BLOCK = 14
"""Seeds per test."""
SIDES = ("left", "top", "width", "height")


@pytest.mark.parametrize("format", DEFECTS)
@pytest.mark.parametrize("first", range(0, SEEDS, BLOCK))
def test_no_wrong_result_has_status_0(tmp_path: Path, format: str, first: int) -> None:  # noqa: A002
    seeds = range(first, first + BLOCK)
    failures = [failure_of(tmp_path / str(seed), seed, format) for seed in seeds]
    assert not any(failures), "\n".join(filter(None, failures))


@pytest.mark.parametrize("format", DEFECTS)
def test_the_seeds_cover_every_defect(format: str) -> None:  # noqa: A002
    covered = {make(seed, format)[1].name for seed in range(SEEDS)}
    assert covered == {defect.name for defect in DEFECTS[format]}


@pytest.mark.parametrize("format", DEFECTS)
def test_a_dataset_without_a_defect_passes_strict_mode(tmp_path: Path, format: str) -> None:  # noqa: A002
    failures = [failure_of(tmp_path / str(seed), seed, format, "no defect") for seed in range(15)]
    assert not any(failures), "\n".join(filter(None, failures))


def failure_of(folder: Path, seed: int, format: str, name: str = "") -> str:  # noqa: A002
    """Read a random dataset, and return what is wrong with the result; empty if nothing is."""
    draft, defect = make(seed, format, name)
    for path, content in draft.files().items():
        (folder / "data" / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / "data" / path).write_bytes(content)
    place = f"seed {seed}, {format}, {defect.name}"
    with mock.patch.object(reading, "read", ReadOnce(reading.read)):
        trial = Trial(folder, draft)
        outcome, output = trial.outcome()
        if outcome not in defect.right:
            return f"{place}: {outcome}, not {' or '.join(sorted(defect.right))}: {output}"
        if outcome in {"error", "doubt"} and draft.remedy and not trial.is_right_with_remedy():
            return f"{place}: {' '.join(draft.remedy)} does not read it: {output}"
    return ""


class ReadOnce:
    """`read`, which reads a dataset only once with the same options: commands read it often."""

    def __init__(self, read: Callable[..., regionbatch.Dataset]) -> None:
        self.read = read
        self.results: dict[str, regionbatch.Dataset | regionbatch.RegionBatchError] = {}

    def __call__(
        self, source: object, *, progress: object = None, **options: Any
    ) -> regionbatch.Dataset:
        key = repr([str(source), {name: options[name] for name in options if options[name]}])
        if key not in self.results:
            try:
                self.results[key] = self.read(source, **options)
            except regionbatch.RegionBatchError as error:
                self.results[key] = error
        result = self.results[key]
        if isinstance(result, regionbatch.RegionBatchError):
            raise result
        return result


class Conversion(NamedTuple):
    """The result of `convert`."""

    result: Result
    regions: list[Region]
    dropped: int


class Trial:
    """A dataset in a folder, its ID files, and the results of reading it."""

    def __init__(self, folder: Path, draft: Draft) -> None:
        self.folder = folder
        self.draft = draft
        self.data = folder / "data"
        self.truth = draft.scene.truth()
        self.images = {id_of(image.path): image.path for image in draft.scene.images}
        write_json(
            folder / "images.json", {path: draft.image_id(path) for path in self.images.values()}
        )
        self.tags: list[str] = []
        self.is_doubtful = False
        with suppress(regionbatch.RegionBatchError):  # the command meets the same error
            dataset = reading.read(self.data)
            self.tags = [*dataset.tags]
            self.is_doubtful = bool(dataset.findings.doubtful())

    def outcome(self) -> tuple[str, str]:
        """Return the outcome, in the words of `defective/table.py`, and what was printed."""
        run = self.convert()
        strict = self.convert("--strict").result
        extra, missing = unmatched(run.regions, self.truth)
        output = (
            f"{run.result.stderr.strip()} {strict.stderr.strip()} "
            f"sent: {extra[:3]} missing: {missing[:3]}"
        )
        return self.classify(run, strict, extra, missing), output

    def classify(
        self, run: Conversion, strict: Result, extra: list[Region], missing: list[Region]
    ) -> str:
        """Return the outcome of a conversion with and without --strict."""
        status = run.result.status
        is_clean = not (status or extra or missing)
        if strict.status == 0 and not is_clean:
            return "wrong with --strict"
        if status not in {0, 3}:
            is_error = status == 1 and run.result.stderr.startswith("Error: ")
            return "error" if is_error else "crash"
        if self.is_doubtful:
            return "doubt"
        if extra or len(missing) > run.dropped or (missing and status == 0):
            return f"wrong with status {status}"
        if status == 3:
            return "fewer" if missing else "dropped"
        return "noted" if strict.status else "certain"

    def is_right_with_remedy(self) -> bool:
        """Return whether the result is right with the options that the draft names."""
        options = [word.format(folder=self.data) for word in self.draft.remedy]
        inspected = command("inspect", self.data, "--json", *options)
        if inspected.status not in {0, 3}:
            return False
        self.tags = [*inspected.json["classes"]]
        return unmatched(self.convert(*options).regions, self.truth) == ([], [])

    def convert(self, *options: str) -> Conversion:
        """Convert the dataset, with an ID for every tag that is read."""
        tags = write_json(
            self.folder / "tags.json", {name: self.draft.tag_id(name) for name in self.tags}
        )
        out = self.folder / "out.jsonl"
        tables: list[str | Path] = ["--tag-ids", tags, "--image-ids", self.folder / "images.json"]
        result = command(
            "convert", self.data, "-o", out, *tables, "--json", "--overwrite", *options
        )
        if result.status not in {0, 3}:
            return Conversion(result, [], 0)
        names = {id_of(name): name for name in self.tags}
        regions = []
        for line in out.read_text(encoding="utf-8").splitlines():
            for sent in json.loads(line)["regions"]:
                image = self.images.get(sent["imageId"], sent["imageId"])
                tag = names.get(sent["tagId"], sent["tagId"])
                regions.append(Region(image, tag, *(sent[side] for side in SIDES)))
        return Conversion(result, regions, sum(result.json["boxes"]["dropped"].values()))


def unmatched(regions: list[Region], truth: list[Region]) -> tuple[list[Region], list[Region]]:
    """Return the regions that were sent and are not true, and those that are true and missing."""
    missing = [*truth]
    extra = []
    for region in regions:
        for other in missing:
            if other[:2] == region[:2] and have_equal_boxes(other, region):
                missing.remove(other)
                break
        else:
            extra.append(region)
    return extra, missing


def have_equal_boxes(one: Region, other: Region) -> bool:
    return all(abs(a - b) <= 1e-6 for a, b in zip(one.box, other.box, strict=True))
