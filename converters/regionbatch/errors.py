"""Every exception that regionbatch raises on purpose.

    RegionBatchError
    ├── DatasetError(ValueError)              the dataset as a whole cannot be read
    │   ├── DatasetNotFoundError(FileNotFoundError)
    │   ├── UnknownFormatError                no reader, or several, claim it
    │   └── AmbiguousDatasetError             two readings differ by more than a pixel; an option decides
    ├── OptionError(ValueError)               an option or argument that cannot be used
    ├── ResolveError(LookupError)             names without an id, or an id table that cannot be used
    ├── StrictError                           --strict met a dropped or adjusted box or a doubtful decision
    ├── OutputError(OSError)                  the output exists, or cannot be written
    ├── PluginError(RuntimeError)             a reader plugin is broken, or two have one name
    ├── JournalError                          the journal cannot be used: in use, of another upload, or the disk is full
    └── ServiceError                          Custom Vision refused, or could not be asked
        ├── AccessError(PermissionError)      key, token or role
        ├── LimitError                        a limit of the tier or of the project
        └── TransportError(ConnectionError)   no answer, or one that makes no sense
            └── UnreachableError              no connection: a wrong address, or no network

A faulty record is not an exception but a `Finding`; an exception means that nothing can be done.
Messages have the form `PLACE: WHAT, got VALUE; NEXT STEP`, with the place first so that an editor can jump there.
Programs find the place in the attribute `place`, and the option that decides in `option`, where there is one.
"""

from __future__ import annotations


class RegionBatchError(Exception):
    """The root of all errors of this library."""

    def __init__(self, message: str = "", *, place: str = "", option: str = "") -> None:
        """Keep the message, and what a program needs to know about it.

        Args:
            message: The text for people.
            place: See the attribute.
            option: See the attribute.
        """
        super().__init__(message)
        self.place = place
        """The file in the dataset, with a line where there is one (`data.yaml:3`); empty if there is none."""
        self.option = option
        """The keyword argument that decides or is wrong (`coco_boxes`); empty if there is none."""


class DatasetError(RegionBatchError, ValueError):
    """The dataset as a whole cannot be read."""


class DatasetNotFoundError(DatasetError, FileNotFoundError):
    """The path does not exist, or a part that the dataset names does not."""


class UnknownFormatError(DatasetError):
    """No reader claims the path, or more than one does."""


class AmbiguousDatasetError(DatasetError):
    """Two readings are possible and differ by more than a pixel; the message names the option that decides."""


class OptionError(RegionBatchError, ValueError):
    """An option or argument that cannot be used as given."""


class ResolveError(RegionBatchError, LookupError):
    """Names without an id, names with two, or an id table that cannot be used."""


class StrictError(RegionBatchError):
    """Strict reading met a dropped or adjusted box, or a doubtful decision."""


class OutputError(RegionBatchError, OSError):
    """The output exists already, or cannot be written."""


class PluginError(RegionBatchError, RuntimeError):
    """A reader plugin is broken, or two readers have one name."""


class JournalError(RegionBatchError):
    """The journal is in use by another run, belongs to another upload, or cannot be written."""


class ServiceError(RegionBatchError):
    """Custom Vision refused a call, or could not be asked; the attributes keep what it said."""

    def __init__(
        self,
        message: str,
        *,
        code: str = "",
        said: str = "",
        status: int = 0,
        retry_after: float = 0.0,
        place: str = "",
        option: str = "",
    ) -> None:
        """Keep what the service said beside the message."""
        super().__init__(message, place=place, option=option)
        self.code = code
        """The service's own code."""
        self.said = said
        """The service's own message."""
        self.status = status
        """The HTTP status; 0: no answer."""
        self.retry_after = retry_after
        """Seconds that it asks to wait; 0: it does not say."""


class AccessError(ServiceError, PermissionError):
    """The key, the token or the role does not allow the call."""


class LimitError(ServiceError):
    """A limit of the tier, of the project or of a call."""


class TransportError(ServiceError, ConnectionError):
    """No answer, or one that makes no sense."""


class UnreachableError(TransportError):
    """No connection came about: the name is unknown, or nothing listens there."""
