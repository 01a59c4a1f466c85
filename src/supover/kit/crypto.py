"""Sealing and signing.

Sealed values are AES-256-GCM under a key derived (HKDF-SHA256, RFC 5869) for one purpose, bound to one workspace.
Nothing here is checked against a missing secret: without one every function refuses by raising.
"""

import base64
import hmac
import os
from collections.abc import Sequence
from typing import Final, Literal
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

LEAST_SECRET: Final = 16


class CryptoError(ValueError):
    """A secret is missing, or a value was not made with it."""


class MissingSecret(CryptoError):
    """There is no secret to do this with."""


class NotOpened(CryptoError):
    """A sealed value was made with another key, for another purpose or workspace, or was changed."""


# --- keys ---


def derive_key(master: str, purpose: str) -> bytes:
    """A key of 32 bytes for one purpose; the same for the same arguments. Two purposes' keys tell nothing of each other."""
    if len(master) < LEAST_SECRET:
        raise MissingSecret("the master key is missing or too short")
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"supover/v1/" + purpose.encode()).derive(
        master.encode()
    )


# --- seal ---

# An envelope: the version, four bytes that tell the key (derived like it, so they say nothing about it), a random
# nonce, and the ciphertext with its tag.
_VERSION: Final = 1
_KEY_ID: Final = 4
_NONCE: Final = 12
_TAG: Final = 16
_HEAD: Final = 1 + _KEY_ID + _NONCE


class Sealer:
    """Seals secrets for the database. Of several master keys, newest first, the first seals and all open."""

    def __init__(self, keys: Sequence[str]) -> None:
        if not keys:
            raise MissingSecret("there is no master key")
        self._keys = {derive_key(key, "key-id")[:_KEY_ID]: key for key in reversed(keys)}
        self._first = derive_key(keys[0], "key-id")[:_KEY_ID]
        self._ciphers: dict[tuple[bytes, str], AESGCM] = {}

    def __repr__(self) -> str:
        return f"Sealer({len(self._keys)} keys)"

    def seal(self, plain: bytes, *, purpose: str, workspace: UUID | None = None) -> bytes:
        """An envelope that only `open` with the same purpose and workspace opens. No two are alike."""
        head = bytes([_VERSION]) + self._first
        nonce = os.urandom(_NONCE)
        sealed = self._cipher(self._first, purpose).encrypt(nonce, plain, _bound_to(head, purpose, workspace))
        return head + nonce + sealed

    def open(self, envelope: bytes, *, purpose: str, workspace: UUID | None = None) -> bytes:
        """What was sealed. Raises NotOpened when this is not an envelope of ours for this purpose and workspace."""
        head, nonce, sealed = envelope[: 1 + _KEY_ID], envelope[1 + _KEY_ID : _HEAD], envelope[_HEAD:]
        if len(sealed) < _TAG or head[0] != _VERSION or head[1:] not in self._keys:
            raise NotOpened("this was not sealed with a key that is known here")
        try:
            return self._cipher(head[1:], purpose).decrypt(nonce, sealed, _bound_to(head, purpose, workspace))
        except InvalidTag:
            raise NotOpened("this was sealed for something else, or was changed") from None

    def is_stale(self, envelope: bytes) -> bool:
        """Whether an older key sealed this, so that it should be opened and sealed anew."""
        return envelope[: 1 + _KEY_ID] != bytes([_VERSION]) + self._first

    def _cipher(self, key_id: bytes, purpose: str) -> AESGCM:
        if not purpose:
            raise ValueError("a purpose is needed")
        found = self._ciphers.get((key_id, purpose))
        if found is None:
            found = AESGCM(derive_key(self._keys[key_id], f"seal/{purpose}"))
            if len(self._ciphers) < 1_000:
                self._ciphers[key_id, purpose] = found
        return found


def _bound_to(head: bytes, purpose: str, workspace: UUID | None) -> bytes:
    # Lengths are fixed but the last's, so no two contexts read alike.
    return head + (workspace.bytes if workspace else bytes(16)) + (b"w" if workspace else b"-") + purpose.encode()


# --- sign ---

Encoding = Literal["hex", "base64", "base64url"]


def sign(secret: str | bytes | None, message: bytes, encoding: Encoding = "hex") -> str:
    """The HMAC-SHA256 of the message. Raises MissingSecret when the secret is empty."""
    return _encoded(_hmac(secret, message), encoding)


def verify(secret: str | bytes | None, message: bytes, signature: str | None, encoding: Encoding = "hex") -> bool:
    """Whether this is the message's signature, compared in constant time, in exactly the spelling that `sign` gives.

    Raises MissingSecret when the secret is empty: a check that cannot be made must not look like one that was.
    """
    return same(sign(secret, message, encoding), signature or "")


def _hmac(secret: str | bytes | None, message: bytes) -> bytes:
    if not secret:
        raise MissingSecret("there is no secret to sign or verify with")
    return hmac.digest(secret.encode() if isinstance(secret, str) else secret, message, "sha256")


def _encoded(digest: bytes, encoding: Encoding) -> str:
    if encoding == "hex":
        return digest.hex()
    if encoding == "base64":
        return base64.b64encode(digest).decode()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def same(a: str | bytes, b: str | bytes) -> bool:
    """Whether the two are equal; takes as long whether they differ early or late."""
    return hmac.compare_digest(_as_bytes(a), _as_bytes(b))


def _as_bytes(value: str | bytes) -> bytes:
    return value.encode("utf-8", "surrogatepass") if isinstance(value, str) else value
