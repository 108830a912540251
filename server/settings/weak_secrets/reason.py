"""Says why a long secret can be guessed.

This is for secrets that people copy from an example or type. Random secrets are not refused, in any form; where chance
matters, a comment gives the probability. Everything works offline.
"""

from __future__ import annotations

import json
import re

from zxcvbn_rs_py import zxcvbn

from server.settings.weak_secrets.patterns import is_pattern
from server.settings.weak_secrets.published import is_published
from server.settings.weak_secrets.spelling import HEXADECIMAL, decoded, plain_text, readings
from server.settings.weak_secrets.writing import is_writing, says_something

# The logarithm (base 10) of the guesses that zxcvbn estimates. It stops at 2^64, which 32 random characters reach, and
# it gets only as many characters as it looks at.
_MINIMUM_GUESSES_LOG10 = 19.0
_ESTIMATED_LENGTH = 72
# Only the beginning of a longer text is checked, since the time to find repetitions grows with the square of the
# length.
_JUDGED_LENGTH = 4096

# A key in PEM or its first line, a JWT, and a placeholder that a shell or a template should have replaced.
_ANOTHER_KIND = re.compile(r"-----BEGIN .*|eyJ[\w-]+\.[\w-]+\.[\w-]*|\$[({].*[)}]|\{\{.*\}\}", re.DOTALL)
# The algorithms of a key in DER: rsaEncryption, id-ecPublicKey (RFC 3279), and id-X25519 to id-Ed448 (RFC 8410).
_KEY_TYPE = re.compile(rb"\*\x86H\x86\xf7\x0d\x01\x01|\*\x86H\xce=\x02\x01|0\x05\x06\x03\+e[n-q]")
# A secret may have words before or after a random part. The part has at least _LEAST_RANDOM characters, and it begins
# or ends at one of the first or last _SIGNS_TRIED signs.
_RANDOM_PART = re.compile(r"[\w+/=!@#$%^&*()-]{32,}", re.ASCII)
_LEAST_RANDOM = 32
_SIGNS_TRIED = 20

_PUBLISHED = "it is one of those that are published, in examples and elsewhere"
_LANGUAGE = "it reads like words, or like a placeholder"
_PATTERN = "it is a pattern"
_KIND = "it is a key, a token, JSON or a template, and no secret"


def reason_to_guess(text: str) -> str | None:
    """Why a secret of 32 bytes or more can be guessed, in words; None if it can't."""
    # Bytes of the environment that are not UTF-8 arrive as lone surrogates.
    whole = text[:_JUDGED_LENGTH].encode("utf-8", "replace").decode()
    reason = plain_reason(whole)
    if reason is None and _is_easy(whole):
        return _PATTERN
    return reason


def plain_reason(text: str) -> str | None:
    """The same as `reason_to_guess`, but without the estimate of zxcvbn, which takes ten times as long."""
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
    """Whether a part of at least 32 characters would be a good secret alone and does not look like words."""
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
