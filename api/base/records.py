"""Records of the store as documents of the API, where a document has more than its record."""

from __future__ import annotations


class Extended:
    """A record with further fields, for ``Depot.model_validate(Extended(record, …), from_attributes=True)``.

    What is given goes before the record's field of the same name.
    """

    __slots__ = ("_given", "_record")

    def __init__(self, record: object, **given: object) -> None:
        """Add ``given`` to ``record``."""
        self._record = record
        self._given = given

    def __getattr__(self, name: str) -> object:
        """Return what was given under this name, or what the record has there."""
        given = self._given
        return given[name] if name in given else getattr(self._record, name)
