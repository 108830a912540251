"""How many are refused of passwords that are put together as people do, and of those that are made by chance."""

from __future__ import annotations

import string
from collections.abc import Callable
from random import Random

import pytest

from server.passwords.policy import PasswordPolicy

NAMES = ("lak.perera@example.com", "Lak Perera")
COUNT = 100

COMMON = """
    dragon monkey shadow master sunshine princess football baseball superman batman pokemon cookie summer flower
    cheese banana orange silver golden purple tigger ginger pepper killer hunter ranger maverick thunder diamond
    freedom chicken computer internet starwars samsung mustang ferrari mercedes porsche yankees lakers cowboys eagles
    chelsea arsenal liverpool barcelona madrid london berlin paris texas america angel heaven jesus lover family
""".split()  # noqa: SIM905
FIRST = """
    michael jennifer david jessica thomas sarah daniel laura robert maria james anna peter julia martin sophie george
""".split()  # noqa: SIM905
LAST = "smith johnson miller mueller schmidt garcia martinez brown wilson taylor anderson thompson walker".split()  # noqa: SIM905
SUBDOMAINS, ENDS = ("www", "mail", "auth", "login", "vpn"), ("com", "org", "de", "local", "co.uk")
COLUMNS = ("1qaz", "2wsx", "3edc", "4rfv", "5tgb", "6yhn")
SHIFTED = str.maketrans("1234567890", "!@#$%^&*()")
LEET = str.maketrans("aeios", "43105")


class Maker:
    """Passwords of one family, the same ones in each run."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed)
        self.one = self.random.choice

    def year(self) -> str:
        return str(self.random.randint(1950, 2026))

    def end(self) -> str:
        return self.one([self.year(), "1", "12", "123", "12345"]) + self.one(["", "!", "!!", "."])

    def joined(self, *words: str) -> str:
        return self.one(["", "-", "_", " ", "."]).join(self.one([word, word.capitalize()]) for word in words)

    def two_words(self) -> str:
        return self.joined(self.one(COMMON), self.one(COMMON)) + self.end()

    def leet(self) -> str:
        return self.joined(self.one(COMMON), self.one(COMMON)).translate(LEET) + self.year()

    def names(self) -> str:
        return self.joined(self.one(FIRST), self.one(LAST)) + self.end()

    def doubled(self) -> str:
        word = self.one(COMMON)
        return f"{word}{self.one(['', '1', '-'])}{word.capitalize()}{self.end()}"

    def love(self) -> str:
        return self.one(["ilove", "ILove", "I love ", "ihate"]) + self.joined(self.one(COMMON)) + self.end()

    def host(self) -> str:
        return f"{self.one(SUBDOMAINS)}.{self.one(COMMON)}.{self.one(ENDS)}{self.one(['', '/', self.year(), ':8080'])}"

    def mail(self) -> str:
        return f"{self.one(FIRST)}.{self.one(LAST)}@{self.one(['gmail.com', 'yahoo.com', 'outlook.com', 'web.de'])}"

    def dates(self) -> str:
        month = self.one(["january", "march", "september", "oktober", "monday", "freitag", "summer", "winter"])
        return self.joined(month, self.one([month, "december", "spring"])) + self.year() + self.one(["", "!", "#1"])

    def keys(self) -> str:
        start = self.random.randint(0, 2)
        columns = [column[:: self.one([1, 1, -1])] for column in COLUMNS[start : start + 4]]
        return "".join(self.one([column, column.upper().translate(SHIFTED)]) for column in columns)

    def word(self) -> str:
        return self.joined(self.one([*COMMON, *FIRST])) + self.end()

    def leet_word(self) -> str:
        return self.one(COMMON).capitalize().translate(LEET) + self.one(["!", "1", "99", "1!"])

    def day(self) -> str:
        return (
            self.one(["summer", "Winter", "March", "Monday"])
            + self.one([self.year(), self.year()[2:]])
            + self.one("!1")
        )


def refused(make: Callable[[Maker], str], min_length: int) -> int:
    """Of `COUNT` that are long enough."""
    policy, maker = PasswordPolicy(min_length, ["Watchword", "my-api"]), Maker(make.__name__)
    made: list[str] = []
    while len(made) < COUNT:
        password = make(maker)
        if len(password) >= min_length:
            made.append(password)
    return sum(bool(policy.problems(password, NAMES)) for password in made)


@pytest.mark.parametrize(
    ("make", "at_least"),
    [(Maker.two_words, 95), (Maker.leet, 70), (Maker.names, 95), (Maker.doubled, 100), (Maker.love, 90),
     (Maker.host, 95), (Maker.mail, 95), (Maker.dates, 95), (Maker.keys, 95)],
)  # fmt: skip
def test_what_people_put_together_is_refused_at_15_characters(make: Callable[[Maker], str], at_least: int) -> None:
    assert refused(make, 15) >= at_least


@pytest.mark.parametrize("make", [Maker.word, Maker.leet_word, Maker.names, Maker.day])
def test_and_at_8(make: Callable[[Maker], str]) -> None:
    assert refused(make, 8) >= 95


@pytest.mark.parametrize("length", [12, 15])
@pytest.mark.parametrize(
    "alphabet",
    [string.ascii_lowercase, string.ascii_letters + string.digits, string.printable[:94], string.hexdigits[:16]],
)
def test_random_characters_are_hardly_ever_refused(alphabet: str, length: int) -> None:
    """Now and then chance makes words of them."""
    random, policy = Random(length), PasswordPolicy(8)
    made = ["".join(random.choices(alphabet, k=length)) for _ in range(2 * COUNT)]
    assert sum(bool(policy.problems(password, NAMES)) for password in made) <= (2 if length < 15 else 0)
