"""Conformance cases: what a case file may hold, and how one is recorded."""

from __future__ import annotations

import os
import re
import shutil
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from helpers import ROOT, environment, process, write_coco, write_yolo
from regionbatch import cases, plugins, recording, testing
from regionbatch.cases import Case, CaseError, as_toml, cases_in

if TYPE_CHECKING:
    import subprocess

FIXTURES = ROOT / "fixtures"
EXAMPLE = ROOT / "tests" / "plugin_example"
CASES = [case for name in plugins.BUILT_IN for case in cases_in(FIXTURES / name)]

PLAIN = '["a.jpg", "cat", 0.1, 0.1, 0.2, 0.3]'


def written(folder: Path, text: str) -> Case:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "case.toml").write_text(text, encoding="utf-8")
    return Case(folder, "case")


# The case file.


def test_counts_that_are_left_out_are_derived(tmp_path: Path) -> None:
    text = f"regions = [{PLAIN}, {PLAIN}]\n[boxes]\nadjusted = {{clipped = 1}}\ndropped = {{duplicate = 2}}\n"
    case = written(tmp_path, f"{text}[images]\ndropped = {{unreadable_file = 1}}\n[findings]\nclipped = 2\n")
    assert case.expected["boxes"] == {"read": 4, "kept": 1, "adjusted": {"clipped": 1}, "dropped": {"duplicate": 2}}
    assert case.expected["images"] == {"read": 2, "kept": 1, "adjusted": {}, "dropped": {"unreadable_file": 1}}
    assert case.expected["findings"] == {"clipped": 2, "duplicate": 2, "unreadable_file": 1}


def test_counts_that_are_written_win(tmp_path: Path) -> None:
    text = f"regions = [{PLAIN}]\n[boxes]\nkept = 7\nadjusted = {{clipped = 1}}\n[images]\nread = 3\n"
    case = written(tmp_path, f"{text}[findings]\nclipped = 0\n")
    assert case.expected["boxes"] == {"read": 1, "kept": 7, "adjusted": {"clipped": 1}, "dropped": {}}
    assert case.expected["images"] == {"read": 3, "kept": 3, "adjusted": {}, "dropped": {}}
    assert case.expected["findings"] == {}


def test_an_empty_file_expects_nothing(tmp_path: Path) -> None:
    case = written(tmp_path, "")
    nothing: dict[str, Any] = {"read": 0, "kept": 0, "adjusted": {}, "dropped": {}}
    assert case.expected == {"regions": [], "boxes": nothing, "images": nothing, "findings": {}}
    assert not case.refused


WRONG = {
    "regions = [": "not a TOML file",
    "[finding]\nclipped = 1": "unknown key 'finding'. Known: about, read",
    "[boxes]\nlost = 1": "unknown key 'boxes.lost'. Known: read, kept, adjusted, dropped",
    '[error]\ntype = "DatasetError"\nsays = []': "unknown key 'error.says'. Known: type, option, place",
    '[error]\nplace = "a.txt:1"': "'error' needs a 'type'",
    f'regions = [{PLAIN}]\n[error]\ntype = "DatasetError"': "a case that expects an error has no 'regions'",
    "findings = 3": "'findings' must be a table",
    "regions = 3": "'regions' must be an array",
    'regions = [["a.jpg", "cat", 0.1, 0.1, 0.2]]': "a region must be [image, tag, left, top, width, height]",
    'regions = [["a.jpg", "cat", 0.1, 0.1, 0.2, "0.3"]]': "a region must be [image, tag, left, top, width, height]",
}


@pytest.mark.parametrize(("text", "message"), WRONG.items())
def test_a_mistake_in_a_case_file_is_an_error(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(CaseError, match=re.escape(message)) as caught:
        written(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'case.toml'}: ")


def test_a_case_file_in_another_encoding_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "case.toml").write_bytes('about = "Käse"'.encode("cp1252"))
    with pytest.raises(CaseError, match="not a TOML file"):
        Case(tmp_path, "case")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_case_files_here_are_as_the_kit_writes_them(case: Case) -> None:
    text = (case.path / "case.toml").read_text(encoding="utf-8")
    assert as_toml(tomllib.loads(text)) == text


def test_any_text_survives() -> None:
    names = ['"', "\\", "\n\t\r\b\f\0\x1f\x7f\x85\u2028", "'''", '"""', "#", "a = 1", "Käse 猫 😀", ""]
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


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recorded_case_expects_what_the_reader_does(case: Case, tmp_path: Path) -> None:
    """Over all cases: nothing that is compared exactly differs from what was written by hand."""
    folder = tmp_path / "case"
    shutil.copytree(case.path, folder)
    reader = plugins.get(case.name.partition("/")[0])
    recording.record(reader, folder, force=True)
    recorded = Case(folder, case.name)
    for key in ("boxes", "images", "findings", *recording.KEPT):
        assert recorded.expected.get(key) == case.expected.get(key)
    assert sorted(recorded.rows()) == [
        (*row[:2], *(pytest.approx(number, abs=1e-6) for number in row[2:])) for row in sorted(case.rows())
    ]
    for table in ("places", "decisions"):
        assert case.expected.get(table, {}).items() <= recorded.expected.get(table, {}).items()
    assert recorded.refused == case.refused
    if case.refused:
        assert recorded.expected["error"]["type"] == case.expected["error"]["type"]
    assert str(tmp_path) not in (folder / "case.toml").read_text(encoding="utf-8")


DOCSTRING = testing.__doc__ or ""


def blocks() -> list[str]:
    """The indented blocks of the kit's docstring, without their indentation."""
    found = re.findall(r"(?:^    .*\n|^\n(?=\n?    ))+", DOCSTRING, re.MULTILINE)
    return [re.sub(r"^    ", "", block, flags=re.MULTILINE).strip("\n") + "\n" for block in found]


def block(start: str) -> str:
    [found] = [block for block in blocks() if block.startswith(start)]
    return found


def test_the_docstring_is_true_word_for_word(tmp_path: Path) -> None:
    """Its package, its folder, its command, its case file and its test class."""
    (tmp_path / "mypackage.py").write_text("from regionbatch_csv import CsvReader as MyReader\n", encoding="utf-8")
    (tmp_path / "test_mypackage.py").write_text(block("from pathlib"), encoding="utf-8")
    shutil.copytree(EXAMPLE / "tests/cases/short-row/input", tmp_path / "cases/short-row/input")
    words = block("python -m").split()
    assert words[:3] == ["python", "-m", "regionbatch.testing"]
    done = command(*words[3:], cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "cases/short-row/case.toml").read_text(encoding="utf-8") == block("regions = [")
    paths = os.pathsep.join([environment()["PYTHONPATH"], str(EXAMPLE), str(tmp_path)])
    options = ("-q", "-W", "error", "-p", "no:cacheprovider")
    done = process("-m", "pytest", *options, tmp_path, cwd=tmp_path, PYTHONPATH=paths)
    assert re.fullmatch(r"\.+ +\[100%\]\n1\d passed in .*\n", done.stdout), done.stdout


def test_the_readme_shows_a_case_as_it_is() -> None:
    readme = (FIXTURES / "README.md").read_text(encoding="utf-8")
    [shown] = re.findall(r"^```toml\n(.*?)^```", readme, re.MULTILINE | re.DOTALL)
    assert shown == (FIXTURES / "voc" / "xmin-greater-than-xmax" / "case.toml").read_text(encoding="utf-8")


def test_the_docstring_lists_every_key() -> None:
    for key in (*cases.VALUES, *(f"[{table}]" for table in cases.TABLES)):
        assert re.search(rf"^    {re.escape(key)} {{2,}}\w", DOCSTRING, re.MULTILINE), key


def test_a_registered_format_is_named_by_its_name(tmp_path: Path) -> None:
    write_coco(tmp_path / "case" / "input", [("a.jpg", "cat", (20, 10, 40, 30)), ("b.jpg", "cat", (0, 0, 0, 5))])
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


def test_places_are_recorded_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder is named relative to this one, by a name that is part of the places too."""
    write_yolo(tmp_path / "a" / "input", [("a.jpg", "cat", (0.2, 0.25, 0, 0.3))])
    for here, name in ((tmp_path, "a"), (tmp_path / "a", ".")):
        monkeypatch.chdir(here)
        recording.record(plugins.get("yolo"), Path(name), force=True)
        assert Case(Path(name), "a").expected["places"]["empty_box"].endswith("a.txt:1")


def test_options_are_written_first_and_kept(tmp_path: Path) -> None:
    write_yolo(tmp_path / "input" / "set", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    (tmp_path / "input" / "set" / "classes.txt").unlink(missing_ok=True)
    (tmp_path / "input" / "words.list").write_text("dog\ncow\n", encoding="utf-8")
    text = 'about = "Names from a list."\nread = "set"\n\n[options]\nnames = "input/words.list"\n'
    (tmp_path / "case.toml").write_text(text, encoding="utf-8")
    reader = plugins.get("yolo")
    with pytest.raises(CaseError, match=r"already exists\. Use --force"):
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


def test_a_refused_dataset_is_recorded_as_an_error(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE / "tests/cases/other-columns/input", tmp_path / "case/input")
    assert command("record", "regionbatch_csv:CsvReader", "case", cwd=tmp_path).returncode == 0
    content = tomllib.loads((tmp_path / "case" / "case.toml").read_text(encoding="utf-8"))
    assert content == {"error": {"type": "DatasetError", "place": "boxes.csv:1"}}


MISTAKES: dict[str, tuple[int, list[str], str]] = {
    "no such format": (1, ["record", "cocoa", "case"], "cocoa"),
    "no such module": (1, ["record", "nowhere:Reader", "case"], "cannot load the reader: ModuleNotFoundError"),
    "no module": (1, ["record", ":Reader", "case"], "cannot load the reader: ValueError"),
    "no such class": (1, ["record", "regionbatch_csv:Reader", "case"], "cannot load the reader: AttributeError"),
    "not a reader": (1, ["record", "pathlib:Path", "case"], "not a reader. It needs title"),
    "no such folder": (1, ["record", "coco", "nowhere"], "nowhere: no folder 'input' here. Put the dataset into it."),
    "a case file that is there": (1, ["record", "coco", "case"], "already exists. Use --force to replace it."),
    "a case file with a mistake": (1, ["record", "coco", "wrong", "--force"], "unknown key 'finding'"),
    "a file to read that is not there": (1, ["record", "coco", "lost", "--force"], "no such file. Correct 'read' in"),
    "an option that is not the reader's": (1, ["record", "coco", "strange", "--force"], "metres"),
    "a name that is not Unicode": (1, ["record", "coco", "surrogate"], r"not valid Unicode: '\ud800'"),
    "no reader": (2, ["record"], "the following arguments are required: READER, FOLDER. See --help."),
    "no command": (2, [], "the following arguments are required: command. See --help."),
    "another command": (2, ["play", "coco", "case"], "invalid choice: 'play'"),
}


@pytest.mark.parametrize(("status", "arguments", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line(
    status: int,
    arguments: list[str],
    message: str,
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
    except SystemExit as stopped:  # a usage error, as argparse ends it
        returned = stopped.code
    assert returned == status
    shown = capsys.readouterr()
    assert shown.out == ""
    assert re.fullmatch(r"Error: .*\n", shown.err)
    assert message in shown.err
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_what_a_reader_raises_by_mistake_is_not_recorded(tmp_path: Path) -> None:
    """A defect of the reader: its author needs the traceback."""

    class Broken(type(plugins.get("yolo"))):  # type: ignore[misc]
        def read(self, *_: object) -> None:
            raise KeyError("row")

    write_yolo(tmp_path / "input", [("a.jpg", "cat", (0.2, 0.25, 0.2, 0.3))])
    with pytest.raises(KeyError, match="row"):
        recording.record(Broken(), tmp_path)
    assert not (tmp_path / "case.toml").exists()
