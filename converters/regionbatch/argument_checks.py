"""Check the types of arguments of public functions, so that mistakes raise the library's errors."""

from __future__ import annotations

import os

from regionbatch.errors import OptionError
from regionbatch.findings.text import as_text, quoted


def check_flags(**flags: object) -> None:
    """Check arguments that are on or off, by their names.

    Raises:
        OptionError: An argument is neither True nor False.
    """
    for option, value in flags.items():
        if type(value).__name__ not in ("bool", "bool_"):  # Python's or NumPy's
            raise OptionError(
                f"{option}: neither True nor False: {quoted(as_text(value))}. "
                f"Use `{option}=True` or leave it out.",
                option=option,
                value=value,
            )


def check_callables(**callbacks: object) -> None:
    """Check functions that are called back, by their names; None: no function.

    Raises:
        OptionError: An argument cannot be called.
    """
    for option, value in callbacks.items():
        if value is not None and not callable(value):
            raise OptionError(
                f"{option}: not a function: {quoted(as_text(value))}. Pass a function or None.",
                option=option,
                value=value,
            )


def check_paths(**paths: object) -> None:
    """Check paths of files, by their names; None: no file.

    Raises:
        OptionError: See `check_path`.
    """
    for option, value in paths.items():
        if value is not None:
            check_path(option, value)


def check_path(option: str, value: object) -> None:
    """Check an argument that is a path.

    Raises:
        OptionError: It is neither text nor a path, or it is empty.
    """
    if not _is_path(value):
        raise OptionError(
            f"{option}: not a path: {quoted(as_text(value))}. Pass a str or a pathlib.Path.",
            option=option,
            value=value,
        )
    if value == "":  # pathlib takes it for the current folder
        raise OptionError(f"{option}: empty path. Pass a path.", option=option, value=value)


def _is_path(value: object) -> bool:
    try:
        return isinstance(os.fspath(value), str)  # type: ignore[call-overload] # of any type
    except TypeError:
        return False


def check_count(option: str, value: object) -> None:
    """Check an argument that is a number of things.

    Raises:
        OptionError: It is not a whole number from 1.
    """
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise OptionError(
            f"{option}: not a whole number of 1 or more: {quoted(as_text(value))}. "
            f"Use, for example, `{option}=2`.",
            option=option,
            value=value,
        )


def check_type(option: str, value: object, type_: type, advice: str) -> None:
    """Check an argument that must be an object of a type.

    Args:
        option: Name of the argument.
        value: Its value.
        type_: The type.
        advice: How to get such an object, as a sentence.

    Raises:
        OptionError: It has another type.
    """
    if not isinstance(value, type_):
        raise OptionError(
            f"{option}: not a {type_.__name__}: '{type(value).__name__}'. {advice}",
            option=option,
            value=value,
        )
