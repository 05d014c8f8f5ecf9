"""How output looks on a terminal: line breaks, colours, tables and progress."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from cli_helpers import CLIPPED, EMPTY, GOOD, ConvertFolder, posix, read_terminal
from helpers import ROOT, ManualClock, command, environment, write_coco
from regionbatch_cli.printing import wrapped
from regionbatch_cli.progress import ProgressBar, ProgressLines, progress_display

if TYPE_CHECKING:
    from pathlib import Path


def on_terminal(*words: str | Path, columns: int = 80, **env: str) -> str:
    """Return what the command prints on a terminal, with line endings normalised."""
    ours, theirs = os.openpty()
    line = [sys.executable, "-m", "regionbatch_cli", *map(str, words)]
    variables = {"TERM": "xterm", "COLUMNS": str(columns), "LINES": "40", **env}
    run = subprocess.Popen(line, env=environment(**variables), stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b"".join(read_terminal(ours))
    run.wait(timeout=60)
    return shown.decode().replace("\r\n", "\n")


def without_controls(text: str) -> str:
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", text)


def result_of(text: str) -> list[str]:
    """Return the lines after the progress display."""
    return without_controls(text).rpartition("\r")[2].splitlines()


@pytest.mark.parametrize("width", [20, 50, 80])
def test_lines_break_between_words(width: int) -> None:
    text = "warning: 3 boxes adjusted: 猫 the box extends beyond the image. It was clipped."
    lines = wrapped(text, width, "", "  ")
    assert " ".join(line.strip() for line in lines) == text
    assert len(lines) > 1 or width == 80
    assert all(len(line) <= width for line in lines)
    assert all(line.startswith("  ") for line in lines[1:])


def test_a_long_word_stays_whole_and_wide_characters_count_twice() -> None:
    assert wrapped(f"a {'x' * 30} b", 20) == ["a", "x" * 30, "b"]
    assert wrapped("猫猫 猫猫", 8) == ["猫猫", "猫猫"]
    assert wrapped("anything at all", None, "  ") == ["  anything at all"]


@posix
@pytest.mark.parametrize("columns", [50, 80, 120])
def test_nothing_is_wider_than_the_terminal(columns: int, tmp_path: Path) -> None:
    boxes = [
        (f"{split}/a.jpg", f"a class with a long name {number}", (20, 10, 80 * number, 60))
        for split in ("training", "validation", "test")
        for number in range(4)
    ]
    for split in ("training", "validation", "test"):
        part = [box for box in boxes if box[0].startswith(split)]
        write_coco(tmp_path / "d" / split, part, name=f"instances_{split}.json")
    shown = on_terminal("inspect", tmp_path / "d", "-v", columns=columns)
    lines = result_of(shown)
    words = {word for line in lines for word in line.split()}
    assert {"validation", "[empty_box]", "[clipped]"} <= words, shown
    for line in lines:
        assert len(line) <= columns or len(line.split()) == 1 or str(tmp_path) in line, line
    assert "…" not in "".join(line for line in lines if "more" not in line)


@posix
def test_severities_have_colours_on_a_terminal_only(tmp_path: Path) -> None:
    place = ConvertFolder(tmp_path, GOOD, CLIPPED, EMPTY)
    shown = on_terminal("inspect", place.data)
    assert "\x1b[31m\x1b[1merror" in shown
    assert "\x1b[33mwarning" in shown
    error = on_terminal("inspect", place.folder / "nothing")
    assert "\x1b[31m\x1b[1mError" in error
    variables: list[dict[str, Any]] = [{"NO_COLOR": "1"}, {"TERM": "dumb"}]
    for variable in variables:
        assert not re.search(r"\x1b\[[\d;]+m", on_terminal("inspect", place.data, **variable))
        plain = on_terminal("inspect", place.folder / "nothing", **variable)
        assert plain.split()[0] == "Error:"
    assert "\x1b" not in command("inspect", place.data).stdout


def test_the_most_serious_findings_come_first(tmp_path: Path) -> None:
    place = ConvertFolder(tmp_path, CLIPPED, EMPTY, GOOD)
    out = command("inspect", place.data).stdout
    found = re.findall(r"^(error|warning|note): .*\[(\w+)\]$", out, re.MULTILINE)
    severities = [severity for severity, _ in found]
    assert severities == sorted(severities, key=["error", "warning", "note"].index)
    assert {code: severity for severity, code in found} == {
        "empty_box": "error",
        "clipped": "warning",
        "image_not_on_disk": "note",
    }


def test_a_table_with_many_columns_is_printed_in_parts(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from regionbatch_cli import tables  # noqa: PLC0415 - NumPy

    monkeypatch.setattr(tables, "screen_width", lambda: 40)
    header = ("class", "training", "validation", "testing", "boxes", "images")
    tables.print_table(header, [("traffic light on a pole", "1", "22", "3", "4", "5")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 40
    assert sum(line.startswith("class") for line in lines) == 2
    text = " ".join(" ".join(lines).split())
    assert all(name in text for name in header)


# Progress.


def test_a_log_has_a_line_every_30_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(0)
    lines = ProgressLines(now=clock)
    for second in range(0, 100, 10):
        clock.time = float(second)
        lines("reading\x1b a.json", second * 1_000_000, 100_000_000)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "reading\\x1b a.json: 30 % (30.0M of 100.0M, 1.0M/s, 1 min 10 s left)",
        "reading\\x1b a.json: 60 % (60.0M of 100.0M, 1.0M/s, 40 s left)",
        "reading\\x1b a.json: 90 % (90.0M of 100.0M, 1.0M/s, 10 s left)",
    ]


def test_a_step_of_unknown_length_has_no_percentage(capsys: pytest.CaptureFixture[str]) -> None:
    clock = ManualClock(0)
    lines = ProgressLines(now=clock)
    lines("reading the project", 0, 0)
    clock.time = 31.0
    lines("reading the project", 512, 0)
    assert capsys.readouterr().err == "reading the project: 512, 17/s\n"


def test_quiet_has_no_progress() -> None:
    with progress_display(quiet=True) as display:
        assert display is None
    with progress_display(quiet=False) as display:
        assert isinstance(display, ProgressLines), "standard error is not a terminal here"


@posix
@pytest.mark.parametrize("columns", [50, 80, 120])
def test_a_terminal_has_a_bar_that_reaches_100_percent(columns: int, tmp_path: Path) -> None:
    boxes = [("a.jpg", "cat", (number / 50, 5, 5, 5)) for number in range(6400)]
    place = ConvertFolder(tmp_path, *boxes)
    shown = on_terminal("convert", place.data, "-o", place.out, *place.ids, columns=columns)
    assert "100%" in shown
    assert "100 of 100" in shown
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0, "the cursor is shown again"
    for line in re.split(r"[\r\n]", without_controls(shown)):
        assert len(line) <= columns or str(tmp_path) in line


def test_a_bar_without_an_end_is_complete_in_the_end(capsys: pytest.CaptureFixture[str]) -> None:
    bar = ProgressBar()
    bar("reading the project", 512, 0)
    bar("sending regions", 1, 2)
    bar.finish()
    assert bar._bars is not None
    assert all(task.finished for task in bar._bars.tasks)
    bar.close()
    capsys.readouterr()


@posix
def test_ctrl_c_removes_the_bar(tmp_path: Path) -> None:
    """The run waits for its tag IDs in a pipe, while the bar is shown."""
    place = ConvertFolder(tmp_path, GOOD)
    pipe = tmp_path / "tags.csv"
    os.mkfifo(pipe)
    ours, theirs = os.openpty()
    words = ["convert", place.data, "-o", place.out, "--tag-ids", pipe, *place.ids[2:]]
    line = [sys.executable, "-m", "regionbatch_cli", *map(str, words)]
    variables = environment(TERM="xterm", COLUMNS="80")
    run = subprocess.Popen(line, env=variables, stdout=theirs, stderr=theirs)
    os.close(theirs)
    writer = os.open(pipe, os.O_WRONLY)  # returns when the run has opened the other end
    parts = read_terminal(ours)
    content = b""
    while b"\x1b[?25l" not in content:
        content += next(parts)
    run.send_signal(signal.SIGINT)
    shown = b"".join([content, *parts]).decode()
    os.close(writer)
    assert run.wait(timeout=60) == 130
    assert shown.count("\x1b[?25l") == shown.count("\x1b[?25h") > 0
    assert without_controls(shown).strip().splitlines()[-1].startswith("Stopped.")


def test_fixtures_print_findings_with_their_codes() -> None:
    run = command("inspect", ROOT / "fixtures" / "yolo" / "stale-labels-and-predictions")
    assert run.status == 3
    assert re.search(r"^error: 4 boxes dropped: .* \[unlisted_label\]$", run.stdout, re.MULTILINE)
    assert re.search(r"^    input/labels_old/a\.txt:1$", run.stdout, re.MULTILINE)
