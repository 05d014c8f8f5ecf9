"""Where the grammar of ordinary VOC files matches, it gives the same columns as lxml."""

from __future__ import annotations

import pickle
import random
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

from fuzzing.voc_layout import (
    ORDINARY,
    LayoutSandbox,
    assert_same,
    changed_layout,
    is_ordinary,
    layout_seeds,
    part_by_lxml,
    part_of,
)
from helpers import ROOT
from regionbatch.files.storage import LOCAL
from regionbatch.readers.voc import columns
from regionbatch.readers.voc.ordinary import MAX_SIZE, OrdinaryFiles

FILES = sorted((ROOT / "fixtures").rglob("*.xml"))
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox>"
CAT = f"<object><name>cat</name>{BOX}</object>"


def test_most_fixtures_are_ordinary_and_all_are_read_alike() -> None:
    for path in FILES:
        data = path.read_bytes()
        for encoding in (None, "gbk"):
            assert_same(part_of(data, encoding=encoding), part_by_lxml(data, encoding=encoding))
    assert sum(is_ordinary(path.read_bytes()) for path in FILES) > len(FILES) / 2


@pytest.mark.parametrize("data", ORDINARY)
def test_files_of_many_tools_are_ordinary(data: bytes) -> None:
    assert is_ordinary(data)
    assert_same(part_of(data), part_by_lxml(data))


def annotation(content: str) -> str:
    return f"<annotation>{content}</annotation>"


def thing(content: str) -> str:
    return annotation(f"<object>{content}</object>")


def corners(content: str) -> str:
    return thing(f"<name>cat</name><bndbox>{content}</bndbox>")


PART = f"<part><name>head</name>{BOX}</part>"
EDGES = BOX.removeprefix("<bndbox>").removesuffix("</bndbox>")
RECOGNISED = {
    "no object": annotation(""),
    "one line": annotation(CAT * 3),
    "one line for two of three": annotation(f"{CAT}\n{CAT}{CAT}"),
    "header after the objects": annotation(f"{CAT}<filename>a.jpg</filename>"),
    "header between objects": annotation(f"{CAT}<size><width>9</width></size>{CAT}"),
    "declared": f"<?xml version='1.0' encoding=\"UTF-8\" ?>\n{annotation(CAT)}",
    "verified": annotation(CAT).replace("<annotation>", '<annotation verified="no">'),
    "spaces": annotation(f" \t\n{CAT.replace('><', '> <')}\n") + "\n",
    "carriage returns": annotation(f"\r\n{CAT.replace('><', '>' + chr(13) + chr(10) + '<')}\r\n"),
    "name with spaces": thing(f"<name>\n a\tb \n</name>{BOX}"),
    "name on two lines": thing(f"<name>a\r\nb</name>{BOX}"),
    "not ASCII": thing(f"<name>Zürich 猫 \U0001f408</name>{BOX}"),
    "no-break space": thing(f"<name>\u00a0cat\u0085</name>{BOX}"),
    "delete": thing(f"<name>\x7f</name>{BOX}"),
    "quotes": thing(f"<name>a\"'=/\\;#</name>{BOX}"),
    "numbers": corners(
        "<xmin>-0</xmin><ymin>007.50</ymin><xmax>-3.125</xmax><ymax>123456789012345678901</ymax>"
    ),
    "zero with a sign": corners(EDGES.replace("30", "-0")),
    "zeros at the start": corners(EDGES.replace("30", "0030")),
    "decimals": corners(EDGES.replace("30", "30.300000000000000710542735760100185871124267578126")),
    "huge number": corners(EDGES.replace("30", "9" * 400)),
    "other order": corners("<ymax>40</ymax><xmin>1</xmin><xmax>30</xmax><ymin>2</ymin>"),
    "marks": thing(
        f"<name>a</name><occluded>1</occluded><truncated> yes </truncated>{BOX}"
        "<difficult>2</difficult>"
    ),
    "marks twice": thing(
        f"<name>a</name><truncated>0</truncated>{BOX}<truncated>1</truncated><truncated>1</truncated>"
    ),
    "marks that are none": thing(
        f"<name>a</name><truncated>x</truncated><difficult></difficult><occluded>-0</occluded>{BOX}"
    ),
    "marks in two orders": annotation(
        f"<object><name>a</name>{BOX}<difficult>1</difficult></object>"
        f"<object><name>a</name><truncated>1</truncated><difficult>1</difficult>{BOX}</object>"
    ),
    "pose": thing(f"<name>a</name><pose>\n</pose>{BOX}<pose>b</pose>"),
    "parts": thing(f"<name>a</name>{PART}{BOX}{PART}{PART}"),
    "part with less": thing(f"<name>a</name>{BOX}<part><name></name><bndbox></bndbox></part>"),
    "empty header": annotation(
        "<folder></folder><filename></filename><path></path><source></source><size></size>"
    ),
    "devkit in the folder": annotation(f"<folder>VOC2007</folder>{CAT}"),
    "devkit in the path": annotation(f"<path>C:\\VOC2012\\a.jpg</path>{CAT}"),
    "devkit in other digits": annotation(f"<path>VOC20\u0661\u0662</path>{CAT}"),
    "devkit twice": annotation(
        "<source><database>x</database><database> the voc2007 database\n</database></source>" + CAT
    ),
    "two widths": annotation(
        f"<size><width>9</width><height>1e2</height><width>9</width></size>{CAT}"
    ),
    "size in words": annotation(f"<size><width>9 px</width><height> 80 </height></size>{CAT}"),
    "owner": annotation(f"<owner><flickrid>x</flickrid><name>y</name></owner>{CAT}"),
}
LEFT_TO_LXML = {
    "nothing": "",
    "not XML": "cat",
    "other root": CAT,
    "byte-order mark": "\ufeff" + annotation(CAT),
    "space before": " " + annotation(CAT),
    "other declaration": f"<?xml version='1.0' encoding='gbk'?>{annotation(CAT)}",
    "7-bit encoding": f"<?xml version='1.0' encoding='iso-2022-jp'?>{annotation(CAT)}",
    "mixed quotes": f"<?xml version='1.0\"?>{annotation(CAT)}",
    "DOCTYPE": f"<!DOCTYPE annotation>{annotation(CAT)}",
    "truncated": annotation(CAT)[:-5],
    "text after": annotation(CAT) + "x",
    "object after": annotation(CAT) + CAT,
    "object before": CAT + annotation(CAT),
    "comment": annotation(f"<!-- c -->{CAT}"),
    "object in a comment": annotation(f"<!-- {CAT} -->{CAT}"),
    "object in CDATA": annotation(f"<folder><![CDATA[{CAT}]]></folder>"),
    "object in an object": thing(f"<name>a</name>{CAT}{BOX}"),
    "object in a part": thing(f"<name>a</name>{BOX}<part>{CAT}</part>"),
    "object in the source": annotation(f"<source>{CAT}</source>"),
    "object in the size": annotation(f"<size>{CAT}<width>9</width></size>"),
    "object in the file name": annotation(f"<filename>{CAT}</filename>"),
    "object in the owner": annotation(f"<owner>{CAT}</owner>"),
    "box outside": annotation(f"{BOX}{CAT}"),
    "processing instruction": annotation(f"<?x?>{CAT}"),
    "CDATA": thing(f"<name><![CDATA[cat]]></name>{BOX}"),
    "end of CDATA": thing(f"<name>cat]]></name>{BOX}"),
    "entity": thing(f"<name>a&amp;b</name>{BOX}"),
    "number of a character": thing(f"<name>&#99;at</name>{BOX}"),
    "undefined entity": thing(f"<name>&x;</name>{BOX}"),
    "attribute": annotation(CAT.replace("<object>", "<object id='1'>")),
    "namespace": annotation(CAT).replace("<annotation>", "<annotation xmlns='x'>"),
    "space in a tag": annotation(CAT.replace("<object>", "<object >")),
    "line in a tag": annotation("\n" + CAT.replace("<object>", "<object\n>")),
    "self-closing": thing(f"<name>a</name><pose/>{BOX}"),
    "text between": annotation(f"{CAT}, {CAT}"),
    "text in an object": thing(f"<name>cat</name>{BOX}x"),
    "NUL": annotation(f"{CAT}\0{CAT}"),
    "NUL in a name": thing(f"<name>c\0t</name>{BOX}"),
    "control character": thing(f"<name>c\x0bt</name>{BOX}"),
    "lone carriage return": annotation(f"\r{CAT}"),
    "lone carriage return in a name": thing(f"<name>a\rb</name>{BOX}"),
    "U+FFFE": thing(f"<name>\ufffe</name>{BOX}"),
    "U+FFFF": annotation(f"<folder>\uffff</folder>{CAT}"),
    "unknown element": thing(f"<name>a</name>{BOX}<id>1</id>"),
    "unknown element in the header": annotation(f"<id>1</id>{CAT}"),
    "attributes": thing(
        f"<name>a</name>{BOX}<attributes><attribute><name>rotation</name><value>30</value>"
        "</attribute></attributes>"
    ),
    "deleted": thing(f"<name>a</name>{BOX}<deleted>1</deleted>"),
    "capital": thing(f"<name>a</name>{BOX}<Difficult>1</Difficult>"),
    "no name": thing(BOX),
    "empty name": thing(f"<name> \n</name>{BOX}"),
    "two names": thing(f"<name>a</name><name>b</name>{BOX}"),
    "name last": thing(f"{BOX}<name>a</name>"),
    "no box": thing("<name>a</name>"),
    "two boxes": thing(f"<name>a</name>{BOX}{BOX}"),
    "polygon": thing("<name>a</name><polygon><x1>1</x1><y1>1</y1><x2>9</x2><y2>9</y2></polygon>"),
    "three corners": corners(EDGES.removesuffix("<ymax>40</ymax>")),
    "five corners": corners(EDGES + "<xmin>1</xmin>"),
    "one corner twice": corners(EDGES.replace("ymin", "xmin")),
    "number with an exponent": corners(EDGES.replace("30", "3e1")),
    "number with a sign": corners(EDGES.replace("30", "+30")),
    "number with spaces": corners(EDGES.replace("30", " 30")),
    "number without a digit after the dot": corners(EDGES.replace("30", "30.")),
    "number without a digit before the dot": corners(EDGES.replace("30", ".5")),
    "number with an underscore": corners(EDGES.replace("30", "3_0")),
    "Arabic digits": corners(EDGES.replace("30", "\u0663\u0660")),
    "not a number": corners(EDGES.replace("30", "nan")),
    "no number": corners(EDGES.replace("30", "")),
    "comma": corners(EDGES.replace("30", "1,5")),
    "two file names": annotation(f"<filename>a</filename><filename>b</filename>{CAT}"),
    "two folders": annotation(f"<folder>a</folder><folder>VOC2007</folder>{CAT}"),
    "two sizes": annotation(f"<size><width>9</width></size><size></size>{CAT}"),
    "two sources": annotation(f"<source></source><source></source>{CAT}"),
    "two paths": annotation(f"<path>a</path><path>b</path>{CAT}"),
    "large": annotation(CAT + " " * MAX_SIZE),
    "more lines than lxml counts": annotation("\n" * 65_600 + CAT * 2),
}


@pytest.mark.parametrize("name", RECOGNISED)
def test_clause_of_the_grammar(name: str) -> None:
    data = RECOGNISED[name].encode()
    assert is_ordinary(data)
    assert_same(part_of(data), part_by_lxml(data))


@pytest.mark.parametrize("name", LEFT_TO_LXML)
def test_unusual_file_is_left_to_lxml(name: str) -> None:
    data = LEFT_TO_LXML[name].encode()
    assert not is_ordinary(data)


@pytest.mark.parametrize(
    ("data", "encoding", "ordinary"),
    [
        (thing(f"<name>\u732b</name>{BOX}").encode("gbk"), None, True),  # as è in UTF-8
        (thing(f"<name>\u732b</name>{BOX}").encode("gbk"), "gbk", False),
        (thing(f"<name>\u732b</name>{BOX}").encode(), "gbk", False),
        (thing(f"<name>\u00e8</name>{BOX}").encode(), "gbk", False),
        (thing(f"<name>caf\u00e9</name>{BOX}").encode("cp1252"), None, False),
        (thing(f"<name>\u732b</name>{BOX}").encode("utf-16"), None, False),
        (b"\xed\xa0\x80".join(thing(f"<name>a</name>{BOX}").encode().split(b"a</n")), None, False),
        (annotation(CAT).encode(), "gbk", True),
    ],
)
def test_encodings(data: bytes, encoding: str | None, ordinary: bool) -> None:
    assert is_ordinary(data, encoding) == ordinary
    assert_same(part_of(data, encoding=encoding), part_by_lxml(data, encoding=encoding))


def test_changed_files_are_read_alike() -> None:
    chance = random.Random(17)
    box = LayoutSandbox()
    outcomes = [
        box.check(changed_layout(chance.choice(layout_seeds()), chance)) for _ in range(600)
    ]
    assert outcomes.count("recognised") > 180


def test_ordinary_files_between_others_are_read_alike() -> None:
    chance = random.Random(18)
    for _ in range(20):
        files = [changed_layout(chance.choice(layout_seeds()), chance)[1:] for _ in range(30)]
        assert 1 < sum(map(is_ordinary, files)) < len(files)
        assert_same(part_of(*files), part_by_lxml(*files))


def test_difference_would_be_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each column is compared: one that the grammar gets wrong is an error."""
    data = ORDINARY[0]
    files = OrdinaryFiles()
    assert files.add(data)
    right = files.content()
    wrong: dict[str, Any] = {
        "file_names": ["b.jpg"],
        "sizes": [(1, 1)],
        "devkits": [2],
        "counts": [1],
        "where": np.array([1, 2]),
        "names": ["cat", "dog"],
        "numbers": np.ones((2, 4)),
        "marks": [(), ("difficult", "truncated")],
    }
    assert {*wrong} == {*right._fields}
    for field, value in wrong.items():
        changed = right._replace(**{field: value})
        monkeypatch.setattr(OrdinaryFiles, "content", lambda _, changed=changed: changed)
        with pytest.raises(AssertionError):
            assert_same(part_of(data), part_by_lxml(data))


def test_parts_of_any_size_are_joined_to_the_same_columns() -> None:
    """Parts with errors, marks, rotations and no boxes, read where another process would."""
    paths = [*map(str, FILES)]
    whole = columns.parse_part(LOCAL, paths)
    assert whole.columns.marks
    assert len(whole.columns.rotated) > len(whole.columns.robndboxes) > 0
    assert whole.remarks
    for count in (1, 2, 3, 7, 16, len(paths) + 1):
        cuts = np.linspace(0, len(paths), count + 1).astype(int).tolist()
        parts = [columns.parse_part(LOCAL, paths[start:end]) for start, end in pairwise(cuts)]
        sent = [pickle.loads(pickle.dumps(part)) for part in parts]
        joined = columns.JoinedColumns()
        for part in sent:
            joined.append(part.columns)
        assert_same(
            whole._replace(columns=joined.finished(), remarks=[]), whole._replace(remarks=[])
        )
        remarks = [
            each._replace(file=each.file + start)
            for part, start in zip(sent, cuts, strict=False)
            for each in part.remarks
        ]
        assert remarks == whole.remarks
