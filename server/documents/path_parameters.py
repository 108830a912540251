"""What stands in the braces of a path, by its name: a description and an example."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

# A name means the same in all paths.
PATH_PARAMETERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "email_id": ("The id of the address, as GET /me/emails has it", "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b38"),
        "file": ("The name of the file", "base.css"),
        "invitation_id": ("The id of the invitation", "019aa7d2-0c4b-7e19-a6f8-3b5d7c9e1f24"),
        "kid": ("The name of the key, as GET /keys lists it", "wO9CvvwVtT1cFQeiKUGInlpZAuao6qfpkDMaf9mz5qQ"),
        "mail_id": ("The id of the mail, as GET /mails lists it", "019aa7d4-6e2a-7b91-8c05-2f4d6a8b0c13"),
        "session_id": ("The id of the session", "019aa7d1-5b0e-7c42-9d35-8e1f6a2b7c90"),
        "user_id": ("The id of the user", "019aa7d0-3f1c-7a58-b2e4-6d9c0f5a1b37"),
        "version": (
            "The version of all files, as the pages name it; for another one the current file",
            "19f7e11c02b4ad86",
        ),
    }
)
