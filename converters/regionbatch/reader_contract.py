"""The contract of readers; import it from `regionbatch.plugins`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from regionbatch.dataset import RawAnnotations, References
    from regionbatch.files.tree import Tree
    from regionbatch.findings import FindingLog
    from regionbatch.options import ReadOptions


@runtime_checkable
class Reader(Protocol):
    """What a reader of a format must provide.

    A reader only parses. It does not scale, clip or drop a box that has four numbers, and it opens
    no image: the core does that for all formats alike. A reader is made without arguments, and one
    instance may read several datasets.

    Example:
        >>> from regionbatch.plugins import Reader, get
        >>> reader = get("coco")
        >>> isinstance(reader, Reader)
        True
    """

    title: ClassVar[str]
    """What the reader reads, in one line, for the list of formats."""
    options: ClassVar[type[ReadOptions]]
    """A frozen dataclass; its fields are keyword arguments of `regionbatch.read`."""

    def detect(self, tree: Tree) -> str | None:
        """Decide whether a dataset has this reader's format.

        Decide by content, read little, and never raise. `tree.candidates` yields the files to look
        at, even if the user named a single file.

        Args:
            tree: The files of the dataset.

        Returns:
            The reason in a few words, such as the name of the file that was recognised; None if the
            dataset has another format.
        """
        ...

    def references(self, tree: Tree, options: Any, log: FindingLog) -> References:  # noqa: ANN401 - see below
        """Find the annotation files and image lists of a dataset, without parsing annotations.

        Args:
            tree: The files of the dataset.
            options: An instance of the reader's own dataclass.
            log: Where to report findings and decisions.

        Returns:
            The annotation files with their splits, and what else the dataset consists of.

        Raises:
            DatasetError: There is nothing to read.
        """
        ...

    def read(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,  # noqa: ANN401 - the reader's own dataclass
        log: FindingLog,
    ) -> RawAnnotations:
        """Parse annotation files and return their annotations unchanged.

        Count every record with `log.read`, including those that are reported as dropped with
        `log.add` because they do not have four numbers. Return images by their names, not by paths.
        `regionbatch.readers.builder.AnnotationBuilder` collects images, classes and boxes one by
        one. The method may be called again for files that are not part of the dataset, to count
        their boxes.

        Args:
            tree: The files of the dataset.
            files: The files of `References.files` to read. A label file is listed once for each of
                its images.
            options: An instance of the reader's own dataclass.
            log: Where to report findings and decisions.

        Returns:
            The annotations as columns.

        Raises:
            DatasetError: Nothing can be read.
        """
        ...


@runtime_checkable
class PartsReader(Reader, Protocol):
    """What a reader must provide so that other processes can read parts of a dataset.

    `read` must return and report the same as `merge` of any number of parts. The easiest way is to
    let `read` read the parts one after the other and call `merge`.

    Example:
        >>> from regionbatch.plugins import PartsReader, get
        >>> isinstance(get("yolo"), PartsReader), isinstance(get("cvat"), PartsReader)
        (True, False)
    """

    def parts(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,  # noqa: ANN401 - the reader's own dataclass
        n: int,
    ) -> Sequence[tuple[Any, ...]]:
        """Divide annotation files into parts, reading little.

        Args:
            tree: The files of the dataset.
            files: The files to read, as for `read`.
            options: An instance of the reader's own dataclass.
            n: How many parts to return. Return fewer if there is little to read, and more if a part
                would be larger than a process should read at once. A dataset for which `n=1` gives
                four parts or more is read by several processes of this machine.

        Returns:
            The arguments of `read_part` for each part: values that can be pickled, such as paths.
        """
        ...

    @staticmethod
    def read_part(*arguments: Any) -> Any:  # noqa: ANN401 - the reader's own
        """Read a part, in any process.

        Return arrays rather than an object for each box: the result is pickled.
        """
        ...

    def merge(
        self,
        tree: Tree,
        files: Sequence[str],
        options: Any,  # noqa: ANN401 - the reader's own dataclass
        log: FindingLog,
        jobs: Sequence[Any],
        results: Iterable[Any],
    ) -> RawAnnotations:
        """Join the parts, in their order, and decide what is true of the whole dataset.

        Args:
            tree: The files of the dataset.
            files: The files to read, as for `read`.
            options: An instance of the reader's own dataclass.
            log: Where to report findings and decisions, in an order that does not depend on the
                number of parts.
            jobs: What `parts` returned.
            results: What `read_part` returned for each part. Other processes are still reading, so
                do all work that does not need the parts before you take the first result.

        Raises:
            DatasetError: Nothing can be read.
        """
        ...
