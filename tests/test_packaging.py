"""What is shipped: the wheel holds the two packages and nothing else, and works from any folder."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from importlib import metadata
from itertools import chain
from typing import TYPE_CHECKING

import pytest

import regionbatch
from helpers import ROOT, imports_of, mentions

if TYPE_CHECKING:
    from pathlib import Path

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DISTRIBUTIONS = {"griffe": "griffelib"}
"""Distributions that provide a module of another name, in an extra that need not be installed."""


def run(*words: str | Path, cwd: Path, **env: str) -> str:
    """Return the output of a command, which must succeed without the PYTHONPATH of this run."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        list(map(str, words)),
        cwd=cwd,
        env={**clean, **env},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{words}: {done.stdout}\n{done.stderr}")
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel and the source distribution."""
    folder = tmp_path_factory.mktemp("built")
    run(
        sys.executable,
        "-m",
        "build",
        "--no-isolation",
        "--sdist",
        "--wheel",
        "--outdir",
        folder,
        ROOT,
        cwd=folder,
    )
    return folder


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install only the wheel into a folder; dependencies are those of the running environment."""
    folder = tmp_path_factory.mktemp("installed")
    [wheel] = built.glob("*.whl")
    pip = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--no-compile",
    ]
    run(*pip, "--disable-pip-version-check", "--target", folder, wheel, cwd=folder)
    return folder


PACKAGES = {"regionbatch", "regionbatch_cli"}


def test_the_wheel_holds_the_two_packages_and_nothing_else(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    info = f"regionbatch-{regionbatch.__version__}.dist-info"
    assert {name.partition("/")[0] for name in names} == {"regionbatch", "regionbatch_cli", info}
    sources = {
        path.relative_to(ROOT / home).as_posix()
        for home in ("converters", "cli")
        for path in (ROOT / home).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and path.relative_to(ROOT / home).parts[0] in PACKAGES
    }
    assert {name for name in names if not name.startswith(info)} == sources
    assert {"regionbatch/py.typed", "regionbatch_cli/py.typed", f"{info}/licenses/LICENSE"} <= names


def test_installing_puts_only_these_there(installed: Path) -> None:
    there = {path.name for path in installed.iterdir()}
    assert there == {
        "regionbatch",
        "regionbatch_cli",
        "bin",
        f"regionbatch-{regionbatch.__version__}.dist-info",
    }
    assert [path.stem for path in (installed / "bin").iterdir()] == ["regionbatch"]


def test_the_installed_command_works_from_any_folder(installed: Path, tmp_path: Path) -> None:
    """This includes a folder with a `cli` and a `regionbatch_cli.txt` of its own."""
    (tmp_path / "cli").mkdir()
    (tmp_path / "cli" / "__init__.py").write_text("raise SystemExit('not me')", encoding="utf-8")
    env = {"PYTHONPATH": str(installed)}
    script = installed / "bin" / "regionbatch"
    assert mentions(run(script, "--version", cwd=tmp_path, **env), regionbatch.__version__)
    assert list(json.loads(run(script, "formats", "--json", cwd=tmp_path, **env))) == [
        "coco",
        "voc",
        "yolo",
        "cvat",
        "vott",
    ]
    where = run(
        sys.executable,
        "-c",
        "import regionbatch as r; print(r.__file__, r.read.__module__)",
        cwd=tmp_path,
        **env,
    )
    assert where == f"{installed / 'regionbatch' / '__init__.py'} regionbatch.reading\n"


def test_the_installed_command_converts(installed: Path, tmp_path: Path) -> None:
    scene = ROOT / "fixtures" / "scene"
    ids: list[str | Path] = ["--tag-ids", scene / "tags.json", "--image-ids", scene / "images.json"]
    script = installed / "bin" / "regionbatch"
    output = run(
        script, "convert", scene / "voc", "-o", "out", *ids, cwd=tmp_path, PYTHONPATH=str(installed)
    )
    assert mentions(output, 12)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["batch-00001.json"]


def test_the_source_distribution_can_test_itself(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "pyproject.toml",
        "tests/helpers.py",
        "fixtures/scene/tags.json",
    }
    assert wanted <= names
    top = {name.partition("/")[0] for name in names} - {".gitignore", "PKG-INFO"}
    assert top <= {*(name.partition("/")[0] for name in wanted), "converters", "cli"}


def test_the_installed_version_is_that_of_the_package() -> None:
    assert PROJECT["dynamic"] == ["version"]
    assert metadata.version("regionbatch") == regionbatch.__version__


def test_what_is_imported_is_required() -> None:
    """Each distribution that the sources import is among the dependencies or in an extra."""
    extras = PROJECT["optional-dependencies"].values()
    required = {
        re.split(r"[\[<>=!~; ]", one)[0].lower() for one in chain(PROJECT["dependencies"], *extras)
    }
    distributions = metadata.packages_distributions()
    sources = [*(ROOT / "converters").rglob("*.py"), *(ROOT / "cli").rglob("*.py")]
    trees = (ast.parse(path.read_text(encoding="utf-8")) for path in sources)
    imported = {name.partition(".")[0] for tree in trees for name in imports_of(tree)}
    assert {"numpy", "click"} <= imported
    own = {"regionbatch", "regionbatch_cli", *(path.stem for path in sources)}
    for name in imported - sys.stdlib_module_names - own:
        owner_if_absent = DISTRIBUTIONS.get(name, name)
        owners = {owner.lower() for owner in distributions.get(name, [owner_if_absent])}
        assert owners & required, f"{name} is imported, and {owners or 'nothing'} is not required"


CI = ROOT / ".ci" / "run"


@pytest.mark.skipif(sys.platform == "win32" or not CI.exists(), reason="not in a source archive")
def test_the_ci_script_cleans_up_with_the_status_of_its_steps(tmp_path: Path) -> None:
    [trap] = re.findall("^trap .*", CI.read_text(encoding="utf-8"), re.MULTILINE)
    for status in (0, 3):
        work = tmp_path / f"work-{status}"
        work.mkdir()
        text = f"set -euo pipefail; work=$1\n{trap}\nexit {status}"
        run = subprocess.run(["bash", "-c", text, "bash", str(work)], check=False)
        assert (run.returncode, work.exists()) == (status, False)
