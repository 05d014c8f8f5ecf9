"""Clouds: the memory of fsspec, and the emulator of Azure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from cloud.azurite import emulator_program, running_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloud.azurite import Emulator


@pytest.fixture
def cloud() -> Iterator[Any]:
    """An empty cloud, memory://."""
    fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `cloud`)")
    found = fsspec.filesystem("memory")
    found.store.clear()
    found.pseudo_dirs[:] = [""]
    yield found
    found.store.clear()


@pytest.fixture(scope="session")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulator]:
    """Azurite. With `-n`, it is started once (see `ONE_PROCESS` in the conftest.py above)."""
    pytest.importorskip("adlfs", reason="adlfs is not installed (the extra `cloud`)")
    program = emulator_program()
    if program is None:
        pytest.skip("azurite-blob is not on PATH (node and the npm package azurite)")
    with running_emulator(program, tmp_path_factory.mktemp("azurite")) as found:
        yield found
