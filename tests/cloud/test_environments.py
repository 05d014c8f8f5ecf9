"""Processes of an executor whose environment gives them other credentials."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from typing import TYPE_CHECKING

import pytest
from cloud.azurite import LEAVES_CONNECTIONS

import regionbatch as rb
from helpers import ROOT, SCENE_TABLES, raises_mentioning

if TYPE_CHECKING:
    from cloud.azurite import Emulator

pytestmark = LEAVES_CONNECTIONS
OTHER_ENVIRONMENTS = {
    "no credentials": "",
    "a wrong key": "Eby8/Xby8",
    "another account": "devstoreaccount1/otheraccount",
}
"""What is replaced in the credentials of other processes, and by what; empty: they have none."""


def use_environment(connection_string: str) -> None:
    """Prepare a process whose environment differs from that of its parent."""
    os.environ["AZURE_STORAGE_CONNECTION_STRING"] = connection_string


@pytest.mark.parametrize("difference", OTHER_ENVIRONMENTS.values(), ids=OTHER_ENVIRONMENTS)
def test_processes_with_other_credentials_are_an_error(
    emulator: Emulator, monkeypatch: pytest.MonkeyPatch, difference: str
) -> None:
    """Without the check, they would read other files or none, and report missing files."""
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", emulator.connection_string)
    found = (
        emulator.connection_string.replace(*difference.partition("/")[::2]) if difference else ""
    )
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, use_environment, (found,)) as executor:
        for kind in ("coco", "voc", "yolo"):
            emulator.put_folder(ROOT / "fixtures/scene" / kind, "elsewhere", kind)
            url = f"az://elsewhere/{kind}"
            with raises_mentioning(rb.OptionError, "executor", "its processes", url):
                rb.read(url, executor=executor)
        here, out = ROOT / "fixtures/scene/coco", f"az://elsewhere/out {difference[:4]}"
        with raises_mentioning(rb.OptionError, "executor", "its processes", out):
            rb.convert(here, out, executor=executor, **SCENE_TABLES)
        with emulator.container("elsewhere") as client:
            assert not [*client.list_blobs(out.rpartition("/")[2])]
        options = emulator.options
        rb.convert(here, out, executor=executor, storage_options=options, **SCENE_TABLES)
