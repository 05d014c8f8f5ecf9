"""The reader passes the conformance kit of regionbatch."""

from pathlib import Path

from regionbatch_csv import CsvReader

from regionbatch.testing import ReaderTests


class TestCsvReader(ReaderTests):
    reader = CsvReader
    cases = Path(__file__).parent / "cases"
