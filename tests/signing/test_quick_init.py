"""A value that is made quickly is the value that `dataclass` makes."""

from __future__ import annotations

import inspect
import pickle
from dataclasses import FrozenInstanceError, dataclass, field, fields, replace

import pytest

from signing.quick_init import quick_init


@dataclass(frozen=True, slots=True)
class Plain:
    first: int
    hidden: bytes = field(repr=False)
    last: tuple[int, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True)
class Quick:
    first: int
    hidden: bytes = field(repr=False)
    last: tuple[int, ...] = ()


@quick_init
@dataclass(frozen=True, slots=True)
class Checked:
    positive: int

    def __post_init__(self) -> None:
        if self.positive <= 0:
            raise ValueError("it must be positive")


def test_it_is_made_of_the_same_arguments() -> None:
    for plain, quick in (
        (Plain(1, b"2"), Quick(1, b"2")),
        (Plain(1, b"2", (3,)), Quick(1, b"2", (3,))),
        (Plain(hidden=b"2", first=1, last=(3,)), Quick(hidden=b"2", first=1, last=(3,))),
    ):
        names = [one.name for one in fields(plain)]
        assert [getattr(quick, name) for name in names] == [getattr(plain, name) for name in names]
        assert repr(quick) == repr(plain).replace("Plain", "Quick")
        assert hash(quick) == hash(plain)
    assert str(inspect.signature(Quick)) == str(inspect.signature(Plain))


@pytest.mark.parametrize("arguments", [(), (1,), (1, b"", (), 4)])
def test_wrong_arguments_are_refused(arguments: tuple[object, ...]) -> None:
    with pytest.raises(TypeError):
        Quick(*arguments)  # type: ignore[arg-type]


def test_nobody_changes_it() -> None:
    value = Quick(1, b"2")

    with pytest.raises(FrozenInstanceError):
        value.first = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del value.first
    assert not hasattr(value, "__dict__")


def test_it_is_copied_compared_and_kept() -> None:
    value = Quick(1, b"2")

    assert replace(value, first=3) == Quick(3, b"2")
    assert value != Quick(1, b"3")
    assert pickle.loads(pickle.dumps(value)) == value


def test_what_a_value_checks_of_itself_is_checked() -> None:
    assert Checked(1).positive == 1
    with pytest.raises(ValueError, match="positive"):
        Checked(0)
    with pytest.raises(ValueError, match="positive"):
        replace(Checked(1), positive=0)


def test_other_fields_than_plain_ones_are_not_known() -> None:
    @dataclass(frozen=True, slots=True)
    class Made:
        parts: list[int] = field(default_factory=list)

    @dataclass(frozen=True, slots=True)
    class Later:
        told: int = field(init=False)

    @dataclass(frozen=True, slots=True, kw_only=True)
    class Named:
        told: int

    for value, name in ((Made, "parts"), (Later, "told"), (Named, "told")):
        with pytest.raises(TypeError, match=name):
            quick_init(value)
