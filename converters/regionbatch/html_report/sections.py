"""The parts of the page that are text and tables: head, decisions, tags, findings, verification."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from regionbatch.findings.codes import ADJUSTING, CODES
from regionbatch.html_report.charts import filter_link
from regionbatch.html_report.drawing import tag_class
from regionbatch.html_report.markup import E, name, thousands, with_code
from regionbatch.limits import IMAGES_PER_TAG, RECOMMENDED_IMAGES_PER_TAG, get_tier
from regionbatch.wording import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from regionbatch.findings import Account, Finding
    from regionbatch.html_report.cards import Gallery
    from regionbatch.html_report.finding_images import PlacedFindings
    from regionbatch.html_report.markup import Child, Element
    from regionbatch.html_report.source import Source
    from regionbatch.training_limits import TagRow, TagTable

    Words = Callable[[str], str]

MOST_TAGS = 500
MOST_PLACES = 100
_MOST_SPLITS = 8
_SEVERITIES = {"error": "error", "warning": "warning", "info": "note"}
"""Severities and their names on the page, the most serious first."""
_CLIPS = [ADJUSTING.index(code) for code in ("clipped", "mostly_outside")]


def figures_line(source: Source) -> Element:
    """Return the most important figures of the dataset, in one line."""
    images = source.images
    parts: list[Child] = [
        E.span(E.b(source.dataset.format), " dataset"),
        E.span(E.b(len(images)), " image" if len(images) == 1 else " images"),
        E.span(E.b(len(source.tags)), " tag" if len(source.tags) == 1 else " tags"),
        E.span(
            E.b(len(source.sent)), " box to send" if len(source.sent) == 1 else " boxes to send"
        ),
    ]
    if images.splits:
        shown = ", ".join(images.splits[:_MOST_SPLITS])
        more = ", …" if len(images.splits) > _MOST_SPLITS else ""
        parts.append(E.span("splits: ", name(shown + more)))
    return E.p({"class": "figures"}, *parts)


def ledger_bar(title: str, account: Account, linked: set[str]) -> Element:
    """Return an account as a stacked bar, whose parts lead to their findings."""
    parts = [("kept", "kept", account.kept)]
    parts += [(code, "adjusted", count) for code, count in account.adjusted.items()]
    parts += [
        (code, "left" if CODES[code].is_intentional else "dropped", count)
        for code, count in account.dropped.items()
    ]
    x, bars = 0.0, []
    legend: list[Child] = []
    for code, kind, count in parts:
        width = 1000 * count / max(1, account.read)
        shown = max(width, 4.0) if count else 0.0
        label = f"{count:,} kept" if code == "kept" else f"{count:,} {_verb(kind)}: {code}"
        bar = E.rect(
            {"class": kind, "x": f"{min(x, 996):.5g}", "y": 0, "height": 14}, E.title(label)
        )
        bar.set("width", f"{shown:.5g}")
        bar.set("data-count", str(count))
        target = f"#finding-{code}" if code in linked else None
        bars.append(E.a({"href": target}, bar) if target else bar)
        mark = E.i({"class": f"key {kind}"})
        legend.append(E.a({"href": target}, mark, label) if target else E.span(mark, label))
        x += width
    bar_chart = E.svg(
        {
            "class": "ledger",
            "viewBox": "0 0 1000 14",
            "preserveAspectRatio": "none",
            "role": "img",
            "aria-label": f"{title}: {account}",
        },
        *bars,
    )
    head = E.p(E.b(f"{title}: {thousands(account.read)} read"))
    return E.div({"class": "account"}, head, bar_chart, E.p({"class": "legend"}, *legend))


def _verb(kind: str) -> str:
    return {"left": "left out"}.get(kind, kind)


def decisions(source: Source, words: Words) -> Element | None:
    """Return what was decided about the dataset, with the evidence; None: nothing."""
    made = source.dataset.decisions
    if not made:
        return None
    rows = []
    for option, decision in made.items():
        flag = words(f"`{option}`").strip("`")
        state = E.span({"class": "badge warning"}, "uncertain") if decision.doubtful else ""
        rows.append(
            E.tr(
                {"class": "doubtful" if decision.doubtful else None},
                E.th({"scope": "row"}, E.code(flag)),
                E.td(name(decision.value), " ", state),
                E.td(*with_code(words(decision.evidence))),
            )
        )
    head = _header("override with", "decided", "evidence")
    doubtful = sum(decision.doubtful for decision in made.values())
    title = counted(len(made), "decision") + (f", {doubtful} uncertain" if doubtful else "")
    return E.details(
        {"id": "decisions", "open": bool(doubtful)},
        E.summary(title),
        E.div({"class": "scroll"}, E.table(head, E.tbody(*rows))),
    )


def _header(*titles: str) -> Element:
    return E.thead(E.tr(*(E.th({"scope": "col"}, title) for title in titles)))


def _verdict(red: int, used: int) -> str:
    if not used:
        return "No box is sent, so there is nothing to train with."
    if not red:
        return f"Every tag has at least {IMAGES_PER_TAG} images."
    return (
        f"{counted(red, 'tag')} of {used} {'has' if red == 1 else 'have'} fewer than "
        f"{IMAGES_PER_TAG} images: Custom Vision will not train with "
        f"{'it' if red == 1 else 'them'}, unless the project has more."
    )


def training(source: Source, table: TagTable) -> Iterator[Element]:
    """Yield the table of tags, and what it means."""
    rows = table.rows()
    limits = get_tier(source.tier)
    used = int(np.count_nonzero(table.boxes))
    red = sum(row.finding == "too_few_images" for row in rows)
    is_good = used and not red
    yield E.p({"class": f"verdict {'good' if is_good else 'error'}"}, _verdict(red, used))
    yield E.p(
        f"Tier {source.tier}: {used:,} of {limits.tags:,} tags, "
        f"{len(source.images):,} of {limits.images:,} images. "
        f"Custom Vision needs {IMAGES_PER_TAG} images of each tag to train, and "
        f"{RECOMMENDED_IMAGES_PER_TAG} are recommended."
    )
    shapes = BoxSizes(source)
    split_names = table.splits[:_MOST_SPLITS] if len(table.splits) > 1 else []
    head = E.thead(
        E.tr(
            *(E.th({"scope": "col"}, title) for title in ("tag", "", "images", "boxes")),
            *(E.th({"scope": "col"}, name(split)) for split in split_names),
            *(
                E.th({"scope": "col"}, title)
                for title in ("usual box", "smallest to largest", "clipped")
            ),
        )
    )
    codes = {tag: code for code, tag in enumerate(source.tags)}
    body = [_tag_row(row, codes[row.name], split_names, shapes) for row in rows[:MOST_TAGS]]
    yield E.div({"class": "scroll"}, E.table({"class": "tags"}, head, E.tbody(*body)))
    if len(rows) > MOST_TAGS:
        yield E.p(f"{len(rows) - MOST_TAGS:,} more tags with more images are not listed.")


def _tag_row(row: TagRow, code: int, splits: Sequence[str], shapes: BoxSizes) -> Element:
    kind = {"too_few_images": "error", "few_images": "warning"}.get(row.finding, "")
    state: list[Child] = []
    if row.finding == "too_few_images":
        state.append(E.span({"class": "badge error"}, f"{row.images} of {IMAGES_PER_TAG}"))
    elif row.finding == "few_images":
        text = f"{row.images} of {RECOMMENDED_IMAGES_PER_TAG}"
        state.append(E.span({"class": "badge warning"}, text))
    elif row.finding:
        state.append(E.span({"class": "badge"}, "no boxes, not created"))
    state += [
        E.span({"class": "badge warning"}, "similar to ", name(other)) for other in row.similar
    ]
    usual, extremes, clipped = shapes.texts(code)
    return E.tr(
        {"class": kind or None},
        E.th(
            {"scope": "row"},
            swatch(shapes.style_of[code]),
            E.a({"href": filter_link(tag=row.name)}, name(row.name)),
        ),
        E.td(*state),
        E.td({"class": "number"}, row.images),
        E.td({"class": "number"}, row.boxes),
        *(E.td({"class": "number"}, row.split_images[split]) for split in splits),
        E.td({"class": "number"}, usual),
        E.td({"class": "number"}, extremes),
        E.td({"class": "number"}, clipped),
    )


def swatch(style: int) -> Element:
    """Return a small box in the colour and dash pattern of a look."""
    mark = E.rect({"class": "box", "x": 2, "y": 2, "width": 18, "height": 12})
    group = E.g({"class": f"sent {tag_class(style)}"}, mark)
    return E.svg({"class": "swatch", "viewBox": "0 0 22 16", "aria-hidden": "true"}, group)


class BoxSizes:
    """The sizes of the boxes of each tag, and how many were clipped."""

    def __init__(self, source: Source) -> None:
        """Group the boxes."""
        regions, images = source.sent, source.images
        self.style_of = source.style_of
        self._unit = "px" if (images.width[regions.image] > 0).all() else "%"
        self._sides = regions.box[:, 2:].astype(np.float32)
        if self._unit == "px":
            sizes = np.stack([images.width, images.height], axis=1).astype(np.float32)
            self._sides = self._sides * sizes[regions.image]
        else:
            self._sides = self._sides * 100
        self._order = np.argsort(regions.tag.astype(np.uint32), kind="stable")
        counts = np.bincount(regions.tag, minlength=len(source.tags))
        self._starts = np.concatenate([[0], np.cumsum(counts)])
        self._is_clipped = np.isin(regions.adjusted, _CLIPS)

    def texts(self, tag: int) -> tuple[str, str, str]:
        """Return the usual size, the smallest and the largest, and the part that was clipped."""
        rows = self._order[self._starts[tag] : self._starts[tag + 1]]
        if not len(rows):
            return "", "", ""
        sides = self._sides[rows]
        area = sides[:, 0] * sides[:, 1]
        small, large = sides[int(area.argmin())], sides[int(area.argmax())]
        usual = np.median(sides, axis=0)
        clipped = int(np.count_nonzero(self._is_clipped[rows]))
        part = f"{clipped / len(rows):.1%}" if clipped else "0"
        return self._size(usual), f"{self._size(small)} to {self._size(large)}", part

    def _size(self, sides: NDArray[np.float32]) -> str:
        width, height = sides.tolist()
        return f"{width:.3g} x {height:.3g} {self._unit}"


def findings(placed: Sequence[PlacedFindings], gallery: Gallery, words: Words) -> Iterator[Element]:
    """Yield the findings by code, the most serious first, each with its places."""
    by_code: dict[str, list[PlacedFindings]] = {}
    for one in placed:
        by_code.setdefault(one.group.code, []).append(one)
    if not by_code:
        yield E.p({"class": "verdict good"}, "No findings.")
        return
    shown = {reason.code for reasons in gallery.reasons.values() for reason in reasons}
    for severity in _SEVERITIES:
        for code, groups in by_code.items():
            if _worst(groups) == severity:
                yield _finding(code, severity, groups, code in shown, words)


def _worst(groups: Sequence[PlacedFindings]) -> str:
    return min((one.severity for one in groups), key=[*_SEVERITIES].index)


def _finding(
    code: str, severity: str, groups: Sequence[PlacedFindings], is_shown: bool, words: Words
) -> Element:
    about = CODES[code]
    count = sum(len(one.group) for one in groups)
    rows = [_place(finding, words) for finding in _first(groups, MOST_PLACES)]
    more = ""
    if count > len(rows):
        hint = words("List all with `report`.")
        hint = hint if "--" in hint else "`write_report` lists all of them."
        more = f"… and {count - len(rows):,} more. {hint}"
    outcome = f" {about.outcome}" if about.outcome else ""
    show = (
        [E.a({"class": "show", "href": filter_link(code=code)}, "show images")] if is_shown else []
    )
    return E.details(
        {"class": f"finding {severity}", "id": f"finding-{code}"},
        E.summary(
            E.span({"class": f"badge {severity}"}, _SEVERITIES[severity]),
            " ",
            E.h3(f"{counted_units(count, about.unit)}{outcome}: {about.summary}"),
            " ",
            E.code(code),
        ),
        E.p(*with_code(words(about.advice)), " ", *show),
        E.p({"class": "quiet"}, *with_code(words(about.explanation))),
        E.div({"class": "scroll"}, E.table(_header("place", "value"), E.tbody(*rows))),
        *([E.p(*with_code(more))] if more else []),
    )


def counted_units(count: int, unit: str) -> str:
    """Return a text such as `2,000 boxes`; a tag of a dataset is called a class."""
    noun, plural = ("class", "classes") if unit == "tag" else (unit, "")
    number, _, nouns = counted(count, noun, plural).partition(" ")
    return f"{int(number):,} {nouns}"


def _first(groups: Sequence[PlacedFindings], most: int) -> Iterator[Finding]:
    for one in groups:
        for finding in one.group.rows(most):
            yield finding
            most -= 1


def _place(finding: Finding, words: Words) -> Element:
    place = finding.place
    if finding.code == "doubtful_decision":
        place = words(f"`{place}`").strip("`")
    return E.tr(
        E.th({"scope": "row"}, E.code({"class": "copy"}, name(place))),
        E.td(name(words(finding.value))),
    )


def verification(source: Source) -> Element | None:
    """Return how the project differs from the dataset; None: the project was not read."""
    found = source.verification
    if found is None:
        return None
    parts: Mapping[str, tuple[int, str]] = {
        "verified": (found.matched, ""),
        "missing": (found.missing, "region_missing"),
        "moved": (found.moved, "region_moved"),
        "extra": (found.extra, "region_extra"),
    }
    items = []
    for title, (count, code) in parts.items():
        kind = "good" if not (code and count) else "error"
        content: list[Child] = [E.b(count), f" {title}"]
        if code and count:
            content = [E.a({"href": filter_link(code=code)}, *content)]
        items.append(E.li({"class": kind}, *content))
    elsewhere = (
        f" {counted(found.elsewhere, 'region')} on other images of the project."
        if found.elsewhere
        else ""
    )
    return E.div(
        {"class": "proof", "id": "proof"},
        E.p(E.b("The project compared with the dataset"), elsewhere),
        E.ul(*items),
    )
