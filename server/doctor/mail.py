"""Mail: whether it is sent, and whether the mail server takes a connection and the login. No mail is sent."""

from __future__ import annotations

from server.core.errors import ConfigurationError
from server.core.text import escaped
from server.doctor.model import Case, Finding, note, ok, refused, warning, wrong
from server.mail.outbox_model import MailState
from server.mail.rendering.template_check import checked_templates
from server.mail.repository import MailRepository
from server.mail.transport.steps import Step, steps

TOPIC = "mail"
_DAY_MS = 86_400_000
# As for server.public_url: whoever renews certificates by a program has done so by then.
_FEW_DAYS = 14
# The first pauses between attempts are shorter. A mail server that does not know us yet may want a quarter of an hour.
_LONG_MINUTES = 30


async def mail(case: Case) -> list[Finding]:
    """A finding for each step, and for each template that can't be used."""
    settings = case.settings
    off = settings.without_mail()
    if off is not None:
        return [note(TOPIC, off, "docs/mail.md says what to write into mail.url")]
    try:
        checked_templates(settings.mail.templates)
    except ConfigurationError as error:
        return [refused(TOPIC, escaped(problem)) for problem in error.problems]
    async with steps(settings, case.ids, None) as made:
        return [_finding(case, step) async for step in made]


async def outbox(case: Case, mails: MailRepository) -> list[Finding]:
    """What waits, and what was given up; not to whom, for this may be shown to others. Raises StoreUnavailable."""
    findings = []
    for unsent in await mails.unsent():
        minutes = (case.clock.now_ms() - unsent.oldest_at) // 60_000
        if unsent.state == MailState.GIVEN_UP:
            remedy = "`mail list --state given_up` says why, and `mail retry` tries one again"
            findings.append(warning(TOPIC, f"given up: {unsent.count} in the last 30 days", remedy))
        elif minutes < _LONG_MINUTES:
            findings.append(ok(TOPIC, f"waiting: {unsent.count}"))
        else:
            remedy = "a running server sends them; `mail list --state waiting` says what hinders it"
            findings.append(warning(TOPIC, f"waiting: {unsent.count}, one of them for {minutes} minutes", remedy))
    return findings


def _finding(case: Case, step: Step) -> Finding:
    text = f"{step.name}: {step.text}"
    if step.remedy is not None:
        return wrong(TOPIC, text, step.remedy)
    if step.certified_until is not None and step.certified_until - case.clock.now_ms() < _FEW_DAYS * _DAY_MS:
        return warning(TOPIC, text, "somebody has to renew it, or no mail goes out any more")
    return ok(TOPIC, text)
