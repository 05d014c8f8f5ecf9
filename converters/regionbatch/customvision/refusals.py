"""Turn a response that is not a success into the error to raise: its kind, code and next step."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import msgspec

from regionbatch.customvision.service_types import ErrorMessage
from regionbatch.errors import AccessError, LimitError, ServiceError, TransportError

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.rest import HttpResponse

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for a body that is not the expected JSON."""

_RETRY_AFTER = re.compile(r"retry after (\d+) second", re.IGNORECASE)
_RETRY_STATUSES = (429, 503)


def refusal(
    operation: str,
    endpoint: str,
    response: HttpResponse,
    content: bytes,
    clean: Callable[[object], str],
) -> ServiceError:
    """Return the error for a response.

    Args:
        operation: The call, for the message.
        endpoint: The endpoint, for the message.
        response: The response, for its status line and headers.
        content: The unpacked body.
        clean: Makes a text fit for a message: one line, without the key.
    """
    status = response.status_code
    error = _error_message(content)
    code = clean(error.code or "")
    service_message = clean(error.message or response.reason or "")
    description = str(status)
    if code != description:  # the gateway uses the status as code
        description = f"{status} {code}".rstrip()
    if service_message:
        description += f" ({service_message})"
    if 300 <= status < 400 and (location := response.headers.get("Location", "")):
        description += f" to {clean(location)}"
    kind, advice = _kind(status, code)
    wait = 0.0
    if status in _RETRY_STATUSES:
        wait = _seconds_to_wait(response.headers.get("Retry-After", ""), service_message)
    return kind(
        f"{operation}: refused by {endpoint}: '{description}'. {advice}",
        code=code,
        service_message=service_message,
        status=status,
        retry_after=wait,
    )


def _error_message(content: bytes) -> ErrorMessage:
    try:
        outer = msgspec.json.decode(content, type=ErrorMessage)
    except NOT_JSON:
        return ErrorMessage()
    return outer.error or outer


def _kind(status: int, code: str) -> tuple[type[ServiceError], str]:
    """Return the error class of a status, and what to do about it in one sentence."""
    if status in (401, 403):
        return AccessError, "Check the key, its endpoint, and the role of the account."
    if status == 429:
        return LimitError, "Wait, or set `tier` to the tier of the resource."
    if status < 400:
        return TransportError, "Check the endpoint: another service responds there."
    if status >= 500 or status == 408:
        return TransportError, "Run it again; nothing is uploaded twice."
    if "Exceed" in code or "Limit" in code:
        return LimitError, "Check the limits of the pricing tier."
    is_unknown = status == HTTPStatus.NOT_FOUND
    return ServiceError, "Check the IDs." if is_unknown else "See the message of the service."


def _seconds_to_wait(header: str, message: str) -> float:
    """Return the seconds that the service asks to wait, in a header or a message; 0: no request."""
    if header.isdecimal():
        return float(header)
    if header:
        try:
            return _seconds_until(parsedate_to_datetime(header))
        except (ValueError, OverflowError):
            pass
    found = _RETRY_AFTER.search(message)
    return float(found[1]) if found else 0.0


def _seconds_until(moment: datetime) -> float:
    if moment.tzinfo is None:  # the zone -0000, which means UTC
        moment = moment.replace(tzinfo=UTC)
    return max(0.0, (moment - datetime.now(UTC)).total_seconds())
