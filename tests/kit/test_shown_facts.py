"""Facts of an answer are shown as its manifest says, whatever stands around them."""

from __future__ import annotations

import pytest

from bus.core.xml import parse_again
from bus.kit.shown_facts import ShownFact

ANSWER = parse_again(
    "<a:answer xmlns:a='urn:a'><a:person><a:name><a:family> Vũ </a:family><a:given>An</a:given>"
    "</a:name><a:sex>2</a:sex><a:born>19850110</a:born><a:year>1985</a:year></a:person>"
    "<a:person><a:name>Another</a:name></a:person></a:answer>".encode()
)


@pytest.mark.parametrize(
    ("fact", "expected"),
    [
        (ShownFact("Tên", "person/name"), "Vũ An"),
        (ShownFact("Tên", "name/given"), "An"),
        (ShownFact("Giới tính", "sex", {"1": "nam", "2": "nữ"}), "nữ"),
        (ShownFact("Giới tính", "sex", {"1": "nam"}), "2"),
        (ShownFact("Ngày sinh", "born", is_date=True), "10/01/1985"),
        (ShownFact("Ngày sinh", "year", is_date=True), "1985"),
        (ShownFact("Không có", "person/nothing"), ""),
    ],
)
def test_a_fact_is_shown_as_people_read_it(fact: ShownFact, expected: str) -> None:
    assert fact.text(ANSWER) == expected


def test_what_is_compared_is_what_stands_there() -> None:
    fact = ShownFact("Giới tính", "sex", {"2": "nữ"})

    assert (fact.raw(ANSWER), fact.text(ANSWER)) == ("2", "nữ")
