"""Reads the JSON of `firebase auth:export`: one object whose `users` is a list of accounts.

The list may be long, so it is read account by account. It lacks the password hash parameters of the project, so these
are read from another text, in the form that the Firebase console shows.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count
from typing import Any, BinaryIO

from server.core.clock import rfc3339
from server.core.errors import FileRefused
from server.emails.address import address_key
from server.passwords.encoding import decoded
from server.passwords.firebase import FirebaseParameters
from server.users.transfer.lines import LINE_BYTES, Record
from server.users.transfer.row import RowRefused

_CHUNK_BYTES = 1 << 16
_START = re.compile(r'\s*\{\s*"users"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")
_END = re.compile(r"\]\s*\}\s*")
_PARAMETER = re.compile(r'\b(\w+)"?\s*[:=]\s*"?([\w+/=-]+)', re.ASCII)
# 9999-12-31
_LAST_TIME_MS = 253_402_214_400_000


def read_hash_config(text: str) -> FirebaseParameters:
    """The `hash_config { … }` of a project, with or without JSON's quotes. The ValueError it raises has no values."""
    found = dict(_PARAMETER.findall(text))
    if found.get("algorithm", "SCRYPT") != "SCRYPT":
        raise ValueError("the hash parameters are of another algorithm than SCRYPT")
    try:
        parameters = FirebaseParameters(
            signer_key=decoded(found["base64_signer_key"]),
            salt_separator=decoded(found.get("base64_salt_separator", "")),
            rounds=int(found["rounds"]),
            mem_cost=int(found["mem_cost"]),
        )
    except (KeyError, ValueError):
        raise ValueError(
            "the hash parameters have to name base64_signer_key, base64_salt_separator, rounds and mem_cost"
        ) from None
    return parameters


def read_firebase(file: BinaryIO, parameters: FirebaseParameters) -> Iterator[Record]:
    """A record for each account, with its number and its first line. Raises FileRefused for a file of another kind."""
    text = _Text(file)
    text.more()
    if not text.skip(_START):
        raise FileRefused('the file is no export of Firebase in JSON, which begins with {"users": [')
    decoder = json.JSONDecoder()
    for number in count(1):
        text.skip(_BETWEEN)
        if text.starts_with("]"):
            if not text.at_end(_END):
                yield Record(text.line, {}, "there is more behind the list of users")
            return
        line = text.line
        try:
            user = text.take_value(decoder)
        except (ValueError, RecursionError):
            # After damaged JSON nobody can tell where the next account begins.
            yield Record(line, {}, "the file ends here, or is no JSON from here on; nothing behind this line was read")
            return
        yield replace(_record(line, user, parameters), user=number)


class _Text:
    """A window on the text of a file, with the number of the line at its start."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text = ""
        self._ended = False
        self.line = 1

    def more(self) -> bool:
        """Read the next chunk. Returns False at the end of the file. Raises FileRefused."""
        chunk = self._file.read(_CHUNK_BYTES)
        try:
            self._text += self._decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError:
            raise FileRefused("the file is not UTF-8") from None
        self._ended = not chunk
        return not self._ended

    def skip(self, pattern: re.Pattern[str]) -> bool:
        """Skip the match of the pattern at this place, and read more text as long as the match goes on."""
        found = pattern.match(self._text)
        while found is not None and found.end() == len(self._text) and self.more():
            found = pattern.match(self._text)
        if found is None:
            return False
        self._drop(found.end())
        return True

    def starts_with(self, text: str) -> bool:
        return self._text.startswith(text)

    def at_end(self, pattern: re.Pattern[str]) -> bool:
        """Whether the pattern matches the whole rest of the file. The rest has to be shorter than a chunk."""
        while len(self._text) < _CHUNK_BYTES and self.more():
            pass
        return pattern.fullmatch(self._text) is not None

    def take_value(self, decoder: json.JSONDecoder) -> Any:
        """The JSON value at this place. Raises ValueError if there is none, or it is longer than 1 MiB."""
        while True:
            try:
                value, end = decoder.raw_decode(self._text)
            except json.JSONDecodeError:
                if len(self._text) > LINE_BYTES or not self.more():
                    raise
            else:
                self._drop(end)
                return value

    def _drop(self, end: int) -> None:
        self.line += self._text.count("\n", 0, end)
        self._text = self._text[end:]


def _record(line: int, user: Any, parameters: FirebaseParameters) -> Record:
    if not isinstance(user, dict):
        return Record(line, {}, "the user is no JSON object")
    fields: dict[str, Any] = {
        "username": user.get("email"),
        "name": user.get("displayName") or user.get("email"),
        "disabled": user.get("disabled", False),
    }
    if isinstance(fields["username"], str) and address_key(fields["username"]) is not None:
        fields |= {"email": fields["username"], "email_verified": user.get("emailVerified", False)}
    if not fields["username"]:
        return Record(line, {"username": user.get("localId")}, "the user has no email to log in with")
    try:
        fields["created_at"] = _time(user, "createdAt")
        fields["last_login_at"] = _time(user, "lastSignedInAt")
        fields["password_hash"] = _password_hash(user, parameters)
    except RowRefused as refused:
        return Record(line, fields, str(refused))
    return Record(line, {name: value for name, value in fields.items() if value is not None})


def _time(user: Mapping[str, Any], member: str) -> str | None:
    """The time of a member. Firebase writes milliseconds, as text."""
    value = user.get(member)
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,15}", str(value)) or int(value) > _LAST_TIME_MS:
        raise RowRefused(f"{member} is no time in milliseconds")
    return rfc3339(int(value))


def _password_hash(user: Mapping[str, Any], parameters: FirebaseParameters) -> str | None:
    made, salt = user.get("passwordHash"), user.get("salt")
    if not made:
        return None
    if not isinstance(made, str) or not isinstance(salt, str):
        raise RowRefused("the password hash has no salt, or is no text")
    try:
        return parameters.text_form(salt, made)
    except ValueError:
        raise RowRefused("the password hash or its salt is not base64") from None
