"""A value that does not show itself."""

import hmac

from adan_core.security import redaction


class Secret:
    """A secret text; it prints, formats and logs as ``Secret(hidden)`` and cannot be pickled.

    Making one registers its value with the redaction, so that a copy that slips into a message is
    taken out there too.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value
        redaction.register(value)

    def reveal(self) -> str:
        """Return the value itself; keep it in a small scope."""
        return self._value

    def __len__(self) -> int:
        return len(self._value)

    def __repr__(self) -> str:
        return "Secret(hidden)"

    __str__ = __repr__

    def __format__(self, specification: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._value.encode(), other._value.encode())

    __hash__ = None  # type: ignore[assignment]  # a hash would be a trace of the value

    def __reduce__(self) -> str:
        raise TypeError("a secret is not pickled or copied")
