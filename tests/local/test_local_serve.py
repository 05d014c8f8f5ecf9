"""The options of `serve` set what the service does; all settings and faults are documented."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from helpers import ROOT, command
from regionbatch.local import TIERS, Fault, Faults, Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    Served = Callable[..., tuple[Settings, Faults]]

OPTIONS: dict[str, tuple[list[str], object]] = {
    "limits": (["--tier", "F0"], TIERS["F0"]),
    "on_existing": (["--on-existing", "twice"], "twice"),
    "unknown_ids": (["--unknown-ids", "entry"], "entry"),
    "partial_status": (["--partial-status", "207"], 207),
    "retry_after": (["--no-retry-after"], False),
    "nulls": (["--nulls"], True),
    "omit_nulls": (["--omit-nulls"], True),
    "tag_names": (["--tag-names"], True),
    "shuffled_regions": (["--shuffled-regions"], True),
    "quoted_names": (["--quoted-names"], True),
    "source_url": (["--source-url", "encoded"], "encoded"),
    "page_size": (["--page-size", "5"], 5),
    "project_status": (["--project-status", "Importing"], "Importing"),
    "listing_lag": (["--listing-lag", "1.5"], 1.5),
    "read_lag": (["--read-lag", "6"], 6),
    "id_lag": (["--id-lag", "2"], 2),
    "stored_digits": (["--stored-digits", "5"], 5),
    "dr_mode": (["--dr-mode"], True),
    "latency": (["--latency", "0.5"], 0.5),
    "rate": (["--rate", "3"], 3),
    "key": (["--key", "secret"], "secret"),
    "seed": (["--seed", "7"], 7),
}
"""An option for each setting, and the value that it gives."""


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    """Return a function that runs `serve` with options, and returns what it would serve."""
    monkeypatch.delenv("REGIONBATCH_LOCAL_KEY", raising=False)
    found: list[tuple[Settings, Faults]] = []

    def remember(settings: Settings, *, faults: Faults, **_: Any) -> None:
        found.append((settings, faults))

    monkeypatch.setattr("regionbatch.local.run_service", remember)

    def serve(*options: str) -> tuple[Settings, Faults]:
        result = command("serve", *options)
        assert result.status == 0, result
        return found[-1]

    return serve


def test_the_defaults_are_those_of_the_library(served: Served) -> None:
    settings, faults = served()
    assert settings == Settings()
    assert faults.rate == 0


def test_every_setting_has_an_option() -> None:
    assert {field.name for field in fields(Settings)} == OPTIONS.keys()


@pytest.mark.parametrize("name", OPTIONS)
def test_an_option_changes_its_setting_and_no_other(served: Served, name: str) -> None:
    options, value = OPTIONS[name]
    settings, _ = served(*options)
    changed = {
        field.name: getattr(settings, field.name)
        for field in fields(Settings)
        if getattr(settings, field.name) != getattr(Settings(), field.name)
    }
    assert changed == {name: value}


def test_faults(served: Served) -> None:
    options = ["--fault", "504-late", "--fault", "409", "--fault-rate", "0.5", "--late", "9"]
    _, faults = served(*options, "--seed", "3")
    assert faults == Faults(rate=0.5, kinds=(Fault.ERROR_504_LATE, Fault.CONFLICT), late=9, seed=3)
    _, faults = served("--fault", "all")
    assert (faults.kinds, faults.rate) == (tuple(Fault), 0.2)
    assert command("serve", "--fault", "nothing").status == 2


@pytest.mark.parametrize("kind", Fault)
def test_every_fault_is_documented(kind: Fault) -> None:
    assert f"`{kind}`" in (ROOT / "converters/docs/rehearse-in-ci.md").read_text(encoding="utf-8")
