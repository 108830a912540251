"""Sign-ins by mailed codes are counted beside those by passwords."""

from __future__ import annotations

import pytest

from tests.metrics.conftest import StartWatched
from tests.metrics.scraping import value
from tests.recovery.asking import MAIL, ask_code, confirm, mailed, verify


@pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
async def test_sign_ins_by_code_are_counted_by_how_they_end(start_watched: StartWatched) -> None:
    watched = await start_watched(mail=MAIL)
    api = watched.api
    await verify(api, "lak", "lak@example.com")
    challenge = await ask_code(api, "lak")
    mail = await mailed(api)
    assert (await confirm(api, challenge=challenge, code="2222-2222")).status == 400
    assert (await confirm(api, token=mail.token)).status == 403
    assert (await confirm(api, challenge=challenge, code=mail.code)).status == 200
    samples = await watched.samples()
    results = ("ok", "code_invalid", "code_required", "internal_error")
    assert [value(samples, "watchword_login_total", result=result) for result in results] == [1, 1, 1, 0]
