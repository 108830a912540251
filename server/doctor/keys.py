"""The keys of the server: whether the master key opens them, and which one signs."""

from __future__ import annotations

from collections.abc import Sequence

from server.core.clock import rfc3339
from server.core.errors import StoreRefused
from server.doctor.model import Case, Finding, note, ok, refused, warning, wrong
from server.keys.keyring import Keyring, KeyState
from server.keys.master_key_file import master_key_path, read_keys
from server.keys.model import KeyRecord
from server.keys.repository import KeyRepository
from server.keys.rotation import WHEN_ASKED, in_force
from server.keys.sealing import MasterKey
from server.policies import rotation_policy
from server.settings.secrets import texts
from watchword_client.keys import SHARED

TOPIC = "keys"


async def keys(case: Case, repository: KeyRepository) -> list[Finding]:
    """The master key, and what signs now and next. Raises StoreUnavailable."""
    records = await repository.list_keys()
    if not records:
        return [note(TOPIC, "there are none yet: the first start of a server makes them")]
    return [*_master_key(case, [record for record in records if record.sealed]), *_signing(case, records)]


async def published(case: Case, repository: KeyRepository) -> frozenset[str]:
    """The names of the keys that are in the JWKS now. Raises StoreUnavailable."""
    ring = rotation_policy(case.settings).keyring(await repository.list_keys())
    return frozenset(str(key["kid"]) for key in ring.jwks(case.clock.now_ms())["keys"])


def _master_key(case: Case, sealed: Sequence[KeyRecord]) -> list[Finding]:
    path = master_key_path(case.settings)
    where = "keys.master_key" if path is None else str(path)
    try:
        secrets = texts(case.settings.keys.master_key) if path is None else read_keys(path)
        MasterKey(secrets, case.ids).require_opens(sealed)
    except StoreRefused as error:
        return [refused(TOPIC, error)]
    findings = [ok(TOPIC, f"the master key in {where} opens all {len(sealed)} keys of the store")]
    if len(secrets) > 1:
        try:
            MasterKey(secrets[:1], case.ids).require_opens(sealed)
        except StoreRefused:
            text = f"some keys are still sealed under an older one of the {len(secrets)} master keys in {where}"
            findings.append(warning(TOPIC, text, "`keys rewrap`, then take the older ones out"))
        else:
            text = f"the first of the {len(secrets)} master keys in {where} opens all keys"
            findings.append(note(TOPIC, text, "take the others out"))
    return findings


def _signing(case: Case, records: Sequence[KeyRecord]) -> list[Finding]:
    policy, now = rotation_policy(case.settings), case.clock.now_ms()
    wanted, used = policy.algorithm, in_force(records, policy, now).algorithm
    ring = policy.keyring(records)
    findings = []
    if used != wanted:
        text = f"tokens are signed by {used}, and tokens.algorithm is {wanted}"
        findings.append(warning(TOPIC, text, "restart the server, or run: config reload"))
    elif wanted == SHARED:
        count = len(case.settings.tokens.secret)
        findings.append(
            ok(TOPIC, f"HS256: the first of {count} secrets in tokens.secret signs, and no key is published")
        )
    else:
        findings += _rotation(ring, now)
    revoked = [record.kid for record in ring.records if ring.state(record, now) is KeyState.REVOKED]
    if revoked:
        findings.append(note(TOPIC, f"revoked, and not forgotten yet: {', '.join(revoked)}"))
    return findings


def _rotation(ring: Keyring, now: int) -> list[Finding]:
    record = ring.signing_record(now)
    if record is None and not ring.records:
        return [note(TOPIC, "no key signs yet: the first start of a server makes it")]
    if record is None:
        return [wrong(TOPIC, "there is no key that signs", "restart the server: its start makes one")]
    findings = [ok(TOPIC, f"{record.kid} ({record.algorithm}) signs since {rfc3339(record.activates_at)}")]
    following = [later for later in ring.chain() if later.activates_at > now]
    if not following:
        text = "there is no next key, which a running server makes within a minute"
        return [*findings, note(TOPIC, text)]
    at = following[0].activates_at
    when = "when asked (keys rotate)" if at >= WHEN_ASKED else f"from {rfc3339(at)} on"
    return [*findings, ok(TOPIC, f"{following[0].kid} is next, {when}")]
