"""What the store holds, as plain records. Times are epoch milliseconds, ids are strings."""

from __future__ import annotations

from dataclasses import dataclass

# Behind every id in the order of ids, which are hexadecimal.
LAST_ID = "g"
# Entries of a list that are read at once, if nobody says how many.
PAGE = 1000


@dataclass(frozen=True, slots=True)
class User:
    """An account, without its password."""

    id: str
    username: str
    name: str
    role: str
    disabled_at: int | None
    created_at: int
    updated_at: int
    last_login_at: int | None

    @property
    def disabled(self) -> bool:
        """Whether the account is switched off."""
        return self.disabled_at is not None


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user with what is needed to check a password.

    `password_hash` is None for an account that has no password yet. `password_changed_at` names the state of the
    password: whatever is bound to it (a reset token, a login under way) fails once the password was changed.
    """

    user: User
    password_hash: str | None
    password_changed_at: int


@dataclass(frozen=True, slots=True)
class NewUser:
    """An account to be made, its username in the form of server.users.names.username_of."""

    id: str
    username: str
    name: str
    role: str
    password_hash: str | None
    created_at: int


@dataclass(frozen=True, slots=True)
class UserFilter:
    """Which users to list. None means: does not matter.

    `text` is looked for in username and name, in the form of users.names.search_form. `after_id` is the last id of
    the page before.
    """

    limit: int
    after_id: str | None = None
    text: str | None = None
    role: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class UserChange:
    """What to change of a user; None leaves a value as it is.

    `admin_roles` are the roles that make an admin: the change must leave an enabled user with one of them.
    """

    admin_roles: tuple[str, ...]
    name: str | None = None
    role: str | None = None
    disabled: bool | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """One login: one chain of refresh tokens (docs/sessions.md).

    `step` is the number of refreshes so far, and so the step of the one refresh token that is unused; `stepped_at` is
    when it was last raised. `idle_expires_at` moves with each refresh, `expires_at` never. `ip` is the address of the
    last refresh, or else of the login; `user_agent` is that of the login.
    """

    id: str
    user_id: str
    step: int
    created_at: int
    stepped_at: int
    idle_expires_at: int
    expires_at: int
    ip: str | None
    user_agent: str | None
    ended_at: int | None = None


@dataclass(frozen=True, slots=True)
class UserSession:
    """A session with what its tokens say of its user."""

    session: Session
    username: str
    role: str
    role_changed_at: int


@dataclass(frozen=True, slots=True)
class Revocation:
    """Why access tokens that are already issued are invalid: their session has ended, or their user has another role.

    Either `session_id`, or `user_id` with the `role` that is the right one since `role_changed_at`; of two for one user
    the higher `number` counts. After `forget_at` those tokens have expired by themselves.
    """

    number: int
    session_id: str | None
    user_id: str | None
    role: str | None
    role_changed_at: int
    forget_at: int


@dataclass(frozen=True, slots=True)
class RevocationPage:
    """Revocations, and the cursor from which to read on. The same one may come twice.

    `whole`: these are all that the store has, whatever the cursor was that it was asked with.
    """

    cursor: str
    whole: bool
    revocations: list[Revocation]


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A key that the server keeps, its secret half sealed under the master key.

    A key that signs does so from `activates_at` until the next one of its algorithm does; tokens signed with it live
    `longest_ttl_seconds` at most. One that was revoked has lost its secret half and signs and verifies no more. The
    algorithm `HKDF` is the key that refresh and reset tokens are derived from. `HS256` only says since when a secret
    of the settings signs: the secret itself is not here.
    """

    kid: str
    algorithm: str
    public_jwk: str
    sealed: bytes
    created_at: int
    activates_at: int
    longest_ttl_seconds: int = 0
    revoked_at: int | None = None


@dataclass(frozen=True, slots=True)
class GuessCounter:
    """Counts the wrong tries since a success, at most `limit`.

    Behind `free` of them one runs at a time, and each wait is longer; before, no more run than could all be wrong.
    """

    key: str
    limit: int
    free: int


@dataclass(frozen=True, slots=True)
class Budget:
    """A number of tries that refills: each costs `cost_ms` of time, and at most `capacity_ms` may be spent ahead."""

    key: str
    cost_ms: int
    capacity_ms: int


@dataclass(frozen=True, slots=True)
class Try:
    """One password to be looked at, with all that counts it. `period` is when it was taken (guess_queries.py)."""

    counters: tuple[GuessCounter, ...] = ()
    budgets: tuple[Budget, ...] = ()
    period: int = 0
