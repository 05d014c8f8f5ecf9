"""Images by URL from blob storage: the emulator of Azure, through a proxy that counts."""

from __future__ import annotations

import re
import threading
import time
from typing import TYPE_CHECKING

import pytest
from cloud.azurite import KEY
from customvision.command_place import started
from customvision.rehearsal import (
    Clock,
    expected_regions,
    make_older,
    rehearsal,
    stored_regions,
    upload,
    write_dataset,
    write_noise,
)

import regionbatch as rb
from helpers import write_coco

if TYPE_CHECKING:
    from pathlib import Path

    from cloud.azurite import Emulator, Get

URLS = "CreateImagesFromUrls"
pytestmark = [
    # adlfs warns when it creates a container, and leaves its connections to the end of the process.
    pytest.mark.filterwarnings("ignore::UserWarning", "ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


def images(emulator: Emulator) -> list[Get]:
    """Return the requests that read images."""
    return [get for get in emulator.proxy.gets if get.blob.endswith((".png", ".bmp"))]


NAMES = ["plain.png", "a b.png", "ä.png", "50%.png", "c%20d.png", "e#f.png", "e.png", "i+j,=&.png"]
"""Names that a URL has to encode; two are easily taken for another."""


def test_a_dataset_in_blob_storage(emulator: Emulator, tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    sizes = {name: (100 + 7 * at, 90) for at, name in enumerate(NAMES)}
    for name, size in sizes.items():
        write_noise(folder / name, size, "PNG")
    write_noise(folder / "large.bmp", (400, 300), "BMP")
    sizes["large.bmp"] = (400, 300)
    write_coco(folder, [(name, "cat", (1, 1, 5, 5)) for name in sizes], images=sizes)
    emulator.put_folder(folder, "container", "first/my set")
    emulator.proxy.gets.clear()
    dataset = rb.read("az://container/first/my set", storage_options=emulator.options)
    assert len(dataset) == len(sizes)
    read = sum(get.size for get in images(emulator))
    assert read < 65_536 * len(sizes), "of an image, only the beginning"
    emulator.proxy.gets.clear()
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (service, project, client):
        result = upload(dataset, client, project, by_url=True, journal=journal)
        assert stored_regions(service, project) == expected_regions(dataset, result)
        assert (result.lost, result.calls[URLS]) == (0, 1)
        fetched = images(emulator)
        assert {get.blob.rpartition("/")[2] for get in fetched} == sizes.keys()
        assert all(get.is_whole and not get.by_library for get in fetched), "only by the service"
        assert len(fetched) == len(sizes)
        assert rb.verify(
            dataset, client, project, journal=journal, rate_limiter=Clock().rate_limiter()
        ).good
        again = upload(dataset, client, project, by_url=True, journal=journal)
        assert (again.new_images, again.sent, again.lost) == (0, 0, 0)
        assert b"sig=" not in journal.read_bytes()


def test_a_blob_that_is_deleted_or_replaced(emulator: Emulator, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path / "set", images=6, boxes=2)
    emulator.put_folder(folder, "container", "second")
    url = "az://container/second"
    dataset = rb.read(url, storage_options=emulator.options)
    container = emulator.container("container")
    container.delete_blob("second/00001.png")
    journal = tmp_path / "journal.sqlite"
    with rehearsal() as (_, project, client):
        result = upload(dataset, client, project, by_url=True, journal=journal)
        refused = [one for one in result.findings if one.code == "image_refused"]
        assert [one.file for one in refused] == ["00001.png"]
        assert refused[0].value.startswith("ErrorSource")
        assert (result.failed, result.created) == (2, 8)

        write_noise(folder / "00003.png", (64, 64), "PNG")
        for name in ("00001.png", "00003.png"):
            container.upload_blob(f"second/{name}", (folder / name).read_bytes(), overwrite=True)
        dataset = rb.read(url, storage_options=emulator.options)
        again = upload(dataset, client, project, by_url=True, journal=journal)
        assert again.new_images == 2, "the missing image, and the one with another version"
        assert again.findings.counts()["image_changed"] == 1
        assert again.image_ids["00003.png"] != result.image_ids["00003.png"]
        assert (again.created, again.failed) == (4, 0)


def test_kill_9_and_resume(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each image and each region is stored once, whenever the command is killed."""
    folder = write_dataset(tmp_path / "set", images=70, boxes=3)
    emulator.put_folder(folder, "container", "third")
    emulator.proxy.gets.clear()
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulator.connection_string)
    dataset = rb.read("az://container/third", storage_options=emulator.options)
    with rehearsal() as (service, project, client):
        monkeypatch.setenv("VISION_TRAINING_ENDPOINT", service.endpoint)
        monkeypatch.setenv("VISION_TRAINING_KEY", service.key)
        line = ["upload", "az://container/third", "--by-url", "--create-tags"]
        line += ["--project-id", project, "--journal", "journal.sqlite", "--accept-drops"]
        killed = started(*line, cwd=tmp_path)
        end = time.monotonic() + 120
        while not any(get.is_whole for get in images(emulator)):
            assert time.monotonic() < end
            assert killed.poll() is None, killed.stderr and killed.stderr.read()
            threading.Event().wait(0.01)
        killed.kill()
        killed.communicate()
        assert service.calls["CreateImageRegions"] == 0
        make_older(tmp_path / "journal.sqlite", 60)  # no wait for the last call
        resumed = started(*line, cwd=tmp_path)
        _, errors = resumed.communicate(timeout=300)
        assert resumed.returncode == 0, errors
        result = upload(dataset, client, project, dry_run=True, journal=tmp_path / "journal.sqlite")
        assert (result.plan.regions, result.plan.already, result.plan.new_images) == (0, 207, 0)
        assert stored_regions(service, project) == expected_regions(dataset, result)
        assert len(_all_images(project, client)) == 70
    kept = [path.read_bytes() for path in tmp_path.glob("journal.sqlite*")]
    assert not [content for content in kept if re.search(rb"sig=|AccountKey", content)]


def _all_images(project: str, client: rb.TrainingClient) -> list[str]:
    ids: list[str] = []
    for listing in (client.tagged_images, client.untagged_images):
        ids += [image.id for image in listing(project, skip=0)]
    return ids


def test_credentials_that_cannot_sign(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A signature gives access, but only a key can sign. The advice must be possible to follow."""
    folder = write_dataset(tmp_path / "set", images=2, boxes=1)
    emulator.put_folder(folder, "container", "fourth")
    limited = emulator.limited("container", "rl")
    dataset = rb.read("az://container/fourth", storage_options={"connection_string": limited})
    problem = "Error: az://container: this storage cannot sign URLs with these credentials. "
    advice = "Use an account key, or download the dataset and leave out {}"
    with rehearsal() as (_, project, client), pytest.raises(rb.OptionError) as caught:
        upload(dataset, client, project, by_url=True)
    last = ", or pass a function as `by_url`."
    assert f"Error: {caught.value}" == problem + advice.format("`by_url`") + last

    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", limited)
    line = ["upload", "az://container/fourth", "--local", "--create-tags", "--by-url"]
    run = started(*line, cwd=tmp_path)
    _, errors = run.communicate(timeout=120)
    assert run.returncode == 2
    assert errors.replace("\n", " ").strip().endswith(problem + advice.format("--by-url") + ".")


def test_the_command_without_credentials(
    emulator: Emulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No error contains the signature of the request or the key."""
    wrong = f"AAAA{KEY[4:]}"
    denied = emulator.connection_string.replace(KEY, wrong)
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", denied)
    run = started("upload", "az://container/none", "--by-url", "--local", cwd=tmp_path)
    out, errors = run.communicate(timeout=120)
    assert run.returncode in (1, 2)
    assert wrong not in out + errors
    assert not re.search("sig=", out + errors)
    assert not [*tmp_path.iterdir()]
