"""What a store can do. The drivers are sqlite.py and postgres.py; the SQL that both run is in queries.py and its parts.

To add a query:

1. Declare a method here; say in its docstring what is atomic about it and what it returns when nothing matches.
2. Write it in queries.py or the part of it that it belongs to (session_queries.py, guess_queries.py …), once, with
   `$1` placeholders. Read with `self._driver.read(sql, *parameters)`. Write inside `self._driver.write(unit)`: a unit
   is one transaction, so whatever must hold together goes into one unit, and what must hold against other nodes goes
   into the WHERE of one statement. Where the dialects differ, the driver has a name for it.
3. Prove it in tests/store/, which runs every test on both drivers.
4. If it changes something that an operator may ask about, write the audit record in the same unit: `self._audit()`
   before the unit, `await audit.write(transaction, note)` as the last thing in it.
5. A new table or column is a new file of the same number in both folders of migrations/; a released file never changes.

Every method may raise StoreUnavailable: the store did not answer, and the write, if it was one, did not happen or its
outcome is unknown to the client. A method that returned has its effect on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from server.audit.model import AuditEvent, AuditFilter, AuditHead, AuditNote, AuditRecord
from server.authentication.model import GuessCounter, Try
from server.keys.model import KeyRecord
from server.sessions.model import LAST_ID, PAGE, RevocationPage, Session, UserSession
from server.users.model import Credentials, NewUser, User, UserChange, UserFilter


class UserStore(Protocol):
    """Accounts. Usernames are compared by server.users.names.username_key, and keep the form they were given."""

    async def get_user(self, user_id: str) -> User | None:
        """The user of that id. Calls that wait at the same moment share one query."""
        ...

    async def find_credentials(self, username: str) -> Credentials | None:
        """The user of that name, with the password hash; None for what can't be a username."""
        ...

    async def get_credentials(self, user_id: str) -> Credentials | None:
        """The user of that id, with the password hash."""
        ...

    async def list_users(self, wanted: UserFilter) -> list[User]:
        """At most `limit` users in the order of their ids, so a page goes on where the last one ended."""
        ...

    async def insert_user(self, user: NewUser) -> User:
        """Make a user. Raises UsernameTaken; ValueError for what is no username."""
        ...

    async def insert_first_user(self, user: NewUser, before_commit: Callable[[], None] | None = None) -> bool:
        """Make a user if the store has none. Of any number of simultaneous calls, on any node, one returns True.

        `before_commit` is called in the transaction, and may be called again with another try at it. If it raises,
        there is no user.
        """
        ...

    async def renew_password_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Replace the hash of the same password; False if the password was changed meanwhile."""
        ...

    async def set_password(
        self,
        user_id: str,
        password_hash: str,
        expected_changed_at: int,
        *,
        keep_session_id: str | None,
        now: int,
        forget_at: int,
        event: AuditEvent = AuditEvent.PASSWORD_CHANGED,
    ) -> bool:
        """Set a new password if `password_changed_at` is still as expected; it then rises, always.

        In the same step all sessions but `keep_session_id` end, and `event` is recorded. False: the password was
        changed meanwhile, or there is no such user.
        """
        ...

    async def update_user(self, user_id: str, change: UserChange, now: int, forget_at: int) -> User | None:
        """Change name, role or state; None: no such user. Raises LastAdmin.

        In the same step, disabling ends all sessions, and a new role revokes the access tokens that carry another one.
        """
        ...

    async def delete_user(self, user_id: str, admin_roles: Sequence[str], now: int, forget_at: int) -> bool:
        """Delete a user and end all sessions; False: no such user. Raises LastAdmin."""
        ...


class TransferStore(Protocol):
    """Moving accounts in and out, many at a time."""

    async def list_credentials(self, limit: int, after_id: str = "") -> list[Credentials]:
        """At most `limit` users with their password hashes, in the order of their ids, behind `after_id`."""
        ...

    async def insert_users(self, users: Sequence[Credentials], now: int) -> list[User | None]:
        """Make the users whose id and name are both free, as they are, in one transaction.

        For each, in the same order: None if it was made, else the user who has the name or, with another name, the id.
        No two of them share an id or a name. Recorded as one import, with the ids of those that were made.
        """
        ...

    async def find_holders(self, users: Sequence[Credentials]) -> list[User | None]:
        """What `insert_users` would return. Changes nothing."""
        ...


class SessionStore(Protocol):
    """Logins."""

    async def open_session(self, session: Session, password_changed_at: int) -> UserSession | None:
        """Add a session and set the user's `last_login_at`, in one step; the session with its user as of then.

        None, and nothing done, if the user is gone or disabled or the password is not the one that was checked.
        """
        ...

    async def get_session(self, session_id: str) -> UserSession | None:
        """The session of that id, living or ended."""
        ...

    async def list_sessions(self, user_id: str, now: int, limit: int = PAGE, before_id: str = LAST_ID) -> list[Session]:
        """The living sessions of a user, the newest first; behind `before_id` in that order."""
        ...

    async def step_session(
        self, session_id: str, step: int, now: int, idle_expires_at: int | None, ip: str | None = None
    ) -> UserSession | None:
        """Move the chain from `step` to the next one, and the idle expiry with it, not beyond `expires_at`.

        `ip` is the address that asks for it; it stays what it was if that is not known, and so does the idle expiry.

        One atomic statement: of any number of simultaneous calls, on any node, one gets the session as it is then.
        None: the session is gone, ended, expired or at another step.
        """
        ...

    async def end_session(
        self,
        session_id: str,
        user_id: str | None,
        now: int,
        forget_at: int,
        event: AuditEvent = AuditEvent.SESSIONS_ENDED,
    ) -> bool:
        """End a session (only that user's, if one is named) and revoke its access tokens; False: none to end.

        `event` is recorded if one was ended.
        """
        ...

    async def end_sessions_of(self, user_id: str, keep_session_id: str | None, now: int, forget_at: int) -> int:
        """End a user's sessions but the one to keep; how many were ended."""
        ...

    async def recount_sessions(self, now: int, ahead: int, idle_ahead: int) -> int:
        """Count the lives of sessions from now that were used after `ahead`, by a clock that was wrong; how many.

        Only of those that would last beyond `idle_ahead`.
        """
        ...

    async def purge(self, now: int, ended_before: int, limit: int) -> int:
        """Delete at most `limit` sessions that ended or expired before `ended_before`, and as many spent revocations.

        Returns the greater of the two numbers: as long as it is `limit`, there may be more.
        """
        ...


class RevocationStore(Protocol):
    """What makes issued access tokens invalid, in the order in which processes can read on."""

    async def revocations_since(self, cursor: str) -> RevocationPage:
        """All that were committed since the page of that cursor, "0" for all there are. None is ever passed over."""
        ...

    async def wait_for_change(self, timeout_seconds: float) -> None:
        """Return as soon as there may be a new revocation, from whatever process, or at the timeout."""
        ...


class KeyStore(Protocol):
    """The server's own keys."""

    async def list_keys(self) -> list[KeyRecord]:
        """All of them, in the order of their making."""
        ...

    def chain_audit(self, key: bytes) -> None:
        """From now on, link audit records under this key. It is among the keys, so it is known only when they are."""
        ...

    async def swap_keys(
        self, seen: Sequence[KeyRecord], wanted: Sequence[KeyRecord], note: AuditNote | None = None
    ) -> bool:
        """Make the keys `wanted` if they still are those that were `seen` with list_keys, and record `note`.

        All in one step. Of any number of simultaneous calls that saw the same, on any node, one returns True; the
        others changed nothing and look again. What follows from the keys is decided in keys/rotation.py, not here.
        """
        ...


class AuditStore(Protocol):
    """Who did what to whom (docs/audit.md).

    What a method of this store changes, it records in the same step; who does so, and from where, is told by
    server/core/origin.py. Records make one unbroken chain, whatever node writes them. Nothing takes one away.
    """

    async def record(self, note: AuditNote) -> None:
        """Record what changes nothing in the store."""
        ...

    async def list_audit(self, wanted: AuditFilter) -> list[AuditRecord]:
        """At most `limit` records, the newest first."""
        ...

    async def audit_from(self, seq: int | None, limit: int) -> list[AuditRecord]:
        """At most `limit` records from that number on, or from the very first, the oldest first."""
        ...

    async def audit_head(self) -> AuditHead | None:
        """The end of the chain; None if somebody has taken it away."""
        ...


class GuessStore(Protocol):
    """How often passwords were tried. It holds over restarts, and for all nodes together."""

    async def take_try(self, wanted: Try, now: int) -> Try:
        """Let a try run, counted everywhere or nowhere, in one step; it goes to one of the three below.

        Raises TooManyAttempts with the wait in it, or Overloaded if it may be taken as soon as others have ended.
        """
        ...

    async def note_failure(self, taken: Try, now: int, note: AuditNote | None = None) -> None:
        """It was wrong; recorded in the same step."""
        ...

    async def give_back(self, taken: Try) -> None:
        """It was none: nothing was looked at, or nothing wrong."""
        ...

    async def settle(self, taken: Try | None, counters: Sequence[GuessCounter]) -> None:
        """It was right, or a password was set: these counters begin anew. Tries that run go on being counted."""
        ...

    async def purge_tries(self, now: int, limit: int) -> int:
        """Delete at most `limit` rows that nobody has touched for 90 days; how many."""
        ...


class Store(UserStore, TransferStore, SessionStore, RevocationStore, KeyStore, GuessStore, AuditStore, Protocol):
    """Everything, and the life of the store itself."""

    async def ping(self) -> None:
        """Return when something is on disk, always in the same place, and a login could write too.

        Raises StoreUnavailable.
        """
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of every file and connection. May be called twice."""
        ...
