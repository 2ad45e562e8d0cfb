"""What may be missing in general, and is there where a test looks at it."""

from typing import TypeVar

Value = TypeVar("Value")


def sure(value: Value | None) -> Value:
    """``value``; where it is missing the test fails."""
    assert value is not None
    return value
