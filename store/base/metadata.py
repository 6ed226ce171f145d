"""What every table is made with: one metadata, and the columns that many tables have."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import CheckConstraint, Column, DateTime, MetaData, Text, Uuid, func, text

metadata = MetaData()


def id_column() -> Column[Any]:
    """The key: a time-ordered id that the database makes where none is given."""
    return Column("id", Uuid, primary_key=True, server_default=text("uuidv7()"))


def now_column(name: str) -> Column[Any]:
    """A time that is that of the transaction where none is given."""
    return Column(name, DateTime(timezone=True), nullable=False, server_default=func.now())


def made_columns() -> list[Column[Any]]:
    """Who made and who last changed a row, and when."""
    return [
        now_column("created_at"),
        Column("created_by", Text, nullable=False),
        now_column("updated_at"),
        Column("updated_by", Text, nullable=False),
    ]


def time_column(name: str, *, null: bool = False) -> Column[Any]:
    """A time that is given."""
    return Column(name, DateTime(timezone=True), nullable=null)


def text_check(name: str, column: str, most: int) -> CheckConstraint:
    """A text that says something, of ``most`` characters at most. ``name`` is the constraint's."""
    return CheckConstraint(f"btrim({column}) <> '' AND char_length({column}) <= {most}", name=name)


def word_check(name: str, column: str, words: Iterable[str]) -> CheckConstraint:
    """A text that is one of ``words``. ``name`` is the constraint's."""
    listed = ", ".join(f"'{word}'" for word in words)
    return CheckConstraint(f"{column} IN ({listed})", name=name)
