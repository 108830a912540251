"""The routes of admins."""

from __future__ import annotations

from typing import Any

from server.core.clock import rfc3339
from server.mail.model import MailKind, NewMail
from server.mail.outbox_model import TRY_FOR_MS
from tests.mail.outboxes import invitation, outbox_on, put
from tests.running import Api

UNKNOWN = "01990000-0000-7000-8000-000000000009"


async def listed(api: Api, token: str, query: str = "") -> list[dict[str, Any]]:
    response = await api.request("GET", f"/mails{query}", token)
    assert response.status == 200
    mails: list[dict[str, Any]] = (await response.json())["mails"]
    return mails


async def write(api: Api, *mails: NewMail) -> None:
    await put(api.services.repositories, outbox_on(api.services.repositories, api.clock), *mails)


async def give_up(api: Api) -> None:
    """As a sender whose mail server refuses them."""
    claims = api.services.repositories.mail_claims
    for mail in await claims.claim("a", api.clock.now_ms(), 9, newest=True):
        await claims.give_up("a", mail.id, api.clock.now_ms(), "RCPT: 550 no such user", readable=True)


async def test_admins_see_mails_in_pages_and_never_what_is_in_them(api: Api) -> None:
    token = await api.token("sahan")
    user_id = (await api.services.users.credentials_of("lak")).user.id
    await write(api, NewMail(MailKind.RESET_PASSWORD, "lak@example.com", {"code": "K7PM-2QXR"}, user_id))
    api.clock.advance(1)
    await write(api, invitation("john@example.com"))
    first = await api.request("GET", "/mails?limit=1", token)
    page = await first.json()
    assert [mail["recipient"] for mail in page["mails"]] == ["john@example.com"]
    second = await api.request("GET", f"/mails?limit=1&cursor={page['next_cursor']}", token)
    body = await second.json()
    assert body["next_cursor"] is None
    (mail,) = body["mails"]
    written = rfc3339(api.clock.now_ms() - 1000)
    assert {**mail, "id": ""} == {
        "id": "",
        "kind": "reset-password",
        "recipient": "lak@example.com",
        "user_id": user_id,
        "state": "waiting",
        "attempts": 0,
        "reason": None,
        "created_at": written,
        "next_attempt_at": written,
        "ended_at": None,
    }
    assert "K7PM" not in await second.text()
    assert await listed(api, token, "?state=sent") == []
    assert len(await listed(api, token, "?state=waiting")) == 2
    await api.problem(await api.request("GET", "/mails?state=lost", token), 422, "invalid_request")


async def test_a_mail_that_was_given_up_is_tried_again_and_the_audit_log_tells_by_whom(api: Api) -> None:
    token = await api.token("sahan")
    await write(api, invitation("john@example.com"))
    await give_up(api)
    ((mail),) = await listed(api, token, "?state=given_up")
    assert (mail["reason"], mail["next_attempt_at"]) == ("RCPT: 550 no such user", None)
    api.clock.advance(60)
    assert (await api.request("POST", f"/mails/{mail['id']}/retry", token)).status == 204
    (again,) = await listed(api, token, "?state=waiting")
    assert (again["next_attempt_at"], again["ended_at"]) == (rfc3339(api.clock.now_ms()), None)
    assert await api.services.repositories.mail_claims.due(api.clock.now_ms())
    response = await api.request("GET", "/audit?event=mail_retried", token)
    (event,) = (await response.json())["events"]
    assert (event["actor_name"], event["target_id"], event["target_name"]) == ("sahan", mail["id"], "john@example.com")
    assert event["after"] == {"kind": "invitation", "attempts": 1}


async def test_what_was_sent_or_has_no_content_any_more_can_not_be_tried_again(api: Api) -> None:
    token, claims = await api.token("sahan"), api.services.repositories.mail_claims
    await write(api, invitation(), invitation())
    await give_up(api)
    await write(api, invitation())
    (sent,) = await claims.claim("b", api.clock.now_ms(), 9, newest=True)
    await claims.sent("b", sent.id, api.clock.now_ms())
    refused = await api.request("POST", f"/mails/{sent.id}/retry", token)
    await api.problem(refused, 409, "mail_not_retryable")
    given_up = [mail["id"] for mail in await listed(api, token, "?state=given_up")]
    assert len(given_up) == 2
    api.clock.advance(TRY_FOR_MS / 1000)
    token = await api.token("sahan")
    for mail_id in given_up:
        await api.problem(await api.request("POST", f"/mails/{mail_id}/retry", token), 409, "mail_not_retryable")
    await api.problem(await api.request("POST", f"/mails/{UNKNOWN}/retry", token), 404, "not_found")
    await api.problem(await api.request("POST", "/mails/x/retry", token), 404, "not_found")
    assert (await (await api.request("GET", "/audit?event=mail_retried", token)).json())["events"] == []
