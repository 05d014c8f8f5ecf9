"""How an error ends the command: one message in the words of the command, and an exit status."""

from __future__ import annotations

import os
import sys
from typing import IO, Any

import click
from click.core import ParameterSource

from regionbatch.credentials import without_credentials
from regionbatch.errors import (
    AmbiguousDatasetError,
    DatasetError,
    OptionError,
    RegionBatchError,
    ResolveError,
    ServiceError,
    UnknownFormatError,
)

ERROR = 1
"""Exit status of an error."""
USAGE = 2
"""Exit status of a usage error, including a wrong value of an option."""
LOST = 3
"""Exit status of a run that finished, but dropped records."""


class Failure(click.ClickException):
    """An error with the text and the exit status of the command."""

    def __init__(self, message: str, exit_code: int, traceback: str = "") -> None:
        """Keep what is printed.

        Args:
            message: What is wrong and what to do.
            exit_code: The exit status.
            traceback: Printed before the message; empty: none.
        """
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc] # click has one for each class
        self.traceback = traceback

    def show(self, file: IO[Any] | None = None) -> None:  # noqa: ARG002 - always standard error
        """Print the error on standard error."""
        if self.traceback:
            click.echo(without_credentials(self.traceback), err=True, nl=False)
        print_error(self.message)


def failure_of(error: Exception, ctx: click.Context | None = None) -> Failure | None:
    """Return how an error ends the command.

    Args:
        error: What the library raised.
        ctx: The command that ran, if it is known.

    Returns:
        None for an error that click or the caller handles: wrong usage, Ctrl-C, or a standard
        output that cannot be written.
    """
    if isinstance(error, RegionBatchError):
        from regionbatch_cli.wording import error_text  # noqa: PLC0415 - only for errors

        traceback = ""
        if error.__cause__ is not None and _is_verbose(ctx):
            traceback = _traceback_of(error.__cause__)
        status = USAGE if _is_wrong_value(error, ctx) else ERROR
        return Failure(error_text(error, ctx), status, traceback)
    if isinstance(error, (click.ClickException, click.Abort, click.exceptions.Exit, OSError)):
        return None
    return unexpected(error, ctx)


def unexpected(error: Exception, ctx: click.Context | None = None) -> Failure:
    """Return how an unexpected error ends the command."""
    what = f"unexpected {type(error).__name__}: {error}".rstrip(": ")
    if _is_verbose(ctx):
        return Failure(what, ERROR, _traceback_of(error))
    return Failure(f"{what}. Run the command again with -v for the traceback.", ERROR)


def error_fields(error: BaseException) -> dict[str, Any]:
    """Return what a program needs to know about an error, as plain values for --json."""
    message = "stopped with Ctrl-C" if isinstance(error, KeyboardInterrupt) else str(error)
    fields: dict[str, Any] = {"type": type(error).__name__, "message": message}
    if isinstance(error, RegionBatchError):
        from regionbatch_cli.wording import error_text  # noqa: PLC0415 - only for errors

        fields["message"] = error_text(error, click.get_current_context(silent=True))
        fields |= {"place": error.place, "option": error.option, "choices": list(error.choices)}
    elif isinstance(error, click.ClickException):
        fields["message"] = without_credentials(error.format_message())
    if isinstance(error, ServiceError):
        fields |= {"status": error.status, "code": error.code}
    return fields


def _is_wrong_value(error: RegionBatchError, ctx: click.Context | None) -> bool:
    """Return whether an error is about the value of an option on the command line."""
    if isinstance(error, OptionError):
        return True
    if ctx is None or isinstance(error, AmbiguousDatasetError):
        return False
    if isinstance(error, UnknownFormatError):
        return bool(ctx.params.get("format"))
    if isinstance(error, ResolveError):
        return error.option == "rename" and _is_given(error.option, ctx)
    return isinstance(error, DatasetError) and _is_given(error.option, ctx)


def _is_given(keyword: str, ctx: click.Context) -> bool:
    """Return whether the option for a keyword argument is on the command line."""
    for parameter in ctx.command.get_params(ctx):
        field = getattr(parameter, "field", None)
        if keyword != (field.name if field else parameter.name) or parameter.name is None:
            continue
        if ctx.get_parameter_source(parameter.name) is ParameterSource.COMMANDLINE:
            return True
    return False


def _is_verbose(ctx: click.Context | None) -> bool:
    if ctx is not None:
        return bool(ctx.params.get("verbose"))
    return "-v" in sys.argv or "--verbose" in sys.argv


def _traceback_of(error: BaseException) -> str:
    import traceback  # noqa: PLC0415 - only for errors

    return "".join(traceback.format_exception(error))


def print_error(message: str) -> None:
    """Print a message on standard error after the word `Error`, without credentials."""
    from regionbatch_cli.printing import print_labelled  # noqa: PLC0415 - only for errors

    first, *more = without_credentials(message).splitlines() or [""]
    print_labelled("Error", first, severity="error", err=True)
    for line in more:
        print_labelled("", line, err=True)


def use_colours(stream: Any) -> bool:  # noqa: ANN401 - any text stream
    """Return whether a stream is a terminal on which colours are wanted."""
    if "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb":
        return False
    return bool(stream is not None and stream.isatty())
