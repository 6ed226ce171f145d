"""What a depot, a circuit, a device or a power source may be called."""

from __future__ import annotations

import unicodedata

from domain.problems import Problem, ProblemCode

MAX_NAME_LENGTH = 200
"""Characters, after surrounding white space is removed."""


def clean_name(raw: str, *, field: str = "name") -> str:
    """Return ``raw`` without surrounding white space.

    Raises:
        Problem: ``INVALID_NAME`` for a blank or overlong name, or one with a control character or an
            unpaired surrogate (neither can be shown, and PostgreSQL stores no NUL).

    """
    name = raw.strip()
    if not name:
        raise Problem(ProblemCode.INVALID_NAME, "A name must not be blank.", field)
    if len(name) > MAX_NAME_LENGTH:
        raise Problem(
            ProblemCode.INVALID_NAME,
            f"A name has at most {MAX_NAME_LENGTH} characters; this one has {len(name)}.",
            field,
        )
    # Most names are printable to the last character, which is quickly said.
    if not name.isprintable() and any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        raise Problem(ProblemCode.INVALID_NAME, "A name must not hold control characters.", field)
    return name
