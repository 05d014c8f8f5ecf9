"""Print every message of the library and every help text, for a person to read.

python tests/review_messages.py          # all
python tests/review_messages.py errors   # or findings, fixtures, help
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from messages import collected
from messages.call_mistakes import CALL_MISTAKES
from messages.dataset_mistakes import DATASET_MISTAKES
from messages.executor_mistakes import EXECUTOR_MISTAKES
from regionbatch.findings.codes import CODES


def print_errors() -> None:
    for name in [*DATASET_MISTAKES, *CALL_MISTAKES, *EXECUTOR_MISTAKES]:
        with tempfile.TemporaryDirectory() as folder:
            error, _ = collected.error_of(name, Path(folder))
        details = f"place={error.place!r} option={error.option!r} value={error.value!r}"
        text = str(error).replace(folder, "…")
        print(f"# {name}\n{text}\n    {type(error).__name__} {details} choices={error.choices}")


def print_findings() -> None:
    for code in CODES:
        print(collected.finding_of(code).message)


def print_fixtures() -> None:
    messages: set[str] = set()
    for format in ("coco", "voc", "yolo", "cvat", "vott"):  # noqa: A001 - the keyword of `read`
        messages.update(collected.messages_of_fixtures(format))
    print(*sorted(messages), sep="\n")


def print_help() -> None:
    for text in collected.help_texts().values():
        print(f"{text}\n{'-' * 80}")


PARTS = {
    "errors": print_errors,
    "findings": print_findings,
    "fixtures": print_fixtures,
    "help": print_help,
}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
