"""`kill -9` at a random moment of an upload, then the same upload again."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from customvision.rehearsal import (
    SIZE,
    Clock,
    expected_regions,
    rehearsal,
    settings_of,
    stored_regions,
    write_dataset,
    write_image,
)

import regionbatch
from helpers import environment
from regionbatch.local import Settings

if TYPE_CHECKING:
    from regionbatch import Dataset
    from regionbatch.local import LocalService

CHILD = Path(__file__).with_name("upload_child.py")
WRITES = ("CreateTag", "CreateImagesFromFiles", "CreateImageRegions")
"""The calls that change a project, in the order of an upload."""


def run_child(arguments: list[str], kill_after: float | None = None) -> dict[str, Any] | None:
    """Run the upload; return what it printed at the end, or None if it was killed."""
    with subprocess.Popen(
        [sys.executable, CHILD, *arguments],
        env=environment(),
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "start\n"
        if kill_after is not None:
            time.sleep(kill_after)  # a random moment of the run
            process.kill()
        output = process.stdout.read()
    return json.loads(output) if output else None


def killed_once(
    dataset: Dataset, folder: Path, seed: int, longest: float
) -> tuple[float, dict[str, int]]:
    """Kill an upload at random moments, then finish it; return the first moment and its writes."""
    rng = random.Random(seed)
    settings, _ = settings_of(seed)
    settings = Settings(on_existing=settings.on_existing, latency=0.02, seed=seed)
    with rehearsal(settings) as (service, project, _), tempfile.TemporaryDirectory() as journals:
        journal = Path(journals) / "journal.sqlite"
        arguments = [str(folder), service.endpoint, service.key, project, str(journal)]
        moments = [rng.uniform(0, longest) for _ in range(rng.choice([1, 1, 2, 3]))]
        run_child(arguments, moments[0])
        written = {name: service.calls[name] for name in WRITES}
        for moment in moments[1:]:
            run_child(arguments, moment)
        last = run_child(arguments)
        assert last is not None
        assert last["verification"] == f"{len(dataset)} verified, 0 missing, 0 moved, 0 extra"
        check_exact(dataset, service, project, journal)
        before = {name: service.calls[name] for name in WRITES}
        again = run_child(arguments)
        assert again is not None
        assert again["sent"] == 0
        assert {name: service.calls[name] for name in WRITES} == before, (
            "a finished upload sent something again"
        )
        return moments[0], written


def check_exact(dataset: Dataset, service: LocalService, project: str, journal: Path) -> None:
    """Check that the service has exactly the regions of the dataset."""
    with regionbatch.TrainingClient(service.endpoint, service.key) as client:
        limiter = Clock().rate_limiter()
        result = regionbatch.upload(
            dataset, client, project, journal=journal, dry_run=True, rate_limiter=limiter
        )
    stored, wanted = stored_regions(service, project), expected_regions(dataset, result)
    assert (wanted - stored).total() == 0, "regions were lost"
    assert (stored - wanted).total() == 0, "regions were sent twice"


def edit(folder: Path, rng: random.Random) -> None:
    """Move, delete and add boxes of a COCO dataset, and replace one of its images."""
    path = folder / "annotations.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    kept = []
    for annotation in content["annotations"]:
        draw = rng.random()
        if draw < 0.1:
            continue
        if draw < 0.3:
            annotation["bbox"][0] = round(rng.uniform(0, SIZE - 9), 3)
        kept.append(annotation)
        if draw > 0.9:
            box = [round(rng.uniform(0, SIZE - 9), 3) for _ in range(2)]
            more = {**annotation, "id": 10_000 + annotation["id"], "bbox": [*box, 3, 5]}
            kept.append(more)
    content["annotations"] = kept
    path.write_text(json.dumps(content), encoding="utf-8")
    write_image(folder / "00001.png", (SIZE, SIZE), colour=rng.randrange(10_000, 60_000))


def edited_and_killed(seed: int) -> tuple[str, int, int]:
    """Upload, edit the dataset, and kill the upload that follows; return where it was killed."""
    rng = random.Random(seed)
    settings, _ = settings_of(seed)
    settings = Settings(on_existing=settings.on_existing, latency=0.02, seed=seed)
    with rehearsal(settings) as (service, project, _), tempfile.TemporaryDirectory() as name:
        folder = write_dataset(Path(name) / "set", images=20, boxes=100)
        journal = Path(name) / "journal.sqlite"
        arguments = [str(folder), service.endpoint, service.key, project, str(journal)]
        first = run_child(arguments)
        assert first is not None
        edit(folder, rng)
        before = service.calls.copy()
        for _ in range(rng.choice([1, 1, 2, 3])):
            run_child(arguments, rng.uniform(0, float(first["seconds"])))
        written = service.calls - before
        stages = [name for name in (*WRITES, "DeleteImageRegions") if written[name]]
        dataset = regionbatch.read(folder)
        last = run_child(arguments)
        assert last is not None
        assert last["verification"] == f"{len(dataset)} verified, 0 missing, 0 moved, 0 extra"
        check_exact(dataset, service, project, journal)
        again = run_child(arguments)
        assert again is not None
        assert (again["sent"], again["deleted"]) == (0, 0)
        return (stages or ["before any write"])[-1], int(last["sent"]), int(last["deleted"])


def soak_pruning(times: int) -> None:
    stages: Counter[str] = Counter()
    for seed in range(times):
        stage, sent, deleted = edited_and_killed(seed)
        stages[stage] += 1
        print(f"killed after {stage}; then {sent} sent, {deleted} deleted: in step", flush=True)
    print(f"{times} runs; last write before the last kill: {dict(stages)}")


def soak_kills(times: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write_dataset(Path(name), images=48, boxes=120)
        dataset = regionbatch.read(folder)
        longest = undisturbed_seconds(folder)
        print(f"{len(dataset)} regions; a run takes {longest:.2f} s")
        stages: Counter[str] = Counter()
        for seed in range(times):
            moment, written = killed_once(dataset, folder, seed, longest)
            stage = next((name for name in reversed(WRITES) if written[name]), "before any write")
            stages[stage] += 1
            print(
                f"killed after {moment:.3f} s, {written}: nothing lost, nothing twice", flush=True
            )
        print(f"{times} runs; last write before the first kill: {dict(stages)}")


def undisturbed_seconds(folder: Path) -> float:
    """Return the duration in seconds of a run that is not killed."""
    with (
        rehearsal(Settings(latency=0.02)) as (service, project, _),
        tempfile.TemporaryDirectory() as journals,
    ):
        last = run_child(
            [
                str(folder),
                service.endpoint,
                service.key,
                project,
                str(Path(journals) / "journal.sqlite"),
            ]
        )
        assert last is not None
        return float(last["seconds"])
