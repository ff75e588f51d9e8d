"""The keys of the corpus. They are public: they prove nothing to anybody but these tests."""

from __future__ import annotations

from pathlib import Path

from signing.pki.keys import Signer, load_certificate, load_private_key, make_signer
from tests.certificates import Issuer
from tests.nation import NOW

FOLDER = Path(__file__).with_name("valid")
KEYS = FOLDER / "keys"
CAPTURED_AT = NOW
"""The moment that the stacks were told it is."""


def key_file(name: str) -> Path:
    return KEYS / f"EXAMPLE-ONLY-{name}"


def corpus_signer(name: str) -> Signer:
    """A signer whose key is in the repository: `h41-rsa`, `h41-p256` or `h26-rsa`."""
    key = load_private_key(key_file(f"{name}.key").read_bytes())
    certificate = load_certificate(key_file(f"{name}.crt").read_bytes())
    return make_signer(key, certificate)


def corpus_authority() -> Issuer:
    """The authority under which the captured messages were signed."""
    key = load_private_key(key_file("authority.key").read_bytes())
    return Issuer(key, load_certificate(key_file("authority.crt").read_bytes()))
