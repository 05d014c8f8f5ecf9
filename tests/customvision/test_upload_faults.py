"""Uploads against a service that breaks: the project ends with exactly the dataset's regions. `soak.py` does more."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import run_with_faults, write_set

import regionbatch as rb
from regionbatch.local import Fault

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> rb.Dataset:
    folder: Path = tmp_path_factory.mktemp("set")
    return rb.read(write_set(folder))


SILENT = (Fault.TIMEOUT, Fault.TIMEOUT_APPLIED)
"""Each of these takes the client's whole patience; one run of each is enough here."""


@pytest.mark.parametrize(
    ("kind", "seed"), [(kind, seed) for kind in Fault for seed in ((5,) if kind in SILENT else (3, 4, 5))]
)
def test_each_fault_alone(dataset: rb.Dataset, kind: Fault, seed: int) -> None:
    """The seed chooses what becomes of a region that is there already, and the other switches."""
    assert set(run_with_faults(dataset, seed, [kind])) <= {kind}


@pytest.mark.parametrize("seed", range(12))
def test_all_faults_mixed(dataset: rb.Dataset, seed: int) -> None:
    run_with_faults(dataset, seed)


def test_the_faults_are_met(dataset: rb.Dataset) -> None:
    """The runs above would prove nothing if nothing went wrong in them."""
    met = sum((run_with_faults(dataset, seed, [Fault.LOST, Fault.SKIPPED]).total() for seed in range(3)), 0)
    assert met >= 5
