"""Finds the challenge that somebody has proved to have the mail of, and uses it up."""

from __future__ import annotations

from server.challenges.model import Challenge, Purpose
from server.challenges.service import Challenges
from server.database.driver import Transaction
from server.emails.address import throttle_name
from server.emails.model import same_as
from server.emails.repository import EmailRepository
from server.recovery.model import ChallengeCode, Link, NamedCode
from server.users.repository import UserRepository


class Proofs:
    """What resets of passwords and signing in have in common."""

    def __init__(self, challenges: Challenges, users: UserRepository, emails: EmailRepository) -> None:
        self._challenges = challenges
        self._users = users
        self._emails = emails

    async def look(self, purpose: Purpose, proof: Link | NamedCode | ChallengeCode, address: str | None) -> Challenge:
        """The challenge, which is not used up. The client's budget pays before anything is compared.

        Raises LinkInvalid, CodeRequired, CodeInvalid, TooManyAttempts.
        """
        look = self._challenges.look
        if isinstance(proof, Link):
            return await look(purpose, address=address, token=proof.token, code=proof.code, browser=proof.browser)
        if isinstance(proof, ChallengeCode):
            return await look(purpose, address=address, challenge_id=proof.challenge_id, code=proof.code)
        found = await self._users.find_credentials(proof.identifier)
        user_id = None if found is None else found.user.id
        name = throttle_name(proof.identifier)
        return await look(purpose, address=address, user_id=user_id, name=name, code=proof.code)

    async def use(self, transaction: Transaction, challenge: Challenge) -> bool:
        """Use the challenge up. False if it gives no access any more, which is for the transaction to undo.

        That is so if it was used meanwhile, if the account is disabled, or if the address that it was mailed to is not
        verified as its own any more. Whether the password is still the same is for the caller to compare.
        """
        user = await self._users.lock(transaction, challenge.user_id)
        if user is None or user.disabled:
            return False
        held = same_as(challenge.email, await self._emails.emails_of(transaction, user.id))
        if held is None or not held.verified:
            return False
        return await self._challenges.use(transaction, challenge)
