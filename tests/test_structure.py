"""Rules for the project as a whole, which no test of a single module can check."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

import regionbatch
from helpers import (
    ROOT,
    mentions,
    process,
    raises_mentioning,
    write_coco,
    write_id_files,
    write_voc,
    write_yolo,
)
from regionbatch_cli.main import commands

LIBRARY = ROOT / "converters" / "regionbatch"
COMMAND = ROOT / "cli" / "regionbatch_cli"
SOURCES = sorted([*LIBRARY.rglob("*.py"), *COMMAND.rglob("*.py")])
TOP = {
    "pyproject.toml",
    "converters",
    "cli",
    "tests",
    "fixtures",
    "README.md",
    "LICENSE",
    "CHANGELOG.md",
}


@cache
def trees() -> dict[str, ast.Module]:
    """Return the syntax trees of all sources by path."""
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for path in SOURCES
    }


def loaded_by(code: str) -> set[str]:
    """Return the modules that are loaded after code has run in a new process."""
    run = process("-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")
    if run.returncode:
        pytest.fail(run.stderr)
    return set(json.loads(run.stdout.splitlines()[-1]))


def tracked_files() -> list[str]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a Git checkout: the files of the project are unknown")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        encoding="utf-8",
        check=True,
    )
    return [name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_public_names_are_sorted_and_lazy() -> None:
    public = regionbatch.__all__
    assert public == sorted(public)
    assert set(public) == set(regionbatch._MODULE_OF)
    assert set(dir(regionbatch)) == {*public, "__version__"}
    modules = {path.stem for path in LIBRARY.glob("*.py")} | {
        path.name for path in LIBRARY.iterdir() if path.is_dir()
    }
    assert not modules & set(public), "importing the module would replace the public name"
    for name in public:
        value = getattr(regionbatch, name)
        assert value.__doc__, f"{name} has no docstring"
        module = f"regionbatch.{regionbatch._MODULE_OF[name]}"
        assert f"{value.__module__}.".startswith(f"{module}."), f"{name} is not in {module}"


def test_the_type_checker_sees_the_same_public_names() -> None:
    """An editor and mypy use the imports under TYPE_CHECKING."""
    [block] = [
        node
        for node in trees()["converters/regionbatch/__init__.py"].body
        if isinstance(node, ast.If)
    ]
    seen = {
        alias.name: f"{node.module}".removeprefix("regionbatch.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == regionbatch._MODULE_OF


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with raises_mentioning(AttributeError, "regionbatch", "reed"):
        _ = regionbatch.reed


def test_mentions_matches_only_whole_tokens() -> None:
    message = "a.txt:12: coco_boxes, got 'x 5'"
    assert mentions(message, "a.txt:12", "--coco-boxes", "x", 5)
    for token in ("a.txt:1", "txt:1", "--names", "boxes", "x 6"):
        assert not mentions(message, token)
    for error in (ValueError("a.txt:2"), KeyError("a.txt:1")):
        with pytest.raises((AssertionError, KeyError)), raises_mentioning(ValueError, "a.txt:1"):
            raise error


HEAVY = {
    "numpy",
    "lxml",
    "azure",
    "click",
    "rich",
    "msgspec",
    "yaml",
    "pycocotools",
    "imagesize",
    "sqlite3",
}


def test_importing_the_library_loads_nothing_heavy() -> None:
    loaded = loaded_by("import regionbatch; regionbatch.__version__; dir(regionbatch)")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("regionbatch")} == {"regionbatch"}


def test_importing_the_command_loads_only_what_its_help_needs() -> None:
    loaded = loaded_by("import regionbatch_cli.main")
    assert not loaded & (HEAVY - {"click"})


@pytest.mark.parametrize("words", [["formats"], ["inspect", f"{ROOT}/fixtures/scene/coco"]])
def test_a_command_loads_no_other_command(words: list[str]) -> None:
    run = "from regionbatch_cli.main import commands; commands(WORDS, standalone_mode=False)"
    loaded = loaded_by(run.replace("WORDS", repr(words)))
    names = {f"regionbatch_cli.{name}" for name in commands.commands}
    assert loaded & names == {f"regionbatch_cli.{words[0]}"}


def test_errors_can_be_caught_without_loading_anything() -> None:
    assert not loaded_by("import regionbatch; regionbatch.RegionBatchError") & HEAVY


def test_modules_import_only_what_the_contracts_allow() -> None:
    """The contracts are in `pyproject.toml`, under `tool.importlinter`."""
    pytest.importorskip("importlinter")
    lint = (
        "from importlinter.cli import lint_imports; raise SystemExit(lint_imports(no_cache=True))"
    )
    run = process("-c", lint, cwd=ROOT)
    assert run.returncode == 0, run.stdout


def test_running_the_library_never_loads_the_command() -> None:
    modules = [
        ".".join(path.relative_to(ROOT / "converters").with_suffix("").parts)
        for path in sorted(LIBRARY.glob("*.py"))
        if path.stem not in ("__init__", "__main__")
    ]
    loaded = loaded_by("".join(f"import {name}\n" for name in modules))
    assert not {name.partition(".")[0] for name in loaded} & {"regionbatch_cli", "click", "rich"}


def test_sources_neither_assert_nor_print() -> None:
    wrong = [
        f"{name}: {ast.unparse(node)}"
        for name, tree in trees().items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert) or is_print(node)
    ]
    assert not wrong


def is_print(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    )


def test_what_is_public_has_a_docstring() -> None:
    """Modules and their public classes and functions; ruff checks the methods."""
    missing = []
    for name, tree in trees().items():
        nodes = [node for node in tree.body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
        public = [node for node in nodes if not node.name.startswith("_")]
        if not ast.get_docstring(tree):
            missing.append(name)
        missing += [f"{name}: {node.name}" for node in public if not ast.get_docstring(node)]
    assert len(trees()) > 100
    assert not missing


def test_no_path_of_this_machine_is_in_the_project() -> None:
    """Nor the address of a package registry, which others may not use."""
    home = str(Path.home())
    forbidden = [f"/{name}/" for name in ("work", "tmp/w", "root")] + [str(ROOT.parent) + "/"]
    forbidden += [f"{home}/"] if len(home) > 1 else []
    forbidden += [
        "".join(parts) for parts in (("py", "pi.org"), ("python", "hosted"), ("ana", "conda.org"))
    ]
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        for text in forbidden:
            assert text.encode() not in content, f"{name} contains {text}"


def test_the_top_level_contains_only_known_files() -> None:
    top = {name.partition("/")[0] for name in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP
    assert {name for name in top if not name.startswith(".")} >= TOP - {
        "fixtures",
        "README.md",
        "CHANGELOG.md",
    }


def test_sources_are_typed_packages() -> None:
    assert (LIBRARY / "py.typed").is_file()
    assert (COMMAND / "py.typed").is_file()


CONVERT = """
import sys
import regionbatch as rb
for folder in sys.argv[1:]:
    dataset = rb.read(folder)
    tables = {"tag_ids": f"{folder}/../tags.json", "image_ids": f"{folder}/../images.json"}
    batches = rb.batches(dataset, **tables)
    rb.write(batches, sys.stdout.buffer)
    sys.stdout.write(str(rb.summary(dataset, batches)))
    sys.stdout.flush()
"""


@pytest.fixture
def datasets(tmp_path: Path) -> list[Path]:
    """Return a dataset of each format, with ID tables next to it."""
    tags = [f"class {number}" for number in range(30)]
    images = [f"{number}.jpg" for number in range(30)]
    pairs = list(zip(images, tags, strict=True))
    folders = [
        write_coco(
            tmp_path / "coco" / "d", [(image, tag, (20, 10, 80, 60)) for image, tag in pairs]
        ),
        write_voc(
            tmp_path / "voc" / "d", [(image, tag, (20, 10, 100, 70)) for image, tag in pairs]
        ),
        write_yolo(
            tmp_path / "yolo" / "d", [(image, tag, (0.3, 0.4, 0.4, 0.6)) for image, tag in pairs]
        ),
    ]
    for folder in folders:
        write_id_files(folder.parent, regionbatch.read(folder))
    return folders


def test_the_same_input_gives_the_same_bytes(datasets: list[Path]) -> None:
    """The order of sets depends on the hash seed of the process."""
    runs = [process("-c", CONVERT, *datasets, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.count('{"imageId"') == 90


def test_text_is_read_and_written_as_utf8_on_every_system(datasets: list[Path]) -> None:
    """No file is opened with the default encoding, which differs on Windows."""
    strict = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning", "-X", "utf8=0"]
    run = process(*strict, "-c", CONVERT, *datasets)
    assert (run.returncode, run.stderr) == (0, "")
