"""What the list of depots is searched by: words in any order, without accents, and ids.

A word is a part of the name, or the beginning of a word of the time zone, the region or a tag; or it is the whole id of
the depot or of one of its gateways or devices, or a device's sensor id. No character of it is a wildcard.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

MOST_BY_ID = 1_000
"""Depots that one sensor id finds."""

_NO_IDS: Mapping[str, tuple[UUID, ...]] = {}


@dataclass(frozen=True)
class SearchWords:
    """What is searched for: a depot fits every word, or has an id that is the whole text."""

    whole: str = ""
    by_id: Mapping[str, tuple[UUID, ...]] = field(default_factory=lambda: _NO_IDS)
    """The depots that a word, or the whole text, is an id of."""

    @property
    def words(self) -> list[str]:
        """The words, each once. None at all: everything fits."""
        return list(dict.fromkeys(self.whole.split()))

    def condition(self, name: str, labels: str, depot_id: str, grams: str | None = None) -> str:
        """The condition on a row whose columns or expressions these are: the folded name, the folded labels, the id.

        With ``grams``, the index of these is looked into first.
        """

        def fits(place: int, word: str) -> str:
            folded = f"fold(:word_{place})"
            found = f"({name} LIKE part_pattern({folded}) OR {labels} LIKE part_pattern(chr(31) || {folded}))"
            return f"({found} OR {self._is_of(word, depot_id)})" if word in self.by_id else found

        found = [fits(place, word) for place, word in enumerate(self.words)]
        # One look into the index, which begins with the rarest of them.
        looked_up = [f"search_grams(fold(:word_{n}))" for n, word in enumerate(self.words) if word not in self.by_id]
        if grams is not None and looked_up:
            found = [f"{grams} @> ({' || '.join(looked_up)})", *found]
        all_of_them = " AND ".join(found) or "true"
        if self.whole in self.by_id and len(self.words) > 1:
            return f"(({all_of_them}) OR {self._is_of(self.whole, depot_id)})"
        return all_of_them

    def _is_of(self, text_of_id: str, depot_id: str) -> str:
        return f"{depot_id} = ANY (CAST(:ids_{list(self.by_id).index(text_of_id)} AS uuid[]))"

    @property
    def parameters(self) -> dict[str, Any]:
        """What the condition is given."""
        ids = {f"ids_{place}": list(found) for place, found in enumerate(self.by_id.values())}
        return {f"word_{place}": word for place, word in enumerate(self.words)} | ids


_OF_SENSORS = text("""
    SELECT w.word, f.depot_id FROM unnest(CAST(:texts AS text[])) AS w (word)
    CROSS JOIN LATERAL (
        SELECT DISTINCT depot_id FROM devices WHERE lower(sensor_id) = lower(w.word) ORDER BY depot_id LIMIT :most
    ) AS f
""")
_OF_IDS = text("""
    SELECT g.id, f.depot_id FROM unnest(CAST(:ids AS uuid[])) AS g (id)
    CROSS JOIN LATERAL (
        SELECT id AS depot_id FROM depots WHERE id = g.id
        UNION ALL SELECT depot_id FROM gateways WHERE id = g.id
        UNION ALL SELECT depot_id FROM devices WHERE id = g.id
    ) AS f
""")


async def read_search(connection: AsyncConnection, search: str | None) -> SearchWords:
    """Read a search: its words, with the depots that any of them, or all of it, is an id of."""
    searched = SearchWords((search or "").strip())
    if not searched.words:
        return SearchWords()
    texts = list(dict.fromkeys([searched.whole, *searched.words]))
    found: dict[str, set[UUID]] = defaultdict(set)
    given = {"texts": texts, "most": MOST_BY_ID}
    for word, depot_id in await connection.execute(_OF_SENSORS, given):
        found[word].add(depot_id)
    ids = {read: each for each in texts if (read := _read_id(each)) is not None}
    if ids:
        for wanted, depot_id in await connection.execute(_OF_IDS, {"ids": list(ids)}):
            found[ids[wanted]].add(depot_id)
    return SearchWords(searched.whole, {word: tuple(depot_ids) for word, depot_ids in found.items()})


def _read_id(given: str) -> UUID | None:
    try:
        return UUID(given)
    except ValueError:
        return None
