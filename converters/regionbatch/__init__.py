"""regionbatch: COCO, Pascal VOC and YOLO boxes become Azure Custom Vision `ImageRegionCreateBatch` payloads.

The public names below are loaded when first used, so that `import regionbatch` costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regionbatch.batching import Batch, Batches, batches
    from regionbatch.dataset import Dataset, Region
    from regionbatch.errors import (
        AmbiguousDatasetError,
        DatasetError,
        DatasetNotFoundError,
        OptionError,
        OutputError,
        PluginError,
        RegionBatchError,
        ResolveError,
        StrictError,
        UnknownFormatError,
    )
    from regionbatch.findings import Finding
    from regionbatch.ids import read_ids
    from regionbatch.output import write
    from regionbatch.reading import read
    from regionbatch.report import summary, write_report

__version__ = "0.1.0"

_HOMES = {
    "AmbiguousDatasetError": "errors",
    "Batch": "batching",
    "Batches": "batching",
    "Dataset": "dataset",
    "DatasetError": "errors",
    "DatasetNotFoundError": "errors",
    "Finding": "findings",
    "OptionError": "errors",
    "OutputError": "errors",
    "PluginError": "errors",
    "Region": "dataset",
    "RegionBatchError": "errors",
    "ResolveError": "errors",
    "StrictError": "errors",
    "UnknownFormatError": "errors",
    "batches": "batching",
    "read": "reading",
    "read_ids": "ids",
    "summary": "report",
    "write": "output",
    "write_report": "report",
}

__all__ = [
    "AmbiguousDatasetError",
    "Batch",
    "Batches",
    "Dataset",
    "DatasetError",
    "DatasetNotFoundError",
    "Finding",
    "OptionError",
    "OutputError",
    "PluginError",
    "Region",
    "RegionBatchError",
    "ResolveError",
    "StrictError",
    "UnknownFormatError",
    "batches",
    "read",
    "read_ids",
    "summary",
    "write",
    "write_report",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'regionbatch' has no attribute {name!r}")
    value = getattr(import_module(f"regionbatch.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
