"""Say why a signature or a certificate is not accepted."""

from __future__ import annotations


class SignatureError(Exception):
    """Base of everything that verification raises; the text is for our own log."""


class SignatureMissingError(SignatureError):
    """There is no signature where one must stand."""


class SignatureMalformedError(SignatureError):
    """The security header or the signature does not have its form."""


class CoverageInsufficientError(SignatureError):
    """A required part is not what was signed, at the position where it must stand."""


class DigestMismatchError(SignatureError):
    """A referenced part does not have the digest that was signed."""


class SignatureValueInvalidError(SignatureError):
    """The signature value does not fit SignedInfo and the key."""


class AlgorithmForbiddenError(SignatureError):
    """An algorithm, transform or key size is outside the policy."""


class CertificateRejectedError(SignatureError):
    """The certificate leads to no trust anchor, or not at this time, or not for this use."""


class KeyUnusableError(SignatureError):
    """A key or certificate cannot be loaded or is of a kind that we do not use."""


class KeyUnavailableError(SignatureError):
    """The key cannot be reached at the moment; nothing was signed, and it may be tried again."""
