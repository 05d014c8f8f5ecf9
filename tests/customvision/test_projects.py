"""Projects are found by name or ID, and listed with what they contain."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from customvision.command_place import KEY, Place
from customvision.rehearsal import Clock, about, expected_counts, rehearsal, upload

import regionbatch as rb
from helpers import command, id_of, mentions
from messages.language import message_problems
from regionbatch.customvision.projects import find_project, is_name, list_projects
from regionbatch_cli.progress import ProgressLines, show_start
from regionbatch_cli.service import ServiceOptions

if TYPE_CHECKING:
    from regionbatch.customvision.service_types import ServiceProject

ID = "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"


def find(client: rb.TrainingClient, project: str) -> str:
    return find_project(client, project, Clock().rate_limiter())


@pytest.mark.parametrize(
    "name",
    ["traffic", "two words", "Straße & Co", "日本", "a'b\x1b[31m", "20241129", "face", "x/../y"],
)
def test_a_project_is_found_by_its_exact_name(name: str) -> None:
    with rehearsal() as (service, _, client):
        wanted = service.create_project(name)
        service.create_project(f"{name} 2")
        assert find(client, name) == wanted
        assert service.calls == {"GetProjects": 1}


@pytest.mark.parametrize(
    "given", [ID, ID.upper(), f"{{{ID}}}", f" {ID}\n", ID.replace("-", ""), f"urn:uuid:{ID}"]
)
def test_an_id_is_not_looked_up(given: str) -> None:
    with rehearsal() as (service, _, client):
        assert find(client, given) == ID
        assert not service.calls


@pytest.mark.parametrize(
    "given",
    [
        ID[:-1],
        f"{ID}0",
        ID.replace("-", "", 1),
        ID.replace("0", "O"),
        ID[:18],
        f"{{{ID}",
        f"{ID[:20]} {ID[20:]}",
        f"{ID},",
        f"https://www.customvision.ai/projects/{ID}#/manage",
        "",
        "  ",
    ],
)
def test_a_damaged_id_is_refused_before_any_call(given: str) -> None:
    with rehearsal() as (service, _, client):
        with pytest.raises(rb.OptionError) as caught:
            find(client, given)
        assert caught.value.option == "project_id"
        assert not message_problems(str(caught.value))
        assert not service.calls
    assert not is_name(given)


def test_an_unknown_name_lists_similar_names_or_all() -> None:
    with rehearsal() as (service, _, client):
        service.create_project("Traffic signs")
        for given, tokens in (
            ("traffic sign", ["Traffic signs"]),
            (" traffic signs", ["Traffic signs"]),
            ("zebra", ["Traffic signs", "rehearsal"]),
        ):
            with pytest.raises(rb.OptionError) as caught:
                find(client, given)
            assert about(caught.value) == ("", "project_id", given)
            assert caught.value.choices == ("Traffic signs", "rehearsal")
            assert mentions(caught.value, *tokens)
            assert not message_problems(str(caught.value))


def test_two_projects_of_one_name_list_both_ids() -> None:
    with rehearsal() as (service, project, client):
        other = service.create_project("rehearsal")
        with pytest.raises(rb.OptionError) as caught:
            find(client, "rehearsal")
        assert caught.value.choices == tuple(sorted([project, other]))
        assert mentions(caught.value, project, other)
        assert not message_problems(str(caught.value))


def test_upload_and_verify_take_a_name(place: Place) -> None:
    dataset = rb.read(place.set)
    result = upload(dataset, place.client, "rehearsal")
    assert result.complete
    assert rb.verify(dataset, place.client, "rehearsal").good
    place.to = ["--project-id", "rehearsal"]
    by_name = place.run("upload", "--json")
    assert (by_name.status, by_name.json["verification"]) == (0, expected_counts(60))
    journals = {path.name for path in place.folder.glob("*.sqlite")}
    place.to = ["--project-id", place.project.upper()]
    assert place.run("upload").status == 0
    assert {path.name for path in place.folder.glob("*.sqlite")} == journals, "one journal"
    assert place.run("verify").status == 0


def test_the_calls_of_an_upload_by_name_are_all_counted(place: Place) -> None:
    place.to = ["--project-id", "rehearsal"]
    shown = place.run("upload", "--create-tags", "--json").json
    assert shown["calls"] == dict(place.service.calls)
    assert shown["calls"]["GetProjects"] == 1


def test_the_command_refuses_unknown_and_damaged_projects(place: Place) -> None:
    for project in ("nowhere", place.project[:-1]):
        for name in ("upload", "verify"):
            result = command(name, place.set, "--project-id", project)
            assert (result.status, result.stdout) == (2, "")
            assert mentions(result.stderr, "--project-id", project)
    assert place.service.calls == {"GetProjects": 2}


def test_a_damaged_id_is_noticed_before_a_key_is_needed(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISION_TRAINING_KEY")
    result = command("upload", place.set, "--project-id", place.project[:-1])
    assert (result.status, mentions(result.stderr, "--project-id")) == (2, True)


# The list of projects.


def listed(*arguments: str) -> list[dict[str, Any]]:
    result = command("projects", "--json", *arguments)
    assert (result.status, KEY in result.stdout) == (0, False)
    rows: list[dict[str, Any]] = result.json["projects"]
    return rows


def test_projects_are_listed_by_name_with_what_they_contain(place: Place) -> None:
    place.service.create_project("Zebras")
    place.service.create_project("apples", "Classification")
    place.run("upload", "--create-tags")
    apples, own, zebras = listed()
    assert own == {
        "name": "rehearsal",
        "id": place.project,
        "domain": "General",
        "type": "ObjectDetection",
        "status": "Succeeded",
        "tags": 3,
        "images": 3,
        "regions": 60,
    }
    assert (apples["name"], apples["type"], apples["regions"]) == ("apples", "Classification", None)
    assert (zebras["name"], zebras["images"], zebras["regions"]) == ("Zebras", 0, 0)
    table = command("projects").stdout
    assert mentions(table, "rehearsal", place.project, "ObjectDetection", "Succeeded", 60, "apples")
    lines = [line for line in table.splitlines() if "General" in line]
    assert len({line.index("General") for line in lines}) == 1, "the columns are aligned"


def test_one_project_takes_few_calls(place: Place) -> None:
    place.service.create_project("other")
    place.run("upload", "--create-tags")
    for project in ("rehearsal", place.project):
        before = place.service.calls.total()
        [row] = listed("--project-id", project, "--no-regions")
        assert (row["id"], row["images"], row["regions"]) == (place.project, 3, None)
        assert place.service.calls.total() - before <= 6
    result = command("projects", "--project-id", id_of("nowhere"))
    assert (result.status, mentions(result.stderr, 404)) == (1, True)


def test_a_name_cannot_print_a_line(place: Place) -> None:
    place.service.create_project("evil\n\x1b[31mINJECTED")
    out = command("projects").stdout
    assert "INJECTED" in out
    assert "\x1b" not in out
    assert not [line for line in out.splitlines() if line.startswith("INJECTED")]


@pytest.mark.usefixtures("place")
def test_a_resource_without_projects(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rb.TrainingClient, "projects", lambda _client: [])
    result = command("projects")
    assert (result.status, result.stderr, len(result.stdout.splitlines())) == (0, "", 1)
    assert listed() == []


def test_the_status_of_a_project(monkeypatch: pytest.MonkeyPatch) -> None:
    with rehearsal() as (_, _, client):
        [own] = client.projects()

        def importing(_client: object) -> list[ServiceProject]:
            own.status, own.dr_mode_enabled = "Importing", True
            return [own]

        monkeypatch.setattr(rb.TrainingClient, "projects", importing)
        [row] = list_projects(client, Clock().rate_limiter())
        assert row.status == "Importing, read-only"


def test_projects_needs_an_endpoint_and_a_key(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("VISION_TRAINING_KEY")
    result = command("projects")
    assert (result.status, mentions(result.stderr, "VISION_TRAINING_KEY")) == (2, True)
    monkeypatch.delenv("VISION_TRAINING_ENDPOINT")
    result = command("projects")
    assert (result.status, mentions(result.stderr, "--endpoint")) == (2, True)
    assert not place.service.calls


@pytest.mark.parametrize("is_quiet", [False, True])
def test_a_wait_for_the_list_of_projects_is_explained(is_quiet: bool) -> None:
    said: list[str] = []

    class RecordedLines(ProgressLines):
        def say(self, line: str) -> None:
            said.append(line)

    service = ServiceOptions("traffic", "http://127.0.0.1:9", None, False, "3.2", "S0")
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("VISION_TRAINING_KEY", KEY)
        client, rate_limiter = service.client(None if is_quiet else RecordedLines())
    client.close()
    rate_limiter.notice("GetProjects: no response; retrying in 30 s")
    assert len(said) == (not is_quiet)


def test_a_step_is_shown_before_its_first_call() -> None:
    shown: list[tuple[str, int, int]] = []

    class RecordedSteps(ProgressLines):
        def __call__(self, step: str, done: int, total: int) -> None:
            shown.append((step, done, total))

    show_start(RecordedSteps(), "uploading images", 10)
    show_start(None, "uploading images", 10)
    assert shown == [("uploading images", 0, 10)]
    with rehearsal() as (service, _, _client):
        service.create_project("traffic")
        target = ServiceOptions("traffic", service.endpoint, None, False, "3.2", "S0")
        with pytest.MonkeyPatch.context() as patched:
            patched.setenv("VISION_TRAINING_KEY", service.key)
            target.connect(RecordedSteps()).client.close()
        assert len(shown) == 2, "the name is looked up"
