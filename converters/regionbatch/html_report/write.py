"""Write the HTML page: completely or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.argument_checks import check_callables
from regionbatch.dataset.dataset import check_dataset
from regionbatch.errors import OptionError, OutputError
from regionbatch.files.atomic_write import atomic_write
from regionbatch.files.output_paths import advice_on_writing, check_own_file, has_signature
from regionbatch.html_report.page import SIGNATURE, pages
from regionbatch.html_report.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike
    from pathlib import PurePath

    from regionbatch.batching import Batches
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.upload import UploadResult
    from regionbatch.dataset import Dataset
    from regionbatch.findings import Progress

IMAGES = 500
"""Images that a report shows, unless more or fewer are wanted."""


def write_html(
    dataset: Dataset,
    path: str | PathLike[str],
    result: Batches | UploadResult | Verification | None = None,
    *,
    images: int = IMAGES,
    rename: Mapping[str, str] | None = None,
    tier: str = "S0",
    progress: Progress | None = None,
    words: Callable[[str], str] = str,
) -> None:
    """Write an HTML page that shows a dataset as it is sent: images, boxes, tags and findings.

    The page is one file that opens offline. It draws the numbers of the payloads, not those of the
    files, on small copies of the images. These need Pillow (the extra `shrink`); without it, boxes
    are drawn on empty frames.

    Args:
        dataset: The dataset, as `rb.read` returned it.
        path: The file. An earlier report is replaced.
        result: What `rb.batches`, `rb.upload` or `rb.verify` returned. The page then shows IDs,
            and which regions the project lacks or has elsewhere.
        images: Maximum number of images that are shown: the most unusual ones, then a sample. Fewer
            are shown if they would exceed 20 MB. All counts are about the whole dataset.
        rename: Tag names by class name, as given to `rb.batches`.
        tier: Pricing tier whose limits apply: F0 or S0.
        progress: Called with the current step, how many items are done, and how many there are.
        words: A function that rewrites each message, for example to give options other names.
            Messages contain the names of options in backticks.

    Raises:
        OptionError: An argument has a wrong type, or the path is empty.
        OutputError: The path has a file that is not a report, or it cannot be written.

    Example:
        >>> from pathlib import Path
        >>> rb.write_html(rb.read("fixtures/scene/coco"), "report.html")
        >>> Path("report.html").read_text(encoding="utf-8")[:15]
        '<!doctype html>'
    """
    check_dataset(dataset)
    check_callables(progress=progress)
    if isinstance(images, bool) or not isinstance(images, int) or images < 0:
        raise OptionError(
            f"images: not a number of images: '{images}'. Pass 0 or more.",
            option="images",
            value=images,
        )
    target = check_html(path)
    source = Source.of(dataset, result, rename, tier)
    try:
        with atomic_write(target, _is_html_report) as file:
            for part in pages(source, images, words, progress):
                file.write(part)
    except OutputError:
        raise
    except OSError as error:
        advice = advice_on_writing(target, error, "Choose another path.")
        raise OutputError(
            f"{target}: the HTML page cannot be written: '{error.strerror or error}'. {advice}",
            place=str(target),
            option="path",
        ) from error


def check_html(path: str | PathLike[str], option: str = "path") -> PurePath:
    """Check before the work starts that a page can be written, and return its path.

    Args:
        path: The file.
        option: The keyword argument that it is from.

    Raises:
        OptionError: The path is empty or a URL.
        OutputError: A folder or another file has this path, or the folder above cannot be written.
    """
    return check_own_file(path, option, _is_html_report, "an HTML page of regionbatch")


def _is_html_report(path: PurePath) -> bool:
    return has_signature(path, SIGNATURE)
