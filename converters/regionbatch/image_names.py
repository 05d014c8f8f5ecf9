"""Names of images that are not on disk; IDs are looked up by these names."""

from __future__ import annotations

from collections import Counter
from functools import lru_cache
from typing import TYPE_CHECKING

from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    base_name,
    by_folder,
    common_extension,
    folder_key,
    image_stem,
    is_image,
    is_label_word,
    joined,
    leaves_dataset,
    normalise_names,
    resolved_path,
    with_word_replaced,
    without_label_word,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from regionbatch.files.tree import Tree

_OUTSIDE_HINTS = ("..", ":", "\n/")
"""Names joined by newlines contain one of these if any of them leads outside the dataset."""


def own_stem(file: str) -> str:
    """Return the name of a label file without folder and extension."""
    base = file.rpartition("/")[2]
    return base[: base.rfind(".")]


def plain_names(names: Sequence[str]) -> Sequence[str]:
    r"""Return declared names with `/` instead of `\`, and without a leading `./`."""
    text = "\n" + "\n".join(names)
    if "\\" not in text and "\n./" not in text:
        return names
    return [name.replace("\\", "/").removeprefix("./") for name in names]


def rows_outside(files: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the rows of names that lead outside the dataset: absolute paths, or paths with `..`.

    Args:
        files: The file that contains each name.
        names: The names, with `/`.
    """
    text = "\n" + "\n".join(names)
    if not any(hint in text for hint in _OUTSIDE_HINTS):  # Most datasets have none.
        return []
    found: list[int] = []
    for row, name in enumerate(names):
        if leaves_dataset(name) and _resolved(name, files[row]) is None:
            found.append(row)
    return found


def _resolved(name: str, file: str) -> str | None:
    """Return a path in a file, relative to the dataset; None if it leads outside."""
    return resolved_path(file.rpartition("/")[0], name)


def name_of_label(tree: Tree, file: str) -> str:
    """Return the path of a label file without extension, in the parallel folder of images."""
    folder = file.rpartition("/")[0]
    parallel: list[str] = []
    for word in IMAGE_WORDS:
        parallel += with_word_replaced(folder, LABEL_WORDS, word)
    best = parallel[0] if parallel else folder
    for path in parallel:
        if (existing := tree.find_folder(path)) is not None:
            best = existing
            break
    return joined(best, own_stem(file))


def names_of_label_files(
    files: Sequence[str], names: Sequence[str], rows: Iterable[int]
) -> list[str]:
    """Return the names of images that are not on disk, in the order of `rows`.

    The name is the declared one, unless another label file declares it too or has that name itself.
    Otherwise it is the label file's own path without the label word, with the declared extension.
    If that is not unique either, it is the whole path of the label file.

    Args:
        files: All label files on disk.
        names: The names that they declare, with `/`; empty strings for none.
        rows: Those whose image is not on disk.
    """
    rows = [*rows]
    if len(rows) == len(files) and (found := _names_like_own(files, names)):
        return found
    own = normalise_names([image_stem(own_stem(file)) for file in files])
    wanted = normalise_names([image_stem(base_name(names[row])) for row in rows])
    normalised = normalise_names(names)
    declared = Counter(normalised)
    stems = Counter(own)
    chosen: list[str] = []
    for row, stem in zip(rows, wanted, strict=True):
        name = names[row]
        is_of_others = stems[stem] > (1 if stem == own[row] else 0)
        if name and declared[normalised[row]] == 1 and not is_of_others:
            chosen.append(_declared_name(files[row], name))
        elif name or stems[own[row]] > 1:
            chosen.append(_path_of_label(files[row], name))
        else:
            chosen.append(own_stem(files[row]))
    counts = Counter(chosen)
    return [
        files[row] if counts[name] > 1 else name for row, name in zip(rows, chosen, strict=True)
    ]


def _names_like_own(files: Sequence[str], names: Sequence[str]) -> list[str]:
    """Return the names of images if all equal those of their label files, as they usually do.

    They are compared as one text, which takes a tenth of the time. If this does not show that all
    are equal, the list is empty.
    """
    extension = common_extension(names)
    text = "/".join(names)
    are_plain = text.count(".") == len(names) == text.count("/") + 1 and "\\" not in text
    if not (are_plain and is_image(extension) and len({*normalise_names(names)}) == len(names)):
        return []
    found: list[str] = []
    for folder, labels in by_folder(files):
        declared = names[len(found) : len(found) + len(labels)]
        own = common_extension(labels)
        text = "/".join([*declared, ""]).replace(f"{extension}/", f"{own}/")
        if not own or text != "/".join([*labels, ""]):
            return []
        home = _home_with_key(folder)
        found += [f"{home}/{name}" for name in declared] if home else declared
    return found


def _declared_name(file: str, name: str) -> str:
    """Return the declared name relative to the dataset."""
    home = _home_with_key(file.rpartition("/")[0])
    if home and "/" not in name:
        return joined(home, name)  # A folder such as that of a camera is part of the name.
    return (_resolved(name, file) if ".." in name else None) or name


@lru_cache(2**10)
def _home_with_key(folder: str) -> str:
    """Return the home of the images of a folder of label files; empty if its key is empty."""
    home = without_label_word(folder)
    return home if folder_key(home).parts else ""


def _path_of_label(file: str, name: str) -> str:
    """Return the path of a label file, without the label word and with the declared extension."""
    own = own_stem(file)
    home = without_label_word(file.rpartition("/")[0])
    extension = name[name.rfind(".") :] if is_image(name) and not is_image(own) else ""
    return joined(home, own) + extension


def names_of_declared(
    files: Sequence[str],
    names: Sequence[str],
    splits: Sequence[str],
    all_files: Collection[str],
    rows: Iterable[int],
    outside: Collection[int],
) -> list[str]:
    """Return the declared names of images that are not on disk, relative to the dataset.

    They are in the order of `rows`. If the files of two splits list the same name, these are two
    images, and the splits are added.

    Args:
        files: The declaring file of each name.
        names: The declared names, with `/`.
        splits: The split of each name; empty strings for none.
        all_files: All declaring files of the dataset, so that names do not depend on the split that
            is read.
        rows: Those whose image is not on disk.
        outside: The rows of names that lead outside the dataset; see `rows_outside`.
    """
    homes = _folders_of(all_files)
    start = {file: f"{home}/" if home else "" for file, home in homes.items()}
    paths = names
    if any(start.values()):
        paths = [start[file] + name for file, name in zip(files, names, strict=True)]
    shared = _listed_by_several(files, paths)
    if not (shared or outside or ".." in "\n".join(paths)):  # as usual
        return [paths[row] for row in rows]
    outside = {*outside}
    chosen: list[str] = []
    for row in rows:
        path = paths[row]
        if row in outside:
            path = names[row]
        else:
            if path in shared and splits[row]:
                path = start[files[row]] + joined(splits[row], names[row])
            if ".." in path:
                path = _resolved(names[row], files[row]) or path
        chosen.append(path)
    return chosen


def _listed_by_several(files: Sequence[str], paths: Sequence[str]) -> set[str]:
    """Return the paths that several of the files declare."""
    if len({*files}) < 2:
        return set()
    pairs = {*zip(paths, files, strict=True)}
    counts = Counter(path for path, _ in pairs)
    return {path for path, count in counts.items() if count > 1}


def _folders_of(files: Collection[str]) -> Mapping[str, str]:
    """Return the folders that the names in declaring files are relative to.

    For a file in a folder of annotations, it is the folder above, or the root of the dataset if all
    such files have the same folder above.
    """
    homes: dict[str, str] = {}
    above: dict[str, str] = {}
    for file in files:
        folder = file.rpartition("/")[0]
        homes[file] = folder
        if is_label_word(folder.rpartition("/")[2]):
            above[file] = folder.rpartition("/")[0]
    if len({*above.values()}) == 1:
        above = dict.fromkeys(above, "")
    return homes | above
