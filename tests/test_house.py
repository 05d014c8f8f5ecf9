"""Rules of the house that no single test of a module can keep."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
from pathlib import Path

import pytest

import regionbatch
from helpers import (
    ROOT,
    imports_of,
    mentions,
    process,
    raises_mentioning,
    write_coco,
    write_id_files,
    write_voc,
    write_yolo,
)

LIBRARY = ROOT / "converters" / "regionbatch"
COMMAND = ROOT / "cli" / "regionbatch_cli"
SOURCES = sorted([*LIBRARY.rglob("*.py"), *COMMAND.rglob("*.py")])
TREES = {path.relative_to(ROOT).as_posix(): ast.parse(path.read_text(encoding="utf-8")) for path in SOURCES}
TOP = {"pyproject.toml", "converters", "cli", "tests", "fixtures", "README.md", "LICENSE", "CHANGELOG.md"}


def modules_of(package: str) -> dict[str, ast.Module]:
    """The files below a folder of the repository, by their paths."""
    chosen = {name: tree for name, tree in TREES.items() if name.startswith(package)}
    if not chosen:
        pytest.fail(f"no such source: {package}")
    return chosen


def loaded_by(code: str) -> set[str]:
    """The modules that are loaded after some code ran in a new process."""
    run = process("-c", f"{code}\nimport json, sys; print(json.dumps(sorted(sys.modules)))")
    if run.returncode:
        pytest.fail(run.stderr)
    return set(json.loads(run.stdout.splitlines()[-1]))


def tracked_files() -> list[str]:
    if not shutil.which("git") or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout: which files belong to the project is not known")
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
    assert set(public) == set(regionbatch._HOMES)
    assert set(dir(regionbatch)) == {*public, "__version__"}
    modules = {path.stem for path in LIBRARY.glob("*.py")} | {path.name for path in LIBRARY.iterdir() if path.is_dir()}
    assert not modules & set(public), "importing the module would put it in the place of the name"
    for name in public:
        value = getattr(regionbatch, name)
        assert value.__doc__, f"{name} has no docstring"
        home = f"regionbatch.{regionbatch._HOMES[name]}"
        assert value.__module__ == home or value.__module__.startswith(f"{home}."), f"{name} is not of {home}"


def test_the_type_checker_sees_the_same_public_names() -> None:
    """The imports under TYPE_CHECKING are what an editor and mypy go by."""
    [block] = [node for node in TREES["converters/regionbatch/__init__.py"].body if isinstance(node, ast.If)]
    seen = {
        alias.name: f"{node.module}".removeprefix("regionbatch.")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert seen == regionbatch._HOMES


def test_a_name_that_does_not_exist_is_an_attribute_error() -> None:
    with raises_mentioning(AttributeError, "regionbatch", "reed"):
        _ = regionbatch.reed


def test_the_helper_for_messages_takes_tokens_as_wholes() -> None:
    message = "a.txt:12: coco_boxes, got 'x 5'"
    assert mentions(message, "a.txt:12", "--coco-boxes", "x", 5)
    for token in ("a.txt:1", "txt:1", "--names", "boxes", "x 6"):
        assert not mentions(message, token)
    for error in (ValueError("a.txt:2"), KeyError("a.txt:1")):
        with pytest.raises((AssertionError, KeyError)), raises_mentioning(ValueError, "a.txt:1"):
            raise error


HEAVY = {"numpy", "lxml", "azure", "click", "rich", "msgspec", "yaml", "pycocotools", "imagesize", "sqlite3"}


def test_importing_the_library_loads_nothing_heavy() -> None:
    loaded = loaded_by("import regionbatch; regionbatch.__version__; dir(regionbatch)")
    assert not loaded & HEAVY
    assert {name for name in loaded if name.startswith("regionbatch")} == {"regionbatch"}


def test_importing_the_command_loads_only_what_its_help_needs() -> None:
    loaded = loaded_by("import regionbatch_cli.main")
    assert not loaded & (HEAVY - {"click"})


def test_errors_can_be_caught_without_loading_anything() -> None:
    assert not loaded_by("import regionbatch; regionbatch.RegionBatchError") & HEAVY


def test_the_library_never_imports_the_command() -> None:
    for name, tree in modules_of("converters/").items():
        for imported in imports_of(tree):
            assert not imported.startswith(("regionbatch_cli", "click", "rich")), f"{name} imports {imported}"
    modules = [
        ".".join(path.relative_to(ROOT / "converters").with_suffix("").parts)
        for path in sorted(LIBRARY.glob("*.py"))
        if path.stem != "__init__"
    ]
    loaded = loaded_by("".join(f"import {name}\n" for name in modules))
    assert not {name.partition(".")[0] for name in loaded} & {"regionbatch_cli", "click", "rich"}


LAYERS = (
    {"boxes", "codes", "databases", "errors", "installed", "normal_form", "options"},
    {"csvrows", "findings", "limits"},
    {"dataset", "files", "similar"},
    {"readers", "unknown_formats"},
    {"association", "image_candidates", "image_names", "image_sizes", "matches", "plugins"},
    {"image_reports", "image_scope", "swapped_axes"},
    {"image_table"},
    {"clean"},
    {"reading"},
    {"ids", "renaming", "resolve"},
    {"batching", "payload"},
    {"output", "report"},
    {"customvision", "local"},
    {"__init__", "__main__", "cases", "recording", "testing"},
)
"""Modules and packages of the library; none imports one of a later layer."""

NEVER = [
    ("readers/", "association"),
    ("readers/", "image_"),
    ("readers/", "matches"),
    ("readers/", "plugins"),
    ("readers/", "customvision"),
    ("readers/", "local"),
    ("files/", "readers"),
    ("files/", "association"),
    ("files/", "image_table"),
    ("files/", "dataset"),
    ("resolve.py", "readers"),
    ("resolve.py", "association"),
    ("resolve.py", "files.tree"),
    ("association.py", "readers"),
    ("image_", "readers"),
    ("clean.py", "files"),
    ("clean.py", "readers"),
    ("batching.py", "reading"),
    ("output.py", "reading"),
    ("local/", "customvision"),
]
"""A module, or what its path begins with, and what it does not import: also within a layer, and on lower ones."""


def inner_imports_of(tree: ast.Module) -> set[str]:
    """Return what a file imports of the library, without its name: `files.paths.fold`."""
    return {name.removeprefix("regionbatch.") for name in imports_of(tree) if name.startswith("regionbatch.")}


def test_no_module_imports_one_of_a_later_layer() -> None:
    """Data flows one way: path, reader, image files, clean, resolve, batches, output or upload."""
    layer_of = {name: number for number, layer in enumerate(LAYERS) for name in layer}
    assert len(layer_of) == sum(map(len, LAYERS))
    allowed_for_types = {"converters/regionbatch/output.py": {"batching.Batch"}}
    seen: set[str] = set()
    for name, tree in modules_of("converters/regionbatch/").items():
        own = name.split("/")[2].removesuffix(".py")
        seen.add(own)
        for imported in inner_imports_of(tree) - allowed_for_types.get(name, {"__version__"}):
            assert layer_of[imported.partition(".")[0]] <= layer_of[own], f"{name} imports {imported}"
    assert seen | {"__main__"} == {*layer_of} | {"__main__"}, "a module without a layer, or a layer without a module"


@pytest.mark.parametrize(("module", "never"), NEVER)
def test_what_a_module_never_imports(module: str, never: str) -> None:
    for name, tree in modules_of(f"converters/regionbatch/{module}").items():
        for imported in inner_imports_of(tree):
            prefix = never if never.endswith("_") else f"{never}."
            assert not f"{imported}.".startswith(prefix), f"{name} imports {imported}"


SHARED_BY_READERS = ("readers.helper", "readers.builder", "readers.safe_xml", "readers.units", "readers.xml_start")


@pytest.mark.parametrize("format", ["coco", "voc", "yolo", "cvat", "vott"])
def test_a_reader_imports_no_other(format: str) -> None:  # noqa: A002 - the keyword of `read`
    for name, tree in modules_of(f"converters/regionbatch/readers/{format}").items():
        for imported in inner_imports_of(tree):
            shared = imported.startswith((*SHARED_BY_READERS, f"readers.{format}"))
            assert shared or not imported.startswith("readers."), f"{name} imports {imported}"


def test_the_service_knows_no_format() -> None:
    for name, tree in TREES.items():
        if name.startswith(("converters/regionbatch/customvision/", "converters/regionbatch/local/")):
            for imported in imports_of(tree):
                assert not imported.startswith("regionbatch.readers"), f"{name} imports {imported}"


@pytest.mark.parametrize("name", TREES)
def test_source_neither_asserts_nor_prints(name: str) -> None:
    for node in ast.walk(TREES[name]):
        assert not isinstance(node, ast.Assert), f"{name}:{node.lineno}"
        printing = isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
        assert not printing, f"{name}:{getattr(node, 'lineno', 0)}"


@pytest.mark.parametrize("name", TREES)
def test_what_is_public_has_a_docstring(name: str) -> None:
    """Modules, and the public classes and functions at their top; the methods are what ruff sees to."""
    tree = TREES[name]
    assert ast.get_docstring(tree), f"{name} does not say what it is"
    for node in tree.body:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_"):
            assert ast.get_docstring(node), f"{name}: {node.name} does not say what it is"


def test_nothing_of_this_machine_is_in_the_project() -> None:
    """No path of whoever wrote it, and no package registry that others may not have."""
    home = str(Path.home())
    forbidden = [f"/{name}/" for name in ("work", "tmp/w", "root")] + [str(ROOT.parent) + "/"]
    forbidden += [f"{home}/"] if len(home) > 1 else []
    forbidden += ["".join(parts) for parts in (("py", "pi.org"), ("python", "hosted"), ("ana", "conda.org"))]
    for name in tracked_files():
        content = (ROOT / name).read_bytes()
        for text in forbidden:
            assert text.encode() not in content, f"{name} holds {text}"


def test_the_top_level_holds_what_it_shall() -> None:
    top = {name.partition("/")[0] for name in tracked_files()}
    assert {name for name in top if not name.startswith(".")} <= TOP
    assert {name for name in top if not name.startswith(".")} >= TOP - {"fixtures", "README.md", "CHANGELOG.md"}


def test_sources_are_typed_packages() -> None:
    assert (LIBRARY / "py.typed").is_file()
    assert (COMMAND / "py.typed").is_file()


CONVERT = """
import sys
import regionbatch as rb
for folder in sys.argv[1:]:
    dataset = rb.read(folder)
    batches = rb.batches(dataset, tag_ids=f"{folder}/../tags.json", image_ids=f"{folder}/../images.json")
    rb.write(batches, sys.stdout.buffer)
    sys.stdout.write(str(rb.summary(dataset, batches)))
    sys.stdout.flush()
"""


@pytest.fixture
def three(tmp_path: Path) -> list[Path]:
    """A dataset of each format, with tables of ids beside it."""
    tags = [f"class {number}" for number in range(30)]
    images = [f"{number}.jpg" for number in range(30)]
    pairs = list(zip(images, tags, strict=True))
    folders = [
        write_coco(tmp_path / "coco" / "d", [(image, tag, (20, 10, 80, 60)) for image, tag in pairs]),
        write_voc(tmp_path / "voc" / "d", [(image, tag, (20, 10, 100, 70)) for image, tag in pairs]),
        write_yolo(tmp_path / "yolo" / "d", [(image, tag, (0.3, 0.4, 0.4, 0.6)) for image, tag in pairs]),
    ]
    for folder in folders:
        write_id_files(folder.parent, regionbatch.read(folder))
    return folders


def test_the_same_input_gives_the_same_bytes(three: list[Path]) -> None:
    """Whatever the order that this process gives to sets."""
    runs = [process("-c", CONVERT, *three, PYTHONHASHSEED=seed) for seed in ("1", "2")]
    assert [run.stderr for run in runs] == ["", ""]
    assert runs[0].stdout == runs[1].stdout
    assert runs[0].stdout.count('{"imageId"') == 90


def test_text_is_read_and_written_as_utf8_on_every_system(three: list[Path]) -> None:
    """No file is opened in the encoding of the machine, which is another on Windows."""
    strict = ["-X", "warn_default_encoding", "-W", "error::EncodingWarning", "-X", "utf8=0"]
    run = process(*strict, "-c", CONVERT, *three)
    assert (run.returncode, run.stderr) == (0, "")
