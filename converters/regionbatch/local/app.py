"""The service as a Starlette application: routes, keys, rate limit, latency, faults and errors."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from regionbatch.local import fault_responses
from regionbatch.local.calls import Call
from regionbatch.local.contract import CustomVisionError
from regionbatch.local.faults import LATE
from regionbatch.local.image_operations import fetched
from regionbatch.local.operations import Operations
from regionbatch.local.rules import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from regionbatch.local.calls import Result
    from regionbatch.local.faults import Faults
    from regionbatch.local.settings import Settings
    from regionbatch.local.store import Store

    Endpoint = Callable[[Request], Awaitable[Response]]
    Operation = Callable[[Operations, Call], Result]

ALLOWED_HOSTS = ("127.0.0.1", "localhost")
"""The values of the Host header that are accepted."""

PROJECT = "/projects/{projectId}"
OPERATIONS: dict[str, tuple[str, str, Operation]] = {
    "GetDomains": ("GET", "/domains", Operations.get_domains),
    "GetDomain": ("GET", "/domains/{domainId}", Operations.get_domain),
    "CreateProject": ("POST", "/projects", Operations.create_project),
    "GetProjects": ("GET", "/projects", Operations.get_projects),
    "GetProject": ("GET", PROJECT, Operations.get_project),
    "CreateTag": ("POST", f"{PROJECT}/tags", Operations.create_tag),
    "GetTags": ("GET", f"{PROJECT}/tags", Operations.get_tags),
    "GetTag": ("GET", f"{PROJECT}/tags/{{tagId}}", Operations.get_tag),
    "DeleteTag": ("DELETE", f"{PROJECT}/tags/{{tagId}}", Operations.delete_tag),
    "CreateImagesFromFiles": (
        "POST",
        f"{PROJECT}/images/files",
        Operations.create_images_from_files,
    ),
    "CreateImagesFromUrls": (
        "POST",
        f"{PROJECT}/images/urls",
        Operations.create_images_from_urls,
    ),
    "GetImages": ("GET", f"{PROJECT}/images", Operations.get_images),
    "GetTaggedImages": ("GET", f"{PROJECT}/images/tagged", Operations.get_tagged_images),
    "GetUntaggedImages": ("GET", f"{PROJECT}/images/untagged", Operations.get_untagged_images),
    "GetImagesByIds": ("GET", f"{PROJECT}/images/id", Operations.get_images_by_ids),
    "GetImageCount": ("GET", f"{PROJECT}/images/count", Operations.get_image_count),
    "GetTaggedImageCount": (
        "GET",
        f"{PROJECT}/images/tagged/count",
        Operations.get_tagged_image_count,
    ),
    "GetUntaggedImageCount": (
        "GET",
        f"{PROJECT}/images/untagged/count",
        Operations.get_untagged_image_count,
    ),
    "UpdateImageMetadata": (
        "POST",
        f"{PROJECT}/images/metadata",
        Operations.update_image_metadata,
    ),
    "DeleteImages": ("DELETE", f"{PROJECT}/images", Operations.delete_images),
    "CreateImageRegions": ("POST", f"{PROJECT}/images/regions", Operations.create_image_regions),
    "DeleteImageRegions": ("DELETE", f"{PROJECT}/images/regions", Operations.delete_image_regions),
}
"""Method, path and implementation of each operation, by its name in Microsoft's description."""

NOT_IN_VERSION = {
    "v3.2": {"GetImages", "GetImageCount", "UpdateImageMetadata"},
    "v3.3": set[str](),
    "v3.4-preview": set[str](),
}
"""The operations that each version of the API lacks."""


LENGTH_REQUIRED = """\
<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">
<HTML><HEAD><TITLE>Length Required</TITLE>
<META HTTP-EQUIV="Content-Type" Content="text/html; charset=us-ascii"></HEAD>
<BODY><h2>Length Required</h2>
<hr><p>HTTP Error 411. The request must be chunked or have a content length.</p>
</BODY></HTML>
"""
"""The page of the web server in front of the service for a POST that is not complete."""


class _LateWrite(NamedTuple):
    """A write that is applied later."""

    moment: float
    operation: Operation
    call: Call


class Api:
    """The service without a server: `app` is the ASGI application."""

    def __init__(
        self, store: Store, settings: Settings, faults: Faults, clock: Callable[[], float]
    ) -> None:
        """Connect the operations to the store; nothing listens yet."""
        self.settings = settings
        self.faults = faults
        self.calls: Counter[str] = Counter()
        """Calls so far, by operation."""
        self._store = store
        self._operations = Operations(store, settings)
        self._clock = clock
        self._late_writes: list[_LateWrite] = []
        self._late_lock = threading.Lock()
        self._allowed_calls = float(settings.rate or 0)
        self._last_call = clock()
        # A web page whose host name resolves to this machine is refused (DNS rebinding).
        trusted_hosts = Middleware(
            TrustedHostMiddleware, allowed_hosts=ALLOWED_HOSTS, www_redirect=False
        )
        self.app = Starlette(
            routes=self._routes(),
            exception_handlers={HTTPException: _handle_http_exception},
            middleware=[trusted_hosts],
        )
        self.app.router.redirect_slashes = False

    def _routes(self) -> list[Route]:
        routes = []
        for version, missing in NOT_IN_VERSION.items():
            for name, (method, path, operation) in OPERATIONS.items():
                if name in missing:
                    continue
                endpoint = self._endpoint(version, name, operation)
                url = f"/customvision/{version}/training{path}"
                routes.append(Route(url, endpoint, methods=[method]))
        return routes

    def _endpoint(self, version: str, name: str, operation: Operation) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self.calls[name] += 1
            await asyncio.sleep(self.settings.latency)
            try:
                if _has_no_length(request):
                    return HTMLResponse(LENGTH_REQUIRED, 411)
                self._check_key(request)
                self._check_rate()
                return await self._respond(request, version, name, operation)
            except RefusedError as refused:
                return self._error_response(refused)

        return endpoint

    async def _respond(
        self, request: Request, version: str, name: str, operation: Operation
    ) -> Response:
        """Run an operation, with the fault that is drawn for it."""
        body = await self._body(request)
        fault = self.faults.draw(name)
        params = request.query_params
        call = Call(
            version=version,
            path=request.path_params,
            query={key: ",".join(params.getlist(key)) for key in params},
            body=body,
            content_type=request.headers.get("content-type", ""),
            fault=fault,
        )
        if fault in LATE:
            await asyncio.to_thread(self._schedule, operation, call)
        replacement = fault_responses.replace_response(fault, self.faults)
        if replacement is not None:
            return replacement
        # In a thread, because other calls would wait while a large body is parsed.
        response = await asyncio.to_thread(self._run, operation, call)
        return await fault_responses.damage_response(fault, self.faults, response)

    def _schedule(self, operation: Operation, call: Call) -> None:
        with contextlib.suppress(RefusedError):
            call = self._with_sources(operation, call)
        with self._late_lock:
            moment = self._clock() + self.faults.late
            self._late_writes.append(_LateWrite(moment, operation, call))

    def apply_late_writes(self) -> None:
        """Apply the writes whose time has come. If one would now be refused, it changes nothing."""
        with self._late_lock:
            now = self._clock()
            due = [write for write in self._late_writes if write.moment <= now]
            self._late_writes = [write for write in self._late_writes if write.moment > now]
            for moment, operation, call in due:
                with contextlib.suppress(RefusedError), self._store.transaction(moment):
                    operation(self._operations, call)

    def _with_sources(self, operation: Operation, call: Call) -> Call:
        """Fetch the images at the URLs of a call before its transaction, which blocks others."""
        if operation is Operations.create_images_from_urls:
            return fetched(call, self.settings.limits)
        return call

    def _run(self, operation: Operation, call: Call) -> Response:
        self.apply_late_writes()
        try:
            call = self._with_sources(operation, call)
            with self._store.transaction():
                result = operation(self._operations, call)
            content = result.content
            if self.settings.omit_nulls:
                content = _without_nulls(msgspec.to_builtins(content))
            return _json_response(content, result.status)
        except RefusedError as refused:
            return self._error_response(refused)

    def _check_key(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        bearer = token if scheme.lower() == "bearer" else ""
        key = request.headers.get("training-key") or bearer
        if not key or self.settings.key not in (None, key):
            raise RefusedError(
                401, "401", "Access denied due to invalid subscription key", gateway=True
            )

    def _check_rate(self) -> None:
        """Count a call against a token bucket that holds the calls of one second."""
        rate = self.settings.rate
        if rate is None:
            return
        moment = self._clock()
        gained = (moment - self._last_call) * rate
        self._allowed_calls = min(rate, self._allowed_calls + gained)
        self._last_call = moment
        if self._allowed_calls < 1:
            raise fault_responses.rate_limit_error(1)
        self._allowed_calls -= 1

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.settings.limits.body_bytes:
                raise RefusedError(
                    408, "408", "The request took too long: its body is too large", gateway=True
                )
        return bytes(body)

    def _error_response(self, refused: RefusedError) -> Response:
        error = CustomVisionError(code=refused.code, message=refused.message)
        response = _json_response({"error": error} if refused.gateway else error, refused.status)
        if refused.status == 429 and self.settings.retry_after:
            response.headers["Retry-After"] = refused.message.split()[-2]
        return response


def _has_no_length(request: Request) -> bool:
    lengths = {"content-length", "transfer-encoding"}
    return request.method == "POST" and lengths.isdisjoint(request.headers)


def _without_nulls(content: Any) -> Any:  # noqa: ANN401 - JSON
    """Return the content without members that are null."""
    if isinstance(content, list):
        return [_without_nulls(row) for row in content]
    if isinstance(content, dict):
        return {key: _without_nulls(value) for key, value in content.items() if value is not None}
    return content


def _json_response(content: object, status: int) -> Response:
    body = b"" if content is None else msgspec.json.encode(content)
    return Response(body, status, media_type="application/json")


async def _handle_http_exception(_request: Request, error: Exception) -> Response:
    """Return the router's 404 or 405 as an error of the service."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = error.headers if isinstance(error, HTTPException) else None
    content = CustomVisionError(
        code="NotFound",
        message="The local service has no such operation in this version of the API",
    )
    response = _json_response(content, status)
    response.headers.update(headers or {})
    return response
