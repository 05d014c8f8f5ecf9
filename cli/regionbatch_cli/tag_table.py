"""The table of an upload's plan: images and boxes of each tag, and what training needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.findings.text import as_text
from regionbatch.limits import IMAGES_PER_TAG, RECOMMENDED_IMAGES_PER_TAG
from regionbatch.wording import counted
from regionbatch_cli.tables import print_table

if TYPE_CHECKING:
    from regionbatch.training_limits import TagTable
    from regionbatch_cli.options import DatasetOptions

_MOST_TAGS = 20
_TRAINING = {
    "": "ok",
    "few_images": f"{RECOMMENDED_IMAGES_PER_TAG} recommended",
    "too_few_images": f"{IMAGES_PER_TAG} needed",
    "tag_without_images": f"{IMAGES_PER_TAG} needed",
}
"""What the table says, by the finding about a tag."""


def print_tag_table(options: DatasetOptions, tags: TagTable) -> None:
    """Print the tags of a project as they will be after an upload, the fewest images first."""
    if options.quiet or not len(tags):
        return
    rows = [
        (as_text(row.name), str(row.images), str(row.boxes), _TRAINING[row.finding])
        for row in tags.rows()[:_MOST_TAGS]
    ]
    if len(tags) > _MOST_TAGS:
        more = counted(len(tags) - _MOST_TAGS, "more tag")
        rows.append((f"… and {more}", "", "", ""))
    print_table(("tag", "images", "boxes", "images to train"), rows)
