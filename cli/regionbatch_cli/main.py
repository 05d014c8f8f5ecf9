"""The command `regionbatch`: its subcommands, and the place where errors become exit statuses."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING

import click

import regionbatch
from regionbatch_cli.command_help import GroupedCommands
from regionbatch_cli.failures import ERROR, failure_of, print_error, unexpected
from regionbatch_cli.process_end import STOPPED, end_process
from regionbatch_cli.usage import print_usage_error

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

_SECONDS_FOR_THREADS = 0.5
"""How long threads that have no more work may take to end."""

# NumPy would start a thread for each core, which takes half of the start-up time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Many objects are created here, but few cycles: looking for cycles every 700 objects is too often.
gc.set_threshold(50_000)


class _Commands(Mapping[str, click.Command]):
    """The commands by name. The module of a command is imported when the command is looked up."""

    _NAMES = (
        "inspect",
        "convert",
        "upload",
        "verify",
        "projects",
        "ids",
        "explain",
        "formats",
        "serve",
    )

    def __getitem__(self, name: str) -> click.Command:
        if name not in self._NAMES:
            raise KeyError(name)
        command: click.Command = getattr(import_module(f"regionbatch_cli.{name}"), name)
        return command

    def __contains__(self, name: object) -> bool:
        return name in self._NAMES  # without importing it

    def __iter__(self) -> Iterator[str]:
        return iter(self._NAMES)

    def __len__(self) -> int:
        return len(self._NAMES)


@click.group(
    cls=GroupedCommands,
    commands=_Commands(),
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 80},
    examples=(
        "regionbatch inspect mydata",
        "regionbatch convert mydata -o out --tag-ids tags.json --image-ids ids.csv",
        "regionbatch upload mydata --local",
        "regionbatch explain empty_box",
    ),
)
@click.version_option(
    regionbatch.__version__, prog_name="regionbatch", help="Show the version and exit."
)
def commands() -> None:
    """Send boxes of COCO, Pascal VOC, YOLO, CVAT or VoTT datasets to Custom Vision.

    Every box is sent, adjusted or dropped with a reason and a place.

    \b
    Exit status:
      0  success: nothing was dropped, unless you or
         the dataset asked for it
      1  error
      2  usage error
      3  finished, but some records were dropped or
         not confirmed (--accept-drops returns 0)
    """


def main() -> None:
    """Run the command, and end the process with its exit status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # clean up as after Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal cannot show must not end the run.
            stream.reconfigure(errors="backslashreplace")
    _buffer_output()
    threads = frozenset(threading.enumerate())
    try:
        status = _run()
        _flush_output(is_reported=status in (ERROR, STOPPED))
    except OSError as error:
        status = ERROR
        place = error.filename or ("standard output" if _is_output_broken() else "")
        _stop_writing_output()
        if not _is_closed_pipe(error):
            _print_os_error(error, place)
    if status == STOPPED:
        _end_with_threads(threads)
    gc.freeze()  # otherwise Python looks for cycles in all that is left
    sys.exit(status)


def _buffer_output() -> None:
    """Buffer standard output also with `PYTHONUNBUFFERED`: what cannot be written is then kept.

    Otherwise an error would not show that it is about standard output.
    """
    raw = getattr(sys.stdout, "buffer", None)
    if isinstance(sys.stdout, io.TextIOWrapper) and isinstance(raw, io.RawIOBase):
        encoding, errors = sys.stdout.encoding, sys.stdout.errors
        sys.stdout.detach()
        buffer = io.BufferedWriter(raw)
        sys.stdout = io.TextIOWrapper(buffer, encoding, errors, line_buffering=True)


def _end_with_threads(earlier: AbstractSet[threading.Thread]) -> None:
    """End the process if calls are still under way after Ctrl-C: Python would wait for them.

    A second Ctrl-C does not wait for these calls. The journal does not say what they did, so the
    next run looks it up.
    """
    end = time.monotonic() + _SECONDS_FOR_THREADS
    for thread in set(threading.enumerate()) - earlier:
        if not thread.daemon:
            thread.join(max(0.0, end - time.monotonic()))
            if thread.is_alive():
                end_process(STOPPED)


def _run() -> int:
    """Run the command, print its errors, and return the exit status."""
    try:
        return commands.main(prog_name="regionbatch", standalone_mode=False) or 0
    except click.UsageError as error:
        print_usage_error(error)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a second Ctrl-C ends it without a traceback
        click.echo("\nStopped. Nothing was left half-written.", err=True)
        return STOPPED
    except Exception as error:
        failure = failure_of(error)  # raised while the command line was parsed
        if failure is None:
            raise
        failure.show()
        return failure.exit_code


def _print_os_error(error: OSError, place: str) -> None:
    """Print a system error: about its file or, if it names no file, as an unexpected error."""
    if place:
        what = f"{place}: cannot be written: '{error.strerror or error}'. "
        print_error(f"{what}Free some space, or choose another place.")
    else:
        unexpected(error).show()


def _flush_output(*, is_reported: bool) -> None:
    """Write the rest of standard output, or discard it if an error has been reported."""
    try:
        if sys.stdout and not sys.stdout.closed:
            sys.stdout.flush()
    except OSError:
        if not is_reported:
            raise
        _stop_writing_output()


def _is_output_broken() -> bool:
    """Return whether the rest of standard output cannot be written."""
    try:
        _flush_output(is_reported=False)
    except OSError:
        return True
    return False


def _stop_writing_output() -> None:
    """Discard the rest of standard output: Python would try to write it again at exit."""
    if sys.stdout:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_closed_pipe(error: OSError) -> bool:
    """Return whether the reader of a pipe ended, as in `regionbatch … | head`."""
    on_windows = sys.platform == "win32" and error.errno == errno.EINVAL
    return isinstance(error, BrokenPipeError) or on_windows


if __name__ == "__main__":
    main()
