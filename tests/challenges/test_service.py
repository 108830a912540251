"""What opens a challenge, and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from server.challenges.model import AHEAD_MS, CODES, OPEN, Purpose
from server.repositories import Repositories
from tests.challenges.making import BROWSER, Made, address, made_on, other_than
from tests.clock import FakeClock
from tests.records import NOW, delete_user, id_of, set_password

OTHER_BROWSER = "c" * 43


@pytest.fixture
async def made(store: Repositories) -> Made:
    return await made_on(store)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_the_link_works_alone_in_the_browser_that_asked(made: Made, purpose: Purpose) -> None:
    new = await made.make(purpose)
    assert await made.outcome(purpose, token=new.token, browser=BROWSER) == new.challenge.id
    assert await made.outcome(purpose, token=new.token, browser=BROWSER, code="whatever") == new.challenge.id


@pytest.mark.parametrize("browser", [OTHER_BROWSER, None, ""])
@pytest.mark.parametrize("purpose", list(Purpose))
async def test_in_another_browser_the_link_needs_the_code(made: Made, purpose: Purpose, browser: str | None) -> None:
    new = await made.make(purpose)
    given: dict[str, Any] = {"token": new.token, "browser": browser}
    assert await made.outcome(purpose, **given) == "required"
    assert await made.outcome(purpose, **given, code=other_than(new.code)) == "code"
    assert await made.outcome(purpose, **given, code=new.code) == new.challenge.id


async def test_if_no_browser_has_asked_each_one_needs_the_code(made: Made) -> None:
    new = await made.make(Purpose.CONFIRM_EMAIL, browser=None)
    for browser in (BROWSER, None, ""):
        assert await made.outcome(Purpose.CONFIRM_EMAIL, token=new.token, browser=browser) == "required"


async def test_the_digest_of_the_browser_is_as_good_as_its_cookie(made: Made) -> None:
    digest = made.challenges.browser_digest(BROWSER)
    new = await made.make(Purpose.RESET_PASSWORD, browser=None, browser_digest=digest)
    assert await made.outcome(Purpose.RESET_PASSWORD, token=new.token, browser=BROWSER) == new.challenge.id
    assert await made.outcome(Purpose.RESET_PASSWORD, token=new.token, browser=OTHER_BROWSER) == "required"


def named(number: int) -> dict[Purpose, dict[str, str]]:
    """How a code is given for each purpose, without a link."""
    return {
        Purpose.CONFIRM_EMAIL: {"email_key": address(number)},
        Purpose.RESET_PASSWORD: {"user_id": id_of(number)},
        Purpose.SIGN_IN: {},
    }


async def with_code(made: Made, purpose: Purpose, code: str, challenge_id: str, number: int = 1) -> str:
    given = named(number)[purpose] or {"challenge_id": challenge_id}
    return await made.outcome(purpose, **given, code=code)


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_the_code_works_without_the_link(made: Made, purpose: Purpose) -> None:
    new = await made.make(purpose)
    assert await with_code(made, purpose, other_than(new.code), new.challenge.id) == "code"
    assert await with_code(made, purpose, new.code, new.challenge.id) == new.challenge.id
    assert await with_code(made, purpose, new.code.lower().replace("-", " "), new.challenge.id) == new.challenge.id


async def test_a_right_one_is_used_once(made: Made) -> None:
    new = await made.make(Purpose.SIGN_IN)
    assert await made.use(new)
    assert not await made.use(new)
    assert await made.outcome(Purpose.SIGN_IN, token=new.token, browser=BROWSER) == "link"
    assert await made.outcome(Purpose.SIGN_IN, challenge_id=new.challenge.id, code=new.code) == "code"


@pytest.mark.parametrize("purpose", list(Purpose))
@pytest.mark.parametrize("other", list(Purpose))
async def test_it_is_for_its_purpose_only(made: Made, purpose: Purpose, other: Purpose) -> None:
    new = await made.make(purpose)
    expected = new.challenge.id if other is purpose else "code"
    for given in ({"challenge_id": new.challenge.id}, {"user_id": id_of(1)}, {"email_key": address(1)}):
        assert await made.outcome(other, **given, code=new.code) == expected
    expected = new.challenge.id if other is purpose else "link"
    assert await made.outcome(other, token=new.token, browser=BROWSER) == expected


@pytest.mark.parametrize("browser", [BROWSER, OTHER_BROWSER, "n" * 43, None])
async def test_a_browser_confirms_only_for_whom_it_has_asked(made: Made, browser: str | None) -> None:
    """CWE-451: two accounts ask for a mail to one address, and their codes are taken for each other."""
    asked: dict[str, dict[str, Any]] = {
        "own": {"browser": BROWSER},
        "own on the phone": {"browser": "p" * 43},
        "a stranger's": {"number": 2, "browser": OTHER_BROWSER},
    }
    new = {who: await made.make(Purpose.CONFIRM_EMAIL, email=address(1), **fields) for who, fields in asked.items()}
    confirmed = {
        who
        for who, one in new.items()
        for given in [{"email_key": address(1), "code": one.code, "browser": browser}]
        if await made.outcome(Purpose.CONFIRM_EMAIL, **given) == one.challenge.id
    }
    of_the_browser = {BROWSER: {"own", "own on the phone"}, OTHER_BROWSER: {"a stranger's"}}
    assert confirmed == of_the_browser.get(browser or "", set(new))


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_a_code_is_for_its_challenge_only(made: Made, purpose: Purpose) -> None:
    """Another user has a challenge of the same kind."""
    mine, theirs = await made.make(purpose, 1), await made.make(purpose, 2)
    assert await with_code(made, purpose, theirs.code, mine.challenge.id, 1) == "code"
    assert await with_code(made, purpose, mine.code, theirs.challenge.id, 2) == "code"
    for token, code in ((mine.token, theirs.code), (theirs.token, mine.code)):
        assert await made.outcome(purpose, token=token, code=code) == "code"


@pytest.mark.parametrize(
    "given",
    [
        {"token": ""},
        {"token": "wwf_"},
        {"token": "wwf_\ud800\0"},
        {"token": "x" * 100_000},
        {"user_id": None, "code": "2345-6789"},
        {"user_id": None},
        {"challenge_id": "", "code": "2345-6789"},
        {"challenge_id": "\0'; DROP TABLE challenges", "code": "2345-6789"},
        {"challenge_id": id_of(77), "code": "2345-6789"},
        {"email_key": "nobody@example.com", "code": "\ud800\0" + "ﷺ" * 100_000},
    ],
)
@pytest.mark.parametrize("purpose", list(Purpose))
async def test_what_is_none_is_refused(made: Made, purpose: Purpose, given: dict[str, Any]) -> None:
    await made.make(purpose)
    assert await made.outcome(purpose, **given) == ("link" if "token" in given else "code")


@pytest.mark.parametrize("code", [None, "", "\ud800\0", "ﷺ" * 100_000, "ß", "é", "2345-678"])
async def test_what_is_no_code_is_a_wrong_one(made: Made, code: str | None) -> None:
    new = await made.make(Purpose.SIGN_IN)
    assert await made.outcome(Purpose.SIGN_IN, challenge_id=new.challenge.id, code=code) == "code"
    assert await made.outcome(Purpose.SIGN_IN, token=new.token, code=code) == ("required" if code is None else "code")


@pytest.mark.parametrize(
    ("purpose", "seconds"), [(Purpose.CONFIRM_EMAIL, 86_400), (Purpose.RESET_PASSWORD, 1800), (Purpose.SIGN_IN, 600)]
)
async def test_it_expires_to_the_millisecond(made: Made, purpose: Purpose, seconds: int) -> None:
    new = await made.make(purpose)
    made.clock.advance(seconds - 0.001)
    assert await made.outcome(purpose, token=new.token, browser=BROWSER) == new.challenge.id
    assert await with_code(made, purpose, new.code, new.challenge.id) == new.challenge.id
    made.clock.advance(0.001)
    assert await made.outcome(purpose, token=new.token, browser=BROWSER) == "link"
    assert await with_code(made, purpose, new.code, new.challenge.id) == "code"
    assert not await made.use(new)


async def test_what_a_clock_made_that_was_ahead_lives_no_longer_than_others(store: Repositories) -> None:
    ahead = FakeClock()
    ahead.advance(AHEAD_MS / 1000 + 0.001)
    new = await (await made_on(store, ahead)).make(Purpose.RESET_PASSWORD)
    made = await made_on(store)
    for _ in range(2):
        assert await made.outcome(Purpose.RESET_PASSWORD, token=new.token, browser=BROWSER) == "link"
        assert await made.outcome(Purpose.RESET_PASSWORD, user_id=id_of(1), code=new.code) == "code"
        assert not await made.use(new)
    made.clock.advance(0.001)
    assert await made.outcome(Purpose.RESET_PASSWORD, token=new.token, browser=BROWSER) == new.challenge.id


async def test_a_newer_reset_ends_the_older_ones(made: Made) -> None:
    older, theirs = await made.make(Purpose.RESET_PASSWORD), await made.make(Purpose.RESET_PASSWORD, 2)
    newer = await made.make(Purpose.RESET_PASSWORD)
    assert await made.outcome(Purpose.RESET_PASSWORD, token=older.token, browser=BROWSER) == "link"
    assert await made.outcome(Purpose.RESET_PASSWORD, user_id=id_of(1), code=older.code) == "code"
    for new in (newer, theirs):
        assert await made.outcome(Purpose.RESET_PASSWORD, token=new.token, browser=BROWSER) == new.challenge.id


@pytest.mark.parametrize("purpose", [Purpose.CONFIRM_EMAIL, Purpose.SIGN_IN])
async def test_of_the_others_the_newest_stay_open(made: Made, purpose: Purpose) -> None:
    theirs = await made.make(purpose, 2)
    made.clock.advance(1)
    all_made = []
    for _ in range(OPEN + 2):
        all_made.append(await made.make(purpose))
        made.clock.advance(0.001)
    outcomes = [await made.outcome(purpose, token=new.token, browser=BROWSER) for new in [*all_made, theirs]]
    assert outcomes == ["link", "link", *(new.challenge.id for new in [*all_made[2:], theirs])]


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_what_is_not_mailed_is_of_no_use_and_ends_nothing(made: Made, purpose: Purpose) -> None:
    """Else somebody who asks often makes all mails useless that came."""
    mailed = await made.make(purpose)
    for _ in range(OPEN + 1):
        made.clock.advance(0.001)
        unsent = await made.make(purpose, mailed=False)
        assert await made.outcome(purpose, token=unsent.token, browser=BROWSER) == "link"
        assert await made.outcome(purpose, challenge_id=unsent.challenge.id, code=unsent.code) == "code"
    assert await made.outcome(purpose, token=mailed.token, browser=BROWSER) == mailed.challenge.id


async def test_a_new_password_ends_resets_and_sign_ins_but_no_confirmation(made: Made) -> None:
    mine = {purpose: await made.make(purpose) for purpose in Purpose}
    theirs = {purpose: await made.make(purpose, 2) for purpose in Purpose}
    assert await set_password(made.store, 1, "other hash", NOW, made.clock.now_ms() + 1)
    for purpose, new in mine.items():
        expected = new.challenge.id if purpose is Purpose.CONFIRM_EMAIL else "link"
        assert await made.outcome(purpose, token=new.token, browser=BROWSER) == expected
    for purpose, new in theirs.items():
        assert await made.outcome(purpose, token=new.token, browser=BROWSER) == new.challenge.id


async def test_a_deleted_user_has_none(made: Made) -> None:
    new = await made.make(Purpose.RESET_PASSWORD)
    await delete_user(made.store, id_of(1), made.clock.now_ms())
    assert await made.outcome(Purpose.RESET_PASSWORD, token=new.token, browser=BROWSER) == "link"
    late = made.challenges.make(Purpose.RESET_PASSWORD, user_id=id_of(1), email=address(1))
    assert await made.store.driver.write(lambda transaction: made.challenges.insert(transaction, late)) is False


@pytest.mark.parametrize("purpose", list(Purpose))
async def test_a_right_code_is_not_counted(made: Made, purpose: Purpose) -> None:
    """Who chooses a password that is refused sends the same code again."""
    new = await made.make(purpose)
    for code in [new.code] * (CODES + 1) + [other_than(new.code)] * (CODES - 1) + [new.code] * 2:
        expected = new.challenge.id if code == new.code else "code"
        assert await with_code(made, purpose, code, new.challenge.id) == expected
        assert await made.outcome(purpose, token=new.token, code=code) == expected


async def test_after_10_wrong_codes_the_right_one_is_refused_and_the_link_still_works(made: Made) -> None:
    """ASVS 5.0, 6.6.3; NIST SP 800-63B-4, 3.2.2."""
    for purpose in Purpose:
        new = await made.make(purpose)
        for _ in range(CODES):
            assert await with_code(made, purpose, other_than(new.code), new.challenge.id) == "code"
        assert await with_code(made, purpose, new.code, new.challenge.id) == "code"
        assert await made.outcome(purpose, token=new.token, code=new.code) == new.challenge.id
        for _ in range(CODES):
            assert await made.outcome(purpose, token=new.token, code=other_than(new.code)) == "code"
        assert await made.outcome(purpose, token=new.token, code=new.code) == "code"
        assert await made.outcome(purpose, token=new.token) == "required"
        assert await made.outcome(purpose, token=new.token, browser=BROWSER) == new.challenge.id
