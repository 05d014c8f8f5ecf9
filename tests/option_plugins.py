"""Packages with readers that have options, and what their tests share."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from helpers import (
    environment,
    process,
    write_coco,
)
from regionbatch_cli.main import commands

if TYPE_CHECKING:
    from pathlib import Path


COMMANDS = ["convert", "inspect", "upload", "verify"]
DATASET_COMMANDS = {name: commands.commands[name] for name in COMMANDS}

DELIMITER = (
    'delimiter: str = option("character between columns", ("comma", "tab"), default="comma")'
)
FREE_DELIMITER = 'delimiter: str = option("string between columns", default=" ")'

OPTIONS = """
from __future__ import annotations
from dataclasses import dataclass
from pathlib import Path
from regionbatch.options import ReadOptions, option

@dataclass(frozen=True, kw_only=True)
class Options(ReadOptions):
    {fields}
"""

READER = """
import numpy as np
from regionbatch.boxes import BoxMode
from regionbatch.dataset import ImageReferences, RawAnnotations, References
{imports}

class Reader:
    title = "a {extension} file: rows of image and four numbers in an image of 200 x 100"
    options = Options

    def detect(self, tree):
        found = (f"{{path}}: a {extension} file" for path in tree.candidates(".{extension}"))
        return next(found, None)

    def references(self, tree, options, log):
        return References(dict.fromkeys(tree.files(".{extension}"), ""))

    def read(self, tree, files, options, log):
        delimiter = {{"comma": ",", "tab": "\\t"}}.get(options.delimiter, options.delimiter)
        rows = [(log.file(file), row.split(delimiter)) for file in files
                for row in tree.read(file).decode().splitlines()]
        log.read(boxes=len(rows), images=len(rows))
        count = np.arange(len(rows), dtype=np.int32)
        file = np.array([code for code, _ in rows], np.int32)
        sides = np.full(len(rows), 200, np.int32), np.full(len(rows), 100, np.int32)
        box = np.array([row[1:] for _, row in rows], np.float64).reshape(-1, 4)
        images = ImageReferences([row[0] for _, row in rows], file, *sides)
        line = count.astype(np.int64) + 1
        return RawAnnotations(
            BoxMode.XYXY_ABS, box, count, count * 0, images, ["thing"], file, line
        )
"""


class Site:
    """A folder of installed packages that this process can import."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.modules: list[str] = []
        folder.mkdir()

    def add(self, name: str, entries: str, **modules: str) -> None:
        """Install a package with entry points and modules."""
        info = self.folder / f"{name.replace('-', '_')}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n", encoding="utf-8"
        )
        (info / "entry_points.txt").write_text(entries, encoding="utf-8")
        for module, code in modules.items():
            (self.folder / f"{module}.py").write_text(code, encoding="utf-8")
            self.modules.append(module)

    def add_reader(
        self, name: str, fields: str = DELIMITER, *, light: bool = True, extra: str = ""
    ) -> None:
        """Install a package `regionbatch-NAME` with a reader of files `*.NAME`."""
        module = f"rb_{name.replace('-', '_')}"
        entries = f"[regionbatch.readers]\n{name} = {module}:Reader\n"
        options = OPTIONS.format(fields=fields)
        if light:
            entries += f"[regionbatch.options]\n{name} = {module}_options:Options\n"
            imports = f"from {module}_options import Options"
            reader = READER.format(imports=imports, extension=name)
            self.add(
                f"regionbatch-{name}",
                entries,
                **{module: reader + extra, f"{module}_options": options},
            )
        else:
            reader = READER.format(
                imports=options.replace("from __future__ import annotations\n", ""), extension=name
            )
            self.add(f"regionbatch-{name}", entries, **{module: reader + extra})

    def run(self, *arguments: str | Path) -> Any:
        """Run the command in a process of its own."""
        paths = os.pathsep.join([environment()["PYTHONPATH"], str(self.folder)])
        return process("-m", "regionbatch_cli", *arguments, PYTHONPATH=paths)


def table(folder: Path, name: str = "csv", delimiter: str = ",") -> Path:
    """Write a dataset of one box that only a plugin can read."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"boxes.{name}").write_text(
        delimiter.join(["a.jpg", "20", "10", "60", "40"]) + "\n", encoding="utf-8"
    )
    return folder


def coco(folder: Path) -> Path:
    return write_coco(folder, [("a.jpg", "cat", (20, 10, 80, 60))])


def groups(text: str) -> dict[str, str]:
    """Return the groups of options in a help text, by their titles."""
    parts = re.split(r"^(\S.* options(?: \(.*\))?):$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))
