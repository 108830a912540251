"""What a store can do. The drivers are sqlite.py and postgres.py; the SQL that both run is in queries.py.

To add a query:

1. Declare a method here; say in its docstring what is atomic about it and what it returns when nothing matches.
2. Write it in queries.py, once, with `$1` placeholders. Read with `self._read(sql, *parameters)`. Write inside
   `self._write(unit)`: a unit is one transaction, so whatever must hold together goes into one unit, and what must
   hold against other nodes goes into the WHERE of one statement. Where the dialects differ, the driver has a name for
   it.
3. Prove it in tests/store/, which runs every test on both drivers.
4. A new table or column is a new file of the same number in both folders of migrations/; a released file never changes.

Every method may raise StoreUnavailable: the store did not answer, and the write, if it was one, did not happen or its
outcome is unknown to the client. A method that returned has its effect on disk.
"""

from __future__ import annotations

from typing import Protocol

from server.store.records import Credentials, NewUser, Session, SigningKeyRecord, User, UserFilter


class UserStore(Protocol):
    """Accounts. Usernames are compared without regard to case, and keep the case they were given."""

    async def get_user(self, user_id: str) -> User | None:
        """The user of that id. Calls that wait at the same moment share one query."""
        ...

    async def find_credentials(self, username: str) -> Credentials | None:
        """The user of that name, with the password hash."""
        ...

    async def get_credentials(self, user_id: str) -> Credentials | None:
        """The user of that id, with the password hash."""
        ...

    async def list_users(self, wanted: UserFilter) -> list[User]:
        """At most `limit` users in the order of their ids, so a page goes on where the last one ended."""
        ...

    async def insert_user(self, user: NewUser) -> User:
        """Make a user. Raises UsernameTaken."""
        ...

    async def insert_first_user(self, user: NewUser) -> bool:
        """Make a user if the store has none. Of any number of simultaneous calls, on any node, one returns True."""
        ...

    async def rename_user(self, user_id: str, name: str, now: int) -> User | None:
        """Change the display name. None: no such user."""
        ...

    async def renew_password_hash(self, user_id: str, old_hash: str, new_hash: str) -> bool:
        """Replace the hash of the same password; False if the password was changed meanwhile."""
        ...

    async def set_password(self, user_id: str, password_hash: str, expected_changed_at: int, now: int) -> bool:
        """Set a new password if `password_changed_at` is still as expected; it then rises, always.

        False: the password was changed meanwhile, or there is no such user.
        """
        ...


class SessionStore(Protocol):
    """Logins."""

    async def open_session(self, session: Session, password_changed_at: int) -> bool:
        """Add a session and set the user's `last_login_at`, in one step.

        False, and nothing done, if the user is gone or disabled or the password is not the one that was checked.
        """
        ...

    async def get_session(self, session_id: str) -> Session | None:
        """The session of that id."""
        ...


class SigningKeyStore(Protocol):
    """Signing keys."""

    async def list_signing_keys(self) -> list[SigningKeyRecord]:
        """All keys, in the order of `activates_at`."""
        ...

    async def add_signing_key(self, key: SigningKeyRecord, latest_kid: str | None) -> bool:
        """Add a key if the latest one of its algorithm is still `latest_kid` (None: there is none).

        Of several nodes that rotate at the same moment, one wins; the others get False and read the list again.
        """
        ...

    async def delete_signing_key(self, kid: str) -> None:
        """Forget a key whose last token has expired."""
        ...


class Store(UserStore, SessionStore, SigningKeyStore, Protocol):
    """Everything, and the life of the store itself."""

    async def ping(self) -> None:
        """Return if the store answers; raise StoreUnavailable if not."""
        ...

    async def close(self) -> None:
        """Finish what is under way and let go of every file and connection. May be called twice."""
        ...
