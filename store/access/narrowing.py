"""Narrowing of statements to the depots at which something is permitted: what lies elsewhere is never read."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, true

from domain.access.principals import DepotScope
from store.base.arrays import is_one_of


def within(column: ColumnElement[UUID] | ColumnElement[Any], scope: DepotScope) -> ColumnElement[bool]:
    """The condition that a column of depots' ids is within ``scope``. Everywhere it changes nothing of a statement."""
    return true() if scope.everywhere else is_one_of(column, scope.depot_ids)


def is_within(column: str, scope: DepotScope) -> str:
    """The same for a statement that is a text, with the parameters of ``given_within``."""
    return "true" if scope.everywhere else f"{column} = ANY (CAST(:within AS uuid[]))"


def given_within(scope: DepotScope) -> dict[str, list[UUID]]:
    """The parameters of ``is_within``."""
    return {} if scope.everywhere else {"within": list(scope.depot_ids)}
