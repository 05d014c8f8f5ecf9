"""Two accounts have a container of the same name: each dataset keeps to its own."""

from __future__ import annotations

import copy
import io
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from customvision.rehearsal import rehearsal, upload

import regionbatch as rb
from helpers import write_coco

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

AccountFileSystem = pytest.importorskip(
    "cloud.accounts", reason="fsspec is not installed (the extra `cloud`)", exc_type=ImportError
).AccountFileSystem

URL = "accounts://images/set"
PROD, STAGING = ({"account": name, "key": "SECRETKEY"} for name in ("prod", "staging"))
TABLES: dict[str, Any] = {
    "tag_ids": {"cat": "b5f75f7a-8a3c-4a2c-8e7e-0d1f0a3f1a11"},
    "image_ids": {"a.png": "0c2b1f50-1d8e-4a54-9e0e-6a2f1a4b7c22"},
}


def image(size: tuple[int, int]) -> bytes:
    from PIL import Image  # noqa: PLC0415

    content = io.BytesIO()
    Image.new("RGB", size, size[0] % 256).save(content, "png")
    return content.getvalue()


@pytest.fixture(autouse=True)
def clouds(tmp_path: Path) -> Iterator[None]:
    """The same dataset with different images."""
    write_coco(tmp_path, [("a.png", "cat", (10, 10, 50, 50))], images={"a.png": (300, 300)})
    for options, side in ((PROD, 300), (STAGING, 301)):
        account = AccountFileSystem(**options)
        for container in ("images", "output"):
            for path in tmp_path.glob("*.json"):
                account.pipe_file(f"/{container}/set/{path.name}", path.read_bytes())
            account.pipe_file(f"/{container}/set/a.png", image((side, side)))
    yield
    AccountFileSystem.stores.clear()
    AccountFileSystem.folders.clear()


def signed(dataset: rb.Dataset) -> list[str]:
    """Return the URLs that an upload of a dataset sends."""
    with rehearsal() as (_, project, client):
        create = client.create_images_from_urls
        with mock.patch.object(client, "create_images_from_urls", side_effect=create) as created:
            upload(dataset, client, project, by_url=True)
    sent = (url for call in created.call_args_list for url in call.args[1])
    return sorted({url.partition("?")[0] for url in sent})


PROD_URL = "https://prod.example.com/images/set/a.png"
STAGING_URL = "https://staging.example.com/images/set/a.png"


def test_each_dataset_keeps_its_account() -> None:
    first = rb.read(URL, storage_options=PROD)
    second = rb.read(URL, storage_options=STAGING)
    assert signed(first) == signed(copy.deepcopy(first)) == [PROD_URL]
    assert signed(second) == [STAGING_URL]
    assert [one.code for one in second.findings] == ["size_mismatch"]


def test_equal_urls_of_two_accounts_are_two_images() -> None:
    both = [rb.read(URL, storage_options=options) for options in (PROD, STAGING)]
    with pytest.raises(rb.AmbiguousDatasetError):
        rb.concat(both)
    assert len(rb.concat([both[0], rb.read(URL, storage_options=PROD)]).images) == 1
    second = replace(both[1], images=replace(both[1].images, names=["b.png"]))
    assert signed(rb.concat([both[0], second])) == [PROD_URL, STAGING_URL]


def test_thumbnails_are_of_the_account(tmp_path: Path) -> None:
    dataset = rb.read(URL, storage_options=PROD)
    rb.write_html(dataset, tmp_path / "before.html")
    rb.read(URL, storage_options=STAGING)
    rb.write_html(dataset, tmp_path / "after.html")
    assert (tmp_path / "after.html").read_bytes() == (tmp_path / "before.html").read_bytes()


def test_a_pickled_dataset_keeps_to_its_account() -> None:
    pickled = pickle.dumps(rb.read(URL, storage_options=PROD))
    assert b"SECRETKEY" not in pickled
    rb.read(URL, storage_options={**PROD, "key": "renewed"})
    rb.read(URL, storage_options=STAGING)
    with pytest.raises(rb.OptionError) as caught:
        signed(pickle.loads(pickled))
    assert caught.value.place == "accounts://images"


def test_output_goes_to_the_account_that_is_named() -> None:
    url = "accounts://output/set"
    dataset = rb.read(url, storage_options=PROD)
    rb.read(url, storage_options={**PROD, "key": "renewed"})
    batches = rb.batches(dataset, **TABLES)
    rb.write(batches, "accounts://output/first.jsonl")
    assert AccountFileSystem(**PROD).exists("/output/first.jsonl")
    rb.read(url, storage_options=STAGING)
    with pytest.raises(rb.OptionError) as caught:
        rb.write(batches, "accounts://output/out.jsonl")
    assert "SECRETKEY" not in f"{caught.value} {caught.value.__dict__}"
    rb.write(batches, "accounts://output/out.jsonl", storage_options=STAGING)
    rb.convert(url, "accounts://output/two.jsonl", storage_options=PROD, **TABLES)
    assert AccountFileSystem(**STAGING).exists("/output/out.jsonl")
    assert not AccountFileSystem(**STAGING).exists("/output/two.jsonl")
    assert AccountFileSystem(**PROD).exists("/output/two.jsonl")


def test_threads_may_read_different_accounts() -> None:
    both = threading.Barrier(2, timeout=60)

    def read(options: dict[str, Any]) -> rb.Dataset:
        waited: list[str] = []

        def wait(step: str, _done: int, _total: int) -> None:
            if step not in waited:
                waited.append(step)
                both.wait()

        return rb.read(URL, storage_options=options, progress=wait)

    with ThreadPoolExecutor(2) as threads:
        found = [*threads.map(read, (PROD, STAGING))]
    assert [len(dataset.findings) for dataset in found] == [0, 1]
    assert [signed(dataset) for dataset in found] == [[PROD_URL], [STAGING_URL]]
