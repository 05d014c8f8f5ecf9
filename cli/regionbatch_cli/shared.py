"""Options that several commands take, and what they all print. An option means the same wherever it stands."""

from __future__ import annotations

import sys
from contextlib import closing, contextmanager
from dataclasses import dataclass, fields
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from regionbatch.errors import OptionError
from regionbatch.plugins import BUILT_IN
from regionbatch_cli.help_groups import GENERAL, IDS, INPUT, OUTPUT, option
from regionbatch_cli.reader_options import in_words_of_the_command, keywords_of, take_reader_options

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from regionbatch.batching import Batches
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Findings, Ledger, Progress
    from regionbatch.options import GivenAs

Function = TypeVar("Function", bound="Callable[..., Any]")

DROPPED = 3
"""The exit status of a run that finished, but dropped records."""


@dataclass(frozen=True)
class Common:
    """What every command on a dataset takes."""

    dataset: str
    format: str | None
    drop: str | None
    only: tuple[str, ...]
    max_clip: str | None
    strict: bool
    accept_drops: bool
    report: str | None
    as_json: bool
    verbose: bool
    quiet: bool
    option: tuple[str, ...]
    reader: dict[str, GivenAs]
    """The options of readers, as far as given, by the name of the field."""


_DATASET_OPTIONS = (
    click.argument("dataset", type=click.Path()),
    option(
        INPUT,
        "--format",
        metavar="NAME",
        help=f"Format: {', '.join(BUILT_IN)} or a plugin's name; detected if not given.",
    ),
    option(
        INPUT,
        "--drop",
        metavar="MARK,…",
        help="Leave out boxes marked crowd, difficult, truncated or occluded.",
    ),
    option(
        INPUT,
        "--only",
        "--keep",
        multiple=True,
        metavar="CLASS",
        help="Keep only this class (repeatable).",
    ),
    option(
        INPUT,
        "--max-clip",
        metavar="FRACTION",
        help="Leave out boxes of which more than this, 0 to 1, is outside the image.",
    ),
    option(
        OUTPUT,
        "--report",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Write every finding as JSON.",
    ),
    option(OUTPUT, "--json", "as_json", is_flag=True, help="Print the result as JSON."),
    option(
        GENERAL,
        "--strict",
        is_flag=True,
        help="Fail, with nothing written, if a box is dropped or adjusted.",
    ),
    option(
        GENERAL,
        "--accept-drops",
        is_flag=True,
        help="Exit with status 0 even if records were dropped.",
    ),
    option(GENERAL, "-v", "--verbose", is_flag=True, help="Print more places of each finding."),
    option(GENERAL, "-q", "--quiet", is_flag=True, help="Print errors only."),
    option(
        INPUT,
        "-O",
        "--option",
        multiple=True,
        hidden=True,
        metavar="NAME=VALUE",
        help="Option of a reader, by its name in Python.",
    ),
)


def dataset_options(function: Function) -> Function:
    """Give a command the dataset and the options for reading it, as one argument `common`.

    The options of the readers come with the class of the command.
    """

    @wraps(function)
    def run(**given: Any) -> Any:  # noqa: ANN401 - whatever the options are
        reader = take_reader_options(given)
        own = {field.name: given.pop(field.name) for field in fields(Common) if field.name != "reader"}
        return function(common=Common(**own, reader=reader), **given)

    for each in reversed(_DATASET_OPTIONS):
        run = each(run)
    return run  # type: ignore[return-value]


def map_options(function: Function) -> Function:
    """Give a command the options that map classes to other tags, `mapped` and `map_file`."""
    pairs = option(
        IDS,
        "--map",
        "mapped",
        multiple=True,
        metavar="OLD=NEW",
        help="Map dataset class OLD to project tag NEW (repeatable).",
    )
    file_help = 'Read mappings from FILE: JSON {"old": "new"} or CSV old,new.'
    file = option(IDS, "--map-file", type=click.Path(), metavar="FILE", help=file_help)
    return pairs(file(function))


skip_option = option(
    IDS,
    "--skip-unresolved",
    is_flag=True,
    help="Leave out boxes whose class or image has no ID.",
)
"""Gives a command the option that leaves out what has no ID, `skip_unresolved`."""


def read(common: Common, progress: Progress | None, rename: Mapping[str, str] | None = None) -> Dataset:
    """Read the dataset as the options say; `rename` says which classes --map makes one."""
    from regionbatch.reading import read as read_dataset  # noqa: PLC0415 - NumPy: only when there is work

    if common.report is not None:
        from regionbatch.report import check_report  # noqa: PLC0415 - as above

        check_report(common.report)
    plugged: dict[str, Any] = dict(text.split("=", 1) for text in common.option if "=" in text)
    if len(plugged) < len(common.option):
        raise OptionError(f"--option: NAME=VALUE is needed, got {', '.join(common.option)}; see regionbatch formats")
    given = {
        "format": common.format,
        "drop": [mark.strip() for mark in (common.drop or "").split(",") if mark.strip()],
        "only": common.only or None,
        "max_clip": common.max_clip,
        "progress": progress,
        **keywords_of(common.reader),
    }
    if twice := sorted({"source", "strict", *given} & set(plugged)):
        raise OptionError(f"--option: {twice[0]} is no option of a plugged-in reader; see regionbatch --help")
    try:
        dataset = read_dataset(common.dataset, **given, **plugged)
    except OptionError as error:
        raise in_words_of_the_command(error, common.reader) from error
    refuse_doubt(common, dataset, rename=rename)
    return dataset


def refuse_doubt(
    common: Common, dataset: Dataset, batches: Batches | None = None, *, rename: Mapping[str, str] | None = None
) -> None:
    """With --strict, stop at what is dropped, adjusted or doubtful; the report, if one is wanted, is written first."""
    if common.strict:
        from regionbatch.errors import StrictError  # noqa: PLC0415 - as above
        from regionbatch.reading import refuse_doubt as refuse  # noqa: PLC0415
        from regionbatch.renaming import tidied  # noqa: PLC0415
        from regionbatch.similar import settled  # noqa: PLC0415

        findings = batches.findings if batches is not None else settled(dataset, tidied(rename))
        try:
            refuse(findings, dataset.root)
        except StrictError:
            finish(common, dataset, batches)
            raise


class Bar:
    """A progress bar on standard error, which the library can call."""

    def __init__(self) -> None:
        """Show it."""
        self._show()

    def _show(self) -> None:
        from rich.console import Console  # noqa: PLC0415 - only on a terminal
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
        self._tasks: dict[str, Any] = {}
        self._bar.start()

    def __call__(self, what: str, done: int, total: int) -> None:
        """Show how much is done."""
        if what not in self._tasks:
            from regionbatch.findings import on_one_line  # noqa: PLC0415 - as above

            self._tasks[what] = self._bar.add_task(on_one_line(what), total=total or None)
        self._bar.update(self._tasks[what], completed=done, total=total or None)

    def say(self, line: str) -> None:
        """Print a line above it; from any thread."""
        self._bar.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        """Wipe it out."""
        self._bar.stop()

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Wipe it out while something is printed, then begin a new one: an old one would overwrite that."""
        self.close()
        yield
        self._show()


@contextmanager
def progress_bar(common: Common) -> Iterator[Bar | None]:
    """A bar on a terminal; nothing in a pipe, with --quiet or with --json."""
    if common.quiet or common.as_json or not sys.stderr.isatty():
        yield None
        return
    with closing(Bar()) as bar:
        yield bar


def say(common: Common, text: str = "", *, err: bool = False) -> None:
    """Print a line for people."""
    if not common.quiet:
        click.echo(text, err=err)


def finish(
    common: Common,
    dataset: Dataset,
    batches: Batches | None = None,
    *,
    findings: Findings | None = None,
    more: dict[str, Any] | None = None,
    lost: int = 0,
) -> int:
    """Write the report if one is wanted, with what an upload or a verification adds; the exit status."""
    if common.report:
        from regionbatch.report import write_report  # noqa: PLC0415 - as above

        write_report(common.report, dataset, batches, findings=findings, more=more)
    ledger = dataset.ledger if batches is None else batches.ledger
    lost += ledger.lost + ledger.images.lost
    return DROPPED if lost and not common.accept_drops else 0


def print_json(content: dict[str, Any]) -> None:
    """Print a result for programs."""
    from regionbatch.report import as_json  # noqa: PLC0415 - as above

    click.echo(as_json(content, indent=2))


def print_account(
    common: Common, ledger: Ledger, findings: Findings, *, notes: bool = False, err: bool = False
) -> None:
    """Print the ledger, and what was dropped, adjusted or is worth a look; with `notes`, what is only noted too."""
    say(common, f"boxes:  {ledger}", err=err)
    say(common, f"images: {ledger.images}", err=err)
    print_findings(common, findings, notes=notes, err=err)


def print_findings(
    common: Common,
    findings: Findings,
    *,
    told: Mapping[str, int] | None = None,
    notes: bool = False,
    err: bool = False,
) -> None:
    """Print what was dropped, adjusted or is worth a look, with the first places of each, unless it was `told`."""
    from regionbatch.codes import CODES  # noqa: PLC0415 - as above

    for code, count in findings.counts().items():
        rule = CODES[code]
        if told and told.get(code) == count:
            continue
        if rule.severity == "info" and rule.effect != "dropped" and not (notes or common.verbose):
            continue
        say(common, f"{_SIGNS[rule.severity]} {count} {code} ({rule.effect}): {rule.what}; {rule.advice}", err=err)
        shown = 20 if common.verbose else 3
        for finding in findings.first(code, shown):
            got = f": {finding.value}" if finding.value else ""
            say(common, f"    {finding.place}{got}", err=err)
        if count > shown:
            say(common, f"    … and {count - shown} more; --report FILE has them all", err=err)


_SIGNS = {"error": "-", "warning": "~", "info": "·"}
