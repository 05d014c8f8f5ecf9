"""The report in a real browser: what is drawn, the filters, the keys, and that nothing runs or is
requested that should not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import regionbatch as rb
from helpers import ROOT
from html_report.pages import (
    HOSTILE_FILES,
    Shapes,
    changed_project,
    report,
    write_hostile,
    write_set,
)

expect: Any = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: no page is opened"
).expect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from html_report.pages import Report

SCENE = ROOT / "fixtures" / "scene"
TABLES: dict[str, Any] = {"tag_ids": SCENE / "tags.json", "image_ids": SCENE / "images.json"}
DRAWN = """() => [...document.querySelectorAll("#view-image .box")].map((box) => {
    const image = document.querySelector("#view-image .shown").getBoundingClientRect();
    const drawn = box.getBoundingClientRect();
    return { left: drawn.left - image.left, top: drawn.top - image.top, width: drawn.width,
             height: drawn.height, wide: image.width, high: image.height };
})"""


class Opened:
    """A page in the browser, and what happened on it."""

    def __init__(self, browser: Any, made: Report, **settings: Any) -> None:
        self.context = browser.new_context(
            viewport={"width": 1400, "height": 900}, reduced_motion="reduce", **settings
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.problems: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("dialog", lambda dialog: self.problems.append(dialog.message))
        self.address = made.path.as_uri()
        self.page.goto(self.address)

    def expect_shown(self, names: list[str] | int) -> None:
        """Wait until the grid has these images, or this many."""
        cards = self.page.locator("#grid > .card:not([hidden])")
        if isinstance(names, int):
            expect(cards).to_have_count(names)
        else:
            expect(cards.locator(".file .name")).to_have_text(names)

    def shown(self) -> list[str]:
        """The names of the images in the grid."""
        cards = self.page.locator("#grid > .card:not([hidden])")
        names: list[str] = cards.locator(".file .name").all_text_contents()
        return names

    def expect_open(self, name: str) -> None:
        """Wait until the full view has an image."""
        expect(self.page.locator("#view")).to_be_visible()
        expect(self.page.locator("#view-name")).to_have_text(name)

    def show(self, name: str) -> None:
        """Open an image by the address."""
        self.page.evaluate("(image) => setState({ tag: '', image })", name)
        self.expect_open(name)

    def url(self) -> str:
        address: str = self.page.url
        return address

    def press(self, *keys: str) -> None:
        for key in keys:
            self.page.keyboard.press(key)


@pytest.fixture
def open_page(browser: Any) -> Iterator[Any]:
    opened: list[Opened] = []

    def open_one(made: Report, **settings: Any) -> Opened:
        opened.append(Opened(browser, made, **settings))
        return opened[-1]

    yield open_one
    for one in opened:
        one.context.close()
        assert one.problems == []
        assert {url for url in one.requests if not url.startswith("data:")} <= {
            one.address,
            *(url for url in one.requests if url.startswith(f"{one.address}#")),
        }


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("shapes")
    labels = Shapes()
    labels.boxes["19.jpg"][0] = ("disc", (2, 3, 294, 193))
    labels.boxes["20.jpg"].append(("star", (280, 180, 60, 60)))
    return report(rb.read(labels.write(folder / "set", Shapes())), folder, images=20)


@pytest.mark.parametrize("variant", ["coco-segmentation", "voc-devkit", "yolo-roboflow"])
def test_boxes_on_screen_are_those_of_the_payload(
    open_page: Any, tmp_path: Path, variant: str
) -> None:
    """The boxes in the pages of all variants are compared without a browser."""
    dataset = rb.read(SCENE / variant)
    batches = rb.batches(dataset, **TABLES)
    wanted: dict[str, list[list[float]]] = {}
    for entry in (entry for batch in batches for entry in batch):
        box = [entry.left, entry.top, entry.width, entry.height]
        wanted.setdefault(entry.image_id, []).append(box)
    opened = open_page(report(dataset, tmp_path, batches))
    first = opened.page.locator("#grid .open").first
    first.click()
    for image in dataset.images.names:
        opened.show(image)
        drawn = opened.page.evaluate(DRAWN)
        id_ = batches.image_ids[list(dataset.images.names).index(image)]
        boxes = sorted(wanted.pop(id_, []))
        on_screen = sorted([one["left"], one["top"], one["width"], one["height"]] for one in drawn)
        assert len(drawn) == len(boxes)
        for one, box, found in zip(drawn, boxes, on_screen, strict=True):
            sides = [one["wide"], one["high"]] * 2
            assert found == pytest.approx([a * b for a, b in zip(box, sides, strict=True)], abs=1)
        payload = opened.page.locator("#view-payload").text_content()
        for box in boxes:
            assert f'"left":{box[0]:.9f},"top":{box[1]:.9f}' in payload
    assert not wanted


def test_boxes_in_the_grid_are_those_of_the_payload(open_page: Any, shapes: Report) -> None:
    opened = open_page(shapes)
    script = DRAWN.replace("#view-image", "#grid .card:first-child")
    drawn = opened.page.evaluate(script)
    boxes = [[number / 1e9 for number in box[2]] for box in shapes.data["images"][0]["boxes"]]
    for one, box in zip(drawn, boxes, strict=True):
        assert one["left"] == pytest.approx(box[0] * one["wide"], abs=1)
        assert one["height"] == pytest.approx(box[3] * one["high"], abs=1)


def test_filters_and_address(open_page: Any, shapes: Report) -> None:
    opened = open_page(shapes)
    page = opened.page
    opened.expect_shown(20)
    page.select_option("select[name=tag]", "star")
    opened.expect_shown(["20.jpg"])
    assert opened.url() == f"{opened.address}#tag=star"
    page.click("button[type=reset]")
    opened.expect_shown(20)
    page.select_option("select[name=code]", "whole_image")
    opened.expect_shown(["19.jpg"])
    page.goto(f"{opened.address}#q=20.JPG")
    opened.expect_shown(["20.jpg"])
    assert page.input_value("input[name=q]") == "20.JPG"
    page.goto(f"{opened.address}#tag=nothing")
    opened.expect_shown(0)
    expect(page.locator("#none")).to_be_visible()
    page.go_back()
    opened.expect_shown(["20.jpg"])


def test_a_click_on_a_bar_filters(open_page: Any, shapes: Report) -> None:
    opened = open_page(shapes)
    chart = opened.page.locator("figure:has(h3:text-is('Boxes per tag'))")
    chart.locator("a:has(title:text('star'))").click()
    opened.expect_shown(["20.jpg"])
    opened.page.goto(opened.address)
    chart = opened.page.locator("figure:has(h3:text-is('Boxes per image'))")
    chart.locator("a:has(title:text('6-7: '))").click()
    opened.expect_shown(["20.jpg"])


def test_keys(open_page: Any, shapes: Report) -> None:
    opened = open_page(shapes)
    first, second, *_ = opened.shown()
    opened.press("ArrowRight", "Enter")
    opened.expect_open(first)
    opened.press("ArrowRight")
    opened.expect_open(second)
    assert opened.url() == f"{opened.address}#image={second}"
    opened.press("ArrowLeft", "ArrowLeft")
    opened.expect_open(first)
    opened.press("Escape")
    expect(opened.page.locator("#view")).not_to_be_visible()
    opened.press("/")
    opened.page.keyboard.type("star")
    opened.expect_shown(["20.jpg"])
    opened.press("Escape")
    opened.expect_shown(20)
    opened.page.goto(f"{opened.address}#image=20.jpg")
    opened.expect_open("20.jpg")


def test_dropped_and_adjusted_boxes_are_dashed(open_page: Any, shapes: Report) -> None:
    opened = open_page(shapes)
    opened.page.goto(f"{opened.address}#image=20.jpg")
    opened.expect_open("20.jpg")
    [was] = opened.page.evaluate(
        """() => [...document.querySelectorAll("#view-image .adjusted .was")].map((one) =>
        [getComputedStyle(one).strokeDasharray, getComputedStyle(one).stroke])"""
    )
    assert was[0] != "none"
    assert "mostly_outside" in opened.page.locator("#view-boxes").text_content()


def test_differences_of_a_project_are_drawn(open_page: Any, tmp_path: Path) -> None:
    dataset, found = changed_project()
    opened = open_page(report(dataset, tmp_path, found))
    visible = [
        point.text_content()
        for point in opened.page.locator(".point").all()
        if point.bounding_box()["y"] < 900
    ]
    assert any("1 region missing" in text for text in visible)
    assert any("1 region moved" in text for text in visible)
    assert opened.page.locator("#grid .missing .box").count() == 1
    assert opened.page.locator("#grid .moved .arrow").count() == 1


def test_the_worst_mistakes_are_on_the_first_screen(open_page: Any, tmp_path: Path) -> None:
    labels = Shapes()
    labels.boxes["19.jpg"][0] = ("disc", (2, 3, 294, 193))
    labels.boxes["50.jpg"][1] = ("Disc", labels.boxes["50.jpg"][1][1])
    made = report(rb.read(labels.write(tmp_path / "set", Shapes())), tmp_path, images=30)
    page = open_page(made).page
    for text in ("Box over the whole image", "Disc"):
        point = page.locator(".point", has_text=text).first
        box = point.bounding_box()
        assert box["y"] + box["height"] < 900
        assert point.locator(".meant .box").count() == 1


@pytest.mark.parametrize("scripts", [True, False])
def test_no_name_runs_or_breaks_out(open_page: Any, tmp_path: Path, scripts: bool) -> None:
    made = report(rb.read(write_hostile(tmp_path / "set")), tmp_path)
    opened = open_page(made, java_script_enabled=scripts)
    page = opened.page
    opened.expect_shown(len(HOSTILE_FILES))
    assert page.locator("script").count() == 2
    assert page.locator("main b, [onload], [onerror], img:not([src^='data:'])").count() == 0
    if not scripts:
        return
    for tag, *_ in made.data["tags"]:
        page.evaluate("(tag) => setState({ tag, image: '' })", tag)
        expect(page.locator("select[name=tag]")).to_have_value(tag)
        opened.expect_shown(len(HOSTILE_FILES))
    for image in made.data["images"]:
        opened.show(image["name"])
        page.hover("#view-boxes tbody tr")
    assert page.evaluate("window.hit") is None


def test_without_a_script_tables_and_grid_are_there(open_page: Any, shapes: Report) -> None:
    page = open_page(shapes, java_script_enabled=False).page
    assert page.locator("#grid .card:visible").count() == 20
    assert page.locator(".tags tbody tr:visible").count() == 3
    assert not page.locator("#filters").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable_and_nothing_is_wider_than_the_screen(
    open_page: Any, shapes: Report, scheme: str
) -> None:
    page = open_page(shapes, color_scheme=scheme).page
    for width in (400, 1400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.evaluate(CONTRASTS) == []


CONTRASTS = """() => {
    const light = (colour) => {
        const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((value) => {
            const part = value / 255;
            return part <= 0.03928 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const below = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (!/^rgba.*, 0\\)$/.test(colour)) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const low = [];
    for (const element of document.querySelectorAll("main *, header *, nav *, footer *")) {
        const hasText = [...element.childNodes].some((node) => node.nodeType === 3);
        if (!hasText || !element.checkVisibility() || !element.textContent.trim()) continue;
        if (element.closest(".shown, #filters option")) continue;
        const style = getComputedStyle(element);
        const text = element instanceof SVGElement ? style.fill : style.color;
        if (element.matches("title") || element.closest(".chart [class^=s]")) continue;
        if (element instanceof SVGElement && text === "rgb(0, 0, 0)") continue; // on a bar
        const [a, b] = [light(text), light(below(element))].sort((x, y) => y - x);
        if ((a + 0.05) / (b + 0.05) < 4.5) low.push(`${element.textContent}: ${text}`);
    }
    return low;
}"""
"""Texts with a contrast below 4.5:1, the level AA of WCAG."""


def test_printing(open_page: Any, shapes: Report) -> None:
    page = open_page(shapes).page
    content = page.pdf()
    assert content.startswith(b"%PDF")
    page.emulate_media(media="print")
    assert page.locator("#grid .card:visible").count() == 20
    assert not page.locator("nav").is_visible()
    assert not page.locator("#filters").is_visible()
    assert page.locator(".finding table").first.is_visible()


def test_a_split_filters(open_page: Any, tmp_path: Path) -> None:
    opened = open_page(report(rb.read(SCENE / "yolo"), tmp_path))
    everything = len(opened.shown())
    opened.page.select_option("select[name=split]", "val")
    expect(opened.page.locator("#count")).to_contain_text(f" of {everything} ")
    assert 0 < len(opened.shown()) < everything


def test_an_image_without_boxes_opens(open_page: Any, tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a.jpg": [("cat", (1, 1, 9, 9))], "b.jpg": []})
    opened = open_page(report(rb.read(folder), tmp_path))
    opened.page.goto(f"{opened.address}#image=b.jpg")
    opened.expect_open("b.jpg")
    assert opened.page.locator("#view-payload").text_content() == ""
