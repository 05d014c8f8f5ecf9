"""What each fault looks like to the caller."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
from typing import TYPE_CHECKING

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from regionbatch.local.faults import Fault, Faults
from regionbatch.local.rules import RefusedError

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

RESET_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing the socket sends a reset."""

ERROR_500 = (500, "ErrorUnknown", "An unexpected error has occurred")
ERROR_503 = (503, "503", "The service is temporarily unavailable")
CONFLICT = (409, "Conflict", "Another operation is in progress")
ERRORS_BEFORE: dict[Fault | None, tuple[int, str, str]] = {
    Fault.ERROR_500: ERROR_500,
    Fault.ERROR_503: ERROR_503,
    Fault.ERROR_504_LATE: (504, "504", "The service did not respond in time"),
    Fault.CONFLICT: CONFLICT,
}
"""Status, code and message of the faults that are errors, before the operation runs."""
ERRORS_AFTER: dict[Fault | None, tuple[int, str, str]] = {
    Fault.ERROR_500_APPLIED: ERROR_500,
    Fault.ERROR_503_APPLIED: ERROR_503,
    Fault.CONFLICT_APPLIED: CONFLICT,
    Fault.NOT_UNIQUE_APPLIED: (400, "BadRequestTagNameNotUnique", "The name is already in use"),
}
"""As above, after the operation has run."""


def rate_limit_error(seconds: int) -> RefusedError:
    """Return the gateway's 429; the end of the message is that of the real service."""
    message = (
        "The call rate limit of the pricing tier is exceeded. "
        f"Please retry after {seconds} second(s)"
    )
    return RefusedError(429, "429", message, gateway=True)


def replace_response(fault: Fault | None, faults: Faults) -> Response | None:
    """Return the response of a fault before the operation runs; None: the operation runs.

    Raises:
        RefusedError: The fault is an error of the service.
    """
    if fault is Fault.THROTTLED:
        raise rate_limit_error(faults.retry_seconds)
    if fault in (Fault.TIMEOUT, Fault.TIMEOUT_LATE):
        return NoResponse(faults.hold)
    if fault in ERRORS_BEFORE:
        raise _error(*ERRORS_BEFORE[fault])
    return None


async def damage_response(  # noqa: PLR0911 - one per fault
    fault: Fault | None, faults: Faults, response: Response
) -> Response:
    """Return what a fault leaves of the response of an operation that has run.

    Raises:
        RefusedError: The fault is an error of the service.
    """
    body = bytes(response.body)
    if fault in ERRORS_AFTER:
        raise _error(*ERRORS_AFTER[fault])
    match fault:
        case Fault.TIMEOUT_APPLIED:
            return NoResponse(faults.hold)
        case Fault.LOST:
            return NoResponse(0)
        case Fault.RESET:
            return HalfResponse(body, response.status_code, media_type="application/json")
        case Fault.SLOW:
            await asyncio.sleep(faults.slow)
        case Fault.TRUNCATED:
            half = body[: len(body) // 2]
            return Response(half, response.status_code, media_type="application/json")
        case Fault.NOT_JSON:
            return PlainTextResponse("OK")
        case Fault.GATEWAY_PAGE:
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
    return response


def _error(status: int, code: str, message: str) -> RefusedError:
    """Return an error. Only the gateway in front of the service has codes that are numbers."""
    return RefusedError(status, code, message, gateway=code.isdecimal())


class NoResponse(Response):
    """No response: the connection is held, then closed."""

    def __init__(self, seconds: float) -> None:
        """Hold the connection for this many seconds, or until the caller disconnects."""
        super().__init__()
        self.seconds = seconds

    async def __call__(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,  # noqa: ARG002 - ASGI's signature
    ) -> None:
        """Send nothing."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_wait_for_disconnect(receive), self.seconds)
        await _abort(scope, receive)


class HalfResponse(Response):
    """The headers and half of the body; then the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and half of the body."""
        half = self.body[: len(self.body) // 2]
        await send(
            {"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers}
        )
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport_socket = scope["state"]["transport"].get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        await _abort(scope, receive)


async def _abort(scope: Scope, receive: Receive) -> None:
    scope["state"]["transport"].abort()
    await _wait_for_disconnect(receive)


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
