"""What the settings say about keys, passwords and registration, in the terms of these features."""

from __future__ import annotations

import socket

from server.access.rules import ADMIN
from server.keys.key_material import shared_secret
from server.keys.rotation import RotationPolicy
from server.passwords.policy import PasswordPolicy
from server.registration.rules import RegistrationRules
from server.settings import Settings
from server.settings.secrets import texts
from watchword_client.access import Roles, only

DAY_MS = 86_400_000


def rotation_policy(settings: Settings) -> RotationPolicy:
    """What the settings say about keys."""
    return RotationPolicy(
        algorithm=settings.tokens.algorithm,
        access_ttl_seconds=settings.tokens.access_ttl_seconds,
        rotate_every_ms=settings.keys.rotate_every_days * DAY_MS,
        # Twice the time that caches may keep the JWKS, so each has fetched the key, even one that is late.
        publish_ahead_ms=settings.keys.jwks_max_age_seconds * 2000,
        secrets=[shared_secret(text) for text in texts(settings.tokens.secret)],
    )


def password_policy(settings: Settings) -> PasswordPolicy:
    """The policy, with the names of the service and the words of the operator (OWASP ASVS 5.0, 6.1.2)."""
    service = ("Watchword", settings.tokens.issuer, settings.tokens.audience, *settings.roles, socket.gethostname())
    return PasswordPolicy(settings.passwords.min_length, (*service, *settings.passwords.context_words))


def registration_rules(settings: Settings, roles: Roles) -> RegistrationRules:
    """The rules. An invitation is good as long as who made it may make one, by `[access]` or by default."""
    named = settings.access.get("POST /invitations")
    inviting = roles.sufficient(ADMIN if named is None else only(*named))
    return RegistrationRules(settings.registration, roles, inviting or frozenset())
