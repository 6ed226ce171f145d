"""What statements are given: many values as one parameter, and parts of texts to search for.

PostgreSQL takes at most 32,767 parameters a statement, and any number of values in an array.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, ColumnElement, Table, Text, TextClause, Uuid, any_, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY, dialect

_POSTGRESQL = dialect()
_WILDCARD = re.compile(r"[\\%_]")


def containing(part: str) -> str:
    """The pattern by which ``ILIKE`` finds the texts that contain ``part``, in upper or lower case.

    No character of it is a wildcard: each of those has PostgreSQL's own escape character before it, so the statement
    needs no ``ESCAPE``.
    """
    return f"%{_WILDCARD.sub(lambda found: chr(92) + found[0], part)}%"


def columns(rows: Iterable[tuple[Any, ...]], width: int) -> list[tuple[Any, ...]]:
    """Turn rows of so many values into so many columns; without a row each is empty."""
    return list(zip(*rows, strict=True)) or [()] * width


def nullable(values: Sequence[Any]) -> Sequence[Any] | None:
    """A column as a parameter of ``unnest``: None where all of it is null, which takes no time to send and to read.

    Another parameter must be as long as the rows are many: ``unnest`` fills the others with nulls.
    """
    return None if values.count(None) == len(values) else values


def is_one_of(column: ColumnElement[Any], ids: Iterable[UUID]) -> ColumnElement[bool]:
    """The condition that a column of ids is one of these; of none: never."""
    return column == any_(bindparam(None, list(ids), type_=ARRAY(Uuid)))


def is_one_of_texts(column: ColumnElement[Any], texts: Iterable[str]) -> ColumnElement[bool]:
    """The same for a column of texts."""
    return column == any_(bindparam(None, list(texts), type_=ARRAY(Text)))


def is_one_of_numbers(column: ColumnElement[Any], numbers: Iterable[int]) -> ColumnElement[bool]:
    """The same for a column of whole numbers."""
    return column == any_(bindparam(None, list(numbers), type_=ARRAY(BigInteger)))


def insert_rows(table: Table, names: Sequence[str], on_conflict: str = "") -> TextClause:
    """An insert of any number of rows in one statement: each of the columns ``names`` is a parameter, an array.

    ``as_columns`` makes the parameters of rows. ``on_conflict`` is the statement's end, from ``ON CONFLICT`` on.
    """
    columns = ", ".join(names)
    arrays = ", ".join(f"CAST(:{name} AS {table.c[name].type.compile(dialect=_POSTGRESQL)}[])" for name in names)
    return text(f"""
        INSERT INTO {table.name} ({columns})
        SELECT {columns} FROM unnest({arrays}) AS given ({columns})
        {on_conflict}
    """)  # noqa: S608 - names of tables and columns


def as_columns(names: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows into the parameters of ``insert_rows``."""
    return {name: [row[name] for row in rows] for name in names}
