"""Signatures over a version's manifest: who may have published it, and that it is still under its own name and number.

A key is a text that people paste: ``hmac:...`` and ``ed25519:...`` sign and verify, ``ed25519-public:...`` verifies.
A signature names algorithm and key, as in ``ed25519:1f2e3d4c:<base64>``; the names only help to find the key, and are
never believed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Protocol

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import SignatureRefused
from airflow_provider_exia.model_library.manifest import manifest_of

if TYPE_CHECKING:
    from airflow_provider_exia.model_library.records import Version

HMAC, ED25519, ED25519_PUBLIC = "hmac", "ed25519", "ed25519-public"
_ED25519_BYTES = 32
_SHORTEST_HMAC_BYTES = 32
_SIGNATURE = re.compile(r"([a-z0-9-]+):([0-9a-f]{8}):([A-Za-z0-9+/]+={0,2})")
_EXPECTED = (
    f"expected '{HMAC}:' and base64 or hexadecimal of at least 32 bytes, '{ED25519}:' and base64 of the 32 bytes of a "
    f"private key, or '{ED25519_PUBLIC}:' and base64 of a public one, as 'exia key generate' prints them"
)


class Key(Protocol):
    """What verifies signatures, and perhaps makes them."""

    @property
    def name(self) -> str:
        """Algorithm and fingerprint, as signatures name the key."""

    @property
    def can_sign(self) -> bool:
        """Whether it is more than a public key."""

    def sign(self, message: bytes) -> bytes:
        """Return the signature over a message."""

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether the holder of this key signed the message."""


@dataclass(frozen=True)
class HmacKey:
    """A shared secret: whoever can verify can also sign.

    :param secret: at least 32 bytes
    """

    secret: bytes = field(repr=False)
    can_sign = True

    @property
    def name(self) -> str:
        """``hmac:`` and eight digits that say which key it is and nothing about it."""
        return f"{HMAC}:{self.sign(b'exia key name').hex()[:8]}"

    def sign(self, message: bytes) -> bytes:
        """Return the HMAC-SHA256."""
        return hmac.digest(self.secret, message, "sha256")

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Compare in constant time."""
        return hmac.compare_digest(self.sign(message), signature)


@dataclass(frozen=True)
class Ed25519Key:
    """A public key, with its private half where this is to sign.

    :param public: 32 bytes
    :param private: 32 bytes, or None
    """

    public: bytes
    private: bytes | None = field(default=None, repr=False)

    @classmethod
    def from_private(cls, private: bytes) -> Ed25519Key:
        """Return the pair of a private key.

        :param private: 32 bytes
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return cls(
            public=Ed25519PrivateKey.from_private_bytes(private).public_key().public_bytes_raw(), private=private
        )

    @property
    def name(self) -> str:
        """``ed25519:`` and the first eight digits of the SHA-256 of the public key."""
        return f"{ED25519}:{hashlib.sha256(self.public).hexdigest()[:8]}"

    @property
    def can_sign(self) -> bool:
        """Whether the private half is here."""
        return self.private is not None

    def sign(self, message: bytes) -> bytes:
        """Return the 64 bytes of the signature.

        :raises InvalidInput: this is a public key
        """
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        if self.private is None:
            raise InvalidInput(f"the public key {self.name} cannot sign: use the private key that belongs to it")
        return Ed25519PrivateKey.from_private_bytes(self.private).sign(message)

    def verifies(self, message: bytes, signature: bytes) -> bool:
        """Say whether the signature was made with the private half."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """What versions are signed with, and whose signatures are accepted. Without any key nothing is signed or checked.

    :param signing: signs what is published, and is accepted
    :param accepted: further keys whose signatures are accepted: those of other publishers, and old ones
    """

    signing: Key | None = None
    accepted: tuple[Key, ...] = ()

    @property
    def all(self) -> tuple[Key, ...]:
        """Every key whose signature is accepted."""
        return (*((self.signing,) if self.signing else ()), *self.accepted)

    @property
    def configured(self) -> bool:
        """Whether there is any key."""
        return bool(self.all)


def read_keys(signing: str | None = None, accepted: Sequence[str] = ()) -> Keys:
    """Return the keys that these texts are.

    :param signing: of the key to sign with; empty for none
    :param accepted: of further keys whose signatures are accepted
    :raises InvalidInput: one is no key, or cannot do what it is for; the message never shows it
    """
    signer = read_key(signing, what="the signing key") if signing and signing.strip() else None
    if signer is not None and not signer.can_sign:
        raise InvalidInput(
            "the signing key is a public key, which cannot sign: give the private key, or list the public one among "
            "the accepted keys"
        )
    texts = enumerate(accepted, start=1)
    return Keys(signing=signer, accepted=tuple(read_key(text, what=f"accepted key {place}") for place, text in texts))


def read_key(text: str, *, what: str = "the key") -> Key:
    """Return the key that a text is.

    :param text: as ``exia key generate`` prints it
    :param what: the name of its place, for the error message
    :raises InvalidInput: it is none; the message never shows it
    """
    algorithm, _, encoded = text.strip().partition(":")
    material = _decode(encoded)
    if material is not None:
        if algorithm == HMAC and len(material) >= _SHORTEST_HMAC_BYTES:
            return HmacKey(material)
        if algorithm == ED25519 and len(material) == _ED25519_BYTES:
            return Ed25519Key.from_private(material)
        if algorithm == ED25519_PUBLIC and len(material) == _ED25519_BYTES:
            return Ed25519Key(public=material)
    raise InvalidInput(f"{what} cannot be used: {_EXPECTED}")


def generate_key(algorithm: Literal["hmac", "ed25519"] = "ed25519") -> tuple[str, str | None]:
    """Make a new key.

    :returns: the private text, and the public text (None for HMAC, which has no public half)
    """
    material = secrets.token_bytes(32)
    private = f"{algorithm}:{base64.b64encode(material).decode()}"
    if algorithm == HMAC:
        return private, None
    return private, f"{ED25519_PUBLIC}:{base64.b64encode(Ed25519Key.from_private(material).public).decode()}"


def sign(key: Key, version: Version) -> str:
    """Return the signature of a version that has its number."""
    return f"{key.name}:{base64.b64encode(key.sign(manifest_of(version))).decode()}"


def check_signature(keys: Keys, version: Version) -> bool:
    """Refuse a version that no accepted key has signed under this name and number; without keys accept any.

    :returns: whether the signature was verified
    :raises SignatureRefused: it is missing, of another key, or of another manifest
    """
    if not keys.configured:
        return False
    if version.signature is None:
        raise SignatureRefused(
            reference=version.reference,
            problem="it is not signed, and keys are configured here: publish it again with a signing key and another "
            "'work', or 'exia copy' it into a library with a key",
        )
    parts = _SIGNATURE.fullmatch(version.signature)
    signature = _decode_base64(parts[3]) if parts else None
    if parts is None or signature is None:
        raise SignatureRefused(
            reference=version.reference,
            problem="its signature is damaged: restore its document from a backup, or publish it again with another "
            "'work'",
        )
    name = f"{parts[1]}:{parts[2]}"
    named = [key for key in keys.all if key.name == name]
    if not named:
        raise SignatureRefused(
            reference=version.reference,
            problem=f"it is signed with {name}, which is no key that is accepted here: add that key if you trust its "
            "holder",
        )
    message = manifest_of(version)
    if not any(key.verifies(message, signature) for key in named):
        raise SignatureRefused(
            reference=version.reference,
            problem=f"its signature does not fit: {name} has not signed this list of files and format under this model "
            "and number; do not use it, and find out who else writes to this store",
        )
    return True


def _decode(encoded: str) -> bytes | None:
    """Return the bytes of hexadecimal or of either alphabet of base64, with or without its padding and line breaks."""
    plain = "".join(encoded.split())
    if re.fullmatch(r"[0-9a-fA-F]+", plain):  # 43 letters of base64 that are all of these do not happen
        return bytes.fromhex(plain) if len(plain) % 2 == 0 else None
    plain = plain.replace("-", "+").replace("_", "/").rstrip("=")
    return _decode_base64(plain + "=" * (-len(plain) % 4))


def _decode_base64(encoded: str) -> bytes | None:
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):  # also for letters outside ASCII
        return None
