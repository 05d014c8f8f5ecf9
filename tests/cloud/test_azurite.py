"""Datasets in the blob storage of Azure, with its emulator."""

from __future__ import annotations

import io
import json
import logging
import multiprocessing
import os
from concurrent.futures import Executor, Future, ProcessPoolExecutor, wait
from typing import TYPE_CHECKING, Any

import pytest
from cloud.azurite import KEY, LEAVES_CONNECTIONS
from cloud.failing import write_or_fail

import regionbatch as rb
from helpers import ROOT, SCENE_TABLES, id_of, ids_of, process, write_coco
from regionbatch.files.storage import reopened_clouds, storage_of
from regionbatch.in_parts import convert as in_parts
from regionbatch.in_parts import division

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from cloud.azurite import Emulator

pytestmark = LEAVES_CONNECTIONS


@pytest.mark.parametrize("kind", ["coco", "voc", "yolo"])
def test_from_blob_storage_to_blob_storage(emulator: Emulator, tmp_path: Path, kind: str) -> None:
    folder = ROOT / "fixtures/scene" / kind
    emulator.put_folder(folder, "scene", f"my sets/{kind} é#1")
    url = f"az://scene/my sets/{kind} é#1"
    out = f"az://scene/out/{kind}.jsonl"
    here = rb.convert(folder, tmp_path / "out.jsonl", **SCENE_TABLES)
    there = rb.convert(url, out, storage_options=emulator.options, **SCENE_TABLES)
    with emulator.container("scene") as client:
        written = client.download_blob(f"out/{kind}.jsonl").readall()
    assert written == (tmp_path / "out.jsonl").read_bytes()
    assert [*there.findings] == [*here.findings]
    with pytest.raises(rb.OutputError):
        rb.convert(url, out, storage_options=emulator.options, **SCENE_TABLES)


@pytest.mark.parametrize("are_equal", [True, False])
def test_equal_images_may_have_one_id(emulator: Emulator, tmp_path: Path, are_equal: bool) -> None:
    """They may, as on this machine, but they are compared without being read."""
    content = (ROOT / "fixtures/scene/yolo/images/val/yard.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content)
    (tmp_path / "b.png").write_bytes(content if are_equal else content[:-1] + b"x")
    write_coco(tmp_path, [(name, "cat", (1, 1, 5, 5)) for name in ("a.png", "b.png")])
    emulator.put_folder(tmp_path, "equal", f"set {are_equal}")
    dataset = rb.read(f"az://equal/set {are_equal}", storage_options=emulator.options)
    emulator.proxy.gets.clear()
    ids = dict.fromkeys(("a.png", "b.png"), id_of("one"))
    findings = rb.batches(dataset, tag_ids={"cat": id_of("cat")}, image_ids=ids).findings
    assert findings.counts()["same_image"] == 1
    assert ("same_image" in findings.doubtful()) is not are_equal
    assert emulator.proxy.gets == []


def test_the_command_finds_credentials_in_the_environment(
    emulator: Emulator, tmp_path: Path
) -> None:
    emulator.put_folder(ROOT / "fixtures/scene/voc", "command", "set")
    tables = ("--tag-ids", SCENE_TABLES["tag_ids"], "--image-ids", SCENE_TABLES["image_ids"])
    done = process(
        *("-m", "regionbatch_cli", "convert", "az://command/set"),
        *("-o", "az://command/out.jsonl", "--report", tmp_path / "report.json", *tables),
        AZURE_STORAGE_CONNECTION_STRING=emulator.connection_string,
    )
    assert done.returncode == 0, done.stderr
    report = (tmp_path / "report.json").read_text(encoding="utf-8")
    assert KEY not in done.stdout + done.stderr + report
    with emulator.container("command") as client:
        assert client.download_blob("out.jsonl").readall().startswith(b'{"regions":[')


def test_how_much_of_a_dataset_is_read(emulator: Emulator) -> None:
    """Each label file is read once, several at a time; of an image, at most 64 KiB are read."""
    rows = b"".join(b"0 0.5 0.5 0.25 0.%d\n" % (number + 1) for number in range(5))
    image = (ROOT / "fixtures/scene/yolo/images/val/yard.png").read_bytes()
    with emulator.container("many") as client:
        client.upload_blob("set/data.yaml", b"names: [cat]\n")
        for number in range(60):
            client.upload_blob(f"set/labels/{number:03}.txt", rows)
        for number in range(30):
            client.upload_blob(f"set/images/{number:03}.png", image + bytes(100_000))
    emulator.proxy.gets.clear()
    log = io.StringIO()
    handler = logging.StreamHandler(log)
    logging.getLogger().addHandler(handler)
    logging.getLogger("urllib3").setLevel(logging.DEBUG)
    try:
        dataset = rb.read("az://many/set", storage_options=emulator.options)
        storage = storage_of("az://many/set")
        sizes = {*storage.image_sizes(filter(None, dataset.images.paths))}
    finally:
        logging.getLogger().removeHandler(handler)
        logging.getLogger("urllib3").setLevel(logging.NOTSET)
    assert len(dataset) == 60 * 5
    assert len(sizes) == 1
    gets = emulator.proxy.gets
    labels = [get for get in gets if get.blob.endswith(".txt")]
    images = [get for get in gets if get.blob.endswith(".png")]
    assert len(labels) == len({get.blob for get in labels}) == 60
    assert sum(get.size for get in labels) == 60 * len(rows)
    assert max(get.at_once for get in labels) > 2
    assert len({get.blob for get in images}) == 30
    assert sum(get.size for get in images) <= 30 * 2**16
    assert "/set/labels/000.txt" in log.getvalue()
    assert "sig=" not in log.getvalue()


def test_the_time_of_this_process_for_a_label_file(emulator: Emulator) -> None:
    """This process and the proxy together may take 30 ms per file."""
    with emulator.container("time") as client:
        for number in range(40):
            client.upload_blob(f"labels/{number:03}.txt", b"0 0.5 0.5 0.25 0.5\n")
    with reopened_clouds(["az://time/labels"], emulator.options):
        storage = storage_of("az://time/labels")
    paths = [f"az://time/labels/{number:03}.txt" for number in range(40)]
    before = os.times()
    assert {*storage.read_many(paths)} == {b"0 0.5 0.5 0.25 0.5\n"}
    after = os.times()
    # The proxy is in this process too, and takes most of the time.
    assert after.user + after.system - before.user - before.system < 40 * 0.03


def test_a_signed_url_opens_a_file(emulator: Emulator) -> None:
    import requests  # noqa: PLC0415 - only here

    name = "a b#é?c.txt"
    with emulator.container("signed") as client:
        client.upload_blob(name, b"content")
    with reopened_clouds(["az://signed"], emulator.options):
        url = storage_of("az://signed/x").signed_url(f"az://signed/{name}", 60)
    assert requests.get(url, timeout=60).content == b"content"
    assert requests.get(url.partition("?")[0], timeout=60).status_code in (403, 404)


def test_without_an_account_key_nothing_is_signed(emulator: Emulator) -> None:
    """Files are still read, by the file system itself."""
    from azure.storage.blob import (  # noqa: PLC0415 - with adlfs only
        AccountSasPermissions,
        ResourceTypes,
        generate_account_sas,
    )

    emulator.put_folder(ROOT / "fixtures/scene/voc", "shared", "set")
    from datetime import UTC, datetime, timedelta  # noqa: PLC0415

    token = generate_account_sas(
        "devstoreaccount1",
        KEY,
        ResourceTypes(container=True, object=True),
        AccountSasPermissions(read=True, list=True),
        datetime.now(UTC) + timedelta(hours=1),
    )
    endpoint = emulator.connection_string.partition("BlobEndpoint=")[2].rstrip(";")
    shared = {"connection_string": f"BlobEndpoint={endpoint};SharedAccessSignature={token}"}
    dataset = rb.read("az://shared/set", storage_options=shared)
    assert len(dataset) == 12
    with pytest.raises(rb.OptionError) as caught:
        storage_of("az://shared/set").signed_url("az://shared/set/a.jpg", 60)
    assert token not in str(caught.value)
    with pytest.raises(rb.OutputError) as denied:
        rb.convert("az://shared/set", "az://shared/o.jsonl", storage_options=shared, **SCENE_TABLES)
    assert token[-20:] not in f"{denied.value} {denied.value.__cause__} {denied.value.__context__}"


@pytest.mark.parametrize(
    "url", ["az://missing/set", "az://scene-without/set", "az://many2/nothing"]
)
def test_a_container_or_folder_that_does_not_exist(emulator: Emulator, url: str) -> None:
    emulator.container("many2").close()
    with pytest.raises(rb.DatasetNotFoundError) as caught:
        rb.read(url, storage_options=emulator.options)
    with pytest.raises(rb.OptionError) as denied:
        rb.read(ROOT / "fixtures/scene/coco", image_dir=url, storage_options=emulator.options)
    is_there = url.startswith("az://many2/")
    for message in (str(caught.value), str(denied.value)):
        assert ("no such container" in message) is not is_there
        assert f"'{url.rpartition('/')[0]}'" in message or is_there
    with pytest.raises(rb.OutputError):
        rb.convert(
            ROOT / "fixtures/scene/voc",
            "az://missing/o.jsonl",
            storage_options=emulator.options,
            **SCENE_TABLES,
        )


def test_a_wrong_key(emulator: Emulator) -> None:
    options = {"connection_string": emulator.connection_string.replace("Eby8", "Xby8")}
    with pytest.raises(rb.DatasetError) as caught:
        rb.read("az://many/set", storage_options=options)
    assert "Xby8" not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"


@pytest.mark.parametrize(
    ("container", "markers"),
    [
        ("plain", ["set", "set/labels"]),
        ("slash", ["set/", "set/labels/"]),
        ("hadoop", ["set_$folder$", "set/labels_$folder$"]),
    ],
)
def test_markers_of_folders_hide_nothing(
    emulator: Emulator, container: str, markers: list[str]
) -> None:
    emulator.put_folder(ROOT / "fixtures/scene/yolo", container, "set")
    with emulator.container(container) as client:
        for marker in markers:
            client.upload_blob(marker, b"", overwrite=True)
        client.upload_blob("set2/labels/a.txt", b"0 1 1 1 1", overwrite=True)
    dataset = rb.read(f"az://{container}/set", storage_options=emulator.options)
    assert [*dataset] == [*rb.read(ROOT / "fixtures/scene/yolo")]
    assert not dataset.findings


# Payloads that other processes write to a folder.


@pytest.fixture
def boxes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A dataset of 40 boxes on 8 images, each image in a part of its own."""
    monkeypatch.setattr(division, "ROWS_PER_PART", 4)
    rows = [(f"a {at % 8} ü.jpg", "cat", (at, 1, 10, 20 + 90 * (at == 7))) for at in range(40)]
    return write_coco(tmp_path / "data", rows)


@pytest.fixture(scope="module")
def pool() -> Iterator[ProcessPoolExecutor]:
    """Two processes that inherit nothing from this one."""
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as executor:
        yield executor


def blobs_in(emulator: Emulator, container: str, folder: str) -> dict[str, bytes]:
    with emulator.container(container) as client:
        names = [each.name for each in client.list_blobs(folder)]
        return {name.removeprefix(folder): client.download_blob(name).readall() for name in names}


def tables_of(boxes: Path) -> dict[str, Any]:
    dataset = rb.read(boxes)
    return {"tag_ids": ids_of(dataset.tags), "image_ids": ids_of(dataset.images.names)}


def test_processes_write_a_folder(
    emulator: Emulator, boxes: Path, tmp_path: Path, pool: ProcessPoolExecutor
) -> None:
    options: dict[str, Any] = {**tables_of(boxes), "storage_options": emulator.options}
    emulator.put_folder(boxes, "parts", "my set")
    out = "az://parts/my out"
    here = rb.convert(boxes, tmp_path / "out.jsonl", **tables_of(boxes))
    there = rb.convert("az://parts/my set", out, executor=pool, **options)
    assert isinstance(there, rb.BatchFiles)
    assert [entry for batch in there for entry in batch] == [
        entry for batch in here for entry in batch
    ]
    assert (there.ledger, there.findings.counts()) == (here.ledger, here.findings.counts())
    assert sorted(there.findings) == sorted(here.findings)
    blobs = blobs_in(emulator, "parts", "my out/")
    lists = json.loads(blobs["summary.json"])
    names = {each["name"] for key in ("files", "finding_files") for each in lists[key]}
    assert blobs.keys() == {*names, "summary.json"}
    assert len(names) > 8

    with emulator.container("parts") as client:  # as if the earlier output had more parts
        client.upload_blob("my out/part-00099.jsonl", b'{"regions":[]}\n')
    with pytest.raises(rb.OutputError):
        rb.convert(boxes, out, executor=pool, **options)
    rb.convert("az://parts/my set", out, executor=pool, overwrite=True, **options)
    assert blobs_in(emulator, "parts", "my out/") == blobs
    with emulator.container("parts") as client:
        client.upload_blob("my out/notes.txt", b"mine")
    with pytest.raises(rb.OutputError):
        rb.convert(boxes, out, executor=pool, overwrite=True, **options)
    assert blobs_in(emulator, "parts", "my out/") == {**blobs, "notes.txt": b"mine"}


class Remembering(Executor):
    """Passes calls on, and remembers them."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self.pool = pool
        self.calls: list[Future[Any]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **_: Any) -> Future[Any]:
        self.calls.append(self.pool.submit(fn, *args))
        return self.calls[-1]


def test_processes_of_a_run_that_fails_leave_nothing(
    emulator: Emulator, boxes: Path, pool: ProcessPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {**tables_of(boxes), "storage_options": emulator.options}
    emulator.put_folder(boxes, "failing", "set")

    def cancel(step: str, _done: int, _total: int) -> None:
        if step == "writing payloads":
            raise KeyboardInterrupt

    def expect(error: type[BaseException], **more: Any) -> None:
        executor = Remembering(pool)
        with pytest.raises(error) as caught:
            rb.convert(boxes, "az://failing/out", executor=executor, **more, **options)
        wait(executor.calls)  # some may still have been writing
        assert KEY not in f"{caught.value} {caught.value.__cause__} {caught.value.__context__}"
        assert blobs_in(emulator, "failing", "out") == {}

    expect(rb.StrictError, strict=True)
    expect(KeyboardInterrupt, progress=cancel)
    monkeypatch.setattr(in_parts, "write_part", write_or_fail)
    expect(rb.OutputError)


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_folder_that_a_killed_run_left_is_called_incomplete(
    emulator: Emulator, boxes: Path, pool: ProcessPoolExecutor, is_complete: bool
) -> None:
    out = f"left-{is_complete}"
    options: dict[str, Any] = {**tables_of(boxes), "storage_options": emulator.options}
    with emulator.container("killed") as client:
        client.upload_blob(f"{out}/unfinished-0123456789abcdef", b"regionbatch\n")
        client.upload_blob(f"{out}/part-00001.jsonl", b'{"regions":[]}\n')
        if is_complete:
            client.upload_blob(f"{out}/summary.json", b'{\n "schema_version": 1}\n')
    with pytest.raises(rb.OutputError, match="already exists") as caught:
        rb.convert(boxes, f"az://killed/{out}", executor=pool, **options)
    assert ("incomplete" in str(caught.value)) is not is_complete
    rb.convert(boxes, f"az://killed/{out}", executor=pool, overwrite=True, **options)
    assert "unfinished-0123456789abcdef" not in blobs_in(emulator, "killed", f"{out}/")


@pytest.mark.parametrize("url", ["az://missing-parts/out", "az://missing-parts"])
def test_parts_need_a_container(
    emulator: Emulator, boxes: Path, pool: ProcessPoolExecutor, url: str
) -> None:
    with pytest.raises(rb.OutputError):
        rb.convert(boxes, url, executor=pool, storage_options=emulator.options, **tables_of(boxes))


def test_the_command_has_a_cluster_write_a_folder(emulator: Emulator, tmp_path: Path) -> None:
    pytest.importorskip("distributed", reason="the extra dask is not installed")
    emulator.put_folder(ROOT / "fixtures/scene/voc", "cluster", "set")
    tables = ("--tag-ids", SCENE_TABLES["tag_ids"], "--image-ids", SCENE_TABLES["image_ids"])
    done = process(
        *("-m", "regionbatch_cli", "convert", "az://cluster/set", "--dask", "local"),
        *("-o", "az://cluster/my out", "--report", tmp_path / "report.json", *tables),
        REGIONBATCH_PROCESSES="1",
        AZURE_STORAGE_CONNECTION_STRING=emulator.connection_string,
    )
    assert done.returncode == 0, done.stderr
    assert KEY not in done.stdout + done.stderr
    assert blobs_in(emulator, "cluster", "my out/").keys() == {"part-00001.jsonl", "summary.json"}
    assert (tmp_path / "report.json").exists()
