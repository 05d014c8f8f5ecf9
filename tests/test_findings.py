"""Findings, their messages and codes, and decisions."""

from __future__ import annotations

import copy
import pickle
import re
import sys

import pytest

from helpers import process
from regionbatch import findings
from regionbatch.findings import CODES, Code, Decision, FindingLog, as_text, place_text, quoted


def log_with(code: str, where: int = 3, value: object = "1,2") -> FindingLog:
    """Return a log with one finding."""
    log = FindingLog()
    log.add(code, log.file("a.csv"), where, [value])
    return log


def test_a_message_has_place_problem_value_advice_and_code() -> None:
    [finding] = log_with("not_a_box").findings()
    code = CODES["not_a_box"]
    assert finding.message == f"a.csv:3: {code.summary}: '1,2'. {code.advice} [not_a_box]"
    [finding] = log_with("not_a_box", 0, "").findings()
    assert finding.message == f"a.csv: {code.summary}. {code.advice} [not_a_box]"


@pytest.mark.parametrize("code", CODES.values(), ids=CODES)
def test_the_texts_of_a_code_are_complete(code: Code) -> None:
    sentences = (code.advice, code.explanation, code.remedy)
    assert all(re.fullmatch(r"[A-Z`'\"].*\.", text) for text in sentences)
    assert not code.summary.endswith(".")
    assert code.summary[0] == code.summary[0].lower() or code.summary.startswith(("XML", "Custom"))
    assert code.example
    assert "\n" not in code.example
    for text in (*sentences, code.summary, code.example):
        assert "--" not in text, "the command translates keywords in backticks"
        assert text == text.strip()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"a\nb"),
        ([1, "x"], "[1, 'x']"),
        (None, "None"),
        (0.5, "0.5"),
        ("x" * 100, "x" * 80 + "…"),
    ],
)
def test_a_value_is_short_and_on_one_line(value: object, text: str) -> None:
    assert as_text(value) == text


def test_arrays_and_numbers_of_numpy_are_shown_as_plain_numbers() -> None:
    import numpy as np  # noqa: PLC0415 - the module under test does not import it

    assert as_text(np.asarray([0.1, 20.0, 1e-7])) == "0.1 20 1e-07"
    assert as_text(np.int32(7)) == "7"
    assert as_text(np.float64(0.5)) == "0.5"


def test_text_with_single_quotes_is_in_double_quotes() -> None:
    assert quoted("a") == "'a'"
    assert quoted("no 'bbox'") == "\"no 'bbox'\""
    assert quoted("'\"") == "''\"'"


def test_places_name_a_line_or_a_record() -> None:
    assert place_text("a.xml", 4, "line") == "a.xml:4"
    assert place_text("a.xml", -2, "line") == "a.xml: object 2"
    assert place_text("a.xml", 0, "line") == "a.xml"
    assert place_text("a.json", 17, "annotation") == "a.json: annotation 17"
    assert place_text("a.json", -3, "image") == "a.json: image no. 3"


def test_a_decision_is_text_with_its_value_and_evidence() -> None:
    log = FindingLog()
    log.decide("voc_origin", "1", "3 boxes end at the width")
    decision = log.decisions["voc_origin"]
    assert decision == "1 (3 boxes end at the width)"
    assert isinstance(decision, str)
    attributes = (decision.value, decision.evidence, decision.doubtful)
    assert attributes == ("1", "3 boxes end at the width", False)
    for other in (copy.copy(decision), pickle.loads(pickle.dumps(decision))):
        assert (other, other.value, other.evidence) == (decision, "1", "3 boxes end at the width")


def test_a_doubtful_decision_is_a_finding_about_its_option() -> None:
    log = FindingLog()
    log.decide("coco_boxes", "pixels", "2 of 3 boxes", doubtful=True)
    assert log.decisions["coco_boxes"].doubtful
    [finding] = log.findings()
    assert (finding.code, finding.place) == ("doubtful_decision", "coco_boxes")
    assert log.findings().doubtful() == {"doubtful_decision": 1}


def test_two_decisions_on_one_option_are_joined() -> None:
    log = FindingLog()
    log.decide("names", "a.txt", "in train")
    log.decide("names", "b.txt", "in val", doubtful=True)
    log.decide("names", "b.txt", "in test")
    decision = log.decisions["names"]
    assert decision == "a.txt (in train); b.txt (in val); b.txt (in test)"
    assert decision.value.split("; ")[:2] == ["a.txt", "b.txt"]
    assert decision.evidence == "in train; in val; in test"
    assert decision.doubtful
    log.decide("split", "train", "same")
    log.decide("split", "train", "same")
    assert log.decisions["split"] == "train (same)"
    log.decide("encoding", "gbk", "in a.txt")
    log.decide("encoding", "gbk", "in b.txt")
    assert log.decisions["encoding"].value == "gbk"


def test_unprintable_characters_of_a_decision_are_escaped() -> None:
    decision = Decision("a\nb", "\x1b[31m")
    assert (decision.value, decision.evidence) == (r"a\nb", r"\x1b[31m")
    assert decision == r"a\nb (\x1b[31m)"


def test_findings_are_added_one_by_one_in_columns_and_by_name() -> None:
    log = FindingLog()
    file = log.file("a.txt")
    log.add("not_a_row", file, 1, ["x"])
    log.add_each("not_a_row", file, [2, 3], ["y", "z"])
    log.add("extra_column", file, [4, 5])
    log.note("ignored_file", "b.txt", "a log", 7, doubtful=True)
    found = log.findings()
    assert found.counts() == {"not_a_row": 3, "extra_column": 2, "ignored_file": 1}
    assert [finding.place for finding in found.first("not_a_row")] == [
        "a.txt:1",
        "a.txt:2",
        "a.txt:3",
    ]
    assert [finding.value for finding in found.first("not_a_row", 2)] == ["x", "y"]
    assert found.first("ignored_file")[0].place == "b.txt:7"
    assert found.doubtful() == {"ignored_file": 1}
    assert len(found.without("not_a_row") + found) == 9
    assert [*log.names("ignored_file")] == ["b.txt"]
    assert log.dropped("box") == {"not_a_row": 3}


def test_a_noted_finding_that_fails_strict_mode_is_a_warning() -> None:
    log = FindingLog()
    log.note("stale_filename", "a.xml", "b.jpg")
    log.note("stale_filename", "c.xml", "d.jpg", doubtful=True)
    assert [finding.severity for finding in log.findings()] == ["info", "warning"]


def test_an_unknown_code_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        FindingLog().note("no_such_code", "a.txt")


def test_all_names_of_the_package_can_be_imported() -> None:
    assert {*findings.__all__} == {*findings._MODULE_OF}
    for name in findings.__all__:
        assert getattr(findings, name) is getattr(
            sys.modules[f"regionbatch.findings.{findings._MODULE_OF[name]}"], name
        )
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = findings.no_such_name


def test_codes_and_texts_are_imported_without_numpy() -> None:
    code = (
        "import sys, regionbatch.findings.codes, regionbatch.findings.text;"
        "raise SystemExit('numpy' in sys.modules)"
    )
    assert process("-c", code).returncode == 0


def test_the_package_runs_as_the_command() -> None:
    run = process("-m", "regionbatch", "--version")
    assert (run.returncode, run.stderr) == (0, "")
    assert run.stdout == process("-m", "regionbatch_cli", "--version").stdout
    assert process("-m", "regionbatch", "no-such-command").returncode == 2


def test_an_error_names_the_missing_command() -> None:
    code = """
import importlib.util, runpy
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "regionbatch_cli" else find(name)
runpy.run_module("regionbatch", run_name="__main__")
"""
    run = process("-c", code)
    assert (run.returncode, run.stdout) == (1, "")
    assert "regionbatch_cli" in run.stderr
    assert "Traceback" not in run.stderr
