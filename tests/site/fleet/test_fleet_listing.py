"""Depots that are stored together are listed as if each had been stored alone."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

# Names that lower() lengthens, with accents, beyond the first plane, of one character; what depots have in common and
# what they have not, nothing among it.
_NAMES = ["A", "Čakovec Depot 7", "İSTANBUL", "Zürich 🚌 Süd", "ab\u0301", "Arrow Road"]
_PLACES = [
    ("UTC", None, []),
    ("Europe/Berlin", None, []),
    ("Europe/Berlin", "Süd", []),
    ("Europe/Berlin", "süd", ["night", "Überland"]),
    ("Europe/Berlin", "süd", ["Überland", "night"]),
    ("UTC", None, ["night"]),
]
_STORE = text("""
    INSERT INTO depots (name, timezone, region, tags, created_by, updated_by)
    SELECT x ->> 'name', x ->> 'timezone', x ->> 'region', ARRAY(SELECT jsonb_array_elements_text(x -> 'tags')),
           't', 't'
    FROM jsonb_array_elements(CAST(:rows AS jsonb)) AS given (x)
""")
_LISTED = text("""
    SELECT name, timezone, region, tags, grams, words, labels, sort_key FROM depot_list
    ORDER BY name, labels, tags, region
""")


@pytest.mark.parametrize("name", [*_NAMES, "", "\x1f", "aaaa"])
async def test_the_grams_of_a_name_are_its_characters_and_pairs(engine: AsyncEngine, name: str) -> None:
    async with engine.connect() as connection:
        low = (await connection.execute(text("SELECT lower(:name)"), {"name": name})).scalar_one()
        found = (await connection.execute(text("SELECT name_grams(:name)"), {"name": name})).scalar_one()
    assert found == sorted({*low, *map("".join, pairwise(low))})


async def test_depots_of_one_statement_are_listed_like_those_of_many(engine: AsyncEngine) -> None:
    rows = [
        {"name": name, "timezone": timezone, "region": region, "tags": tags}
        for name in _NAMES
        for timezone, region, tags in _PLACES
    ]
    async with engine.begin() as connection:
        for row in rows:
            await connection.execute(_STORE, {"rows": json.dumps([row])})
        alone = (await connection.execute(_LISTED)).all()
        await connection.execute(text("DELETE FROM depots"))
        await connection.execute(_STORE, {"rows": json.dumps(rows)})
        together = (await connection.execute(_LISTED)).all()
        folded = await connection.execute(
            text("""
                SELECT count(*) FROM depots AS d JOIN depot_list AS x ON x.depot_id = d.id
                WHERE x.labels = fold_labels(ARRAY[d.timezone, d.region] || d.tags)
                  AND x.grams = depot_grams(d.name, x.labels)
            """)
        )
        assert folded.scalar_one() == len(rows)
    assert together == alone
    assert len(alone) == len(rows)
