"""The memory of fsspec as a cloud."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def cloud() -> Iterator[Any]:
    """An empty cloud, memory://."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `cloud`)")
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()
