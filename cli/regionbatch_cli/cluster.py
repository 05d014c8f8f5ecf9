"""The Dask cluster of `convert --dask`."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from regionbatch.credentials import without_credentials
from regionbatch.errors import OptionError
from regionbatch.findings import escape_unprintable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

LOCAL = "local"
"""Stands for a cluster of processes of this machine."""

_PRELOAD = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)"
"""What workers of this machine run first: Ctrl-C is for the command, which then ends them."""

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
        import logging  # noqa: PLC0415 - slow to load

        from regionbatch.process_count import available_processes  # noqa: PLC0415 - only with an extra

        processes: dict[str, Any] = {"n_workers": available_processes(), "threads_per_worker": 1}
        processes["preload"] = [_PRELOAD]
        processes["silence_logs"] = logging.ERROR  # Dask warns of each cancelled call
        # Without an address, Dask uses port 8787, and warns if another cluster has it.
        loopback = {"host": "127.0.0.1", "dashboard_address": "127.0.0.1:0"}
        with (
            _quiet_after_ctrl_c(distributed),  # also while the cluster starts or closes
            distributed.LocalCluster(**processes, **loopback) as cluster,
            distributed.Client(cluster) as client,
            _quiet_after_ctrl_c(distributed),
        ):
            yield client
        return
    with _connected(distributed, address) as client:
        yield client


@contextmanager
def _quiet_after_ctrl_c(distributed: Any) -> Iterator[None]:  # noqa: ANN401 - has no types
    """After Ctrl-C, keep Dask from printing errors, and from waiting for its cluster at exit.

    Without this, Dask waits up to 10 seconds for a cluster that was closing, or prints a traceback
    about one that was starting. The workers end with this process anyway.
    """
    try:
        yield
    except KeyboardInterrupt:
        import atexit  # noqa: PLC0415 - only after Ctrl-C
        import logging  # noqa: PLC0415 - as above

        for name in ("distributed", "tornado"):
            logging.getLogger(name).setLevel(logging.CRITICAL)
        atexit.unregister(distributed.deploy.spec.close_clusters)
        raise


def _connected(distributed: Any, address: str) -> Any:  # noqa: ANN401 - has no types
    """Return the client of a scheduler that answers."""
    import asyncio  # noqa: PLC0415 - only with an extra
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415

    async def identity() -> dict[str, Any]:
        # The client itself waits forever for a server that is not a scheduler.
        async with asyncio.timeout(_SECONDS), distributed.rpc(address) as server:
            found: dict[str, Any] = await server.identity()
            return found

    try:
        with ThreadPoolExecutor(1) as thread:  # the caller's may have an event loop
            found = thread.submit(lambda: asyncio.run(identity())).result()
        if found["type"] == "Scheduler":
            if not found["workers"]:
                shown = without_credentials(address)
                line = f"--dask: '{shown}' has no worker yet. Start one, or stop with Ctrl-C."
                click.echo(escape_unprintable(line), err=True)
            return distributed.Client(address, timeout=_SECONDS)
    except Exception:  # noqa: BLE001, S110 - each kind of address has its own
        pass
    raise OptionError(
        f"--dask: no scheduler answers at this address: '{address}'. "
        f"Start one with 'dask scheduler', or use --dask {LOCAL}.",
        option="dask",
        value=address,
    )
