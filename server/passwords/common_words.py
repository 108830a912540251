"""Common parts of passwords that neither the list nor zxcvbn finds: words, phrases, dates, rows of keys.

The lists are short: whole common passwords are in the list of the library. Words are in lower case, without spaces and
accents.
"""

from __future__ import annotations

import re

from server.passwords.letters import letters, words

_WORDS = words("""
    password passwort passwd kennwort wachtwoord motdepasse contrasena senha пароль
    welcome willkommen bienvenue bienvenido welkom hello login admin changeme letmein default
    secret secure strong super geheim thisisa thisis iloveyou
    spring summer autumn winter sommer herbst fruhling fruehling
    january february march april august september october november december
    januar februar juni juli oktober dezember monday tuesday wednesday thursday friday saturday sunday
    montag dienstag mittwoch donnerstag freitag samstag sonntag
    google facebook youtube amazon wikipedia
""")

_PHRASES = """
    to be or not to be / that is the question / the quick brown fox / jumps over the lazy dog
    lorem ipsum / dolor sit amet / once upon a time / in the beginning / god created the heaven and the earth
    all work and no play / makes jack a dull boy / never gonna give you up / our father who art in heaven
    four score and seven years ago / it was the best of times / it was the worst of times
    ask not what your country can do for you / we the people of the united states
    we hold these truths to be self evident / an apple a day / keeps the doctor away
    a penny saved is a penny earned / the early bird catches the worm
    roses are red / violets are blue / twinkle twinkle little star / how i wonder what you are
    mary had a little lamb / jack and jill went up the hill / row row row your boat / may the force be with you
    may the odds be ever in your favor / luke i am your father / houston we have a problem / elementary my dear watson
    pack my box with five dozen liquor jugs / portez ce vieux whisky / liberte egalite fraternite
    sein oder nichtsein / das ist hier die frage / je pense donc je suis / theres no place like home
""".replace("\n", "/").split("/")

# The longest first: "thisisa" before "thisis".
_PIECES = sorted({*_WORDS, *filter(None, map(letters, _PHRASES))}, key=len, reverse=True)

# Small words of sentences. They are removed only to count the rest of a password, since other words contain them too.
SMALL_WORDS = sorted(
    words("""
        ilove ilike ihate iam iwant ineed welove mylove the are was has you and but for not she his her our your with
        this that all best one love like hate want need always never forever
    """),
    key=len,
    reverse=True,
)

# Rows of keyboards for English, German, French, Spanish, Russian, Ukrainian, and Greek.
_ROWS = words("""
    qwertyuiop asdfghjkl zxcvbnm qwertzuiopü asdfghjklöä yxcvbnm azertyuiop qsdfghjklmù wxcvbn asdfghjklñ
    йцукенгшщзхъ фывапролджэ ячсмитьбю йцукенгшщзхї фівапролджє ςερτυθιοπ ασδφγηξκλ ζχψωβνμ
""")
# Keys in columns, and similar movements of the fingers.
_COLUMNS = words("""
    1234567890 1qaz2wsx3edc4rfv5tgb6yhn7ujm8ik9ol0p zaq1xsw2cde3vfr4bgt5nhy6mju7ki8lo9p0 1qazxsw23edcvfr45tgbnhy67ujm
    qazwsxedcrfvtgbyhnujmikolp 1q2w3e4r5t6y7u8i9o0p 123qweasdzxcv 1234qwerasdfzxcv
""")
_KEYS = 4
_STRETCHES = {
    row[start : start + _KEYS]
    for way in (*_ROWS, *_COLUMNS)
    for row in (way, way[::-1])
    for start in range(len(row) - _KEYS + 1)
}  # fmt: skip

_YEAR, _MONTH, _DAY = "(?:19|20)[0-9]{2}", "(?:0[1-9]|1[0-2])", "(?:0[1-9]|[12][0-9]|3[01])"
DATE = re.compile(f"{_YEAR}{_MONTH}{_DAY}|{_DAY}{_MONTH}{_YEAR}|{_MONTH}{_DAY}{_YEAR}|{_YEAR}")


def without(text: str, pieces: list[str]) -> str:
    """The text with a space in place of each piece."""
    for piece in pieces:
        text = text.replace(piece, " ")
    return text


def without_common(text: str) -> str:
    """Letters and digits with a space in place of each common word, phrase, and part of a row of keys."""
    return _without_stretches(without(text, _PIECES))


def without_date(text: str) -> str:
    """Letters and digits with a space in place of the first date or year of our time."""
    return DATE.sub(" ", text, count=1)


def _without_stretches(text: str) -> str:
    starts = [start for start in range(len(text)) if text[start : start + _KEYS] in _STRETCHES]
    keys = {start + offset for start in starts for offset in range(_KEYS)}
    marked = "".join("\0" if place in keys else character for place, character in enumerate(text))
    return re.sub("\0+", " ", marked) if keys else text
