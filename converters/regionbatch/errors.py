"""Every exception that regionbatch raises on purpose.

    RegionBatchError
    ├── DatasetError(ValueError)              the dataset as a whole cannot be read
    │   ├── DatasetNotFoundError(FileNotFoundError)
    │   ├── UnknownFormatError                no reader, or several, recognise it
    │   └── AmbiguousDatasetError             it can be read in several ways; an option decides
    ├── OptionError(ValueError)               an option or argument has a wrong name or value
    ├── ResolveError(LookupError)             names without an ID, or an ID table that is not usable
    ├── StrictError                           a dropped or adjusted box, or an uncertain decision
    ├── OutputError(OSError)                  the output exists already, or cannot be written
    ├── PluginError(RuntimeError)             a reader plugin fails, or two have the same name
    ├── JournalError                          the journal is in use, or not usable for this upload
    └── ServiceError                          Custom Vision rejected a call, or did not respond
        ├── AccessError(PermissionError)      wrong key, token or role
        ├── LimitError                        a limit of the tier, the project or a call
        └── TransportError(ConnectionError)   no response, or an unexpected one
            └── UnreachableError              no connection: wrong address, or no network

A bad record is not an exception but a `Finding`. An exception means that the call could not be
completed.

Messages have the form `PLACE: what is wrong: 'value'. What to do.` The place comes first, so that
editors can jump to it. Options are keyword arguments in backticks. Programs use the attributes
`place`, `option`, `value` and `choices` instead of the text. Credentials are removed from URLs and
connection strings in both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.credentials import without_credentials

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self, TypedDict, Unpack

    from regionbatch.findings.finding import Finding

    class _Details(TypedDict, total=False):
        """The keyword arguments of every error; see `RegionBatchError`."""

        place: str
        option: str
        value: object
        choices: Sequence[str]


class RegionBatchError(Exception):
    """Base class of all errors of this library.

    Example:
        >>> try:
        ...     rb.read("no-such-folder")
        ... except rb.RegionBatchError as error:
        ...     print(error)
        no-such-folder: no such file or folder. Check the path.
    """

    def __init__(
        self,
        message: str = "",
        *,
        place: str = "",
        option: str = "",
        value: object = None,
        choices: Sequence[str] = (),
    ) -> None:
        """Keep the message and the data that programs need.

        Args:
            message: Text for people. Options are keyword arguments in backticks.
            place: See the attribute.
            option: See the attribute.
            value: See the attribute.
            choices: See the attribute.
        """
        super().__init__(without_credentials(message))
        self.place = without_credentials(place)
        """What the error is about: a file in the dataset, with a line if known (`data.yaml:3`); the
        path of the dataset, the output or an ID table as a whole; empty for an option."""
        self.option = option
        """Keyword argument that is wrong, or that settles the matter (`coco_boxes`); empty:
        none."""
        self.value = without_credentials(value) if isinstance(value, str) else value
        """Value that cannot be used, or None."""
        self.choices = tuple(choices)
        """Values that can be used instead, if they are known."""


class DatasetError(RegionBatchError, ValueError):
    """The dataset as a whole cannot be read."""


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """The path of the dataset, or a file or folder that the dataset names, does not exist."""

    def __new__(cls, *_: object, **__: object) -> Self:
        """Create the error. Dask calls only this, and `ValueError.__new__` would refuse."""
        return FileNotFoundError.__new__(cls)


class UnknownFormatError(DatasetError):
    """No reader recognises the dataset, or more than one does.

    `choices` are the formats that can be given as `format`.
    """


class AmbiguousDatasetError(DatasetError):
    """The dataset can be read in several ways, and nothing in it shows which is right.

    `option` is the keyword argument that decides; `choices` are its values, if they are known.
    """


class OptionError(RegionBatchError, ValueError):
    """An option or argument has an unknown name, or a value that cannot be used.

    Example:
        >>> try:
        ...     rb.read("fixtures/scene/coco", coco_boxes="inches")
        ... except rb.OptionError as error:
        ...     print(error.option, error.value, error.choices)
        coco_boxes inches ('auto', 'pixels', 'normalised')
    """


class ResolveError(RegionBatchError, LookupError):
    """Names have no ID, or several, or an ID table cannot be used."""


class StrictError(RegionBatchError):
    """Strict mode found a dropped or adjusted box, or an uncertain decision."""

    def __init__(
        self,
        message: str = "",
        *,
        findings: Sequence[Finding] = (),
        **details: Unpack[_Details],
    ) -> None:
        """Keep the message, and the findings that it lists after its first line."""
        super().__init__(message, **details)
        self.findings = tuple(findings)
        """The first finding of each code. `place` of an uncertain decision is its option."""


class OutputError(RegionBatchError, OSError):
    """The output exists already, or cannot be written."""


class PluginError(RegionBatchError, RuntimeError):
    """A reader plugin fails, or two packages provide readers with the same name.

    If the plugin raised an exception, `__cause__` is that exception.
    """


class JournalError(RegionBatchError):
    """The journal is missing, is in use, belongs to another upload, or cannot be used."""


class ServiceError(RegionBatchError):
    """Custom Vision rejected a call, or did not respond."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        service_message: str = "",
        status: int = 0,
        retry_after: float = 0.0,
        **details: Unpack[_Details],
    ) -> None:
        """Keep the message, and the parts of the response of the service."""
        super().__init__(message, **details)
        self.code = code
        """The error code in the response."""
        self.service_message = service_message
        """The error message in the response."""
        self.status = status
        """HTTP status; 0: no response."""
        self.retry_after = retry_after
        """Seconds to wait before the next attempt, if the service asks for a wait; otherwise 0."""


class AccessError(ServiceError, PermissionError):
    """The key, the token or the role does not allow the call."""


class LimitError(ServiceError):
    """A limit of the tier, the project or a call is exceeded."""


class TransportError(ServiceError, ConnectionError):
    """There was no response, or an unexpected one."""


class UnreachableError(TransportError):
    """There is no connection: the host name is unknown, or nothing listens at the address."""
