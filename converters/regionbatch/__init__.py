"""regionbatch: convert object detection datasets to Azure Custom Vision, and upload them.

Reads boxes in COCO, Pascal VOC, YOLO, CVAT and VoTT datasets and writes `ImageRegionCreateBatch`
payloads. The public names are loaded when they are first used, so that `import regionbatch` is
fast.

    >>> import regionbatch as rb
    >>> dataset = rb.read("fixtures/scene/coco")
    >>> print(dataset.ledger)
    12 read = 12 kept + 0 adjusted + 0 dropped
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regionbatch.batch import Batch
    from regionbatch.batching import Batches, batches
    from regionbatch.boxes import BoxMode
    from regionbatch.conversion import convert
    from regionbatch.customvision.client import TrainingClient
    from regionbatch.customvision.comparison import Verification
    from regionbatch.customvision.upload import UploadResult, upload
    from regionbatch.customvision.verify import verify
    from regionbatch.dataset import Dataset, Region
    from regionbatch.errors import (
        AccessError,
        AmbiguousDatasetError,
        DatasetError,
        DatasetNotFoundError,
        JournalError,
        LimitError,
        OptionError,
        OutputError,
        PluginError,
        RegionBatchError,
        ResolveError,
        ServiceError,
        StrictError,
        TransportError,
        UnknownFormatError,
        UnreachableError,
    )
    from regionbatch.findings import Finding
    from regionbatch.html_report.write import write_html
    from regionbatch.in_parts.batch_files import BatchFiles
    from regionbatch.joining import concat
    from regionbatch.names.tables import read_ids
    from regionbatch.options import ReadKeywords
    from regionbatch.output import write
    from regionbatch.reading import read
    from regionbatch.report import summary, write_report

__version__ = "0.1.0"

_MODULE_OF = {
    "AccessError": "errors",
    "AmbiguousDatasetError": "errors",
    "Batch": "batch",
    "BatchFiles": "in_parts.batch_files",
    "Batches": "batching",
    "BoxMode": "boxes",
    "Dataset": "dataset",
    "DatasetError": "errors",
    "DatasetNotFoundError": "errors",
    "Finding": "findings",
    "JournalError": "errors",
    "LimitError": "errors",
    "OptionError": "errors",
    "OutputError": "errors",
    "PluginError": "errors",
    "ReadKeywords": "options",
    "Region": "dataset",
    "RegionBatchError": "errors",
    "ResolveError": "errors",
    "ServiceError": "errors",
    "StrictError": "errors",
    "TrainingClient": "customvision.client",
    "TransportError": "errors",
    "UnknownFormatError": "errors",
    "UnreachableError": "errors",
    "UploadResult": "customvision.upload",
    "Verification": "customvision.comparison",
    "batches": "batching",
    "concat": "joining",
    "convert": "conversion",
    "read": "reading",
    "read_ids": "names.tables",
    "summary": "report",
    "upload": "customvision.upload",
    "verify": "customvision.verify",
    "write": "output",
    "write_html": "html_report.write",
    "write_report": "report",
}

__all__ = [
    "AccessError",
    "AmbiguousDatasetError",
    "Batch",
    "BatchFiles",
    "Batches",
    "BoxMode",
    "Dataset",
    "DatasetError",
    "DatasetNotFoundError",
    "Finding",
    "JournalError",
    "LimitError",
    "OptionError",
    "OutputError",
    "PluginError",
    "ReadKeywords",
    "Region",
    "RegionBatchError",
    "ResolveError",
    "ServiceError",
    "StrictError",
    "TrainingClient",
    "TransportError",
    "UnknownFormatError",
    "UnreachableError",
    "UploadResult",
    "Verification",
    "batches",
    "concat",
    "convert",
    "read",
    "read_ids",
    "summary",
    "upload",
    "verify",
    "write",
    "write_html",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module 'regionbatch' has no attribute {name!r}")
    value = getattr(import_module(f"regionbatch.{_MODULE_OF[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
