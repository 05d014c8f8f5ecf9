"""Options of the commands that call Custom Vision: endpoint, key, project and journal."""

from __future__ import annotations

import os
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regionbatch_cli.command_help import SERVICE, option
from regionbatch_cli.options import image_ids_option, rename_options, tier_option

if TYPE_CHECKING:
    from collections.abc import Callable

    from azure.core.credentials import TokenCredential

    from regionbatch.customvision.client import TrainingClient
    from regionbatch_cli.options import DatasetOptions

ENDPOINT = "VISION_TRAINING_ENDPOINT"
KEY = "VISION_TRAINING_KEY"


class ServiceOptions:
    """The service and the project that the command line names."""

    def __init__(
        self,
        project_id: str | None,
        endpoint: str | None,
        key_file: str | None,
        entra: bool,
        api_version: str,
    ) -> None:
        """Keep the options; nothing is called or opened yet."""
        self.project_id = project_id
        self.endpoint = endpoint
        self.api_version = api_version
        self._key_file = key_file
        self._entra = entra

    def default_journal(self, options: DatasetOptions) -> Path:
        """Return the journal of an upload without --journal: one for each part of a dataset."""
        import hashlib  # noqa: PLC0415 - takes a twentieth of the start-up time

        project = "".join(filter(str.isalnum, self.project_id or ""))[:8]
        path = Path(options.dataset).resolve()
        given = options.reader
        part = [given[name].value for name in ("split", "coco_json") if name in given]
        text = "\0".join([str(path), *part])
        digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:6]
        return Path(f"{path.name}-{project}-{digest}.regionbatch.sqlite")

    def connect(self) -> tuple[TrainingClient, str]:
        """Return a client and the project ID; ask for a key on a terminal if none was given.

        Raises:
            click.UsageError: The project, the endpoint or the key is missing.
        """
        from regionbatch.customvision.client import TrainingClient  # noqa: PLC0415 - azure-core: only when there is work

        if not self.project_id:
            raise click.UsageError(
                "--project-id is missing. Copy the project ID from the project's settings."
            )
        if not self.endpoint:
            raise click.UsageError(
                f"--endpoint is missing. Give the training endpoint, or set {ENDPOINT}."
            )
        access: dict[str, Any] = {"key": self._key()} if not self._entra else {}
        if self._entra:
            access["credential"] = _entra_credential()
        client = TrainingClient(self.endpoint, version=self.api_version, **access)
        return client, self.project_id

    def _key(self) -> str:
        if self._key_file:
            return read_key_file(self._key_file)
        if from_environment := os.environ.get(KEY):
            return from_environment
        if sys.stdin.isatty():
            return str(click.prompt("Training key", hide_input=True, err=True))
        raise click.UsageError(
            f"No training key. Set {KEY}, name a file with --key-file, or sign in with --entra."
        )


def read_key_file(path: str, flag: str = "--key-file") -> str:
    """Return the key in a file.

    The message does not contain the path: it may be the key itself.

    Raises:
        click.UsageError: The file cannot be read, or is empty.
    """
    try:
        key = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(
            f"{flag}: the file cannot be read. Give the path of a file that contains the key."
        ) from error
    if not key:
        raise click.UsageError(f"{flag}: the file is empty: '{path}'. Put the key into it.")
    return key


def _entra_credential() -> TokenCredential:
    """Return a credential of the environment, a managed identity or `az login`."""
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise click.UsageError(
            '--entra needs more packages. Install them with: pip install "regionbatch[entra]"'
        ) from error
    credential: TokenCredential = DefaultAzureCredential()
    return credential


_SERVICE_OPTIONS = (
    option(
        SERVICE,
        "--project-id",
        old_name="--project",
        metavar="ID",
        help="Project ID, from the project's settings page.",
    ),
    option(SERVICE, "--endpoint", envvar=ENDPOINT, metavar="URL", help="Training endpoint."),
    option(
        SERVICE,
        "--key-file",
        type=click.Path(),
        metavar="FILE",
        default_text=f"${KEY}, or prompt",
        help="File containing the training key.",
    ),
    option(
        SERVICE,
        "--entra",
        is_flag=True,
        help="Authenticate with Microsoft Entra ID (e.g. after az login) instead of a key.",
    ),
    option(
        SERVICE,
        "--api-version",
        default="3.2",
        metavar="N",
        help="Training API version: 3.2 or 3.3.",
        shell_complete=lambda _ctx, _param, _incomplete: ["3.2", "3.3"],
    ),
    rename_options,
    image_ids_option(required=False),
    option(
        SERVICE,
        "--journal",
        type=click.Path(dir_okay=False),
        metavar="FILE",
        default_text="NAME-PROJECT-HASH.regionbatch.sqlite",
        help="Journal file used to resume an upload.",
    ),
    tier_option,
)


def service_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options for reaching the service to a command, as one argument `service`."""
    names = ("project_id", "endpoint", "key_file", "entra", "api_version")

    @wraps(function)
    def run(**given: Any) -> int:  # noqa: ANN401 - all options of the command
        own = {name: given.pop(name) for name in names}
        return function(service=ServiceOptions(**own), **given)

    for each in reversed(_SERVICE_OPTIONS):
        run = each(run)
    return run
