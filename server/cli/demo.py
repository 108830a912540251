"""`serve --demo`: example users in a store that is deleted when the server ends."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from server.cli.greeting import usage
from server.core.errors import FileRefused
from server.services import Services
from server.settings import Settings
from server.settings.tree import KeySettings, StoreSettings
from server.users.model import new_account

# The tutorial's users.
DEMO_USERS = {
    "lak": "customer",
    "david": "customer",
    "john": "customer",
    "nishanthan": "customer",
    "pasindu": "customer",
    "sahan": "admin",
}


def demo_password(username: str) -> str:
    """The password of a demo user. It is public."""
    return f"{username}-demo-password"


def temporary_folder() -> tempfile.TemporaryDirectory[str]:
    """The folder of the demo's store. Raises FileRefused."""
    try:
        return tempfile.TemporaryDirectory(prefix="watchword-demo-")
    except OSError as error:
        raise FileRefused(f"there is no folder for temporary files ({error.strerror}); set TMPDIR to one") from error


def demo_settings(settings: Settings, folder: Path) -> Settings:
    """The settings with a new store in that folder, one worker, and new keys."""
    store = StoreSettings(url=f"sqlite:///{folder}/demo.db")
    server = settings.server.model_copy(update={"workers": 1})
    return settings.model_copy(update={"server": server, "store": store, "keys": KeySettings()})


async def make_demo_users(services: Services, address: str) -> str:
    """Add the demo users. Returns the lines that show their passwords."""
    for name, role in DEMO_USERS.items():
        # This leaves out the password policy, which would refuse these passwords.
        password_hash = await services.hashes.hash(demo_password(name))
        await services.users.add(
            new_account(
                user_id=services.ids.new_id(),
                username=name,
                name=name.capitalize(),
                role=role,
                password_hash=password_hash,
                now=services.clock.now_ms(),
            )
        )
    if not services.settings.server.is_loopback:
        print("The demo's passwords are public, and this address is not only yours.", file=sys.stderr)
    lines = "".join(f"  {name:<12}{role:<12}{demo_password(name)}\n" for name, role in DEMO_USERS.items())
    return (
        f"Demo: a throw-away store, gone when the server ends.\n\n  username    role        password\n{lines}\n"
        f"{usage(address, 'sahan', demo_password('sahan'))}"
    )
