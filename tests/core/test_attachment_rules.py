"""Attachments pass as their service's rule says, and a Body names only what stands beside it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from bus.core.attachment_manifest import (
    ListedAttachment,
    ManifestInvalid,
    read_manifest,
    write_manifest,
)
from bus.core.attachments import (
    attachment_named,
    check_references,
    for_schema,
    included_ids,
    message_digest,
    parsing_with_attachments,
    require_allowed,
)
from bus.core.authorisation import authorise
from bus.core.errors import (
    AnswerInvalid,
    AttachmentNotAllowed,
    AttachmentReferenceInvalid,
    BusError,
    PayloadInvalid,
)
from bus.core.limits import Limits
from bus.core.registry import AttachmentRule
from bus.core.schema_kinds import Kind
from bus.core.validation import validate, validate_answer
from bus.core.verification import BODY, VerifiedEnvelope
from bus.core.xml import parse_xml
from bus.protocols.soap_xroad.parse import parse
from signing.attachments import Attachment
from signing.wss.canonical import canonicalise
from tests.attachments import attachment
from tests.nation import ANSWER, LOOKUP, NOW, SmallNation, payload, request

KINDS = {"b": frozenset({Kind.BYTES, Kind.REFERENCE})}
XOP = "http://www.w3.org/2004/08/xop/include"


def element(text: str) -> etree._Element:
    raw = f'<a xmlns:x="{XOP}">{text}</a>'.encode()
    return parse_xml(raw, bytes_max=len(raw))


# --- digest --------------------------------------------------------------------------------------


def test_a_message_without_attachments_is_named_by_its_bytes() -> None:
    assert message_digest(b"<soap/>", []) == hashlib.sha256(b"<soap/>").digest()


def test_every_fact_of_an_attachment_and_their_order_make_another_message() -> None:
    first, second = attachment(), attachment(b"2", "b")
    messages = [
        (b"<soap/>", []),
        (b"<other/>", [first]),
        (b"<soap/>", [first]),
        (b"<soap/>", [attachment(b"%PDG")]),
        (b"<soap/>", [attachment(content_id="c")]),
        (b"<soap/>", [attachment(media_type="text/plain")]),
        (b"<soap/>", [first, second]),
        (b"<soap/>", [second, first]),
    ]

    digests = {message_digest(raw, attachments) for raw, attachments in messages}

    assert len(digests) == len(messages)


def test_an_envelope_is_read_with_what_came_beside_it(nation: SmallNation) -> None:
    raw = request(nation)

    alone = parsing_with_attachments(parse, ())(raw, Limits())
    accompanied = parsing_with_attachments(parse, (attachment(),))(raw, Limits())

    assert alone == parse(raw, Limits()) or alone.digest == parse(raw, Limits()).digest
    assert accompanied.attachments == (attachment(),)
    assert accompanied.digest == message_digest(raw, [attachment()])


# --- the rule ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "sent"),
    [
        (None, [attachment()]),
        (AttachmentRule(1, 10), [attachment(), attachment(b"", "b")]),
        (AttachmentRule(1, 3), [attachment()]),
        (AttachmentRule(1, 10, frozenset({"text/plain"})), [attachment()]),
    ],
)
def test_what_a_rule_does_not_allow_is_refused(
    rule: AttachmentRule | None, sent: list[Attachment]
) -> None:
    with pytest.raises(AttachmentNotAllowed):
        require_allowed(rule, sent)


def test_what_a_rule_allows_passes() -> None:
    require_allowed(None, [])
    require_allowed(AttachmentRule(1, 4), [attachment()])
    typed = AttachmentRule(1, 4, frozenset({"application/pdf"}))
    require_allowed(typed, [attachment(media_type='Application/PDF; name="x"')])


# --- references ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "<b>cid:a@x</b>",
        "<b> CID:a%40x\n</b>",
        '<b><x:Include href="cid:a@x"/></b>',
        '<b>\n <x:Include href="cid:a%40x"> </x:Include>\n</b>',
        "<b>plain</b><!-- cid:no --><c/>",
        "<b>cid:no<c/></b>",
    ],
)
def test_a_reference_that_names_an_attachment_is_taken(text: str) -> None:
    check_references(element(text), [attachment()], KINDS)


@pytest.mark.parametrize(
    "text",
    [
        "<b>cid:b@x</b>",
        "<b>cid:</b>",
        '<b><x:Include href="cid:b@x"/></b>',
        "<b><x:Include/></b>",
        '<b><x:Include href="http://x/"/></b>',
        '<b><x:Include href="cid:a@x"/><c/></b>',
        '<b><x:Include href="cid:a@x"/><x:Include href="cid:a@x"/></b>',
        '<b>text<x:Include href="cid:a@x"/></b>',
        '<b><x:Include href="cid:a@x"/>text</b>',
        '<b><x:Include href="cid:a@x">text</x:Include></b>',
        '<b><x:Include href="cid:a@x"><c/></x:Include></b>',
    ],
)
def test_a_reference_to_nothing_or_in_the_wrong_form_is_refused(text: str) -> None:
    with pytest.raises(AttachmentReferenceInvalid):
        check_references(element(text), [attachment()], KINDS)


@pytest.mark.parametrize("text", ["cid:nothing", "CID: 12/2026", "cid:", "cid:a@x", "Cid:%"])
def test_a_text_that_looks_like_a_reference_is_a_text(text: str) -> None:
    for kinds in ({}, {"b": frozenset({Kind.BYTES})}):
        check_references(element(f"<b>{text}</b>"), [attachment()], kinds)


@pytest.mark.parametrize("kinds", [{}, {"b": frozenset({Kind.ANYTHING})}])
def test_an_include_may_stand_where_a_wildcard_lets_any_element_in(
    kinds: dict[str, frozenset[Kind]],
) -> None:
    check_references(element('<b><x:Include href="cid:a@x"/></b>'), [attachment()], kinds)


@pytest.mark.parametrize(
    "kinds", [{"b": frozenset[Kind]()}, {"b": frozenset({Kind.REFERENCE})}], ids=["text", "URI"]
)
def test_an_include_stands_for_base64_only(kinds: dict[str, frozenset[Kind]]) -> None:
    with pytest.raises(AttachmentReferenceInvalid, match="stands for no base64"):
        check_references(element('<b><x:Include href="cid:a@x"/></b>'), [attachment()], kinds)


def test_what_an_include_brings_may_be_called_octets() -> None:
    rule = AttachmentRule(2, 10, frozenset({"application/pdf"}))
    octets = attachment(media_type="Application/Octet-Stream; x=y")

    require_allowed(rule, [octets], included_ids(element('<b><x:Include href="cid:a%40x"/></b>')))
    for included in (frozenset(), frozenset({"b@x"})):
        with pytest.raises(AttachmentNotAllowed):
            require_allowed(rule, [octets], included)
    with pytest.raises(AttachmentNotAllowed):
        require_allowed(rule, [attachment(media_type="text/html")], {"a@x"})


def test_an_include_cannot_be_the_payload_itself() -> None:
    raw = f'<x:Include xmlns:x="{XOP}" href="cid:a@x"/>'.encode()
    with pytest.raises(AttachmentReferenceInvalid):
        check_references(parse_xml(raw, bytes_max=len(raw)), [attachment()], KINDS)


def test_a_schema_sees_base64_where_an_include_stands_and_the_payload_stays() -> None:
    whole = element('<b>\n<x:Include href="cid:a@x"/>\n</b><c>cid:a@x</c>')
    before = etree.tostring(whole)

    seen = for_schema(whole)

    assert [(one.tag, one.text) for one in seen] == [("b", "AA=="), ("c", "cid:a@x")]
    assert etree.tostring(whole) == before
    plain = element("<b>1</b>")
    assert for_schema(plain) is plain


def test_an_adapter_finds_the_attachment_that_an_element_names() -> None:
    whole = element('<b><x:Include href="cid:a@x"/></b><c>cid:a@x</c><d>QQ==</d><e>cid:no</e>')

    found = [attachment_named(one, [attachment()]) for one in whole]

    assert found == [attachment(), attachment(), None, None]


# --- validation ----------------------------------------------------------------------------------


def verified(
    nation: SmallNation, rule: AttachmentRule | None, attachments: tuple[Attachment, ...]
) -> tuple[VerifiedEnvelope, SmallNation]:
    """A message of the small nation, whose look-up has this rule for both ways."""
    rules = nation.rules
    service = replace(rules.registry.services[LOOKUP], attachments=rule, answer_attachments=rule)
    services = {**rules.registry.services, LOOKUP: service}
    changed = replace(rules, registry=replace(rules.registry, services=services))
    envelope = parsing_with_attachments(parse, attachments)(request(nation), Limits())
    proved = VerifiedEnvelope(
        envelope=envelope,
        sender=envelope.client.member,
        certificate_digest=bytes(32),
        certificate=b"",
        signature_digest=bytes(32),
        created=NOW,
        canonical_parts={BODY: canonicalise(envelope.body)},
        attachments=attachments,
    )
    return proved, replace(nation, rules=changed)


@pytest.mark.parametrize(
    ("rule", "sent", "error"),
    [
        (None, (), None),
        (None, (attachment(),), AttachmentNotAllowed),
        (AttachmentRule(1, 10), (), None),
        (AttachmentRule(1, 10), (attachment(),), None),
        (AttachmentRule(1, 1), (attachment(),), AttachmentNotAllowed),
    ],
)
def test_a_request_and_an_answer_are_held_to_the_rule(
    nation: SmallNation,
    rule: AttachmentRule | None,
    sent: tuple[Attachment, ...],
    error: type[BusError] | None,
) -> None:
    proved, ruled = verified(nation, rule, sent)
    authorised = authorise(proved, ruled.rules.registry)
    if error is not None:
        with pytest.raises(error):
            validate(authorised, ruled.rules.schemas)
        proved, ruled = verified(nation, rule, ())
        authorised = authorise(proved, ruled.rules.registry)
    valid = validate(authorised, ruled.rules.schemas)
    if error is not None:
        with pytest.raises(AnswerInvalid):
            validate_answer(payload(ANSWER), valid.authorised.service, valid.schema, sent)
    else:
        validate_answer(payload(ANSWER), valid.authorised.service, valid.schema, sent)


def test_a_payload_that_breaks_its_schema_is_refused_beside_attachments_too(
    nation: SmallNation,
) -> None:
    proved, ruled = verified(nation, AttachmentRule(1, 10), (attachment(),))
    broken = replace(proved.envelope, payload=payload())
    broken.payload.append(etree.Element("stray"))
    authorised = authorise(replace(proved, envelope=broken), ruled.rules.registry)
    with pytest.raises(PayloadInvalid):
        validate(authorised, ruled.rules.schemas)


# --- the manifest --------------------------------------------------------------------------------


def test_a_manifest_says_what_attachments_are_and_is_read_again() -> None:
    sent = [attachment(), attachment(b"", "b"), attachment("đ".encode(), "c", "text/plain")]

    listed = read_manifest(write_manifest(sent))

    again = [one.attachment(chunks.chunks) for one, chunks in zip(listed, sent, strict=True)]
    assert again == sent
    assert isinstance(listed[0], ListedAttachment)
    assert read_manifest(write_manifest([])) == ()


@given(st.one_of(st.binary(max_size=40), st.just(b'[{"id":1}]'), st.just(b"[1]"), st.just(b"3")))
def test_other_bytes_are_no_manifest(raw: bytes) -> None:
    try:
        found = read_manifest(raw)
    except ManifestInvalid:
        return
    assert found == ()
