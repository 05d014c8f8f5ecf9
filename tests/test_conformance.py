"""Our own readers pass the conformance kit; every case in `fixtures/` is a test of its own."""

from __future__ import annotations

from pathlib import Path

from regionbatch.readers.coco import CocoReader
from regionbatch.readers.voc import VocReader
from regionbatch.readers.yolo import YoloReader
from regionbatch.testing import ReaderTests

FIXTURES = Path(__file__).parent.parent / "fixtures"


class TestCoco(ReaderTests):
    reader = CocoReader
    cases = FIXTURES / "coco"


class TestVoc(ReaderTests):
    reader = VocReader
    cases = FIXTURES / "voc"


class TestYolo(ReaderTests):
    reader = YoloReader
    cases = FIXTURES / "yolo"
