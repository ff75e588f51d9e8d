"""Say in a settings file where a signing key is: PEM files, a PKCS #12 file, or a token."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from bus.core.errors import Problem
from bus.settings.form import SettingsForm, SettingText, matching, pattern_schema
from bus.settings.yaml_document import KeyPath, Value, YamlDocument

_HEX = re.compile(r"([0-9A-Fa-f]{2}){1,64}\Z")

# --- values ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignerFiles:
    """Where a private key and its certificate lie, in PEM."""

    key: Path
    certificate: Path
    passphrase_file: Path | None = None
    """The file whose first line opens the key; None when the key is not encrypted."""
    next: SignerSource | None = None
    """The key that follows this one."""


@dataclass(frozen=True, slots=True)
class Pkcs12File:
    """A PKCS #12 file: the key, its certificate, and what stands above it."""

    file: Path
    passphrase_file: Path | None = None
    next: SignerSource | None = None

    @property
    def certificate(self) -> Path:
        """The file that holds the certificate."""
        return self.file


@dataclass(frozen=True, slots=True)
class TokenKeyPlace:
    """A key in a PKCS #11 token, and the file of its certificate."""

    module: Path
    """The token's driver: a shared library."""
    token: str
    """The token's label."""
    label: str
    """The key's label (CKA_LABEL); empty: found by its id alone."""
    id: bytes
    """The key's id (CKA_ID); empty: found by its label alone."""
    pin_file: Path
    certificate: Path
    next: SignerSource | None = None


SignerSource = SignerFiles | Pkcs12File | TokenKeyPlace


def in_succession(source: SignerSource) -> Iterator[SignerSource]:
    """The key, and the one that follows it."""
    yield source
    if source.next is not None:
        yield from in_succession(source.next)


# --- the form ----------------------------------------------------------------------------------


class TokenForm(SettingsForm):
    """A key in a PKCS #11 token; needs the extra `lienthong[pkcs11]`."""

    module: SettingText
    """The token's driver, a shared library."""
    token: SettingText
    """The token's label."""
    key: SettingText | None = None
    """The key's label (CKA_LABEL); this, or `key_id`, or both."""
    key_id: (
        Annotated[str, matching(_HEX, "an even number of hexadecimal digits"), pattern_schema(_HEX)]
        | None
    ) = None
    """The key's id (CKA_ID), in hexadecimal."""
    pin_file: SettingText
    """The file whose first line is the user PIN; nobody but its owner may read it."""
    certificate: SettingText
    """The file of its certificate (PEM or DER)."""


class KeyForm(SettingsForm):
    """A private key with its certificate: `key` and `certificate`, or `pkcs12`, or `pkcs11`."""

    key: SettingText | None = None
    """The file of the private key (PEM); nobody but its owner may read it."""
    certificate: SettingText | None = None
    """The file of its certificate (PEM or DER)."""
    pkcs12: SettingText | None = None
    """The PKCS #12 file of key, certificate and chain; nobody but its owner may read it."""
    passphrase_file: SettingText | None = None
    """The file whose first line opens an encrypted key or PKCS #12 file."""
    pkcs11: TokenForm | None = None
    """A key in a token."""


class SignerForm(KeyForm):
    """A private key with its certificate: `key` and `certificate`, or `pkcs12`, or `pkcs11`."""

    next: KeyForm | None = None
    """The key that follows: signs from when its certificate is valid."""


# --- reading -----------------------------------------------------------------------------------


def signer_files(form: KeyForm, base: Path) -> SignerSource:
    """Where the key is; relative paths start from `base`. The form has no `signer_problems`."""
    following = form.next if isinstance(form, SignerForm) else None
    after = signer_files(following, base) if following else None
    passphrase_file = base / form.passphrase_file if form.passphrase_file else None
    if form.pkcs11 is not None:
        return _token_key(form.pkcs11, base, after)
    if form.pkcs12 is not None:
        return Pkcs12File(base / form.pkcs12, passphrase_file, after)
    assert form.key is not None
    assert form.certificate is not None
    return SignerFiles(base / form.key, base / form.certificate, passphrase_file, after)


def _token_key(form: TokenForm, base: Path, after: SignerSource | None) -> TokenKeyPlace:
    return TokenKeyPlace(
        module=base / form.module,
        token=form.token,
        label=form.key or "",
        id=bytes.fromhex(form.key_id or ""),
        pin_file=base / form.pin_file,
        certificate=base / form.certificate,
        next=after,
    )


_WAYS = ("key", "pkcs12", "pkcs11")
_BELONGS_TO: Mapping[str, tuple[str, str]] = {
    "certificate": ("key", "the certificate is named inside pkcs11, and inside a PKCS #12 file"),
    "passphrase_file": ("key pkcs12", "a token has a pin_file"),
}
"""Keys that stand beside some of the ways only, and what to say beside another one."""


def signer_problems(document: YamlDocument, path: KeyPath) -> Iterator[Problem]:
    """What is wrong with how the key at `path` is named, and the one that follows it."""
    values = _value_at(document.values, path)
    if not isinstance(values, dict):
        return
    ways = [way for way in _WAYS if way in values]
    if len(ways) != 1:
        found = f", found {' and '.join(ways)}" if ways else ""
        yield document.problem(path, f"expected one of key, pkcs12 and pkcs11{found}")
    else:
        yield from _way_problems(document, path, values, ways[0])
    yield from signer_problems(document, (*path, "next"))


def _way_problems(
    document: YamlDocument, path: KeyPath, values: dict[str, Value], way: str
) -> Iterator[Problem]:
    for name, (ways, why) in _BELONGS_TO.items():
        if name in values and way not in ways.split():
            yield document.problem((*path, name), f"not beside {way}: {why}")
    if way == "key" and "certificate" not in values:
        message = "missing; expected: The file of its certificate (PEM or DER)."
        yield document.problem((*path, "certificate"), message)
    token = values.get("pkcs11")
    if isinstance(token, dict) and not {"key", "key_id"} & token.keys():
        message = "expected key (the key's label) or key_id"
        yield document.problem((*path, "pkcs11"), message)


def _value_at(values: Value, path: KeyPath) -> Value:
    for step in path:
        values = values.get(step) if isinstance(values, dict) and isinstance(step, str) else None
    return values
