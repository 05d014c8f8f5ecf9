"""A training service on this machine with the API of Custom Vision, to rehearse uploads and faults.

`LocalService` is the service, `Settings` configures it, and `Faults` makes calls fail on purpose.
`run_service` serves in the foreground. Both need the extra `local`; the other names do not.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from regionbatch.local.faults import Fault, Faults
from regionbatch.local.settings import TIERS, Limits, Settings

if TYPE_CHECKING:
    from regionbatch.local.server import LocalService, run_service

__all__ = ["TIERS", "Fault", "Faults", "Limits", "LocalService", "Settings", "run_service"]


def __getattr__(name: str) -> object:
    """Import the server, with Starlette and uvicorn, only when it is used."""
    if name in ("LocalService", "run_service"):
        return getattr(import_module("regionbatch.local.server"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
