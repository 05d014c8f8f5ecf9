"""The Dask cluster of `convert --dask`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

LOCAL = "local"
"""Stands for a cluster of processes of this machine."""

_SECONDS = 10
"""How long a scheduler may take to answer."""


@contextmanager
def dask_executor(address: str | None) -> Iterator[Executor | None]:
    """Provide the executor of a cluster; None without an address.

    Args:
        address: The address of a scheduler, or `local` for a cluster that ends with the block.

    Raises:
        OptionError: Dask is not installed, or no scheduler answers at the address.
    """
    if address is None:
        yield None
        return
    try:
        import distributed  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise OptionError(
            '--dask: Dask is not installed. Install it: pip install "regionbatch[dask]".',
            option="dask",
            value=address,
        ) from error
    with _client(distributed, address) as client:
        yield client.get_executor()


@contextmanager
def _client(distributed: Any, address: str) -> Iterator[Any]:  # noqa: ANN401 - has no types
    if address == LOCAL:
        from regionbatch.processes import available_processes  # noqa: PLC0415 - only with an extra

        processes: dict[str, Any] = {"n_workers": available_processes(), "threads_per_worker": 1}
        loopback = {"host": "127.0.0.1", "dashboard_address": None}
        with (
            distributed.LocalCluster(**processes, **loopback) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    try:
        client = distributed.Client(address, timeout=_SECONDS)
    except (OSError, ValueError) as error:
        raise OptionError(
            f"--dask: no scheduler answers at this address: '{address}'. "
            f"Start one with 'dask scheduler', or use --dask {LOCAL}.",
            option="dask",
            value=address,
        ) from error
    with client:
        yield client
