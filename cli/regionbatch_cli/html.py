"""The option --html: a page that shows what is sent. All commands on a dataset have it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from regionbatch_cli.command_help import OUTPUT, option
from regionbatch_cli.printing import say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from regionbatch.batching import Batches
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset
    from regionbatch_cli.options import DatasetOptions

HTML_OPTIONS = (
    option(
        OUTPUT,
        "--html",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Write an HTML page with images, boxes, tags, charts and findings.",
    ),
    option(
        OUTPUT,
        "--html-images",
        type=click.IntRange(min=0),
        metavar="N",
        default_text="500",
        help="Maximum number of images on the --html page.",
    ),
)


def check_html_options(options: DatasetOptions) -> None:
    """Check before the work starts that the page can be written.

    Raises:
        click.UsageError: The options exclude each other.
        OutputError: Another file or a folder has the name.
    """
    if options.html is None:
        if options.html_images is not None:
            raise click.UsageError("--html-images: needs --html. Add --html FILE.")
        return
    from regionbatch.html_report.write import check_html  # noqa: PLC0415 - NumPy

    page = Path(options.html).resolve()
    if options.report is not None and page == Path(options.report).resolve():
        raise click.UsageError(
            f"--html: '{options.html}' is also the --report. Choose another name."
        )
    output = click.get_current_context().params.get("output")
    if output not in {None, "-"} and page.is_relative_to(Path(output).resolve()):
        raise click.UsageError(
            f"--html: '{options.html}' is inside the output. Choose another place."
        )
    check_html(options.html, "html")


def write_html_page(
    options: DatasetOptions,
    dataset: Dataset,
    result: Batches | UploadResult | Verification | None,
) -> None:
    """Write the page if one is wanted, in the words of the command."""
    if options.html is None:
        return
    from regionbatch.batching import Batches  # noqa: PLC0415 - NumPy
    from regionbatch.html_report.write import IMAGES, write_html  # noqa: PLC0415
    from regionbatch_cli.progress import progress_display  # noqa: PLC0415
    from regionbatch_cli.wording import flags_by_keyword, in_command_words  # noqa: PLC0415

    flags = flags_by_keyword()
    with progress_display(quiet=options.quiet) as progress:
        write_html(
            dataset,
            options.html,
            result,
            images=IMAGES if options.html_images is None else options.html_images,
            rename=_renames(),
            tier=click.get_current_context().params.get("tier") or "S0",
            progress=progress,
            words=lambda text: in_command_words(text, flags),
        )
    is_local = result is None or isinstance(result, Batches)
    label = "html:".ljust(8 if is_local else 10)  # aligned with the lines above
    say(options, f"{label}{options.html}", err=True)


def _renames() -> Mapping[str, str]:
    """Return the tag names by class that the command line gives."""
    from regionbatch.names.renames import read_renames  # noqa: PLC0415 - only when there is work

    given = click.get_current_context().params
    return read_renames(given.get("rename") or (), given.get("rename_file"))
