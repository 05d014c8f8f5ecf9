"""A started service with a plain HTTP caller, and a project with a tag and two images in it."""

from __future__ import annotations

import base64
import http.client
import io
import json
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
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json["code"])


class Workspace:
    """A project on a running service, and calls to it by hand."""

    def __init__(self, service: LocalService, version: str, domain: DomainType) -> None:
        self.service = service
        self.version = version
        self.timeout = 10.0
        self.project = service.create_project("cells", domain)
        self.tag = ""
        self.images = ["", ""]

    def fill(self) -> None:
        """Make a tag and two images."""
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
        """Call below the version; `{p}` is the project. A body that is no text or bytes is sent as JSON."""
        path = path.replace("{p}", f"/projects/{self.project}")
        raw = body if isinstance(body, bytes | str | None) else json.dumps(body)
        url = f"/customvision/{self.version}/training{path}" + (
            f"?{urlencode(query, quote_via=quote)}" if query else ""
        )
        sent = {"Training-Key": self.service.key, "Content-Type": content_type} if headers is None else headers
        with closing(
            http.client.HTTPConnection(self.service.endpoint.removeprefix("http://"), timeout=self.timeout)
        ) as connection:
            connection.request(method, url, raw, dict(sent))
            response = connection.getresponse()
            return Reply(response.status, dict(response.headers), response.read())

    @staticmethod
    def picture(number: int, *, size: tuple[int, int] = (32, 24), form: str = "PNG") -> bytes:
        """Bytes of a picture; each number gives other ones."""
        buffer = io.BytesIO()
        Image.new("RGB", size, (number % 256, number // 256, 0)).save(buffer, form)
        return buffer.getvalue()

    def new_tag(self, name: str, **query: Any) -> str:
        return str(self.call("POST", "{p}/tags", name=name, **query).json["id"])

    def upload(self, *entries: tuple[str, bytes] | dict[str, Any], **batch: object) -> Reply:
        """Upload pairs of name and bytes, or whole entries."""
        images = [
            entry if isinstance(entry, dict) else {"name": entry[0], "contents": base64.b64encode(entry[1]).decode()}
            for entry in entries
        ]
        return self.call("POST", "{p}/images/files", {"images": images, **batch})

    def new_images(self, *numbers: int) -> list[str]:
        """Upload pictures; their ids, in the order of the numbers."""
        rows = self.upload(*[(f"{number}.png", self.picture(number)) for number in numbers]).json["images"]
        ids = {row["sourceUrl"].strip('"'): row["image"]["id"] for row in rows}
        return [ids[f"{number}.png"] for number in numbers]

    def region(self, left: float = 0.1, top: float = 0.2, width: float = 0.3, height: float = 0.4, **ids: Any) -> Any:
        """An entry on the first image with the first tag, if nothing else is said."""
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
        """So many different entries."""
        return [self.region(left=number / 1024, **ids) for number in range(count)]

    def create(self, *entries: object) -> Reply:
        return self.call("POST", "{p}/images/regions", {"regions": entries})

    def stored(self) -> list[tuple[float, float, float, float]]:
        """Boxes of the project, as the service has them."""
        return sorted((row.left, row.top, row.width, row.height) for row in self.service.regions(self.project))


@pytest.fixture
def workspace() -> Iterator[Callable[..., Workspace]]:
    """Start a service with these settings and faults; the faults begin when the project is set up."""
    with ExitStack() as stack:

        def start(
            *,
            version: str = "v3.2",
            faults: Faults | None = None,
            database: Path | None = None,
            domain: DomainType = "ObjectDetection",
            **settings: Any,
        ) -> Workspace:
            faults = faults or Faults(rate=0)
            rate, faults.rate = faults.rate, 0
            service = stack.enter_context(LocalService(Settings(**settings), faults=faults, database=database))
            made = Workspace(service, version, domain)
            if not service.settings.dr_mode:
                made.fill()
            faults.rate = rate
            return made

        yield start
