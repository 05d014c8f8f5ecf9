"""`regionbatch explain`."""

from __future__ import annotations

import pytest

from helpers import command, mentions
from regionbatch.findings.codes import CODES


@pytest.mark.parametrize("name", CODES)
def test_a_code_is_explained(name: str) -> None:
    run = command("explain", name)
    assert (run.status, run.stderr) == (0, "")
    assert run.stdout.startswith(f"{name}: ")
    code = CODES[name]
    assert code.explanation
    assert code.example
    assert code.remedy
    assert "Example:" in run.stdout
    assert "What to do:" in run.stdout


def test_several_codes_are_explained_in_the_given_order() -> None:
    run = command("explain", "clipped", "empty-box")
    assert run.stdout.index("clipped: ") < run.stdout.index("empty_box: ")


def test_all_codes_are_listed_the_most_serious_first() -> None:
    run = command("explain")
    assert run.status == 0
    names = [line.split()[0] for line in run.stdout.splitlines() if line.startswith("  ")]
    assert sorted(names) == sorted(CODES)
    order = ["error", "warning", "info"]
    severities = [order.index(CODES[name].severity) for name in names]
    assert severities == sorted(severities)


def test_explanations_as_json() -> None:
    content = command("explain", "--json").json
    assert content["schema_version"] == 1
    assert {one["code"] for one in content["codes"]} == {*CODES}
    [one] = command("explain", "empty_box", "--json").json["codes"]
    assert (one["severity"], one["effect"], one["fails_strict"]) == ("error", "dropped", True)
    assert command("explain", "clipped", "--json").json["codes"][0]["fails_strict"]
    assert not command("explain", "marked", "--json").json["codes"][0]["fails_strict"]
    [merged] = command("explain", "tag_merged", "--json").json["codes"]
    assert not merged["fails_strict"]
    assert merged["fails_strict_if"]
    assert (
        f"strict mode fails if {merged['fails_strict_if']}."
        in command("explain", "tag_merged").stdout
    )


def test_an_unknown_code_is_a_usage_error() -> None:
    run = command("explain", "emty_box")
    assert (run.status, run.stdout) == (2, "")
    assert mentions(run.stderr, "emty_box", "empty_box")
    run = command("explain", "zzzzzz")
    assert run.status == 2
    assert mentions(run.stderr, "regionbatch explain")
