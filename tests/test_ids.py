"""Tables of IDs, in every form that users have them."""

from __future__ import annotations

import errno
import json
import os
import uuid
from typing import TYPE_CHECKING

import pytest

import regionbatch as rb
from helpers import id_of, raises_mentioning, write_coco
from regionbatch.batching import Batch, Entry
from regionbatch.errors import OptionError, ResolveError
from regionbatch.names.tables import collect_ids

if TYPE_CHECKING:
    from pathlib import Path

CAT, DOG = id_of("cat"), id_of("dog")
ARRAY_SPECS = {"cat": CAT, "dog": DOG}

FORMS: dict[str, tuple[str, str]] = {
    "an object": ("ids.json", json.dumps(ARRAY_SPECS)),
    "a GetTags response": (
        "tags.json",
        json.dumps(
            [
                {"id": CAT, "name": "cat", "description": None, "type": "Regular", "imageCount": 3},
                {"id": DOG, "name": "dog", "description": None, "type": "Regular", "imageCount": 0},
            ]
        ),
    ),
    "an image upload response": (
        "upload.json",
        json.dumps(
            {
                "isBatchSuccessful": True,
                "images": [
                    {
                        "sourceUrl": '"cat"',
                        "status": "OK",
                        "image": {"id": CAT, "width": 5, "height": 5},
                    },
                    {
                        "sourceUrl": "dog",
                        "status": "OKDuplicate",
                        "image": {"id": DOG, "width": 5, "height": 5},
                    },
                    {"sourceUrl": "cow", "status": "ErrorImageFormat", "image": None},
                ],
            }
        ),
    ),
    "an upload response of images with URLs": (
        "upload.json",
        json.dumps(
            {
                "images": [
                    {
                        "sourceUrl": "https://127.0.0.1/c%61t?sv=1",
                        "status": "OK",
                        "image": {"id": CAT},
                    },
                    {"sourceUrl": "dog", "status": "OK", "image": {"id": DOG}},
                ]
            }
        ),
    ),
    "a list of images": (
        "images.json",
        json.dumps([{"id": CAT, "originalImageUri": "cat"}, {"id": DOG, "file_name": "dog"}]),
    ),
    "a list with another field that is null": (
        "images.json",
        json.dumps([{"id": CAT, "name": "cat", "image": None}, {"id": DOG, "name": "dog"}]),
    ),
    "a list under value": (
        "images.json",
        json.dumps({"value": [{"name": name, "id": id_} for name, id_ in ARRAY_SPECS.items()]}),
    ),
    "CSV": ("ids.csv", f"cat,{CAT}\ndog,{DOG}\n"),
    "CSV with a header": ("ids.csv", f"name,id\ncat,{CAT}\ndog,{DOG}\n"),
    "CSV of a spreadsheet": (
        "ids.CSV",
        f'\ufeffname,id\r\n"cat",{CAT}\r\n\r\ndog, {DOG} \r\n,\r\n',
    ),
    "CSV with spaces before quotation marks": ("ids.csv", f'cat, "{CAT}"\ndog, "{DOG}"\n'),
    "CSV with semicolons": ("ids.csv", f"name;id\r\ncat;{CAT}\r\ndog;{DOG}\r\n"),
    "CSV with tabs": ("ids.tsv", f"cat\t{CAT}\ndog\t{DOG}\n"),
    "CSV without a final newline": ("ids.csv", f"cat,{CAT}\ndog,{DOG}"),
    "JSON with a byte-order mark": ("ids.json", "\ufeff" + json.dumps(ARRAY_SPECS)),
    "capital letters": (
        "ids.json",
        json.dumps({name: id_.upper() for name, id_ in ARRAY_SPECS.items()}),
    ),
    "braces and no hyphens": (
        "ids.json",
        json.dumps({"cat": f"{{{CAT}}}", "dog": DOG.replace("-", "")}),
    ),
    "whitespace around": ("ids.json", json.dumps({"cat": f" {CAT}\n", "dog": f"\t{DOG}"})),
    "as URNs": ("ids.csv", f"cat,urn:uuid:{CAT}\ndog,urn:uuid:{DOG}\n"),
    "the same twice": ("ids.csv", f"cat,{CAT}\ndog,{DOG}\ncat,{CAT.upper()}\n"),
}


@pytest.mark.parametrize(("name", "text"), FORMS.values(), ids=FORMS)
def test_every_form_gives_the_same_table(tmp_path: Path, name: str, text: str) -> None:
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert rb.read_ids(path) == rb.read_ids(str(path)) == ARRAY_SPECS


def test_ids_may_be_uuids(tmp_path: Path) -> None:
    dataset = rb.read(write_coco(tmp_path, [("a.jpg", "cat", (1, 2, 30, 4))]))
    batches = rb.batches(
        dataset, tag_ids={"cat": uuid.UUID(CAT)}, image_ids={"a.jpg": uuid.UUID(DOG)}
    )
    assert [(entry.tag_id, entry.image_id) for entry in batches[0]] == [(CAT, DOG)]


def test_names_are_kept_exactly(tmp_path: Path) -> None:
    names = [
        'a "quoted" name',
        "größe, 2",
        "a;b",
        "two\nlines",
        "猫",
        "a/b\\c.jpg",
        "(R-19)30",
        "NaN",
        "name",
    ]
    table = {name: id_of(name) for name in names}
    (tmp_path / "ids.json").write_text(json.dumps(table), encoding="utf-8")
    assert rb.read_ids(tmp_path / "ids.json") == table
    for separator in ",;\t":
        rows = "".join(
            '"{}"{}{}\n'.format(name.replace('"', '""'), separator, id_)
            for name, id_ in table.items()
        )
        (tmp_path / "ids.csv").write_text(rows, encoding="utf-8")
        assert rb.read_ids(tmp_path / "ids.csv") == table


def test_a_tag_with_the_name_of_a_header_is_a_tag(tmp_path: Path) -> None:
    (tmp_path / "ids.csv").write_text(f"image,{CAT}\ndog,{DOG}\n", encoding="utf-8")
    assert rb.read_ids(tmp_path / "ids.csv") == {"image": CAT, "dog": DOG}


@pytest.mark.parametrize("header", ["tag,tag id", "Class,Custom Vision id", "file_name,imageId"])
def test_any_header_is_recognised(tmp_path: Path, header: str) -> None:
    (tmp_path / "ids.csv").write_text(f"{header}\ncat,{CAT}\ndog,{DOG}\n", encoding="utf-8")
    assert rb.read_ids(tmp_path / "ids.csv") == ARRAY_SPECS


def test_an_empty_table_is_valid(tmp_path: Path) -> None:
    for name, text in (("a.json", "{}"), ("b.json", "[]"), ("c.csv", ""), ("d.csv", "name,id\n")):
        (tmp_path / name).write_text(text, encoding="utf-8")
        assert rb.read_ids(tmp_path / name) == {}


def test_tags_with_the_names_of_keys_of_a_response(tmp_path: Path) -> None:
    table = {"images": CAT, "value": DOG, "tags": id_of("x")}
    (tmp_path / "ids.json").write_text(json.dumps(table), encoding="utf-8")
    assert rb.read_ids(tmp_path / "ids.json") == table


DAMAGED = {
    "a digit missing, a space after": "12345678-1234-5678-1234-56781234567 ",
    "a digit missing, a space before": " 2345678-1234-5678-1234-567812345678",
    "a digit too many": "12345678-1234-5678-1234-5678123456789",
    "digits of another script": "\uff112345678-1234-5678-1234-567812345678",
    "Arabic digits": "12345678-1234-5678-1234-56781234567\u0668",
    "an underscore": "12345678-1234-5678-1234-5678_2345678",
    "a sign": "+2345678-1234-5678-1234-567812345678",
    "0x": "0x345678-1234-5678-1234-567812345678",
    "hyphens in other places": "1234-56781234-5678-1234-567812345678",
    "one hyphen": "12345678-123456781234567812345678",
    "en dashes": "12345678-1234-5678-1234-567812345678".replace("-", "\u2013"),
    "only the opening brace": "{12345678-1234-5678-1234-567812345678",
    "only the closing brace": "12345678-1234-5678-1234-567812345678}",
    "two braces": "{{12345678-1234-5678-1234-567812345678}}",
    "a brace inside": "12345678-1234-{5678}-1234-567812345678",
    "urn inside": "12345678-urn:1234-5678-1234-567812345678",
    "half a URN": "uuid:12345678-1234-5678-1234-567812345678",
    "words after": "12345678-1234-5678-1234-567812345678 (cat)",
    "two": "12345678-1234-5678-1234-567812345678\n12345678-1234-5678-1234-567812345678",
    "a look-alike letter": "12345678-1234-5678-1234-56781234567\u0430",
}


@pytest.mark.parametrize("text", DAMAGED.values(), ids=DAMAGED)
@pytest.mark.parametrize("name", ["ids.json", "list.json", "ids.csv", "a dict"])
def test_a_damaged_id_is_rejected(tmp_path: Path, text: str, name: str) -> None:
    """`uuid.UUID` would take most of these, each as the ID of something else."""
    content: dict[str, object] = {"cat": CAT, "dog": text}
    path = tmp_path / name
    if name == "ids.csv":
        path.write_text(f'cat,{CAT}\ndog,"{text}"\n', encoding="utf-8")
    elif name == "list.json":
        path.write_text(
            json.dumps([{"name": key, "id": value} for key, value in content.items()]),
            encoding="utf-8",
        )
    else:
        path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(ResolveError) as caught:
        collect_ids(content.items(), option="tag_ids") if name == "a dict" else rb.read_ids(path)
    source = ("", "tag_ids") if name == "a dict" else (str(path), "")
    assert (caught.value.place, caught.value.option) == source
    assert str(caught.value.value).strip() == text.strip()
    with pytest.raises(OptionError):
        Batch.of([Entry(CAT, text, 0.1, 0.1, 0.1, 0.1)])


MISTAKES: dict[str, tuple[str, bytes, list[str]]] = {
    "two ids": (
        "i.csv",
        f"cat,{CAT}\ncat,{DOG}\n".encode(),
        ["cat", CAT, DOG],
    ),
    "two ids in an object": (
        "i.json",
        f'{{"cat": "{CAT}", "cat": "{DOG}"}}'.encode(),
        ["cat", CAT, DOG],
    ),
    "two ids in an entry": (
        "i.json",
        f'[{{"name": "cat", "id": "{CAT}", "id": "{DOG}"}}]'.encode(),
        ["1", "id", CAT],
    ),
    "two names in an entry": (
        "i.json",
        f'[{{"name": "cat", "name": "dog", "id": "{DOG}"}}]'.encode(),
        ["1", "name"],
    ),
    "two ids in an image": (
        "i.json",
        b'{"images": [{"sourceUrl": "cat", "image": {%s}}]}'
        % f'"id": "{CAT}", "id": "{DOG}"'.encode(),
        ["1", "id", CAT],
    ),
    "not a UUID": ("i.json", b'{"cat": "17"}', ["cat", "17"]),
    "a number": ("i.json", b'{"cat": 17}', ["cat", "17"]),
    "a null": ("i.json", b'{"cat": null}', ["cat"]),
    "no id in CSV": ("i.csv", f"cat,{CAT}\ndog\n".encode(), ["dog"]),
    "a bad id in the second row": (
        "i.csv",
        f"name,id\ncat,{CAT}\ndog,x\n".encode(),
        ["dog", "x"],
    ),
    "not CSV": ("i.csv", b"x" * 200_000, []),
    "not JSON": ("i.json", b'{\n"cat": \n', ["i.json:3"]),
    "empty": ("i.json", b"", ["i.json:1"]),
    "a text": ("i.json", b'"cat"', ["cat"]),
    "an entry without a name": ("i.json", f'[{{"id": "{CAT}"}}]'.encode(), ["1", CAT]),
    "an entry without an image": (
        "i.json",
        b'{"images": [{"sourceUrl": "cat", "status": "OK"}]}',
        ["1", "cat"],
    ),
    "a list of texts": ("i.json", b'["cat"]', ["1"]),
    "nested too deep": ("i.json", b"[" * 100_000, []),
    "not UTF-8": ("i.csv", "größe,x".encode("cp1252"), []),
}


@pytest.mark.parametrize(("name", "content", "tokens"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_in_a_table_is_reported(
    tmp_path: Path, name: str, content: bytes, tokens: list[str]
) -> None:
    (tmp_path / name).write_bytes(content)
    with raises_mentioning(ResolveError, name, *tokens) as caught:
        rb.read_ids(tmp_path / name)
    assert getattr(caught.value, "place", "").startswith(str(tmp_path / name))


@pytest.mark.parametrize("ids", [["bad"], [None], [CAT, DOG]])
def test_an_error_quotes_no_signature(tmp_path: Path, ids: list[str | None]) -> None:
    """URLs of images may be signed."""
    url = "https://example.com/a b.jpg?sv=1&sig=SECRET"
    rows = [json.dumps(url) + ": " + json.dumps(each) for each in ids]
    (tmp_path / "ids.json").write_text("{" + ", ".join(rows) + "}")
    with pytest.raises(ResolveError) as caught:
        rb.read_ids(tmp_path / "ids.json")
    assert "SECRET" not in f"{caught.value} {caught.value.__dict__}"


def test_a_missing_table(tmp_path: Path) -> None:
    with raises_mentioning(ResolveError, tmp_path / "nothing.json", os.strerror(errno.ENOENT)):
        rb.read_ids(tmp_path / "nothing.json")
    with raises_mentioning(ResolveError, tmp_path):
        rb.read_ids(tmp_path)
