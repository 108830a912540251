"""`token inspect` and `token verify`, beside a server that runs."""

from __future__ import annotations

import base64
import json
import urllib.request
from pathlib import Path

from tests.in_process import LocalServer, run, serving

PASSWORD = "brown otters juggle turnips"


def with_claims(token: str, **changes: object) -> str:
    """The same header and signature around other claims."""
    header, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "==")) | changes
    return f"{header}.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.{signature}"


def save_jwks(server: LocalServer, path: Path) -> None:
    with urllib.request.urlopen(f"{server.address}/.well-known/jwks.json") as response:  # noqa: S310 - our own server
        path.write_bytes(response.read())


def test_a_token_is_looked_into_and_verified(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        answer = server.log_in("admin", server.admin_password())
        token = answer["token"]
        shown = run(tmp_path, "token", "inspect", token)
        assert (shown.returncode, shown.stderr) == (0, "")
        lines = shown.stdout.splitlines()
        assert lines[0] == "accepted"
        assert lines[1].startswith("signature holds: ES256 by key ")
        assert lines[1].endswith(", which is active")
        assert "  role      admin" in lines
        assert "  GET     /users" in lines
        assert lines[-1].startswith("  and the ")
        (expires,) = [line for line in lines if line.startswith("  exp       ")]
        assert ", in 4 minutes" in expires or ", in 5 minutes" in expires

        # Neither the list of processes nor the history of the shell has to see it.
        for given in (token, f"Authorization: Bearer {token}\n", json.dumps(answer)):
            verified = run(tmp_path, "token", "verify", stdin=given)
            assert (verified.returncode, verified.stdout) == (0, "accepted\n")

        forged = run(tmp_path, "token", "verify", with_claims(token, role="emperor"))
        reason = "the signature was not made by that key over this header and payload"
        assert (forged.returncode, forged.stdout) == (1, f"token_invalid: {reason}\n")
        answered = json.loads(run(tmp_path, "token", "verify", "--json", with_claims(token, role="emperor")).stdout)
        assert (answered["verdict"], answered["reasons"]) == ("token_invalid", [reason])
        assert answered["claims"]["role"] == "emperor"
        refresh = run(tmp_path, "token", "inspect", answer["refresh_token"])
        assert refresh.stdout.splitlines()[1].startswith("  it is a refresh token")

        asked = server.call("POST", "/inspect", {"token": token})[1]
        printed = json.loads(run(tmp_path, "token", "inspect", token, "--json").stdout)
        for changing in ("now", "times"):
            del asked[changing], printed[changing]
        assert printed == asked


def test_with_a_file_of_keys_nothing_is_known_of_logouts(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        token = server.log_in("admin", server.admin_password())["token"]
        save_jwks(server, tmp_path / "jwks.json")
        assert server.call("POST", "/logout", token=token)[0] == 204
        by_store = run(tmp_path, "token", "verify", token)
        assert (by_store.returncode, by_store.stdout.partition(":")[0]) == (1, "token_revoked")
        by_file = run(tmp_path, "token", "verify", "--jwks", "jwks.json", token)
        assert (by_file.returncode, by_file.stdout) == (0, "accepted\n")
        other = run(tmp_path, "token", "verify", "--jwks", "jwks.json", token, WATCHWORD__TOKENS__AUDIENCE="other")
        assert (other.returncode, other.stdout) == (1, "token_invalid: `aud` is not `other`, the audience here\n")
        shown = run(tmp_path, "token", "inspect", "--jwks", "jwks.json", token).stdout
        assert shown.startswith("accepted\nsignature holds: ES256 by key ")
        assert "may call" not in shown
        for name, text in (("missing.json", None), ("broken.json", "{"), ("private.json", '{"kty":"EC","d":"x"}')):
            if text is not None:
                (tmp_path / name).write_text(text)
            refused = run(tmp_path, "token", "verify", "--jwks", name, token)
            assert (refused.returncode, refused.stdout) == (2, "")
            assert refused.stderr.startswith(f"config: --jwks {name}: ")


def test_what_is_in_a_token_does_not_reach_the_terminal(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        token = with_claims(
            server.log_in("admin", server.admin_password())["token"],
            **{"username": "\x1b]0;owned\x07", "role": "\u202e\u009b\ud800", "\x1b[2J": ["\x9b2J", {"\u2028": "é"}]},
        )
    for command in ("inspect", "verify"):
        for flags in ((), ("--json",)):
            done = run(tmp_path, "token", command, *flags, token)
            assert done.stderr == ""
            assert done.stdout.isascii()
            assert done.stdout.replace("\n", "").isprintable()


def test_whatever_is_given_is_answered_without_a_traceback(tmp_path: Path) -> None:
    assert run(tmp_path, "migrate").returncode == 0
    nested = base64.urlsafe_b64encode(b"[" * 5000).decode()
    for given in ("", "[" * 50_000, f"{nested}.{nested}.x", "\xff\xfe.é.é", "a" * 70_000):
        done = run(tmp_path, "token", "verify", stdin=given)
        assert done.returncode == 1
        assert done.stdout.startswith("token_invalid: ")
        assert done.stderr == ""
