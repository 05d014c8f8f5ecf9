"""Settings and fixtures of all tests, and the quick selection."""

from __future__ import annotations

import gc
import os
import sys
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from cli_helpers import CLIPPED, EMPTY, GOOD, ConvertFolder

if sys.dont_write_bytecode:
    # Hundreds of tests start processes, and each would compile all modules again, as pytest would
    # compile the tests. The sources stay free of bytecode.
    sys.dont_write_bytecode = False
    sys.pycache_prefix = str(Path(tempfile.gettempdir()) / "regionbatch-bytecode")
    os.environ |= {"PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": sys.pycache_prefix}

QUICK: dict[str, str] = {
    "customvision/test_journal.py": "test_regions_and_outcomes_are_read_as_they_were_written",
    "customvision/test_matching.py": "",
    "customvision/test_rate_limiter.py": "",
    "customvision/test_training_client.py": "",
    "customvision/test_upload_command.py": "test_upload_upload_again_and_verify",
    "customvision/test_upload.py": "test_a_second_upload_sends_nothing "
    "test_only_missing_regions_are_sent test_the_scene_is_uploaded_from_every_format",
    "customvision/test_verify.py": "test_each_difference_is_reported_with_its_place",
    "html_report/test_page.py": "",
    "local/test_local_images.py": "",
    "local/test_local_projects.py": "",
    "local/test_local_regions.py": "",
    "local/test_local_sdk.py": "",
    "output/test_output.py": "",
    "output/test_output_on_disks.py": "",
    "test_association.py": "",
    "test_association_outcomes.py": "",
    "test_batching.py": "",
    "test_boxes.py": "",
    "test_cleaning.py": "",
    "test_cli.py": "",
    "test_cli_explain.py": "",
    "test_cli_help.py": "",
    "test_cli_mistakes.py": "test_every_option_with_a_value_has_a_wrong_value_or_accepts_any",
    "test_cli_wording.py": "",
    "test_coco.py": "",
    "test_conformance.py": "test_case",
    "test_cvat_vott.py": "test_case",
    "test_errors.py": "",
    "test_findings.py": "",
    "test_ids.py": "",
    "test_image_headers.py": "test_the_size_is_that_of_pillow",
    "test_image_sizes.py": "",
    "test_placed_annotations.py": "",
    "test_plugins.py": "test_the_example_converts",
    "test_read_filters.py": "",
    "test_renames.py": "",
    "test_report.py": "",
    "test_resolve.py": "",
    "test_resolve_images.py": "",
    "test_scene.py": "test_every_variant_has_the_same_regions "
    "test_every_variant_has_the_same_payload",
    "test_text.py": "",
    "test_unknown_formats.py": "",
    "test_voc.py": "",
    "test_yolo_names.py": "",
    "test_yolo_row_parser.py": "test_both_ways_return_the_same_rows",
}
"""Tests of the quick selection (`-m quick`) by file; without names, all tests of the file."""

ONE_PROCESS: dict[str, str] = {
    "benchmarks/test_generate.py": "benchmarks",
    "cloud/test_azurite.py": "emulator",
    "cloud/test_by_url_azurite.py": "emulator",
    "html_report/test_browser.py": "browser",
    "test_clusters.py": "cluster",
    "test_messages.py": "mistakes",
    "test_packaging.py": "wheel",
}
"""What the tests of a file share, which is expensive to make: it is made in one process."""

LONG = {
    "test_mypy_finds_mistakes_in_a_program",
    "test_the_site_builds_without_a_warning_and_loads_nothing_from_elsewhere",
}
"""Tests that take many seconds: they start before other single tests, so none is left at the end.

xdist sends the tests with the most cases first, then the single tests in their order.
"""

TESTS = Path(__file__).parent
ROOT = TESTS.parent


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import only the files of the quick selection if no other test is wanted."""
    is_quick_run = config.option.markexpr == "quick"
    is_test_file = collection_path.suffix == ".py" and collection_path.name != "conftest.py"
    if is_quick_run and is_test_file and _name_of(collection_path) not in QUICK:
        return True
    return None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put long tests first, and mark the tests of the quick selection."""
    items.sort(key=lambda item: item.name not in LONG)
    for item in items:
        names = QUICK.get(_name_of(item.path))
        function = getattr(item, "originalname", item.name)
        if names is not None and (not names or function in names.split()):
            item.add_marker(pytest.mark.quick)


@cache
def _name_of(path: Path) -> str:
    return path.relative_to(TESTS).as_posix() if path.is_relative_to(TESTS) else path.name


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> object:
    """With `-n`, send all cases of one test, or the tests of `ONE_PROCESS`, to a process at a time.

    Sending each case takes xdist longer than most cases take: its time grows with the square of
    their number. Marks of xdist are not used: version 3.8 ignores them with pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling  # noqa: PLC0415 - only with `-n`

    class ByFunction(LoadScopeScheduling):  # type: ignore[misc] # xdist has no types
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            return ONE_PROCESS.get(_name_of(ROOT / file)) or nodeid.partition("[")[0]

    return ByFunction(config, log)


def pytest_collection_finish() -> None:
    """Have the garbage collector skip the thousands of tests and all that they imported."""
    gc.freeze()


settings.register_profile(
    "search",
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    print_blob=True,
)
settings.register_profile("here", settings.get_profile("search"), derandomize=True, max_examples=25)
settings.load_profile("here")
"""Every run has the same examples, so that a failure is due to a change.

`--hypothesis-profile search` looks for new ones, and for more of them.
"""
if hasattr(providers, "_get_local_constants"):
    local_constants = providers._get_local_constants

    def local_constants_of_a_search() -> Any:
        """Return no constants of the imported modules if the examples must always be the same."""
        return providers._local_constants if settings().derandomize else local_constants()

    providers._get_local_constants = local_constants_of_a_search


collect_ignore = ["plugin_example"]
"""A separate package; `test_plugins.py` runs its tests."""


os.fsync = lambda fd: None  # noqa: ARG005
"""No test cuts the power, and flushing thousands of files to a real disk takes minutes."""

for account in [name for name in os.environ if name.startswith("VISION_")]:
    del os.environ[account]  # the account of the person who runs the tests


@pytest.fixture
def place(tmp_path: Path) -> ConvertFolder:
    """Two boxes, both good."""
    return ConvertFolder(tmp_path, GOOD, ("b.jpg", "big cat", (0, 0, 5, 5)))


@pytest.fixture
def lossy(tmp_path: Path) -> ConvertFolder:
    """One good box, one clipped, one dropped."""
    return ConvertFolder(tmp_path, GOOD, CLIPPED, EMPTY)
