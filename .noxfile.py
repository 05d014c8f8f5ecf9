"""What CI runs, as sessions of nox: `nox -f .noxfile.py` lists them, `-s NAME` runs one."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = nox.project.python_versions(PROJECT)
DEVELOPER_EXTRAS = {"dev", "docs", "lint", "test"}

nox.needs_version = ">=2025.2.9"
nox.options.sessions = []  # without -s, list the sessions


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run all tests. Arguments after `--` replace `-n 3`."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", *(session.posargs or ["-n", "3"]))


@nox.session
def quick(session: nox.Session) -> None:
    """Run the tests of every main behaviour."""
    session.install(".[test]")
    session.run("python", "-m", "pytest", "-m", "quick", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the style, the spelling, the layers, the metadata and the workflows."""
    session.install(".[lint]")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("codespell")
    session.run("validate-pyproject", "pyproject.toml")
    session.run("zizmor", "--offline", "--persona", "pedantic", ".github")
    session.run("lint-imports", "--no-cache")
    session.run("towncrier", "build", "--draft", "--version", "next")


@nox.session
def types(session: nox.Session) -> None:
    """Check the types of the sources and of the tests."""
    session.install(".[dev]")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the site; a warning is an error."""
    session.install(".[docs]")
    site = ROOT / session.create_tmp() / "site"
    config = ROOT / "converters" / "docs" / "mkdocs.yml"
    session.run(
        *("mkdocs", "build", "--quiet", "--strict", "-f", str(config), "-d", str(site)),
        env={"NO_MKDOCS_2_WARNING": "1"},
    )


@nox.session
def build(session: nox.Session) -> None:
    """Build the source distribution and the wheel into dist/."""
    session.install("build")
    shutil.rmtree(ROOT / "dist", ignore_errors=True)
    session.run("python", "-m", "build")


@nox.session(requires=["build"])
def wheel(session: nox.Session) -> None:
    """Install the wheel without any developer's package, and use it in another folder."""
    [built] = (ROOT / "dist").glob("*.whl")
    session.install(str(built))
    scene = ROOT / "fixtures" / "scene"
    ids = ["--tag-ids", str(scene / "tags.json"), "--image-ids", str(scene / "images.json")]
    with tempfile.TemporaryDirectory() as folder, session.chdir(folder):
        session.run("regionbatch", "--help", silent=True)
        session.run("regionbatch", "convert", str(scene / "voc"), "-o", "out", *ids)


@nox.session
def audit(session: nox.Session) -> None:
    """Look up known vulnerabilities of all packages that users install. Asks a service."""
    extras = sorted(PROJECT["project"]["optional-dependencies"].keys() - DEVELOPER_EXTRAS)
    session.install(f".[{','.join(extras)}]")
    frozen = session.run("python", "-m", "pip", "freeze", "--exclude", "regionbatch", silent=True)
    requirements = Path(session.create_tmp()) / "requirements.txt"
    requirements.write_text(str(frozen), encoding="utf-8")
    session.install("pip-audit")
    # Without --strict, packages that the service does not know would count as sound.
    session.run("pip-audit", "--strict", "--disable-pip", "--no-deps", "-r", str(requirements))


@nox.session
def coverage(session: nox.Session) -> None:
    """Run all tests and fail if they reach less of the sources than the floor."""
    session.install("-e", ".[test]", "coverage>=7.10")
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *(session.posargs or ["-n", "3"]))
    # Processes that a test kills may leave a damaged file, which makes the status 1.
    session.run("coverage", "combine", "--quiet", success_codes=[0, 1])
    session.run("coverage", "report")
