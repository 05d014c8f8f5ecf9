"""A dataset goes up: pictures, tags, regions, proof. Conducts what the other rooms do."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.batching import batches
from regionbatch.customvision.images import Uploader, report_refused
from regionbatch.customvision.journal import Journal, fingerprint
from regionbatch.customvision.plan import Plan, make_plan
from regionbatch.customvision.present import match, read_again, read_project
from regionbatch.customvision.rate import TRIES, Pace
from regionbatch.customvision.regions import Outcome, Outcomes, Sender, is_final
from regionbatch.customvision.verify import Verification, compare
from regionbatch.errors import ServiceError, TransportError
from regionbatch.findings import FindingLog
from regionbatch.ids import checked_project, table_of
from regionbatch.limits import tier_of
from regionbatch.reading import refuse_doubt
from regionbatch.renaming import tidied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from numpy.typing import NDArray

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.present import Present
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Progress
    from regionbatch.ids import Ids

IN_FLIGHT = 10
"""Batches of regions under way at a time: at 10 calls a second, an answer may take a second."""


@dataclass(frozen=True, kw_only=True)
class UploadResult:
    """What became of an upload: sent = created + duplicated + exceeded + failed."""

    plan: Plan
    created: int
    """Regions that the service confirmed, or that were found in the project after they were sent."""
    duplicated: int
    """Regions that the service said to have already."""
    exceeded: int
    """Regions that their image had no room for."""
    failed: int
    """Regions that were refused, or whose picture was."""
    already: int
    """Regions that were in the project before, or went up in an earlier run; not sent."""
    new_tags: int
    """Tags that were created."""
    new_images: int
    """Images whose picture was uploaded, or found to be there."""
    refused_images: int
    """Images that no region can be sent to: their picture was refused, or their id is not there."""
    calls: Mapping[str, int]
    """Calls made, by operation."""
    verification: Verification | None
    """How the project and the dataset differ; None after a dry run."""
    batches: Batches
    """What was to be sent, with the ledger of the dataset."""
    image_ids: Mapping[str, str]
    """Image ids by name."""
    findings: Findings
    """Those of the dataset, and what the upload adds: every region that is not in the project, with its place."""

    @property
    def sent(self) -> int:
        """Regions that this run was to send."""
        return self.created + self.duplicated + self.exceeded + self.failed

    @property
    def lost(self) -> int:
        """Regions that the project does not have, has wrong, or has too many of; of a dry run, those not to be sent."""
        if self.verification is None:
            return len(self.batches.regions) - self.plan.regions - self.plan.already
        found = self.verification
        return max(self.exceeded + self.failed, found.missing) + found.moved + found.extra

    def summary(self) -> dict[str, Any]:
        """The figures as plain values, ready for JSON."""
        names = (
            "sent",
            "created",
            "duplicated",
            "exceeded",
            "failed",
            "already",
            "new_tags",
            "new_images",
            "refused_images",
        )
        return {
            "plan": self.plan.summary(),
            **{name: getattr(self, name) for name in names},
            "calls": dict(self.calls),
            "verification": self.verification and self.verification.summary(),
        }


def upload(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    *,
    create_tags: bool = False,
    image_ids: Ids | None = None,
    rename: Mapping[str, str] | None = None,
    skip_unresolved: bool = False,
    journal: str | PathLike[str] | None = None,
    tier: str = "S0",
    shrink: bool = False,
    dry_run: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    planned: Callable[[Plan], object] | None = None,
    notice: Callable[[str], object] | None = None,
    pace: Pace | None = None,
    in_flight: int = IN_FLIGHT,
) -> UploadResult:
    """Put a dataset on a project: upload pictures, create tags, send regions, read it back and compare.

    Nothing is sent twice: the project is read first and only the difference is sent. With a journal, a run that was
    stopped or killed can be gone on with by making the same call again.

    Args:
        dataset: What `regionbatch.read` returned.
        client: The training resource.
        project_id: A project for object detection.
        create_tags: Create the tags that classes with boxes lack.
        image_ids: Image ids by name, or a file of them; pictures of images without one are uploaded.
        rename: Class names of the dataset, and what they are called in the project.
        skip_unresolved: Leave out regions whose class has no tag, or whose image has neither id nor picture.
        journal: A file that remembers what was done; None: nothing is remembered.
        tier: F0 or S0: how many images, tags and calls a second it takes.
        shrink: Encode pictures again that are too large, or of a format that is not taken. Needs Pillow.
        dry_run: Only read and plan.
        strict: Raise before the first write if a region or a picture would be dropped, or was adjusted.
        progress: Called with what is done, how much of it, and how much there is.
        planned: Called with the plan before the first write; an exception from it ends the upload there.
        notice: Called, from any thread, with a line that says why nothing happens for a while.
        pace: The rate and the clock, instead of the tier's.
        in_flight: Batches of regions under way at a time.

    Raises:
        ServiceError: Nothing can be done: no access, no answer, no such project. What was done is in the journal.
        ResolveError: Classes have no tag, or images neither id nor picture.
        LimitError: More tags or images than the tier takes.
        JournalError: Another run has the journal, it belongs to another project, or it cannot be written.
        StrictError: See `strict`.
    """
    limits, rename, project_id = tier_of(tier), tidied(rename), checked_project(project_id)
    pace = pace or Pace(limits.calls_per_second)
    pace.notice = notice or pace.notice
    report = FindingLog(progress)
    set_now = fingerprint(dataset, rename)
    with Journal(journal, project_id, read_only=dry_run) as log:
        if not (same_set := log.is_of(set_now)):
            report.note("set_changed", str(journal))
        if (age := log.unfinished()) is not None:
            pace.sleep(pace.settle - age)  # a call of the run that was killed may still be at work
        plan = make_plan(
            dataset,
            client,
            project_id,
            create_tags=create_tags,
            image_ids=image_ids,
            rename=rename,
            skip_unresolved=skip_unresolved,
            shrink=shrink,
            tier=tier,
            pace=pace,
            journal=log,
            same_set=same_set,
            report=report,
        )
        if strict:
            refuse_doubt(plan.all_findings, dataset.root)
        if planned:
            planned(plan)
        if dry_run:
            return _nothing_done(plan, pace)
        log.begin(set_now, plan.uploaded)
        uploaded, refused, there_before = _upload_pictures(dataset, client, project_id, plan, pace, log, progress)
        ids = {**plan.image_ids, **uploaded}
        wanted = batches(dataset, tag_ids=plan.tag_ids, image_ids=ids, rename=rename, skip_unresolved=skip_unresolved)
        unread = [row for row in there_before if uploaded[dataset.images.names[row]] not in plan.present.images]
        of_unread = np.flatnonzero(np.isin(wanted.regions.image, unread))
        present = read_again(client, project_id, pace, plan.present, wanted.take(of_unread))
        outcomes = Outcomes(len(wanted.regions))
        rows = _to_send(wanted, present, outcomes, refused)
        used = {wanted.tag_ids[code] for code in np.unique(wanted.regions.tag[rows]).tolist()}
        new_tags = _create_tags(client, project_id, plan, used, pace, log)
        wanted = wanted.with_tags(new_tags)
        if unread:  # whoever put the pictures there may have made the tags too
            rows = rows[match(present.codes(wanted.take(rows)), present.regions) < 0]
        already = len(outcomes.of) - len(rows) - outcomes.count(Outcome.FAILED)
        sender = Sender(client, project_id, wanted, outcomes, pace=pace, journal=log)
        sender.send(rows, most=in_flight, give_up=not already, progress=progress)
        there = read_project(client, project_id, pace, untagged=False, progress=progress)
        former = log.names()
    told = np.isin(outcomes.of, (Outcome.EXCEEDED, Outcome.FAILED))
    lacking = np.flatnonzero(~told & (match(there.codes(wanted), there.regions) < 0))
    there = read_again(client, project_id, pace, there, wanted.take(lacking))
    tag_names = {new_tags.get(id_, id_).lower(): name for name, id_ in plan.tag_ids.items()}
    verification = compare(wanted, there, dataset, ids, former=former, tag_names=tag_names, told=told)
    report_refused(dataset.images, {row: why for row, why in refused.items() if row not in plan.refused}, report)
    _report_regions(dataset, wanted, outcomes, report)
    return UploadResult(
        plan=plan,
        created=outcomes.count(Outcome.CREATED),
        duplicated=outcomes.count(Outcome.DUPLICATED),
        exceeded=outcomes.count(Outcome.EXCEEDED),
        failed=outcomes.count(Outcome.FAILED),
        already=already,
        new_tags=len(new_tags),
        new_images=len(uploaded),
        refused_images=len(refused),
        calls=dict(pace.calls),
        verification=verification,
        batches=wanted,
        image_ids={**plan.known, **uploaded},
        findings=wanted.findings + report.findings() + verification.findings,
    )


def _nothing_done(plan: Plan, pace: Pace) -> UploadResult:
    return UploadResult(
        plan=plan,
        created=0,
        duplicated=0,
        exceeded=0,
        failed=0,
        already=plan.already,
        new_tags=0,
        new_images=0,
        refused_images=len(plan.refused),
        calls=dict(pace.calls),
        verification=None,
        batches=plan.batches,
        image_ids=plan.known,
        findings=plan.all_findings,
    )


def _create_tags(
    client: TrainingClient, project_id: str, plan: Plan, used: set[str], pace: Pace, journal: Journal
) -> dict[str, str]:
    """Create the tags whose stand-ins are used; their ids by these."""
    needed = {plan.tag_ids[name]: name for name in plan.new_tags if plan.tag_ids[name] in used}
    created = {id_: _create_tag(client, project_id, name, pace, journal) for id_, name in needed.items()}
    return dict(table_of(created, "CreateTag"))


def _create_tag(client: TrainingClient, project_id: str, name: str, pace: Pace, journal: Journal) -> str:
    """Create a tag; its id. After a fault the tags are read before it is created again."""
    tries = 0
    while True:
        tries += 1
        call = journal.before("CreateTag")
        try:
            id_ = pace.call("CreateTag", partial(client.create_tag, project_id, name), repeat=False).id
        except ServiceError as error:
            if is_final(error):
                raise
            if isinstance(error, TransportError):
                pace.wait_out(error, pace.settle + pace.delay(tries))
            tags = pace.call("GetTags", partial(client.tags, project_id), repeat=True)
            id_ = next((tag.id for tag in tags if tag.name == name), "")
            if not id_ and (not isinstance(error, TransportError) or tries == TRIES):
                raise
        journal.after(call)
        if id_:
            return id_


def _upload_pictures(
    dataset: Dataset,
    client: TrainingClient,
    project_id: str,
    plan: Plan,
    pace: Pace,
    journal: Journal,
    progress: Progress | None,
) -> tuple[dict[str, str], dict[int, tuple[str, str]], set[int]]:
    """Upload what the plan says: ids by name, the images that no region can be sent to, and those that were there."""
    pictures, names = plan.pictures, dataset.images.names
    uploader = Uploader(client, project_id, dataset.images, pictures, pace=pace, journal=journal)
    uploader.upload(progress)
    uploader.remember({row: uploader.ids[twin] for row, twin in pictures.twins.items() if twin in uploader.ids})
    refused = {**plan.refused, **uploader.refused}
    refused |= {row: refused[twin] for row, twin in pictures.twins.items() if twin in refused}
    return {names[row]: id_ for row, id_ in uploader.ids.items()}, refused, uploader.there


def _to_send(
    wanted: Batches, present: Present, outcomes: Outcomes, refused: Mapping[int, tuple[str, str]]
) -> NDArray[np.int64]:
    """The regions to send: those that the project does not have, and whose picture is there."""
    waiting = match(present.codes(wanted), present.regions) < 0
    hit = np.flatnonzero(waiting & np.isin(wanted.regions.image, [*refused]))
    waiting[hit] = False
    hit = hit[np.argsort(wanted.regions.image[hit], kind="stable")]
    images, starts = np.unique(wanted.regions.image[hit], return_index=True)
    for image, rows in zip(images.tolist(), np.split(hit, starts[1:]), strict=bool(len(images))):
        outcomes.fail(rows, *refused[image])
    return np.flatnonzero(waiting)


def _report_regions(dataset: Dataset, wanted: Batches, outcomes: Outcomes, report: FindingLog) -> None:
    regions = wanted.regions
    told = [": ".join(filter(None, reason)) for reason in outcomes.reasons]
    for code, outcome in (("region_failed", Outcome.FAILED), ("region_exceeded", Outcome.EXCEEDED)):
        rows = np.flatnonzero(outcomes.of == outcome)
        reasons = [told[number] for number in outcomes.reason[rows].tolist()]
        values = [
            f"{dataset.tags[regions.tag[row]]} in {dataset.images.names[regions.image[row]]}" + (why and f" ({why})")
            for row, why in zip(rows.tolist(), reasons, strict=True)
        ]
        report.add(
            code, regions.file[rows], regions.where[rows], values, table=dataset.findings.files, place=regions.place
        )
