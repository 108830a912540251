"""The ids of sessions that have ended, and until when each is remembered, in little memory: a million takes 45 MB.

A dict from text to int would take 200 MB. Here a bucket has all ids with the same last four digits, as bytes, one after
the other. Those digits are random, so all buckets are about as large. Whole ids are compared, so the answer is exact.
"""

from __future__ import annotations

import struct

from server.core.ids import bytes_of_id

# An entry is an id of 16 bytes and a time (epoch ms) of 8. Each of these has two decimal digits of the time, since a
# database writes those in half the time of hexadecimal ones; they compare as the times do.
_ID = 16
_ENTRY = 24
# An entry, and the number of its bucket.
_WHOLE = struct.Struct(f"{_ENTRY}s")
_NUMBER = struct.Struct(f">{_ID - 2}xH{_ENTRY - _ID}x")
# With this, each time has as many digits. No time is later than the year 33658.
TIME_BASE = 10**15
# The text of an entry: an id with its dashes, and the digits of the time with TIME_BASE.
_TEXT = 52
_DASHES = (8, 13, 18, 23)
# How many buckets `forget` looks at in one call: about a millisecond's work if a million sessions have ended.
_LOOKED_AT = 512


class EndedSessions:
    """A map from the id of a session to the time until which it is remembered."""

    def __init__(self) -> None:
        # By the last four digits.
        self._buckets: dict[str, bytes] = {}
        # Ids that are no UUIDs in lower case. This server makes none.
        self._others: dict[str, int] = {}
        self._to_look_at: list[str] = []

    def __len__(self) -> int:
        return sum(map(len, self._buckets.values())) // _ENTRY + len(self._others)

    def __contains__(self, session_id: str) -> bool:
        bucket = self._buckets.get(session_id[-4:])
        if bucket is None:
            return session_id in self._others
        key = _key(session_id)
        return session_id in self._others if key is None else _place(bucket, key) >= 0

    def add(self, session_id: str, forget_at: int) -> None:
        """Remember an id until then, or longer if that was said before."""
        key = _key(session_id)
        if key is None or key[-2:].hex() != session_id[-4:]:
            self._others[session_id] = max(forget_at, self._others.get(session_id, forget_at))
            return
        self.add_packed(key + _time(forget_at))

    def add_packed(self, entries: bytes) -> None:
        """The same for many at once, as `packed_entries` returns them."""
        for start in range(0, len(entries), _ENTRY):
            entry = entries[start : start + _ENTRY]
            digits = entry[_ID - 2 : _ID].hex()
            bucket = self._buckets.get(digits)
            if bucket is None:
                self._buckets[digits] = entry
                continue
            place = _place(bucket, entry[:_ID])
            if place < 0:
                self._buckets[digits] = bucket + entry
            elif bucket[place : place + _ENTRY] < entry:
                self._buckets[digits] = bucket[:place] + entry + bucket[place + _ENTRY :]

    def add_gathered(self, gathered: GatheredSessions) -> None:
        """The same for all that was gathered."""
        for number, entries in enumerate(gathered.buckets):
            if entries:
                digits = f"{number:04x}"
                if digits in self._buckets:
                    self.add_packed(entries)
                else:
                    self._buckets[digits] = entries

    def forget(self, now: int) -> None:
        """Forget what is not to be remembered any more. Each call looks at a part, the next one at the next part."""
        if not self._to_look_at:
            self._to_look_at = list(self._buckets)
            self._others = {session_id: until for session_id, until in self._others.items() if until > now}
        spent = _time(now)
        for digits in self._to_look_at[-_LOOKED_AT:]:
            bucket = self._buckets[digits]
            entries = [bucket[start : start + _ENTRY] for start in range(0, len(bucket), _ENTRY)]
            # Of the same length, so they compare as their numbers do.
            kept = [entry for entry in entries if entry[_ID:] > spent]
            if not kept:
                del self._buckets[digits]
            elif len(kept) < len(entries):
                self._buckets[digits] = b"".join(kept)
        del self._to_look_at[-_LOOKED_AT:]


class GatheredSessions:
    """What a start reads, in a third of the time of EndedSessions.add_packed: nothing is looked for, nor left out.

    So an id that comes twice is there twice. This takes room, and changes no answer.
    """

    def __init__(self) -> None:
        self.buckets = [b""] * 65536

    def add_packed(self, entries: bytes) -> None:
        """Add entries as `packed_entries` returns them."""
        buckets = self.buckets
        for (number,), (entry,) in zip(_NUMBER.iter_unpack(entries), _WHOLE.iter_unpack(entries), strict=True):
            buckets[number] += entry


def packed_entries(text: str) -> bytes | None:
    """The entries of a text: each is an id in lower case with its dashes, and then its time (epoch ms) plus TIME_BASE.

    None if a part of it is something else, such as an id that is no UUID.
    """
    count, rest = divmod(len(text), _TEXT)
    digits = text.replace("-", "")
    if rest or len(digits) != 2 * _ENTRY * count or digits != digits.lower():
        return None
    if any(text[place::_TEXT] != "-" * count for place in _DASHES):
        return None
    try:
        entries = bytes.fromhex(digits)
    except ValueError:
        return None
    # White space is left out by `fromhex`.
    return entries if len(entries) == _ENTRY * count else None


def _time(at: int) -> bytes:
    return bytes.fromhex(str(TIME_BASE + min(max(at, 0), TIME_BASE - 1)))


def _key(session_id: str) -> bytes | None:
    try:
        key = bytes_of_id(session_id)
    except ValueError:
        return None
    return key if len(key) == _ID else None


def _place(bucket: bytes, key: bytes) -> int:
    """Where the entry of that id begins; -1 if there is none."""
    place = bucket.find(key)
    while place % _ENTRY and place >= 0:
        # The end of an entry and the beginning of the next one look like it.
        place = bucket.find(key, place + 1)
    return place
