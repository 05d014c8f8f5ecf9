"""Make new datasets from a dataset: with fewer regions or other class names, or parts of it.

Nothing is lost without a finding: the ledger of each new dataset adds up.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from regionbatch.argument_checks import check_count, check_type
from regionbatch.boxes import first_of_equal
from regionbatch.cleaning import count_adjusted, count_by, report_full_images
from regionbatch.dataset import Dataset, Images, Originals, Regions, normalise_label
from regionbatch.dataset.columns import recoded
from regionbatch.errors import OptionError
from regionbatch.findings import Account, FindingLog
from regionbatch.findings.finding import SameText
from regionbatch.findings.text import as_text, quoted
from regionbatch.names.renames import normalise_renames
from regionbatch.names.resolve import check_renames
from regionbatch.resolved_regions import ledger_after, report_dropped
from regionbatch.similar import report_similar

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Codes = NDArray[np.int32]
    Mask = NDArray[np.bool_]

_COLUMNS = ("split", "tag", "image", "file")


def keep_regions(dataset: Dataset, mask: Any, reason: str) -> Dataset:  # noqa: ANN401 - any array
    """Return a dataset with some of the regions; see `Dataset.where`."""
    check_type("reason", reason, str, "Say in a few words why boxes are left out.")
    kept = _checked_mask(mask, len(dataset))
    log = FindingLog()
    _leave_out(dataset, ~kept, reason, log)
    return _with_findings(_without(dataset, kept, "left_out"), log)


def rename_tags(dataset: Dataset, names: Mapping[str, str]) -> Dataset:
    """Return a dataset with other class names; see `Dataset.rename`."""
    renames = _checked_names(names)
    check_renames(renames, dataset.tags)
    log = FindingLog()
    codes: dict[str, int] = {}
    new = np.zeros(len(dataset.tags), np.int32)
    for code, tag in enumerate(dataset.tags):
        name = renames.get(tag, tag)
        if name != tag:
            log.note("mapped", tag, name)
        new[code] = codes.setdefault(name, len(codes))
    regions = replace(dataset.regions, tag=new[dataset.regions.tag])
    originals = replace(dataset.originals, tag=recoded(dataset.originals.tag, new))
    renamed = replace(dataset, tags=[*codes], regions=regions, originals=originals)
    intended = [name for name, wanted in renames.items() if name == wanted]
    return without_duplicates(renamed, log, intended)


def split_evenly(dataset: Dataset, count: int) -> list[Dataset]:
    """Return parts with about equally many images; see `Dataset.split_by`."""
    check_count("by", count)
    numbers = np.arange(len(dataset.images)) * count // max(len(dataset.images), 1)
    return [
        _part(dataset, numbers == number, f"not in part {number + 1} of {count}")
        for number in range(count)
    ]


def split_by_column(dataset: Dataset, by: str | Iterable[Any]) -> dict[Any, Dataset]:
    """Return a part for each value of a column; see `Dataset.split_by`."""
    if isinstance(by, str) and by == "split":
        of_image = dataset.images.split_names()
        values = np.asarray(of_image, object)
        return {
            value: _part(dataset, values == value, f"not in the split '{value}'")
            for value in dict.fromkeys(of_image)
        }
    names, codes = _column(dataset, by)
    parts: dict[Any, Dataset] = {}
    for code, name in enumerate(names):
        kept = codes == code
        if kept.any():
            has_region = np.bincount(dataset.regions.image[kept], minlength=len(dataset.images)) > 0
            parts[name] = _part(dataset, has_region, f"not in the part '{name}'", kept)
    return parts


def _column(dataset: Dataset, by: str | Iterable[Any]) -> tuple[Sequence[Any], NDArray[Any]]:
    """Return the values of a column, and the code of each region's value."""
    regions = dataset.regions
    if isinstance(by, str):
        columns: dict[str, tuple[Sequence[str], Codes]] = {
            "tag": (dataset.tags, regions.tag),
            "image": (dataset.images.names, regions.image),
            "file": (dataset.findings.files, regions.file),
        }
        if by in columns:
            return columns[by]
    elif isinstance(by, Iterable):
        values = [*by] if not hasattr(by, "tolist") else by.tolist()
        if len(values) == len(regions):
            distinct = {value: code for code, value in enumerate(dict.fromkeys(values))}
            return [*distinct], np.asarray([distinct[value] for value in values], np.int64)
    raise OptionError(
        f"by: neither a number nor a column: {quoted(as_text(by))}. "
        f"Use one of: {', '.join(_COLUMNS)}; or pass a value for each region.",
        option="by",
        value=by,
        choices=_COLUMNS,
    )


def _part(
    dataset: Dataset, has_image: Mask, reason: str, has_region: Mask | None = None
) -> Dataset:
    """Return a dataset with some of the images, and their regions."""
    kept = has_image[dataset.regions.image]
    if has_region is not None:
        kept &= has_region
    log = FindingLog()
    _leave_out(dataset, ~kept, reason, log)
    lost = np.flatnonzero(~has_image)
    log.add(
        "image_left_out", lost.astype(np.int32), value=SameText(reason), table=dataset.images.names
    )
    on_images = has_image[dataset.regions.image]
    images, regions, originals = _of_images(dataset, has_image, on_images)
    before = dataset.ledger.images
    dropped = {**before.dropped}
    if len(lost):
        dropped["image_left_out"] = dropped.get("image_left_out", 0) + len(lost)
    account = Account(before.read, len(images), before.adjusted, dropped)
    ledger = replace(dataset.ledger, images=account)
    part = replace(dataset, images=images, regions=regions, originals=originals, ledger=ledger)
    return _with_findings(_without(part, kept[on_images], "left_out"), log)


def _of_images(
    dataset: Dataset, has_image: Mask, on_images: Mask
) -> tuple[Images, Regions, Originals]:
    """Return some of the images with all that is on them: regions, and boxes that were dropped."""
    number = np.cumsum(has_image, dtype=np.int32) - np.int32(1)
    regions = dataset.regions.take(on_images)
    originals = dataset.originals.take(has_image[dataset.originals.image])
    row = np.append(np.cumsum(on_images) - 1, -1)
    return (
        dataset.images.take(np.flatnonzero(has_image)),
        replace(regions, image=number[regions.image]),
        replace(originals, image=number[originals.image], region=row[originals.region]),
    )


def _without(dataset: Dataset, kept: Mask, code: str) -> Dataset:
    """Return a dataset without some of its regions; its findings and its ledger are as before."""
    regions = dataset.regions
    if kept.all():
        return dataset
    originals = dataset.originals.after_drop(regions, kept, code)
    return replace(dataset, regions=regions.take(kept), originals=originals)


def _leave_out(dataset: Dataset, lost: Mask, reason: str, log: FindingLog) -> None:
    rows = np.flatnonzero(lost)
    report_dropped("left_out", rows, dataset, log, SameText(reason))


def without_duplicates(dataset: Dataset, log: FindingLog, intended: Sequence[str] = ()) -> Dataset:
    """Return a dataset whose names were merged, without boxes that became equal."""
    regions = dataset.regions
    first = np.asarray(first_of_equal(regions.image, regions.tag, regions.box), np.bool_)
    report_dropped("duplicate", np.flatnonzero(~first), dataset, log)
    return _with_findings(_without(dataset, first, "duplicate"), log, intended)


def _with_findings(dataset: Dataset, log: FindingLog, intended: Sequence[str] = ()) -> Dataset:
    """Return a dataset with more findings, and with the ledger after them."""
    regions = dataset.regions
    ledger = ledger_after(dataset.ledger, count_adjusted(regions.adjusted), log.dropped("box"))
    findings = dataset.findings + log.findings()
    # Findings that depend on the number of boxes are reported again.
    counts = FindingLog()
    report_full_images(count_by(regions.image, dataset.images), dataset.images, counts)
    of_tags = count_by(regions.tag, dataset.tags).tolist()
    report_similar(dataset.tags, of_tags, counts, {name: name for name in intended})
    findings = findings.without("over_region_limit").without("similar_tags") + counts.findings()
    return replace(dataset, findings=findings, ledger=ledger)


def _checked_mask(mask: Any, count: int) -> Mask:  # noqa: ANN401 - any array
    found = np.asarray(mask)
    if found.dtype != np.bool_ and found.shape != (0,):
        raise OptionError(
            f"mask: not an array of booleans: '{found.dtype}'. "
            "Pass a comparison of columns, such as `dataset.regions.box[:, 2] > 0.1`.",
            option="mask",
            value=str(found.dtype),
        )
    if found.shape != (count,):
        raise OptionError(
            f"mask: wrong shape: '{found.shape}'. Pass a value for each region: an array of shape "
            f"({count},).",
            option="mask",
            value=found.shape,
        )
    return found.astype(np.bool_)


def _checked_names(names: Mapping[str, str]) -> dict[str, str]:
    """Return new class names by the old ones, both normalised."""
    renames = normalise_renames(names)
    for old, new in renames.items():
        if not isinstance(new, str) or not normalise_label(new):
            raise OptionError(
                f"rename: the new name of '{old}' is not a class name: {quoted(as_text(new))}. "
                "Pass a dict of new names by old ones.",
                option="rename",
                value=new,
            )
    return {old: normalise_label(new) for old, new in renames.items()}
