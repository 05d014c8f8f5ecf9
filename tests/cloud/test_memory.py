"""Datasets in a cloud give what they give on this machine; with the memory of fsspec as a cloud."""

from __future__ import annotations

import json
import pickle
import shutil
import traceback
from dataclasses import fields
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import numpy as np
import pytest

import regionbatch as rb
from all_cases import check_each
from helpers import ROOT, SCENE_TABLES, command, write_coco
from regionbatch.cases import cases_in
from regionbatch.errors import OptionError, RegionBatchError
from regionbatch.files import cloud as cloud_storage
from regionbatch.files import cloud_files
from regionbatch.files.cloud_lister import listing_of
from regionbatch.files.cloud_paths import CloudPath
from regionbatch.files.storage import storage_of
from regionbatch.files.text import UnreadableError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from regionbatch.testing import Case

pytest.importorskip("fsspec", reason="fsspec is not installed (the extra `cloud`)")
FORMATS = ("coco", "cvat", "voc", "vott", "yolo")


def copy(folder: Path, to: str, cloud: Any) -> None:
    for path in folder.rglob("*"):
        if path.is_file():
            key = f"{to.removeprefix('memory:/')}/{path.relative_to(folder).as_posix()}"
            cloud.pipe_file(key, path.read_bytes())


def content_of(source: object, options: dict[str, Any], names: Iterable[str]) -> object:
    """Return everything that a caller can see of a dataset, without its path."""

    def plain(value: object) -> str:
        text = str(value)
        for name in names:
            text = text.replace(name, "SET")
        return text

    try:
        dataset = rb.read(source, **options)  # type: ignore[arg-type]
    except RegionBatchError as error:
        return type(error), plain(error), error.option, plain(error.place), error.choices
    columns = [getattr(dataset.regions, each.name) for each in fields(dataset.regions)]
    images = dataset.images
    return (
        [column.tolist() if isinstance(column, np.ndarray) else column for column in columns],
        [*dataset.tags],
        [plain(finding._asdict()) for finding in dataset.findings],
        {name: plain(decision) for name, decision in dataset.decisions.items()},
        str(dataset.ledger),
        [*images.names],
        [
            images.width.tolist(),
            images.height.tolist(),
            images.split_names(),
            images.exact.tolist(),
        ],
        [plain(path) for path in images.paths],
    )


def test_fixtures_are_the_same_in_a_cloud(cloud: Any) -> None:
    def check(case: Case) -> None:
        folder = case.path / "input"
        url = f"memory://container/my set {case.name}"
        copy(folder, url, cloud)
        options = case.expected.get("options", {})
        relative = case.input.relative_to(folder).as_posix()
        here = content_of(case.input, dict(options), [str(folder)])
        there = content_of(CloudPath(url) / relative, dict(options), [url])
        assert there == here

    # Each case is read twice. All cases are equal too, but checking them takes a minute.
    cases = [case for name in FORMATS for case in cases_in(ROOT / "fixtures" / name)][::8]
    without_links = [
        case for case in cases if not any(path.is_symlink() for path in case.path.rglob("*"))
    ]
    assert len(without_links) > 90
    check_each(without_links, check)


ROW = b"0 0.5 0.5 0.25 0.5\n"
NAMES = ["a b.txt", "50%.txt", "a%20b.txt", "a#b.txt", "a?b.txt", "é猫.txt", "a\\b.txt", "[x]*.txt"]
BLOCKED = ["x//y.txt", "x/../y.txt", "x/./z.txt", "tab\t.txt", "a?versionid=1.txt"]


def test_names_of_files(cloud: Any) -> None:
    """What a URL cannot name is reported, and nothing else is read in its place."""
    cloud.pipe_file("/container/data.yaml", b"names: [cat]\n")
    for name in NAMES:
        cloud.pipe_file(f"/container/labels/{name}", ROW)
    for name in BLOCKED:
        cloud.store[f"/container/labels/{name}"] = cloud.store["/container/labels/a b.txt"]
    dataset = rb.read("memory://container")
    assert len(dataset) == len(NAMES)
    blocked = {finding.file for finding in dataset.findings if finding.code == "unreadable_file"}
    assert blocked == {f"labels/{name}" for name in BLOCKED}
    assert dataset.ledger.images.dropped == {"unreadable_file": len(BLOCKED)}


def test_nothing_outside_the_folder_is_read(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("set", "settings", "set2"):
        copy(ROOT / "fixtures/scene/voc", f"memory://container/{folder}", cloud)
    opened: list[str] = []
    original = cloud.cat_file
    monkeypatch.setattr(
        type(cloud),
        "cat_file",
        lambda _, path, **options: opened.append(path) or original(path, **options),  # type: ignore[func-returns-value]
    )
    assert len(rb.read("memory://container/set")) == 12
    assert len(rb.read("memory:///container/set")) == 12  # as its file system writes it
    assert opened
    assert all(path.startswith("/container/set/") for path in opened)


def test_a_label_file_is_read_once(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    copy(ROOT / "fixtures/scene/voc", "memory://container", cloud)
    opened: list[str] = []
    original = cloud.cat_file
    monkeypatch.setattr(
        type(cloud),
        "cat_file",
        lambda _, path, **options: opened.append(path) or original(path, **options),  # type: ignore[func-returns-value]
    )
    rb.read("memory://container")
    labels = [path for path in opened if path.endswith(".xml")]
    assert len(labels) == len(set(labels)) == 6


def test_folders_have_markers_and_files_their_names(cloud: Any) -> None:
    copy(ROOT / "fixtures/scene/yolo", "memory://container/set", cloud)
    for marker in ("set/labels", "set/images/", "set/empty/"):
        cloud.store[f"/container/{marker}"] = type(cloud.store["/container/set/data.yaml"])(
            cloud, f"/container/{marker}", b""
        )
    assert content_of("memory://container/set", {}, ["memory://container/set"]) == content_of(
        ROOT / "fixtures/scene/yolo", {}, [str(ROOT / "fixtures/scene/yolo")]
    )


@pytest.mark.parametrize("end", ["/", "_$folder$"])
def test_a_marker_of_a_folder_is_neither_a_label_file_nor_an_image(
    cloud: Any, tmp_path: Path, end: str
) -> None:
    """Whatever the name of the folder looks like."""
    for path in ("labels/clip.txt/a.txt", "images/clip.txt/a.jpg", "images/clip.jpg/b.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(ROW if path.endswith("txt") else b"")
    (tmp_path / "data.yaml").write_bytes(b"names: [cat]\n")
    url = "memory://container/set"
    copy(tmp_path, url, cloud)
    file = type(cloud.store["/container/set/data.yaml"])
    for name in ("labels/clip.txt", "labels/empty.txt", "images/clip.jpg", "images/empty.jpg"):
        marker = f"/container/set/{name}{end}"
        cloud.store[marker] = file(cloud, marker, b"")
    assert content_of(url, {}, [url]) == content_of(tmp_path, {}, [str(tmp_path)])


def test_empty_files_with_the_name_of_a_folder_stand_for_it() -> None:
    """In some clouds, a file and a folder may have one name."""
    sizes = {"a.txt": 0, "a.txt/1": 9, "b.txt": 5, "b.txt/1": 9, "c/": 0, "d/e_$folder$": 0}
    found = listing_of((name, {"size": size}) for name, size in (sizes | {"f_$folder$": 5}).items())
    assert {name: sorted(folder.files) for name, folder in found.folders.items()} == {
        "": ["b.txt", "f_$folder$"],
        "a.txt": ["1"],
        "b.txt": ["1"],
        "c": [],
        "d": [],
        "d/e": [],
    }
    assert found.unusable == []


def test_one_file_may_be_named(cloud: Any) -> None:
    folder = ROOT / "fixtures/scene/coco"
    copy(folder, "memory://container/set", cloud)
    here = rb.read(folder / "annotations/instances_val.json")
    there = rb.read("memory://container/set/annotations/instances_val.json")
    assert [*there] == [*here]
    assert str(there.root) == "memory://container/set/annotations"


def test_labels_here_and_images_in_a_cloud(cloud: Any) -> None:
    folder = ROOT / "fixtures/scene/yolo"
    copy(folder / "images", "memory://container/images", cloud)
    copied = rb.read(folder)
    images = "memory://container/images"
    dataset = rb.read(folder / "labels", image_dir=images, names=folder / "data.yaml")
    assert sorted(region[1:] for region in dataset) == sorted(region[1:] for region in copied)
    assert {path.partition("images/")[0] for path in dataset.images.paths} == {
        "memory://container/"
    }


@pytest.mark.parametrize(
    ("url", "error", "hidden"),
    [
        ("memory://container/nothing", rb.DatasetNotFoundError, ""),
        ("memory://nothing", rb.DatasetNotFoundError, ""),
        ("nothing-known://container/set", rb.DatasetNotFoundError, ""),
        ("https://example.com/set?sig=SECRET", rb.DatasetNotFoundError, "SECRET"),
        ("az://me:SECRET@container/set", rb.DatasetNotFoundError, "SECRET"),
        ("memory://container/../set", rb.DatasetNotFoundError, ""),
        ("file://", rb.DatasetNotFoundError, ""),
        ("file://host/set", rb.DatasetNotFoundError, ""),
    ],
)
def test_a_url_that_cannot_be_read(
    cloud: Any, url: str, error: type[Exception], hidden: str
) -> None:
    cloud.pipe_file("/container/readme.md", b"")
    with pytest.raises(error) as caught:
        rb.read(url)
    assert not hidden or hidden not in f"{caught.value} {caught.value.__dict__}"


def test_an_unknown_argument_is_reported_before_the_cloud_is_asked() -> None:
    # fsspec does not know the scheme, which would be the error if the cloud were asked first.
    with pytest.raises(OptionError) as raised:
        rb.read("nocloud://container", account_key="secret")  # type: ignore[call-arg]
    assert raised.value.option == "account_key"


def test_credentials_are_in_no_error_and_no_pickle(cloud: Any) -> None:
    copy(ROOT / "fixtures/scene/yolo", "memory://container", cloud)
    secret = {"account_key": "SECRETKEY", "connection_string": "AccountKey=SECRETKEY"}
    dataset = rb.read("memory://container", storage_options=secret)
    assert b"SECRETKEY" not in pickle.dumps(dataset)
    assert "SECRETKEY" not in repr((dataset, dataset.root, storage_of("memory://container/a")))
    assert pickle.loads(pickle.dumps(dataset)).root == dataset.root
    with pytest.raises(rb.OptionError) as caught:
        rb.read("memory://container", storage_options="SECRETKEY")  # type: ignore[arg-type]
    assert "SECRETKEY" not in f"{caught.value} {caught.value.__dict__}"


def test_an_error_that_is_shortened_contains_no_part_of_a_key(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "0123456789abcdef" * 4

    def find(*_arguments: Any, **_options: Any) -> None:
        raise OSError(f"{'x' * 180} {key}")

    cloud.pipe_file("/container/a.txt", b"")
    monkeypatch.setattr(type(cloud), "find", find)
    with pytest.raises(rb.DatasetError) as caught:
        rb.read("memory://container", storage_options={"account_key": key})
    assert key[:8] not in f"{caught.value} {caught.value.__dict__}"


@pytest.mark.parametrize("verb", ["inspect", "convert"])
def test_verbose_shows_the_cause_without_secrets(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    """All exceptions of the file system are shown, for both a dataset and an output."""
    key, signature = f"{'0aB+' * 21}A==", f"{'s1G/' * 10}abc="
    address = f"https://h/a.jpg?se=1&sig={quote(signature, safe='')}"

    def first() -> None:
        raise OSError(f"not the signature: {signature}, {key}, Bearer {signature[:9]}.b.c")

    def denied(*_arguments: Any, **_options: Any) -> None:
        try:
            first()
        except OSError as error:
            texts = [quote(address, safe=""), quote(key, safe=""), f"AccountKey={key};"]
            raise PermissionError(f"this is denied: {address}\n{texts}") from error

    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", f"AccountName=a;AccountKey={key}")
    monkeypatch.setattr(type(cloud), "info", denied)
    words = [verb, "memory://container/set"]
    if verb == "convert":
        words = [verb, str(ROOT / "fixtures/scene/coco"), "-o", "memory://container/o.jsonl"]
        words += [f"--{name.replace('_', '-')}={path}" for name, path in SCENE_TABLES.items()]
    brief, verbose = command(*words), command(*words, "-v")
    assert (verbose.status, brief.stderr.count("\n")) == (brief.status, 1)
    assert "CloudCause: Traceback" in verbose.stderr
    assert verbose.stderr.endswith(brief.stderr)
    assert "PermissionError: this is denied: https://h/a.jpg?…\n" in verbose.stderr
    assert "OSError: not the signature: …" in verbose.stderr
    with pytest.raises(rb.DatasetError) as caught:
        rb.read("memory://container/set", storage_options={"account_key": key})
    for text in (verbose.stderr, "".join(traceback.format_exception(caught.value))):
        assert text.count("in denied") == 2
        assert "in first" in text
        for secret in (key, signature, quote(key, safe=""), quote(signature, safe=""), "s1G"):
            assert secret not in text


def test_a_storage_reads_in_another_process(cloud: Any) -> None:
    """The other process does not know the sizes of the files."""
    cloud.pipe_file("/container/a.txt", b"a")
    cloud.pipe_file("/container/large.txt", b"b" * 3_000_000)
    cloud.pipe_file("/container/empty.txt", b"")
    storage = pickle.loads(pickle.dumps(storage_of("memory://container/a")))
    names = ("a", "large", "empty", "missing")
    found = [*storage.read_many([f"memory://container/{name}.txt" for name in names], most=2**20)]
    assert [type(each) for each in found] == [bytes, UnreadableError, bytes, UnreadableError]
    assert (found[0], found[2]) == (b"a", b"")
    assert storage.read_bytes("memory://container/large.txt") == b"b" * 3_000_000


def test_a_file_that_is_deleted_meanwhile_is_a_finding(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy(ROOT / "fixtures/scene/yolo", "memory://container", cloud)
    original = cloud_storage.CloudStorage.lister

    def listed(self: Any, root: Any) -> Any:
        found = original(self, root)
        cloud.rm_file("/container/labels/train/bridge.txt")
        return found

    monkeypatch.setattr(cloud_storage.CloudStorage, "lister", listed)
    dataset = rb.read("memory://container")
    unreadable = [each for each in dataset.findings if each.code == "unreadable_file"]
    assert [each.file for each in unreadable] == ["labels/train/bridge.txt"]


def test_a_json_that_changes_is_an_error(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (ROOT / "fixtures/scene/coco/annotations/instances_train.json").read_bytes()
    padded = text.rstrip()[:-1] + b" " * (3 * cloud_files.BLOCK_SIZE) + b"}"
    cloud.pipe_file("/container/set.json", padded)
    original = cloud_files.CloudFile._fetch_from

    def fetch(self: Any, block: int) -> None:
        original(self, block)
        cloud.pipe_file("/container/set.json", text.ljust(len(padded)))

    monkeypatch.setattr(cloud_files.CloudFile, "_fetch_from", fetch)
    with pytest.raises(rb.DatasetError) as caught:
        rb.read("memory://container/set.json")
    assert caught.value.place == "set.json"
    assert "changed" in str(caught.value)


@pytest.mark.parametrize("count", [1, 9])
def test_a_json_that_is_replaced_before_it_is_opened_is_read_as_it_is_now(
    cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    """Its start was read before to detect the format."""

    def replace(boxes: int) -> None:
        rows = [("a.jpg", "cat", (at, 1, 10, 10)) for at in range(boxes)]
        copy(write_coco(tmp_path, rows, name="set.json"), "memory://container", cloud)

    original = cloud_storage.CloudStorage.open

    def open_late(self: Any, path: str) -> Any:
        replace(count)
        return original(self, path)

    replace(4)
    monkeypatch.setattr(cloud_storage.CloudStorage, "open", open_late)
    assert len(rb.read("memory://container/set.json")) == count


def test_a_json_file_that_arrives_incomplete_is_an_error(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "fixtures/scene/coco/annotations/instances_train.json").read_bytes()
    cloud.pipe_file("/container/set.json", text[:-1] + b" " * (2 * cloud_files.BLOCK_SIZE) + b"}")
    original = cloud.cat_file

    def cat_file(_: Any, path: str, start: Any = None, end: Any = None, **_options: Any) -> bytes:
        found: bytes = original(path, start=start, end=end)
        return found[:-1] if start == cloud_files.BLOCK_SIZE else found

    monkeypatch.setattr(type(cloud), "cat_file", cat_file)
    with pytest.raises(rb.DatasetError) as caught:
        rb.read("memory://container/set.json", format="coco")
    assert "changed" in str(caught.value)


def test_the_size_of_an_image_takes_little_of_it() -> None:
    image = (ROOT / "fixtures/scene/coco/images/market.jpg").read_bytes()
    segment = b"\xff\xe2" + (60_002).to_bytes(2, "big") + bytes(60_000)
    large = image[:2] + 6 * segment + image[2:] + bytes(3_000_000)
    fetched: list[int] = []

    def fetch(start: int, end: int) -> bytes:
        fetched.append(end - start)
        return large[start:end]

    sizes = cloud_files.image_sizes_in(fetch, len(large))
    assert sizes == cloud_files.image_sizes_in(lambda start, end: image[start:end], len(image))
    assert 0 < sizes[0][0] < 2**16
    assert sum(fetched) <= 2**16


@pytest.mark.parametrize("length", [20, 2**17])
def test_the_size_of_a_netpbm_file_takes_one_call(length: int) -> None:
    image = b"P6\n12 34\n255\n" + bytes(length)
    fetched: list[int] = []

    def fetch(start: int, end: int) -> bytes:
        fetched.append(end - start)
        return image[start:end]

    assert cloud_files.image_sizes_in(fetch, len(image)) == ((12, 34), (12, 34))
    assert len(fetched) == 1
    assert sum(fetched) <= 2**16


def test_payloads_are_written_to_a_cloud(cloud: Any, tmp_path: Path) -> None:
    folder = ROOT / "fixtures/scene/coco"
    copy(folder, "memory://container/set", cloud)
    rb.convert(folder, tmp_path / "out.jsonl", **SCENE_TABLES)
    rb.convert("memory://container/set", "memory://container/out.jsonl", **SCENE_TABLES)
    here = (tmp_path / "out.jsonl").read_bytes()
    assert cloud.cat_file("/container/out.jsonl") == here
    with pytest.raises(rb.OutputError):
        rb.convert(folder, "memory://container/out.jsonl", **SCENE_TABLES)
    cloud.pipe_file("/container/out.jsonl", b'{"regions":[]}\n')
    rb.convert(folder, "memory://container/out.jsonl", overwrite=True, **SCENE_TABLES)
    assert cloud.cat_file("/container/out.jsonl") == here
    cloud.pipe_file("/container/notes.jsonl", b"mine")
    with pytest.raises(rb.OutputError):
        rb.convert(folder, "memory://container/notes.jsonl", overwrite=True, **SCENE_TABLES)
    assert cloud.cat_file("/container/notes.jsonl") == b"mine"


def test_a_cancelled_run_writes_nothing_to_a_cloud(cloud: Any) -> None:
    def cancel(step: str, _done: int, _total: int) -> None:
        if step == "writing payloads":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rb.convert(
            ROOT / "fixtures/scene/coco",
            "memory://container/o.jsonl",
            progress=cancel,
            **SCENE_TABLES,
        )
    assert cloud.find("/") == []


def test_output_that_appears_during_a_run_is_kept(cloud: Any) -> None:
    def appear(step: str, _done: int, _total: int) -> None:
        if step == "writing payloads":
            cloud.pipe_file("/container/o.jsonl", b'{"regions":[]}')

    with pytest.raises(rb.OutputError):
        rb.convert(
            ROOT / "fixtures/scene/coco",
            "memory://container/o.jsonl",
            progress=appear,
            **SCENE_TABLES,
        )
    assert cloud.cat_file("/container/o.jsonl") == b'{"regions":[]}'


def test_a_folder_of_payloads_is_not_written_to_a_cloud(cloud: Any) -> None:
    """It could not appear in one step."""
    with pytest.raises(rb.OptionError) as caught:
        rb.convert(ROOT / "fixtures/scene/coco", "memory://container/out", **SCENE_TABLES)
    assert caught.value.option == "target"
    assert cloud.find("/") == []


def test_reports_are_written_to_a_cloud(cloud: Any) -> None:
    dataset = rb.read(ROOT / "fixtures/scene/coco")
    for _ in range(2):  # they replace earlier ones
        rb.write_report("memory://container/report.json", dataset)
        rb.write_html(dataset, "memory://container/report.html")
    assert json.loads(cloud.cat_file("/container/report.json"))["boxes"]["read"] == 12
    for write in (rb.write_report, lambda path, one: rb.write_html(one, path)):
        cloud.pipe_file("/container/mine", b"mine")
        with pytest.raises(rb.OutputError):
            write("memory://container/mine", dataset)


def test_the_command_takes_urls(cloud: Any) -> None:
    copy(ROOT / "fixtures/scene/voc", "memory://container/set", cloud)
    tables = [
        "--tag-ids",
        str(SCENE_TABLES["tag_ids"]),
        "--image-ids",
        str(SCENE_TABLES["image_ids"]),
    ]
    done = command("convert", "memory://container/set", "-o", "memory://container/o.jsonl", *tables)
    assert done.status == 0, done.stderr
    assert cloud.cat_file("/container/o.jsonl").startswith(b'{"regions":[')
    assert command("inspect", "memory://container/set").status == 0
    assert command("inspect", "memory://container/nothing").status == 1
    assert command("convert", "memory://container/set", "-o", "s3x://a/o", *tables).status == 2


def test_an_upload_of_images_in_a_cloud_names_the_dataset(cloud: Any, tmp_path: Path) -> None:
    """The caller did not give `by_url`, so the place of the error is the dataset."""
    scene = ROOT / "fixtures/scene/coco"
    copy(scene, "memory://container/set", cloud)
    url = "memory://container/set"
    labels = tmp_path / "labels"
    shutil.copytree(scene / "annotations", labels)
    for given in ([url], [str(labels), "--image-dir", f"{url}/images"]):
        run = command("upload", *given, "--local", "--json")
        assert (run.status, run.json["error"]["place"]) == (2, given[0])
        assert run.json["error"]["option"] == "by_url"
        assert run.stderr.split(": ")[:2] == ["Error", given[0]]


def test_an_upload_of_images_that_a_cloud_lacks(cloud: Any) -> None:
    copy(ROOT / "fixtures/scene/coco/annotations", "memory://container/set", cloud)
    run = command("upload", "memory://container/set", "--local", "--create-tags", "--by-url")
    assert run.status == 1
    assert "images have neither a file nor an ID (12 boxes): 'market.jpg' and" in run.stderr


@pytest.mark.parametrize(
    "url",
    [
        *("az://", "az:///", "az:///a", "az:///a.jsonl", "az://folder", "az://folder/"),
        *("az://a.jsonl", "s3://bucket", "s3://", "az://c/folder", "az://c/a.xml", "memory://"),
    ],
)
def test_a_mistake_in_the_path_of_output_comes_before_credentials(
    monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    monkeypatch.setattr(cloud_storage, "open_container", lambda *_: pytest.fail("was opened"))
    with pytest.raises(rb.OptionError) as caught:
        rb.write([], url)
    assert caught.value.option == "target"
    assert caught.value.place.rstrip("/") == url.rstrip("/")
    tables = [
        "--tag-ids",
        str(SCENE_TABLES["tag_ids"]),
        "--image-ids",
        str(SCENE_TABLES["image_ids"]),
    ]
    assert command("convert", ROOT / "fixtures/scene/voc", "-o", url, *tables).status == 2
    if not url.startswith("az://c/"):
        assert command("inspect", ROOT / "fixtures/scene/voc", "--report", url).status == 2


def test_a_url_without_a_container_is_not_a_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    """`az:///a` is not the container `a`."""
    monkeypatch.setattr(cloud_storage, "open_container", lambda *_: pytest.fail("was opened"))
    for url in ("az://", "az:///a", "s3:///a/b"):
        with pytest.raises(rb.DatasetNotFoundError) as caught:
            rb.read(url)
        assert caught.value.place == url
