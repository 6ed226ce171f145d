"""Parquet files of exports, made from their CSV by DuckDB, which is there where the extra ``parquet`` is installed."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from store.history.exports import ExportColumn

_MEMORY = "256MB"
"""What DuckDB holds in memory; it puts the rest aside beside the files."""
_ROW_GROUP = 100_000


def can_write_parquet() -> bool:
    """Whether DuckDB is installed."""
    return find_spec("duckdb") is not None


def write_parquet(csv: Path, parquet: Path, columns: Sequence[ExportColumn]) -> None:
    """Write the rows of a CSV file, which has a header, as Parquet with the types of ``columns``. Blocks."""
    # Loaded by the first export, not by the start of the process. Type checkers do not find it where it is no part.
    duckdb = import_module("duckdb")
    listed = ", ".join(f"{_quoted(column.header)}: {_quoted(column.kind.value)}" for column in columns)
    settings = {"memory_limit": _MEMORY, "threads": 1, "temp_directory": str(parquet.parent)}
    with duckdb.connect(":memory:", config=settings) as connection:
        connection.execute(f"""
            COPY (
                SELECT * FROM read_csv(
                    {_quoted(str(csv))}, header = true, auto_detect = false, delim = ',', quote = '"', escape = '"',
                    nullstr = '', columns = {{{listed}}}
                )
            ) TO {_quoted(str(parquet))} (FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP})
        """)  # noqa: S608 - constants, and the names of our own files


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
