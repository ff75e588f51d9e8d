"""Every attack of the corpus, by name."""

from __future__ import annotations

from tests.attacks import (
    cases_algorithms,
    cases_certificates,
    cases_headers,
    cases_signature,
    cases_time,
    cases_wrapping,
    cases_xml,
)
from tests.attacks.cases import Case, Group

GROUPS: tuple[Group, ...] = (
    cases_wrapping.WRAPPING,
    cases_wrapping.IDS,
    cases_signature.STRIPPED,
    cases_signature.TOKENS,
    cases_signature.VALUES,
    cases_algorithms.ALGORITHMS,
    cases_algorithms.WEAK_KEYS,
    cases_algorithms.TRANSFORMS,
    cases_algorithms.REFERENCES,
    cases_certificates.CERTIFICATES,
    cases_certificates.SUBJECTS,
    cases_time.TIMES,
    cases_headers.SHAPE,
    cases_headers.UNDERSTANDING,
    cases_headers.IDENTIFIERS,
    cases_headers.INJECTION,
    cases_headers.CLIENTS,
    cases_xml.ENTITIES,
    cases_xml.SIZES,
    cases_xml.ENCODINGS,
    cases_xml.NAMESPACES,
    cases_xml.LEXICAL,
)

CASES: dict[str, Case] = {}
for _group in GROUPS:
    for _case in _group.cases:
        assert _case.name not in CASES, _case.name
        CASES[_case.name] = _case
