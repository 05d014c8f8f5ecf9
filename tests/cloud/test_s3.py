"""Datasets in S3, with the server of moto in place of it; neither is a development dependency."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import ROOT, SCENE_TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

s3fs = pytest.importorskip("s3fs", reason="s3fs is not installed")
moto = pytest.importorskip("moto.server", reason="moto[server] is not installed")
SCENE = ROOT / "fixtures/scene"


@pytest.fixture(scope="module")
def options() -> Iterator[dict[str, Any]]:
    """The storage options of a server."""
    server = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
    yield {"endpoint_url": f"http://{host}:{port}", "key": "example", "secret": "SECRETSECRET"}
    server.stop()


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_from_s3_to_s3(options: dict[str, Any], tmp_path: Path, kind: str) -> None:
    cloud = s3fs.S3FileSystem(**options)
    bucket = f"bucket-{kind}"
    cloud.mkdir(bucket)
    cloud.put(f"{SCENE / kind}/", f"{bucket}/my set #1 é/", recursive=True)
    url, out = f"s3://{bucket}/my set #1 é", f"s3://{bucket}/out.jsonl"
    here = rb.convert(SCENE / kind, tmp_path / "out.jsonl", **SCENE_TABLES)
    there = rb.convert(url, out, storage_options=options, **SCENE_TABLES)
    assert cloud.cat_file(f"{bucket}/out.jsonl") == (tmp_path / "out.jsonl").read_bytes()
    assert [*there.findings] == [*here.findings]
    with pytest.raises(rb.OutputError):
        rb.convert(url, out, storage_options=options, **SCENE_TABLES)
