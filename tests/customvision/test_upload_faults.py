"""Uploads to a service with faults: the project is exact at the end. `soak.py` runs more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import DEFECTS, run_with_faults, write_dataset

import regionbatch as rb
from regionbatch.local import Fault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> rb.Dataset:
    folder: Path = tmp_path_factory.mktemp("set")
    return rb.read(write_dataset(folder, images=9, boxes=25))


@pytest.mark.parametrize("kind", Fault)
def test_each_fault_alone(dataset: rb.Dataset, kind: Fault) -> None:
    """With seed 5, the service stores a region again that it has, so no mistake stays hidden."""
    assert set(run_with_faults(dataset, 5, [kind])) <= {kind}


@pytest.mark.parametrize("seed", range(8))
def test_all_faults_mixed(dataset: rb.Dataset, seed: int) -> None:
    run_with_faults(dataset, seed)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", DEFECTS)
def test_a_service_that_lags_or_changes_what_it_is_sent(
    dataset: rb.Dataset, name: str, seed: int
) -> None:
    """The clock of the service is that of the rate limiter, so no lag is waited for."""
    kinds, drawn = DEFECTS[name]
    run_with_faults(dataset, seed, kinds, drawn)


def test_the_faults_do_occur(dataset: rb.Dataset) -> None:
    """Without faults, the tests above would prove nothing."""
    met = sum(
        (run_with_faults(dataset, seed, [Fault.LOST, Fault.SKIPPED]).total() for seed in range(3)),
        0,
    )
    assert met >= 5
