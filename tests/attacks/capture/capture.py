"""Let foreign stacks sign one request each, and keep what they sent.

    python -m tests.attacks.capture.capture

Run by hand, once for a release of a stack: the captured files are frozen, and the corpus is made
from them. Needs node with npm soap and the Python of zeep as tests/interop make them, Maven, a
Java, xmlsec1. Each stack is told the same moment and given a key of valid/keys.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, pkcs12
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.signer import SignatureReference, XMLSigner

import schemas
from bus.core.schema_kinds import alone
from bus.protocols.soap_xroad.wsdl import write_wsdl
from bus.settings.payload_schemas import read_schema
from signing import names
from signing.pki.keys import Signer
from tests.attacks.keys import CAPTURED_AT, FOLDER, KEYS, corpus_signer
from tests.attacks.valid_messages import corpus_nation
from tests.nation import LOOKUP

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
CACHE = ROOT / ".cache" / "interop"
JOIN = ROOT / "docs" / "join"
MOMENT = CAPTURED_AT.strftime("%Y-%m-%dT%H:%M:%SZ")
PASSWORD = "example-only"
BLOCKS = ("client", "service", "userId", "id", "issue", "protocolVersion")


@dataclass(frozen=True, slots=True)
class Captured:
    """What one stack sent."""

    name: str
    stack: str
    version: str
    how: str
    raw: bytes = field(repr=False)


def main() -> None:
    wanted = sys.argv[1:]
    captured = [one for capture in CAPTURES for one in capture()]
    for one in captured:
        if not wanted or one.name in wanted:
            (FOLDER / f"{one.name}.xml").write_bytes(one.raw)
    entries = [
        {
            **{name: text for name, text in asdict(one).items() if name != "raw"},
            "moment": CAPTURED_AT.isoformat(),
            "file": f"{one.name}.xml",
            "sha256": hashlib.sha256((FOLDER / f"{one.name}.xml").read_bytes()).hexdigest(),
        }
        for one in captured
    ]
    text = json.dumps({"messages": entries}, indent=2, ensure_ascii=False)
    (FOLDER / "manifest.json").write_text(text + "\n", encoding="utf-8")


def _run(*command: object, environment: dict[str, str] | None = None) -> bytes:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        timeout=120,
        env={**os.environ, **(environment or {})},
        check=False,
    )
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    return done.stdout


def _key(name: str, ending: str) -> Path:
    return KEYS / f"EXAMPLE-ONLY-{name}.{ending}"


def _wsdl() -> Path:
    folder = Path(tempfile.mkdtemp())
    nation = corpus_nation(folder)
    service = nation.rules.registry.services[LOOKUP]
    header = [
        read_schema(schemas.FOLDER / "xroad/4.0" / name)
        for name in ("identifiers.xsd", "xroad.xsd")
    ]
    path = folder / "service.wsdl"
    schema = read_schema(schemas.FOLDER / service.schema)
    path.write_bytes(write_wsdl(service, "http://127.0.0.1:9/", alone(schema), header))
    return path


def _unsigned(message_id: str) -> bytes:
    return (HERE / "unsigned.xml").read_bytes().replace(b"MESSAGE-ID", message_id.encode())


# --- npm soap ----------------------------------------------------------------------------------


def npm_soap() -> list[Captured]:
    modules = CACHE / "npm-soap" / "node_modules"
    package = json.loads((modules / "soap" / "package.json").read_text())
    raw = _run(
        *("node", HERE / "npm_soap.js", _wsdl()),
        *(_key("h41-rsa", "key"), _key("h41-rsa", "crt"), MOMENT),
        environment={"NODE_PATH": str(modules)},
    )
    how = "WSSecurityCert, RSA-SHA256, idMode wssecurity, X-Road headers as additionalReferences"
    return [Captured("npm-soap-rsa", "npm soap", package["version"], how, raw)]


# --- zeep --------------------------------------------------------------------------------------


def zeep() -> list[Captured]:
    python = CACHE / "zeep" / "bin" / "python"
    zeep_version = _run(python, "-c", "import zeep; print(zeep.__version__)").decode().strip()
    wsdl = _wsdl()
    made = []
    for kind in ("rsa", "p256"):
        key, certificate = _key(f"h41-{kind}", "key"), _key(f"h41-{kind}", "crt")
        raw = _run(
            *(python, HERE / "zeep_request.py", wsdl, key, certificate, MOMENT, f"zeep-{kind}-1"),
            environment={"PYTHONPATH": str(JOIN)},
        )
        how = f"docs/join/zeep_header_signing.py with xmlsec, {kind} key, direct reference"
        made.append(Captured(f"zeep-{kind}", "zeep", zeep_version, how, raw))
    return made


# --- WSS4J -------------------------------------------------------------------------------------

WSS4J_REFERENCES = (
    ("direct", "rsa"),
    ("direct", "p256"),
    ("issuer-serial", "rsa"),
    ("subject-key-identifier", "rsa"),
    ("subject-key-identifier", "p256"),
    ("thumbprint", "rsa"),
    ("embedded-certificate", "rsa"),
)


def wss4j() -> list[Captured]:
    folder = CACHE / "wss4j-attacks"
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(HERE / "pom.xml", folder)
    if not (folder / "jars").is_dir():
        copy = "dependency:copy-dependencies"
        _run("mvn", "-q", "-B", "-f", folder / "pom.xml", copy, "-DoutputDirectory=jars")
    jars = ":".join(str(jar) for jar in sorted((folder / "jars").glob("*.jar")))
    jar = next((folder / "jars").glob("wss4j-ws-security-dom-*.jar"))
    wss4j_version = jar.stem.rpartition("-")[2]
    made = []
    for reference, kind in WSS4J_REFERENCES:
        name = f"wss4j-{reference}-{kind}"
        unsigned = folder / "unsigned.xml"
        unsigned.write_bytes(_unsigned(f"{name}-1"))
        store = folder / f"{kind}.p12"
        store.write_bytes(_pkcs12(kind))
        source = HERE / "Wss4jRequest.java"
        raw = _run("java", "-cp", jars, source, unsigned, store, PASSWORD, MOMENT, reference)
        how = f"WSSecSignature by parts, key reference {reference}, {kind} key"
        made.append(Captured(name, "WSS4J", wss4j_version, how, raw))
    return made


def _pkcs12(kind: str) -> bytes:
    signer = corpus_signer(f"h41-{kind}")
    return pkcs12.serialize_key_and_certificates(
        b"member",
        _key_of(signer),
        signer.certificate,
        None,
        BestAvailableEncryption(PASSWORD.encode()),
    )


# --- xmlsec1 -----------------------------------------------------------------------------------


def _template(message_id: str, kind: str, algorithm: str) -> bytes:
    """The unsigned request with a security header whose digests and value are still empty."""
    parts = [f"x-{name}" for name in BLOCKS] + ["x-body", "x-timestamp"]
    references = "".join(
        f'<Reference URI="#{part}"><Transforms><Transform Algorithm="{names.EXCLUSIVE_C14N}"/>'
        '</Transforms><DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        "<DigestValue/></Reference>"
        for part in parts
    )
    token = base64.b64encode(corpus_signer(f"h41-{kind}").certificate_der).decode()
    security = (
        f'<w:Security xmlns:w="{names.WSSE}" xmlns:u="{names.WSU}" S:mustUnderstand="1">'
        f'<u:Timestamp u:Id="x-timestamp"><u:Created>{MOMENT}</u:Created></u:Timestamp>'
        f'<w:BinarySecurityToken u:Id="x-token" ValueType="{names.X509_V3}" '
        f'EncodingType="{names.BASE64_BINARY}">{token}</w:BinarySecurityToken>'
        f'<Signature xmlns="{names.DS}"><SignedInfo>'
        f'<CanonicalizationMethod Algorithm="{names.EXCLUSIVE_C14N}"/>'
        f'<SignatureMethod Algorithm="{algorithm}"/>{references}</SignedInfo><SignatureValue/>'
        '<KeyInfo><w:SecurityTokenReference><w:Reference URI="#x-token" '
        f'ValueType="{names.X509_V3}"/></w:SecurityTokenReference></KeyInfo></Signature>'
        "</w:Security>"
    )
    text = _unsigned(message_id).decode().replace("</S:Header>", f"{security}</S:Header>")
    text = text.replace("<S:Envelope ", f'<S:Envelope xmlns:u="{names.WSU}" ', 1)
    for name in BLOCKS:
        text = re.sub(rf"<x:{name}([ >])", rf'<x:{name} u:Id="x-{name}"\1', text, count=1)
    return text.replace("<S:Body>", '<S:Body u:Id="x-body">').encode()


def xmlsec1() -> list[Captured]:
    xmlsec_version = _run("xmlsec1", "--version").decode().split()[1]
    carriers = [
        *(("http://x-road.eu/xsd/xroad.xsd", name) for name in BLOCKS),
        ("http://schemas.xmlsoap.org/soap/envelope/", "Body"),
        (names.WSU, "Timestamp"),
    ]
    made = []
    for kind, algorithm in (("rsa", "rsa-sha512"), ("p256", "ecdsa-sha256")):
        identifier = f"http://www.w3.org/2001/04/xmldsig-more#{algorithm}"
        template = Path(tempfile.mkdtemp()) / "template.xml"
        template.write_bytes(_template(f"xmlsec1-{kind}-1", kind, identifier))
        options = [word for namespace, name in carriers for word in _id_option(namespace, name)]
        key = _key(f"h41-{kind}", "key")
        raw = _run("xmlsec1", "--sign", *options, "--privkey-pem", key, template)
        how = f"a template signed by the xmlsec1 program, {algorithm}"
        made.append(Captured(f"xmlsec1-{kind}", "xmlsec1", xmlsec_version, how, raw))
    return made


def _id_option(namespace: str, name: str) -> tuple[str, str]:
    return "--id-attr:Id", f"{namespace}:{name}"


# --- signxml -----------------------------------------------------------------------------------


def child(element: etree._Element, path: str) -> etree._Element:
    found = element.find(path)
    assert found is not None
    return found


def _key_of(signer: Signer) -> RSAPrivateKey | EllipticCurvePrivateKey:
    assert isinstance(signer.private_key, RSAPrivateKey | EllipticCurvePrivateKey)
    return signer.private_key


def signxml_request() -> list[Captured]:
    made = []
    for kind, algorithm in (("rsa", "SHA256_RSA_MGF1"), ("p256", "ECDSA_SHA384")):
        name = f"signxml-{kind}"
        signer = corpus_signer(f"h41-{kind}")
        root = etree.fromstring(_template(f"{name}-1", kind, ""))
        security = child(root, f".//{names.SECURITY}")
        old = child(security, names.SIGNATURE)
        references = [one.attrib["URI"] for one in old.iter(names.REFERENCE)]
        key_info = old.find(names.KEY_INFO)
        security.remove(old)
        maker = XMLSigner(
            method=SignatureConstructionMethod.detached,
            signature_algorithm=SignatureMethod[algorithm],
            digest_algorithm=DigestAlgorithm.SHA384,
            c14n_algorithm=CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0,
        )
        signature = maker.sign(
            root,
            key=_key_of(signer),
            reference_uri=[SignatureReference(URI=str(uri)) for uri in references],
            key_info=key_info,
        )
        security.append(signature)
        raw = etree.tostring(root, xml_declaration=True, encoding="UTF-8")
        how = f"signxml.XMLSigner detached, {algorithm}, digests by SHA-384"
        made.append(Captured(name, "signxml", version("signxml"), how, raw))
    return made


CAPTURES: tuple[Callable[[], list[Captured]], ...] = (
    npm_soap,
    zeep,
    wss4j,
    xmlsec1,
    signxml_request,
)

if __name__ == "__main__":
    main()
