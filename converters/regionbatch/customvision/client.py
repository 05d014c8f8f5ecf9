"""The calls of the Custom Vision training API that an upload needs, typed. One call, one answer or one error.

Nothing is repeated here: whether a call may be repeated is decided by `rate` and `regions`, which know what it did.
"""

from __future__ import annotations

import ipaddress
import logging
import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from azure.core import PipelineClient
from azure.core.credentials import AzureKeyCredential
from azure.core.exceptions import AzureError, ClientAuthenticationError, ServiceRequestError
from azure.core.pipeline.policies import (
    AzureKeyCredentialPolicy,
    BearerTokenCredentialPolicy,
    HeadersPolicy,
    HttpLoggingPolicy,
    RequestIdPolicy,
    UserAgentPolicy,
)
from azure.core.rest import HttpRequest

from regionbatch import __version__
from regionbatch.customvision.answers import limited_session, unpacked
from regionbatch.errors import AccessError, LimitError, OptionError, ServiceError, TransportError, UnreachableError
from regionbatch.ids import checked_project as _id
from regionbatch.limits import IMAGES_PER_PAGE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from azure.core.credentials import TokenCredential
    from azure.core.rest import HttpResponse

    from regionbatch.batching import Batch

T = TypeVar("T")
SCOPE = "https://cognitiveservices.azure.com/.default"
CONNECT_SECONDS = 15.0
# azure-core warns of what it raises as well; without a handler, Python would print that.
logging.getLogger("azure").addHandler(logging.NullHandler())
_NO_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_WAIT = re.compile(r"retry after (\d+) second", re.IGNORECASE)


class _Message(msgspec.Struct, rename="camel", kw_only=True, gc=False):
    """What all answers share: camelCase on the wire. Members that are not needed here are passed over."""


class Domain(_Message):
    """A kind of model; its type says whether a project takes regions."""

    id: str
    type: str = ""


class ProjectSettings(_Message):
    """The settings of a project."""

    domain_id: str = ""


class Project(_Message):
    """A project."""

    id: str
    name: str = ""
    settings: ProjectSettings | None = None
    dr_mode_enabled: bool | None = None


class Tag(_Message):
    """A tag of a project."""

    id: str
    name: str
    type: str = "Regular"


class Region(_Message):
    """A region as an image or an answer names it; `image_id` only where it does not stand on an image."""

    tag_id: str
    left: float
    top: float
    width: float
    height: float
    image_id: str = ""
    region_id: str = ""


class Image(_Message):
    """An image; it has no name."""

    id: str
    regions: list[Region] | None = None


class Picture(_Message):
    """One picture to upload; `contents` are its bytes, base64 on the wire."""

    name: str
    contents: bytes


class UploadedImage(_Message):
    """What became of one picture; `source_url` is the name that it came with."""

    source_url: str = ""
    status: str = ""
    image: Image | None = None


class RegionsAnswer(_Message):
    """The answer of CreateImageRegions, in no order."""

    created: list[Region] | None = None
    duplicated: list[Region] | None = None
    exceeded: list[Region] | None = None


class _Upload(_Message):
    images: Sequence[Picture]


class _Uploaded(_Message):
    images: list[UploadedImage] | None = None


class _Refusal(_Message):
    """Both shapes of errors: the service's own, and the gateway's, which wraps the same in `error`."""

    code: str | int | None = None
    message: str | None = None
    error: _Refusal | None = None


class TrainingClient:
    """A Custom Vision training resource. Several threads may call it at once; it is a context manager.

    Args:
        endpoint: `https://NAME.cognitiveservices.azure.com/` or the like, with or without slash and path.
        key: The resource's training key.
        credential: An Entra credential of azure-identity instead of a key; needs a custom subdomain endpoint.
        version: Of the API: 3.2, 3.3.
        timeout: Seconds that a call waits for its answer, and for each part of it; for the whole, five times as long.

    Raises:
        OptionError: An argument cannot be used.
    """

    def __init__(
        self,
        endpoint: str,
        key: str | None = None,
        *,
        credential: TokenCredential | None = None,
        version: str = "3.2",
        timeout: float = 120.0,
    ) -> None:
        """Open nothing yet; the first call connects."""
        self.endpoint = _normalised(endpoint)
        """Without path, without slash at the end."""
        if not re.fullmatch(r"\d\.\d(-preview)?", version):
            raise OptionError(f"version: no version of the API, got {version!r}; 3.2 or 3.3 is needed")
        self._root = f"{self.endpoint}/customvision/v{version}/training"
        self._secret = (key or "").strip()
        self._client: PipelineClient[HttpRequest, HttpResponse] = PipelineClient(
            self.endpoint,
            policies=[
                RequestIdPolicy(),
                HeadersPolicy({"Accept": "application/json", "Accept-Encoding": "gzip"}),
                UserAgentPolicy(base_user_agent=f"regionbatch/{__version__}"),
                _authentication(self._secret, credential, self.endpoint),
                HttpLoggingPolicy(),  # names no header's value but harmless ones
            ],
            connection_timeout=min(CONNECT_SECONDS, timeout),
            read_timeout=timeout,
            # A proxy of the environment must not stand between this machine and itself.
            session=limited_session(trust_env=not _is_loopback(urlsplit(self.endpoint).hostname or "")),
        )

    def __repr__(self) -> str:
        """The endpoint; never the key."""
        return f"TrainingClient({self.endpoint!r})"

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: the key would be in it."""
        raise TypeError("TrainingClient: cannot be pickled or copied, for it holds a key. Make another one.")

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_error: object) -> None:
        """Close."""
        self.close()

    # The calls. Each raises AccessError (401, 403), LimitError (429 and limits), TransportError (no answer, 5xx, or an
    # answer that makes no sense: whether it was done is unknown) or ServiceError (everything else that is refused).

    def project(self, project_id: str) -> Project:
        """GetProject."""
        return self._call("GetProject", "GET", f"/projects/{_id(project_id)}", Project)

    def domains(self) -> list[Domain]:
        """GetDomains."""
        return self._call("GetDomains", "GET", "/domains", list[Domain])

    def tags(self, project_id: str) -> list[Tag]:
        """GetTags; all of them."""
        return self._call("GetTags", "GET", f"/projects/{_id(project_id)}/tags", list[Tag])

    def create_tag(self, project_id: str, name: str) -> Tag:
        """CreateTag, of type Regular: object detection refuses any other."""
        path = f"/projects/{_id(project_id)}/tags"
        what = f"CreateTag {self._clean(name)}"
        return self._call(what, "POST", path, Tag, query={"name": name, "type": "Regular"})

    def create_images(self, project_id: str, pictures: Sequence[Picture]) -> list[UploadedImage]:
        """CreateImagesFromFiles; at most 64. The answer is in no order: join on the names, stripped of quotes here."""
        body = msgspec.json.encode(_Upload(images=pictures))
        path = f"/projects/{_id(project_id)}/images/files"
        rows = self._call("CreateImagesFromFiles", "POST", path, _Uploaded, body=body).images or []
        for row in rows:
            row.status = self._clean(row.status)
            if len(row.source_url) > 1 and row.source_url[0] == row.source_url[-1] == '"':
                row.source_url = row.source_url[1:-1]
        return rows

    def tagged_images(self, project_id: str, *, skip: int = 0, take: int = IMAGES_PER_PAGE) -> list[Image]:
        """GetTaggedImages: a page of images with their regions, oldest first."""
        return self._page("GetTaggedImages", project_id, "tagged", skip, take)

    def untagged_images(self, project_id: str, *, skip: int = 0, take: int = IMAGES_PER_PAGE) -> list[Image]:
        """GetUntaggedImages: a page, oldest first."""
        return self._page("GetUntaggedImages", project_id, "untagged", skip, take)

    def images_by_id(self, project_id: str, ids: Sequence[str]) -> list[Image]:
        """GetImagesByIds: those that are there, with their regions. 64 ids keep the address short."""
        query = {"imageIds": ",".join(ids)}
        return self._call("GetImagesByIds", "GET", f"/projects/{_id(project_id)}/images/id", list[Image], query=query)

    def create_regions(self, project_id: str, batch: Batch) -> RegionsAnswer:
        """CreateImageRegions; 200, or 207 if some were not created."""
        path = f"/projects/{_id(project_id)}/images/regions"
        return self._call("CreateImageRegions", "POST", path, RegionsAnswer, body=batch.to_json())

    def delete_regions(self, project_id: str, ids: Sequence[str]) -> None:
        """DeleteImageRegions; at most 64."""
        path = f"/projects/{_id(project_id)}/images/regions"
        self._call("DeleteImageRegions", "DELETE", path, type(None), query={"regionIds": ",".join(ids)})

    def _page(self, operation: str, project_id: str, which: str, skip: int, take: int) -> list[Image]:
        query = {"take": str(take), "skip": str(skip), "orderBy": "Oldest"}
        return self._call(operation, "GET", f"/projects/{_id(project_id)}/images/{which}", list[Image], query=query)

    def _call(
        self,
        operation: str,
        method: str,
        path: str,
        answer: type[T],
        *,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> T:
        # azure-core does not encode query values.
        address = f"{self._root}{path}" + (f"?{urlencode(query, quote_via=quote)}" if query else "")
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            request = HttpRequest(method, address, headers=headers, content=body)
            with self._client.send_request(request, stream=True) as response:
                content = unpacked(response.iter_raw(), response.headers.get("Content-Encoding", ""))
        except ClientAuthenticationError as error:
            raise AccessError(
                f"{operation}: no token, got {self._clean(error)}; sign in, or check the role of the account"
            ) from None
        except (AzureError, OSError) as error:
            kind = UnreachableError if isinstance(error, ServiceRequestError) else TransportError
            raise kind(
                f"{operation}: no answer from {self.endpoint}, got {self._clean(error)}; "
                "check the endpoint and the network, and run it again"
            ) from None
        if not 200 <= response.status_code < 300:
            raise self._refusal(operation, response, content)
        try:
            return msgspec.json.decode(content or b"null", type=answer)
        except _NO_JSON as error:
            raise TransportError(
                f"{operation}: an answer that makes no sense, got {self._clean(error)}; "
                "check the endpoint, and run it again",
                said="the answer makes no sense",
                status=response.status_code,
            ) from None

    def _refusal(self, operation: str, response: HttpResponse, content: bytes) -> ServiceError:
        """The error that an answer is."""
        status = response.status_code
        try:
            outer = msgspec.json.decode(content, type=_Refusal)
        except _NO_JSON:
            outer = _Refusal()
        inner = outer.error or outer
        code, said = self._clean(inner.code or ""), self._clean(inner.message or response.reason or "")
        kind, advice = _kind(status, code)
        elsewhere = self._clean(response.headers.get("Location", "")) if 300 <= status < 400 else ""
        told = " ".join(filter(None, [str(status), code, said and f"({said})", elsewhere and f"to {elsewhere}"]))
        wait = _wait(response.headers.get("Retry-After", ""), said) if status in (429, 503) else 0.0
        message = f"{operation}: refused by {self.endpoint}, got {told}; {advice}"
        return kind(message, code=code, said=said, status=status, retry_after=wait)

    def _clean(self, text: object) -> str:
        """A text of the service or of a library on one line, without the key should it name it."""
        line = " ".join(str(text).split())
        return (line.replace(self._secret, "***") if self._secret else line)[:300]


def _kind(status: int, code: str) -> tuple[type[ServiceError], str]:
    """Which error a status is, and what to do about it."""
    if status in (401, 403):
        return AccessError, "check the key, that it belongs to this endpoint, and the role"
    if status == 429:
        return LimitError, "wait, or choose the tier that the resource has"
    if status < 400:
        return TransportError, "check the endpoint: something else than the service answers there"
    if status >= 500 or status == 408:
        return TransportError, "run it again; what is there already will not be sent twice"
    if "Exceed" in code or "Limit" in code:
        return LimitError, "see the limits of the tier"
    return ServiceError, "check the ids and the project" if status == 404 else "see the service's message"


def _wait(header: str, said: str) -> float:
    """The seconds that the service asks to wait; 0: it does not say."""
    if header.isdecimal():
        return float(header)
    if header:
        try:
            moment = parsedate_to_datetime(header)
            moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)  # as -0000 means
            return max(0.0, (moment - datetime.now(UTC)).total_seconds())
        except (ValueError, OverflowError):
            pass
    named = _WAIT.search(said)
    return float(named[1]) if named else 0.0


def _authentication(key: str, credential: TokenCredential | None, endpoint: str) -> Any:  # noqa: ANN401 - two policies
    if bool(key) == bool(credential):
        raise OptionError("TrainingClient: a key or a credential is needed, got both or none; give one of them")
    if credential is not None:
        if not endpoint.startswith("https:"):
            raise OptionError(f"endpoint: a token goes over https only, got {endpoint}; use https, or a key")
        return BearerTokenCredentialPolicy(credential, SCOPE)
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise OptionError("key: not a key, got other characters than a key has; copy it again")
    return AzureKeyCredentialPolicy(AzureKeyCredential(key), "Training-Key")


def _normalised(endpoint: str) -> str:
    text = endpoint.strip()
    try:
        parts = urlsplit(text if "://" in text else f"https://{text}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if not host or parts.scheme not in ("http", "https") or parts.username is not None:
        raise OptionError(
            f"endpoint: not an address, got {text.rpartition('@')[2]!r:.80}; as https://NAME.cognitiveservices.azure.com/"
        )
    if parts.scheme == "http" and not _is_loopback(host):
        raise OptionError(f"endpoint: http would send the key unprotected, got {host}; use https")
    where = f"[{host}]" if ":" in host else host
    prefix = re.split(r"/customvision(?:/|$)", parts.path, maxsplit=1)[0].rstrip("/")
    return f"{parts.scheme}://{where}{f':{port}' if port else ''}{prefix}"


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
