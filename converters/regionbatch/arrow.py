"""Columns as Arrow tables, for PyArrow, pandas, Polars, DuckDB and others.

Needs PyArrow (the extra `arrow`). It is imported when it is first used, which takes 0.2 seconds.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from regionbatch.errors import OptionError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from typing import Any

    import pyarrow as pa
    from numpy.typing import NDArray

_ROWS_AT_ONCE = 2**16
"""Rows that are turned into columns at a time: their Python objects need 30 MB."""


class Coded(NamedTuple):
    """A column of names, as codes into a table of them; it becomes a dictionary array."""

    codes: NDArray[np.int32]
    """(n,), indexes into `names`; negative: null."""
    names: Sequence[str]
    """The names, each once: readers of Arrow may refuse duplicates."""


Column: TypeAlias = "Coded | NDArray[Any]"
"""A column of values; a masked array has nulls."""


def import_pyarrow() -> Any:  # noqa: ANN401 - a module without type hints
    """Import PyArrow.

    Raises:
        OptionError: It is not installed.
    """
    try:
        import pyarrow  # noqa: ICN001, PLC0415 - an extra
    except ImportError as error:
        raise OptionError(
            'arrow: PyArrow is not installed. Install it: pip install "regionbatch[arrow]".',
            option="arrow",
        ) from error
    return pyarrow


def table_of_columns(columns: Mapping[str, Column]) -> pa.Table:
    """Return columns of equal length as a table. It shares the memory of contiguous arrays."""
    pyarrow = import_pyarrow()
    arrays: dict[str, pa.Array] = {}
    for name, column in columns.items():
        arrays[name] = _dictionary(column) if isinstance(column, Coded) else pyarrow.array(column)
    return pyarrow.table(arrays)


def table_of_rows(
    types: Mapping[str, type[str | int]],
    rows: Iterable[tuple[str | int, ...]],
    coded: Collection[str],
) -> pa.Table:
    """Return rows as a table.

    Args:
        types: The type of each column, by its name.
        rows: Each with a value for each column.
        coded: Names of the columns that become dictionary arrays.
    """
    pyarrow = import_pyarrow()
    schema = pyarrow.schema(
        [
            (name, pyarrow.string() if kind is str else pyarrow.int64())
            for name, kind in types.items()
        ]
    )
    batches: list[pa.RecordBatch] = []
    rows = iter(rows)
    while some := list(islice(rows, _ROWS_AT_ONCE)):
        arrays = [
            _texts(values) if kind is str else pyarrow.array(values, pyarrow.int64())
            for kind, values in zip(types.values(), zip(*some, strict=True), strict=True)
        ]
        batches.append(pyarrow.record_batch(arrays, schema=schema))
    table = pyarrow.Table.from_batches(batches, schema)
    for name in coded:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, name, table.column(at).dictionary_encode())
    return table


def distinct(codes: NDArray[np.int32], names: Sequence[str]) -> Coded:
    """Return a column of names that may have duplicates: equal names get one code."""
    new = {name: code for code, name in enumerate(dict.fromkeys(names))}
    if len(new) == len(names):
        return Coded(codes, names)
    return Coded(np.asarray([new[name] for name in names], np.int32)[codes], [*new])


def nullable(numbers: NDArray[np.int32], null: int) -> NDArray[np.int32]:
    """Return numbers with a mask of those that are null, if there are any."""
    is_null = numbers == null
    return np.ma.MaskedArray(numbers, is_null) if is_null.any() else numbers


def _dictionary(column: Coded) -> pa.DictionaryArray:
    pyarrow = import_pyarrow()
    is_null = column.codes < 0
    indices = pyarrow.array(column.codes, mask=is_null if is_null.any() else None)
    return pyarrow.DictionaryArray.from_arrays(indices, _texts(column.names))


def _texts(names: Sequence[str]) -> pa.StringArray:
    """Return names as Arrow text, which is UTF-8: half a surrogate pair is escaped."""
    pyarrow = import_pyarrow()
    try:
        return pyarrow.array(names, pyarrow.string())
    except UnicodeEncodeError:
        escaped = [name.encode(errors="backslashreplace").decode() for name in names]
        return pyarrow.array(escaped, pyarrow.string())


def columns_of_table(table: Any, names: Collection[str]) -> dict[str, Any]:  # noqa: ANN401 - any table
    """Return some columns of a table: texts as `Coded`, numbers as arrays, anything else as a list.

    Args:
        table: An object with the Arrow PyCapsule interface, such as a data frame.
        names: Names of the columns; those that the table lacks are left out.

    Raises:
        OptionError: It is not a table, or two columns have the same name.
    """
    pyarrow = import_pyarrow()
    if type(table).__module__.partition(".")[0] == "pandas" and hasattr(table, "columns"):
        found = [*map(str, table.columns)]
        _check_unique(found, names)
        # Convert each column alone: Arrow rejects one with several types, but its rows get
        # findings.
        return {name: _of_series(table[name]) for name in names if name in found}
    if not (hasattr(table, "__arrow_c_stream__") or hasattr(table, "__arrow_c_array__")):
        raise OptionError(
            f"table: not an Arrow table: '{type(table).__name__}'. "
            "Pass a data frame of pandas, Polars, PyArrow or DuckDB.",
            option="table",
            value=type(table).__name__,
        )
    try:
        read = pyarrow.table(table)
    except pyarrow.ArrowException as error:
        raise OptionError(
            f"table: not a table: '{type(table).__name__}'. Pass a table with columns.",
            option="table",
            value=type(table).__name__,
        ) from error
    _check_unique(read.column_names, names)
    return {name: _of_arrow(read.column(name)) for name in names if name in read.column_names}


def _check_unique(found: Sequence[str], names: Collection[str]) -> None:
    for name in names:
        if found.count(name) > 1:
            raise OptionError(
                f"table: two columns have this name: '{name}'. Rename one.",
                option="table",
                value=name,
            )


def _of_series(series: Any) -> Any:  # noqa: ANN401 - a series of pandas
    pyarrow = import_pyarrow()
    try:
        array = pyarrow.array(series, from_pandas=True)
    except (pyarrow.ArrowException, TypeError, ValueError, OverflowError):
        return series.tolist()
    return _of_arrow(pyarrow.chunked_array([array]) if isinstance(array, pyarrow.Array) else array)


def _of_arrow(column: pa.ChunkedArray) -> Any:  # noqa: ANN401 - a column of `readers.rows`
    """Return a column as `Coded`, an array or a list."""
    pyarrow = import_pyarrow()
    types = pyarrow.types
    kind = column.type
    if types.is_dictionary(kind):
        if not _is_text(kind.value_type):
            return _of_arrow(column.cast(kind.value_type))
        array = column.unify_dictionaries().combine_chunks()
        codes = array.indices.cast(pyarrow.int32()).fill_null(-1).to_numpy(zero_copy_only=False)
        return _with_null_names(codes, array.dictionary.to_pylist())
    if _is_text(kind):
        return _of_arrow(column.cast(pyarrow.large_string()).dictionary_encode())
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        numbers = column.cast(pyarrow.float64(), safe=False).combine_chunks()
        return numbers.to_numpy(zero_copy_only=False)
    if types.is_fixed_size_list(kind) and kind.list_size == 4 and not column.null_count:
        inner = _of_arrow(pyarrow.chunked_array([column.combine_chunks().flatten()]))
        if isinstance(inner, np.ndarray):
            return inner.reshape(-1, 4)
    return column.to_pylist()


def _is_text(kind: pa.DataType) -> bool:
    types = import_pyarrow().types
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _with_null_names(codes: NDArray[np.int32], names: list[str | None]) -> Coded:
    """Return a column without the dictionary entries that are null."""
    if None in names:
        is_null = np.asarray([name is None for name in names])
        codes = np.where((codes >= 0) & is_null[codes], np.int32(-1), codes)
    return Coded(codes, [name or "" for name in names])
