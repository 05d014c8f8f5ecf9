"""The service over HTTP: routes, key and rate, latency, faults, and both shapes of errors. A Starlette application."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import TYPE_CHECKING

import msgspec
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import Response
from starlette.routing import Route

from regionbatch.local import broken
from regionbatch.local.calls import Call
from regionbatch.local.contract import CustomVisionError
from regionbatch.local.operations import Operations
from regionbatch.local.rules import RefusedError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from starlette.requests import Request

    from regionbatch.local.calls import Answer
    from regionbatch.local.faults import Faults
    from regionbatch.local.settings import Settings
    from regionbatch.local.store import Store

    Endpoint = Callable[[Request], Awaitable[Response]]
    Work = Callable[[Operations, Call], Answer]

LOOPBACK = ("127.0.0.1", "localhost")
"""The names of this machine that a call may be addressed to."""

PROJECT = "/projects/{projectId}"
OPERATIONS = {
    "GetDomains": ("GET", "/domains", Operations.get_domains),
    "GetDomain": ("GET", "/domains/{domainId}", Operations.get_domain),
    "CreateProject": ("POST", "/projects", Operations.create_project),
    "GetProjects": ("GET", "/projects", Operations.get_projects),
    "GetProject": ("GET", PROJECT, Operations.get_project),
    "CreateTag": ("POST", f"{PROJECT}/tags", Operations.create_tag),
    "GetTags": ("GET", f"{PROJECT}/tags", Operations.get_tags),
    "GetTag": ("GET", f"{PROJECT}/tags/{{tagId}}", Operations.get_tag),
    "DeleteTag": ("DELETE", f"{PROJECT}/tags/{{tagId}}", Operations.delete_tag),
    "CreateImagesFromFiles": ("POST", f"{PROJECT}/images/files", Operations.create_images_from_files),
    "GetImages": ("GET", f"{PROJECT}/images", Operations.get_images),
    "GetTaggedImages": ("GET", f"{PROJECT}/images/tagged", Operations.get_tagged_images),
    "GetUntaggedImages": ("GET", f"{PROJECT}/images/untagged", Operations.get_untagged_images),
    "GetImagesByIds": ("GET", f"{PROJECT}/images/id", Operations.get_images_by_ids),
    "GetImageCount": ("GET", f"{PROJECT}/images/count", Operations.get_image_count),
    "GetTaggedImageCount": ("GET", f"{PROJECT}/images/tagged/count", Operations.get_tagged_image_count),
    "GetUntaggedImageCount": ("GET", f"{PROJECT}/images/untagged/count", Operations.get_untagged_image_count),
    "DeleteImages": ("DELETE", f"{PROJECT}/images", Operations.delete_images),
    "CreateImageRegions": ("POST", f"{PROJECT}/images/regions", Operations.create_image_regions),
    "DeleteImageRegions": ("DELETE", f"{PROJECT}/images/regions", Operations.delete_image_regions),
}
"""Method, path and work of each call, under the names of the contract."""

NOT_IN_VERSION = {"v3.2": {"GetImages", "GetImageCount"}, "v3.3": set[str](), "v3.4-preview": set[str]()}


class Api:
    """The service without a server: `app` is the ASGI application."""

    def __init__(self, store: Store, settings: Settings, faults: Faults) -> None:
        """Wire the calls to the store; nothing is listening yet."""
        self.settings = settings
        self.faults = faults
        self.calls: Counter[str] = Counter()
        self._store = store
        self._operations = Operations(store, settings)
        self._allowance, self._seen = float(settings.rate or 0), time.monotonic()
        self.app = Starlette(
            routes=[
                Route(f"/customvision/{version}/training{path}", self._endpoint(version, name, work), methods=[method])
                for version, missing in NOT_IN_VERSION.items()
                for name, (method, path, work) in OPERATIONS.items()
                if name not in missing
            ],
            exception_handlers={HTTPException: _no_such_call},
            # A web page whose name leads to this machine is not let in (DNS rebinding).
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=LOOPBACK, www_redirect=False)],
        )
        self.app.router.redirect_slashes = False

    def _endpoint(self, version: str, operation: str, work: Work) -> Endpoint:
        async def endpoint(request: Request) -> Response:
            self.calls[operation] += 1
            await asyncio.sleep(self.settings.latency)
            try:
                self._admit(request)
                return await self._answer(request, version, operation, work)
            except RefusedError as refused:
                return self._refusal(refused)

        return endpoint

    async def _answer(self, request: Request, version: str, operation: str, work: Work) -> Response:
        """Do the work of a call, with the fault that strikes it."""
        body = await self._body(request)
        fault = self.faults.draw(operation)
        instead = broken.before(fault, self.faults)
        if instead is not None:
            return instead
        call = Call(
            version=version,
            path=request.path_params,
            query={name: ",".join(request.query_params.getlist(name)) for name in request.query_params},
            body=body,
            content_type=request.headers.get("content-type", ""),
            fault=fault,
        )
        # In a thread: a large body would keep all other calls waiting while it is read.
        response = await asyncio.to_thread(self._work, work, call)
        return await broken.after(fault, self.faults, response)

    def _work(self, work: Work, call: Call) -> Response:
        try:
            with self._store.transaction():
                answer = work(self._operations, call)
            return _json(answer.content, answer.status)
        except RefusedError as refused:
            return self._refusal(refused)

    def _admit(self, request: Request) -> None:
        """Gate of keys and rates: a bucket that holds a second's calls."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        key = request.headers.get("training-key") or (token if scheme.lower() == "bearer" else "")
        if not key or self.settings.key not in (None, key):
            raise RefusedError(401, "401", "Access denied due to invalid subscription key", gateway=True)
        if self.settings.rate is None:
            return
        moment = time.monotonic()
        gained = (moment - self._seen) * self.settings.rate
        self._allowance, self._seen = min(self.settings.rate, self._allowance + gained), moment
        if self._allowance < 1:
            raise broken.too_many(1)
        self._allowance -= 1

    async def _body(self, request: Request) -> bytes:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > self.settings.limits.body_bytes:
                raise RefusedError(408, "408", "The request took too long: its body is too large", gateway=True)
        return bytes(body)

    def _refusal(self, refused: RefusedError) -> Response:
        shape = CustomVisionError(code=refused.code, message=refused.message)
        response = _json({"error": shape} if refused.gateway else shape, refused.status)
        if refused.status == 429 and self.settings.retry_after:
            response.headers["Retry-After"] = refused.message.split()[-2]
        return response


def _json(content: object, status: int) -> Response:
    body = b"" if content is None else msgspec.json.encode(content)
    return Response(body, status, media_type="application/json")


async def _no_such_call(_request: Request, error: Exception) -> Response:
    """404 and 405 of the router, in the service's shape."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (500, None)
    response = _json(CustomVisionError(code="NotFound", message="The version has no such call"), status)
    response.headers.update(headers or {})
    return response
