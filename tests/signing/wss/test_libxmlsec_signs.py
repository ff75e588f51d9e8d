"""What libxmlsec1 signs, in the shapes that it writes, is verified; its names of keys are read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import xmlsec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from lxml import etree
from xmlsec import constants as consts

from signing import names
from signing import policy as uri
from signing.errors import AlgorithmForbiddenError
from tests.nation import SmallNation
from tests.signing.wss.handmade import TIMESTAMP
from tests.signing.wss.signed_parts import BODY, POLICY, ROUTE, verify

Template = etree._Element


def signed(
    nation: SmallNation,
    add_key_info: Callable[[Template], object],
    *,
    kind: str = "rsa-2048",
    canonicalisation: Any = consts.TransformExclC14N,
    algorithm: Any = consts.TransformRsaSha256,
    digest: Any = consts.TransformSha256,
    prefixes: str = "",
) -> bytes:
    signer = nation.client_signers[kind]
    root = etree.fromstring(
        b'<e xmlns:a="urn:a"><h>'
        + ROUTE.canonical
        + f'<wsse:Security xmlns:wsse="{names.WSSE}">{TIMESTAMP}</wsse:Security></h>'.encode()
        + BODY.canonical
        + b"</e>"
    )
    security = root[0][1]
    template = xmlsec.template.create(root, canonicalisation, algorithm, ns="ds")
    security.append(template)
    for part in ("route", "body"):
        reference = xmlsec.template.add_reference(template, digest, uri=f"#{part}")
        transform = xmlsec.template.add_transform(reference, canonicalisation)
        if prefixes:
            xmlsec.template.transform_add_c14n_inclusive_namespaces(transform, prefixes.split())
    key_info = xmlsec.template.ensure_key_info(template)
    add_key_info(key_info)
    for element in (root[0][0], root[1]):
        xmlsec.tree.add_ids(element, ["Id"])
    context = xmlsec.SignatureContext()
    context.key = xmlsec.Key.from_memory(_pem(signer.private_key), consts.KeyDataFormatPem)
    context.key.load_cert_from_memory(signer.certificate_der, consts.KeyDataFormatCertDer)
    context.sign(template)
    return etree.tostring(root)


def _pem(key: object) -> bytes:
    return key.private_bytes(  # type: ignore[attr-defined, no-any-return]
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()
    )


def certificate(key_info: Template) -> None:
    xmlsec.template.x509_data_add_certificate(xmlsec.template.add_x509_data(key_info))


def issuer_serial(key_info: Template) -> None:
    xmlsec.template.x509_data_add_issuer_serial(xmlsec.template.add_x509_data(key_info))


def key_identifier(key_info: Template) -> None:
    xmlsec.template.x509_data_add_ski(xmlsec.template.add_x509_data(key_info))


def subject_name(key_info: Template) -> None:
    xmlsec.template.x509_data_add_subject_name(xmlsec.template.add_x509_data(key_info))


def everything(key_info: Template) -> None:
    xmlsec.template.add_key_name(key_info, "me")
    xmlsec.template.add_key_value(key_info)
    data = xmlsec.template.add_x509_data(key_info)
    xmlsec.template.x509_data_add_certificate(data)
    xmlsec.template.x509_data_add_subject_name(data)
    xmlsec.template.x509_data_add_ski(data)


@pytest.mark.parametrize(
    "key_info", [certificate, issuer_serial, key_identifier, subject_name, everything]
)
@pytest.mark.parametrize(
    ("kind", "algorithm", "digest"),
    [
        ("rsa-2048", consts.TransformRsaSha256, consts.TransformSha256),
        ("p-256", consts.TransformEcdsaSha256, consts.TransformSha512),
    ],
)
def test_every_name_that_libxmlsec_writes_is_read(
    key_info: Callable[[Template], object],
    kind: str,
    algorithm: Any,
    digest: Any,
    nation: SmallNation,
) -> None:
    signer = nation.client_signers[kind]
    raw = signed(nation, key_info, kind=kind, algorithm=algorithm, digest=digest)

    verified = verify(raw, nation, known=[signer.certificate_der])

    assert verified.certificate.der == signer.certificate_der


def test_a_prefix_list_of_libxmlsec_is_followed(nation: SmallNation) -> None:
    verified = verify(signed(nation, certificate, prefixes="a"), nation)

    assert b'xmlns:a="urn:a"' in verified.canonical_parts["Body"]


def test_what_libxmlsec_signs_in_the_old_way_needs_an_exception(nation: SmallNation) -> None:
    raw = signed(
        nation,
        certificate,
        canonicalisation=consts.TransformInclC14N,
        algorithm=consts.TransformRsaSha1,
        digest=consts.TransformSha1,
    )
    loose = replace(
        POLICY,
        canonicalisations=POLICY.canonicalisations | {names.INCLUSIVE_C14N},
        signature_algorithms=POLICY.signature_algorithms | {uri.RSA_SHA1},
        digest_algorithms=POLICY.digest_algorithms | {uri.DIGEST_SHA1},
    )

    assert verify(raw, nation, loose).algorithm == uri.RSA_SHA1
    with pytest.raises(AlgorithmForbiddenError):
        verify(raw, nation)
