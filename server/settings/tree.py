"""All settings, as one frozen tree.

The `description` of a field is also its comment in config.toml; a test compares them. docs/settings.md has a row for
each field; the test looks there only for the name.
Values that can't work are refused here. Messages say what to do, and never repeat a secret.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, Field, model_validator

from server.settings.cores import usable_cores
from server.settings.display_names import shown_name, unlike
from server.settings.mail import MailSettings, mail_problems
from server.settings.networks import Network, is_loopback, network
from server.settings.origins import field_name, origin
from server.settings.public_url import as_public_url, origin_of_listener
from server.settings.registration import DEFAULT_ROLE, email_domain, registration_problems
from server.settings.role_rules import access_problems, role_problems
from server.settings.secrets import SealingSecrets, Secrets
from server.settings.section import Section, attributes
from server.settings.sources import Sourced
from server.settings.store_url import direct_url, is_sqlite, listen_url_problems, schema, store_url
from server.settings.warnings import one_address_for_all, weaknesses, without_mail

# Bytes of JSON. A token may have 4096 characters; the rest of them is for the longest username, role and signature, and
# for six methods of a sign-in (RFC 8176).
_ISSUER_AND_AUDIENCE = 1616
MOST_WORKERS = 64


def _frozen(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return MappingProxyType(dict(value))


class ServerSettings(Section):
    """The address of the server, and its limits for requests."""

    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 picks a free one, which is printed")
    public_url: Annotated[str, AfterValidator(as_public_url)] = Field(
        "", description='origin under which browsers reach it, like "https://auth.example.com"; empty: host and port'
    )
    trusted_proxies: tuple[Annotated[str, AfterValidator(network)], ...] = Field(
        (), description="networks whose Forwarded and X-Forwarded-* headers are believed, walked from the right"
    )
    max_body_bytes: int = Field(65536, ge=1024, le=16777216, description="a larger request body is answered with 413")
    body_timeout_seconds: int = Field(10, ge=1, le=300, description="a body that takes longer to arrive gets 408")
    workers: int = Field(1, ge=0, le=MOST_WORKERS, description="processes that serve; 0 is one per core")

    @property
    def worker_count(self) -> int:
        """How many processes that is on this machine."""
        return self.workers or min(usable_cores(), MOST_WORKERS)

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        return is_loopback(self.host)

    def public_origin(self, listening_port: int | None = None) -> str:
        """What links of pages, mails and commands begin with: `public_url`, or else the address of the listener.

        "" if nobody can know it: `port` is 0, and no `listening_port` tells which one that became.
        """
        port = listening_port or self.port
        return self.public_url or (origin_of_listener(self.host, port) if port else "")

    @property
    def trusted_networks(self) -> tuple[Network, ...]:
        """`trusted_proxies`, parsed."""
        return tuple(ipaddress.ip_network(text) for text in self.trusted_proxies)


class StoreSettings(Section):
    """The database."""

    url: Annotated[str, AfterValidator(store_url)] = Field(
        "sqlite:///data/watchword.db", description="sqlite:///path/to/file.db, or postgresql://user:password@host/name"
    )
    listen_url: Annotated[str, AfterValidator(direct_url)] = Field(
        "", description="PostgreSQL: direct URL for LISTEN where store.url goes through a pooler in transaction mode"
    )
    schema_name: Annotated[str, AfterValidator(schema)] = Field(
        "watchword", description="PostgreSQL: the schema with the tables; each server of a database needs its own"
    )
    pool_size: int = Field(
        10, ge=1, le=500, description="PostgreSQL: connections per process, beside the one that listens"
    )
    connect_timeout_seconds: int = Field(
        3, ge=1, le=60, description="PostgreSQL: how long a new connection may take, all hosts of store.url together"
    )
    statement_timeout_seconds: int = Field(
        3,
        ge=1,
        le=60,
        description="PostgreSQL: how long a statement may take; a request waits 3.5 s in all, whatever this is",
    )

    @property
    def is_sqlite(self) -> bool:
        """Whether the store is the embedded one."""
        return is_sqlite(self.url)


class TokenSettings(Section):
    """The access tokens."""

    issuer: str = Field("my-api", min_length=1, max_length=200, description="`iss` of every token")
    audience: str = Field("my-api", min_length=1, max_length=200, description="`aud` of every token")
    algorithm: Literal["ES256", "EdDSA", "RS256", "HS256"] = Field(
        "ES256", description="ES256, EdDSA or RS256; or HS256, which needs tokens.secret and publishes no key"
    )
    secret: Secrets = Field(
        (), description="the shared secret of HS256, 32 bytes or more; of a list the first signs, all verify"
    )
    access_ttl_seconds: int = Field(300, ge=1, le=86400, description="life of an access token")
    cache_size: int = Field(
        100000, ge=0, le=1000000, description="how many verified tokens are remembered; about 1.5 KB each"
    )


class SessionSettings(Section):
    """How long a login lasts."""

    idle_ttl_seconds: int = Field(1209600, ge=1, le=315360000, description="a session ends when unused for so long")
    max_ttl_seconds: int = Field(7776000, ge=1, le=315360000, description="a session ends at this age, used or not")
    retry_window_seconds: int = Field(
        30, ge=0, le=300, description="how long a used refresh token may be sent again and gets the same successor"
    )


class PasswordSettings(Section):
    """Rules for passwords, and the cost of their hashes."""

    bcrypt_cost: int = Field(12, ge=4, le=17, description="each step doubles the time of a hash; below 10 is for tests")
    min_length: int = Field(15, ge=8, le=256, description="least length of a new password, in characters")
    context_words: tuple[str, ...] = Field(
        (), description="names of your organisation, products and systems, which no new password may be made of"
    )
    hash_threads: int = Field(
        0, ge=0, le=256, description="threads that hash; 0 is one per core; known devices have one more"
    )
    hash_queue: int = Field(64, ge=0, le=100000, description="how many hashes may wait; beyond that logins get 503")
    hash_wait_seconds: int = Field(
        5, ge=1, le=50, description="how long a hash may have to wait; logins that would wait longer get 503 at once"
    )
    reset_ttl_seconds: int = Field(86400, ge=60, le=2592000, description="life of a password reset token")


class KeySettings(Section):
    """The keys that sign tokens."""

    master_key: SealingSecrets = Field(
        (),
        description="seals the private keys in the store; of a list the first seals, all open; "
        "empty with SQLite: made beside the file",
    )
    rotate_every_days: int = Field(
        30, ge=0, le=3650, description="age at which a signing key is followed by the next; 0: only when asked"
    )
    jwks_max_age_seconds: int = Field(
        300, ge=1, le=86400, description="how long the JWKS may be cached; a new key is published twice as long ahead"
    )


class LimitSettings(Section):
    """How often passwords may be tried, and mails asked for."""

    account_guesses: int = Field(
        100, ge=10, le=100, description="wrong passwords that are looked at for an account until a right one or a reset"
    )
    address_guesses_per_hour: int = Field(
        300, ge=1, le=1000000, description="wrong passwords that are looked at from an address (IPv6: a /64)"
    )
    all_guesses_per_hour: int = Field(
        10000, ge=1, le=3600000, description="wrong passwords that are looked at in all; known devices are not counted"
    )
    account_mails_per_hour: int = Field(
        5, ge=1, le=1000, description="mails that anybody can make us send to an address, and about an account"
    )
    address_mails_per_hour: int = Field(
        60, ge=1, le=1000000, description="such mails that are asked for from an address of the network (IPv6: a /64)"
    )
    all_mails_per_hour: int = Field(2000, ge=1, le=3600000, description="such mails that are asked for in all")


class RegistrationSettings(Section):
    """Who may make an account of their own."""

    mode: Literal["closed", "invitation", "open"] = Field(
        "closed", description="who may sign up: closed (nobody), invitation (whom an admin has invited) or open"
    )
    role: str = Field(DEFAULT_ROLE, min_length=1, max_length=64, description="role of who signs up")
    email_domains: tuple[Annotated[str, AfterValidator(email_domain)], ...] = Field(
        (), description="whoever signs up needs an address of one of these domains; empty: needs none"
    )


class CorsSettings(Section):
    """Which web pages may call the API."""

    origins: tuple[Annotated[str, AfterValidator(origin)], ...] = Field(
        (), description='exact origins of browser clients, like "https://app.example.com" or "capacitor://localhost"'
    )
    headers: tuple[Annotated[str, AfterValidator(field_name)], ...] = Field(
        (), description='request headers that they may send besides Authorization and Content-Type, like "traceparent"'
    )


class PageSettings(Section):
    """The pages for people: sign-in, account, console."""

    enabled: bool = Field(True, description="serve the pages for people: sign-in, account, console")
    name: Annotated[str, AfterValidator(shown_name)] = Field(
        "Watchword", min_length=1, max_length=60, description="what the pages call this service"
    )
    languages: Annotated[tuple[Literal["en", "de"], ...], AfterValidator(unlike)] = Field(
        ("en", "de"), min_length=1, description="languages of the pages, en and de; the first is the default"
    )


class MetricsSettings(Section):
    """The listener of the metrics."""

    host: str = Field("127.0.0.1", min_length=1, description="address of the listener of GET /metrics")
    port: int = Field(0, ge=0, le=65535, description="its port, another than server.port; 0: there are no metrics")

    @property
    def is_loopback(self) -> bool:
        """Whether only programs on this machine can connect."""
        return is_loopback(self.host)


class LogSettings(Section):
    """What is logged, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field("info", description="debug, info, warning or error")
    format: Literal["auto", "json", "console"] = Field(
        "auto", description="json or console; auto is console on a terminal and json elsewhere"
    )
    requests: bool = Field(True, description="one line for each request")


class RoleSettings(Section):
    """One role."""

    includes: tuple[str, ...] = Field((), description="roles whose rights this one has too")


def default_roles() -> dict[str, RoleSettings]:
    """The two roles that Watchword needs. A settings file can change them and add others."""
    return {"customer": RoleSettings(), "admin": RoleSettings(includes=("customer",))}


class Settings(Section, Sourced):
    """All settings. A reload makes another tree of them."""

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    tokens: TokenSettings = TokenSettings()
    sessions: SessionSettings = SessionSettings()
    passwords: PasswordSettings = PasswordSettings()
    keys: KeySettings = KeySettings()
    limits: LimitSettings = LimitSettings()
    registration: RegistrationSettings = RegistrationSettings()
    mail: MailSettings = MailSettings()
    cors: CorsSettings = CorsSettings()
    pages: PageSettings = PageSettings()
    metrics: MetricsSettings = MetricsSettings()
    logs: LogSettings = LogSettings()
    roles: Annotated[Mapping[str, RoleSettings], AfterValidator(_frozen)] = Field(
        default_factory=default_roles, validate_default=True, description="roles, beside or in place of these two"
    )
    access: Annotated[Mapping[str, tuple[str, ...]], AfterValidator(_frozen)] = Field(
        default_factory=dict,
        validate_default=True,
        description='who may call a route, in place of its default: "GET /users" = ["support"]',
    )

    @property
    def role_includes(self) -> Mapping[str, tuple[str, ...]]:
        """Each role with the roles that it includes."""
        return {name: role.includes for name, role in self.roles.items()}

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        problems = [*role_problems(self.role_includes), *access_problems(self.access, self.roles)]
        closed = self.registration.mode == "closed"
        problems += registration_problems(self.registration.role, self.role_includes, closed=closed)
        problems += mail_problems(self.mail, public_url=self.server.public_url, port=self.server.port)
        if self.tokens.algorithm == "HS256" and not self.tokens.secret:
            problems.append("tokens.secret: HS256 needs it; make one with: openssl rand -base64 32")
        if not self.store.is_sqlite and not self.keys.master_key:
            problems.append(
                "keys.master_key: PostgreSQL needs it given; after `store move` it is the line in the .key file of the "
                "old store; for a new store make one with: openssl rand -base64 32"
            )
        if self.store.listen_url:
            problems += listen_url_problems(self.store.listen_url, self.store.url)
        if len(json.dumps(self.tokens.issuer + self.tokens.audience)) - len('""') > _ISSUER_AND_AUDIENCE:
            problems.append(
                "tokens.issuer: with tokens.audience it makes tokens so long that they are refused; shorten one, to "
                f"{_ISSUER_AND_AUDIENCE} bytes of JSON for both, where a character beyond ASCII has 6 or 12"
            )
        if 0 < self.metrics.port == self.server.port:
            problems.append(
                "metrics.port: is that of server.port; the metrics have a listener of their own, choose another"
            )
        if self.sessions.idle_ttl_seconds > self.sessions.max_ttl_seconds:
            problems.append("sessions.idle_ttl_seconds: is longer than sessions.max_ttl_seconds; lower it")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def weaknesses(self) -> list[str]:
        """A warning for each setting that is allowed but weakens security."""
        return weaknesses(self)

    def one_address_for_all(self) -> str | None:
        """A warning if no proxy is trusted: behind a proxy all clients would have its address, and share its limits."""
        return one_address_for_all(self)

    def without_mail(self) -> str | None:
        """What is off if no mail is sent."""
        return without_mail(self)


def setting_names() -> list[str]:
    """The names of all settings as `section.key`; [roles] and [access] only as sections."""
    names = []
    for section, field in Settings.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += [f"{section}.{key}" for key in attributes(kind)]
        else:
            names.append(section)
    return names
