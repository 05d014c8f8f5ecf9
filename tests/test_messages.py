"""Every message that reading can bring about, read as its user would: where, what, and what to do, on one line."""

from __future__ import annotations

import re

import pytest

import regionbatch as rb
from helpers import ROOT
from regionbatch import plugins
from regionbatch.codes import CODES
from regionbatch.plugins import BUILT_IN
from regionbatch.testing import cases_in

CASES = {
    f"{format_}/{case.name}": (format_, case) for format_ in BUILT_IN for case in cases_in(ROOT / "fixtures" / format_)
}
READ = [name for name, (_, case) in CASES.items() if not case.refused]
REFUSED = [name for name, (_, case) in CASES.items() if case.refused]
FORM = re.compile(r"[^;]+?: [^;]+(?:, got [^;]+)?; .+")
"""PLACE: WHAT, got VALUE; NEXT STEP"""


def read(name: str) -> rb.Dataset:
    format_, case = CASES[name]
    return rb.read(case.input, format=format_, **case.options(plugins.get(format_).options))


@pytest.mark.parametrize("name", READ)
def test_findings_say_where_what_and_what_to_do(name: str) -> None:
    for finding in read(name).findings:
        told = CODES[finding.code]
        assert finding.message.startswith(f"{finding.place}: {told.what}")
        assert finding.message.endswith(f"; {told.advice}")
        assert finding.message.isprintable()
        assert finding.value in finding.message


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_say_where_what_and_what_to_do(name: str) -> None:
    with pytest.raises(rb.RegionBatchError) as caught:
        read(name)
    first = str(caught.value).splitlines()[0]
    assert FORM.fullmatch(first), first


def test_codes_are_parts_of_one_sentence() -> None:
    for code in CODES.values():
        assert not code.what.endswith(".")
        assert not code.advice.endswith(".")
        assert code.advice, code
