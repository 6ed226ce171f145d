"""Tables of the pages, declared by their columns: each column has its heading and its cell in one place.

A template makes a ``Table``, adds columns with ``{% call(row) table.column("Heading") %}cell{% endcall %}``, and draws
it with ``ui.table(table, rows)``. Headings, the width of rows that span all columns, and what a card on a small screen
says before a value all come from the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from markupsafe import Markup

Cell = Callable[..., Markup]
"""Draws a cell of a row: the body of a ``call`` block. A row that is a tuple comes as so many arguments."""


@dataclass(frozen=True)
class SortLink:
    """The link in a heading that sorts by its column."""

    address: str
    ordered: str = ""
    """How the table is ordered by the column, as ``aria-sort`` says it: ``ascending`` or ``descending``; empty: not."""


@dataclass(frozen=True)
class Column:
    """A column of a table."""

    title: str
    cell: Cell
    kind: str = ""
    """Class of its heading and of its cells: ``figure``, ``time``, or ``do`` for buttons: its heading is not shown."""
    look: str = ""
    """Class of its cells alone."""
    label: str | None = None
    """What a card says before the value; None: the value speaks for itself."""
    heads: bool = False
    """Whether its cells name their rows."""
    given: object = None
    """What its cell receives besides the row, if it is one of several columns that a loop declares."""
    sort: SortLink | None = None
    """The link that sorts by it; None: rows are not sorted by it."""

    def draw(self, row: object) -> Markup:
        """Draw the cell of a row."""
        # A loop's variable has its last value by the time that the cell is drawn: hence ``given``.
        return _draw(self.cell, row) if self.given is None else _draw(self.cell, row, self.given)


@dataclass
class Table:
    """A table: what it is called, and its columns in their order."""

    caption: str
    look: str = ""
    """Its classes. ``data``: on a small screen each row is a card."""
    rows_id: str = ""
    """The id of what holds the rows."""
    columns: list[Column] = field(default_factory=list[Column])
    _row_id: Cell | None = None
    _below: Cell | None = None
    _end: Cell | None = None

    def head(self, title: str, look: str = "", *, sort: SortLink | None = None, caller: Cell) -> str:
        """Declare the column whose cells name their rows."""
        self.columns.append(Column(title, caller, look=look, heads=True, sort=sort))
        return ""

    def column(
        self,
        title: str,
        kind: str = "",
        *,
        look: str = "",
        label: str = "",
        plain: bool = False,
        given: object = None,
        sort: SortLink | None = None,
        caller: Cell,
    ) -> str:
        """Declare a column.

        ``label`` is what a card says before the value, the title unless given; ``plain``: nothing, for the value speaks
        for itself.
        """
        labelled = "data" in self.look.split() and not plain
        said = (label or title) if labelled else None
        self.columns.append(Column(title, caller, kind, look, said, given=given, sort=sort))
        return ""

    def row_id(self, *, caller: Cell) -> str:
        """Declare the id of each row."""
        self._row_id = caller
        return ""

    def below(self, *, caller: Cell) -> str:
        """Declare what stands below a row, over all columns; nothing, where that is empty."""
        self._below = caller
        return ""

    def end(self, *, caller: Cell) -> str:
        """Declare what the last row has, over all columns: the way to more rows. Nothing, where that is empty."""
        self._end = caller
        return ""

    def id_of(self, row: object) -> str:
        """The id of a row; empty, where rows have none."""
        return "" if self._row_id is None else _draw(self._row_id, row)

    def below_of(self, row: object) -> str:
        """What stands below a row."""
        return "" if self._below is None else _draw(self._below, row)

    def last(self) -> str:
        """What the last row has."""
        return "" if self._end is None else self._end().strip()


def _draw(cell: Cell, row: object, *given: object) -> Markup:
    # A named tuple is one thing; what a mapping's items or ``zip`` give are several.
    parts = row if type(row) is tuple else (row,)
    return cell(*parts, *given).strip()
