"""Options of the commands that call Custom Vision: endpoint, key, project and journal."""

from __future__ import annotations

import os
import sys
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from regionbatch.credentials import is_key
from regionbatch.files.paths import scheme_of
from regionbatch_cli.command_help import SERVICE, option
from regionbatch_cli.options import image_ids_option, rename_options, tier_option
from regionbatch_cli.progress import notice_printer, show_start

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.core.credentials import TokenCredential

    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.rate_limiter import RateLimiter
    from regionbatch.options import GivenAs
    from regionbatch_cli.progress import ProgressDisplay

ENDPOINT = "VISION_TRAINING_ENDPOINT"
KEY = "VISION_TRAINING_KEY"
SUFFIX = ".regionbatch.sqlite"
"""The end of the name of a journal."""


class Target(NamedTuple):
    """A project of the service."""

    client: TrainingClient
    project_id: str
    rate_limiter: RateLimiter


class ServiceOptions:
    """The service and the project that the command line names."""

    def __init__(
        self,
        project_id: str | None,
        endpoint: str | None,
        key_file: str | None,
        entra: bool,
        api_version: str,
        tier: str,
    ) -> None:
        """Keep the options; nothing is called or opened yet."""
        self.project_id = project_id
        self.endpoint = endpoint
        self.api_version = api_version
        self.tier = tier
        self._key_file = key_file
        self._entra = entra

    def connect(self, display: ProgressDisplay | None) -> Target:
        """Return a client and the ID of the project; look it up if the command line has its name.

        Args:
            display: Shows why a call waits; None: nothing is shown.

        Raises:
            click.UsageError: The project, the endpoint or the key is missing.
            OptionError: The project is unknown, or its ID is damaged.
        """
        from regionbatch.customvision.projects import find_project, is_name  # noqa: PLC0415 - slow
        from regionbatch.names.uuids import checked_project  # noqa: PLC0415

        if not self.project_id:
            raise click.UsageError(
                "--project-id: missing. Give the name of the project, or its ID from the "
                "project's settings. List the projects with regionbatch projects."
            )
        if not is_name(self.project_id):
            checked_project(self.project_id)  # before a key is asked for
        client, rate_limiter = self.client(display)
        if is_name(self.project_id):
            show_start(display, "finding the project")
        try:
            return Target(client, find_project(client, self.project_id, rate_limiter), rate_limiter)
        except BaseException:
            client.close()
            raise

    def client(self, display: ProgressDisplay | None) -> tuple[TrainingClient, RateLimiter]:
        """Return a client and its rate limiter; ask for a key if there is none.

        Args:
            display: Shows why a call waits; None: nothing is shown.

        Raises:
            click.UsageError: The endpoint or the key is missing.
        """
        from regionbatch.customvision.client import TrainingClient  # noqa: PLC0415 - azure-core: only when there is work
        from regionbatch.customvision.rate_limiter import RateLimiter  # noqa: PLC0415
        from regionbatch.limits import get_tier  # noqa: PLC0415

        if not self.endpoint:
            raise click.UsageError(
                f"--endpoint: missing. Give the training endpoint, or set {ENDPOINT}."
            )
        access: dict[str, Any] = {"key": self._key()} if not self._entra else {}
        if self._entra:
            access["credential"] = _entra_credential()
        client = TrainingClient(self.endpoint, version=self.api_version, **access)
        rate_limiter = RateLimiter(get_tier(self.tier).calls_per_second)
        rate_limiter.notice = notice_printer(display)
        return client, rate_limiter

    def _key(self) -> str:
        if self._key_file:
            return read_key_file(self._key_file)
        if from_environment := key_in_environment(KEY):
            return from_environment
        if sys.stdin.isatty():
            given = str(click.prompt("Training key", hide_input=True, err=True))
            return checked_key(given, "training key")
        raise click.UsageError(
            f"training key: missing. Set {KEY}, name its file with --key-file, or sign in with "
            "--entra."
        )


def default_journal(dataset: str, reader: Mapping[str, GivenAs], project_id: str) -> Path:
    """Return the journal of an upload without --journal: one for each part of a dataset."""
    import hashlib  # noqa: PLC0415 - takes a twentieth of the start-up time

    from regionbatch.files.cloud_paths import as_path, real_path  # noqa: PLC0415 - the same

    path = real_path(as_path(dataset))
    part = [reader[name].value for name in ("split", "coco_json") if name in reader]
    text = "\0".join([str(path), *part])
    digest = hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:6]
    return Path(f"{path.name}-{project_id[:8]}-{digest}{SUFFIX}")


def existing_journal(journal: str | None, default: Path | None) -> str | Path | None:
    """Return the journal to read: that of --journal, or the default one if it exists.

    Raises:
        click.UsageError: There is no file at the path of --journal.
    """
    if journal and not Path(journal).exists():
        raise click.UsageError(f"--journal: no such file: '{journal}'. Check the path.")
    return journal or (default if default and default.exists() else None)


def read_key_file(path: str, flag: str = "--key-file") -> str:
    """Return the key in a file.

    The message does not contain the path: it may be the key itself.

    Raises:
        click.UsageError: The file cannot be read, is empty, or contains no key.
    """
    try:
        key = Path(path).read_text(encoding="utf-8-sig").strip()
    except (OSError, ValueError) as error:
        raise click.UsageError(
            f"{flag}: the file cannot be read. Give the path of a file that contains the key."
        ) from error
    if not key:
        raise click.UsageError(f"{flag}: the file is empty: '{path}'. Put the key into it.")
    return checked_key(key, flag)


def key_in_environment(variable: str) -> str:
    """Return the key in an environment variable; empty if there is none.

    Raises:
        click.UsageError: It cannot be a key.
    """
    return checked_key(os.environ.get(variable, ""), variable)


def checked_key(key: str, source: str) -> str:
    """Return a key without whitespace around it; `source` is where it is from.

    Raises:
        click.UsageError: It cannot be a key. The message does not contain it.
    """
    stripped = key.strip()
    if not is_key(stripped) or (key and not stripped):
        raise click.UsageError(
            f"{source}: contains characters that no training key has. Copy it again."
        )
    return stripped


def _entra_credential() -> TokenCredential:
    """Return a credential of the environment, a managed identity or `az login`."""
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise click.UsageError(
            "--entra: azure-identity is not installed. "
            'Install it: pip install "regionbatch[entra]".'
        ) from error
    credential: TokenCredential = DefaultAzureCredential()
    return credential


_CONNECTION_OPTIONS = (
    option(
        SERVICE,
        "--project-id",
        old_name="--project",
        metavar="ID",
        help="ID or exact name of the project.",
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
    tier_option,
)


def _checked_journal(_ctx: click.Context, _option: click.Parameter, path: str | None) -> str | None:
    """Return the path of --journal.

    Raises:
        click.UsageError: It is a URL.
    """
    if path and scheme_of(path):
        problem = "a journal must be on this machine"
        raise click.UsageError(f"--journal: {problem}: '{path}'. Name a local file.")
    return path


journal_option = option(
    SERVICE,
    "--journal",
    type=click.Path(dir_okay=False),
    callback=_checked_journal,
    metavar="FILE",
    default_text="NAME-PROJECT-HASH.regionbatch.sqlite",
    help="Journal of an upload, to resume it and to find its images again.",
)
"""Adds `journal` to a command."""


def connection_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options for reaching the service to a command, as one argument `service`."""
    names = ("project_id", "endpoint", "key_file", "entra", "api_version", "tier")

    @wraps(function)
    def run(**given: Any) -> int:  # noqa: ANN401 - all options of the command
        own = {name: given.pop(name) for name in names}
        return function(service=ServiceOptions(**own), **given)

    for each in reversed(_CONNECTION_OPTIONS):
        run = each(run)
    return run


def service_options(function: Callable[..., int]) -> Callable[..., int]:
    """Add the options of `upload` and `verify`: the service, the journal and IDs."""
    for each in (journal_option, image_ids_option(required=False), rename_options):
        function = each(function)
    return connection_options(function)
