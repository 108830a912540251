"""The address that the server listens on: who answers there, and who can reach it."""

from __future__ import annotations

import asyncio
import errno
import os

from server.core.errors import ConfigurationError, WatchwordError
from server.doctor.model import Case, Finding, note, ok, warning, wrong
from server.health.asking import ask
from server.http.listening import listen_on
from server.settings.tree import MetricsSettings, ServerSettings

TOPIC = "listener"
_TOPICS = {"server": TOPIC, "metrics": "metrics"}


async def listener(case: Case) -> list[Finding]:
    """Whether our server, another program or nobody has the port, and whether passwords could be read on the way."""
    return [*await asyncio.to_thread(_port, case), *_reach(case)]


async def metrics(case: Case) -> list[Finding]:
    """Whether metrics are served, and who can read them."""
    settings = case.settings.metrics
    where = f"{settings.host} port {settings.port}"
    if settings.port == 0:
        return [ok("metrics", "metrics.port is 0: there are none")]
    findings = [await asyncio.to_thread(_served, case, where)]
    if not settings.is_loopback:
        text = f"whoever can connect to {where} can read the metrics, without a credential"
        findings.append(
            warning("metrics", text, "set metrics.host to a private address, or let a firewall keep others away")
        )
    return findings


def _served(case: Case, where: str) -> Finding:
    try:
        status, _ = ask(case.settings.metrics, "/metrics")
    except WatchwordError as error:
        if _runs(case):
            text = f"the server runs, and its metrics do not answer: {error}"
            return wrong("metrics", text, "it may have been started before metrics.port was set: restart it")
        return _free(case.settings.metrics, "metrics") or ok("metrics", f"{where} is free; no server runs")
    if status != 200:
        return _another(case.settings.metrics, "metrics")
    return ok("metrics", f"they are served at {where}")


def _runs(case: Case) -> bool:
    """Whether our server answers."""
    if case.settings.server.port == 0:
        return False
    try:
        return ask(case.settings.server, "/health/live") == (200, {"status": "ok"})
    except WatchwordError:
        return False


def _port(case: Case) -> list[Finding]:
    server = case.settings.server
    if server.port == 0:
        picks = "server.port is 0: each start picks a free port, so nothing was asked there"
        return [_free(server, "server") or note(TOPIC, picks)]
    where = f"{server.host} port {server.port}"
    try:
        status, body = ask(server, "/health/live")
    except WatchwordError:
        return [_free(server, "server") or ok(TOPIC, f"{where} is free; no server runs there")]
    if (status, body) != (200, {"status": "ok"}):
        return [_another(server, "server")]
    ready, told = ask(server, "/health/ready")
    if ready != 200:
        return [
            wrong(TOPIC, f"the server at {where} runs, and is not ready: {told.get('detail', ready)}", "see its log")
        ]
    return [ok(TOPIC, f"the server at {where} runs and is ready: it takes writes")]


def _free(settings: ServerSettings | MetricsSettings, section: str) -> Finding | None:
    """Why a start could not listen there; None if it could."""
    try:
        listen_on(settings.host, settings.port, section).close()
    except ConfigurationError as error:
        text, _, remedy = error.problems[0].partition("; ")
        remedy = remedy.replace("does Watchword run already? Else", "another program has it:")
        return wrong(_TOPICS[section], text, remedy)
    return None


def _another(settings: ServerSettings | MetricsSettings, section: str) -> Finding:
    """Somebody else answers. If the address is not one of this machine, that is what has to be mended."""
    found = _free(settings, section)
    if found is not None and os.strerror(errno.EADDRINUSE) not in found.text:
        return found
    text = f"another program answers at {settings.host} port {settings.port}"
    return wrong(_TOPICS[section], text, f"stop that one, or choose another {section}.port")


def _reach(case: Case) -> list[Finding]:
    server = case.settings.server
    if server.is_loopback:
        return [ok(TOPIC, "only this machine can connect, so a proxy here has to bring TLS to others")]
    text = f"other machines can connect to {server.host}, without TLS"
    if server.trusted_proxies:
        return [note(TOPIC, f"{text}; a proxy is trusted", "let a firewall keep all but the proxy away")]
    return [warning(TOPIC, text, "listen on 127.0.0.1 and put a proxy with TLS before it (docs/proxies.md)")]
