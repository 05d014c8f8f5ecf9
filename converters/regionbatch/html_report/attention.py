"""What a labeller should look at first: at most one screen of points, each with an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from regionbatch.findings.codes import CODES
from regionbatch.html_report.charts import filter_link
from regionbatch.html_report.hints import similar_pairs
from regionbatch.html_report.markup import E, name, with_code
from regionbatch.html_report.sections import counted_units
from regionbatch.similar import loose_key
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from regionbatch.html_report.cards import Gallery
    from regionbatch.html_report.drawing import Drawn
    from regionbatch.html_report.finding_images import PlacedFindings
    from regionbatch.html_report.markup import Child, Element
    from regionbatch.html_report.ranking import Reason
    from regionbatch.html_report.source import Source
    from regionbatch.training_limits import TagTable

MOST = 12
_POINTS_OF_HINTS = 8
_ALONE = 2
"""Maximum number of images with the same hint that are listed one by one."""
_ABOUT_TWO_IMAGES = {"same_boxes", "same_pixels"}
"""Hints about two images, of which one shows as much as both."""
_TAGS_LISTED = 8
_ABOUT_TAGS = {"similar_tags", "too_few_images", "few_images", "tag_without_images"}
"""Findings that have points of their own."""


class Point(NamedTuple):
    """One thing to look at."""

    severity: str
    title: Sequence[Child]
    text: Sequence[Child]
    image: int = -1
    """The image that shows it; -1: none."""
    link: str = ""
    link_text: str = ""
    is_meant: Callable[[Drawn], bool] | None = None
    """Which boxes of the image the point is about."""


def points(
    source: Source,
    gallery: Gallery,
    findings: Sequence[PlacedFindings],
    table: TagTable,
    words: Callable[[str], str],
) -> list[Point]:
    """Return what to look at first, the most serious first."""
    found = [
        *_nothing_sent(source),
        *_differences(source, gallery),
        *_decisions(source, words),
        *_findings(gallery, findings, ("error",), words),
        *_similar_names(source, gallery),
        *_few_images(source, gallery, table),
        *_hints(gallery),
        *_findings(gallery, findings, ("warning",), words),
    ]
    return found[:MOST]


def as_cards(found: Sequence[Point], gallery: Gallery) -> Iterator[Element]:
    """Yield a card for each point."""
    for point in found:
        drawing = [gallery.drawing(point.image, point.is_meant)] if point.image >= 0 else []
        link = [E.a({"href": point.link}, point.link_text)] if point.link else []
        yield E.li(
            {"class": f"point {point.severity}"},
            *drawing,
            E.div(E.h3(*point.title), E.p(*point.text), *link),
        )


def _image_with(gallery: Gallery, code: str, tag: int = -1) -> int:
    """Return the first image with a reason of a code, or a box of a tag; -1: none is shown."""
    for image in gallery.shown:
        if code and any(reason.code == code for reason in gallery.reasons[image]):
            return image
        if tag >= 0 and any(one.tag == tag for one in gallery.drawn[image]):
            return image
    return -1


def _nothing_sent(source: Source) -> Iterator[Point]:
    if not len(source.sent):
        read = source.ledger.read
        why = f"{counted(read, 'box')} read, none sent." if read else "The dataset has no boxes."
        yield Point("error", ["Nothing to send"], [why], -1, "#findings", "show findings")


def _differences(source: Source, gallery: Gallery) -> Iterator[Point]:
    found = source.verification
    if found is None:
        return
    for code, count, what, text in (
        ("region_missing", found.missing, "missing from the project", "In the dataset only."),
        (
            "region_moved",
            found.moved,
            "moved in the project",
            "An arrow leads to the place in the project.",
        ),
        ("region_extra", found.extra, "only in the project", "Not in the dataset."),
    ):
        if count:
            title = f"{counted(count, 'region')} {what}"
            image = _image_with(gallery, code)
            link = filter_link(code=code) if image >= 0 else f"#finding-{code}"
            kind = code.removeprefix("region_")
            yield Point("error", [title], [text], image, link, "show images", _of_kind(kind))


def _of_kind(kind: str) -> Callable[[Drawn], bool]:
    return lambda one: one.kind == kind


def _with_code(code: str) -> Callable[[Drawn], bool] | None:
    return (lambda one: one.code == code) if CODES[code].unit == "box" else None


def _of_tag(tag: int) -> Callable[[Drawn], bool]:
    return lambda one: one.tag == tag


def _decisions(source: Source, words: Callable[[str], str]) -> Iterator[Point]:
    for option, decision in source.dataset.decisions.items():
        if decision.doubtful:
            title = [E.code(words(f"`{option}`").strip("`")), f" is uncertain: {decision.value}"]
            remedy = "Correct the files" if option == "split" else f"Set `{option}`"
            text = with_code(words(f"{decision.evidence}. {remedy} if it is wrong."))
            yield Point("warning", title, text, -1, "#decisions", "show decisions")


def _findings(
    gallery: Gallery,
    findings: Sequence[PlacedFindings],
    severities: Sequence[str],
    words: Callable[[str], str],
) -> Iterator[Point]:
    counts: dict[str, int] = {}
    for placed in findings:
        code = placed.group.code
        is_shown = placed.severity in severities and not code.startswith("region_")
        if is_shown and code not in {*_ABOUT_TAGS, "doubtful_decision"}:
            counts[code] = counts.get(code, 0) + len(placed.group)
    for code, count in sorted(counts.items(), key=lambda pair: not CODES[pair[0]].fails_strict):
        about = CODES[code]
        outcome = f" {about.outcome}" if about.outcome else ""
        title = f"{counted_units(count, about.unit)}{outcome}"
        text = with_code(words(f"{about.summary}. {about.advice}"))
        severity = "error" if "error" in severities else "warning"
        image = _image_with(gallery, code)
        link = f"#finding-{code}"
        yield Point(severity, [title], text, image, link, "show places", _with_code(code))


def _similar_names(source: Source, gallery: Gallery) -> Iterator[Point]:
    counts = source.boxes_per_tag
    codes = {tag: code for code, tag in enumerate(source.tags)}
    listed: set[str] = set()
    groups = [sorted(one, key=one.__getitem__) for one in source.similar]
    groups += [
        [source.tags[code], source.tags[other]]
        for code, other in similar_pairs(source).items()
        if loose_key(source.tags[code]) != loose_key(source.tags[other])
    ]
    for names in groups[:_TAGS_LISTED]:
        rarest = names[0]
        if rarest in listed:
            continue
        listed |= {*names}
        title: list[Child] = ["One class with two names? "]
        for at, tag in enumerate(reversed(names)):
            boxes = counted(int(counts[codes[tag]]), "box")
            title += [", " if at else "", name(tag), f" ({boxes})"]
        text = "They become different tags. If they are one class, map one name to the other."
        image = _image_with(gallery, "", codes[rarest])
        link, is_meant = filter_link(tag=rarest), _of_tag(codes[rarest])
        yield Point("warning", title, [text], image, link, "show images", is_meant)


def _few_images(source: Source, gallery: Gallery, table: TagTable) -> Iterator[Point]:
    few = [row for row in table.rows() if row.finding == "too_few_images"]
    if not few:
        return
    listed: list[Child] = []
    for at, row in enumerate(few[:_TAGS_LISTED]):
        listed += [", " if at else "", name(row.name), f" ({row.images})"]
    more = len(few) - _TAGS_LISTED
    listed.append(f" and {more} more. " if more > 0 else ". ")
    listed.append("Custom Vision does not train with fewer than 15 images of a tag.")
    title = f"{counted(len(few), 'tag')} with too few images"
    codes = {tag: code for code, tag in enumerate(source.tags)}
    code = next((codes[row.name] for row in few if not row.similar), codes[few[0].name])
    image = _image_with(gallery, "", code)
    yield Point("error", [title], listed, image, "#train", "show tags", _of_tag(code))


def _hints(gallery: Gallery) -> Iterator[Point]:
    """Yield the images with the strongest hints, one or two of each kind."""
    by_code: dict[str, list[tuple[float, int]]] = {}
    for image in gallery.shown:
        scores: dict[str, float] = {}
        for one in _visible_hints(gallery, image):
            scores[one.code] = scores.get(one.code, 0) + one.score
        for code, score in scores.items():
            by_code.setdefault(code, []).append((score, image))
    best: list[tuple[float, int, str]] = []
    for code, images in by_code.items():
        images.sort(key=lambda pair: (-pair[0], pair[1]))
        alone = images[:1] if _is_listed_once(code, len(images)) else images
        best += [(score, image, code) for score, image in alone]
    best.sort(key=lambda one: (-one[0], one[1]))
    seen: set[int] = set()
    for _, image, code in best:
        if image not in seen and len(seen) < _POINTS_OF_HINTS:
            seen.add(image)
            yield _hint(gallery, image, code, len(by_code[code]))


def _hint(gallery: Gallery, image: int, code: str, count: int) -> Point:
    """Return the point about an image; it links to all images with the same hint."""
    hints = [one for one in _visible_hints(gallery, image) if one.code == code]
    hints += [one for one in _visible_hints(gallery, image) if one.code != code]
    texts = [*dict.fromkeys(one.text for one in hints)]
    more = f", and {len(texts) - 2} more" if len(texts) > 2 else ""
    file = gallery.source.images.names[image]
    text = [f"{'; '.join(texts[:2])}{more}", E.br(), E.small(name(file.rpartition("/")[2]))]
    rows = {one.row for one in hints}
    link, link_text = filter_link(image=file), "open image"
    if _is_listed_once(code, count):
        link, link_text = filter_link(code=code), f"show {count} images"
    is_meant: Callable[[Drawn], bool] | None = None
    if rows != {-1}:
        is_meant = _in_rows(rows)
    return Point("hint", [hints[0].title], text, image, link, link_text, is_meant)


def _is_listed_once(code: str, count: int) -> bool:
    return count > _ALONE or (count > 1 and code in _ABOUT_TWO_IMAGES)


def _in_rows(rows: set[int]) -> Callable[[Drawn], bool]:
    return lambda one: one.row in rows


def _visible_hints(gallery: Gallery, image: int) -> list[Reason]:
    """Return the hints of an image, without those about names: they have a point of their own."""
    reasons = gallery.reasons[image]
    return [one for one in reasons if one.severity == "hint" and one.code != "similar_name"]
