"""A dataset whose names are looked up, and the errors of a lookup."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from helpers import Box, ids_of, write_coco
from regionbatch.errors import ResolveError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path


def dataset_of(folder: Path, *names: str, images: tuple[str, ...] = ("a.jpg",)) -> rb.Dataset:
    """Return a dataset with one box of each class on each image."""
    rows: list[Box] = [(image, name, (1, 2, 30, 4)) for image in images for name in names]
    return rb.read(write_coco(folder, rows))


def tag_ids_of(
    dataset: rb.Dataset, table: Mapping[str, str], rename: Mapping[str, str] | None = None
) -> list[str]:
    images = ids_of(dataset.images.names)
    batches = rb.batches(dataset, tag_ids=table, image_ids=images, rename=rename)
    return [entry.tag_id for entry in batches[0]]


@contextmanager
def no_id_for(option: str, *names: str) -> Iterator[None]:
    """Expect an error that lists exactly these names as missing from the ID tables."""
    with pytest.raises(ResolveError) as caught:
        yield
    assert (caught.value.option, caught.value.value) == (option, [*names])


@contextmanager
def ambiguous(option: str, value: str, *choices: str) -> Iterator[None]:
    """Expect an error that a name, or an ID, belongs to several."""
    with pytest.raises(ResolveError) as caught:
        yield
    error = caught.value
    assert (error.option, error.value, error.choices) == (option, value, choices)
