"""What the application's role may not do, whoever takes it over."""

from __future__ import annotations

from collections.abc import Iterator

import asyncpg
import pytest
from sqlalchemy.engine import make_url

from store.migrate import upgrade
from tests.helpers.deployed import roles_and_databases


@pytest.fixture(scope="module")
def application_url(postgres_url: str) -> Iterator[str]:
    """The deployment's database for the application's role, migrated by its owner."""
    with roles_and_databases(postgres_url):
        url = make_url(postgres_url).set(database="manage")
        owner, application = (
            url.set(username=name).render_as_string(hide_password=False) for name in ("manage_owner", "manage_app")
        )
        upgrade(owner)
        yield application


REFUSED = (
    "UPDATE alembic_version SET version_num = '0001'",
    "DELETE FROM alembic_version",
    "INSERT INTO alembic_version VALUES ('9999')",
    "UPDATE changes SET actor = 'nobody'",
    "DELETE FROM changes",
    "TRUNCATE changes",
    "ALTER TABLE changes DISABLE TRIGGER ALL",
    "ALTER TABLE changes OWNER TO manage_app",
    "UPDATE retention_floors SET months = 0",
    "DELETE FROM retention_floors",
    "INSERT INTO retention_floors SELECT * FROM retention_floors",
    "TRUNCATE outbox",
    "CREATE TABLE mine ()",
    "CREATE SCHEMA mine",
    "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "CREATE EXTENSION pg_stat_statements",
    "CREATE ROLE mine",
    "CREATE DATABASE mine",
    "ALTER TABLE depots ADD mine text",
    "DROP TABLE depots",
    "CREATE TRIGGER mine BEFORE INSERT ON changes EXECUTE FUNCTION suppress_redundant_updates_trigger()",
    "SET ROLE manage_owner",
    "SET ROLE postgres",
    "SET SESSION AUTHORIZATION manage_owner",
    "SET session_replication_role = replica",
    "ALTER ROLE manage_app SUPERUSER",
    "ALTER ROLE manage_owner PASSWORD 'mine'",
    "GRANT manage_owner TO manage_app",
    "ALTER DATABASE manage SET search_path = mine",
    "COPY depots TO PROGRAM 'cat'",
    "COPY depots FROM '/etc/passwd'",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT passwd FROM pg_shadow",
    "ALTER SYSTEM SET log_statement = 'all'",
)
"""By what a role lacks rather than by a trigger."""


@pytest.mark.parametrize("statement", REFUSED)
async def test_the_application_may_not(application_url: str, statement: str) -> None:
    connection = await asyncpg.connect(application_url)
    try:
        with pytest.raises(
            (asyncpg.InsufficientPrivilegeError, asyncpg.InvalidParameterValueError, asyncpg.InvalidGrantOperationError)
        ):
            await connection.execute(statement)
    finally:
        await connection.close()


async def test_no_month_of_journal_or_history_is_changed_by_its_own_name(application_url: str) -> None:
    connection = await asyncpg.connect(application_url)
    try:
        months = await connection.fetch(
            """
            SELECT c.oid::regclass::text AS name, pg_get_userbyid(c.relowner) AS owner
            FROM pg_class AS c JOIN pg_inherits AS i ON i.inhrelid = c.oid WHERE c.relkind = 'r'
            """
        )
        assert {"changes"} <= {name.split("_2")[0].split(".")[-1] for name, _ in months}
        assert {owner for _, owner in months} == {"manage_owner"}
        # Readings are made from the packets, and rollups from readings and events; all of these may be made again.
        made = ("device_readings_", "reading_minutes_", "reading_quarters_", "reading_days_", "band_")
        kept = [name for name, _ in months if not name.startswith(made)]
        allowed = [
            f"{words} {name}"
            for name in kept
            for words in ("UPDATE", "DELETE", "TRUNCATE")
            if await connection.fetchval("SELECT has_table_privilege($1, $2)", name, words)
        ]
        assert allowed == []
    finally:
        await connection.close()


async def test_nothing_is_the_applications_own(application_url: str) -> None:
    connection = await asyncpg.connect(application_url)
    try:
        owned = await connection.fetch("SELECT relname FROM pg_class WHERE relowner = 'manage_app'::regrole")
        assert owned == []
        assert not await connection.fetchval("SELECT has_schema_privilege('public', 'CREATE')")
        member = "SELECT count(*) FROM pg_auth_members WHERE member = 'manage_app'::regrole"
        assert await connection.fetchval(member) == 0
        # A sequence can be read and moved on, and never set back.
        sequences = await connection.fetch(
            "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'S' AND relnamespace = 'public'::regnamespace"
        )
        for (name,) in sequences:
            assert not await connection.fetchval("SELECT has_sequence_privilege($1, 'UPDATE')", name), name
    finally:
        await connection.close()


async def test_functions_with_the_owners_rights_look_nothing_up_elsewhere(application_url: str) -> None:
    """Otherwise a temporary table of the application's would stand in for one of the owner's."""
    connection = await asyncpg.connect(application_url)
    try:
        found = await connection.fetch(
            "SELECT oid::regprocedure::text, proconfig FROM pg_proc "
            "WHERE prosecdef AND pronamespace = 'public'::regnamespace"
        )
        assert found
        for name, settings in found:
            assert settings == ["search_path=public, pg_temp"], name
    finally:
        await connection.close()
