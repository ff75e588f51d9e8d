"""Make the authority and the keys of the attack corpus: once, for ever, and for nothing else.

    python -m tests.attacks.capture.make_authority

The keys are public: they stand in the repository. Every name says so.
"""

from __future__ import annotations

from pathlib import Path

from bus.sandbox.authority import Authority, Holder, KeyKind
from tests.attacks.keys import CAPTURED_AT, KEYS
from tests.nation import CLIENT, OTHER_CLIENT

HOLDERS = {
    "h41-rsa": (CLIENT, KeyKind.RSA_2048),
    "h41-p256": (CLIENT, KeyKind.P_256),
    "h26-rsa": (OTHER_CLIENT, KeyKind.RSA_2048),
}


def main() -> None:
    KEYS.mkdir(parents=True, exist_ok=True)
    authority = Authority.create("EXAMPLE ONLY attack corpus, keys are public", CAPTURED_AT)
    _write("authority.key", authority.key_pem())
    _write("authority.crt", authority.certificate_pem())
    for name, (subsystem, kind) in HOLDERS.items():
        holder = Holder("EXAMPLE ONLY", str(subsystem.member), str(subsystem))
        issued = authority.issue(holder, CAPTURED_AT, key_kind=kind)
        _write(f"{name}.key", issued.key_pem)
        _write(f"{name}.crt", issued.certificate_pem)


def _write(name: str, content: bytes) -> None:
    path: Path = KEYS / f"EXAMPLE-ONLY-{name}"
    path.write_bytes(content)


if __name__ == "__main__":
    main()
