"""The tree of error classes: complete as drawn, and with attributes for programs."""

from __future__ import annotations

import builtins
import copy
import inspect
import os
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest

import regionbatch
from helpers import ROOT, command, mentions, raises_mentioning, write_coco
from regionbatch import errors
from regionbatch.dataset import MARKS
from regionbatch.readers.coco.reader import CocoReader

if TYPE_CHECKING:
    from pathlib import Path

CLASSES = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value)
    and issubclass(value, BaseException)
    and value.__module__ == errors.__name__
}
DRAWN = re.compile(r"^ {4}([│├└─ ]*)(\w+)(?:\((\w+)\))?", re.MULTILINE)


def drawn_bases() -> dict[str, tuple[str, ...]]:
    """Return the bases of each class as drawn in the module's docstring: parent, then built-in."""
    above: list[str] = []
    bases: dict[str, tuple[str, ...]] = {}
    for branch, name, built_in in DRAWN.findall(errors.__doc__ or ""):
        depth = len(branch) // 4
        above[depth:] = [name]
        parent = above[depth - 1] if depth else "Exception"
        bases[name] = (parent, built_in) if built_in else (parent,)
    return bases


def test_the_drawn_tree_shows_all_classes() -> None:
    assert drawn_bases() == {
        name: tuple(base.__name__ for base in value.__bases__) for name, value in CLASSES.items()
    }
    assert len(CLASSES) > 10


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_all_errors_have_one_base_class_and_a_docstring(error: type[Exception]) -> None:
    assert issubclass(error, regionbatch.RegionBatchError)
    assert error.__name__.endswith("Error")
    assert (error.__doc__ or "").partition("\n")[0].endswith(".")


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_a_message_survives_str_and_pickle(error: type[Exception]) -> None:
    """Some built-in base classes change their arguments, and process pools pickle errors."""
    assert str(error("a.xml:3: wrong: '5'. Correct it.")) == "a.xml:3: wrong: '5'. Correct it."
    copy = pickle.loads(pickle.dumps(error("a: b: 'c'. D.")))
    assert (type(copy), str(copy)) == (error, "a: b: 'c'. D.")


@pytest.mark.parametrize("error", CLASSES.values(), ids=CLASSES)
def test_an_error_carries_its_place_option_value_and_choices(
    error: type[errors.RegionBatchError],
) -> None:
    empty = error("a")
    assert (empty.place, empty.option, empty.value, empty.choices) == ("", "", None, ())
    made = error("a: b", place="data.yaml:3", option="names", value=5, choices=["x", "y"])
    for one in (made, copy.copy(made), pickle.loads(pickle.dumps(made))):
        assert (type(one), str(one), one.args) == (error, "a: b", ("a: b",))
        assert (one.place, one.option) == ("data.yaml:3", "names")
        assert (one.value, one.choices) == (5, ("x", "y"))


def test_service_errors_carry_the_code_and_the_status() -> None:
    error = errors.LimitError("too many", code="BadRequestExceededQuota", status=400)
    assert (error.code, error.status) == ("BadRequestExceededQuota", 400)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.code, copy.status) == ("BadRequestExceededQuota", 400)


def test_errors_are_also_the_built_in_errors_that_callers_expect() -> None:
    parents = {name: tuple(value.__bases__)[1:] for name, value in CLASSES.items()}
    assert all(parent in vars(builtins).values() for given in parents.values() for parent in given)
    assert issubclass(errors.DatasetNotFoundError, FileNotFoundError)
    assert issubclass(errors.UnknownFormatError, ValueError)


def test_errors_of_the_core_are_public() -> None:
    core_errors = {
        name for name, value in CLASSES.items() if not issubclass(value, errors.ServiceError)
    }
    assert core_errors <= set(regionbatch.__all__)


def outcome_of(**options: Any) -> errors.OptionError:
    """Return the error of reading the scene with wrong options."""
    with pytest.raises(errors.OptionError) as caught:
        regionbatch.read(ROOT / "fixtures" / "scene" / "coco", **options)
    return caught.value


@pytest.mark.parametrize("format", [None, "coco"])
def test_a_misspelt_keyword_is_an_error_with_the_known_ones(format: str | None) -> None:  # noqa: A002
    error = outcome_of(format=format, coco_boxs="pixels")
    assert error.option == "coco_boxs"
    assert {"coco_boxes", "split"} <= {*error.choices}
    assert mentions(error, "coco_boxs", "coco_boxes")


def test_a_misspelt_argument_is_an_error_with_the_right_one() -> None:
    error = outcome_of(formatt="coco")
    assert error.option == "formatt"
    assert mentions(error, "formatt", "format")


def test_an_option_of_another_format_is_an_error_with_that_format() -> None:
    error = outcome_of(voc_origin="0")
    assert error.option == "voc_origin"
    assert mentions(error, "coco", "voc")


WRONG_VALUES: dict[str, Any] = {
    "format": ["tensorflow", 5, object(), CocoReader],
    "coco_boxes": ["inches", ["pixels"], 5],
    "image_dir": ["no-such-folder", 5, [5], ["no-such-folder"]],
    "coco_json": [{"a": 1}],
    "drop": ["tall", 5, [5]],
    "only": [5],
    "max_clip": ["x", 2, -0.1, True, float("nan"), [0.5]],
}


@pytest.mark.parametrize(
    ("option", "value"),
    [(option, value) for option, values in WRONG_VALUES.items() for value in values],
)
def test_a_wrong_value_is_an_error_with_its_option(option: str, value: object) -> None:
    error = outcome_of(**{option: value})
    assert error.option == option
    assert error.value is not None
    assert str(error).startswith(f"{option}: ")
    assert pickle.loads(pickle.dumps(error)).option == option


def test_a_wrong_choice_is_an_error_with_the_choices() -> None:
    assert outcome_of(coco_boxes="inches").choices == ("auto", "pixels", "normalised")
    assert outcome_of(drop=["crowd", "tall"]).choices == MARKS
    assert outcome_of(format="tensorflow").choices == ("coco", "voc", "yolo", "cvat", "vott")


@pytest.mark.parametrize("source", ["", 5])
def test_a_wrong_source_is_an_option_error(source: Any) -> None:
    with pytest.raises(errors.OptionError) as caught:
        regionbatch.read(source)
    assert caught.value.option == "source"


def test_an_error_about_a_whole_dataset_has_its_path_as_place(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    good = write_coco(tmp_path / "good", [("a.jpg", "cat", (20, 10, 40, 30))])
    clipped = write_coco(tmp_path / "clipped", [("a.jpg", "cat", (-20, 10, 60, 30))])
    wrong: list[tuple[type[regionbatch.RegionBatchError], Path | str, dict[str, Any]]] = [
        (errors.DatasetNotFoundError, tmp_path / "nothing", {}),
        (errors.DatasetNotFoundError, "s3://bucket/set", {}),
        (errors.UnknownFormatError, tmp_path / "empty", {}),
        (errors.StrictError, clipped, {"strict": True}),
        (errors.DatasetError, good, {"split": "val"}),
        (errors.DatasetError, good, {"format": "voc"}),
    ]
    for kind, path, options in wrong:
        with pytest.raises(kind) as caught:
            regionbatch.read(path, **options)
        assert caught.value.place == str(path)


def test_a_folder_that_must_not_be_opened_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An administrator may open every folder, so the system call is replaced."""
    closed = tmp_path / "closed"
    closed.mkdir()
    good = write_coco(tmp_path / "good", [("a.jpg", "cat", (20, 10, 40, 30))])
    stat = os.stat

    def refuse(path: Any, *more: Any, **options: Any) -> os.stat_result:
        if str(path).startswith(f"{closed}{os.sep}"):
            raise PermissionError(13, "Permission denied", str(path))
        return stat(path, *more, **options)

    monkeypatch.setattr(os, "stat", refuse)
    with raises_mentioning(errors.DatasetError, closed / "inner" / "set", closed) as caught:
        regionbatch.read(closed / "inner" / "set")
    assert not isinstance(caught.value, errors.DatasetNotFoundError)
    with raises_mentioning(errors.OptionError, "image_dir", closed):
        regionbatch.read(good, image_dir=closed / "images")


@pytest.mark.parametrize(
    "text",
    [
        "https://a.blob.core.windows.net/set?sv=1&sig=SECRET%2B&x=1",
        "DefaultEndpointsProtocol=https;AccountName=a;AccountKey=SECRET+/==;",
        "BlobEndpoint=https://a;SharedAccessSignature=sv=1&sig=SECRET",
        "tcp://me:SECRET@host:8786",
        "tcp://me:word@SECRET@host:8786",
        "s3://me:wo/rd@SECRET@bucket/set",
        "https://bucket.s3.amazonaws.com/a?X-Amz-Credential=a&X-Amz-Signature=SECRET",
        "https://example.com/a?access_token=SECRET",
    ],
)
def test_no_error_contains_a_credential(text: str, tmp_path: Path) -> None:
    """This is true of every argument that it may be given for."""
    tables: dict[str, Any] = {"tag_ids": {}, "image_ids": {}}
    for use in (
        lambda: regionbatch.read(text),
        lambda: regionbatch.read(tmp_path, image_dir=text),
        lambda: regionbatch.convert(tmp_path, tmp_path / "out", **{**tables, "tag_ids": text}),
        lambda: regionbatch.convert(tmp_path, f"{text}.jsonl", **tables),
    ):
        with pytest.raises(Exception) as caught:
            use()
        assert "SECRET" not in f"{caught.value} {vars(caught.value)}"
    out = tmp_path / "out"
    ids = ["--image-ids", text]
    for run in (
        command("convert", tmp_path, "-o", out, "--dask", text),
        command("convert", tmp_path, "-o", out, "--tag-ids", text, *ids),
        command("convert", tmp_path, "-o", out, "--tag-ids", text, *ids, "--json"),
        command("inspect", tmp_path, "--split", text, "--only", text),
        command("upload", tmp_path, "--project-id", "a", "--key-file", text, "--endpoint", text),
    ):
        assert run.status in (1, 2)
        assert "SECRET" not in run.stdout + run.stderr
