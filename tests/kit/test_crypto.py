import base64
import hashlib
import hmac
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supover.kit.crypto import (
    Encoding,
    MissingSecret,
    NotOpened,
    Sealer,
    derive_key,
    same,
    sign,
    verify,
)

OLD, NEW = "o" * 32, "n" * 32
HERE, THERE = UUID(int=1), UUID(int=2)
ENVELOPE = "01f1c1eb0406e121bf5792303ed8bd8337d7f2cb8188e8ab8c7ca6c1cebc28a0b2a570534e342312b231bdb926c4"


# --- seal ---


@given(st.binary(max_size=300), st.text(min_size=1), st.none() | st.uuids())
def test_what_is_sealed_opens_for_its_purpose_and_workspace(plain: bytes, purpose: str, workspace: UUID | None) -> None:
    purpose = purpose.encode("utf-8", "replace").decode()
    sealer = Sealer([NEW])
    envelope = sealer.seal(plain, purpose=purpose, workspace=workspace)
    assert sealer.open(envelope, purpose=purpose, workspace=workspace) == plain
    assert len(envelope) == len(plain) + 33
    assert envelope != sealer.seal(plain, purpose=purpose, workspace=workspace)


@pytest.mark.parametrize(
    ("purpose", "workspace"), [("b", HERE), ("a", THERE), ("a", None), ("aa", HERE), ("", HERE), ("A", HERE)]
)
def test_what_is_sealed_opens_for_nothing_else(purpose: str, workspace: UUID | None) -> None:
    sealer = Sealer([NEW])
    envelope = sealer.seal(b"secret", purpose="a", workspace=HERE)
    with pytest.raises(ValueError, match=r"changed|purpose"):
        sealer.open(envelope, purpose=purpose, workspace=workspace)


def test_no_workspace_is_not_the_workspace_of_zeros() -> None:
    sealer = Sealer([NEW])
    for sealed_for, opened_for in ((None, UUID(int=0)), (UUID(int=0), None)):
        with pytest.raises(NotOpened):
            sealer.open(sealer.seal(b"x", purpose="a", workspace=sealed_for), purpose="a", workspace=opened_for)


def test_every_changed_bit_is_noticed() -> None:
    sealer = Sealer([NEW, OLD])
    envelope = sealer.seal(b"secret", purpose="a")
    for bit in range(8 * len(envelope)):
        changed = bytearray(envelope)
        changed[bit // 8] ^= 1 << bit % 8
        with pytest.raises(NotOpened):
            sealer.open(bytes(changed), purpose="a")
    for end in range(len(envelope)):
        with pytest.raises(NotOpened):
            sealer.open(envelope[:end], purpose="a")
    with pytest.raises(NotOpened):
        sealer.open(envelope + b"\0", purpose="a")


@given(st.binary(max_size=100))
def test_what_is_no_envelope_is_refused(garbage: bytes) -> None:
    with pytest.raises(NotOpened):
        Sealer([NEW]).open(garbage, purpose="a")


def test_keys_can_be_renewed() -> None:
    before = Sealer([OLD]).seal(b"secret", purpose="a")
    both = Sealer([NEW, OLD])
    assert both.open(before, purpose="a") == b"secret"
    assert both.is_stale(before)
    after = both.seal(b"secret", purpose="a")
    assert not both.is_stale(after)
    assert Sealer([NEW]).open(after, purpose="a") == b"secret"
    with pytest.raises(NotOpened, match="not sealed with a key that is known here"):
        Sealer([NEW]).open(before, purpose="a")


def test_an_envelope_of_today_opens_tomorrow() -> None:
    # Made by this version: a change that cannot open it loses every stored secret.
    envelope = bytes.fromhex(ENVELOPE)
    assert Sealer([NEW]).open(envelope, purpose="channel-secret", workspace=HERE) == b"shpss_made_up"


def test_without_a_key_nothing_is_sealed() -> None:
    for keys in ([], [""], ["short"], [NEW, ""]):
        with pytest.raises(MissingSecret):
            Sealer(keys)
    with pytest.raises(ValueError, match="purpose"):
        Sealer([NEW]).seal(b"x", purpose="")


def test_keys_are_not_shown() -> None:
    assert repr(Sealer([NEW, OLD])) == "Sealer(2 keys)"


def test_derived_keys_differ_by_purpose_and_master() -> None:
    keys = {derive_key(master, purpose) for master in (NEW, OLD) for purpose in ("a", "b", "seal/a")}
    assert len(keys) == 6
    assert {len(key) for key in keys} == {32}
    assert derive_key(NEW, "a") == derive_key(NEW, "a")


# --- sign ---


def test_a_signature_is_the_hmac_of_the_bytes() -> None:
    # RFC 4231, test case 2.
    expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    assert sign("Jefe", b"what do ya want for nothing?") == expected
    digest = hmac.new(b"Jefe", b"m", hashlib.sha256).digest()
    assert sign(b"Jefe", b"m", "base64") == base64.b64encode(digest).decode()
    assert sign("Jefe", b"m", "base64url") == base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.parametrize("encoding", ["hex", "base64", "base64url"])
def test_only_the_very_signature_is_taken(encoding: Encoding) -> None:
    good = sign("s" * 32, b"body", encoding)
    assert verify("s" * 32, b"body", good, encoding)
    forged = [
        None,
        "",
        good.upper() if good.upper() != good else good.lower(),
        good + "=",
        good + " ",
        "\n" + good,
        good[:-1],
        good[1:],
        good + good,
        "0x" + good,
        "sha256=" + good,
        "ü" + good[1:],
        "\ud800",
        sign("t" * 32, b"body", encoding),
        sign("s" * 32, b"body ", encoding),
        sign("s" * 32, b"", encoding),
        hashlib.sha256(b"body").hexdigest(),
    ]
    assert [signature for signature in forged if verify("s" * 32, b"body", signature, encoding)] == []
    others: list[Encoding] = ["hex", "base64", "base64url"]
    assert [e for e in others if verify("s" * 32, b"body", good, e)] == [encoding]
    for at in range(len(good)):
        changed = good[:at] + ("a" if good[at] != "a" else "b") + good[at + 1 :]
        assert not verify("s" * 32, b"body", changed, encoding)


@pytest.mark.parametrize("secret", [None, "", b""])
def test_without_a_secret_nothing_is_signed_or_verified(secret: str | bytes | None) -> None:
    with pytest.raises(MissingSecret):
        sign(secret, b"body")
    with pytest.raises(MissingSecret):
        verify(secret, b"body", hmac.new(b"", b"body", hashlib.sha256).hexdigest())


@given(st.text(st.characters()), st.text(st.characters()))
def test_sameness_is_equality(a: str, b: str) -> None:
    assert same(a, b) is (a == b)
    assert same(a, a)
    assert same(a.encode("utf-8", "surrogatepass"), a)
