"""Who signed a version: keys as people paste them, and what a signature holds to."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_exia.exceptions import InvalidInput
from airflow_provider_exia.model_library.exceptions import SignatureRefused
from airflow_provider_exia.model_library.manifest import manifest_of
from airflow_provider_exia.model_library.records import FileRecord, Role, State, Version
from airflow_provider_exia.model_library.signing import (
    Ed25519Key,
    Keys,
    check_signature,
    generate_key,
    read_key,
    read_keys,
    sign,
)

SECRET = bytes(range(1, 33))
# RFC 8032, section 7.1, the first test.
PRIVATE = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
SIGNATURE_OF_NOTHING = bytes.fromhex(
    "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe2465"
    "5141438e7a100b"
)
VERSION = Version(
    model="delay",
    number=3,
    publication="p",
    work="w",
    digest="d",
    format="json",
    files=(
        FileRecord(path="b.json", role=Role.MODEL, sha256="ab" * 32, size=7),
        FileRecord(path="a.bin", role=Role.HOLDOUT, sha256="cd" * 32, size=5),
    ),
    state=State.READY,
    created_at=datetime(2013, 1, 1, tzinfo=UTC),
)


def encoded(material: bytes) -> str:
    return base64.b64encode(material).decode()


HMAC_TEXT, ED25519_TEXT, PUBLIC_TEXT = (
    f"hmac:{encoded(SECRET)}",
    f"ed25519:{encoded(PRIVATE)}",
    f"ed25519-public:{encoded(PUBLIC)}",
)
SIGNERS = pytest.mark.parametrize("text", [HMAC_TEXT, ED25519_TEXT], ids=["hmac", "ed25519"])


# Keys.


@pytest.mark.parametrize(
    "text",
    [
        HMAC_TEXT,
        f"hmac:{SECRET.hex()}",
        f"hmac:{SECRET.hex().upper()}",
        f" {HMAC_TEXT}\n",
        HMAC_TEXT.rstrip("="),
        f"hmac:{base64.urlsafe_b64encode(SECRET).decode()}",
        f"hmac: {base64.encodebytes(SECRET).decode()}",
    ],
)
def test_a_key_is_read_as_people_paste_it(text: str) -> None:
    assert read_key(text).sign(b"message") == hmac.digest(SECRET, b"message", "sha256")


def test_an_ed25519_key_is_that_of_the_standard() -> None:
    private, public = read_key(ED25519_TEXT), read_key(PUBLIC_TEXT)

    assert private.sign(b"") == SIGNATURE_OF_NOTHING
    assert public.verifies(b"", SIGNATURE_OF_NOTHING)
    assert not public.verifies(b"x", SIGNATURE_OF_NOTHING)
    assert private.name == public.name == f"ed25519:{hashlib.sha256(PUBLIC).hexdigest()[:8]}"
    assert (private.can_sign, public.can_sign) == (True, False)


@pytest.mark.parametrize(
    "text",
    [
        *("", "hm", "hmac:", "ed25519:", "secret", "rsa:c2VjcmV0", "hmac:not base64 at all!", "hmac:ä"),
        f"hmac:{encoded(SECRET[:-1])}",
        f"hmac:{SECRET[:-1].hex()}",
        f"ed25519:{encoded(PRIVATE + PUBLIC)}",
        f"ed25519:{encoded(PRIVATE[:-1])}",
        f"ed25519-public:{encoded(PUBLIC[:-1])}",
        encoded(SECRET),
        f"HMAC:{encoded(SECRET)}",
    ],
)
def test_a_text_that_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read_key(text, what="the password of 'exia_default'")

    message = str(refused.value)
    assert message.startswith("the password of 'exia_default' cannot be used: expected 'hmac:' and")
    assert "exia key generate" in message
    material = text.rpartition(":")[2].strip()
    assert len(material) < 3 or material not in message
    assert refused.value.__cause__ is None


def test_no_key_shows_itself() -> None:
    keys = read_keys(ED25519_TEXT, [HMAC_TEXT, PUBLIC_TEXT])

    for shown in (repr(keys), str(keys), f"{keys.signing}", repr(keys.all)):
        for secret in (SECRET, PRIVATE):
            assert repr(secret) not in shown
            assert encoded(secret) not in shown
            assert secret.hex() not in shown


@pytest.mark.parametrize("nothing", [None, "", "  "])
def test_no_key_text_is_no_key(nothing: str | None) -> None:
    keys = read_keys(nothing)

    assert keys == Keys()
    assert not keys.configured


def test_a_public_key_cannot_be_the_one_to_sign_with() -> None:
    with pytest.raises(InvalidInput, match="the signing key is a public key, which cannot sign: give the private key"):
        read_keys(PUBLIC_TEXT)
    with pytest.raises(InvalidInput, match=r"the public key ed25519:\w+ cannot sign"):
        read_key(PUBLIC_TEXT).sign(b"message")


def test_an_accepted_key_that_is_none_is_named_by_its_place() -> None:
    with pytest.raises(InvalidInput, match="accepted key 2 cannot be used"):
        read_keys(None, [PUBLIC_TEXT, "nonsense"])


@pytest.mark.parametrize("algorithm", ["hmac", "ed25519"])
def test_a_generated_key_signs_and_its_public_text_verifies(algorithm: Any) -> None:
    private, public = generate_key(algorithm)
    signed = replace(VERSION, signature=sign(read_key(private), VERSION))

    assert (public is None) == (algorithm == "hmac")
    assert check_signature(read_keys(None, [public or private]), signed)
    assert generate_key(algorithm)[0] != private


# Signatures.


def test_what_is_signed_is_this_very_text() -> None:
    # Every signature that was ever made is over these bytes: another spelling refuses them all.
    assert manifest_of(VERSION) == (
        b'{"files":[{"path":"a.bin","role":"holdout","sha256":"' + b"cd" * 32 + b'","size":5},'
        b'{"path":"b.json","role":"model","sha256":"' + b"ab" * 32 + b'","size":7}],'
        b'"format":"json","model":"delay","number":3}'
    )


def test_a_signature_never_changes_between_versions_of_this_package() -> None:
    mac = hmac.digest(SECRET, manifest_of(VERSION), "sha256")
    name = hmac.digest(SECRET, b"exia key name", "sha256").hex()[:8]

    assert sign(read_key(HMAC_TEXT), VERSION) == f"hmac:{name}:{encoded(mac)}"
    assert sign(read_key(ED25519_TEXT), VERSION) == (
        "ed25519:21fe31df:BMFmyEqOKwfDQyNOvjoVrOFRWVnHity/vlsyuqxUEv19nzI2Li7hMmSMZO85FePsOly2Tw2BvmoXpiZBCieuBA=="
    )


@SIGNERS
def test_a_signed_version_is_accepted_and_said_to_be_verified(text: str) -> None:
    signed = replace(VERSION, signature=sign(read_key(text), VERSION))

    assert check_signature(read_keys(text), signed) is True


def test_without_keys_nothing_is_checked_and_nothing_is_said_to_be_verified() -> None:
    assert check_signature(Keys(), VERSION) is False
    assert check_signature(Keys(), replace(VERSION, signature="nonsense")) is False


@SIGNERS
@pytest.mark.parametrize(
    "changes",
    [
        {"model": "rates"},
        {"number": 4},
        {"format": "raw"},
        {"files": VERSION.files[:1]},
        {"files": (*VERSION.files, FileRecord(path="c", role=Role.OTHER, sha256="00" * 32, size=1))},
        {"files": (replace(VERSION.files[0], path="c.json"), VERSION.files[1])},
        {"files": (replace(VERSION.files[0], sha256="00" * 32), VERSION.files[1])},
        {"files": (replace(VERSION.files[0], size=8), VERSION.files[1])},
        {"files": (replace(VERSION.files[0], role=Role.OTHER), VERSION.files[1])},
    ],
    ids=str,
)
def test_a_signature_holds_to_model_number_format_and_every_file(text: str, changes: dict[str, Any]) -> None:
    changed = replace(VERSION, signature=sign(read_key(text), VERSION), **changes)

    with pytest.raises(SignatureRefused, match="its signature does not fit"):
        check_signature(read_keys(text), changed)


@SIGNERS
def test_the_order_of_files_in_the_document_does_not_matter(text: str) -> None:
    signed = replace(VERSION, signature=sign(read_key(text), VERSION), files=VERSION.files[::-1])

    assert check_signature(read_keys(text), signed)


def test_old_keys_stay_accepted_when_the_signing_key_is_replaced() -> None:
    old = replace(VERSION, signature=sign(read_key(ED25519_TEXT), VERSION))
    new_text, _ = generate_key()

    assert check_signature(read_keys(new_text, [PUBLIC_TEXT]), old)
    with pytest.raises(SignatureRefused, match="signed with ed25519:21fe31df, which is no key that is accepted here"):
        check_signature(read_keys(new_text), old)


def test_two_keys_of_one_name_are_both_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ed25519Key, "name", "ed25519:00000000")
    keys = [generate_key() for _ in range(2)]
    accepted = read_keys(None, [str(public) for _, public in keys])

    for private, _ in keys:
        assert check_signature(accepted, replace(VERSION, signature=sign(read_key(private), VERSION)))


@SIGNERS
@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda _: "", id="empty"),
        pytest.param(lambda signature: signature.rpartition(":")[2], id="no name"),
        pytest.param(lambda signature: f"{signature}\n", id="line break"),
        pytest.param(lambda signature: f"{signature}:more", id="more parts"),
        pytest.param(lambda signature: f"{signature.rpartition(':')[0]}:ä===", id="letters"),
        pytest.param(lambda signature: f"{signature.rpartition(':')[0]}:A", id="no base64"),
    ],
)
def test_a_text_that_is_no_signature_is_refused(text: str, damage: Callable[[str], str]) -> None:
    damaged = replace(VERSION, signature=damage(sign(read_key(text), VERSION)))

    with pytest.raises(SignatureRefused, match="its signature is damaged"):
        check_signature(read_keys(text), damaged)


def test_an_unsigned_version_is_refused_where_keys_are_configured() -> None:
    with pytest.raises(SignatureRefused, match="delay/3 is refused: it is not signed, and keys are configured here"):
        check_signature(read_keys(HMAC_TEXT), VERSION)


@given(st.text(max_size=80) | st.binary(max_size=70).map(lambda made_up: f"ed25519:21fe31df:{encoded(made_up)}"))
def test_no_made_up_signature_is_accepted_or_breaks_the_check(signature: str) -> None:
    with pytest.raises(SignatureRefused):
        check_signature(read_keys(None, [PUBLIC_TEXT]), replace(VERSION, signature=signature))


def test_the_public_key_is_no_hmac_secret() -> None:
    # Who knows only what is public signs with it, and says that the algorithm is the other one.
    forged = sign(read_key(f"hmac:{encoded(PUBLIC)}"), VERSION)
    renamed = f"ed25519:21fe31df:{forged.rpartition(':')[2]}"

    for signature in (forged, renamed):
        with pytest.raises(SignatureRefused):
            check_signature(read_keys(None, [PUBLIC_TEXT]), replace(VERSION, signature=signature))


def test_the_manifest_is_plain_json() -> None:
    assert json.loads(manifest_of(VERSION)).keys() == {"files", "format", "model", "number"}
