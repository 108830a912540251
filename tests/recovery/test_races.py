"""All that can happen to one account at the same moment: each answer is a documented one, and nothing is lost."""

from __future__ import annotations

import asyncio

from server.settings.tree import LimitSettings
from tests.recovery.asking import MAIL, NEW_PASSWORD, ask_code, browser_of, confirm, forgot, mailed, reset, verify
from tests.running import PASSWORD, StartApi

OTHER_PASSWORD = "nine owls count the trains"


async def test_everything_at_once(start_api: StartApi) -> None:
    """Rows are locked in one order, so no transaction waits for one that waits for it."""
    api = await start_api(mail=MAIL, limits=LimitSettings(account_mails_per_hour=1000))
    user = (await verify(api, "lak", "lak@example.com")).user
    token = await api.token("lak")
    browser = browser_of(await forgot(api, "lak"))
    to_reset = await mailed(api)
    challenge = await ask_code(api, "lak")
    to_sign_in = await mailed(api)
    for _ in range(5):
        await forgot(api, "lak")
        await ask_code(api, "lak@example.com")
    change = {"current_password": PASSWORD, "new_password": OTHER_PASSWORD}
    resolving = [asyncio.create_task(api.services.recovery.resolve()) for _ in range(3)]
    answers = [
        reset(api, browser=browser, reset_token=to_reset.token),
        reset(api, identifier="lak", code=to_reset.code),
        confirm(api, challenge=challenge, code=to_sign_in.code),
        confirm(api, token=to_sign_in.token, code=to_sign_in.code),
        api.request("POST", "/me/password", token, json=change),
        api.request("POST", "/login", json={"username": "lak", "password": PASSWORD}),
        api.request("DELETE", "/me/sessions", token),
    ]
    found = await asyncio.gather(*answers)
    await asyncio.gather(*resolving)
    statuses = [answer.status for answer in found]
    assert set(statuses) <= {200, 204, 400, 401}, statuses
    set_by = [statuses[0], statuses[1], statuses[4]].count(204)
    assert set_by == 1, statuses
    assert statuses[2:4].count(200) <= 1
    password = OTHER_PASSWORD if statuses[4] == 204 else NEW_PASSWORD
    await api.log_in("lak", password)
    left = await api.services.repositories.driver.read(
        "SELECT id FROM challenges WHERE user_id = $1 AND purpose = 'reset_password' AND used_at IS NULL", user.id
    )
    assert len(left) <= 1
