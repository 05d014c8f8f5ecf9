"""Find out within seconds whether a server can be reached at all."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

_CONNECT_SECONDS = 5
_PAUSES = (1.0, 2.0, 0.0)
"""Seconds after each attempt that failed: a network may be gone for a moment."""
_PORTS = {"http": 80, "https": 443}


def why_unreachable(url: str) -> str:
    """Return why there is no connection to the server of a URL; empty if there is one.

    If the environment names a proxy, only the connection to the proxy is tried.
    """
    import socket  # noqa: PLC0415 - slow to load, and seldom needed

    proxy = proxy_for(url)
    parts = urlsplit(proxy or url)
    port = parts.port or _PORTS.get(parts.scheme)
    if not parts.hostname or not port:
        return ""
    reason = ""
    for pause in _PAUSES:
        try:
            socket.create_connection((parts.hostname, port), _CONNECT_SECONDS).close()
        except OSError as error:
            reason = error.strerror or str(error)
            if proxy:
                reason = f"{reason} (proxy {parts.hostname}:{port})"
            time.sleep(pause)
        else:
            return ""
    return reason


def proxy_for(url: str) -> str:
    """Return the proxy that the environment names for a URL; empty if there is none."""
    from urllib.request import getproxies, proxy_bypass  # noqa: PLC0415 - they load an HTTP client

    parts = urlsplit(url)
    proxy = getproxies().get(parts.scheme, "")
    if not proxy or proxy_bypass(parts.hostname or ""):
        return ""
    return proxy if "://" in proxy else f"http://{proxy}"
