"""Conformance cases: what a case file may contain, and how one is recorded."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from all_cases import check_each, one_of_each_kind
from helpers import (
    ROOT,
    environment,
    fixture_cases,
    mentions,
    process,
    raises_mentioning,
    run_pytest,
    write_coco,
    write_yolo,
)
from regionbatch import cases, plugins, recording, testing
from regionbatch.cases import Case, CaseError, as_toml

if TYPE_CHECKING:
    import subprocess

FIXTURES = ROOT / "fixtures"
EXAMPLE = ROOT / "tests" / "plugin_example"
CASES = [case for name in plugins.BUILT_IN for case in fixture_cases(name)]

PLAIN = '["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]'


def written(folder: Path, text: str) -> Case:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.toml").write_text(text, encoding="utf-8")
    return Case(folder, "case")


# The case file.


def test_counts_that_are_left_out_are_derived(tmp_path: Path) -> None:
    boxes = "[boxes]\nadjusted = {clipped = 1}\ndropped = {duplicate = 2}\n"
    text = f"regions = [{PLAIN}, {PLAIN}]\n{boxes}"
    case = written(
        tmp_path, f"{text}[images]\ndropped = {{unreadable_file = 1}}\n[findings]\nclipped = 2\n"
    )
    assert case.expected["boxes"] == {
        "read": 4,
        "kept": 1,
        "adjusted": {"clipped": 1},
        "dropped": {"duplicate": 2},
    }
    assert case.expected["images"] == {
        "read": 2,
        "kept": 1,
        "adjusted": {},
        "dropped": {"unreadable_file": 1},
    }
    assert case.expected["findings"] == {"clipped": 2, "duplicate": 2, "unreadable_file": 1}


def test_written_counts_override_derived_ones(tmp_path: Path) -> None:
    text = (
        f"regions = [{PLAIN}]\n[boxes]\nkept = 7\nadjusted = {{clipped = 1}}\n[images]\nread = 3\n"
    )
    case = written(tmp_path, f"{text}[findings]\nclipped = 0\n")
    assert case.expected["boxes"] == {
        "read": 1,
        "kept": 7,
        "adjusted": {"clipped": 1},
        "dropped": {},
    }
    assert case.expected["images"] == {"read": 3, "kept": 3, "adjusted": {}, "dropped": {}}
    assert case.expected["findings"] == {}


def test_an_empty_file_expects_nothing(tmp_path: Path) -> None:
    case = written(tmp_path, "")
    nothing: dict[str, Any] = {"read": 0, "kept": 0, "adjusted": {}, "dropped": {}}
    assert case.expected == {"regions": [], "boxes": nothing, "images": nothing, "findings": {}}
    assert not case.expects_error


WRONG: dict[str, list[str]] = {
    "regions = [": ["TOML"],
    "[finding]\nclipped = 1": ["finding", "about", "read"],
    "[boxes]\nlost = 1": ["boxes.lost", "read", "kept", "adjusted", "dropped"],
    '[error]\ntype = "DatasetError"\nsays = []': ["error.says", "type", "option", "place"],
    '[error]\nplace = "a.txt:1"': ["error", "type"],
    f'regions = [{PLAIN}]\n[error]\ntype = "DatasetError"': ["regions", "error"],
    "findings = 3": ["findings"],
    "regions = 3": ["regions"],
    'regions = [["a.jpg", "cat", 0.1, 0.1, 0.2]]': ["a.jpg", "height"],
    'regions = [["a.jpg", "cat", 0.1, 0.1, 0.2, "0.3"]]': ["a.jpg", "height"],
}


@pytest.mark.parametrize(("text", "tokens"), WRONG.items())
def test_a_mistake_in_a_case_file_is_an_error(text: str, tokens: list[str], tmp_path: Path) -> None:
    with raises_mentioning(CaseError, *tokens) as caught:
        written(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'case.toml'}: ")


def test_a_case_file_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_bytes('about = "Käse"'.encode("cp1252"))
    with raises_mentioning(CaseError, "TOML"):
        Case(tmp_path, "case")


def test_all_case_files_are_formatted_as_the_kit_writes_them() -> None:
    for case in CASES:
        text = (case.path / "case.toml").read_text(encoding="utf-8")
        assert as_toml(tomllib.loads(text)) == text, case.name


def test_any_text_can_be_written_and_read() -> None:
    names = [
        '"',
        "\\",
        "\n\t\r\b\f\0\x1f\x7f\x85\u2028",
        "'''",
        '"""',
        "#",
        "a = 1",
        "Käse 猫 😀",
        "",
    ]
    content = {
        "about": names[2],
        "tags": names,
        "regions": [[name, name, 0, 0.25, 1e-7, 1.0] for name in names],
        "options": {"drop": ["crowd"], "strict": True},
        "findings": {name: number for number, name in enumerate(names)},
    }
    assert tomllib.loads(as_toml(content)) == content


# Recording.


def command(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the kit's command, with the example plugin on the path."""
    paths = os.pathsep.join([environment()["PYTHONPATH"], str(EXAMPLE)])
    return process("-m", "regionbatch.testing", *arguments, cwd=cwd, PYTHONPATH=paths)


def test_a_recorded_case_equals_the_one_written_by_hand(tmp_path: Path) -> None:
    """Everything that is compared exactly is the same."""
    chosen = one_of_each_kind(CASES)
    check_each(chosen, lambda case: compare_with_recorded(case, tmp_path / case.name))


def compare_with_recorded(case: Case, folder: Path) -> None:
    shutil.copytree(case.path, folder)
    reader = plugins.get(case.name.partition("/")[0])
    recording.record(reader, folder, force=True)
    recorded = Case(folder, case.name)
    for key in ("boxes", "images", "findings", *recording.KEPT):
        assert recorded.expected.get(key) == case.expected.get(key)
    assert sorted(recorded.rows()) == [
        (*row[:2], *(pytest.approx(number, abs=1e-6) for number in row[2:]))
        for row in sorted(case.rows())
    ]
    for table in ("places", "decisions"):
        assert case.expected.get(table, {}).items() <= recorded.expected.get(table, {}).items()
    assert recorded.expects_error == case.expects_error
    if case.expects_error:
        assert recorded.expected["error"]["type"] == case.expected["error"]["type"]
    assert str(folder) not in (folder / "case.toml").read_text(encoding="utf-8")


DOCSTRING = testing.__doc__ or ""


def blocks() -> list[str]:
    """Return the indented blocks of the kit's docstring, without the indentation."""
    found = re.findall(r"(?:^    .*\n|^\n(?=\n?    ))+", DOCSTRING, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in found]


def block(start: str) -> str:
    [found] = [block for block in blocks() if block.startswith(start)]
    return found


def test_the_example_in_the_docstring_works(tmp_path: Path) -> None:
    """Run its command, and compare its case file and test class."""
    (tmp_path / "mypackage.py").write_text(
        "from regionbatch_csv import CsvReader as MyReader\n", encoding="utf-8"
    )
    (tmp_path / "test_mypackage.py").write_text(block("from pathlib"), encoding="utf-8")
    shutil.copytree(EXAMPLE / "tests/cases/short-row/input", tmp_path / "cases/short-row/input")
    words = block("python -m").split()
    assert words[:3] == ["python", "-m", "regionbatch.testing"]
    done = command(*words[3:], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "cases/short-row/case.toml").read_text(encoding="utf-8") == block(
        "regions = ["
    )
    done = run_pytest(EXAMPLE, tmp_path, cwd=tmp_path)
    assert re.fullmatch(r"\.+ +\[100%\]\n1\d passed in .*\n", done.stdout), done.stdout


def test_the_readme_shows_a_real_case_file() -> None:
    readme = (FIXTURES / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```toml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert shown == (FIXTURES / "voc" / "xmin-greater-than-xmax" / "case.toml").read_text(
        encoding="utf-8"
    )


def test_the_docstring_lists_every_key() -> None:
    for key in (*cases.VALUES, *(f"[{table}]" for table in cases.TABLES)):
        assert re.search(rf"^    {re.escape(key)} {{2,}}\w", DOCSTRING, re.MULTILINE), key


def test_a_case_of_a_registered_format_is_recorded(tmp_path: Path) -> None:
    write_coco(
        tmp_path / "case" / "input",
        [("a.jpg", "cat", (20, 10, 40, 30)), ("b.jpg", "cat", (0, 0, 0, 5))],
    )
    done = command("record", "coco", "case", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{Path('case', 'case.toml')}: recorded. Check it by hand.\n"
    content = tomllib.loads((tmp_path / "case" / "case.toml").read_text(encoding="utf-8"))
    assert content["regions"] == [["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]]
    assert content["images"] == {"read": 2}
    assert content["boxes"] == {"dropped": {"empty_box": 1}}
    assert content["findings"] == {"image_not_on_disk": 2}
    assert content["places"]["empty_box"] == "annotations.json: annotation 2"
    assert content["decisions"]["coco_boxes"] == "pixels"
    assert "tags" not in content


def test_places_do_not_depend_on_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The relative name of the folder also occurs in the places."""
    write_yolo(tmp_path / "a" / "input", [("a.jpg", "cat", (0.2, 0.25, 0, 0.3))])
    for here, name in ((tmp_path, "a"), (tmp_path / "a", ".")):
        monkeypatch.chdir(here)
        recording.record(plugins.get("yolo"), Path(name), force=True)
        assert Case(Path(name), "a").expected["places"]["empty_box"].endswith("a.txt:1")


def test_options_in_an_existing_case_file_are_used_and_kept(tmp_path: Path) -> None:
    write_yolo(tmp_path / "input" / "set", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    (tmp_path / "input" / "set" / "classes.txt").unlink(missing_ok=True)
    (tmp_path / "input" / "words.list").write_text("dog\ncow\n", encoding="utf-8")
    text = 'about = "Names from a list."\nread = "set"\n\n[options]\nnames = "input/words.list"\n'
    (tmp_path / "case.toml").write_text(text, encoding="utf-8")
    reader = plugins.get("yolo")
    with raises_mentioning(CaseError, "case.toml", "--force"):
        recording.record(reader, tmp_path)
    assert (tmp_path / "case.toml").read_text(encoding="utf-8") == text
    for _ in range(2):
        recording.record(reader, tmp_path, force=True)
        content = tomllib.loads((tmp_path / "case.toml").read_text(encoding="utf-8"))
        assert content["about"] == "Names from a list."
        assert content["read"] == "set"
        assert content["options"] == {"names": "input/words.list"}
        assert content["regions"][0][1] == "dog"
        assert sorted(content["tags"]) == ["cow", "dog"]


def test_an_unreadable_dataset_is_recorded_as_an_error(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests/cases/other-columns/input", tmp_path / "case/input")
    assert command("record", "regionbatch_csv:CsvReader", "case", cwd=tmp_path).returncode == 0
    content = tomllib.loads((tmp_path / "case" / "case.toml").read_text(encoding="utf-8"))
    assert content == {"error": {"type": "DatasetError", "place": "boxes.csv:1"}}


MISTAKES: dict[str, tuple[int, list[str], list[str]]] = {
    "no such format": (1, ["record", "cocoa", "case"], ["cocoa", "coco"]),
    "no such module": (1, ["record", "nowhere:Reader", "case"], ["nowhere", "ModuleNotFoundError"]),
    "no module": (1, ["record", ":Reader", "case"], ["Reader", "ValueError"]),
    "no such class": (
        1,
        ["record", "regionbatch_csv:Reader", "case"],
        ["regionbatch_csv", "AttributeError"],
    ),
    "not a reader": (1, ["record", "pathlib:Path", "case"], ["pathlib:Path", "title", "detect"]),
    "no such folder": (1, ["record", "coco", "nowhere"], ["nowhere", "input"]),
    "an existing case file": (1, ["record", "coco", "case"], ["case.toml", "--force"]),
    "a case file with a mistake": (1, ["record", "coco", "wrong", "--force"], ["finding"]),
    "a missing file to read": (1, ["record", "coco", "lost", "--force"], ["gone.json", "read"]),
    "an unknown option": (1, ["record", "coco", "strange", "--force"], ["metres"]),
    "a name that is not Unicode": (1, ["record", "coco", "surrogate"], [r"\ud800"]),
    "no reader": (2, ["record"], ["READER", "FOLDER", "--help"]),
    "no command": (2, [], ["command", "--help"]),
    "another command": (2, ["play", "coco", "case"], ["play"]),
}


@pytest.mark.parametrize(("status", "arguments", "tokens"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(
    status: int,
    arguments: list[str],
    tokens: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, text in (
        ("case", ""),
        ("wrong", "[finding]\n"),
        ("lost", 'read = "gone.json"\n'),
        ("strange", '[options]\nmetres = "yes"\n'),
    ):
        write_coco(tmp_path / name / "input", [("a.jpg", "cat", (20, 10, 40, 30))])
        (tmp_path / name / "case.toml").write_text(text, encoding="utf-8")
    folder = write_coco(tmp_path / "surrogate" / "input", [("a.jpg", "cat", (20, 10, 40, 30))])
    json = (folder / "annotations.json").read_text(encoding="utf-8")
    (folder / "annotations.json").write_text(json.replace('"cat"', r'"\ud800"'), encoding="utf-8")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(EXAMPLE)
    returned: object
    try:
        returned = recording.main(arguments)
    except SystemExit as stopped:  # argparse exits after a usage error
        returned = stopped.code
    assert returned == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"Error: .*\n", shown.err)
    assert mentions(shown.err, *tokens)
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_an_unexpected_exception_of_a_reader_is_not_recorded(tmp_path: Path) -> None:
    """Its author needs the traceback."""

    class Broken(type(plugins.get("yolo"))):  # type: ignore[misc]
        def read(self, *_: object) -> None:
            raise KeyError("row")

    write_yolo(tmp_path / "input", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    with pytest.raises(KeyError, match="row"):
        recording.record(Broken(), tmp_path)
    assert not (tmp_path / "case.toml").exists()
