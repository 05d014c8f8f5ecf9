"""A connection to the training API that makes single calls and checks their responses."""

from __future__ import annotations

import logging
import re
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from azure.core import PipelineClient
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.policies import (
    HeadersPolicy,
    HttpLoggingPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from regionbatch import __version__
from regionbatch.customvision.authentication import (
    authentication_policy,
    is_loopback,
    normalise_endpoint,
)
from regionbatch.customvision.http_session import limited_session, read_body
from regionbatch.customvision.refusals import NOT_JSON, refusal
from regionbatch.errors import AccessError, OptionError, TransportError, UnreachableError

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

T = TypeVar("T")
CONNECT_SECONDS = 15.0
_VERSIONS = ("3.2", "3.3")
_LONGEST_SHOWN = 300
# azure-core also logs what it raises as a warning, which Python prints if there is no handler.
logging.getLogger("azure").addHandler(logging.NullHandler())


class ServiceConnection:
    """Makes calls to one endpoint. Several threads may use it at once."""

    def __init__(
        self,
        endpoint: str,
        key: str,
        credential: TokenCredential | None,
        version: str,
        timeout: float,
    ) -> None:
        """Check the arguments, which are those of `TrainingClient`. The first call connects."""
        self.endpoint = normalise_endpoint(endpoint)
        if not re.fullmatch(r"\d\.\d(-preview)?", version):
            raise OptionError(
                f"version: not a version of the training API: '{version}'. Use 3.2 or 3.3.",
                option="version",
                value=version,
                choices=_VERSIONS,
            )
        self._root = f"{self.endpoint}/customvision/v{version}/training"
        self._secret = key.strip()
        # Calls to this machine must not go through a proxy that the environment names.
        is_local = is_loopback(urlsplit(self.endpoint).hostname or "")
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            self.endpoint,
            policies=[
                RequestIdPolicy(),
                HeadersPolicy({"Accept": "application/json", "Accept-Encoding": "gzip"}),
                UserAgentPolicy(base_user_agent=f"regionbatch/{__version__}"),
                authentication_policy(self._secret, credential, self.endpoint),
                HttpLoggingPolicy(),  # logs the values of harmless headers only
            ],
            connection_timeout=min(CONNECT_SECONDS, timeout),
            read_timeout=timeout,
            session=limited_session(trust_env=not is_local),
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
    ) -> T:
        """Make a call and return its result; see `TrainingClient` for the errors."""
        url = f"{self._root}{path}"
        if query:  # azure-core does not encode the values of a query
            url += f"?{urlencode(query, quote_via=quote)}"
        headers = {"Content-Type": "application/json"} if body is not None else {}
        request = HttpRequest(method, url, headers=headers, content=body)
        response, content = self._send(operation, request)
        if not 200 <= response.status_code < 300:
            raise refusal(operation, self.endpoint, response, content, self.clean)
        try:
            return msgspec.json.decode(content or b"null", type=result_type)
        except NOT_JSON as error:
            raise TransportError(
                f"{operation}: unexpected response from {self.endpoint}: '{self.clean(error)}'. "
                "Check the endpoint, then run it again.",
                service_message="unexpected response",
                status=response.status_code,
            ) from None

    def _send(self, operation: str, request: HttpRequest) -> tuple[HttpResponse, bytes]:
        """Send a request and return the response with its unpacked body."""
        try:
            with self._client.send_request(request, stream=True) as response:
                encoding = response.headers.get("Content-Encoding", "")
                return response, read_body(response.iter_raw(), encoding)
        except ClientAuthenticationError as error:
            raise AccessError(
                f"{operation}: cannot get a token: '{self.clean(error)}'. "
                "Sign in, or check the role of the account."
            ) from None
        except (AzureError, OSError) as error:
            kind = UnreachableError if isinstance(error, ServiceRequestError) else TransportError
            reason = self.clean(_root_cause(error))
            raise kind(
                f"{operation}: no response from {self.endpoint}: '{reason}'. "
                "Check the endpoint and the network, then run it again."
            ) from None

    def clean(self, text: object) -> str:
        """Return a text from the service or a library on one line, without the key."""
        line = " ".join(str(text).split())
        if self._secret:
            line = line.replace(self._secret, "***")
        return line[:_LONGEST_SHOWN]


def _root_cause(error: BaseException) -> BaseException:
    """Return the error inside those that azure-core, requests and urllib3 wrap around it."""
    wrapped = (error.__cause__, getattr(error, "inner_exception", None), *error.args)
    for inner in (*wrapped, getattr(error, "reason", None)):
        if isinstance(inner, BaseException) and str(inner):
            return _root_cause(inner)
    return error
