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
_ACCESS_STATUSES = (401, 403)
_KEY = (
    "Copy the training key again, and the endpoint, from the training resource: keys of a "
    "prediction resource do not work, and a regenerated key replaces the earlier one."
)
_SIGN_IN = "Check that the endpoint has the name of the resource, and that you are signed in."
_NETWORK = (
    "Check the firewall of the resource: its network rules must allow the address of this machine."
)
_ROLE = "Check that the account has the role Cognitive Services Custom Vision Labeler or higher."
_ADVICE_BY_CODE = {"NotFoundProject": "Check `project_id`."}
_REASONS: tuple[tuple[tuple[str, ...], type[ServiceError], str], ...] = (
    (("quota",), LimitError, "Wait until the quota is renewed, or use another tier."),
    (("drmode",), AccessError, "Wait until the disaster recovery of the resource has ended."),
    (
        ("authenticationtypedisabled", "key based authentication", "key-based authentication"),
        AccessError,
        "The resource accepts no keys. Sign in with a `credential` instead.",
    ),
    (("firewall", "network", "public access", "private endpoint"), AccessError, _NETWORK),
    (("principal", "permission", "capability", "data action"), AccessError, _ROLE),
)
"""What to do if the code or message contains certain words, in lower case; the first match
counts."""


def refusal(
    operation: str,
    endpoint: str,
    response: HttpResponse,
    content: bytes,
    clean: Callable[[object], str],
    *,
    has_key: bool,
) -> ServiceError:
    """Return the error for a response.

    Args:
        operation: The call, for the message.
        endpoint: The endpoint, for the message.
        response: The response, for its status line and headers.
        content: The unpacked body.
        clean: Makes a text fit for a message: one line, without the key.
        has_key: Whether the call was authenticated with a key, not with a token.
    """
    status = response.status_code
    error = _error_message(content)
    code = clean(error.code or "")
    service_message = clean(error.message or response.reason or "")
    description = _description(status, code, service_message)
    if 300 <= status < 400 and (location := response.headers.get("Location", "")):
        description += f" to {clean(location)}"
    kind, advice = _kind(status, code)
    if status in _ACCESS_STATUSES:
        kind, advice = _denial(status, f"{code} {service_message}".lower(), has_key=has_key)
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


def _description(status: int, code: str, message: str) -> str:
    """Return status, code and message, without repetitions."""
    # The gateway uses the status as the code, and some proxies start the message with it.
    code = code.removeprefix(str(status)).strip()
    message = message.removeprefix(str(status)).strip()
    description = f"{status} {code}".rstrip()
    return description if message in ("", code) else f"{description} ({message})"


def _denial(status: int, reason: str, *, has_key: bool) -> tuple[type[ServiceError], str]:
    """Return the error class of a denied access, and what to do about it.

    Args:
        status: 401 or 403.
        reason: Code and message of the service, in lower case.
        has_key: Whether the call was authenticated with a key.
    """
    for words, kind, advice in _REASONS:
        if any(word in reason for word in words):
            return kind, advice
    if status == HTTPStatus.FORBIDDEN:
        return AccessError, f"{_NETWORK} {_ROLE}"
    return AccessError, _KEY if has_key else f"{_SIGN_IN} {_ROLE}"


def _kind(status: int, code: str) -> tuple[type[ServiceError], str]:
    """Return the error class of a status, and what to do about it in one sentence."""
    if status == 429:
        return LimitError, "Wait, or set `tier` to the tier of the resource."
    if status < 400:
        return TransportError, "Check the endpoint: another service responds there."
    if status == HTTPStatus.CONFLICT:
        return TransportError, "Another change of the project is under way. Try again later."
    if status >= 500 or status == HTTPStatus.REQUEST_TIMEOUT:
        return TransportError, "Try again later: nothing is stored twice."
    if "Exceed" in code or "Limit" in code:
        return LimitError, "Check the limits of the pricing tier."
    advice = "See the message of the service."
    if status == HTTPStatus.NOT_FOUND:
        advice = "Check the endpoint, `version` and the IDs."
    return ServiceError, _ADVICE_BY_CODE.get(code, advice)


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
