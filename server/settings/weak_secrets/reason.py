"""Why a secret can be guessed though it is long.

Made for people who copy a secret from an example, or type one. What was drawn at random is not refused, in whatever
form it is written; the odds are told where they are not plain. All of it works offline.
"""

from __future__ import annotations

import json
import re

from zxcvbn_rs_py import zxcvbn

from server.settings.weak_secrets.patterns import is_pattern
from server.settings.weak_secrets.published import is_published
from server.settings.weak_secrets.spelling import HEXADECIMAL, decoded, plain_text, readings
from server.settings.weak_secrets.writing import is_writing, says_something

# Powers of ten of guesses, as zxcvbn estimates them. It stops at 2^64, which 32 random characters reach, and is given
# no more than it looks at.
_MINIMUM_GUESSES_LOG10 = 19.0
_ESTIMATED_LENGTH = 72
# What is longer is judged by its beginning. Looking for what repeats takes time by the square of the length.
_JUDGED_LENGTH = 4096

# A key in PEM, or its first line alone, a JWT, and what a shell or a template should have replaced.
_ANOTHER_KIND = re.compile(r"-----BEGIN .*|eyJ[\w-]+\.[\w-]+\.[\w-]*|\$[({].*[)}]|\{\{.*\}\}", re.DOTALL)
# In a key in DER: rsaEncryption, id-ecPublicKey (RFC 3279), and id-X25519 to id-Ed448 (RFC 8410) as algorithms.
_KEY_TYPE = re.compile(rb"\*\x86H\x86\xf7\x0d\x01\x01|\*\x86H\xce=\x02\x01|0\x05\x06\x03\+e[n-q]")
# Behind words, or before them, there may be a random part. It is looked for at so many signs from the end.
_RANDOM_PART = re.compile(r"[\w+/=!@#$%^&*()-]{32,}", re.ASCII)
_LEAST_RANDOM = 32
_SIGNS_TRIED = 20

_PUBLISHED = "it is one of those that are published, in examples and elsewhere"
_LANGUAGE = "it reads like words, or like a placeholder"
_PATTERN = "it is a pattern"
_KIND = "it is a key, a token, JSON or a template, and no secret"


def reason_to_guess(text: str) -> str | None:
    """Why somebody would guess it, in words; None if there is no reason. It has 32 bytes or more."""
    # Bytes of the environment that are not UTF-8 arrive as half characters.
    whole = text[:_JUDGED_LENGTH].encode("utf-8", "replace").decode()
    reason = plain_reason(whole)
    if reason is None and _is_easy(whole):
        return _PATTERN
    return reason


def plain_reason(text: str) -> str | None:
    """The same without the estimate of zxcvbn, which takes ten times as long."""
    for said in readings(text):
        if is_published(said):
            return _PUBLISHED
        if _is_another_kind(said):
            return _KIND
        if is_writing(said) and not _has_random_part(said):
            return _LANGUAGE
        if is_pattern(said):
            return _PATTERN
    return None


def _is_another_kind(text: str) -> bool:
    if _ANOTHER_KIND.fullmatch(text) or any(_KEY_TYPE.search(raw[:40]) for raw in decoded(text)):
        return True
    try:
        return isinstance(json.loads(text), dict | list) and not _has_random_part(text)
    except (ValueError, RecursionError):
        return False


def _has_random_part(text: str) -> bool:
    """Whether a part of 32 characters or more, between words and signs, would do alone and does not look like words."""
    for run in _RANDOM_PART.findall(text):
        signs = [place for place, character in enumerate(run) if not character.isalnum()]
        parts = {run, *(run[place + 1 :] for place in signs[:_SIGNS_TRIED])}
        parts |= {run[:place] for place in signs[-_SIGNS_TRIED:]}
        if any(_is_random(part) for part in parts if len(part) >= _LEAST_RANDOM):
            return True
    return False


def _is_random(part: str) -> bool:
    plain = plain_text(part)
    if not HEXADECIMAL.fullmatch(plain) and says_something(plain, 0):
        return False
    return not is_pattern(part) and not _is_easy(part)


def _is_easy(text: str) -> bool:
    return zxcvbn(text[:_ESTIMATED_LENGTH]).guesses_log10 < _MINIMUM_GUESSES_LOG10
