"""People, as their OpenID provider tells of them."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, cast

from domain.base.actor import Actor
from domain.base.texts import fault_of, is_blank, normal

MAX_NAME = 100
"""Characters of a person's name; more is cut off."""
MAX_SUB_LENGTH = 255
"""Characters that OpenID Connect allows."""
MAX_STORED_NAME_LENGTH = 255
"""Characters of a name in the database: more than ``MAX_NAME``, so that the limit can grow without a migration."""
_MAX_EMAIL = 254
_MAX_GROUPS = 500
_MAX_GROUP = 300
_FORMS = ("sub", "email", "group")
_CLIENT_CREDENTIALS = ("client-credentials", "client_credentials")


@dataclass(frozen=True)
class Identity:
    """Who somebody is by the word of a provider."""

    issuer: str
    sub: str
    """What the issuer calls this person for ever."""
    name: str
    """For people to read: the person may have chosen it."""
    email: str | None
    email_verified: bool
    groups: tuple[str, ...]

    @property
    def subject(self) -> str:
        """What grants refer to."""
        return f"{self.issuer}#{self.sub}"

    @property
    def actor(self) -> Actor:
        """The name that is stored with what the person does.

        It ends with what nobody can choose: the verified address or, without one, the ``sub``. So a person whose name
        is another's is told apart.
        """
        known = self.email if self.email is not None and self.email_verified else self.sub
        return Actor(f"{self.name} <{known}>")

    def is_named(self, administrators: Collection[str]) -> bool:
        """Whether one of these entries, as ``read_named`` reads them, means the person."""
        names = {f"sub:{self.sub}", *(f"group:{group}" for group in self.groups)}
        if self.email is not None and self.email_verified:
            names.add(f"email:{self.email.lower()}")
        return not names.isdisjoint(administrators)


def read_named(entry: str) -> str:
    """Read an entry that names people: ``sub:SUB``, ``email:ADDRESS`` (a verified one) or ``group:NAME``.

    Raises:
        ValueError: it does not say which of these it is.

    """
    form, separator, name = entry.strip().partition(":")
    if not separator or form not in _FORMS or not name.strip():
        raise ValueError(f"{entry!r} says neither `sub:SUB`, `email:ADDRESS` nor `group:NAME`.")
    return f"{form}:{name.strip().lower() if form == 'email' else name.strip()}"


def is_program(claims: Mapping[str, Any]) -> bool:
    """Whether an access token is a program's own, by client credentials, and no person's.

    RFC 9068 has the client's id as its ``sub`` then. Others have an account of their own for the client, and say so:
    Keycloak by a user name that begins with ``service-account-``, Auth0 by ``gty``.
    """
    client_id = claims.get("client_id")
    return (
        claims.get("sub") == client_id
        or claims.get("gty") in _CLIENT_CREDENTIALS
        or claims.get("preferred_username") == f"service-account-{client_id}".lower()
    )


def read_identity(issuer: str, claims: Mapping[str, Any], groups_claim: str) -> Identity:
    """Read a provider's claims. Whatever is not as it should be, but for the ``sub``, is left out.

    Raises:
        ValueError: the ``sub`` is none.

    """
    sub = claims.get("sub")
    if not isinstance(sub, str) or not 0 < len(sub) <= MAX_SUB_LENGTH or not (sub.isascii() and sub.isprintable()):
        raise ValueError("The provider names nobody: `sub` is a text of 1 to 255 printable ASCII characters.")
    email = _clean(claims.get("email"), _MAX_EMAIL)
    names = (claims.get("name"), claims.get("preferred_username"), email, sub)
    # Brackets set apart what nobody can choose.
    name = next((found for each in names if (found := _clean(each, MAX_NAME).translate(NO_BRACKETS).strip())), _UNNAMED)
    given = claims.get(groups_claim)
    groups = cast("list[Any]", given) if isinstance(given, list) else []
    clean = [each for each in groups[:_MAX_GROUPS] if isinstance(each, str) and each == _clean(each, _MAX_GROUP) != ""]
    return Identity(
        issuer=issuer,
        sub=sub,
        name=name,
        email=email or None,
        email_verified=claims.get("email_verified") is True,
        groups=tuple(dict.fromkeys(clean)),
    )


_UNNAMED = "Unnamed"
"""Somebody whose provider tells nothing but brackets."""
NO_BRACKETS = str.maketrans({"<": None, ">": None})


def _clean(given: object, most: int) -> str:
    """A text of one line in its one form, without what no text may hold; empty where nothing is left."""
    if not isinstance(given, str):
        return ""
    shown = "".join(
        " " if each.isspace() else each
        for each in given[: most * 4]
        if each.isspace() or unicodedata.category(each) not in ("Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp")
    )
    text = normal(" ".join(shown.split()))[:most].strip()
    return "" if is_blank(text) or fault_of(text) is not None else text
