"""The tree of errors: drawn where it is, complete, and one family."""

from __future__ import annotations

import builtins
import copy
import inspect
import pickle
import re

import pytest

import regionbatch
from regionbatch import errors

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, BaseException) and value.__module__ == errors.__name__
}
DRAWN = re.compile(r"^ {4}([│├└─ ]*)(\w+)(?:\((\w+)\))?", re.MULTILINE)


def drawn_bases() -> dict[str, tuple[str, ...]]:
    """The bases of each class as the docstring of the module draws them: the branch it is on, then the built-in."""
    above: list[str] = []
    bases: dict[str, tuple[str, ...]] = {}
    for branch, name, built_in in DRAWN.findall(errors.__doc__ or ""):
        depth = len(branch) // 4
        above[depth:] = [name]
        parent = above[depth - 1] if depth else "Exception"
        bases[name] = (parent, built_in) if built_in else (parent,)
    return bases


def test_the_drawn_tree_is_the_tree() -> None:
    assert drawn_bases() == {name: tuple(base.__name__ for base in value.__bases__) for name, value in CLASSES.items()}
    assert len(CLASSES) > 10


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_all_are_of_one_family_and_say_what_they_are(error: type[Exception]) -> None:
    assert issubclass(error, regionbatch.RegionBatchError)
    assert error.__name__.endswith("Error")
    assert (error.__doc__ or "").endswith(".")


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_a_message_stays_as_it_is(error: type[Exception]) -> None:
    """Also through the process pools of a caller, and where the built-in parent has its own idea of arguments."""
    assert str(error("a.xml:3: what, got 5; do this")) == "a.xml:3: what, got 5; do this"
    copy = pickle.loads(pickle.dumps(error("a: b, got c; d")))
    assert (type(copy), str(copy)) == (error, "a: b, got c; d")


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_an_error_carries_its_place_and_the_option_that_decides(error: type[errors.RegionBatchError]) -> None:
    assert (error("a").place, error("a").option) == ("", "")
    made = error("a: b", place="data.yaml:3", option="names")
    for one in (made, copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert (type(one), str(one), one.args) == (error, "a: b", ("a: b",))
        assert (one.place, one.option) == ("data.yaml:3", "names")


def test_service_errors_carry_the_code_and_the_status() -> None:
    error = errors.LimitError("too many", code="BadRequestExceededQuota", status=400)
    assert (error.code, error.status) == ("BadRequestExceededQuota", 400)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.code, copy.status) == ("BadRequestExceededQuota", 400)


def test_the_built_in_parents_are_the_ones_that_callers_know() -> None:
    parents = {name: tuple(value.__bases__)[1:] for name, value in CLASSES.items()}
    assert all(parent in vars(builtins).values() for given in parents.values() for parent in given)
    assert issubclass(errors.DatasetNotFoundError, FileNotFoundError)
    assert issubclass(errors.UnknownFormatError, ValueError)


def test_what_a_caller_may_catch_is_public() -> None:
    raised_by_the_core = {name for name, value in CLASSES.items() if not issubclass(value, errors.ServiceError)}
    assert raised_by_the_core <= set(regionbatch.__all__)
