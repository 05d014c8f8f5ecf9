"""Workflows, dot-files and the pages of contributors agree with the project."""

from __future__ import annotations

import re
import textwrap
import tomllib
from functools import cache
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from helpers import ROOT
from messages.language import avoided_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

GITHUB = ROOT / ".github"
PAGES = [*sorted(GITHUB.glob("*.md")), *sorted((ROOT / ".changes").glob("*.md"))]
FORMS = sorted((GITHUB / "ISSUE_TEMPLATE").glob("*.yml"))
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))

pytestmark = pytest.mark.skipif(
    not GITHUB.is_dir(), reason="not a checkout: the source distribution has no .github"
)


@cache
def content(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


@cache
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def supported_pythons() -> list[str]:
    found = (
        re.fullmatch(r"Programming Language :: Python :: (3\.\d+)", classifier)
        for classifier in project()["project"]["classifiers"]
    )
    return [match[1] for match in found if match]


def jobs() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in WORKFLOWS:
        for name, job in content(path)["jobs"].items():
            yield f"{path.name}: {name}", job


def steps() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, job in jobs():
        for step in job.get("steps", []):
            yield name, step


def test_the_tests_run_on_each_system_and_each_python_of_the_classifiers() -> None:
    matrix = content(GITHUB / "workflows" / "tests.yml")["jobs"]["tests"]["strategy"]["matrix"]
    assert matrix["python"] == supported_pythons()
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}


def test_other_jobs_use_a_supported_python() -> None:
    chosen = [step["with"]["python-version"] for _, step in steps() if "setup-python" in str(step)]
    assert len(chosen) > 3
    assert {*chosen} <= {*supported_pythons(), "${{ matrix.python }}"}


def test_every_action_is_pinned_to_a_commit() -> None:
    """The comment after it says which version that is; Dependabot updates both."""
    uses = [
        line.partition("uses:")[2].strip()
        for path in WORKFLOWS
        for line in path.read_text(encoding="utf-8").splitlines()
        if "uses:" in line
    ]
    assert len(uses) > 5
    for action in uses:
        is_own = action.startswith("$/.github/workflows/")
        assert is_own or re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action)


def test_an_action_has_one_version_in_all_workflows() -> None:
    versions: dict[str, set[str]] = {}
    for _, step in steps():
        name, _, commit = step.get("uses", "").partition("@")
        versions.setdefault(name, set()).add(commit)
    assert "actions/checkout" in versions
    assert all(len(commits) == 1 for commits in versions.values()), versions


def test_jobs_have_no_more_rights_than_they_need() -> None:
    writes = {}
    for path in WORKFLOWS:
        assert content(path)["permissions"] == {}
        assert "concurrency" in content(path)
    for name, job in jobs():
        assert "timeout-minutes" in job or "uses" in job, name
        writes[name] = {key for key, value in job["permissions"].items() if value != "read"}
    assert {name: rights for name, rights in writes.items() if rights} == {
        "release.yml: build": {"attestations", "id-token"},
        "release.yml: publish": {"id-token"},
    }
    for name, step in steps():
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False, name


def test_only_the_protected_environment_publishes() -> None:
    publishing = {name for name, step in steps() if "publish" in step.get("uses", "")}
    assert publishing == {"release.yml: publish"}
    assert dict(jobs())["release.yml: publish"]["environment"] == "release"
    release = content(GITHUB / "workflows" / "release.yml")
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML 1.1 reads the key `on` as true
    assert "secrets." not in (GITHUB / "workflows" / "release.yml").read_text(encoding="utf-8")


def test_workflows_run_only_sessions_that_exist() -> None:
    source = (ROOT / ".noxfile.py").read_text(encoding="utf-8")
    sessions = {*re.findall(r"^@nox\.session.*\ndef (\w+)\(", source, re.MULTILINE)}
    checks = content(GITHUB / "workflows" / "tests.yml")["jobs"]["checks"]["strategy"]["matrix"]
    named = {*checks["session"]}
    for _, step in steps():
        named |= {*re.findall(r"-s \"?(\w+)", step.get("run", ""))}
    assert {"lint", "types", "docs", "coverage", "wheel", "audit", "tests"} == named
    assert named <= sessions


def test_hooks_are_pinned_to_a_commit() -> None:
    for repo in content(ROOT / ".pre-commit-config.yaml")["repos"]:
        assert repo["repo"] == "local" or re.fullmatch(r"[0-9a-f]{40}", repo["rev"])


def test_coverage_has_a_floor() -> None:
    settings = project()["tool"]["coverage"]
    assert settings["report"]["fail_under"] >= 90
    assert settings["run"]["source_pkgs"] == ["regionbatch", "regionbatch_cli"]


def test_fragments_have_a_known_type() -> None:
    settings = project()["tool"]["towncrier"]
    types = "|".join(entry["directory"] for entry in settings["type"])
    for path in (ROOT / settings["directory"]).iterdir():
        assert path.name == "README.md" or re.fullmatch(rf"[+\w-]+\.({types})\.md", path.name)
    changelog = (ROOT / settings["filename"]).read_text(encoding="utf-8")
    assert changelog.count(settings["start_string"]) == 1


@pytest.mark.parametrize("path", [*PAGES, *FORMS], ids=lambda path: path.name)
def test_pages_use_the_words_of_the_glossary(path: Path) -> None:
    assert not avoided_words(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_of_pages_lead_somewhere(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        name, _, anchor = target.partition("#")
        page = path.parent / name if name else path
        assert page.is_file(), target
        headers = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
        assert not anchor or anchor in {
            re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in headers
        }, target


def test_the_example_of_a_case_is_that_case() -> None:
    text = (GITHUB / "CONTRIBUTING.md").read_text(encoding="utf-8")
    case = ROOT / "fixtures" / "voc" / "xmin-greater-than-xmax"
    for language, path in (("xml", case / "input" / "a.xml"), ("toml", case / "case.toml")):
        [shown] = re.findall(rf"```{language}\n(.*?) *```", text, re.DOTALL)
        assert textwrap.dedent(shown) == path.read_text(encoding="utf-8")


def test_what_a_form_requires_has_a_label() -> None:
    for path in FORMS:
        if path.name == "config.yml":
            continue
        form = content(path)
        assert form["name"]
        assert form["description"]
        inputs = [part for part in form["body"] if part["type"] != "markdown"]
        assert len({part["id"] for part in inputs}) == len(inputs) > 2
        assert all(part["attributes"]["label"] for part in inputs)
