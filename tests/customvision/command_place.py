"""A place to run the command against a local service, and a way to interrupt it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from customvision.rehearsal import write_dataset

from helpers import Result, command, environment

if TYPE_CHECKING:
    from pathlib import Path

    from regionbatch import TrainingClient
    from regionbatch.local import LocalService

KEY = "SECRET-0123456789abcdef"


class Place:
    """A service with a project, a dataset, and a working folder."""

    def __init__(
        self, folder: Path, service: LocalService, project: str, client: TrainingClient
    ) -> None:
        self.folder, self.service, self.project, self.client = folder, service, project, client
        self.set = write_dataset(folder / "my.set", images=3)
        self.to = ["--project-id", project, "--tier", "S0"]

    def run(self, name: str, *arguments: str | Path) -> Result:
        result = command(name, self.set, *self.to, *arguments)
        assert KEY not in result.stdout + result.stderr
        return result


def started(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    line = [sys.executable, "-m", "regionbatch_cli", *arguments]
    return subprocess.Popen(
        line,
        cwd=cwd,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
    )
