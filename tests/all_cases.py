"""Check many cases of `fixtures/` in one test: a test costs pytest more time than a case takes.

`test_case` of the kit checks every case. A check that compares two ways to read a dataset gets
`one_of_each_kind`, and every case if `REGIONBATCH_ALL_CASES` is set.
"""

from __future__ import annotations

import os
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

from regionbatch.testing import ReaderTests, collected_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from regionbatch.testing import Case

    KitTest = Callable[..., None]
    Shown = tuple[object, ...]


def one_of_each_kind(cases: Iterable[Case]) -> list[Case]:
    """Return the cases that show something that no case before them shows (see `_shown_by`)."""
    if os.environ.get("REGIONBATCH_ALL_CASES"):
        return [*cases]
    seen: set[Shown] = set()
    chosen = []
    for case in cases:
        shown = _shown_by(case)
        if not shown <= seen:
            chosen.append(case)
            seen |= shown
    return chosen


@cache
def _shown_by(case: Case) -> frozenset[Shown]:
    """Return what a case shows, each item together with its format.

    These are codes of findings and of adjusted and dropped records, options, decisions, the kind of
    error, and the extensions of its files and folders.
    """
    expected = case.expected
    error = expected.get("error", {})
    shown: list[Shown] = [("error", error.get("type"), error.get("option"))]
    shown += [("option", name) for name in expected.get("options", {})]
    for name, value in expected.get("decisions", {}).items():
        shown.append(("decision", name, str(value).partition(" (")[0]))
    for account in ("boxes", "images"):
        for effect in ("adjusted", "dropped"):
            shown += [(account, effect, code) for code in expected.get(account, {}).get(effect, {})]
    shown += [("finding", code) for code in expected.get("findings", {})]
    shown += [(path.is_file(), path.suffix) for path in (case.path / "input").rglob("*")]
    return frozenset((case.name.partition("/")[0], *each) for each in shown)


def check_each(cases: Iterable[Case], check: Callable[[Case], None]) -> None:
    """Check every case, and fail with the errors of all cases that failed."""
    failures: list[Exception] = []
    for case in cases:
        try:
            check(case)
        except Exception as error:  # noqa: BLE001 - all are raised below
            error.add_note(f"Case: {case.name}")
            failures.append(error)
    if failures:
        raise ExceptionGroup("cases that failed", failures)


class AllCases(ReaderTests):
    """The conformance kit with every case. Only `test_case` is a test of its own for each case."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if metafunc.function.__name__ == "test_case":
            super().pytest_generate_tests(metafunc)


def with_many_cases(kit_test: KitTest, argument: str, *, in_folder: bool) -> KitTest:
    """Return a test of the kit that checks many cases, each in an empty folder if it needs one."""

    def test(self: AllCases, tmp_path: Path) -> None:
        def check(case: Case) -> None:
            values: dict[str, Any] = {argument: case}
            if in_folder:
                values["tmp_path"] = tmp_path / case.name
                values["tmp_path"].mkdir(parents=True)
            kit_test(self, **values)

        cases = collected_cases(self.cases)
        allowed = [case for case in cases if argument == "case" or not case.expects_error]
        check_each(one_of_each_kind(allowed), check)

    return test


for name, kit_test in vars(ReaderTests).items():
    if name.startswith("test_") and name != "test_case":
        arguments = {*signature(kit_test).parameters}
        for argument in arguments & {"case", "readable"}:
            test = with_many_cases(kit_test, argument, in_folder="tmp_path" in arguments)
            setattr(AllCases, name, test)
