"""Prepare the nation that is measured: every sender is asked about, in a list that lies beside."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from bus.bench.citizen_answer import SERVICE
from bus.bench.signed_requests import Client
from bus.core.identifiers import ServiceId
from bus.runtime.clock import now
from bus.sandbox.authority_files import AuthorityFiles
from bus.sandbox.nation_files import PreparedNation, prepare_nation
from bus.settings.routes import read_registry
from bus.settings.signer import SignerFiles
from bus.trust.key_store import read_signer

LIST_VALIDITY = timedelta(days=1)
_ANY_PORT = 1
"""Written to hub.yaml and not used: the programs listen where there is room."""


def prepare_bench_nation(folder: Path) -> PreparedNation:
    """A nation below `folder` whose hub requires a word on revocation about every sender."""
    moment = now()
    prepared = prepare_nation(folder, now=moment, hub_port=_ANY_PORT)
    list_file = folder / "trust" / "revoked.crl"
    list_file.write_bytes(_empty_list(folder, moment))
    values = yaml.safe_load(prepared.hub_settings.read_text("utf-8"))
    values["revocation"] = {"check": "required", "crls": [str(list_file.relative_to(folder))]}
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    prepared.hub_settings.write_text(text, "utf-8")
    return prepared


def rsa_client(prepared: PreparedNation) -> Client:
    """A client that may ask and signs with RSA: the key that most agencies have."""
    nation = read_registry(prepared.routes)
    service = ServiceId.parse(SERVICE)
    for subsystem, granted in nation.grants:
        files: SignerFiles = prepared.signers[subsystem]
        if granted == service and isinstance(read_signer(files).private_key, rsa.RSAPrivateKey):
            return Client(subsystem, files)
    raise LookupError(f"no client of {SERVICE} signs with RSA")


def _empty_list(folder: Path, moment: datetime) -> bytes:
    """The authority's list: nobody is revoked. RFC 5280 §5."""
    authority = AuthorityFiles(folder).authority()
    this_update = moment.replace(microsecond=0)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(this_update)
        .next_update(this_update + LIST_VALIDITY)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    return authority.sign_list(builder)
