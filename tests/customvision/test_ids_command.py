"""`regionbatch ids` and `upload --save-ids`: the tables that `convert` reads."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from customvision.rehearsal import delete_images, write_dataset, write_image

import regionbatch as rb
from helpers import Result, command, mentions, write_coco
from regionbatch.customvision.service_types import ImageUpload
from regionbatch.customvision.stored_names import NAME_KEY

if TYPE_CHECKING:
    from collections.abc import Mapping

    from customvision.command_place import Place

BOX = (5, 5, 20, 20)


def tables(folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    tags, images = (rb.read_ids(folder / name) for name in ("tags.json", "images.json"))
    return tags, images


def ids(place: Place, *arguments: str | Path) -> Result:
    return command("ids", *place.to, *arguments)


def stored_tags(place: Place) -> dict[str, str]:
    return {tag.name: tag.id for tag in place.client.tags(place.project)}


def convert(place: Place, folder: Path) -> Result:
    files = ["--tag-ids", f"{folder}/tags.json", "--image-ids", f"{folder}/images.json"]
    return command("convert", place.set, "-o", place.folder / "payloads", *files)


def test_what_ids_writes_is_what_convert_reads(place: Place) -> None:
    assert place.run("upload", "--create-tags").status == 0
    result = ids(place, place.set, "-o", "ids")
    assert (result.status, result.stderr) == (0, "")
    assert mentions(result.stdout, "ids/tags.json", "ids/images.json", 3)
    tags, images = tables(Path("ids"))
    assert tags == stored_tags(place)
    assert sorted(images) == ["00000.png", "00001.png", "00002.png"]
    assert convert(place, Path("ids")).status == 0
    stored = {region.image_id for region in place.service.regions(place.project)}
    sent = json.loads((place.folder / "payloads" / "batch-00001.json").read_text(encoding="utf-8"))
    assert {region["imageId"] for region in sent["regions"]} == stored


def test_upload_saves_the_same_files(place: Place) -> None:
    assert place.run("upload", "--create-tags", "--save-ids", "saved").status == 0
    assert ids(place, place.set, "-o", "ids").status == 0
    assert tables(Path("saved")) == tables(Path("ids"))
    again = place.run("upload", "--save-ids", "saved", "--json")
    assert again.status == 0, "a run that resumes replaces the files"
    assert tables(Path("saved")) == tables(Path("ids"))


def test_saved_ids_with_renamed_classes(place: Place) -> None:
    more = ["--create-tags", "--rename", "cat=big cat", "--save-ids", "saved"]
    assert place.run("upload", *more).status == 0
    tags, _ = tables(Path("saved"))
    assert tags == stored_tags(place)
    assert "big cat" in tags


def test_ids_are_saved_only_where_they_are_of_use(place: Place) -> None:
    result = command("upload", place.set, "--local", "--save-ids", "saved")
    assert (result.status, mentions(result.stderr, "--local", "--save-ids")) == (2, True)
    assert place.run("upload", "--create-tags", "--dry-run", "--save-ids", "saved").status == 0
    assert not Path("saved").exists()


def test_a_folder_that_is_a_file_is_noticed_before_the_upload(place: Place) -> None:
    Path("saved").write_text("mine", encoding="utf-8")
    result = place.run("upload", "--create-tags", "--save-ids", "saved")
    assert (result.status, mentions(result.stderr, "saved")) == (1, True)
    assert not place.service.calls
    Path("tags.json").write_text('["mine"]', encoding="utf-8")
    result = place.run("upload", "--create-tags", "--save-ids", ".")
    assert (result.status, mentions(result.stderr, "tags.json")) == (1, True)
    assert Path("tags.json").read_text(encoding="utf-8") == '["mine"]'


def test_nothing_is_replaced_without_overwrite(place: Place) -> None:
    place.run("upload", "--create-tags")
    Path("ids").mkdir()
    (Path("ids") / "images.json").write_text("{}", encoding="utf-8")
    (Path("ids") / "other.txt").write_text("mine", encoding="utf-8")
    calls = place.service.calls.total()
    result = ids(place, place.set, "-o", "ids")
    assert (result.status, mentions(result.stderr, "images.json", "--overwrite")) == (1, True)
    assert place.service.calls.total() == calls
    assert not (Path("ids") / "tags.json").exists()
    assert ids(place, place.set, "-o", "ids", "--overwrite").status == 0
    assert len(tables(Path("ids"))[1]) == 3
    assert (Path("ids") / "other.txt").read_text(encoding="utf-8") == "mine"
    assert sorted(path.name for path in Path("ids").iterdir()) == [
        "images.json",
        "other.txt",
        "tags.json",
    ]


def test_another_file_is_never_replaced(place: Place) -> None:
    Path("ids").mkdir()
    Path("ids/tags.json").write_text('{"name": "package", "version": 1}', encoding="utf-8")
    result = ids(place, "-o", "ids", "--overwrite")
    assert (result.status, mentions(result.stderr, "tags.json")) == (1, True)
    assert "package" in Path("ids/tags.json").read_text(encoding="utf-8")


def test_without_names_only_the_tags_are_written(place: Place) -> None:
    place.run("upload", "--create-tags", "--journal", "own.sqlite")
    result = ids(place, "-o", "ids")
    assert result.status == 0
    assert mentions(result.stdout, "images.json", "--journal", "--store-names", "--api-version 3.3")
    assert [path.name for path in Path("ids").iterdir()] == ["tags.json"]
    other = ids(place, place.set, "-o", "other")
    assert other.status == 3
    assert mentions(other.stdout, "images.json", "--journal")
    assert f"warning: {place.set.name}-" in other.stdout
    assert "DATASET" not in other.stdout, "it was given"
    assert ids(place, "-o", "own", "--journal", "own.sqlite").status == 0
    assert len(tables(Path("own"))[1]) == 3
    place.run("upload", "--image-ids", "own/images.json", "--journal", "without.sqlite")
    without = ids(place, "-o", "third", "--journal", "without.sqlite")
    assert (without.status, mentions(without.stdout, "without.sqlite")) == (3, True)
    shown = ids(place, "-o", "ids", "--overwrite", "--json").json
    assert (shown["images"], shown["tags"]) == (None, stored_tags(place))


@pytest.mark.skipif(sys.platform == "win32", reason="nothing shows there that a run was killed")
def test_what_killed_runs_left_of_tables_is_deleted(place: Place) -> None:
    place.run("upload", "--create-tags")
    Path("ids").mkdir()
    for number, content in enumerate(("", '{\n "cat": "0a1', "mine")):
        Path(f"ids/.tags.json.0000000{number}.part").write_text(content, encoding="utf-8")
    assert ids(place, place.set, "-o", "ids").status == 0
    assert sorted(path.name for path in Path("ids").iterdir()) == [
        ".tags.json.00000002.part",
        "images.json",
        "tags.json",
    ]


def test_images_of_an_earlier_run_are_not_taken_for_those_of_this_one(place: Place) -> None:
    place.run("upload", "--create-tags")
    assert ids(place, place.set, "-o", "ids").status == 0
    before = tables(Path("ids"))
    for options in ([], ["--json"]):
        result = ids(place, "-o", "ids", "--overwrite", *options)
        assert result.status == 3
        assert bool(options) or mentions(result.stdout, "warning: ids/images.json")
    assert tables(Path("ids")) == before


def test_journals_of_parts_of_a_dataset_are_named(place: Place) -> None:
    assert place.run("upload", "--create-tags", "--coco-json", "annotations.json").status == 0
    [journal] = place.folder.glob("*.sqlite")
    result = ids(place, place.set, "-o", "ids")
    assert mentions(result.stdout, journal.name)


@pytest.mark.parametrize("journal", ["none.sqlite", "other.sqlite"])
def test_a_journal_of_nothing_or_of_another_project(place: Place, journal: str) -> None:
    from regionbatch.customvision.journal import Journal  # noqa: PLC0415 - only here

    if journal == "other.sqlite":
        with Journal(journal, place.service.create_project("other")) as opened:
            opened.start_run("", {})
            opened.finish_call(opened.start_call("GetTags"))
    result = ids(place, "-o", "ids", "--journal", journal)
    assert (result.status, mentions(result.stderr, journal)) == (
        2 if "none" in journal else 1,
        True,
    )
    assert not Path("ids").exists()


def test_names_that_the_project_stores(place: Place) -> None:
    place.to += ["--api-version", "3.3"]
    assert (
        place.run("upload", "--create-tags", "--store-names", "--journal", "a.sqlite").status == 0
    )
    assert ids(place, "-o", "ids").status == 0
    assert ids(place, "-o", "journal", "--journal", "a.sqlite").status == 0
    assert tables(Path("ids")) == tables(Path("journal"))
    assert convert(place, Path("ids")).status == 0


def store(place: Place, names: Mapping[str, str]) -> None:
    """Upload images, with other names in the metadata."""
    with rb.TrainingClient(place.service.endpoint, place.service.key, version="3.3") as client:
        for number, (file, name) in enumerate(names.items()):
            write_image(Path(file), colour=7000 + number)
            image = ImageUpload(name=file, contents=Path(file).read_bytes())
            client.create_images(place.project, [image], metadata={NAME_KEY: name})


def test_a_name_of_two_images_is_left_out_and_listed(place: Place) -> None:
    store(place, {"x.png": "same.png", "y.png": "same.png", "z.png": "other.png"})
    result = ids(place, "-o", "ids", "--api-version", "3.3")
    assert (result.status, mentions(result.stdout, "same.png")) == (3, True)
    assert list(tables(Path("ids"))[1]) == ["other.png"]
    shown = ids(place, "-o", "ids", "--api-version", "3.3", "--overwrite", "--json").json
    assert len(shown["ambiguous"]["same.png"]) == 2


def test_the_journal_wins_over_names_in_the_project(place: Place) -> None:
    """Somebody uploaded another image under the same name."""
    place.run("upload", "--create-tags")
    store(place, {"x.png": "00000.png"})
    assert ids(place, place.set, "-o", "ids", "--api-version", "3.3").status == 0
    assert ids(place, place.set, "-o", "ids2").status == 0
    assert tables(Path("ids")) == tables(Path("ids2"))


def test_deleted_images_are_left_out_and_listed(place: Place) -> None:
    place.run("upload", "--create-tags", "--save-ids", "saved")
    gone = tables(Path("saved"))[1]["00001.png"]
    delete_images(place.client, place.project, [gone])
    for more in ([], ["--api-version", "3.3"]):
        result = ids(place, place.set, "-o", "ids", "--overwrite", *more)
        assert (result.status, mentions(result.stdout, "00001.png")) == (3, True)
        assert sorted(tables(Path("ids"))[1]) == ["00000.png", "00002.png"]


@pytest.mark.skipif(sys.platform == "win32", reason="names that Windows does not allow")
def test_hostile_names(place: Place) -> None:
    """They include a file name that is not UTF-8, and names that are keys of a saved response."""
    names = ["a b.png", "日本/é.png", "quo\"te's.png", "line\nbreak.png", "id.png", "LONE.png"]
    tags = ["images", "value", "tags", "na me", "name", "日本"]
    folder = place.folder / "hostile"
    place.set = write_coco(
        folder,
        [(name, tag, BOX) for name, tag in zip(names, tags, strict=True)],
        images=dict.fromkeys(names, (64, 64)),
    )
    content = (folder / "annotations.json").read_text(encoding="utf-8")
    content = content.replace("LONE", r"\udce9")
    (folder / "annotations.json").write_text(content, encoding="utf-8")
    for number, name in enumerate(names):
        path = folder / name.replace("LONE", "\udce9")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, colour=number, format="PNG")
    first = place.run("upload", "--create-tags", "--save-ids", "saved", "--json")
    assert first.status == 0, first.stderr
    assert ids(place, place.set, "-o", "ids").status == 0
    assert tables(Path("saved")) == tables(Path("ids"))
    assert len(tables(Path("ids"))[1]) == len(names)
    assert convert(place, Path("ids")).status == 0


def test_the_ids_of_an_empty_project(place: Place) -> None:
    result = ids(place, "-o", "deep/er", "--json")
    assert (result.status, result.json["tags"], result.json["images"]) == (0, {}, None)
    assert rb.read_ids(Path("deep/er/tags.json")) == {}


def test_many_images_on_several_pages(place: Place) -> None:
    place.set = write_dataset(place.folder / "many", images=600, boxes=1)
    assert place.run("upload", "--create-tags").status == 0
    for more in ([], ["--api-version", "3.3"]):
        assert ids(place, place.set, "-o", "ids", "--overwrite", *more).status == 0
        assert len(tables(Path("ids"))[1]) == 600


def test_the_output_is_a_folder(place: Place) -> None:
    result = ids(place, "-o", "-")
    assert (result.status, mentions(result.stderr, "--output")) == (2, True)
    Path("file").write_text("mine", encoding="utf-8")
    result = ids(place, "-o", "file")
    assert (result.status, mentions(result.stderr, "file")) == (1, True)
    result = command("ids", *place.to)
    assert (result.status, mentions(result.stderr, "--output")) == (2, True)


def test_a_dataset_without_image_names_is_reported_by_the_exit_status(place: Place) -> None:
    place.run("upload", "--create-tags", "--journal", "own.sqlite")
    assert ids(place, place.set, "-o", "ids").status == 3
    assert [path.name for path in Path("ids").iterdir()] == ["tags.json"]
