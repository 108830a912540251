"""`users invite`, `users invitations` and `users uninvite`, beside a running server."""

from __future__ import annotations

import json
from pathlib import Path

from tests.in_process import run, serving
from tests.records import id_of
from tests.running import PASSWORD

BY_INVITATION = {"WATCHWORD__REGISTRATION__MODE": "invitation"}
ORIGIN = "https://auth.example.com"


def test_a_link_of_the_command_lets_somebody_register_once(tmp_path: Path) -> None:
    with serving(tmp_path, **BY_INVITATION) as server:
        printed = run(tmp_path, "users", "invite", **BY_INVITATION, WATCHWORD__SERVER__PUBLIC_URL=ORIGIN)
        assert (printed.returncode, printed.stderr) == (0, "")
        said, link = printed.stdout.splitlines()
        assert said.startswith("invited 1 person (customer) until 20")
        address, _, token = link.partition("#")
        assert (address, token.startswith("wwi_")) == (f"{ORIGIN}/invitation", True)
        body = {"username": "nuwan", "name": "Nuwan", "password": PASSWORD, "invitation_token": token}
        assert server.call("POST", "/sign-up", body)[0] == 201
        assert server.call("POST", "/sign-up", body)[1]["code"] == "invitation_invalid"
        assert server.log_in("nuwan", PASSWORD)["token"]
        created = json.loads(run(tmp_path, "audit", "list", "--event", "invitation_created", "--json").stdout)["events"]
        assert (created[0]["via"], created[0]["actor_id"]) == ("command line", None)


def test_all_that_an_invitation_says_can_be_given(tmp_path: Path) -> None:
    with serving(tmp_path, **BY_INVITATION):
        options = ("--role", "admin", "--email", "Nuwan@EXAMPLE.com", "--expires-in", "60", "--json")
        printed = run(tmp_path, "users", "invite", *options, **BY_INVITATION)
        assert printed.returncode == 0, printed.stderr
        answer = json.loads(printed.stdout)
        made = answer["invitation"]
        assert (made["role"], made["email"], made["uses"], made["created_by"]) == (
            "admin",
            "Nuwan@example.com",
            1,
            None,
        )
        assert answer["link"].endswith(f"/invitation#{answer['invitation_token']}")
        several = run(tmp_path, "users", "invite", "--uses", "3", **BY_INVITATION)
        assert several.stdout.startswith("invited 3 people (customer)")


def test_invitations_are_listed_and_withdrawn(tmp_path: Path) -> None:
    with serving(tmp_path, **BY_INVITATION) as server:
        assert run(tmp_path, "users", "invitations").stdout == "id\tfor\trole\tused\tmade by\texpires\tstate\n"
        admin = server.log_in("admin", server.admin_password())["token"]
        made = server.call("POST", "/invitations", {}, admin)[1]["invitation"]
        token = json.loads(run(tmp_path, "users", "invite", "--json", **BY_INVITATION).stdout)["invitation_token"]
        first, second = json.loads(run(tmp_path, "users", "invitations", "--json").stdout)["invitations"]
        assert (second, first["created_by"], first["state"]) == ({**made, "state": "open"}, None, "open")
        withdrawn = run(tmp_path, "users", "uninvite", first["id"].upper())
        assert (withdrawn.returncode, withdrawn.stdout) == (0, f"the invitation {first['id']} is withdrawn\n")
        assert server.call("POST", "/invitations/check", {"invitation_token": token})[1]["code"] == "invitation_invalid"
        rows = [line.split("\t") for line in run(tmp_path, "users", "invitations").stdout.splitlines()[1:]]
        assert [(row[4], row[6]) for row in rows] == [("a command", "withdrawn"), (made["created_by"], "open")]


def test_what_can_not_be_done_is_said_in_a_line(tmp_path: Path) -> None:
    with serving(tmp_path):
        for arguments, code, said in (
            (("invite",), 1, 'registration.mode is "closed"'),
            (("uninvite", id_of(1)), 1, "no such invitation"),
            (("uninvite", "nothing"), 1, "no such invitation"),
            (("invite", "--email", "nobody"), 2, "--email"),
            (("invite", "--uses", "0"), 2, "--uses"),
            (("invite", "--expires-in", "9999999"), 2, "--expires-in"),
        ):
            refused = run(tmp_path, "users", *arguments)
            assert (refused.returncode, refused.stdout) == (code, ""), arguments
            assert said in refused.stderr
            assert "Traceback" not in refused.stderr
        wrong_role = run(tmp_path, "users", "invite", "--role", "king", **BY_INVITATION)
        assert (wrong_role.returncode, "There is no such role" in wrong_role.stderr) == (1, True)


def test_the_link_for_an_address_is_mailed_if_the_settings_say_where_mail_goes_out(tmp_path: Path) -> None:
    mail = {
        "WATCHWORD__MAIL__URL": f"file://{tmp_path}/mails",
        "WATCHWORD__MAIL__FROM": "auth@mail.example",
        "WATCHWORD__SERVER__PUBLIC_URL": ORIGIN,
    }
    with serving(tmp_path, **BY_INVITATION):
        printed = run(tmp_path, "users", "invite", "--email", "nuwan@example.com", **BY_INVITATION, **mail)
        assert (printed.returncode, printed.stderr) == (0, "")
        said, link, mailed = printed.stdout.splitlines()
        assert said.startswith("invited nuwan@example.com (customer) until 20")
        assert (link.partition("#")[2][:4], mailed) == ("wwi_", "the link is mailed to nuwan@example.com")
        to_other, to_lak = ("--email", "other@example.com"), ("--email", "lak@example.com")
        answers = [
            json.loads(run(tmp_path, "users", "invite", "--json", *options, **BY_INVITATION, **settings).stdout)
            for options, settings in ((to_other, mail), ((), mail), (to_lak, {}))
        ]
        assert [answer["mailed"] for answer in answers] == [True, False, False]
