"""What images without a file are called: by these names IDs are looked up."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from regionbatch.files.paths import (
    IMAGE_WORDS,
    LABEL_WORDS,
    fold,
    folder_key,
    image_stem,
    is_image,
    is_label_word,
    joined,
    leaves_dataset,
    path_parts,
    resolved_path,
    with_word_replaced,
    without_label_word,
)

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from regionbatch.files.tree import Tree


def own_stem(file: str) -> str:
    """Return the name of a label file without folder and extension."""
    base = file.rpartition("/")[2]
    return base[: base.rfind(".")]


def plain_names(names: Sequence[str]) -> Sequence[str]:
    r"""Return declared names with `/` for `\`, and without a leading `./`."""
    joined_names = "\n" + "\n".join(names)
    if "\\" not in joined_names and "\n./" not in joined_names:
        return names
    return [name.replace("\\", "/").removeprefix("./") for name in names]


def rows_outside(files: Sequence[str], names: Sequence[str]) -> list[int]:
    """Return the rows of names that lead out of the dataset: absolute ones, and those that climb out of it.

    Args:
        files: The file that each name is in.
        names: The names.
    """
    joined_names = "\n" + "\n".join(names)
    if not any(sign in joined_names for sign in ("..", ":", "\n/", "\n\\")):  # most datasets have none
        return []
    odd = [row for row, name in enumerate(names) if leaves_dataset(name)]
    return [row for row in odd if resolved_path(files[row].rpartition("/")[0], names[row]) is None]


def name_of_label(tree: Tree, file: str) -> str:
    """Return the path of a label file without extension, the label word turned into that of an image folder here."""
    folder = file.rpartition("/")[0]
    ways = [way for word in IMAGE_WORDS for way in with_word_replaced(folder, LABEL_WORDS, word)]
    here = (found for way in ways if (found := tree.find_folder(way)) is not None)
    return joined(next(here, ways[0] if ways else folder), own_stem(file))


def names_of_label_files(files: Sequence[str], names: Sequence[str], rows: Iterable[int]) -> dict[int, str]:
    """Return the names of images without a file, by the rows of their label files.

    It is the declared name, if no other label file declares it or is called so; else the label file's own path without
    the label word, with the declared extension; else the whole path of the label file.

    Args:
        files: All label files on disk.
        names: What they declare, with `/`; empty: nothing, or they were not read.
        rows: Those without an image file.
    """
    declared = Counter(fold(name) for name in names)
    stems = Counter(fold(image_stem(own_stem(file))) for file in files)
    chosen: dict[int, str] = {}
    for row in rows:
        name, own = names[row], own_stem(files[row])
        stem = fold(image_stem((path_parts(name) or [""])[-1]))
        is_others = stems[stem] - (stem == fold(image_stem(own))) > 0
        home = without_label_word(files[row].rpartition("/")[0])
        if name and declared[fold(name)] == 1 and not is_others:
            bare = "/" not in name and folder_key(home).parts  # a camera's folder, which the name must keep
            inside = resolved_path(files[row].rpartition("/")[0], name) if ".." in name else None
            chosen[row] = joined(home, name) if bare else inside or name
        elif name or stems[fold(image_stem(own))] > 1:
            extension = name[name.rfind(".") :] if is_image(name) and not is_image(own) else ""
            chosen[row] = joined(home, own) + extension
        else:
            chosen[row] = own
    twice = {name for name, count in Counter(chosen.values()).items() if count > 1}
    return {row: files[row] if name in twice else name for row, name in chosen.items()}


def names_of_declared(
    files: Sequence[str], names: Sequence[str], splits: Sequence[str], all_files: Collection[str], rows: Iterable[int]
) -> dict[int, str]:
    """Return the names of images without a file: the declared ones, relative to the dataset.

    What two splits list under one name are two images, which get the names of the splits.

    Args:
        files: The declaring file of each name.
        names: The declared names, with `/`.
        splits: The split of each; empty: none.
        all_files: All declaring files of the dataset, so that images are called the same whatever is read.
        rows: Those without an image file.
    """
    homes, outside = _homes(all_files), {*rows_outside(files, names)}
    prefixes = {file: f"{home}/" if home else "" for file, home in homes.items()}
    chosen = {row: prefixes[files[row]] + names[row] for row in rows if row not in outside}
    if len(set(files)) > 1:
        listed_by: dict[str, set[str]] = {}
        for file, name in zip(files, names, strict=True):
            listed_by.setdefault(prefixes[file] + name, set()).add(file)
        for row, name in chosen.items():
            if len(listed_by[name]) > 1 and splits[row]:
                chosen[row] = prefixes[files[row]] + joined(splits[row], names[row])
    for row, name in chosen.items():
        if ".." in name:
            chosen[row] = resolved_path(files[row].rpartition("/")[0], names[row]) or name
    return chosen | {row: names[row] for row in rows if row in outside}


def _homes(files: Collection[str]) -> Mapping[str, str]:
    """Return the folders that the images of declaring files are named from.

    Of a folder for annotations it is the folder above; but if that is the only one, no image needs telling apart.
    """
    folders = {file: file.rpartition("/")[0] for file in files}
    above = {
        file: folder.rpartition("/")[0] for file, folder in folders.items() if is_label_word(folder.rpartition("/")[2])
    }
    if len(set(above.values())) == 1:
        above = dict.fromkeys(above, "")
    return folders | above
