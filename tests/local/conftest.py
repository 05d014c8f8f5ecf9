"""A running service with a plain HTTP client, and a project with a tag and two images."""

from __future__ import annotations

import base64
import http.client
import io
import json
import time
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

import pytest
from PIL import Image

from regionbatch.local import Faults, LocalService, Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from regionbatch.local.contract import DomainType


@dataclass(frozen=True)
class Reply:
    """The response to a call."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


def as_base64(contents: bytes) -> str:
    return base64.b64encode(contents).decode()


class Workspace:
    """A project on a running service, with methods that call the service."""

    def __init__(self, service: LocalService, version: str, domain: DomainType) -> None:
        self.service = service
        self.version = version
        self.timeout = 10.0
        self.project = service.create_project("cells", domain)
        self.tag = ""
        self.images = ["", ""]

    def fill(self) -> None:
        """Create a tag and two images."""
        self.tag = self.new_tag("RBC")
        self.images = self.new_images(1, 2)

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        content_type: str = "application/json",
        headers: Mapping[str, str] | None = None,
        **query: Any,
    ) -> Reply:
        """Call a path; `{p}` is the project. A body that is not text is sent as JSON."""
        path = path.replace("{p}", f"/projects/{self.project}")
        raw = body if isinstance(body, bytes | str | None) else json.dumps(body)
        url = f"/customvision/{self.version}/training{path}"
        if query:
            url += f"?{urlencode(query, quote_via=quote)}"
        if headers is None:
            headers = {"Training-Key": self.service.key, "Content-Type": content_type}
        host = self.service.endpoint.removeprefix("http://")
        with closing(http.client.HTTPConnection(host, timeout=self.timeout)) as connection:
            connection.request(method, url, raw, dict(headers))
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())

    @staticmethod
    def image_file(number: int, *, size: tuple[int, int] = (32, 24), form: str = "PNG") -> bytes:
        """Return the bytes of an image; each number gives a different one."""
        buffer = io.BytesIO()
        Image.new("RGB", size, (number % 256, number // 256, 0)).save(buffer, form)
        return buffer.getvalue()

    def new_tag(self, name: str, **query: Any) -> str:
        return str(self.call("POST", "{p}/tags", name=name, **query).json["id"])

    def upload(self, *entries: tuple[str, bytes] | dict[str, Any], **batch: object) -> Reply:
        """Upload pairs of name and bytes, or whole entries."""
        images = []
        for entry in entries:
            if isinstance(entry, dict):
                images.append(entry)
            else:
                name, contents = entry
                images.append({"name": name, "contents": as_base64(contents)})
        return self.call("POST", "{p}/images/files", {"images": images, **batch})

    def new_images(self, *numbers: int) -> list[str]:
        """Upload images one by one, and return their IDs."""
        replies = [self.upload((f"{number}.png", self.image_file(number))) for number in numbers]
        return [reply.json["images"][0]["image"]["id"] for reply in replies]

    def region(
        self,
        left: float = 0.1,
        top: float = 0.2,
        width: float = 0.3,
        height: float = 0.4,
        **ids: Any,
    ) -> Any:
        """Return an entry; by default on the first image, with the tag of the workspace."""
        return {
            "imageId": self.images[0],
            "tagId": self.tag,
            "left": left,
            "top": top,
            "width": width,
            "height": height,
            **ids,
        }

    def regions(self, count: int, **ids: Any) -> list[Any]:
        """Return this many different entries."""
        return [self.region(left=number / 1000, **ids) for number in range(count)]

    def create(self, *entries: object) -> Reply:
        return self.call("POST", "{p}/images/regions", {"regions": entries})

    def stored(self) -> list[tuple[float, float, float, float]]:
        """Return the boxes of the project as the service stores them."""
        return sorted(
            (row.left, row.top, row.width, row.height) for row in self.service.regions(self.project)
        )


@pytest.fixture
def workspace() -> Iterator[Callable[..., Workspace]]:
    """Return a function that starts a service; its faults start when the project is set up."""
    with ExitStack() as stack:

        def start(
            *,
            version: str = "v3.2",
            faults: Faults | None = None,
            database: Path | None = None,
            domain: DomainType = "ObjectDetection",
            clock: Callable[[], float] = time.monotonic,
            **settings: Any,
        ) -> Workspace:
            faults = faults or Faults(rate=0)
            rate, faults.rate = faults.rate, 0
            service = stack.enter_context(
                LocalService(Settings(**settings), faults=faults, database=database, clock=clock)
            )
            created = Workspace(service, version, domain)
            if not service.settings.dr_mode:
                created.fill()
            faults.rate = rate
            return created

        yield start
