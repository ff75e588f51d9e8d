"""Make the vectors beside this file: `PYTHONPATH=. python …/make_vectors.py "CLASS PATH"`.

The class path holds WSS4J 3, Angus Mail and SignWithAttachments. The key is thrown away.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding
from cryptography.hazmat.primitives.serialization.pkcs12 import serialize_key_and_certificates

from signing.names import SOAP11, XOP
from tests.certificates import make_certificate, make_root
from tests.nation import NOW

HERE = Path(__file__).parent
FORMS = ("content", "complete", "mtom", "token-in-attachment")
_INCLUDE = f'<xop:Include xmlns:xop="{XOP}" href="cid:pdf@example.vn"/>'


def main(class_path: str) -> None:
    root = make_root("Vectors", NOW)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    certificate = make_certificate(root, key.public_key(), NOW)
    (HERE / "anchor.der").write_bytes(root.certificate.public_bytes(Encoding.DER))
    with tempfile.TemporaryDirectory() as folder:
        store, unsigned = Path(folder) / "member.p12", Path(folder) / "unsigned.xml"
        protection = BestAvailableEncryption(b"secret")
        store.write_bytes(
            serialize_key_and_certificates(b"member", key, certificate, None, protection)
        )
        for form in FORMS:
            content = "1" if form in ("content", "complete") else _INCLUDE
            unsigned.write_text(
                f'<soap:Envelope xmlns:soap="{SOAP11}"><soap:Header/><soap:Body>'
                f'<q xmlns="urn:q"><x>{content}</x></q></soap:Body></soap:Envelope>'
            )
            words = (form, unsigned, store, "secret", NOW.isoformat()[:19] + "Z", HERE / form)
            subprocess.run(["java", "-cp", class_path, "SignWithAttachments", *words], check=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
