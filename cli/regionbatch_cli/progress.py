"""Progress on standard error: a bar on a terminal, a line every 30 seconds elsewhere."""

from __future__ import annotations

import os
import sys
import time
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Protocol

import click

from regionbatch_cli.failures import use_colours
from regionbatch_cli.printing import screen_width, wrapped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rich.progress import Progress, ProgressColumn, Task, TaskID

SECONDS_BETWEEN_LINES = 30.0
"""How often a line is printed where there is no terminal."""

_BAR_FROM = 72
"""Columns of a terminal that leave space for the bar itself."""
_WIDE_BAR_FROM = 100
"""Columns of a terminal from which the bar is twice as wide."""


class ProgressDisplay(Protocol):
    """What the commands use of a progress display. The library calls it."""

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how much of a step is done; `total` is 0 if it is unknown."""

    def say(self, line: str) -> None:
        """Print a line without damaging the display; from any thread."""

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove the display while something else is printed."""
        yield


@contextmanager
def progress_display(*, quiet: bool) -> Iterator[ProgressDisplay | None]:
    """Show progress while the block runs; with --quiet, show nothing."""
    if quiet or sys.stderr is None:
        yield None
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        with closing(ProgressBar()) as bar:
            yield bar
            bar.finish()
    else:
        yield ProgressLines()


def show_start(display: ProgressDisplay | None, step: str, total: int = 0) -> None:
    """Show that a step has started: the library reports progress only after the first call."""
    if display:
        display(step, 0, total)


def notice_printer(display: ProgressDisplay | None) -> Callable[[str], None]:
    """Return a function that prints why the library waits; it can be called from any thread."""
    from regionbatch_cli.wording import flags_by_keyword, in_command_words  # noqa: PLC0415

    flags = flags_by_keyword()  # here, because other threads have no context of click

    def print_notice(line: str) -> None:
        if display:
            display.say(in_command_words(line, flags))

    return print_notice


class ProgressBar:
    """One bar for each step, on standard error. Nothing is shown before the first step."""

    def __init__(self) -> None:
        """Create the display without showing it."""
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __call__(self, step: str, done: int, total: int) -> None:
        """Show how much of a step is done."""
        if self._bars is None:
            self._bars = _started_bars()
        if step not in self._tasks:
            from regionbatch.findings.text import escape_unprintable  # noqa: PLC0415 - rarely needed

            self._complete_tasks()
            name = escape_unprintable(step)
            self._tasks[step] = self._bars.add_task(name, total=total or None)
        self._bars.update(self._tasks[step], completed=done, total=total or None)

    def _complete_tasks(self) -> None:
        """Show 100 % for all steps: another one started, or the work is done."""
        for task in self._bars.tasks if self._bars else ():
            if not task.finished and self._bars:
                total = task.total or task.completed or 1
                self._bars.update(task.id, completed=total, total=total)

    def say(self, line: str) -> None:
        """Print a line above the bars; from any thread."""
        for part in wrapped(line, screen_width(err=True), hanging="  "):
            if self._bars:
                self._bars.console.print(part, markup=False, highlight=False, soft_wrap=True)
            else:
                click.echo(part, err=True)

    def finish(self) -> None:
        """Show 100 % once more; `close` removes the bars."""
        self._complete_tasks()
        if self._bars:
            self._bars.refresh()

    def close(self) -> None:
        """Remove the bars and show the cursor again."""
        if self._bars:
            self._bars.stop()
        self._bars = None
        self._tasks = {}

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Remove the bars while something else is printed; the next step shows new ones."""
        self.close()
        yield


def _started_bars() -> Progress:
    from rich.console import Console  # noqa: PLC0415 - slow to import, only on a terminal
    from rich.progress import Progress  # noqa: PLC0415

    console = Console(stderr=True, no_color=not use_colours(sys.stderr))
    bars = Progress(_bar_column(console.width), console=console, transient=True)
    bars.start()
    return bars


def _bar_column(width: int) -> ProgressColumn:
    """Return what is shown of each step: its name, a bar, and as many numbers as fit."""
    from rich.progress import ProgressColumn  # noqa: PLC0415 - slow to import, only on a terminal
    from rich.text import Text  # noqa: PLC0415

    name_width = width // 3
    bar_width = 0
    if width >= _BAR_FROM:
        bar_width = 20 if width >= _WIDE_BAR_FROM else 10

    class Step(ProgressColumn):
        def render(self, task: Task) -> Text:
            text = Text(f"{_fitting_name(task.description, name_width)} ", no_wrap=True)
            if bar_width:
                filled = int(bar_width * task.percentage / 100)
                text.append("━" * filled, "green")
                text.append("─" * (bar_width - filled) + " ", "bright_black")
            text.append(f"{task.percentage:3.0f}% " if task.total else " " * 5)
            text.append(_fitting_numbers(task, width - len(text)))
            return text

    return Step()


def _fitting_name(name: str, width: int) -> str:
    """Return the name of a step as it fits into a column: of a long name, only the end."""
    from rich.cells import cell_len, set_cell_size  # noqa: PLC0415 - only on a terminal

    start = 0
    while cell_len(name[start:]) > width - bool(start):
        start += 1
    return set_cell_size(f"…{name[start:]}" if start else name, width)


def _fitting_numbers(task: Task, width: int) -> str:
    """Return counts, rate and time left of a step, or fewer of them where it is narrow."""
    counts = _counts(int(task.completed), int(task.total or 0))
    rate = task.finished_speed or task.speed or 0.0
    per_second = [f"{_short(rate)}/s"] if rate else []
    left = []
    if not task.finished and task.time_remaining is not None:
        left = [f"{duration(task.time_remaining)} left"]
    for parts in ([counts, *per_second, *left], [counts, *left], left or [counts]):
        text = ", ".join(parts)
        if len(text) <= width:
            return text
    return ""


class ProgressLines:
    """A line with the progress every 30 seconds, for logs: short runs print nothing."""

    def __init__(
        self,
        *,
        seconds: float = SECONDS_BETWEEN_LINES,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock.

        Args:
            seconds: Time between two lines.
            now: The clock, in seconds.
        """
        self._seconds = seconds
        self._now = now
        self._next_line = now() + seconds
        self._step = ""
        self._step_start = now()

    def __call__(self, step: str, done: int, total: int) -> None:
        """Print a line if it is time for one."""
        now = self._now()
        if step != self._step:
            self._step = step
            self._step_start = now
        if now >= self._next_line:
            self._next_line = now + self._seconds
            self.say(_progress_line(step, done, total, now - self._step_start))

    def say(self, line: str) -> None:
        """Print a line."""
        from regionbatch.findings.text import escape_unprintable  # noqa: PLC0415

        click.echo(escape_unprintable(line), err=True)

    @contextmanager
    def hidden(self) -> Iterator[None]:
        """Do nothing: a log has no bar to remove."""
        yield


def _progress_line(step: str, done: int, total: int, seconds: float) -> str:
    """Return a line such as `reading a.json: 45 % (4.5M of 10M, 120k/s, 46 s left)`."""
    parts = [_counts(done, total)]
    rate = done / seconds if seconds > 0 else 0.0
    if rate:
        parts.append(f"{_short(rate)}/s")
        if total > done:
            parts.append(f"{duration((total - done) / rate)} left")
    numbers = ", ".join(parts)
    return f"{step}: {100 * done // total} % ({numbers})" if total else f"{step}: {numbers}"


def _counts(done: int, total: int) -> str:
    return f"{_short(done)} of {_short(total)}" if total else _short(done)


def _short(number: float) -> str:
    """Return a number in few characters: 950, 12.3k, 4.5M. Some steps count bytes."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if number >= limit:
            divisor = 1e3 if unit == "k" else limit
            return f"{number / divisor:.1f}{unit}"
    return f"{number:.0f}" if number >= 10 or number == int(number) else f"{number:.1f}"


def duration(seconds: float) -> str:
    """Return a time in few characters: 45 s, 3 min 20 s, 2 h 5 min."""
    whole = int(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
