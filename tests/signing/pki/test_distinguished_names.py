"""A distinguished name is the same name however a stack spells it."""

from __future__ import annotations

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from signing.errors import SignatureMalformedError
from signing.pki.distinguished_names import NAME_CHARACTERS_MAX, name_key, parse_name

NAME = x509.Name(
    [
        x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
        x509.NameAttribute(NameOID.STATE_OR_PROVINCE_NAME, "Hà Nội"),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, 'Ban "Cơ yếu", Chính phủ'),
        x509.NameAttribute(NameOID.ORGANIZATION_IDENTIFIER, "VN/GOV/G01"),
        x509.NameAttribute(NameOID.EMAIL_ADDRESS, "ca@example.vn"),
        x509.NameAttribute(NameOID.COMMON_NAME, "CA + 1"),
    ]
)
SPELLINGS = {
    "RFC 4514": NAME.rfc4514_string(),
    "RFC 4514 with short names": (
        r"CN=CA \+ 1,E=ca@example.vn,organizationIdentifier=VN/GOV/G01,"
        r"O=Ban \"Cơ yếu\"\, Chính phủ,ST=Hà Nội,C=VN"
    ),
    "RFC 2253 of Java": (
        r"CN=CA \+ 1,1.2.840.113549.1.9.1=#160d6361406578616d706c652e766e,"
        r"2.5.4.97=#0c0a564e2f474f562f473031,"
        r"O=Ban \"C\C6\A1 y\E1\BA\BFu\"\, Ch\C3\ADnh ph\E1\BB\A7,ST=H\C3\A0 N\E1\BB\99i,C=VN"
    ),
    "toString of Java": (
        r"CN=CA + 1, EMAILADDRESS=ca@example.vn, OID.2.5.4.97=VN/GOV/G01, "
        r'O="Ban \"Cơ yếu\", Chính phủ", ST=Hà Nội, C=VN'
    ).replace("CA + 1", '"CA + 1"'),
    ".NET": (
        r'CN="CA + 1", E=ca@example.vn, OID.2.5.4.97=VN/GOV/G01, '
        r'O="Ban \"Cơ yếu\", Chính phủ", S=Hà Nội, C=VN'
    ),
    "from the other end": (
        r"C=VN, ST=Hà Nội, O=Ban \"Cơ yếu\"\, Chính phủ, 2.5.4.97=VN/GOV/G01, "
        r"emailAddress=ca@example.vn, CN=CA \+ 1"
    ),
    "other case, blanks and semicolons": (
        r"cn=ca \+  1 ; e = CA@example.vn;organizationidentifier=vn/gov/g01;"
        r"o=ban \"Cơ yếu\"\, chính phủ;st=Hà  nội;c=vn"
    ),
}


@pytest.mark.parametrize("stack", SPELLINGS)
def test_every_spelling_is_one_name(stack: str) -> None:
    assert name_key(NAME) == parse_name(SPELLINGS[stack])


@pytest.mark.parametrize(
    "other",
    [
        "CN=a",
        "CN=a,O=c",
        "CN=a,OU=b",
        "CN=a+O=b",
        "CN=a,O=b,C=VN",
        r"CN=a\,O\=b",
        "CN=#0500,O=b",
    ],
)
def test_another_name_is_another_name(other: str) -> None:
    assert parse_name("CN=a,O=b") != parse_name(other)


@pytest.mark.parametrize("text", ["CN=a,O=b", "O=b,CN=a"])
def test_a_key_starts_at_the_end_that_sorts_first(text: str) -> None:
    assert parse_name(text) == ((("2.5.4.10", "b"),), (("2.5.4.3", "a"),))


def test_attributes_of_one_part_have_no_order() -> None:
    assert parse_name("CN=a+UID=1,O=b") == parse_name("UID=1+CN=a,O=b")


def test_a_value_in_hexadecimal_that_is_no_text_is_compared_as_it_stands() -> None:
    assert parse_name("2.5.4.45=#03020780") == parse_name("2.5.4.45=03020780")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "CN",
        "=a",
        "CN=a,",
        "CN=a,,O=b",
        'CN="a',
        'CN="a"b',
        "CN=#zz\\",
        "CN=#0c",
        "CN=a" + "+CN=a" * 64,
        "CN=" + "a" * (NAME_CHARACTERS_MAX - 2),
        "CN=#0c01610500",
    ],
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(SignatureMalformedError):
        parse_name(text)


def test_bytes_in_a_certificate_s_name_are_compared_as_bytes() -> None:
    bits = x509.NameAttribute(
        NameOID.X500_UNIQUE_IDENTIFIER, b"\x03\x02\x07\x80", x509.name._ASN1Type.BitString
    )

    assert name_key(x509.Name([bits])) == parse_name("2.5.4.45=03020780")


@given(st.text(max_size=200))
def test_any_text_is_a_name_or_refused(text: str) -> None:
    try:
        parse_name(text)
    except SignatureMalformedError:
        return


@given(
    st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=20),
        min_size=1,
        max_size=5,
    )
)
def test_what_cryptography_writes_is_read_back(values: list[str]) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, value) for value in values])

    assert name_key(name) == parse_name(name.rfc4514_string())


@pytest.mark.parametrize(
    "text",
    [
        "CN=" + " " * 4_080 + '"',
        "CN" + " " * 4_080,
        "CN=" + " a" * 2_040 + '"',
        "1." * 2_040,
        'CN="' + "\\a" * 2_000,
        ",".join(["CN=a"] * 60) + " " * 3_000 + '"',
    ],
    ids=["spaces", "spaces before", "words", "numbers", "escapes", "many parts"],
)
def test_a_name_that_is_hard_to_read_is_refused_at_once(text: str) -> None:
    with pytest.raises(SignatureMalformedError):
        parse_name(text)


def test_the_longest_name_is_read() -> None:
    value = "a" * (4096 - 3)

    assert parse_name(f"CN={value}") == parse_name(f"cn={value}")
    with pytest.raises(SignatureMalformedError, match="a name of 4097 characters"):
        parse_name(f"CN={value}a")


@pytest.mark.parametrize("between", [",", "+"])
def test_the_name_of_most_attributes_is_read(between: str) -> None:
    attributes = [f"OU={number:02}" for number in range(64)]

    assert sum(map(len, parse_name(between.join(attributes)))) == 64
    with pytest.raises(SignatureMalformedError, match="the form of RFC 4514"):
        parse_name(between.join([*attributes, "OU=64"]))


KEYWORDS = {
    "2.5.4.3": ["CN"],
    "2.5.4.4": ["SN", "SURNAME"],
    "2.5.4.5": ["SERIALNUMBER"],
    "2.5.4.6": ["C"],
    "2.5.4.7": ["L"],
    "2.5.4.8": ["ST", "S"],
    "2.5.4.9": ["STREET"],
    "2.5.4.10": ["O"],
    "2.5.4.11": ["OU"],
    "2.5.4.12": ["T", "TITLE"],
    "2.5.4.15": ["BUSINESSCATEGORY"],
    "2.5.4.17": ["POSTALCODE"],
    "2.5.4.41": ["NAME"],
    "2.5.4.42": ["G", "GN", "GIVENNAME"],
    "2.5.4.43": ["INITIALS"],
    "2.5.4.46": ["DNQ", "DNQUALIFIER"],
    "2.5.4.65": ["PSEUDONYM"],
    "2.5.4.97": ["ORGANIZATIONIDENTIFIER"],
    "0.9.2342.19200300.100.1.1": ["UID"],
    "0.9.2342.19200300.100.1.25": ["DC"],
    "1.2.840.113549.1.9.1": ["E", "EMAIL", "EMAILADDRESS"],
}
"""RFC 4519 §2, and what Java, .NET and OpenSSL write besides."""


@pytest.mark.parametrize("oid", KEYWORDS)
def test_every_keyword_of_an_attribute_is_its_object_identifier(oid: str) -> None:
    names = [oid, f"OID.{oid}", *KEYWORDS[oid], *map(str.lower, KEYWORDS[oid])]

    assert [parse_name(f"{name}=a") for name in names] == [(((oid, "a"),),)] * len(names)
