"""Image lists: text files with one path of an image per line, as darknet writes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from regionbatch.dataset import ListedImage
from regionbatch.files.paths import is_image, joined, path_suffixes
from regionbatch.files.tree import read_lines
from regionbatch.findings import FindingLog
from regionbatch.readers.yolo.lookup import first_found, folder_and_parents, parent_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from regionbatch.files.tree import Tree


def read_image_list(tree: Tree, file: str, split: str, log: FindingLog) -> list[ListedImage]:
    """Return the entries of an image list.

    Entries without an image are reported later, when the image is looked for.

    Args:
        tree: The files of the dataset.
        file: The path of the list.
        split: Its split.
        log: Where a guessed encoding is reported.
    """
    found: list[ListedImage] = []
    for number, line in enumerate(read_lines(tree, file, log), 1):
        entry = line.partition("\t")[0].strip()
        if entry:
            found.append(ListedImage(entry, file, number, split))
    return found


def folders_in_list(tree: Tree, file: str) -> Iterator[str]:
    """Yield the folders of the images in a list, by the longest path suffixes that exist.

    They are looked for in the folder of the list, and then in the folders above.
    """
    listed = read_image_list(tree, file, "", FindingLog())
    folders = list(folder_and_parents(parent_folder(file)))
    for path in {_folder_of(each) for each in listed}:
        ends = path_suffixes(path) if path else [""]
        candidates = (joined(folder, end) for end in ends for folder in folders)
        found = first_found(tree.find_folder, candidates)
        if found is not None:
            yield found


def folders_of_listed(tree: Tree, listed: Iterable[ListedImage]) -> set[str]:
    """Return the folders of listed images below the root, by the longest suffixes that exist.

    Args:
        tree: The files of the dataset.
        listed: Entries of lists; those that are not paths of images do not count.
    """
    found: set[str] = set()
    for path in {_folder_of(each) for each in listed if is_image(each.name)}:
        for end in path_suffixes(path):
            if tree.find_folder(end) is not None:
                found.add(end)
                break
    return found


def _folder_of(listed: ListedImage) -> str:
    return parent_folder(listed.name.replace("\\", "/"))
