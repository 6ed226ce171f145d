"""People are who their provider says, and no name of theirs breaks a page, a log line or the journal."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from domain.access.people import Identity, is_program, read_identity, read_named
from domain.access.secrets import SecretKind, digest_of, make_secret
from domain.access.sessions import return_address
from domain.base.actor import LOCAL_ADMINISTRATOR
from runtime.settings import Settings
from store.access.people import find_people, find_person, keep_person

ISSUER = "https://id.example"


def identity(**claims: Any) -> Identity:
    return read_identity(ISSUER, {"sub": "248289761001"} | claims, "groups")


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Jane Doe", "email": "jane@x.example", "email_verified": True}, "Jane Doe <jane@x.example>"),
        ({"name": "Jane Doe", "email": "jane@x.example"}, "Jane Doe <248289761001>"),
        ({"email": "jane@x.example", "email_verified": "true"}, "jane@x.example <248289761001>"),
        ({"preferred_username": "jane"}, "jane <248289761001>"),
        ({}, "248289761001 <248289761001>"),
        ({"name": 7, "email": ["x"]}, "248289761001 <248289761001>"),
        ({"name": " \u200b\u2028 "}, "248289761001 <248289761001>"),
        # Two lines in a log, the other direction, a second name in brackets, and no end.
        ({"name": "Eve\r\n2026 info signed in"}, "Eve 2026 info signed in <248289761001>"),
        ({"name": "Eve\x1b[31m\x00\u202egnp"}, "Eve[31mgnp <248289761001>"),
        ({"name": "local-administrator"}, "local-administrator <248289761001>"),
        ({"name": "Eve <ada@x.example>"}, "Eve ada@x.example <248289761001>"),
        ({"sub": "<>"}, "Unnamed <<>>"),
        ({"name": "x" * 5000}, "x" * 100 + " <248289761001>"),
        ({"name": "Zoë \u0301e"}, "Zoë \u0301e <248289761001>"),
    ],
)  # fmt: skip
def test_an_actor_is_named_by_what_nobody_chooses(claims: dict[str, Any], name: str) -> None:
    assert identity(**claims).actor.name == name
    assert identity(**claims).actor != LOCAL_ADMINISTRATOR


@pytest.mark.parametrize("sub", [None, "", 7, "x" * 256, "a\nb", "ä", ["a"]])
def test_somebody_has_a_subject(sub: object) -> None:
    with pytest.raises(ValueError, match="names nobody"):
        identity(sub=sub)


def test_groups_are_texts() -> None:
    told = identity(groups=["a", "a", 7, "", " b", "c\n", None, "d" * 400, "e"])
    assert told.groups == ("a", "e")
    assert identity(groups="admin").groups == ()
    assert read_identity(ISSUER, {"sub": "x", "roles": ["y"]}, "roles").groups == ("y",)


def test_an_administrator_is_named_by_what_nobody_chooses() -> None:
    verified = identity(email="Ada@x.example", email_verified=True, groups=["ops"], name="root")
    for entry in ("email:ada@X.example", "group:ops", "sub:248289761001", " sub: 248289761001 "):
        assert verified.is_named([read_named(entry)]), entry
    others = ("sub:root", "sub:ops", "group:ada@x.example", "email:ops", "sub:ada@x.example", "group:248289761001")
    assert not verified.is_named([read_named(each) for each in others])
    assert not identity(email="ada@x.example").is_named(["email:ada@x.example"])
    # A group or a `sub` that is named as another's address is.
    assert not identity(groups=["ada@x.example"], sub="ada@x.example").is_named(["email:ada@x.example"])


@pytest.mark.parametrize("entry", ["ada@x.example", "248289761001", "user:ada", "sub:", "group: ", "", ":ada", "Sub:x"])
def test_who_is_administrator_is_said_without_doubt(entry: str) -> None:
    with pytest.raises(ValueError, match="says neither `sub:SUB`, `email:ADDRESS` nor `group:NAME`"):
        read_named(entry)
    with pytest.raises(ValidationError, match="says neither"):
        Settings(administrators=[entry])


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        ({"sub": "job"}, True),
        ({"sub": "0f3e", "preferred_username": "service-account-job"}, True),
        ({"sub": "job@clients", "gty": "client-credentials"}, True),
        ({"sub": "0f3e"}, False),
        # Another client's account is a person to this one, and so is who has a name like it.
        ({"sub": "0f3e", "preferred_username": "service-account-other"}, False),
        ({"sub": "0f3e", "preferred_username": "ada", "gty": "password"}, False),
    ],
)
def test_a_program_is_told_from_a_person(claims: dict[str, Any], expected: bool) -> None:
    assert is_program({"client_id": "job"} | claims) is expected


@pytest.mark.parametrize("address", ["/", "/depots/1?x=%2F%2Fevil.example", "/?q=a+b", "/depots/new"])
def test_one_goes_on_where_one_wanted_to(address: str) -> None:
    assert return_address(address) == address


def test_a_secret_has_256_bits_and_is_stored_as_its_digest() -> None:
    secret = make_secret(SecretKind.SESSION, bytes(range(32)))
    assert secret == "mgs_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
    assert len(digest_of(secret)) == 32
    with pytest.raises(ValueError, match="256"):
        make_secret(SecretKind.SESSION, b"short")


async def add_many(connection: AsyncConnection) -> None:
    """Have so many people signed in that looking through all of them takes longer than an index does."""
    await connection.execute(
        text(
            "INSERT INTO people (issuer, sub, name, email, email_verified, groups) "
            "SELECT 'x', n::text, 'x', n || '@x.example', n % 10 > 0, '{}' FROM generate_series(1, 5000) AS n"
        )
    )
    await connection.execute(text("ANALYZE people"))


async def test_a_person_is_looked_up_by_an_index(engine: AsyncEngine) -> None:
    odd, usual = read_identity(f"{ISSUER}/#a", {"sub": "b#c"}, "groups"), identity()
    async with engine.begin() as connection:
        kept = {each.subject: await keep_person(connection, each) for each in (odd, usual)}
        assert {subject: await find_person(connection, subject) for subject in kept} == kept
        assert await find_person(connection, f"{ISSUER}#another") is None
        await add_many(connection)
        await find_person(connection, usual.subject)
        used = await connection.execute(text("SELECT pg_stat_get_xact_numscans('people_called'::regclass)"))
        assert used.scalar_one() > 0


async def test_who_is_granted_something_is_found_by_an_index(engine: AsyncEngine) -> None:
    ada = identity(email="Ada@x.example", email_verified=True)
    looked_through = text("SELECT pg_stat_get_xact_numscans('people'::regclass)")
    async with engine.begin() as connection:
        await keep_person(connection, ada)
        await add_many(connection)
        before = (await connection.execute(looked_through)).scalar_one()
        for sought in ("ada@X.example", ada.sub, ada.subject):
            found = await find_people(connection, sought, 2, exactly=True)
            assert [each.subject for each in found] == [ada.subject]
        # An address that was not verified finds nobody.
        assert await find_people(connection, "10@x.example", 2, exactly=True) == []
        assert (await connection.execute(looked_through)).scalar_one() == before
