"""Join datasets into one, whose ledger adds up: nothing is lost without a finding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from regionbatch.argument_checks import check_type
from regionbatch.dataset import Dataset, Images, Regions
from regionbatch.dataset.columns import recoded
from regionbatch.dataset.originals import joined_originals
from regionbatch.derived import without_duplicates
from regionbatch.errors import OptionError
from regionbatch.findings import Account, FindingLog, Findings, Ledger
from regionbatch.merging import merge_images

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import PurePath

    from numpy.typing import NDArray

    from regionbatch.dataset import Originals
    from regionbatch.findings import Decision, Place
    from regionbatch.findings.finding import FindingGroup

    Codes = NDArray[np.int32]


def concat(datasets: Iterable[Dataset]) -> Dataset:
    """Join datasets into one.

    Images of the same name become one image, and classes of the same name one class. If several
    datasets have the same box, the first is kept. Findings and decisions are those of all datasets.

    Args:
        datasets: The datasets, at least one.

    Returns:
        A dataset with the regions of all datasets, in their order. Its `format` is their formats,
        joined by `+`, and its `root` is the folder that contains their roots.

    Raises:
        AmbiguousDatasetError: Two image files have the same name.
        OptionError: The list is empty, or contains something that is not a dataset.

    Example:
        >>> one, other = rb.read("fixtures/scene/coco", split="train"), rb.read(
        ...     "fixtures/scene/voc", split="val"
        ... )
        >>> print(rb.concat([one, other]).ledger)
        12 read = 12 kept + 0 adjusted + 0 dropped
    """
    joined = _checked_datasets(datasets)
    log = FindingLog()
    images, image = merge_images(_joined_images([one.images for one in joined]), log)
    tags: dict[str, int] = {}
    tag = [
        np.asarray([tags.setdefault(name, len(tags)) for name in one.tags], np.int32)
        for one in joined
    ]
    dataset = Dataset(
        "+".join(dict.fromkeys(one.format for one in joined)),
        _common_root([one.root for one in joined]),
        images,
        [*tags],
        _joined_regions(joined, image, tag),
        _joined_findings([one.findings for one in joined]),
        _joined_ledger([one.ledger for one in joined], images, log),
        _joined_decisions([one.decisions for one in joined]),
        _joined_originals(joined, image, tag),
    )
    return without_duplicates(dataset, log)


def _joined_images(tables: Sequence[Images]) -> Images:
    splits = {
        name: code for code, name in enumerate(dict.fromkeys(s for t in tables for s in t.splits))
    }
    new = [np.asarray([*(splits[name] for name in one.splits), -1], np.int32) for one in tables]
    return Images(
        [name for one in tables for name in one.names],
        np.concatenate([one.width for one in tables]),
        np.concatenate([one.height for one in tables]),
        [path for one in tables for path in one.paths],
        np.concatenate([codes[one.split] for codes, one in zip(new, tables, strict=True)]),
        [*splits],
        np.concatenate([one.exact for one in tables]),
    )


def _joined_regions(datasets: Sequence[Dataset], image: Codes, tag: Sequence[Codes]) -> Regions:
    """Return the regions of all datasets, with codes into the joined tables."""
    columns = [one.regions for one in datasets]
    first_image = np.cumsum([0, *(len(one.images) for one in datasets)])
    first_file = np.cumsum([0, *(len(one.findings.files) for one in datasets)], dtype=np.int32)
    numbers = range(len(datasets))
    return Regions(
        np.concatenate([image[first_image[n] + columns[n].image] for n in numbers]),
        np.concatenate([tag[n][columns[n].tag] for n in numbers]),
        np.concatenate([one.box.T for one in columns], axis=1).T,
        np.concatenate([first_file[n] + columns[n].file for n in numbers]),
        np.concatenate([one.where for one in columns]),
        np.concatenate([one.adjusted for one in columns]),
        _joined_places(datasets),
    )


def _joined_originals(datasets: Sequence[Dataset], image: Codes, tag: Sequence[Codes]) -> Originals:
    """Return the dropped and changed boxes of all datasets, with codes into the joined tables."""
    found: list[Originals] = []
    first_image = first_file = first_region = 0
    for one, new in zip(datasets, tag, strict=True):
        originals = one.originals
        region = originals.region
        found.append(
            replace(
                originals,
                image=image[first_image + originals.image],
                tag=recoded(originals.tag, new),
                file=originals.file + np.int32(first_file),
                region=np.where(region < 0, -1, first_region + region),
            )
        )
        first_image += len(one.images)
        first_file += len(one.findings.files)
        first_region += len(one)
    return joined_originals(found)


def _joined_findings(several: Sequence[Findings]) -> Findings:
    """Return the findings of all datasets; those about files point into one table of all files."""
    files = [name for one in several for name in one.files]
    groups: list[FindingGroup] = []
    first = 0
    for one in several:
        for group in one.groups:
            if group.table is one.files:
                file = np.asarray(group.file, np.int32) + np.int32(first)
                groups.append(replace(group, table=files, file=file))
            else:
                groups.append(group)
        first += len(one.files)
    return Findings(groups, files)


def _joined_places(datasets: Sequence[Dataset]) -> Place | tuple[Place, ...]:
    """Return what `where` counts: in all files, or in each."""
    places: list[Place] = []
    for one in datasets:
        places += one.regions.places(len(one.findings.files))
    return places[0] if len({*places}) == 1 else tuple(places)


def _joined_ledger(ledgers: Sequence[Ledger], images: Images, log: FindingLog) -> Ledger:
    of_images = [one.images for one in ledgers]
    adjusted = _added([*(one.adjusted for one in of_images), log.adjusted("image")])
    return Ledger(
        sum(one.read for one in ledgers),
        sum(one.kept for one in ledgers),
        _added([one.adjusted for one in ledgers]),
        _added([one.dropped for one in ledgers]),
        Account(
            sum(one.read for one in of_images),
            len(images),
            adjusted,
            _added([one.dropped for one in of_images]),
        ),
    )


def _added(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    added: dict[str, int] = {}
    for one in counts:
        for code, count in one.items():
            added[code] = added.get(code, 0) + count
    return added


def _joined_decisions(decisions: Sequence[Mapping[str, Decision]]) -> dict[str, Decision]:
    joined: dict[str, Decision] = {}
    for one in decisions:
        for option, decision in one.items():
            joined[option] = joined[option].joined(decision) if option in joined else decision
    return joined


def _common_root(roots: Sequence[PurePath]) -> PurePath:
    """Return the folder that contains all folders; the current one if there is none."""
    common = roots[0]
    while not all(root.is_relative_to(common) for root in roots) and common != common.parent:
        common = common.parent
    return common if all(root.is_relative_to(common) for root in roots) else Path()


def _checked_datasets(datasets: Iterable[Dataset]) -> list[Dataset]:
    advice = "Pass a list of datasets, such as those that `regionbatch.read` returned."
    # A dataset is iterable too, but it yields regions.
    found = [*datasets] if isinstance(datasets, Iterable) else [datasets]
    for one in found:
        check_type("datasets", one, Dataset, advice)
    if not found:
        raise OptionError(f"datasets: the list is empty. {advice}", option="datasets")
    return found
