"""All checks, one after the other. What is found is told at once, since some of them take seconds.

A check that fails becomes a finding, so it never keeps the others from being made.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from inspect import isawaitable
from typing import Any

from server.audit.repository import AuditRepository
from server.core.clock import Clock
from server.core.errors import ConfigurationError, WatchwordError
from server.core.ids import Ids
from server.database.driver import Driver
from server.database.open import sqlite_path
from server.database.sqlite import condition
from server.doctor import (
    address,
    clock,
    files,
    keys,
    listener,
    machine,
    mail,
    moved,
    postgres_store,
    proxies,
    settings,
    sqlite_store,
)
from server.doctor.model import Case, Finding, Level, refused, wrong
from server.keys.repository import KeyRepository
from server.mail.repository import MailRepository
from server.repositories import Repositories, open_repositories
from server.settings import LoadedSettings

# For what nobody has thought of.
_REMEDY = "run this as the server's user or as root; if it stays so, report it"

Check = Callable[[], list[Finding] | Awaitable[list[Finding]]]


async def examine(load: Callable[[], LoadedSettings], now_by: Clock, ids: Ids) -> AsyncIterator[Finding]:
    """Find out what `load` is for a server. With settings that are wrong, nothing else can be looked at."""
    for finding in machine.versions():
        yield finding
    try:
        case = Case(load(), now_by, ids)
    except ConfigurationError as error:
        for finding in settings.problems(error):
            yield finding
        return
    parts = (
        _made(settings.TOPIC, partial(settings.settings, case)),
        _made(settings.TOPIC, partial(settings.traces, os.environ)),
        _made(files.TOPIC, partial(files.of_settings, case, os.environ)),
        _sqlite(case) if case.settings.store.is_sqlite else _postgres(case),
        _made(listener.TOPIC, partial(listener.listener, case)),
        _made("metrics", partial(listener.metrics, case)),
        _made(mail.TOPIC, partial(mail.mail, case)),
        _made(machine.TOPIC, machine.descriptors),
        _made(machine.TOPIC, partial(machine.memory, case)),
        _made(machine.TOPIC, partial(machine.logins, case)),
    )
    for part in parts:
        try:
            async for finding in part:
                yield finding
        except WatchwordError as error:
            # The store could be looked at a moment ago, and can't be opened now.
            yield refused("store", error)


async def _sqlite(case: Case) -> AsyncIterator[Finding]:
    topic = sqlite_store.TOPIC
    try:
        path = sqlite_path(case.settings.store.url)
    except WatchwordError as error:
        yield refused(topic, error)
        return
    usable = True
    async for finding in _made(files.TOPIC, partial(files.of_store, path)):
        usable = usable and finding.level is not Level.WRONG
        yield finding
    for check in (sqlite_store.room, sqlite_store.left_over, sqlite_store.log) if usable else (sqlite_store.room,):
        async for finding in _made(topic, partial(check, path)):
            yield finding
    if usable:
        async for finding in _made(topic, partial(sqlite_store.tables, path)):
            usable = finding.level is Level.OK
            yield finding
    with condition.opened(path) if usable else nullcontext() as reader:
        # The part of a driver that reads is all that the checks of the contents use.
        driver: Any = reader
        parts = [_contents(case, driver)]
        if usable:
            parts[:0] = [_made(topic, partial(check, path)) for check in (sqlite_store.whole, sqlite_store.writable)]
        for part in parts:
            async for finding in part:
                yield finding


async def _postgres(case: Case) -> AsyncIterator[Finding]:
    topic, usable = postgres_store.TOPIC, False
    async for finding in _made(topic, partial(postgres_store.tables, case)):
        usable = finding.level is Level.OK
        yield finding
    async with _connected(case) if usable else nullcontext() as repositories:
        parts = [_contents(case, None if repositories is None else repositories.driver)]
        if repositories is not None:
            parts[:0] = [
                _made(topic, partial(postgres_store.condition, case, repositories)),
                _made(topic, partial(postgres_store.writable, repositories)),
                _made(topic, partial(postgres_store.notifications, case)),
                _made("nodes", partial(clock.nodes, case, repositories.nodes)),
            ]
        for part in parts:
            async for finding in part:
                yield finding


@asynccontextmanager
async def _connected(case: Case) -> AsyncIterator[Repositories]:
    repositories = await open_repositories(case.settings.store, serving=False, migrating=False)
    try:
        yield repositories
    finally:
        await repositories.close()


async def _contents(case: Case, driver: Driver | None) -> AsyncIterator[Finding]:
    """What the records of the store show; without a store, what can be found without them."""
    audit = None if driver is None else AuditRepository(driver)
    keyring = None if driver is None or audit is None else KeyRepository(driver, audit)
    parts = [] if driver is None else [_made(moved.TOPIC, partial(moved.moved, driver))]
    parts.append(_made(clock.TOPIC, partial(clock.clock, case.clock, audit)))
    if audit is not None and keyring is not None:
        parts += [
            _made(keys.TOPIC, partial(keys.keys, case, keyring)),
            _made(proxies.TOPIC, partial(proxies.proxies, case, audit)),
        ]
    if driver is not None:
        parts.append(_made(mail.TOPIC, partial(mail.outbox, case, MailRepository(driver))))
    parts.append(_made(address.TOPIC, partial(address.address, case, keyring)))
    for part in parts:
        async for finding in part:
            yield finding


async def _made(topic: str, check: Check) -> AsyncIterator[Finding]:
    """The findings of a check, also of one that fails."""
    try:
        made = check()
        findings = await made if isawaitable(made) else made
    except WatchwordError as error:
        findings = [refused(topic, error)]
    except Exception as error:  # noqa: BLE001 - the other checks are still of use, and this one is told
        reason = getattr(error, "strerror", None) or type(error).__name__
        findings = [wrong(topic, f"this could not be checked ({reason})", _REMEDY)]
    for finding in findings:
        yield finding
