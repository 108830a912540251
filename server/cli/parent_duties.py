"""What the parent of workers does beside supervising them: it tells the service manager, and leads a reload.

A reload has two steps. The parent reads the settings and sends them to all workers, and each constructs what would
serve then. If all of them could, all take it. If one could not, none does. In the parent nothing may wait.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from server.cli.channel import Message
from server.cli.hooks import Hooks
from server.cli.reload import Plan, Source, plan, take_with_a_line
from server.cli.reload_outcome import Outcome, problems_of
from server.cli.service_manager import EXTEND_EVERY_SECONDS, LONGEST_START_SECONDS, ServiceManager
from server.cli.supervisor import Supervisor
from server.logs.output import configure_logs
from server.settings import Settings

# How long a worker may take for one step. It is longer than the store may take to answer.
STEP_SECONDS = 20.0


@dataclass
class _Reload:
    """One that is under way. `awaited` are the numbers of the workers that have not answered in this step."""

    number: int
    planned: Plan
    settings: str
    waiting: Sequence[socket.socket]
    step: str = "prepare"
    awaited: set[int] = field(default_factory=set)
    agreed: int = 0
    until: float = 0.0
    # The settings that served before.
    former: Settings | None = None


class ParentDuties:
    """The hooks of a Supervisor, which is set before it runs."""

    supervisor: Supervisor

    def __init__(self, source: Source, *, asked: bool, status: str) -> None:
        """`asked` says that SIGHUP came before; `status` is what the service manager shows when all is well."""
        self._source = source
        self._manager = ServiceManager()
        self._asked = asked
        self._status = status
        self._reload: _Reload | None = None
        self._number = 0
        self._all_listen = self._one_is_well = self._told_ready = self._ends = False
        self._began_at = time.monotonic()
        self._extended_at = self._alive_at = self._began_at

    def hooks(self, tick: Callable[[], None]) -> Hooks:
        """The hooks for the supervisor, with what else is to be done about once a second."""

        def both() -> None:
            tick()
            self.tick()

        return Hooks(self.ready, self.stopping, died=self.died, heard=self.heard, hangup=self.hangup, tick=both)

    def ready(self) -> None:
        """All workers listen."""
        self._all_listen = True
        self._tell_ready()

    def stopping(self) -> None:
        """The server ends."""
        self._ends = True
        self._manager.stopping()

    def hangup(self) -> None:
        """Reload, once the server has started and no other reload is under way."""
        self._asked = True
        self._begin_if_possible()

    def tick(self) -> None:
        """Look at the time."""
        now = time.monotonic()
        if not self._all_listen and now - self._extended_at >= EXTEND_EVERY_SECONDS:
            self._extended_at = now
            if now - self._began_at < LONGEST_START_SECONDS:
                self._manager.starting()
        # It comes once a second, so half a second early is better than late.
        if self._manager.alive_every_seconds and now - self._alive_at > self._manager.alive_every_seconds - 1:
            self._alive_at = now
            self._manager.alive()
        if self._reload is not None and now > self._reload.until:
            self._give_up(self._reload)
        self._begin_if_possible()

    def heard(self, number: int, message: Message) -> None:
        """A worker says that it could log somebody in, or that it has done a step."""
        if message.kind == "well":
            self._one_is_well = True
            self._tell_ready()
        elif message.kind == "settings" and self._reload is not None:
            self._note_step(self._reload, number, message.body)

    def died(self, number: int, _: int) -> None:
        """A worker has ended. The one that takes its place starts with the settings that serve then."""
        if self._reload is not None:
            self._reload.awaited.discard(number)
            self._go_on(self._reload)

    def _tell_ready(self) -> None:
        if self._all_listen and self._one_is_well and not self._told_ready:
            self._told_ready = True
            self._manager.ready(self._status)

    def _begin_if_possible(self) -> None:
        if self._asked and self._all_listen and not self._ends and self._reload is None:
            workers = self.supervisor.ready_workers()
            # If all are being replaced, nobody could try the settings.
            if workers:
                self._asked = False
                self._begin(workers)

    def _begin(self, workers: set[int]) -> None:
        waiting = self._source.waiters.accept()
        self._manager.reloading()
        try:
            loaded = self._source.read()
            planned = plan(self.supervisor.settings, loaded.settings)
        except Exception as error:  # noqa: BLE001 - whatever it is, the server goes on with the old settings
            self._finish(waiting, Outcome(problems=problems_of(error)))
            return
        if not planned.outcome.changed:
            planned.outcome.log()
            self._finish(waiting, planned.outcome)
            return
        self._number += 1
        self._reload = _Reload(self._number, planned, loaded.as_json, waiting)
        self._order(self._reload, "prepare", workers)

    def _order(self, reload: _Reload, step: str, workers: set[int]) -> None:
        reload.step, reload.awaited, reload.agreed = step, workers, 0
        reload.until = time.monotonic() + STEP_SECONDS
        self.supervisor.tell("settings", {"number": reload.number, "step": step, "settings": reload.settings})

    def _note_step(self, reload: _Reload, number: int, body: Any) -> None:
        if (body["number"], body["step"]) != (reload.number, reload.step) or number not in reload.awaited:
            return
        reload.awaited.discard(number)
        if body["problems"]:
            self._drop(reload, body["problems"])
        else:
            reload.agreed += 1
            self._go_on(reload)

    def _go_on(self, reload: _Reload) -> None:
        if reload.awaited or self._ends:
            return
        if reload.former is not None:
            self._reload = None
            logs, former = reload.planned.settings.logs, reload.former
            take_with_a_line(lambda: logs == former.logs or configure_logs(logs), former, reload.planned)
            self._finish(reload.waiting, reload.planned.outcome)
        elif reload.agreed:
            # Workers that are forked from now on start with the new settings.
            reload.former, self.supervisor.settings = self.supervisor.settings, reload.planned.settings
            self._order(reload, "take", self.supervisor.ready_workers())
        else:
            self._drop(reload, ["no worker was left to try the settings"])

    def _give_up(self, reload: _Reload) -> None:
        if reload.former is not None:
            # Whoever is late is replaced when it hangs.
            reload.awaited.clear()
            self._go_on(reload)
        else:
            numbers = ", ".join(map(str, sorted(reload.awaited)))
            self._drop(reload, [f"no answer within {STEP_SECONDS:.0f} s from worker {numbers}"])

    def _drop(self, reload: _Reload, problems: Sequence[str]) -> None:
        self._reload = None
        self.supervisor.tell("settings", {"number": reload.number, "step": "drop"})
        self._finish(reload.waiting, Outcome(problems=problems))

    def _finish(self, waiting: Sequence[socket.socket], outcome: Outcome) -> None:
        if outcome.problems:
            outcome.log()
        self._manager.ready(outcome.status())
        self._source.waiters.answer(waiting, outcome)
