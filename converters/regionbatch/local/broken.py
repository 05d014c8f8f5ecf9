"""Answers that break: what each fault looks like to the caller."""

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

LINGER_NONE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
"""SO_LINGER on, 0 seconds: closing the socket sends a reset."""


def too_many(seconds: int) -> RefusedError:
    """Word the gateway's 429; the message ends as the real one does."""
    message = f"The call rate limit of the pricing tier is exceeded. Please retry after {seconds} second(s)"
    return RefusedError(429, "429", message, gateway=True)


def before(fault: Fault | None, faults: Faults) -> Response | None:
    """Answer in place of the work, or raise the refusal; None: the work goes ahead."""
    match fault:
        case Fault.THROTTLED:
            raise too_many(faults.retry_seconds)
        case Fault.ERROR_500 | Fault.ERROR_503:
            raise _server_error(fault)
        case Fault.TIMEOUT:
            return Silence(faults.hold)
    return None


async def after(fault: Fault | None, faults: Faults, answer: Response) -> Response:
    """Spoil the good answer, or raise a refusal, after the work."""
    body = bytes(answer.body)
    match fault:
        case Fault.ERROR_500_APPLIED | Fault.ERROR_503_APPLIED:
            raise _server_error(fault)
        case Fault.TIMEOUT_APPLIED | Fault.LOST:
            return Silence(0 if fault is Fault.LOST else faults.hold)
        case Fault.RESET:
            return HalfAnswer(body, answer.status_code, media_type="application/json")
        case Fault.SLOW:
            await asyncio.sleep(faults.slow)
        case Fault.TRUNCATED:
            return Response(body[: len(body) // 2], answer.status_code, media_type="application/json")
        case Fault.NOT_JSON:
            return PlainTextResponse("OK")
        case Fault.GATEWAY_PAGE:
            return HTMLResponse("<html><body><h1>502 Bad Gateway</h1></body></html>", 502)
    return answer


def _server_error(fault: Fault) -> RefusedError:
    """500 comes from the service, 503 from the gateway before it."""
    if fault in (Fault.ERROR_500, Fault.ERROR_500_APPLIED):
        return RefusedError(500, "ErrorUnknown", "An unexpected error has occurred")
    return RefusedError(503, "503", "The service is temporarily unavailable", gateway=True)


class Silence(Response):
    """No answer at all: the connection is held, then closed."""

    def __init__(self, seconds: float) -> None:
        """Hold for so many seconds, or until the caller gives up."""
        super().__init__()
        self.seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's signature
        """Send nothing."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(_gone(receive), self.seconds)
        await _abort(scope, receive)


class HalfAnswer(Response):
    """An answer whose headers promise more than comes before the connection is reset."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers and half of the body."""
        half = self.body[: len(self.body) // 2]
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        await send({"type": "http.response.body", "body": half, "more_body": True})
        transport_socket = scope["state"]["transport"].get_extra_info("socket")
        transport_socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER_NONE)
        await _abort(scope, receive)


async def _abort(scope: Scope, receive: Receive) -> None:
    scope["state"]["transport"].abort()
    await _gone(receive)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
