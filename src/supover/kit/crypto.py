"""Sealing, signing, tokens and passwords: the only place that touches a primitive.

Sealed values are AES-256-GCM under a key derived (HKDF-SHA256, RFC 5869) for one purpose, bound to one workspace.
Nothing here is checked against a missing secret: without one every function refuses by raising.
"""

import base64
import hmac
import os
import secrets
import unicodedata
from collections.abc import Sequence
from hashlib import sha256
from typing import Final, Literal
from uuid import UUID

import msgspec
from argon2 import PasswordHasher
from argon2.exceptions import Argon2Error, InvalidHashError
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


# --- tokens ---

TOKEN_LETTERS: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # noqa: S105
SHOWN_LENGTH: Final = 8
SECRET_LENGTH: Final = 43  # of 62 letters: 256 bits


class Token(msgspec.Struct, frozen=True):
    """A new token: the whole, shown once; what may be shown later to tell it from others; what is kept."""

    secret: str
    prefix: str
    hash: bytes

    def __repr__(self) -> str:
        return f"Token({self.prefix}…)"


def new_token(kind: str = "sk_") -> Token:
    """A token with 256 random bits beside the part that is shown."""
    prefix = kind + _letters(SHOWN_LENGTH)
    secret = prefix + _letters(SECRET_LENGTH)
    return Token(secret=secret, prefix=prefix, hash=hash_token(secret))


def hash_token(secret: str) -> bytes:
    """What is kept of a token, and looked up by: SHA-256, which 256 random bits need no salt or stretching for."""
    return sha256(_as_bytes(secret)).digest()


def _letters(count: int) -> str:
    return "".join([secrets.choice(TOKEN_LETTERS) for _ in range(count)])


# --- passwords ---

# The OWASP cheat sheet's Argon2id with the least memory that still counts as strong: 19 MiB, two passes, one lane.
# Every call takes that memory and some tens of milliseconds of one core: run it in a thread, few at a time.
MEMORY_KIB: Final = 19_456
PASSES: Final = 2
LANES: Final = 1
PASSWORD_LENGTH: Final = 1_024

_hasher: Final = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES, hash_len=32, salt_len=16)


def hash_password(password: str) -> str:
    """What is kept of a password. Raises ValueError for an empty one or one of more than 1,024 characters."""
    if not password or len(password) > PASSWORD_LENGTH:
        raise ValueError(f"a password has 1 to {PASSWORD_LENGTH} characters")
    return _hasher.hash(_password_bytes(password))


def verify_password(kept: str, password: str) -> bool:
    """Whether this is the password; takes as long when it is not, and for one too long to be any."""
    is_possible = 0 < len(password) <= PASSWORD_LENGTH
    try:
        return _hasher.verify(kept, _password_bytes(password if is_possible else "-")) and is_possible
    except (Argon2Error, InvalidHashError, UnicodeEncodeError):
        return False


def needs_rehash(kept: str) -> bool:
    """Whether a password was hashed with other costs than today's; hash it anew at the next sign-in."""
    return _hasher.check_needs_rehash(kept)


def burn(password: str) -> None:
    """Takes as long as `verify_password`, for somebody unknown, so that the time does not tell who is known."""
    verify_password(_NOBODY, password)


def _password_bytes(password: str) -> bytes:
    # NIST SP 800-63B, 3.1.1.2: one spelling whichever keyboard wrote it.
    return _as_bytes(unicodedata.normalize("NFKC", password))


def _nobody() -> str:
    # A hash like any other that no password has: its digest is random, not computed.
    salt, digest = (base64.b64encode(os.urandom(n)).rstrip(b"=").decode() for n in (16, 32))
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${salt}${digest}"


_NOBODY: Final = _nobody()
