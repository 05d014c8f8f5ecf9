"""Check all cases of `fixtures/` in one test: pytest itself takes longer for a test than a case."""

from __future__ import annotations

from inspect import signature
from typing import TYPE_CHECKING, Any

from regionbatch.testing import ReaderTests, collected_cases

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from regionbatch.testing import Case

    KitTest = Callable[..., None]


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
    """The conformance kit, in which only `test_case` is one test per case."""

    def pytest_generate_tests(self, metafunc: Any) -> None:
        if metafunc.function.__name__ == "test_case":
            super().pytest_generate_tests(metafunc)


def with_all_cases(kit_test: KitTest, argument: str, *, in_folder: bool) -> KitTest:
    """Return a test of the kit that checks all cases, each in an empty folder if it needs one."""

    def test(self: AllCases, tmp_path: Path) -> None:
        def check(case: Case) -> None:
            values: dict[str, Any] = {argument: case}
            if in_folder:
                values["tmp_path"] = tmp_path / case.name
                values["tmp_path"].mkdir(parents=True)
            kit_test(self, **values)

        cases = collected_cases(self.cases)
        check_each([case for case in cases if argument == "case" or not case.expects_error], check)

    return test


for name, kit_test in vars(ReaderTests).items():
    if name.startswith("test_") and name != "test_case":
        arguments = {*signature(kit_test).parameters}
        for argument in arguments & {"case", "readable"}:
            test = with_all_cases(kit_test, argument, in_folder="tmp_path" in arguments)
            setattr(AllCases, name, test)
