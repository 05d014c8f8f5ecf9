"""Shared access signatures for a container, which cannot query the container itself."""

from __future__ import annotations

import json
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cloud.azurite import ACCOUNT, KEY, LEAVES_CONNECTIONS

import regionbatch as rb
from helpers import ROOT, SCENE_TABLES

if TYPE_CHECKING:
    from collections.abc import Callable

    from cloud.azurite import Emulator

pytestmark = LEAVES_CONNECTIONS
SCENE = ROOT / "fixtures/scene"
CONTAINER = "signatures"


@pytest.fixture
def signed(emulator: Emulator) -> Callable[[str], dict[str, Any]]:
    """Return storage options with a signature for a container, by what it allows."""
    from azure.storage.blob import (  # noqa: PLC0415 - with adlfs only
        ContainerSasPermissions,
        generate_container_sas,
    )

    emulator.put_folder(SCENE / "voc", CONTAINER, "set")

    def options(allowed: str) -> dict[str, Any]:
        token = generate_container_sas(
            ACCOUNT,
            CONTAINER,
            account_key=KEY,
            permission=ContainerSasPermissions.from_string(allowed),
            expiry=datetime.now(UTC) + timedelta(hours=1),
        )
        endpoint = emulator.connection_string.partition("BlobEndpoint=")[2].rstrip(";")
        return {"connection_string": f"BlobEndpoint={endpoint};SharedAccessSignature={token}"}

    return options


def test_a_new_file(signed: Callable[[str], dict[str, Any]], emulator: Emulator) -> None:
    for name in ("new.jsonl", "new folder/below/new.jsonl"):
        out = f"az://{CONTAINER}/{name}"
        options = signed("rlcw")
        rb.convert(f"az://{CONTAINER}/set", out, storage_options=options, **SCENE_TABLES)
        with pytest.raises(rb.OutputError, match="already exists"):
            rb.convert(f"az://{CONTAINER}/set", out, storage_options=options, **SCENE_TABLES)
        with emulator.container(CONTAINER) as client:
            assert client.download_blob(name).readall().startswith(b'{"regions":[')


def test_a_report_and_a_page(signed: Callable[[str], dict[str, Any]], emulator: Emulator) -> None:
    dataset = rb.read(f"az://{CONTAINER}/set", storage_options=signed("rlcw"))
    rb.write_report(f"az://{CONTAINER}/new report.json", dataset)
    rb.write_html(dataset, f"az://{CONTAINER}/new page.html")
    with emulator.container(CONTAINER) as client:
        report = json.loads(client.download_blob("new report.json").readall())
        assert report["boxes"]["read"] == 12
        assert client.download_blob("new page.html").readall().startswith(b"<!doctype html>")


def test_a_new_folder(signed: Callable[[str], dict[str, Any]], emulator: Emulator) -> None:
    out = f"az://{CONTAINER}/new parts"
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        more: dict[str, Any] = {
            "executor": pool,
            "storage_options": signed("rlcwd"),
            **SCENE_TABLES,
        }
        rb.convert(f"az://{CONTAINER}/set", out, **more)
        rb.convert(f"az://{CONTAINER}/set", out, overwrite=True, **more)
    with emulator.container(CONTAINER) as client:
        names = {each.name for each in client.list_blobs("new parts/")}
    assert names == {"new parts/part-00001.jsonl", "new parts/summary.json"}


def test_a_whole_container_is_read(emulator: Emulator, signed: Callable[..., Any]) -> None:
    with emulator.container(CONTAINER) as client:
        names = {each.name for each in client.list_blobs()}
        for name in names:
            if not name.startswith("set/"):
                client.delete_blob(name)
    dataset = rb.read(f"az://{CONTAINER}", storage_options=signed("rl"))
    assert len(dataset) == 12


@pytest.mark.parametrize(
    ("write", "name"),
    [
        (lambda dataset, path: rb.write(rb.batches(dataset, **SCENE_TABLES), path), "denied.jsonl"),
        (lambda dataset, path: rb.write_report(path, dataset), "denied.json"),
        (rb.write_html, "denied.html"),
    ],
)
def test_a_signature_that_only_reads(
    signed: Callable[[str], dict[str, Any]],
    emulator: Emulator,
    write: Callable[[rb.Dataset, str], object],
    name: str,
) -> None:
    """The error names the output, and says that it cannot be written."""
    path = f"az://{CONTAINER}/{name}"
    dataset = rb.read(f"az://{CONTAINER}/set", storage_options=signed("rl"))
    with pytest.raises(rb.OutputError) as caught:
        write(dataset, path)
    assert str(caught.value).startswith(path)
    assert "cannot be written: 'Permission denied'. Check that the credentials" in str(caught.value)
    with emulator.container(CONTAINER) as client:
        assert not [*client.list_blobs("denied")]


@pytest.mark.parametrize("url", [f"az://{CONTAINER}-none", f"az://{CONTAINER}-none/set"])
def test_another_container_is_denied(signed: Callable[[str], dict[str, Any]], url: str) -> None:
    options = signed("rlcw")
    with pytest.raises(rb.DatasetError, match="denied"):
        rb.read(url, storage_options=options)
    with pytest.raises(rb.OutputError, match="denied"):
        rb.convert(SCENE / "voc", f"{url}/o.jsonl", storage_options=options, **SCENE_TABLES)
