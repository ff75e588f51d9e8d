"""Say which of an operator's settings an adapter cannot use."""

from __future__ import annotations

from collections.abc import Mapping


class SettingRefused(ValueError):
    """A value that the operator set cannot be used; an adapter's constructor raises it.

    The text says what was expected, and not the value: that is told by its key and its line.
    """

    def __init__(self, value: str, expected: str) -> None:
        """`value`: the setting, or what was made of it, such as a longer path of an address."""
        super().__init__(expected)
        self.value = value


def refused_keys(error: Exception, settings: Mapping[str, str]) -> list[str]:
    """The settings that an error is about; none: it is about all of them, or about another thing.

    An error about a file (OSError) names it.
    """
    match error:
        case SettingRefused(value=value):
            pass
        case OSError(filename=str(value)):
            pass
        case _:
            return []
    same = [key for key, given in settings.items() if given == value]
    return same or [key for key, given in settings.items() if given and value.startswith(given)]
