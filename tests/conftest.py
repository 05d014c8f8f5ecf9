"""What holds for every test."""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile("search", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("here", settings.get_profile("search"), derandomize=True)
settings.load_profile("here")
"""The same examples in every run, so that the suite says something of the change; `--hypothesis-profile search` looks
for new ones."""


collect_ignore = ["plugin_example"]
"""A package of its own; `test_plugins.py` runs its tests."""


@pytest.fixture(autouse=True)
def no_account(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the keys of whoever runs it."""
    for name in [name for name in os.environ if name.startswith("VISION_")]:
        monkeypatch.delenv(name)
