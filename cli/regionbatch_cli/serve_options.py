"""The options of `regionbatch serve` for the behaviour of the service and for faults."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from regionbatch_cli.command_help import BEHAVIOUR, FAULTS, option

if TYPE_CHECKING:
    from collections.abc import Callable

    from regionbatch.local import Fault
    from regionbatch_cli.command_help import Function

ALL = "all"


def _fault_kinds(
    _ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]
) -> tuple[Fault, ...]:
    from regionbatch.local import Fault  # noqa: PLC0415 - only for this command

    if ALL in names:
        return tuple(Fault)
    unknown = [name for name in names if name not in set(Fault)]
    if unknown:
        raise click.BadParameter(
            f"unknown fault: '{unknown[0]}'. Choose {ALL}, or one of: {', '.join(Fault)}."
        )
    return tuple(map(Fault, names))


def _complete_fault(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    from regionbatch.local import Fault  # noqa: PLC0415 - only while completing

    return [kind for kind in (ALL, *Fault) if kind.startswith(incomplete)]


def _seconds(name: str, default: float, text: str) -> Callable[[Function], Function]:
    return option(
        FAULTS,
        name,
        type=click.FloatRange(min=0),
        default=float(default),
        metavar="SECONDS",
        default_text=str(default),
        help=text,
    )


_OPTIONS = (
    option(
        BEHAVIOUR,
        "--on-existing",
        type=click.Choice(["duplicated", "refuse", "twice"]),
        default="duplicated",
        help="What happens to a region that the image already has: it is returned as duplicated, "
        "its batch is refused, or it is stored twice.",
    ),
    option(
        BEHAVIOUR,
        "--unknown-ids",
        type=click.Choice(["batch", "not-found", "entry"]),
        default="batch",
        help="What is rejected if an image or tag ID is unknown: the batch, with 400 (batch) or "
        "404 (not-found), or only the entry.",
    ),
    option(
        BEHAVIOUR,
        "--partial-status",
        type=click.Choice(["200", "207"]),
        default_text="as the API version documents",
        help="Response status if only part of a batch was created.",
    ),
    option(
        BEHAVIOUR,
        "--no-retry-after",
        is_flag=True,
        help="Omit the Retry-After header from 429 responses.",
    ),
    option(
        BEHAVIOUR,
        "--nulls/--no-nulls",
        default=False,
        default_text="no nulls",
        help="Return null instead of [] for empty lists.",
    ),
    option(
        BEHAVIOUR,
        "--omit-nulls",
        is_flag=True,
        help="Leave out members that would be null.",
    ),
    option(
        BEHAVIOUR,
        "--tag-names",
        is_flag=True,
        help="Return the tag name of each region that is created; the real service returns null.",
    ),
    option(
        BEHAVIOUR,
        "--shuffled-regions",
        is_flag=True,
        help="List the regions of an image in random order instead of newest first.",
    ),
    option(
        BEHAVIOUR,
        "--quoted-names",
        is_flag=True,
        help="Put the names of uploaded images in quotes in responses.",
    ),
    option(
        BEHAVIOUR,
        "--source-url",
        type=click.Choice(["name", "null", "renamed", "encoded", "prefixed"]),
        default="name",
        help="sourceUrl of an uploaded image in responses: its name, null, another file name "
        "(renamed), percent-encoded, or with a URL before the name (prefixed).",
    ),
    option(
        BEHAVIOUR,
        "--stored-digits",
        type=click.IntRange(0, 9),
        metavar="N",
        default_text="32-bit floats",
        help="Decimals to which the coordinates of regions are rounded when they are stored.",
    ),
    option(
        BEHAVIOUR,
        "--page-size",
        type=click.IntRange(min=1, max=256),
        default=256,
        metavar="N",
        default_text="256",
        help="Maximum number of images on a page of a listing.",
    ),
    option(
        BEHAVIOUR,
        "--project-status",
        type=click.Choice(["Succeeded", "Importing", "Failed"]),
        default="Succeeded",
        help="Status of the project.",
    ),
    option(
        BEHAVIOUR,
        "--dr-mode",
        is_flag=True,
        help="Refuse all writes, as during disaster recovery.",
    ),
    option(
        BEHAVIOUR,
        "--rate",
        type=click.IntRange(min=1),
        metavar="N",
        default_text="no limit",
        help="Maximum calls per second; excess calls get 429.",
    ),
    option(
        BEHAVIOUR,
        "--latency",
        type=click.FloatRange(min=0),
        default=0.0,
        metavar="SECONDS",
        default_text="0",
        help="Minimum response time of every call.",
    ),
    _seconds("--listing-lag", 0, "Time until listings and counts of images show a change."),
    _seconds("--read-lag", 0, "Time until any reading call shows a change."),
    _seconds("--id-lag", 0, "Time until regions can be created with a new image or tag ID."),
    option(
        FAULTS,
        "--fault",
        multiple=True,
        metavar="KIND",
        callback=_fault_kinds,
        shell_complete=_complete_fault,
        default_text="none",
        help="Make random calls fail in this way, such as 503 or timeout; all: in every way "
        "(repeatable).",
    ),
    option(
        FAULTS,
        "--fault-rate",
        type=click.FloatRange(0, 1),
        default=0.2,
        metavar="FRACTION",
        default_text="0.2",
        help="Fraction of calls that fail.",
    ),
    _seconds("--late", 5, "Time until the write of a 504-late or timeout-late call is applied."),
    option(
        FAULTS,
        "--seed",
        type=int,
        default=0,
        metavar="N",
        default_text="0",
        help="Seed of the faults and of random orders.",
    ),
)


def behaviour_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options to a command: fields of `Settings` and `Faults`, but not the key."""
    for each in reversed(_OPTIONS):
        function = each(function)
    return function
