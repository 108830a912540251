"""Sets a new password by a mailed link or code, once."""

from __future__ import annotations

from server.audit.model import AuditEvent
from server.challenges.errors import CodeInvalid, LinkInvalid
from server.challenges.model import Purpose
from server.challenges.service import Challenges
from server.database.driver import Transaction
from server.recovery.model import Link, NamedCode
from server.recovery.proofs import Proofs
from server.users.errors import InvalidResetToken
from server.users.passwords import UserPasswords, names_of


class MailedResets:
    """Resets of forgotten passwords. They sign nobody in, and end all sessions."""

    def __init__(self, challenges: Challenges, proofs: Proofs, passwords: UserPasswords) -> None:
        self._challenges = challenges
        self._proofs = proofs
        self._passwords = passwords

    def is_mailed(self, reset_token: str) -> bool:
        """Whether it is the token of a mailed link; else it is one that an operator has made."""
        return reset_token.startswith(Purpose.RESET_PASSWORD.prefix)

    async def reset(self, proof: Link | NamedCode, new_password: str, address: str | None) -> None:
        """Set a password. A password that the policy refuses does not use up link and code.

        Raises InvalidResetToken for a link and CodeInvalid for a code, also if the account has no access any more;
        CodeRequired, TooManyAttempts, InvalidRequest, Overloaded.
        """
        refusal = CodeInvalid if isinstance(proof, NamedCode) else InvalidResetToken
        try:
            challenge = await self._proofs.look(Purpose.RESET_PASSWORD, proof, address)
        except LinkInvalid:
            raise InvalidResetToken from None
        credentials = await self._challenges.credentials_of(challenge)
        if credentials is None:
            raise refusal
        password_hash = await self._passwords.hash(new_password, names_of(credentials.user), "new_password")

        async def use(transaction: Transaction) -> bool:
            return await self._proofs.use(transaction, challenge)

        event = AuditEvent.PASSWORD_RESET
        if not await self._passwords.set_hash(credentials, password_hash, event=event, use=use):
            raise refusal
