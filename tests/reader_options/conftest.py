"""A folder of installed packages."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

from option_plugins import Site

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    made = Site(tmp_path / "site")
    monkeypatch.syspath_prepend(made.folder)
    yield made
    for module in made.modules:
        sys.modules.pop(module, None)
