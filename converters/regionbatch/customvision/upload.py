"""Upload a dataset to a project: images, tags and regions, then read the project and compare."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from regionbatch.argument_checks import check_callables, check_count, check_flags, check_type
from regionbatch.customvision.client import TrainingClient
from regionbatch.customvision.fingerprints import fingerprint_dataset
from regionbatch.customvision.journal import Journal
from regionbatch.customvision.journal_file import check_journal_path
from regionbatch.customvision.plan import Plan, UploadOptions, make_plan
from regionbatch.customvision.plan_regions import checked_existing
from regionbatch.customvision.projects import find_project
from regionbatch.customvision.prune import checked_prune_limit, raise_if_incomplete
from regionbatch.customvision.rate_limiter import RateLimiter
from regionbatch.customvision.regions import RegionOutcome
from regionbatch.customvision.session import ProjectSession
from regionbatch.customvision.signed_urls import signer_of
from regionbatch.customvision.upload_run import IN_FLIGHT, UploadRun
from regionbatch.dataset.dataset import check_dataset
from regionbatch.findings import FindingLog
from regionbatch.judging import raise_if_strict
from regionbatch.limits import get_tier
from regionbatch.names.renames import normalise_renames

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from regionbatch.batching import Batches
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.signed_urls import SignUrl
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Progress
    from regionbatch.names.tables import Ids
    from regionbatch.training_limits import TagTable


_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class UploadResult:
    """What an upload did: regions = already + sent + remaining.

    Of the regions that were sent: sent = created + duplicated + exceeded + failed.

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

    plan: Plan = field(repr=False)
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
    deleted: int
    """Regions that were deleted from the project."""
    unclear_calls: int
    """Writing calls without a clear response, whose effect was looked up in the project."""
    refused_images: int
    """Images that no region can be sent to: refused, or with an ID that the project lacks."""
    calls: Mapping[str, int]
    """Calls made, by operation."""
    verification: Verification | None
    """How the project differs from the dataset; None after a dry run, or if the run ended early."""
    is_dry_run: bool
    """Whether nothing was to be written."""
    batches: Batches
    """What was to be sent, with the ledger of the dataset."""
    image_ids: Mapping[str, str] = field(repr=False)
    """Image IDs by name."""
    tags: TagTable = field(repr=False)
    """Images and boxes of each tag of the project after the upload. Unlike in `plan.tags`, images
    that the project turned out to have are not counted twice."""
    findings: Findings
    """Findings about the dataset and the upload, such as each region that the project lacks."""

    @property
    def complete(self) -> bool:
        """Whether the run reached its end, where the project is compared with the dataset."""
        return self.is_dry_run or self.verification is not None

    @property
    def sent(self) -> int:
        """Regions that this run sent, or failed to send."""
        return self.created + self.duplicated + self.exceeded + self.failed

    @property
    def remaining(self) -> int:
        """Regions that were not sent, or whose outcome is unknown; 0 after a complete run."""
        return len(self.batches.regions) - self.already - self.sent

    @property
    def lost(self) -> int:
        """Regions that are missing, moved or extra in the project; 0: the upload is exact.

        After a dry run: the regions that would not be in the project. After a run that ended
        early: those that are not known to be in the project.
        """
        if self.is_dry_run:
            return len(self.batches.regions) - self.plan.regions - self.plan.already
        if self.verification is None:
            return self.remaining + self.exceeded + self.failed
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
            "complete": self.complete,
            "sent": self.sent,
            "created": self.created,
            "duplicated": self.duplicated,
            "exceeded": self.exceeded,
            "failed": self.failed,
            "already": self.already,
            "remaining": self.remaining,
            "deleted": self.deleted,
            "unclear_calls": self.unclear_calls,
            "new_tags": self.new_tags,
            "tags": self.tags.summary(),
            "new_images": self.new_images,
            "refused_images": self.refused_images,
            "calls": dict(self.calls),
            "verification": self.verification and self.verification.summary(),
        }


def upload(  # longer than 40 lines because of its arguments and docstring
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
    by_url: bool | SignUrl = False,
    existing: Literal["skip", "add"] | None = None,
    prune: bool = False,
    prune_limit: str | int = "10%",
    store_names: bool = False,
    dry_run: bool = False,
    strict: bool = False,
    progress: Progress | None = None,
    planned: Callable[[Plan], object] | None = None,
    unfinished: Callable[[UploadResult], object] | None = None,
    notice: Callable[[str], object] | None = None,
    rate_limiter: RateLimiter | None = None,
    in_flight: int = IN_FLIGHT,
) -> UploadResult:
    """Upload a dataset (images, tags, regions) to a project, then verify it.

    Nothing is stored twice: the project is read first, and only the difference is sent. With a
    journal, the same call resumes a run that was stopped or killed.

    Args:
        dataset: The dataset, as `regionbatch.read` returns it.
        client: The training resource.
        project_id: The ID of a project for object detection, or its exact name.
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
        by_url: Let Custom Vision fetch the images from cloud storage, by URLs that the storage
            signs, so that no image passes through this machine. For images elsewhere, pass a
            function that takes the path of an image and a number of seconds, and returns a URL that
            is valid for that long.
        existing: What to do if the project has a nearly equal region (same image and tag, IoU above
            0.95) that was not uploaded with this journal: `skip` or `add` the region of the
            dataset. [default: raise an error]
        prune: On the dataset's images, delete regions that the dataset does not have, if their
            tag is one of the dataset's. Implies `existing="add"`.
        prune_limit: Maximum regions to delete: a number, a percentage of the regions on the
            dataset's images, or `all`. A dry run lists all of them.
        store_names: Store the name of each image in its metadata, so that a later run finds it
            without a journal. Uploads one image per call, and needs version 3.3 of the API.
        dry_run: Read and plan only; write nothing, neither in the project nor in the journal.
        strict: Raise before the first write if a region or an image would be dropped, or was
            adjusted, if a decision is uncertain, or if a tag has too few images for training. If
            only the upload shows which images the project had, the error is raised before the first
            region is sent.
        progress: Called with the current step, how much is done, and how much there is (0 if
            that is unknown). An exception that it raises cancels the run; what was confirmed is in
            the journal.
        planned: Called with the plan before the first write. If it raises, nothing is written.
        unfinished: Called with what was done if the run ends early, before the error is raised.
        notice: Called, from any thread, with a line that explains a long wait.
        rate_limiter: Decides when calls are made, instead of the tier's call rate.
        in_flight: Number of batches of regions that are sent at a time.

    Returns:
        What became of each region, and how the project differs from the dataset afterwards.

    Raises:
        ServiceError: The upload cannot continue, e.g. without access. The journal records what
            was done.
        ResolveError: Classes have no tag, or images have neither an ID nor a file.
        LimitError: The upload needs more tags or images than the tier allows, or `prune` would
            delete more than `prune_limit`.
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
    check_dataset(dataset)
    check_type("client", client, TrainingClient, "Pass a `TrainingClient`.")
    check_flags(
        create_tags=create_tags,
        skip_unresolved=skip_unresolved,
        shrink=shrink,
        prune=prune,
        store_names=store_names,
        dry_run=dry_run,
        strict=strict,
    )
    check_callables(progress=progress, planned=planned, unfinished=unfinished, notice=notice)
    check_journal_path(journal)
    check_count("in_flight", in_flight)
    limits = get_tier(tier)
    prune_limit = checked_prune_limit(prune_limit)
    options = UploadOptions(
        create_tags=create_tags,
        image_ids=image_ids,
        rename=normalise_renames(rename),
        skip_unresolved=skip_unresolved,
        shrink=shrink,
        sign=signer_of(by_url, dataset.images, shrink=shrink),
        tier=tier,
        existing=checked_existing(existing),
        prune=prune,
        prune_limit="all" if dry_run else prune_limit,
        store_names=store_names,
        strict=strict,
    )
    if store_names:
        client.raise_without_metadata("image metadata")
    if prune:
        raise_if_incomplete(dataset, skip_unresolved=skip_unresolved)
    limiter = rate_limiter or RateLimiter(limits.calls_per_second)
    project_id = find_project(client, project_id, limiter)
    limiter.notice = notice or limiter.notice
    log = FindingLog(progress)
    with Journal(journal, project_id, read_only=dry_run) as opened:
        session = ProjectSession(client, project_id, limiter, opened)
        fingerprint = fingerprint_dataset(dataset, options.rename)
        same_dataset = _check_journal(opened, fingerprint, limiter, log)
        plan = make_plan(dataset, session, log, options, same_dataset=same_dataset)
        figures = {name: of for name, of in plan.summary().items() if name != "tags"}
        _log.info("plan: %s", figures)
        if strict:
            raise_if_strict(plan.all_findings, dataset.root)
        if planned:
            planned(plan)
        run = UploadRun(dataset, session, log, plan, options)
        if dry_run:
            return _result(run, plan, None, is_dry_run=True)
        try:
            opened.start_run(fingerprint, plan.images.uploaded)
            run.write(in_flight, progress)
            verification = run.verify()
        except BaseException:
            if unfinished:
                unfinished(_result(run, plan, None))
            raise
    result = _result(run, plan, verification)
    _log.info("uploaded: %r; verified: %s", result, verification)
    return result


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
        wait = rate_limiter.settle_seconds - age
        reason = f"the last run stopped during a call; waiting {wait:.0f} s for the call to finish"
        rate_limiter.wait(reason, wait)
    return same_dataset


def _result(
    run: UploadRun, plan: Plan, verification: Verification | None, *, is_dry_run: bool = False
) -> UploadResult:
    """Return the account of a run, which may have ended early."""
    if not is_dry_run:
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
        deleted=len(run.deleted),
        unclear_calls=run.session.unclear_calls,
        refused_images=len(run.refused),
        calls=dict(run.session.calls),
        verification=verification,
        is_dry_run=is_dry_run,
        batches=run.batches,
        image_ids={**plan.images.known, **run.uploaded},
        tags=run.training.tags,
        findings=_all_findings(run, verification),
    )


def _all_findings(run: UploadRun, verification: Verification | None) -> Findings:
    findings = run.batches.findings + run.log.findings() + run.training.findings
    return findings if verification is None else findings + verification.findings
