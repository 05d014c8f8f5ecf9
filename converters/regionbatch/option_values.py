"""Check the options given to `regionbatch.read`, and make a reader's options from them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from typing import TYPE_CHECKING, Any, cast

from regionbatch import plugins
from regionbatch.argument_checks import check_path
from regionbatch.dataset import MARKS
from regionbatch.errors import OptionError
from regionbatch.files.cloud_paths import as_path, path_from
from regionbatch.files.storage import absence_of, kind_of
from regionbatch.files.text import checked_encoding
from regionbatch.findings.text import as_text, quoted
from regionbatch.options import (
    GivenAs,
    ReadOptions,
    choices_of,
    is_path,
    is_repeatable,
    means_the_same,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from dataclasses import Field
    from os import PathLike
    from pathlib import PurePath

    from regionbatch.plugins import Reader


def make_options(
    reader: Reader, name: str, given: Mapping[str, Any], root: PurePath | None = None
) -> Any:  # noqa: ANN401 - the reader's own dataclass
    """Make a reader's options from keyword arguments.

    Args:
        reader: The reader.
        name: Name of the format in messages.
        given: The keyword arguments. A value may be a `GivenAs`.
        root: Folder of the dataset. An image folder that is not in the current folder is looked for
            here, because messages show paths in the dataset.

    Returns:
        An instance of the reader's dataclass.

    Raises:
        OptionError: The reader does not have an option, or its value is not allowed.
    """
    known = {field.name: field for field in fields(reader.options)}
    values: dict[str, Any] = {}
    for key, value in given.items():
        intended, plain = value if isinstance(value, GivenAs) else (known.get(key), value)
        if intended is None or key not in known or not means_the_same(intended, known[key]):
            raise _not_an_option_of(name, key, known, intended)
        values[key] = _converted(known[key], plain)
    options = reader.options(**values)
    if options.image_dir:
        folders = tuple(_image_dir(folder, root) for folder in options.image_dir)
        options = replace(options, image_dir=folders)
    if options.encoding is not None:
        options = replace(options, encoding=checked_encoding(options.encoding))
    return options


def checked_image_dirs(
    given: str | PathLike[str] | Iterable[str | PathLike[str]],
) -> list[PurePath]:
    """Return the folders that `image_dir` names, for a dataset that has no folder.

    Raises:
        OptionError: It is neither a path nor paths, or one is not a folder.
    """
    [field] = [each for each in fields(ReadOptions) if each.name == "image_dir"]
    return [_image_dir(folder, None) for folder in _converted(field, given)]


def check_keywords(given: Collection[str]) -> None:
    """Check keyword arguments before the format is detected.

    Args:
        given: Names of the keyword arguments.

    Raises:
        OptionError: No reader has an option of this name.
    """
    known = _option_names(plugins.built_in_options())
    unknown = [key for key in given if key not in known]
    if not unknown:
        return
    plugin_options = plugins.plugin_options()
    if any(reader.options is None for reader in plugin_options):
        return  # the options of a broken plugin are unknown; detecting the format reports it
    known += _option_names(plugin_options)
    for key in unknown:
        if key not in known:
            raise _unknown_option(key, "no reader has this option", known)


def checked_marks(drop: str | Iterable[str]) -> list[str]:
    """Return the marks that `drop` names.

    Raises:
        OptionError: It is neither a mark nor an iterable of marks.
    """
    marks = _listed("drop", drop)
    for mark in marks:
        if mark not in MARKS:
            raise OptionError(
                f"drop: no such mark: {quoted(as_text(mark))}. Choose from: {', '.join(MARKS)}.",
                option="drop",
                value=mark,
                choices=MARKS,
            )
    return marks


def checked_classes(only: str | Iterable[str] | None) -> list[str] | None:
    """Return the classes that `only` names, or None.

    Raises:
        OptionError: It is neither a name nor an iterable of names.
    """
    classes = None if only is None else _listed("only", only)
    for name in classes or ():
        if not isinstance(name, str):
            raise _wrong_type("only", "not a class name", name, "Pass text.")
    return classes


def checked_fraction(option: str, value: float | str | None) -> float | None:
    """Return the value of an option as a number from 0 to 1; the command passes text.

    Raises:
        OptionError: It is not a number from 0 to 1.
    """
    if value is None:
        return None
    try:
        number = float("nan" if isinstance(value, bool) else value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not 0 <= number <= 1:
        raise OptionError(
            f"{option}: not a number from 0 to 1: {quoted(as_text(value))}. "
            f"Use, for example, `{option}=0.5`.",
            option=option,
            value=value,
        )
    return number


def checked_storage_options(given: object) -> Mapping[str, Any] | None:
    """Return the arguments of a file system of fsspec. No message contains their values.

    Raises:
        OptionError: They are not a mapping from names.
    """
    is_mapping = isinstance(given, Mapping) and all(isinstance(name, str) for name in given)
    if given is None or is_mapping:
        return cast("Mapping[str, Any] | None", given)
    raise OptionError(
        f"storage_options: not a dict of options: '{type(given).__name__}'. "
        'Pass, for example, `storage_options={"account_name": "NAME"}`.',
        option="storage_options",
        value=type(given).__name__,
    )


def _listed(option: str, given: str | Iterable[str]) -> list[str]:
    """Return one name or several as a list."""
    if isinstance(given, str):
        return [given]
    try:
        return list(given)
    except TypeError:
        problem = "neither a name nor a list of names"
        raise _wrong_type(option, problem, given, "Pass a name, or a list of names.") from None


def _option_names(readers: Iterable[plugins.ReaderOptionsInfo]) -> list[str]:
    """Return the names of the options of some readers, each once."""
    names = [field.name for reader in readers if reader.options for field in fields(reader.options)]
    return list(dict.fromkeys(names))


def _not_an_option_of(
    name: str, key: str, known: Iterable[str], intended: Field[Any] | None
) -> OptionError:
    """Return the error for an option that a reader does not have, with the readers that have it."""
    problem = f"the {name} reader does not have this option"
    owners = [
        reader.name
        for reader in plugins.option_classes()
        if reader.options and _has_option(reader.options, key, intended)
    ]
    if not owners:
        return _unknown_option(key, problem, [*known])
    plural = "s" if len(owners) > 1 else ""
    return OptionError(
        f"{key}: {problem}. Leave it out: it is an option of the {' and '.join(owners)} "
        f"reader{plural}.",
        option=key,
        choices=[*known],
    )


def _unknown_option(key: str, problem: str, known: Sequence[str]) -> OptionError:
    """Return the error for an option that does not exist, with the nearest name."""
    from difflib import get_close_matches  # noqa: PLC0415 - only for this error

    similar = get_close_matches(key, [*known, *sorted(plugins.ARGUMENTS_OF_READ)], 1)
    names = ", ".join(f"`{name}`" for name in known)
    hint = f"Did you mean `{similar[0]}`?" if similar else f"The options are: {names}."
    return OptionError(f"{key}: {problem}. {hint}", option=key, choices=known)


def _has_option(options: type[ReadOptions], key: str, intended: Field[Any] | None) -> bool:
    """Return whether options include one of this name with the intended meaning."""
    for field in fields(options):
        if field.name == key:
            return intended is None or means_the_same(field, intended)
    return False


def _converted(field: Field[Any], value: Any) -> Any:  # noqa: ANN401 - the value of any option
    """Return the value of an option with the type that its field declares."""
    if value is None:
        return None if field.default is MISSING else field.default
    if not is_repeatable(field):
        return _converted_one(field, value)
    values = [value] if isinstance(value, (str, os.PathLike)) else value
    try:
        return tuple(_converted_one(field, one) for one in values)
    except TypeError:
        kind = "path" if is_path(field) else "value"
        problem = f"neither a {kind} nor a list of {kind}s"
        advice = f"Pass a {kind}, or a list of {kind}s."
        raise _wrong_type(field.name, problem, value, advice) from None


def _converted_one(field: Field[Any], value: Any) -> PurePath | str:  # noqa: ANN401 - as above
    if is_path(field):
        check_path(field.name, value)
        return as_path(value)
    if isinstance(value, (list, tuple, set, frozenset, dict)):
        raise _wrong_type(field.name, "more than one value", value, "Pass one value.")
    text = str(value)
    choices = choices_of(field)
    if choices and text not in choices:
        raise OptionError(
            f"{field.name}: not an allowed value: {quoted(as_text(text))}. "
            f"Choose one of: {', '.join(choices)}.",
            option=field.name,
            value=value,
            choices=choices,
        )
    return text


def _wrong_type(option: str, problem: str, value: object, advice: str) -> OptionError:
    return OptionError(
        f"{option}: {problem}: {quoted(as_text(value))}. {advice}",
        option=option,
        value=value,
    )


def _image_dir(given: PurePath, root: PurePath | None) -> PurePath:
    """Return a folder of images that exists: in the current folder, or in the dataset."""
    for folder in (given, path_from(root, given)) if root is not None else (given,):
        if kind_of(folder) == "folder":
            return folder
    raise OptionError(
        f"image_dir: {absence_of(given, 'folder')}",
        option="image_dir",
        value=str(given),
    )
