"""What the settings say about registration."""

from __future__ import annotations

from server.access.rules import require_role
from server.core.errors import InvalidRequest
from server.emails.address import address_key
from server.registration.errors import RegistrationClosed
from server.settings.tree import RegistrationSettings
from watchword_client.access import Roles


class RegistrationRules:
    """Who may register, and with what. `inviting` are the roles that may call POST /invitations."""

    def __init__(self, settings: RegistrationSettings, roles: Roles, inviting: frozenset[str]) -> None:
        self._settings = settings
        self._roles = roles
        self._inviting = inviting

    @property
    def role(self) -> str:
        """The role of who registers without an invitation."""
        return self._settings.role

    def require_not_closed(self) -> None:
        """Raise RegistrationClosed if nobody may register."""
        if self._settings.mode == "closed":
            raise RegistrationClosed

    def require_open(self) -> None:
        """Raise RegistrationClosed if nobody may register without an invitation."""
        self.require_not_closed()
        if self._settings.mode == "invitation":
            raise RegistrationClosed("Registration takes an invitation here; ask an admin for one.")

    def has_role(self, role: str) -> bool:
        """Whether the settings have it. An invitation may be older than they are."""
        return role in self._roles

    def check_role(self, role: str) -> None:
        """Raise InvalidRequest if there is no such role."""
        require_role(self._roles, role)

    def may_invite(self, role: str) -> bool:
        """Whether users of that role may invite others."""
        return role in self._inviting

    def check_address(self, email: str | None, *, required: bool) -> None:
        """Raise InvalidRequest if an address of other domains was given, or none where one is required."""
        domains = self._settings.email_domains
        if not domains or (email is None and not required):
            return
        if email is None or (address_key(email) or "").rpartition("@")[2] not in domains:
            raise InvalidRequest([("email", f"Give an address of one of these domains: {', '.join(domains)}.")])
