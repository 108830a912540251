"""The folder of `mail.templates`: its files replace shipped ones, and what is wrong with them is said at the start."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from server.core.errors import ConfigurationError
from server.mail.model import MailKind
from server.mail.rendering.template_files import LARGEST
from tests.mail.rendering.rendered import part, rendered, renderer

RESET = "reset-password.en.txt"
WORDS = "Subject: Password\n\nHello {{ username }}\n\nGo on:\n{{ link }}\n\nCode:\n{{ code }}\n"


def problems(folder: Path) -> list[str]:
    with pytest.raises(ConfigurationError) as refused:
        renderer(templates=str(folder))
    return [problem.replace(f"{folder}/", "") for problem in refused.value.problems]


def write(folder: Path, name: str, text: str | bytes) -> None:
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())


def test_a_file_replaces_the_shipped_one_in_both_parts(tmp_path: Path) -> None:
    write(tmp_path, RESET, WORDS)
    by = renderer(templates=str(tmp_path))
    message = rendered(MailKind.RESET_PASSWORD, "en", {"username": "<lak>"}, by=by)
    assert message["Subject"] == "Password"
    assert part(message, "plain").startswith("Hello <lak>\n\nGo on:\nhttps://auth.example.com/")
    page = part(message, "html")
    assert "Hello &lt;lak&gt;" in page
    assert ">Go on</a>" in page
    # All others are as they were.
    for kind, language in ((MailKind.RESET_PASSWORD, "de"), (MailKind.CONFIRM_EMAIL, "en")):
        assert part(rendered(kind, language, by=by), "plain") == part(rendered(kind, language), "plain")


def test_layouts_and_an_html_part_can_be_replaced(tmp_path: Path) -> None:
    write(
        tmp_path, "layout.txt", "{{ text }}\n\n{{ service }}, {% if language == 'de' %}Ort{% else %}Place{% endif %}\n"
    )
    write(
        tmp_path,
        "invitation.de.html",
        '{% extends "layout.html" %}{% block body %}<b>{{ subject }}</b> {{ link }}{% endblock %}',
    )
    by = renderer(templates=str(tmp_path))
    assert part(rendered(MailKind.TEST, "de", by=by), "plain").endswith("\n\nExample, Ort\n")
    assert part(rendered(MailKind.TEST, "en", by=by), "plain").endswith("\n\nExample, Place\n")
    page = part(rendered(MailKind.INVITATION, "de", by=by), "html")
    assert "<b>Ihre Einladung zu Example</b> https://auth.example.com/invitation#wwi_" in page
    assert '<html lang="de"' in page


@pytest.mark.parametrize("form", ["\ufeff{}", "{}\n\n\n", "{# ours #}\n{}"])
def test_files_are_taken_as_a_person_meant_them(tmp_path: Path, form: str) -> None:
    text = form.replace("{}", WORDS)
    write(tmp_path, RESET, text.replace("\n", "\r\n"))
    message = rendered(MailKind.RESET_PASSWORD, by=renderer(templates=str(tmp_path)))
    assert message["Subject"] == "Password"
    assert "\r" not in part(message, "plain")


def test_names_with_a_dot_in_front_are_left_alone(tmp_path: Path) -> None:
    """Editors make such files, and a mounted ConfigMap has a folder `..data` that its names lead to."""
    real = tmp_path / "..2026"
    real.mkdir()
    write(real, RESET, WORDS)
    (tmp_path / "..data").symlink_to(real)
    (tmp_path / RESET).symlink_to(Path("..data") / RESET)
    write(tmp_path, f".{RESET}.swp", b"\xff")
    assert rendered(MailKind.RESET_PASSWORD, by=renderer(templates=str(tmp_path)))["Subject"] == "Password"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("Subject: a\n\n{{ link }\n{{ code }}", "line 3: unexpected '}'; mend it"),
        ("Subject: a\n\n{% if username %}\n{{ link }}\n{{ code }}", "line 5: Unexpected end of template."),
        (f"{WORDS}{{{{ user_name }}}}", "line 10: there is no 'user_name'; did you mean username?"),
        (f"{WORDS}{{% if not link %}}{{{{ hours }}}}{{% endif %}}", "line 10: there is no 'hours'; there are code"),
        (f"{WORDS}{{{{ lipsum() }}}}", "line 10: there is no 'lipsum'"),
        (f"{WORDS}{{% if not link %}}{{{{ code|uper }}}}{{% endif %}}", "10: jinja has no 'uper'; did you mean upper?"),
        (f"{WORDS}{{{{ code|uper }}}}", "line 10: No filter named 'uper'; mend it"),
        (f"{WORDS}{{% if code is strange %}}x{{% endif %}}", "line 10: jinja has no 'strange'; did you mean string?"),
        (f"{WORDS}{{{{ username.nick }}}}", "line 10: 'str object' has no attribute 'nick'; mend it"),
        (f"{WORDS}{{{{ username.__class__ }}}}", "line 10: access to attribute '__class__'"),
        (f"{WORDS}\n\n{{{{ minutes / 0 }}}}", "line 12: ZeroDivisionError: division by zero; mend it"),
        (f"{WORDS}{{% include '/etc/passwd' %}}", "line 10: there is no template '/etc/passwd'"),
        (f"{WORDS}{{% if not link %}}{{% include 'x.txt' %}}{{% endif %}}", "line 10: there is no template 'x.txt'"),
        ("Hello\n{{ link }}\n{{ code }}", "line 1: there is no subject; let the first line begin with `Subject: `"),
        ("Subject:\n{{ link }}\n{{ code }}", "line 1: there is no subject"),
        ("", "line 1: there is no subject"),
        ("Subject: a\n\n{{ code }}", "reset-password needs {{ link }}; write it on a line of its own"),
        ("Subject: a\n\n{{ link }}", "reset-password needs {{ code }}; write it on a line of its own"),
        (f"{WORDS}{{{{ 'x' * 200000 }}}}", f"makes a mail of more than {LARGEST} characters"),
        (WORDS.encode() + b"\n\xe9\n", "line 11 is not UTF-8; save it as UTF-8"),
        ("x" * (LARGEST + 1), f"is larger than {LARGEST} bytes"),
    ],
)  # fmt: skip
def test_a_template_that_does_not_work_is_refused_with_file_line_and_remedy(
    tmp_path: Path, text: str | bytes, problem: str
) -> None:
    write(tmp_path, RESET, text)
    (said, *_) = problems(tmp_path)
    assert said.startswith(f"mail.templates: {RESET}")
    assert problem in said
    assert said.isprintable()


def test_the_layout_is_not_to_blame_for_what_the_words_lack(tmp_path: Path) -> None:
    write(tmp_path, RESET, "Subject: a\n\n{{ link }}")
    (said,) = problems(tmp_path)
    assert said == f"mail.templates: {RESET}: reset-password needs {{{{ code }}}}; write it on a line of its own"


def test_a_layout_that_loses_what_it_is_for_is_refused(tmp_path: Path) -> None:
    write(tmp_path, "layout.html", "<p>{{ subject }}</p>")
    assert "mail.templates: layout.html: reset-password needs {{ link }}; write it on a line of its own" in problems(
        tmp_path
    )
    write(tmp_path, "layout.html", "{{ username }}")
    assert problems(tmp_path)[0].startswith("mail.templates: layout.html, line 1: there is no 'username'; there are ")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("reset_password.en.txt", "no template has this name; did you mean reset-password.en.txt?"),
        ("reset-password.fr.txt", "no template has this name; did you mean reset-password."),
        ("layout.htm", "no template has this name; did you mean layout.html?"),
        ("README", "no template has this name; docs/mail.md has the names; take other files away"),
        ("\u202e.txt", "no template has this name;"),
    ],
)
def test_an_unknown_name_is_an_error(tmp_path: Path, name: str, problem: str) -> None:
    write(tmp_path, name, WORDS)
    (said,) = problems(tmp_path)
    assert problem in said
    assert said.isprintable()


def test_what_can_not_be_read_is_refused_and_nothing_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / RESET).symlink_to(tmp_path / RESET)
    (said,) = problems(tmp_path)
    assert said.startswith(f"mail.templates: {RESET}: is a symbolic link that leads back to itself; let the server ")
    (tmp_path / RESET).unlink()
    (tmp_path / RESET).symlink_to("missing")
    assert "no such file or directory" in problems(tmp_path)[0]
    for make in (Path.mkdir, os.mkfifo):
        (tmp_path / RESET).unlink(missing_ok=True)
        make(tmp_path / RESET)
        assert problems(tmp_path) == [f"mail.templates: {RESET}: is not a file; take it away"]
        if make is Path.mkdir:
            (tmp_path / RESET).rmdir()


def test_many_problems_are_told_of_at_once_but_not_all(tmp_path: Path) -> None:
    for number in range(30):
        write(tmp_path, f"{number}.txt", WORDS)
    assert len(problems(tmp_path)) == 10


def test_a_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    for folder, said in ((tmp_path / "missing", "no such file or directory"), (tmp_path / "file", "not a directory")):
        (tmp_path / "file").touch()
        with pytest.raises(ConfigurationError, match=rf"^mail\.templates: {folder}: {said}; name a folder$"):
            renderer(templates=str(folder))
