"""A connection to the training API that makes single calls and checks their responses."""

from __future__ import annotations

import base64
import logging
import re
from functools import partial
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
import requests
from azure.core import PipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.policies import (
    HeadersPolicy,
    HttpLoggingPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.pipeline.transport import HttpTransport
from azure.core.rest import HttpRequest

from regionbatch import __version__
from regionbatch.argument_checks import check_type
from regionbatch.customvision.authentication import (
    authentication_policy,
    is_loopback,
    normalise_endpoint,
)
from regionbatch.customvision.http_session import limited_session, read_body
from regionbatch.customvision.refusals import NOT_JSON, refusal
from regionbatch.customvision.signed_urls import without_queries, without_secrets
from regionbatch.errors import AccessError, OptionError, TransportError, UnreachableError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

T = TypeVar("T")
CONNECT_SECONDS = 15.0
_VERSIONS = ("3.2", "3.3")
_LONGEST_SHOWN = 300
_SHORTEST_SECRET = 8
"""Length of the shortest key that is removed from messages. Azure's keys have 32 or 84 characters,
and a very short text may be part of many words."""
# azure-core also logs each error that it raises, and Python prints that if there is no handler.
logging.getLogger("azure").addHandler(logging.NullHandler())


def _as_debug(record: logging.LogRecord) -> bool:
    """Log single calls at the level DEBUG: azure-core logs four lines of INFO for each."""
    record.levelno = logging.DEBUG
    record.levelname = logging.getLevelName(logging.DEBUG)
    return _http_log.isEnabledFor(logging.DEBUG)


_http_log = logging.getLogger("regionbatch.http")
_http_log.addFilter(_as_debug)


class ServiceConnection:
    """Makes calls to one endpoint. Several threads may use it at once."""

    def __init__(
        self,
        endpoint: str,
        key: str,
        credential: TokenCredential | None,
        version: str,
        timeout: float,
        transport: HttpTransport[HttpRequest, HttpResponse] | None = None,
        session: requests.Session | None = None,
    ) -> None:
        """Check the arguments, which are those of `TrainingClient`. The first call connects."""
        _check_types(endpoint, key, credential, version, timeout, transport, session)
        self.endpoint = normalise_endpoint(endpoint)
        _check_version(version)
        self._root = f"{self.endpoint}/customvision/v{version}/training"
        key = key.strip()
        self._secrets = _spellings(key)
        self._has_key = credential is None
        # Calls to this machine must not go through a proxy that the environment names.
        is_local = is_loopback(urlsplit(self.endpoint).hostname or "")
        own_session = session or limited_session(trust_env=not is_local)
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            self.endpoint,
            policies=[
                RequestIdPolicy(),
                HeadersPolicy({"Accept": "application/json", "Accept-Encoding": "gzip"}),
                UserAgentPolicy(base_user_agent=f"regionbatch/{__version__}"),
                authentication_policy(key, credential, self.endpoint),
                HttpLoggingPolicy(_http_log),  # logs the values of harmless headers only
            ],
            connection_timeout=min(CONNECT_SECONDS, timeout),
            read_timeout=timeout,
            transport=transport,
            session=own_session,
            session_owner=session is None,
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def call(
        self,
        operation: str,
        method: str,
        path: str,
        result_type: type[T],
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
        secrets: Sequence[str] = (),
    ) -> T:
        """Make a call and return its result; see `TrainingClient` for the errors.

        Args:
            operation: The name of the call, for messages.
            method: The HTTP method.
            path: The path after that of the API.
            result_type: What the response contains.
            query: Parameters of the query.
            body: The body, as JSON.
            secrets: Texts in the body that no error may contain.
        """
        clean = partial(self.clean, secrets=secrets)
        url = f"{self._root}{path}"
        if query:  # azure-core does not encode the values of a query
            url += f"?{urlencode(query, quote_via=quote)}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = HttpRequest(method, url, headers=headers, content=body)
        response, content = self._send(operation, request, clean)
        if not 200 <= response.status_code < 300:
            raise refusal(operation, self.endpoint, response, content, clean, has_key=self._has_key)
        try:
            return msgspec.json.decode(content or b"null", type=result_type)
        except NOT_JSON as error:
            raise TransportError(
                f"{operation}: unexpected response from {self.endpoint}: '{clean(error)}'. "
                "Check the endpoint, then try again.",
                service_message="unexpected response",
                status=response.status_code,
            ) from None

    def _send(
        self, operation: str, request: HttpRequest, clean: Callable[[object], str]
    ) -> tuple[HttpResponse, bytes]:
        """Send a request and return the response with its unpacked body."""
        try:
            with self._client.send_request(request, stream=True) as response:
                encoding = response.headers.get("Content-Encoding", "")
                return response, read_body(response.iter_raw(), encoding)
        except ClientAuthenticationError as error:
            raise AccessError(
                f"{operation}: cannot get a token: '{clean(error)}'. "
                "Sign in, or check the role of the account."
            ) from None
        except (AzureError, OSError) as error:
            kind = UnreachableError if isinstance(error, ServiceRequestError) else TransportError
            reason = clean(_root_cause(error))
            raise kind(
                f"{operation}: no response from {self.endpoint}: '{reason}'. "
                "Check the endpoint and the network, then try again."
            ) from None

    def clean(self, text: object, *, secrets: Sequence[str] = ()) -> str:
        """Return a text from the service or a library on one line, without keys and signatures."""
        line = without_queries(" ".join(str(text).split()))
        return without_secrets(line, (*self._secrets, *secrets))[:_LONGEST_SHOWN]


def _spellings(key: str) -> list[str]:
    """Return a key as it may be part of a message: as it is, in a URL, and in base64."""
    if len(key) < _SHORTEST_SECRET:
        return []
    in_base64 = base64.b64encode(key.encode()).decode().rstrip("=")
    return list(dict.fromkeys([key, quote(key), quote(key, safe=""), in_base64]))


def _check_version(version: str) -> None:
    if not re.fullmatch(r"\d\.\d(-preview)?", version):
        raise OptionError(
            f"version: not a version of the training API: '{version}'. Use 3.2 or 3.3.",
            option="version",
            value=version,
            choices=_VERSIONS,
        )


def _check_types(
    endpoint: object,
    key: object,
    credential: object,
    version: object,
    timeout: object,
    transport: object,
    session: object,
) -> None:
    """Check the types of the arguments of `TrainingClient`.

    Raises:
        OptionError: An argument has a wrong type. The key is never shown.
    """
    check_type("endpoint", endpoint, str, "Copy it from the resource.")
    check_type("version", version, str, "Use 3.2 or 3.3 as text.")
    if not isinstance(key, str):
        raise OptionError("key: not text. Pass the training key as a str.", option="key")
    if not isinstance(timeout, (int, float)) or isinstance(timeout, bool) or not timeout > 0:
        raise OptionError(
            f"timeout: not a number of seconds above 0: '{timeout}'. Pass, for example, 120.",
            option="timeout",
            value=timeout,
        )
    if credential is not None and not hasattr(credential, "get_token"):
        raise OptionError(
            f"credential: not a credential: '{type(credential).__name__}'. "
            "Pass one from azure-identity, such as `DefaultAzureCredential()`.",
            option="credential",
            value=type(credential).__name__,
        )
    if transport is not None and session is not None:
        raise OptionError(
            "session: both a transport and a session were given. Use only one of them.",
            option="session",
        )
    if transport is not None:
        check_type("transport", transport, HttpTransport, "Pass a transport of azure-core.")
    if session is not None:
        check_type("session", session, requests.Session, "Pass a `requests.Session`.")


def _root_cause(error: BaseException) -> BaseException:
    """Return the error inside those that azure-core, requests and urllib3 wrap around it."""
    wrapped = (error.__cause__, getattr(error, "inner_exception", None), *error.args)
    for inner in (*wrapped, getattr(error, "reason", None)):
        if isinstance(inner, BaseException) and str(inner):
            return _root_cause(inner)
    return error
