"""Files of IDs and of tag names in a cloud, and journals, which must be on this machine."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from customvision.rehearsal import rehearsal

import regionbatch as rb
from helpers import ROOT, InThisProcess, command
from regionbatch.names.table_files import LARGEST_TABLE
from regionbatch.names.tables import collect_ids

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Executor
    from pathlib import Path

    from cloud.azurite import Emulator

SCENE = ROOT / "fixtures/scene"
TAGS, IMAGES = ((SCENE / name).read_bytes() for name in ("tags.json", "images.json"))


@pytest.fixture
def tables(cloud: Any) -> dict[str, Any]:
    """The tables of the scene, by keyword."""
    cloud.pipe_file("/my ids/tags.json", TAGS)
    cloud.pipe_file("/my ids/images.json", IMAGES)
    return {"tag_ids": "memory://my ids/tags.json", "image_ids": "memory://my ids/images.json"}


def test_tables_are_read(tables: dict[str, Any], tmp_path: Path, cloud: Any) -> None:
    here: dict[str, Any] = {"tag_ids": SCENE / "tags.json", "image_ids": SCENE / "images.json"}
    for keyword, url in tables.items():
        assert rb.read_ids(url) == rb.read_ids(here[keyword])
    dataset = rb.read(SCENE / "voc")
    expected = [batch.to_json() for batch in rb.batches(dataset, **here)]
    assert [batch.to_json() for batch in rb.batches(dataset, **tables)] == expected
    rb.convert(SCENE / "voc", tmp_path / "a.jsonl", **tables)
    assert (tmp_path / "a.jsonl").read_bytes() == b"".join(each + b"\n" for each in expected)
    changed = IMAGES.replace(b"a", b"b")  # of the same size
    cloud.pipe_file("/my ids/images.json", changed)
    assert rb.read_ids(tables["image_ids"]) == collect_ids(json.loads(changed).items())


def test_the_command_reads_tables(tables: dict[str, Any], tmp_path: Path, cloud: Any) -> None:
    ids = json.loads(TAGS)
    old = next(iter(ids))
    cloud.pipe_file("/my ids/tags.json", json.dumps({**ids, "new": ids.pop(old)}).encode())
    cloud.pipe_file("/my ids/names.csv", f"{old},new\n".encode())
    flags = ["--tag-ids", tables["tag_ids"], "--image-ids", tables["image_ids"]]
    out: tuple[str | Path, ...] = ("-o", tmp_path / "o.jsonl")
    done = command(
        *("convert", SCENE / "voc", *out, *flags, "--rename-file", "memory://my ids/names.csv")
    )
    assert done.status == 0, done.stderr
    for flag in ("--tag-ids", "--image-ids", "--rename-file"):
        done = command("convert", SCENE / "voc", *out, *flags, "--overwrite", flag, "memory://no/a")
        assert done.status == 1
        assert "memory://no/a: cannot be read: 'No such file or directory'. Check the path." in (
            done.stderr
        )


@pytest.mark.parametrize("executor", [None, InThisProcess()])
@pytest.mark.parametrize("keyword", ["tag_ids", "image_ids"])
def test_a_missing_table_is_reported_before_the_dataset_is_read(
    tables: dict[str, Any], tmp_path: Path, keyword: str, executor: Executor | None
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(rb.UnknownFormatError):
        rb.convert(empty, tmp_path / "out", **tables, executor=executor)
    for missing in ("memory://no/a", tmp_path / "no"):
        with pytest.raises(rb.ResolveError) as caught:
            rb.convert(empty, tmp_path / "out", **{**tables, keyword: missing}, executor=executor)
        assert caught.value.place == str(missing)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(b"", "not valid JSON"), (b" " * (LARGEST_TABLE + 1), "larger than 64 MiB")],
)
def test_a_table_that_cannot_be_used(cloud: Any, content: bytes, problem: str) -> None:
    cloud.pipe_file("/ids/tags.json", content)
    with pytest.raises(rb.ResolveError, match=problem) as caught:
        rb.read_ids("memory://ids/tags.json")
    assert caught.value.place.startswith("memory://ids/tags.json")


def test_a_table_that_is_a_folder(cloud: Any) -> None:
    cloud.pipe_file("/ids/folder/tags.json", b"{}")
    with pytest.raises(rb.ResolveError, match="folder: cannot be read: 'Is a directory'"):
        rb.read_ids("memory://ids/folder")


def test_a_url_that_cannot_be_opened() -> None:
    with pytest.raises(rb.OptionError, match="web server"):
        rb.read_ids("https://example.com/tags.json")


def test_storage_options_open_the_tables(tmp_path: Path) -> None:
    accounts = pytest.importorskip("cloud.accounts", exc_type=ImportError)
    account = {"account": "tables"}
    storage = accounts.AccountFileSystem(**account)
    storage.pipe_file("/own/tags.json", TAGS)
    storage.pipe_file("/own/images.json", IMAGES)
    own: dict[str, Any] = {"tag_ids": "accounts://own/tags.json"}
    own["image_ids"] = "accounts://own/images.json"
    try:
        rb.convert(SCENE / "voc", tmp_path / "a.jsonl", storage_options=account, **own)
    finally:
        accounts.AccountFileSystem.stores.clear()
        accounts.AccountFileSystem.folders.clear()


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # adlfs leaves them open
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_tables_in_blob_storage(emulator: Emulator, tmp_path: Path) -> None:
    with emulator.container("tables") as client:
        for name, content in (("tags", TAGS), ("images", IMAGES), ("empty", b"")):
            client.upload_blob(f"my ids/{name}.json", content)
    url = "az://tables/my ids/"
    options: dict[str, Any] = {"storage_options": emulator.options, "overwrite": True}
    options |= {"tag_ids": f"{url}tags.json", "image_ids": f"{url}images.json"}
    rb.convert(SCENE / "voc", tmp_path / "a.jsonl", **options)
    for name, problem in (("empty", "not valid JSON"), ("none", "No such file")):
        options["image_ids"] = f"{url}{name}.json"
        with pytest.raises(rb.ResolveError, match=problem):
            rb.convert(SCENE / "voc", tmp_path / "a.jsonl", **options)


@pytest.mark.parametrize("run", [rb.upload, rb.verify])
def test_a_journal_in_a_cloud_is_refused(run: Callable[..., object]) -> None:
    dataset = rb.read(SCENE / "voc")
    with rehearsal() as (service, project, client):
        before = dict(service.calls)
        with pytest.raises(rb.JournalError, match="must be on this machine") as caught:
            run(dataset, client, project, journal="az://container/j.sqlite")
        assert dict(service.calls) == before
    assert caught.value.place == "az://container/j.sqlite"


@pytest.mark.parametrize("name", ["upload", "verify", "ids"])
def test_the_command_refuses_a_journal_in_a_cloud(name: str) -> None:
    """The endpoint and the key are missing, so the service cannot be called before."""
    rest = ["-o", "ids"] if name == "ids" else [SCENE / "voc"]
    done = command(name, *rest, "--project-id", "ID", "--journal", "az://container/j.sqlite")
    assert done.status == 2
    problem = "--journal: a journal must be on this machine: 'az://container/j.sqlite'."
    assert f"{problem} Name a local file." in done.stderr
