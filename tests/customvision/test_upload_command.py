"""The commands `regionbatch upload`, `verify` and `serve`."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from contextlib import closing
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

import pytest
from customvision.command_place import KEY, Place, started
from customvision.rehearsal import SENDING, Clock, expected_counts, make_older, write_dataset
from PIL import Image

from helpers import command, id_of, mentions, write_coco, write_json
from regionbatch.local import Fault
from regionbatch_cli.progress import ProgressBar

if TYPE_CHECKING:
    from pathlib import Path


def test_upload_upload_again_and_verify(place: Place) -> None:
    result = place.run("upload", "--create-tags")
    assert (result.status, result.stderr) == (0, "")
    whose = hashlib.sha256(os.fsencode(place.set.resolve())).hexdigest()[:6]
    journal = f"my.set-{place.project[:8]}-{whose}.regionbatch.sqlite"
    calls = place.service.calls.total()
    assert mentions(
        result.stdout, *("cat", "dog", "emu"), 60, f"{calls} calls", "1 s", "S0", journal
    )
    assert (place.folder / journal).is_file()
    assert len(place.service.regions(place.project)) == 60

    again = place.run("upload", "--create-tags", "--json")
    assert again.status == 0
    assert (again.json["sent"], again.json["created"], again.json["already"]) == (0, 0, 60)
    assert again.json["verification"] == expected_counts(60)

    proof = place.run("verify")
    assert (proof.status, proof.stderr) == (0, "")
    assert mentions(proof.stdout.splitlines()[-1], 60)
    assert place.run("verify", "--json").json["verification"] == expected_counts(60)


def test_the_plan_is_printed_before_the_first_write(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown: list[tuple[int, str]] = []

    def echo(text: str = "", **_more: Any) -> None:
        shown.append((place.service.calls["CreateTag"], text))

    monkeypatch.setattr("regionbatch_cli.printing.click.echo", echo)
    assert place.run("upload", "--create-tags").status == 0
    before = "\n".join(text for created, text in shown if not created)
    after = "\n".join(text for created, text in shown if created)
    assert mentions(before, "cat", "dog", "emu", 60, place.service.calls.total(), "S0")
    assert {created for created, _ in shown} == {0, 3}
    assert mentions(after, 60)
    assert ".sqlite" not in before
    assert ".sqlite" in after


def test_a_dry_run(place: Place) -> None:
    result = place.run("upload", "--create-tags", "--dry-run")
    assert result.status == 0
    assert mentions(result.stdout.splitlines()[-1], "--dry-run")
    shown = place.run("upload", "--create-tags", "--dry-run", "--json").json
    assert (shown["sent"], shown["plan"]["regions"], shown["verification"]) == (0, 60, None)
    assert not [*place.folder.glob("*.sqlite")]
    assert not place.service.calls["CreateTag"]


def test_verify_counts_every_box(place: Place) -> None:
    """Two images share an ID: identical boxes are uploaded once, and the second is reported."""
    place.set = write_coco(
        place.folder / "twins", [("a.png", "cat", (1, 2, 30, 40)), ("b.png", "cat", (1, 2, 30, 40))]
    )
    Image.new("RGB", (200, 100)).save(place.folder / "twins" / "a.png")
    assert place.run("upload", "--create-tags", "--skip-unresolved", "--accept-drops").status == 0
    [id_] = {row.image_id for row in place.service.regions(place.project)}
    ids = write_json(place.folder / "ids.json", {"a.png": id_, "b.png": id_})
    result = place.run("verify", "--image-ids", ids, "--json")
    assert result.status == 3
    assert result.json["verification"] == expected_counts(1)
    assert result.json["boxes"] == {
        "read": 2,
        "kept": 1,
        "adjusted": {},
        "dropped": {"duplicate": 1},
    }
    assert mentions(place.run("verify", "--image-ids", ids).stdout, "duplicate")


def test_a_class_name_cannot_print_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    lines = command(
        "upload", write_dataset(tmp_path / "set", images=2, tags=["a\nINJECTED"]), "--local"
    ).stdout
    assert "INJECTED" in lines, "the tag is named, so that this can fail"
    assert not [line for line in lines.splitlines() if line.startswith("INJECTED")]


def test_json_and_report(place: Place) -> None:
    result = place.run(
        "upload", "--create-tags", "--json", "--report", place.folder / "report.json"
    )
    shown = result.json
    assert (shown["sent"], shown["created"], shown["already"]) == (60, 60, 0)
    assert shown["verification"] == {
        "matched": 60,
        "missing": 0,
        "moved": 0,
        "extra": 0,
        "elsewhere": 0,
    }
    assert shown["calls"] == shown["plan"]["calls"] == dict(place.service.calls)
    assert shown["boxes"]["read"] == 60
    report = json.loads((place.folder / "report.json").read_text(encoding="utf-8"))
    assert report["upload"]["created"] == 60
    assert report["counts"] == {"too_few_images": 3, "small_image": 3}
    [tag, *_] = report["upload"]["plan"]["tags"]
    assert (tag["name"], tag["images"], tag["boxes"]) == ("cat", 2, 20)
    assert tag["finding"] == "too_few_images"

    place.client.delete_regions(place.project, [place.service.regions(place.project)[0].region_id])
    [journal] = place.folder.glob("*.regionbatch.sqlite")
    make_older(journal, seconds=100)  # right after an upload, missing regions are waited for
    proof = place.run("verify", "--json", "--report", place.folder / "proof.json")
    assert proof.status == 3
    assert proof.json["verification"]["missing"] == 1
    report = json.loads((place.folder / "proof.json").read_text(encoding="utf-8"))
    [finding] = report["findings"]
    assert (finding["code"], report["counts"]) == ("region_missing", {"region_missing": 1})
    assert place.run("verify", "--accept-drops").status == 0


def test_lost_regions_are_reported_with_status_3(place: Place) -> None:
    (place.set / "00001.png").write_bytes(b"not an image")
    result = place.run("upload", "--create-tags")
    assert result.status == 3
    assert mentions(result.stdout, "image_refused", "region_failed", 1, 30)
    assert "region_missing" not in result.stdout, "said once"
    again = place.run("upload", "--create-tags", "--accept-drops", "--json")
    assert again.status == 0
    assert (again.json["already"], again.json["created"], again.json["failed"]) == (30, 0, 30)
    assert again.json["findings"]["image_refused"] == 1
    assert again.json["findings"]["region_failed"] == 30


def test_a_refused_image_without_boxes_gives_status_3(place: Place) -> None:
    (place.set / "00002.png").write_bytes(b"not an image")
    for more in (["--dry-run"], []):
        result = place.run("upload", "--create-tags", *more)
        assert (result.status, mentions(result.stdout, 1, "image_refused")) == (3, True)


def test_image_ids_and_renamed_classes(place: Place) -> None:
    assert (
        place.run(
            "upload", "--create-tags", "--rename", "cat=lion", "--journal", "one.sqlite"
        ).status
        == 0
    )
    rows = place.service.regions(place.project)
    assert {row.tag_name for row in rows} == {"lion", "dog", "emu"}
    assert (place.folder / "one.sqlite").is_file()
    names = sorted({row.image_id for row in rows})
    wrong = write_json(
        place.folder / "images.json", dict(zip(["00001.png", "00000.png"], names, strict=True))
    )
    right = write_json(
        place.folder / "right.json", dict(zip(["00000.png", "00001.png"], names, strict=True))
    )
    found = [
        place.run("verify", "--rename", "cat=lion", "--image-ids", one).status
        for one in (wrong, right)
    ]
    assert sorted(found) == [0, 3], "one of the two tables has it the right way round"


@pytest.mark.parametrize(
    ("arguments", "tokens"),
    [
        ([], ["--project-id"]),
        (["--project-id", "x", "--endpoint", ""], ["--endpoint", "VISION_TRAINING_ENDPOINT"]),
        (
            ["--project-id", "x", "--endpoint", "http://example.com"],
            ["--endpoint", "example.com", "https"],
        ),
        (["--project-id", "x", "--key-file", KEY], ["--key-file"]),
        (["--project-id", "x", "--api-version", "4"], ["4"]),
        (["--local", "--project-id", "x"], ["--local", "--project-id"]),
        (
            ["--local", "--endpoint", "https://127.0.0.1", "--entra"],
            ["--local", "--endpoint", "--entra"],
        ),
        (["--local", "--key-file", "x", "--journal", "y"], ["--local", "--journal", "--key-file"]),
        (["--local", "--api-version", "4"], ["4"]),
        (["--project-id", "x", "--rename", "y"], ["--rename", "OLD=NEW", "y"]),
    ],
)
def test_wrong_usage(place: Place, arguments: list[str], tokens: list[str]) -> None:
    result = command("upload", place.set, *arguments)
    assert result.status == 2
    assert mentions(result.stderr, *tokens)
    assert KEY not in result.stderr
    assert not place.service.calls


def test_no_key(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("VISION_TRAINING_KEY")
    result = place.run("upload")
    assert (
        result.status,
        mentions(result.stderr, "VISION_TRAINING_KEY", "--key-file", "--entra"),
    ) == (2, True)
    (place.folder / "empty.txt").touch()
    result = place.run("upload", "--key-file", "empty.txt")
    assert (result.status, mentions(result.stderr, "--key-file", "empty.txt")) == (2, True)
    (place.folder / "key.txt").write_text(f"{KEY}\r\n", encoding="utf-8")
    assert place.run("upload", "--create-tags", "--key-file", place.folder / "key.txt").status == 0
    assert KEY.encode() not in b"".join(
        path.read_bytes() for path in place.folder.glob("*.sqlite*")
    )


def test_authentication_with_entra(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token is requested, and sent over https only; the key is not used."""
    monkeypatch.setitem(sys.modules, "azure.identity", None)
    result = place.run("upload", "--entra")
    assert (result.status, mentions(result.stderr, "regionbatch[entra]")) == (2, True)
    identity = ModuleType("azure.identity")
    identity.DefaultAzureCredential = lambda: mock.Mock(spec=["get_token"])  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "azure.identity", identity)
    result = place.run("upload", "--entra")
    assert (result.status, mentions(result.stderr, "https", place.service.endpoint)) == (2, True)
    assert not place.service.calls


def test_a_wrong_key_and_a_wrong_project(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for project in (f"{place.project[:-1]} ", place.project.replace("-", "", 1)):
        result = command("upload", place.set, "--project-id", project)
        assert (result.status, mentions(result.stderr, "--project-id", project)) == (2, True)
    assert not place.service.calls
    assert mentions(
        command("upload", place.set, "--project-id", id_of("x")).stderr, 404, "NotFoundProject"
    )
    monkeypatch.setenv("VISION_TRAINING_KEY", "wrong")
    result = place.run("upload")
    assert result.status == 1
    assert mentions(result.stderr, 401)
    assert "wrong" not in result.stderr


def test_a_journal_in_use(place: Place) -> None:
    from regionbatch.customvision.journal import Journal  # noqa: PLC0415 - only here

    with Journal("one.sqlite", place.project) as journal:
        journal.start_call("CreateTag")
        result = place.run("upload", "--journal", "one.sqlite")
    assert (result.status, mentions(result.stderr, "one.sqlite")) == (1, True)


def test_each_dataset_and_each_split_has_its_own_journal(place: Place) -> None:
    """Every export has a folder `train`."""
    for folder in ("a/train", "b/train"):
        write_dataset(place.folder / folder, images=2)
        assert command("upload", place.folder / folder, *place.to, "--create-tags").status == 0
    for more in (["--split", "train"], ["--coco-json", "annotations.json"]):
        command("upload", place.folder / "a/train", *place.to, *more)
    assert len([*place.folder.glob(f"train-{place.project[:8]}-*.regionbatch.sqlite")]) in (3, 4)


def test_regions_on_other_images_are_counted(place: Place) -> None:
    assert place.run("upload", "--create-tags").status == 0
    other = write_dataset(place.folder / "other", images=2, seed=1)
    result = command("upload", other, *place.to, "--json")
    assert (result.status, result.json["verification"]) == (0, expected_counts(30, elsewhere=60))
    assert mentions(command("upload", other, *place.to).stdout, 30, 60)


def test_a_long_wait_is_printed(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is printed on standard error, also with --json, but not with --quiet."""
    clock = Clock()
    monkeypatch.setattr("regionbatch.customvision.upload.RateLimiter", clock.rate_limiter)
    for more, shown in ((["--json"], 1), (["--quiet"], 0)):
        faults = place.service.faults
        faults.rate, faults.kinds, faults.cap = 1, (Fault.THROTTLED,), faults.injected.total() + 1
        faults.burst, faults.retry_seconds = 1, 30
        result = place.run("upload", "--create-tags", *more)
        assert (result.status, [mentions(line, 30) for line in result.stderr.splitlines()]) == (
            0,
            [True] * shown,
        )


def test_a_line_is_printed_above_the_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with closing(ProgressBar()) as bar:
        bar(SENDING, 1, 2)
        bar.say(f"[a] {'line ' * 50}")
    printed = capsys.readouterr().err
    assert f"[a] {'line ' * 50}".strip() in " ".join(printed.replace("\r", " ").split())


def test_local(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = command("upload", write_dataset(tmp_path / "set", images=3), "--local", "--json")
    assert (result.status, result.stderr) == (0, "")
    assert result.json["verification"] == expected_counts(60)
    assert [path.name for path in tmp_path.iterdir()] == ["set"], "nothing is left"


@pytest.mark.parametrize("bad", ["two words", "clé", "a\x07b", "  "])
def test_a_text_that_cannot_be_a_key_is_named_by_its_source(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bad: str
) -> None:
    file = tmp_path / "key.txt"
    file.write_text(bad, encoding="utf-8")
    monkeypatch.setenv("VISION_TRAINING_KEY", bad)
    monkeypatch.setenv("REGIONBATCH_LOCAL_KEY", bad)
    projects = ["projects", "--endpoint", "http://127.0.0.1:1"]
    for arguments, source in (
        (projects, "VISION_TRAINING_KEY"),
        ([*projects, "--key-file", file], "--key-file"),
        (["serve"], "REGIONBATCH_LOCAL_KEY"),
        (["serve", "--require-key", file], "--require-key"),
        (["serve", "--key", bad], "--key"),
        (["serve", "--key", ""], "--key"),
    ):
        result = command(*arguments)
        assert (result.status, f"Error: {source}: " in result.stderr) == (2, True)
        assert not bad.strip() or bad not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C of another process")
def test_serve(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "key.txt").write_text(f"{KEY}\n", encoding="utf-8")
    stored = ["serve", "--json", "--database", "db.sqlite"]
    options = [
        "--require-key",
        "key.txt",
        "--on-existing",
        "refuse",
        "--no-nulls",
        "--quoted-names",
    ]
    with started(*stored, *options, cwd=tmp_path) as run:
        assert run.stdout is not None
        shown: dict[str, Any] = json.loads("".join(iter(run.stdout.readline, "}\n")) + "}")
        assert shown["key"] == KEY
        monkeypatch.setenv("VISION_TRAINING_KEY", KEY)
        folder = write_dataset(tmp_path / "set", images=2)
        target = ["--endpoint", shown["endpoint"], "--project-id", shown["project"]]
        assert command("upload", folder, "--create-tags", *target).status == 0
        run.send_signal(signal.SIGINT)
        _, errors = run.communicate(timeout=20)
        assert (run.returncode, errors) == (0, "")
    with started(*stored, cwd=tmp_path) as again:
        assert again.stdout is not None
        again_shown = json.loads("".join(iter(again.stdout.readline, "}\n")) + "}")
        again.send_signal(signal.SIGINT)
        again.communicate(timeout=20)
    assert again_shown["project"] == shown["project"], "the database keeps the project"


@pytest.mark.parametrize("way", ["environment", "file", "option", "none"])
def test_the_key_of_the_local_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    """An option that shows the key in the list of processes still works, with a warning."""
    keys: list[str | None] = []
    monkeypatch.setattr(
        "regionbatch.local.run_service", lambda settings, **_: keys.append(settings.key)
    )
    (tmp_path / "key.txt").write_text(KEY, encoding="utf-8")
    monkeypatch.setenv("VISION_TRAINING_KEY", "that of the real service")
    monkeypatch.setenv("REGIONBATCH_LOCAL_KEY", KEY if way == "environment" else "")
    options = {"file": ["--require-key", str(tmp_path / "key.txt")], "option": ["--key", KEY]}
    result = command("serve", *options.get(way, []))
    assert (result.status, keys) == (0, [None if way == "none" else KEY])
    assert KEY not in result.stdout + result.stderr
    assert mentions(result.stderr, "--require-key", "REGIONBATCH_LOCAL_KEY") == (way == "option")
    assert command("serve", "--require-key", tmp_path / "nowhere").status == 2
