"""The command `regionbatch`: its subcommands, and the one place where errors become messages and exit statuses."""

from __future__ import annotations

import os
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

CANNOT, USAGE, STOPPED = 1, 2, 130


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(regionbatch.__version__, prog_name="regionbatch")
def commands() -> None:
    r"""COCO, Pascal VOC and YOLO boxes become Azure Custom Vision regions. Every box is accounted for.

    \b
    Exit status: 0 all that was read is in; 1 it cannot be done; 2 wrong usage;
    3 finished, but records were dropped or not confirmed (--accept-drops makes that 0).

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
    try:
        sys.exit(commands.main(standalone_mode=False) or 0)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except OptionError as error:
        _say(error)
        sys.exit(USAGE)
    except RegionBatchError as error:
        _say(error)
        sys.exit(CANNOT)
    except (KeyboardInterrupt, click.Abort):
        click.echo("\nStopped. Nothing was left half written.", err=True)
        sys.exit(STOPPED)
    except BrokenPipeError:  # `regionbatch … | head`: the reader has what it wanted
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)


def _say(error: RegionBatchError) -> None:
    click.echo(f"{click.style('Error', fg='red')}: {error}", err=True)


if __name__ == "__main__":
    main()
