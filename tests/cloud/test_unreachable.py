"""A server that cannot be reached is an error within seconds, before and during a run."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

import regionbatch as rb
from helpers import ROOT, SCENE_TABLES
from regionbatch.files import cloud_reach

if TYPE_CHECKING:
    from collections.abc import Callable

fsspec = pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `cloud`)")
from fsspec.implementations.memory import MemoryFileSystem  # noqa: E402 - an extra

SCENE = ROOT / "fixtures/scene"


@pytest.fixture(autouse=True)
def closed(monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a port where nothing listens, without the pauses between attempts."""
    monkeypatch.setattr(cloud_reach, "_PAUSES", (0.0, 0.0))
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


def to_here(folder: str, **options: Any) -> object:
    return rb.read(folder, **options)


def to_there(url: str, **options: Any) -> object:
    return rb.convert(SCENE / "voc", f"{url}.jsonl", **options, **SCENE_TABLES)


def images_there(url: str, **options: Any) -> object:
    return rb.read(SCENE / "voc", image_dir=url, **options)


@pytest.mark.parametrize("use", [to_here, to_there, images_there])
def test_an_account_that_cannot_be_reached(use: Callable[..., object], closed: str) -> None:
    pytest.importorskip("adlfs", reason="adlfs is not installed (the extra `cloud`)")
    key = "c2VjcmV0a2V5c2VjcmV0a2V5"
    endpoint = f"BlobEndpoint=http://{closed}/wrong"
    options = {"connection_string": f"AccountName=wrong;AccountKey={key};{endpoint}"}
    with pytest.raises(rb.RegionBatchError) as caught:
        use("az://container/set", storage_options=options)
    assert closed in str(caught.value)
    assert "az://container/set" in str(caught.value)
    assert key not in f"{caught.value} {caught.value.__dict__}"


class FragileFileSystem(MemoryFileSystem):  # type: ignore[misc] # fsspec has no types
    """A cloud whose server disappears when a certain file is read."""

    protocol: ClassVar[str] = "fragile"
    async_impl = True
    cachable = False
    endpoint_url = ""
    lost: ClassVar[str] = ""
    server: ClassVar[socket.socket]

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        plain: str = super()._strip_protocol(path.removeprefix("fragile://"))
        return plain

    def cat_file(self, path: str, *arguments: Any, **options: Any) -> Any:
        if path.endswith(self.lost):
            self.server.close()
            raise ConnectionResetError("connection lost")
        return super().cat_file(path, *arguments, **options)


@pytest.mark.parametrize(
    ("kind", "lost"),
    [
        ("voc", "market.xml"),
        ("yolo", "bridge.txt"),
        ("yolo", "data.yaml"),
        ("coco", "instances_val.json"),
        ("coco", "market.jpg"),
    ],
)
def test_a_server_that_disappears_is_an_error(
    kind: str, lost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not a finding for each file that is still to be read."""
    fsspec.register_implementation("fragile", FragileFileSystem, clobber=True)
    for path in (SCENE / kind).rglob("*"):
        if path.is_file():
            key = f"/container/{path.relative_to(SCENE / kind).as_posix()}"
            MemoryFileSystem().pipe_file(key, path.read_bytes())
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setattr(FragileFileSystem, "endpoint_url", address)
        monkeypatch.setattr(FragileFileSystem, "server", server, raising=False)
        monkeypatch.setattr(FragileFileSystem, "lost", lost)
        try:
            with pytest.raises(rb.DatasetError) as caught:
                rb.read("fragile://container")
        finally:
            MemoryFileSystem.store.clear()
            MemoryFileSystem.pseudo_dirs[:] = [""]
    assert address in str(caught.value)


@pytest.mark.parametrize(
    ("module", "advice"),
    [
        ("ourfs", "a package is not installed: 'ourfs'. Install it: pip install ourfs."),
        ("client", "a package is not installed: 'Install ourfs to open it'. Install it."),
    ],
)
def test_a_package_that_is_not_installed(
    monkeypatch: pytest.MonkeyPatch, module: str, advice: str
) -> None:
    """The module and the package may have different names; only the file system knows both."""

    def missing(_scheme: str) -> object:
        try:
            raise ModuleNotFoundError(name=module)
        except ImportError as error:
            raise ImportError("Install ourfs\n to open it") from error

    monkeypatch.setattr(fsspec, "get_filesystem_class", missing)
    with pytest.raises(rb.DatasetError) as caught:
        rb.read("memory://not-installed/set")
    assert str(caught.value).endswith(f": {advice}")


@pytest.mark.parametrize("user", ["", "me:SECRET@"])
def test_only_the_proxy_is_tried_if_there_is_one(
    closed: str, monkeypatch: pytest.MonkeyPatch, user: str
) -> None:
    for name in ("NO_PROXY", "no_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.create_server(("127.0.0.1", 0)) as server:
        monkeypatch.setenv("http_proxy", f"http://{user}127.0.0.1:{server.getsockname()[1]}")
        assert cloud_reach.why_unreachable("http://nowhere.invalid") == ""
    monkeypatch.setenv("http_proxy", f"{user}{closed}")
    reason = cloud_reach.why_unreachable("http://nowhere.invalid")
    assert closed in reason
    assert "SECRET" not in reason
