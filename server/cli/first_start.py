"""The first start of a store: an account to log in with."""

from __future__ import annotations

import structlog

from server.cli.greeting import usage
from server.cli.shown import show
from server.cli.tables import program
from server.core.errors import WatchwordError
from server.services import Services

_log = structlog.get_logger("watchword")


async def make_first_admin(services: Services, address: str) -> str:
    """Make an admin with a random password on an empty store. The password is shown here and nowhere else.

    It is shown before the account is committed. Otherwise an account whose password nobody has seen would keep the next
    start from making one. Raises WatchwordError if the password can't be shown.
    """
    password = services.ids.new_password()

    def show_password() -> None:
        try:
            show(
                "This store was empty, so an account is made. Its password is not shown again:\n\n"
                f"  username  admin\n  password  {password}\n\n"
            )
        except WatchwordError as error:
            raise WatchwordError(
                f"{error}; the first account is not made, since nobody would see its password"
            ) from None

    if not await services.users.create_first("admin", "Administrator", "admin", password, show_password):
        if not await services.users.has_admin():
            _log.warning("nobody is an admin", remedy=f"{program()} users create --username NAME --role admin")
        return ""
    return usage(address, "admin", password)
