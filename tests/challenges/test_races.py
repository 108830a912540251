"""Everything at the same moment, at two nodes: no more codes are looked at, and nothing is used twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from server.challenges.digests import ChallengeDigests
from server.challenges.model import CODES, NewChallenge, Purpose
from server.repositories import Repositories
from tests.challenges.making import BROWSER, Made, address, made_on, other_than
from tests.records import id_of
from tests.stores import OpenStore

TIMES = 50


@pytest.fixture
async def nodes(store: Repositories, open_another: OpenStore) -> Sequence[Made]:
    """On SQLite too: a command, such as a second server before it is refused, writes beside the server."""
    return [await made_on(store), await made_on(await open_another())]


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The codes that are compared, by all nodes."""
    compared: list[str] = []
    digest = ChallengeDigests.code

    def watched(self: ChallengeDigests, purpose: Purpose, challenge_id: str, code: str) -> bytes:
        compared.append(code)
        return digest(self, purpose, challenge_id, code)

    monkeypatch.setattr(ChallengeDigests, "code", watched)
    return compared


def ways(new: NewChallenge) -> list[dict[str, Any]]:
    """How a code for it may be sent: with the link, and without."""
    purpose = new.challenge.purpose
    without: dict[Purpose, dict[str, Any]] = {
        Purpose.CONFIRM_EMAIL: {"email_key": address(1)},
        Purpose.RESET_PASSWORD: {"user_id": id_of(1)},
        Purpose.SIGN_IN: {"challenge_id": new.challenge.id},
    }
    return [{"token": new.token}, without[purpose]]


async def at_once(nodes: Sequence[Made], purpose: Purpose, codes: Sequence[str], **given: Any) -> Counter[str]:
    """Each from another client."""
    calls = [
        nodes[n % len(nodes)].outcome(purpose, code=code, address=f"192.0.2.{n}", **given)
        for n, code in enumerate(codes)
    ]
    return Counter(await asyncio.gather(*calls))


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_of_50_wrong_codes_at_once_10_are_looked_at(
    nodes: Sequence[Made], looked_at: list[str], purpose: Purpose
) -> None:
    """ASVS 5.0, 6.6.3: throttled before they are compared."""
    new = await nodes[0].make(purpose)
    for given in ways(new):
        looked_at.clear()
        assert await at_once(nodes, purpose, [other_than(new.code)] * TIMES, **given) == {"code": TIMES}
        assert len(looked_at) == CODES
        assert await nodes[1].outcome(purpose, code=new.code, **given) == "code"
        assert len(looked_at) == CODES
    assert await nodes[1].outcome(purpose, token=new.token, browser=BROWSER) == new.challenge.id


async def test_wrong_codes_at_once_do_not_keep_out_who_has_the_mail(
    nodes: Sequence[Made], looked_at: list[str]
) -> None:
    new = await nodes[0].make(Purpose.SIGN_IN)
    _, without_link = ways(new)
    owner = nodes[1].outcome(Purpose.SIGN_IN, token=new.token, code=new.code, address="198.51.100.1")
    outcomes = at_once(nodes, Purpose.SIGN_IN, [other_than(new.code)] * TIMES, **without_link)
    found, refused = await asyncio.gather(owner, outcomes)
    assert (found, refused) == (new.challenge.id, {"code": TIMES})
    assert Counter(looked_at) == {other_than(new.code): CODES, new.code: 2}


async def test_right_codes_at_once_are_used_once(nodes: Sequence[Made]) -> None:
    for purpose in Purpose:
        new = await nodes[0].make(purpose)
        assert Counter(await asyncio.gather(*(nodes[n % 2].use(new) for n in range(TIMES)))) == {
            True: 1,
            False: TIMES - 1,
        }


async def test_of_resets_made_at_once_one_stays_open(nodes: Sequence[Made]) -> None:
    """OWASP Forgot Password Cheat Sheet: a link that was asked for again does not keep the older ones alive."""
    made = await asyncio.gather(*(nodes[n % 2].make(Purpose.RESET_PASSWORD) for n in range(20)))
    outcomes = [await nodes[0].outcome(Purpose.RESET_PASSWORD, token=new.token, browser=BROWSER) for new in made]
    assert outcomes.count("link") == len(made) - 1


async def test_a_new_password_ends_what_is_made_at_the_same_moment_or_before(nodes: Sequence[Made]) -> None:
    """Whatever was in the store before the password was set is over."""
    before = [await nodes[0].make(purpose) for purpose in (Purpose.RESET_PASSWORD, Purpose.SIGN_IN)]
    used, _ = await asyncio.gather(asyncio.gather(*(nodes[0].use(new) for new in before)), nodes[1].end_all(1))
    assert len(used) == len(before)
    assert [await nodes[1].use(new) for new in before] == [False, False]
    for new in before:
        assert await nodes[1].outcome(new.challenge.purpose, token=new.token, browser=BROWSER) == "link"
