"""What the commands that speak to Custom Vision share: where it is, the key, the classes' other names."""

from __future__ import annotations

import os
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionbatch_cli.help_groups import IDS, SERVICE, option
from regionbatch_cli.shared import map_options

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

    from regionbatch.customvision.client import TrainingClient
    from regionbatch_cli.shared import Common

ENDPOINT, KEY = "VISION_TRAINING_ENDPOINT", "VISION_TRAINING_KEY"


class Service:
    """Where the service is, as the options say."""

    def __init__(
        self, project: str | None, endpoint: str | None, key_file: str | None, entra: bool, api_version: str
    ) -> None:
        """Keep the options; nothing is asked or opened yet."""
        self.project, self.endpoint, self.api_version = project, endpoint, api_version
        self._key_file, self._entra = key_file, entra

    def journal_of(self, common: Common) -> Path:
        """Where the journal of an upload is, if --journal does not say: one for each dataset, and each part of it."""
        import hashlib  # noqa: PLC0415 - a twentieth of the start-up of every command

        project = "".join(filter(str.isalnum, self.project or ""))[:8]
        path = Path(common.dataset).resolve()
        given = common.reader
        part = [given[name].value for name in ("split", "coco_json") if name in given]
        whose = hashlib.sha256("\0".join([str(path), *part]).encode(errors="surrogateescape")).hexdigest()[:6]
        return Path(f"{path.name}-{project}-{whose}.regionbatch.sqlite")

    def connect(self) -> tuple[TrainingClient, str]:
        """The client and the project's id; asks for a key on a terminal if none was given."""
        from regionbatch.customvision.client import TrainingClient  # noqa: PLC0415 - azure-core: only when there is work

        if not self.project:
            raise click.UsageError("--project is needed: the id from the project's settings.")
        if not self.endpoint:
            raise click.UsageError(f"--endpoint is needed, or {ENDPOINT} in the environment.")
        who: Any = {"credential": _signed_in()} if self._entra else {"key": self._key()}
        return TrainingClient(self.endpoint, version=self.api_version, **who), self.project

    def _key(self) -> str:
        if self._key_file:
            return read_key_file(self._key_file)
        if from_environment := os.environ.get(KEY):
            return from_environment
        if sys.stdin.isatty():
            return str(click.prompt("Training key", hide_input=True, err=True))
        raise click.UsageError(f"no key: set {KEY}, name a file with --key-file, or sign in with --entra.")


def read_key_file(path: str, option: str = "--key-file") -> str:
    """The key in a file. The path is not shown: somebody may have given the key itself."""
    try:
        key = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(f"{option}: cannot be read; give the path of a file with the key.") from error
    if not key:
        raise click.UsageError(f"{option}: {path} is empty; put the key into it.")
    return key


def _signed_in() -> TokenCredential:
    """Whoever is signed in here, by environment, managed identity or `az login`."""
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise click.UsageError('--entra: install what it needs with: pip install "regionbatch[entra]"') from error
    credential: TokenCredential = DefaultAzureCredential()
    return credential


_SERVICE_OPTIONS = (
    option(
        SERVICE,
        "--project",
        metavar="ID",
        help="Project ID, from the settings of the project.",
    ),
    option(
        SERVICE,
        "--endpoint",
        envvar=ENDPOINT,
        metavar="URL",
        help=f"Training endpoint. [default: ${ENDPOINT}]",
    ),
    option(
        SERVICE,
        "--key-file",
        type=click.Path(),
        metavar="FILE",
        help=f"File containing the training key. [default: ${KEY}, or prompt]",
    ),
    option(SERVICE, "--entra", is_flag=True, help="Sign in with Entra ID instead of a key."),
    option(
        SERVICE,
        "--api-version",
        default="3.2",
        metavar="N",
        help="Training API version. [default: 3.2]",
    ),
    map_options,
    option(
        IDS,
        "--images",
        type=click.Path(),
        metavar="FILE",
        help="Image IDs by image name: JSON or CSV.",
    ),
    option(
        SERVICE,
        "--journal",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        help="Journal file used to resume. [default: NAME-PROJECT-HASH.regionbatch.sqlite]",
    ),
    option(
        SERVICE,
        "--tier",
        type=click.Choice(["F0", "S0"]),
        default="S0",
        help="Pricing tier whose limits and call rate apply. [default: S0]",
    ),
)


def service_options(function: Callable[..., int]) -> Callable[..., int]:
    """Give a command the options for reaching the service, as one argument `service`."""

    @wraps(function)
    def run(**given: Any) -> int:  # noqa: ANN401 - whatever the options are
        own = {name: given.pop(name) for name in ("project", "endpoint", "key_file", "entra", "api_version")}
        return function(service=Service(**own), **given)

    for each in reversed(_SERVICE_OPTIONS):
        run = each(run)
    return run
