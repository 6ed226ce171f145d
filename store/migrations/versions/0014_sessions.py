"""People who sign in at an OpenID provider, their sessions, and the sign-ins that are under way."""

from __future__ import annotations

from alembic import op

from store.base.sql_script import statements

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_UP = """
CREATE TABLE people (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    issuer text NOT NULL,
    sub text NOT NULL CONSTRAINT people_sub CHECK (btrim(sub) <> '' AND char_length(sub) <= 255),
    name text NOT NULL CONSTRAINT people_name CHECK (btrim(name) <> '' AND char_length(name) <= 255),
    email text,
    email_verified boolean NOT NULL,
    groups text[] NOT NULL,
    first_signed_in_at timestamptz NOT NULL DEFAULT now(),
    signed_in_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT people_subject UNIQUE (issuer, sub)
);

CREATE TABLE sign_ins (
    state_digest bytea PRIMARY KEY,
    browser_digest bytea NOT NULL,
    nonce text NOT NULL,
    verifier text NOT NULL,
    return_to text NOT NULL,
    begun_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX sign_ins_begun_at ON sign_ins (begun_at);

CREATE TABLE sessions (
    id uuid PRIMARY KEY DEFAULT uuidv7(),
    digest bytea NOT NULL CONSTRAINT sessions_digest UNIQUE,
    person_id uuid NOT NULL CONSTRAINT sessions_person REFERENCES people (id) ON DELETE CASCADE,
    csrf_token text NOT NULL,
    provider_sid text,
    id_token text NOT NULL,
    opened_at timestamptz NOT NULL DEFAULT now(),
    used_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL
);
CREATE INDEX sessions_person_id ON sessions (person_id);

-- What is open for a session, such as an event stream, asks again whether it may be.
CREATE TRIGGER sessions_ended AFTER DELETE ON sessions
    FOR EACH STATEMENT EXECUTE FUNCTION access_changed();
"""

_DOWN = """
DROP TABLE sessions;
DROP TABLE sign_ins;
DROP TABLE people;
"""


def upgrade() -> None:
    for statement in statements(_UP):
        op.execute(statement)


def downgrade() -> None:
    for statement in statements(_DOWN):
        op.execute(statement)
