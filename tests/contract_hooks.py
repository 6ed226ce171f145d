"""What the contract test's generator has to know: how lines of JSON are sent. Loaded by it, not by pytest."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def ndjson(_: schemathesis.SerializationContext, value: Any) -> bytes:
    """A text goes as it is, whatever it holds; anything else is no text, and goes as its words."""
    return (value if isinstance(value, str) else repr(value)).encode("utf-8", "surrogatepass")
