"""The page without a browser: what it contains, what it may do, and its numbers."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
import sys
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

import regionbatch as rb
from helpers import ROOT, write_coco, write_yolo
from html_report.pages import (
    HOSTILE,
    HOSTILE_FILES,
    Report,
    Shapes,
    changed_project,
    report,
    write_hostile,
    write_set,
)
from regionbatch.html_report.thumbnails import SIDE

if TYPE_CHECKING:
    from pathlib import Path

SCENE = ROOT / "fixtures" / "scene"
VARIANTS = sorted(path.name for path in SCENE.iterdir() if path.is_dir())
TABLES: dict[str, Any] = {"tag_ids": SCENE / "tags.json", "image_ids": SCENE / "images.json"}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Report:
    dataset = rb.read(SCENE / "coco")
    return report(dataset, tmp_path_factory.mktemp("scene"), rb.batches(dataset, **TABLES))


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("hostile")
    return report(rb.read(write_hostile(folder / "set")), folder)


def test_the_same_dataset_gives_the_same_bytes(scene: Report, tmp_path: Path) -> None:
    dataset = rb.read(SCENE / "coco")
    again = report(dataset, tmp_path, rb.batches(dataset, **TABLES))
    assert again.text == scene.text


@pytest.mark.parametrize("variant", VARIANTS)
def test_the_numbers_are_those_of_the_payload(tmp_path: Path, variant: str) -> None:
    dataset = rb.read(SCENE / variant)
    batches = rb.batches(dataset, **TABLES)
    entries = [entry for batch in batches for entry in batch]
    shown = {}
    made = report(dataset, tmp_path, batches)
    for image in made.data["images"]:
        for _, tag, box, _, _, _, _, position in image["boxes"]:
            tag_id = made.data["tags"][tag][2]
            numbers = [round(number / 1e9, 9) for number in box]
            shown[position] = [image["id"], tag_id, *numbers]
    assert len(shown) == len(entries)
    for position, entry in enumerate(entries):
        wanted = [entry.image_id, entry.tag_id, entry.left, entry.top, entry.width, entry.height]
        assert shown[position] == wanted


def test_only_hashed_style_and_script_and_data_images_are_allowed(hostile: Report) -> None:
    directives = dict(part.strip().split(" ", 1) for part in hostile.csp.split(";"))
    assert directives["default-src"] == "'none'"
    assert directives["img-src"] == "data:"
    [style] = hostile.tree.xpath("//style")
    [script] = hostile.tree.xpath("//script[not(@type)]")
    for name, element in (("style-src", style), ("script-src", script)):
        digest = base64.b64encode(hashlib.sha256(element.text.encode()).digest()).decode()
        assert directives[name] == f"'sha256-{digest}'"
    assert not hostile.tree.xpath("//@style | //@*[starts-with(name(), 'on')]")
    for address in hostile.tree.xpath("//@src | //@href"):
        assert address.startswith(("#", "data:")), address


def test_names_stay_text(hostile: Report) -> None:
    assert len(hostile.tree.xpath("//script")) == 2
    assert len(hostile.tree.xpath("//li[contains(@class, 'card')]")) == len(HOSTILE_FILES)
    assert "<" not in hostile.text.partition('id="data">')[2].partition("</script>")[0]
    names = {bdi.text for bdi in hostile.tree.xpath("//table//bdi[@class='name']")}
    assert {HOSTILE[0], HOSTILE[1], HOSTILE[4], HOSTILE[9]} <= names
    assert "a\\x00b\\nc" in names
    assert "\u202e" not in hostile.text
    assert max(map(len, filter(None, names))) < 300
    links = hostile.tree.xpath("//section[@id='train']//a/@href")
    assert all(re.fullmatch(r"#tag=[\w.%~/-]+", link) for link in links), links


def test_counts_cover_the_whole_dataset_and_images_are_limited(tmp_path: Path) -> None:
    dataset = rb.read(Shapes().write(tmp_path / "set", Shapes()))
    made = report(dataset, tmp_path, images=7)
    assert len(made.data["images"]) == len(made.tree.xpath("//ol[@id='grid']/li")) == 7
    assert made.bars("Boxes per tag") == [240, 60]
    assert sum(made.bars("Boxes per image")) == 60
    assert sum(made.bars("Width and height of boxes")) == 300
    assert sum(made.bars("Aspect ratios of boxes")) == 300
    assert sum(made.bars("Sizes of images")) == 60
    assert sum(made.bars("Sizes of image files")) == 60
    assert made.bars("Tags that occur together") == [60] * 4
    assert "7 of 60 images" in made.words("//section[@id='images']/p[1]")
    none = report(dataset, tmp_path, images=0)
    assert none.data["images"] == []
    assert none.bars("Boxes per tag") == [240, 60]


def test_the_ledger_leads_to_the_findings(hostile: Report) -> None:
    parts = hostile.tree.xpath("//svg[@class='ledger'][1]//rect/@data-count")
    assert [*map(int, parts)] == [15 * 5, 1, 1]
    links = hostile.tree.xpath("//svg[@class='ledger']//a/@href")
    assert links == ["#finding-mostly_outside", "#finding-empty_box"]
    for link in links:
        assert hostile.tree.xpath(f"//details[@id='{link[1:]}']")


def test_a_dropped_and_an_adjusted_box_are_drawn_as_in_the_file(hostile: Report) -> None:
    boxes = hostile.image("<b onload=x>.jpg")["boxes"]
    by_kind = {
        kind: (box, other, code) for kind, _, box, other, code, *_ in boxes if kind != "sent"
    }
    box, _, code = by_kind["dropped"]
    assert (np.array(box) / 1e9).round(6).tolist() == [-0.166667, -0.25, 0.133333, 0.15]
    assert code == "empty_box"
    box, other, code = by_kind["adjusted"]
    assert (np.array(other) / 1e9).round(6).tolist() == [0.833333, 0.75, 0.466667, 0.65]
    assert (np.array(box) / 1e9).round(6).tolist() == [0.833333, 0.75, 0.166667, 0.25]
    assert code == "mostly_outside"
    [card] = hostile.tree.xpath("//ol[@id='grid']/li[.//*[contains(@class, 'dropped')]]")
    assert len(card.xpath(".//*[contains(@class, 'dropped')]/polygon")) == 1
    assert len(card.xpath(".//*[contains(@class, 'adjusted')]/polygon[@class='was']")) == 1


def test_an_image_whose_boxes_were_all_dropped_while_read_is_the_first(tmp_path: Path) -> None:
    boxes = [(f"{number}.jpg", "cat", (number / 10, 0.5, 0.2, 0.2)) for number in range(1, 9)]
    boxes += [("pixels.jpg", "cat", (155, 144, 481, 298)), ("pixels.jpg", "cat", (20, 30, 40, 50))]
    folder = write_yolo(tmp_path / "set", boxes)
    for file, *_ in boxes:
        Image.new("RGB", (60, 40)).save(folder / file)
    made = report(rb.read(folder), tmp_path)
    first = made.data["images"][0]
    assert first["name"].endswith("pixels.jpg")
    assert "pixel_row" in first["codes"]


def test_regions_without_ids_are_drawn_as_not_sent(tmp_path: Path) -> None:
    dataset = rb.read(SCENE / "coco")
    tags = {
        name: f"00000000-0000-4000-8000-{code:012}" for code, name in enumerate(dataset.tags[1:])
    }
    batches = rb.batches(dataset, tag_ids=tags, image_ids=TABLES["image_ids"], skip_unresolved=True)
    made = report(dataset, tmp_path, batches)
    kinds = [box[0] for image in made.data["images"] for box in image["boxes"]]
    assert kinds.count("sent") == len(batches.regions)
    assert kinds.count("dropped") == 12 - len(batches.regions) > 0
    codes = {
        box[4] for image in made.data["images"] for box in image["boxes"] if box[0] == "dropped"
    }
    assert codes == {"unresolved"}


def test_differences_of_a_project_are_in_the_page(tmp_path: Path) -> None:
    dataset, found = changed_project()
    assert (found.missing, found.moved, found.extra) == (1, 1, 0)
    made = report(dataset, tmp_path, found)
    boxes = [box for image in made.data["images"] for box in image["boxes"]]
    assert sorted(box[0] for box in boxes if box[0] != "sent") == ["missing", "moved"]
    [moved] = [box for box in boxes if box[0] == "moved"]
    stored = np.array(moved[3]) / 1e9
    assert stored == pytest.approx(found.differences.moved_box[0], abs=1e-7)
    assert "10 verified" in made.words("//*[@id='proof']")


def test_a_rename_merges_tags(tmp_path: Path) -> None:
    box = (10, 10, 30, 30)
    folder = write_set(tmp_path / "set", {"a.jpg": [("RBC", box)], "b.jpg": [("rbc", box)]})
    dataset = rb.read(folder)
    apart = report(dataset, tmp_path)
    assert apart.bars("Boxes per tag") == [1, 1]
    assert "RBC" in apart.words("//section[@id='look']")
    together = report(dataset, tmp_path, rename={"rbc": "RBC"})
    assert together.bars("Boxes per tag") == [2]
    assert "two names" not in together.words("//section[@id='look']")


def test_metadata_is_left_out_and_a_rotation_is_marked(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"turned.jpg": [("cat", (10, 10, 30, 30))]})
    image = Image.new("RGB", (300, 200), "green")
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "secret place"
    image.save(folder / "turned.jpg", exif=exif, comment="secret comment", xmp=b"secret xmp")
    made = report(rb.read(folder), tmp_path)
    [source] = made.tree.xpath("//ol[@id='grid']//img/@src")
    content = base64.b64decode(source.partition(",")[2])
    with Image.open(io.BytesIO(content)) as shown:
        assert shown.format == "JPEG"
        assert shown.size == (300, 200)
        assert not dict(shown.getexif())
    assert b"secret" not in content
    assert "EXIF" in made.words("//ol[@id='grid']/li")


@pytest.mark.parametrize("suffix", ["gif", "png"])
def test_a_comment_in_any_format_is_left_out(tmp_path: Path, suffix: str) -> None:
    folder = write_set(tmp_path / "set", {f"a.{suffix}": [("cat", (10, 10, 30, 30))]})
    text = PngInfo()
    text.add_text("comment", "secret")
    Image.new("RGB", (300, 200)).save(
        folder / f"a.{suffix}", suffix, comment=b"secret", pnginfo=text
    )
    [source] = report(rb.read(folder), tmp_path).tree.xpath("//ol[@id='grid']//img/@src")
    assert b"secret" not in base64.b64decode(source.partition(",")[2])


def test_long_names_that_differ_at_their_ends_stay_different(tmp_path: Path) -> None:
    names = ["x" * 400 + end for end in "ab"]
    made = report(
        rb.read(write_set(tmp_path / "set", {"a.jpg": [(one, (10, 10, 30, 30)) for one in names]})),
        tmp_path,
    )
    assert len({tag for tag, *_ in made.data["tags"]}) == 2


def test_thumbnails_are_small_jpegs(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", {"a.jpg": [("cat", (10, 10, 30, 30))]}, size=(1600, 900))
    [source] = report(rb.read(folder), tmp_path).tree.xpath("//ol[@id='grid']//img/@src")
    with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as shown:
        assert (shown.format, max(shown.size)) == ("JPEG", SIDE)


@pytest.mark.parametrize(
    "content", [b"", b"not an image", b"\xff\xd8\xff\xe0broken", b"%!PS-Adobe"]
)
def test_an_image_that_cannot_be_decoded_is_an_empty_frame(tmp_path: Path, content: bytes) -> None:
    folder = write_set(tmp_path / "set", {"a.jpg": [("cat", (10, 10, 30, 30))]})
    (folder / "a.jpg").write_bytes(content)
    made = report(rb.read(folder), tmp_path)
    [frame] = made.tree.xpath("//ol[@id='grid']//svg[@class='frame']")
    assert float(frame.get("width")) / float(frame.get("height")) == pytest.approx(1.5, abs=0.01)
    assert made.image("a.jpg")["notes"]


def test_without_pillow_the_page_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = rb.read(SCENE / "voc")
    monkeypatch.setitem(sys.modules, "PIL", None)
    made = report(dataset, tmp_path)
    assert not made.tree.xpath("//img")
    assert len(made.tree.xpath("//ol[@id='grid']//svg[@class='frame']")) == 6
    assert "regionbatch[shrink]" in made.words("//section[@id='images']")


def test_an_empty_dataset_has_a_page(tmp_path: Path) -> None:
    folder = tmp_path / "set"
    folder.mkdir()
    (folder / "a.json").write_text('{"images": [], "annotations": [], "categories": []}')
    made = report(rb.read(folder), tmp_path)
    assert made.data["images"] == []


@pytest.mark.parametrize("boxes", [[], [("cat", (10.0, 10.0, 0.0, 30.0))]])
def test_a_dataset_without_a_box_to_send_is_an_error(
    tmp_path: Path, boxes: list[tuple[str, tuple[float, float, float, float]]]
) -> None:
    made = report(rb.read(write_set(tmp_path / "set", {"a.jpg": boxes})), tmp_path)
    assert made.tree.xpath("//section[@id='look']//li[1]/@class") == ["point error"]
    assert made.tree.xpath("//section[@id='train']/p[1]/@class") == ["verdict error"]


def test_tables_grid_and_charts_have_texts_without_a_script(scene: Report) -> None:
    tree = scene.tree
    assert len(tree.xpath("//h1")) == 1
    assert [h.text for h in tree.xpath("//main//h2")][:3] == [
        "Look here first",
        "Images",
        "Will it train?",
    ]
    assert all(image.get("alt") for image in tree.xpath("//img"))
    assert all(svg.get("aria-label") for svg in tree.xpath("//svg[@role='img']"))
    assert len(tree.xpath("//table[contains(@class, 'tags')]/tbody/tr")) == 4
    titles = {title.text for title in tree.xpath("//ol[@id='grid']//g/title")}
    assert titles == {"person", "traffic light", "bicycle", "café"}


def test_a_report_replaces_only_a_report(tmp_path: Path) -> None:
    dataset = rb.read(SCENE / "voc")
    other = tmp_path / "notes.html"
    other.write_text("<!doctype html><p>mine", encoding="utf-8")
    with pytest.raises(rb.OutputError):
        rb.write_html(dataset, other)
    with pytest.raises(rb.OutputError):
        rb.write_html(dataset, tmp_path)
    assert other.read_text(encoding="utf-8") == "<!doctype html><p>mine"
    for _ in range(2):
        rb.write_html(dataset, tmp_path / "report.html")
    assert {path.name for path in tmp_path.iterdir()} == {"notes.html", "report.html"}


def test_a_stopped_run_leaves_nothing(tmp_path: Path) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rb.write_html(rb.read(SCENE / "voc"), tmp_path / "report.html", progress=stop)
    assert not [*tmp_path.iterdir()]


@pytest.mark.parametrize(
    "wrong", [{"images": -1}, {"images": True}, {"images": "5"}, {"tier": "S9"}, {"result": 3}]
)
def test_a_wrong_argument_is_an_option_error(tmp_path: Path, wrong: dict[str, Any]) -> None:
    with pytest.raises(rb.OptionError) as raised:
        rb.write_html(rb.read(SCENE / "voc"), tmp_path / "report.html", **wrong)
    assert raised.value.option in wrong
    assert not [*tmp_path.iterdir()]


def test_a_joined_dataset_has_its_findings_on_their_images(tmp_path: Path) -> None:
    coco = write_coco(tmp_path / "coco", [("a.jpg", "cat", (-20, 10, 80, 60))])
    table = rb.Dataset.from_arrays(
        image=["b.jpg"],
        tag=["dog"],
        box=[[-20, 10, 80, 60]],
        mode="XYWH_ABS",
        image_width=[200],
        image_height=[100],
    )
    page = report(rb.concat([table, rb.read(coco)]), tmp_path)
    assert "clipped" in page.image("a.jpg")["codes"]
    assert "clipped" in page.image("b.jpg")["codes"]


def test_a_finding_about_a_file_of_several_images_is_about_none_of_them(tmp_path: Path) -> None:
    box = ("cat", (10.0, 10.0, 100.0, 100.0))
    folder = write_set(tmp_path / "set", {"a.jpg": [box], "b.jpg": [box]})
    path = folder / "set.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["annotations"].append({"id": 9, "image_id": 77, "category_id": 0, "bbox": [1, 2, 3, 4]})
    path.write_text(json.dumps(content), encoding="utf-8")
    dataset = rb.read(folder)
    [code] = dataset.ledger.dropped
    made = report(dataset, tmp_path)
    assert made.data["images"]
    assert not any(code in image["codes"] for image in made.data["images"])
