"""A certificate that a message only names is found by what it is, whatever else is known."""

from __future__ import annotations

from datetime import timedelta
from itertools import permutations

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from signing.errors import CertificateRejectedError
from signing.pki.known_certificates import (
    CERTIFICATE_BYTES_MAX,
    KnownCertificates,
    Naming,
    leaf_of,
    read_named,
)
from tests.certificates import AUTHORITY, DAY, Issuer, make_certificate, make_root
from tests.nation import NOW, der

SECOND = timedelta(seconds=1)
ROOT = make_root("root", NOW)
KEY = ec.generate_private_key(ec.SECP256R1())
BETWEEN = Issuer(
    KEY, make_certificate(ROOT, KEY.public_key(), NOW, name="between", usage=AUTHORITY)
)
LEAF = der(make_certificate(BETWEEN, ec.generate_private_key(ec.SECP256R1()).public_key(), NOW))


def key_identifier(certificate: bytes) -> tuple[Naming, object]:
    (found,) = [name for name in read_named(certificate).names if name[0] is Naming.KEY_IDENTIFIER]
    return found


@pytest.mark.parametrize(
    ("now", "holds"),
    [
        (NOW - DAY - SECOND, False),
        (NOW - DAY, True),
        (NOW, True),
        (NOW + 30 * DAY, True),
        (NOW + 30 * DAY + SECOND, False),
    ],
)
def test_a_certificate_holds_from_its_first_to_its_last_second(now: object, holds: bool) -> None:
    assert read_named(LEAF).holds(now) is holds  # type: ignore[arg-type]


def test_what_is_longer_than_a_certificate_is_not_looked_at() -> None:
    with pytest.raises(CertificateRejectedError, match="16385 bytes is not looked at"):
        read_named(bytes(CERTIFICATE_BYTES_MAX + 1))
    with pytest.raises(CertificateRejectedError, match="not an X"):
        read_named(bytes(CERTIFICATE_BYTES_MAX))


def test_of_a_path_the_one_that_issued_none_of_them_signs() -> None:
    path = [LEAF, der(BETWEEN.certificate), der(ROOT.certificate)]

    assert {leaf_of(order) for order in permutations(path)} == {LEAF}


def test_one_that_issued_itself_is_the_signer_where_it_stands_alone() -> None:
    root = der(ROOT.certificate)

    assert leaf_of([root]) == root
    assert leaf_of([root, root]) == root


def test_one_key_under_two_names_is_nobody_s() -> None:
    one, other = (der(make_certificate(ROOT, KEY.public_key(), NOW, name=name)) for name in "ab")
    known = KnownCertificates([one, other])

    with pytest.raises(CertificateRejectedError, match="2 known certificates of different keys"):
        known.find([key_identifier(one)], NOW)  # type: ignore[list-item]


def test_of_two_that_are_alike_the_same_is_found_in_any_order() -> None:
    two = [der(make_certificate(ROOT, KEY.public_key(), NOW)) for _ in range(2)]
    name = key_identifier(two[0])

    found = {KnownCertificates(order).find([name], NOW) for order in (two, two[::-1])}  # type: ignore[list-item]

    assert found == {max(two)}


@pytest.mark.parametrize("later", [False, True])
def test_of_several_for_one_key_a_valid_one_is_found_and_else_the_newest(later: bool) -> None:
    old, new = (
        der(make_certificate(ROOT, KEY.public_key(), NOW, valid_from=start, valid_until=end))
        for start, end in ((-3 * DAY, DAY), (2 * DAY, 3 * DAY))
    )
    known = KnownCertificates([old, new])
    moment = NOW + 10 * DAY if later else NOW

    assert known.find([key_identifier(old)], moment) == (new if later else old)  # type: ignore[list-item]
