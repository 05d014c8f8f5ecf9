"""The command `regionbatch`: its subcommands, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import errno
import gc
import io
import os
import signal
import sys

import click

import regionbatch
from regionbatch.errors import OptionError, RegionBatchError
from regionbatch_cli.convert import convert
from regionbatch_cli.formats import formats
from regionbatch_cli.inspect import inspect
from regionbatch_cli.serve import serve
from regionbatch_cli.upload import upload
from regionbatch_cli.verify import verify

# NumPy's library of linear algebra, which nothing here uses, would start a thread a core: half of the start-up.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Many objects are made here and few in cycles: Python need not look for those after every 700.
gc.set_threshold(50_000)

CANNOT, USAGE, STOPPED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(regionbatch.__version__, prog_name="regionbatch")
def commands() -> None:
    """Send boxes in COCO, Pascal VOC or YOLO format to Azure Custom Vision.

    Every box is accounted for.

    Exit status: 0 success; 1 error; 2 usage error; 3 finished, but some records were dropped or not
    confirmed (0 with --accept-drops).

    \b
    Examples:
      regionbatch inspect mydata
      regionbatch convert mydata -o out --tags tags.json --images images.json
      regionbatch upload mydata --local
    """


for command in (inspect, convert, upload, verify, serve, formats):
    commands.add_command(command)


def main() -> None:
    """Run the command, and end the process with its status."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # whoever stops it, it tidies up
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name that the terminal cannot show ends no run
    try:
        status = _run()
    except OSError as error:  # most often standard output: gone, as in `regionbatch … | head`, or on a full disk
        if sys.stdout:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python would try again when it ends
        status = CANNOT
        # What has gone away is EPIPE, but EINVAL on Windows.
        if not isinstance(error, BrokenPipeError) and not (sys.platform == "win32" and error.errno == errno.EINVAL):
            place = error.filename or "standard output"
            _say(f"{place}: cannot be written, got {error.strerror or error}; make room, or name another place")
    sys.exit(status)


def _run() -> int:
    """Run the command and say its errors; the exit status."""
    try:
        return commands.main(prog_name="regionbatch", standalone_mode=False) or 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except OptionError as error:
        _say(error)
        return USAGE
    except RegionBatchError as error:
        _say(error)
        return CANNOT
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nStopped. Nothing was left half written.", err=True)
        return STOPPED


def _say(error: RegionBatchError | str) -> None:
    from regionbatch.findings import on_one_line  # noqa: PLC0415 - NumPy: only when there is something to say

    plain = "NO_COLOR" in os.environ or os.environ.get("TERM") == "dumb"
    word = "Error" if plain else click.style("Error", fg="red")
    click.echo(f"{word}: " + "\n".join(map(on_one_line, str(error).splitlines())), err=True)


if __name__ == "__main__":
    main()
