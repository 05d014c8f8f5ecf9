"""Upload a dataset to a project: images, tags and regions, then read the project and compare."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from regionbatch.customvision.journal import Journal, fingerprint_dataset
from regionbatch.customvision.plan import Plan, UploadOptions, make_plan
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.customvision.regions import RegionOutcome
from regionbatch.customvision.session import ProjectSession
from regionbatch.customvision.upload_run import IN_FLIGHT, UploadRun
from regionbatch.findings import FindingLog
from regionbatch.limits import get_tier
from regionbatch.names.renames import normalise_renames
from regionbatch.names.uuids import checked_project
from regionbatch.reading import raise_if_strict

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from regionbatch.batching import Batches
    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.verify import Verification
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Progress
    from regionbatch.names.tables import Ids


@dataclass(frozen=True, kw_only=True)
class UploadResult:
    """What an upload did: sent = created + duplicated + exceeded + failed.

    Example:
        >>> from regionbatch.local import LocalService
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> with LocalService() as service:
        ...     project_id = service.create_project("traffic")
        ...     with rb.TrainingClient(service.endpoint, service.key) as client:
        ...         result = rb.upload(dataset, client, project_id, create_tags=True)
        >>> result.sent, result.created, result.failed, result.lost
        (12, 12, 0, 0)
    """

    plan: Plan
    """What the upload was going to do."""
    created: int
    """Regions that the service confirmed, or that the project had after they were sent."""
    duplicated: int
    """Regions that the service reported as duplicates."""
    exceeded: int
    """Regions that exceeded the limit of their image."""
    failed: int
    """Regions that the service refused, or whose image it refused."""
    already: int
    """Regions that the project had before; they were not sent."""
    new_tags: int
    """Tags that were created."""
    new_images: int
    """Images that were uploaded, or that turned out to be in the project."""
    refused_images: int
    """Images that no region can be sent to: refused, or with an ID that the project lacks."""
    calls: Mapping[str, int]
    """Calls made, by operation."""
    verification: Verification | None
    """How the project differs from the dataset; None after a dry run."""
    batches: Batches
    """What was to be sent, with the ledger of the dataset."""
    image_ids: Mapping[str, str]
    """Image IDs by name."""
    findings: Findings
    """Findings about the dataset and the upload: each region that the project lacks, and where."""

    @property
    def sent(self) -> int:
        """Regions that this run sent, or failed to send."""
        return self.created + self.duplicated + self.exceeded + self.failed

    @property
    def lost(self) -> int:
        """Regions that are missing, moved or extra in the project; 0: the upload is exact.

        After a dry run: the regions that would not be in the project.
        """
        if self.verification is None:
            return len(self.batches.regions) - self.plan.regions - self.plan.already
        found = self.verification
        return max(self.exceeded + self.failed, found.missing) + found.moved + found.extra

    def summary(self) -> dict[str, Any]:
        """Return the figures as plain values, ready for JSON.

        Example:
            >>> from regionbatch.local import LocalService
            >>> dataset = rb.read("fixtures/scene/coco")
            >>> with LocalService() as service:
            ...     project_id = service.create_project("traffic")
            ...     with rb.TrainingClient(service.endpoint, service.key) as client:
            ...         result = rb.upload(dataset, client, project_id, create_tags=True)
            >>> result.summary()["calls"]["CreateImageRegions"]
            1
        """
        return {
            "plan": self.plan.summary(),
            "sent": self.sent,
            "created": self.created,
            "duplicated": self.duplicated,
            "exceeded": self.exceeded,
            "failed": self.failed,
            "already": self.already,
            "new_tags": self.new_tags,
            "new_images": self.new_images,
            "refused_images": self.refused_images,
            "calls": dict(self.calls),
            "verification": self.verification and self.verification.summary(),
        }


def upload(  # longer than 40 lines because of its docstring
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
    rate_limiter: RateLimiter | None = None,
    in_flight: int = IN_FLIGHT,
) -> UploadResult:
    """Upload a dataset (images, tags, regions) to a project, then verify it.

    Nothing is uploaded twice: the project is read first, and only the difference is sent. With a
    journal, the same call resumes a run that was stopped or killed.

    Args:
        dataset: The dataset, as `regionbatch.read` returns it.
        client: The training resource.
        project_id: The ID of a project for object detection.
        create_tags: Create the tags that classes with boxes need and the project lacks.
        image_ids: Image IDs by name, or a file of them, as `regionbatch.batches` takes them. The
            files of other images are uploaded.
        rename: Tag names by class name, for classes whose tag has another name.
        skip_unresolved: Leave out regions whose class has no tag, or whose image has neither an ID
            nor a file.
        journal: File in which progress is recorded, to resume later; None: no file.
        tier: Pricing tier whose limits and call rate apply: F0 or S0.
        shrink: Re-encode images that are too large or in an unsupported format. Needs the extra
            `shrink`.
        dry_run: Read and plan only; write nothing, neither in the project nor in the journal.
        strict: Raise before the first write if a region or an image would be dropped, or was
            adjusted, or if a decision is doubtful.
        progress: Called with the current step, how much is done, and how much there is (0 if
            that is unknown).
        planned: Called with the plan before the first write. If it raises, nothing is written.
        notice: Called, from any thread, with a line that explains a long wait.
        rate_limiter: Decides when calls are made, instead of the tier's call rate.
        in_flight: Number of batches of regions that are sent at a time.

    Returns:
        What became of each region, and how the project differs from the dataset afterwards.

    Raises:
        ServiceError: The upload cannot continue, e.g. without access. The journal records what
            was done.
        ResolveError: Classes have no tag, or images have neither an ID nor a file.
        LimitError: The upload needs more tags or images than the tier allows.
        JournalError: The journal is in use, belongs to another project, or cannot be written.
        StrictError: See `strict`.
        OptionError: An argument cannot be used.

    Example:
        >>> from regionbatch.local import LocalService
        >>> dataset = rb.read("fixtures/scene/coco")
        >>> with LocalService() as service:
        ...     project_id = service.create_project("traffic")
        ...     with rb.TrainingClient(service.endpoint, service.key) as client:
        ...         first = rb.upload(dataset, client, project_id, create_tags=True)
        ...         again = rb.upload(dataset, client, project_id)
        >>> print(first.verification)
        12 verified, 0 missing, 0 moved, 0 extra
        >>> again.already, again.sent
        (12, 0)
    """
    limits = get_tier(tier)
    options = UploadOptions(
        create_tags=create_tags,
        image_ids=image_ids,
        rename=normalise_renames(rename),
        skip_unresolved=skip_unresolved,
        shrink=shrink,
        tier=tier,
    )
    project_id = checked_project(project_id)
    limiter = rate_limiter or RateLimiter(limits.calls_per_second)
    limiter.notice = notice or limiter.notice
    session = ProjectSession(client, project_id, limiter)
    log = FindingLog(progress)
    with Journal(journal, project_id, read_only=dry_run) as opened:
        fingerprint = fingerprint_dataset(dataset, options.rename)
        same_dataset = _check_journal(opened, fingerprint, limiter, log)
        plan = make_plan(dataset, session, opened, log, options, same_dataset=same_dataset)
        if strict:
            raise_if_strict(plan.all_findings, dataset.root)
        if planned:
            planned(plan)
        if dry_run:
            return _planned_result(plan, session)
        opened.start_run(fingerprint, plan.images.uploaded)
        run = UploadRun(dataset, session, opened, log, plan, options)
        run.write(in_flight, progress)
    verification = run.verify()
    return _result(run, plan, verification)


def _check_journal(
    journal: Journal, fingerprint: str, rate_limiter: RateLimiter, log: FindingLog
) -> bool:
    """Return whether a journal belongs to this dataset, and report if not.

    Also wait for the last call of a killed run, which the service may still be working on.
    """
    same_dataset = journal.belongs_to(fingerprint)
    if not same_dataset:
        log.note("dataset_changed", str(journal.path))
    age = journal.seconds_since_unfinished_call()
    if age is not None:
        rate_limiter.sleep(rate_limiter.lookup_delay - age)
    return same_dataset


def _planned_result(plan: Plan, session: ProjectSession) -> UploadResult:
    """Return the result of a dry run."""
    return UploadResult(
        plan=plan,
        created=0,
        duplicated=0,
        exceeded=0,
        failed=0,
        already=plan.already,
        new_tags=0,
        new_images=0,
        refused_images=len(plan.images.refused),
        calls=dict(session.calls),
        verification=None,
        batches=plan.batches,
        image_ids=plan.images.known,
        findings=plan.all_findings,
    )


def _result(run: UploadRun, plan: Plan, verification: Verification) -> UploadResult:
    run.report_losses()
    outcomes = run.outcomes
    return UploadResult(
        plan=plan,
        created=outcomes.count(RegionOutcome.CREATED),
        duplicated=outcomes.count(RegionOutcome.DUPLICATED),
        exceeded=outcomes.count(RegionOutcome.EXCEEDED),
        failed=outcomes.count(RegionOutcome.FAILED),
        already=run.already,
        new_tags=len(run.new_tags),
        new_images=len(run.uploaded),
        refused_images=len(run.refused),
        calls=dict(run.session.calls),
        verification=verification,
        batches=run.batches,
        image_ids={**plan.images.known, **run.uploaded},
        findings=run.batches.findings + run.log.findings() + verification.findings,
    )
