"""SQL scripts, cut into the single statements that the driver wants."""

from __future__ import annotations


def statements(script: str) -> list[str]:
    """Return the script's statements one by one; bodies in ``$$`` stay whole."""
    found: list[str] = []
    for number, part in enumerate(script.split("$$")):
        if number % 2:
            found[-1] += f"$${part}$$"
            continue
        pieces = part.split(";\n")
        if found:
            found[-1] += pieces.pop(0)
        found.extend(pieces)
    return [statement for statement in found if statement.strip()]
