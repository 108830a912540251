"""Origins are compared as texts, so only the spelling of browsers is taken (RFC 6454 section 6.2, the URL standard)."""

from __future__ import annotations

import pytest

from server.settings.origins import field_name, origin


@pytest.mark.parametrize(
    "text",
    [
        "https://app.example.com",
        "https://app.example.com:8443",
        "http://app.example.com:443",
        "https://app.example.com:80",
        "http://localhost:3000",
        "http://127.0.0.1:5173",
        "http://[::1]:3000",
        "https://[2001:db8::1]",
        "https://[::ffff:7f00:1]",
        "https://xn--mnchen-3ya.example",
        "https://a_b.1e3.example",
        "capacitor://localhost",
        "ionic://localhost",
        "tauri://localhost",
        "tauri://localhost:1420",
        "app://obsidian.md",
        "app://.",
        "chrome-extension://abcdefghijklmnopabcdefghijklmnop",
        "moz-extension://2c127fa4-62c7-7e4f-90e5-472b45eecfdc",
    ],
)
def test_what_browsers_and_apps_send_is_taken(text: str) -> None:
    assert origin(text) == text


@pytest.mark.parametrize(
    ("text", "sent"),
    [
        ("https://app.example.com:443", "https://app.example.com"),
        ("http://app.example.com:80", "http://app.example.com"),
        ("http://app.example.com:0080", "http://app.example.com"),
        ("https://app.example.com:08443", "https://app.example.com:8443"),
        ("https://app.example.com:", "https://app.example.com"),
        ("http://[::1]:80", "http://[::1]"),
        ("https://user:hush@app.example.com", "https://app.example.com"),
        ("https://user@hush@app.example.com:8443/x", "https://app.example.com:8443"),
        ("https://@app.example.com", "https://app.example.com"),
        ("https://App.Example.com", "https://app.example.com"),
        ("HTTPS://app.example.com", "https://app.example.com"),
        ("https://app.example.com/", "https://app.example.com"),
        ("https://app.example.com.", "https://app.example.com"),
        ("https://app.example.com./", "https://app.example.com"),
        ("https://app.example.com/login?x#y", "https://app.example.com"),
        ("https://app.example.com?x", "https://app.example.com"),
        ("https://app.example.com#", "https://app.example.com"),
        ("https://app.example.com\\x", "https://app.example.com"),
        (" https://app.example.com\n", "https://app.example.com"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://straße.example", "https://xn--strae-oqa.example"),
        ("https://\uff41\uff50\uff50.example", "https://app.example"),
        ("http://0x7f.1", "http://127.0.0.1"),
        ("http://127.1", "http://127.0.0.1"),
        ("http://2130706433", "http://127.0.0.1"),
        ("http://0177.0.0.01:8080", "http://127.0.0.1:8080"),
        ("http://127.0.0.1.", "http://127.0.0.1"),
        ("http://[0:0:0:0:0:0:0:1]", "http://[::1]"),
        ("https://[2001:DB8::1]", "https://[2001:db8::1]"),
        ("https://[::ffff:127.0.0.1]", "https://[::ffff:7f00:1]"),
        ("wss://app.example.com", "https://app.example.com"),
        ("ws://app.example.com:80", "http://app.example.com"),
        ("CAPACITOR://localhost", "capacitor://localhost"),
        ("capacitor://localhost/", "capacitor://localhost"),
        ("chrome-extension://abcdefghijklmnopabcdefghijklmnop/index.html",
         "chrome-extension://abcdefghijklmnopabcdefghijklmnop"),
    ],
)  # fmt: skip
def test_another_spelling_is_refused_with_the_one_that_browsers_send(text: str, sent: str) -> None:
    with pytest.raises(ValueError, match="a browser sends as an origin; write ") as caught:
        origin(text)
    assert str(caught.value).endswith(f" write {sent}")
    assert "hush" not in str(caught.value)
    assert str(caught.value).isprintable()
    assert origin(sent) == sent


@pytest.mark.parametrize(
    "text",
    ["", "app.example.com", "app.example.com:8443", "//app.example.com", "https:app.example.com",
     "https:/app.example.com", "https://", "https://:443", "://a", "https://a b", "https://a..b", "https://a,b", "https://a%41.example",
     "https://a.example,https://b.example", "https://a.example https://b.example", "https://a.example:x",
     "https://a.example:65536", "https://a.example:" + "9" * 5000, "https://user:hush@:1", "https://::1", "https://[::1",
     "https://[::1%eth0]", "https://[]", "https://[x]", "http://256.1.1.1", "http://1.2.3.4.5", "http://0x", "http://a.1",
     "https://a\u200d.example", "https://\ud800.example", "https://\x1b[2J", "capacitor://", "capacitor://local host",
     "app://münchen", "1app://x"],
)  # fmt: skip
def test_what_is_no_origin_at_all_is_told_the_form(text: str) -> None:
    with pytest.raises(ValueError, match=r"is no origin; write scheme://host or scheme://host:port") as caught:
        origin(text)
    assert "hush" not in str(caught.value)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text", ["null", "NULL", " null", "file://", "file:///home/me/index.html", "data://x", "blob://x"]
)
def test_null_is_nobodys_own(text: str) -> None:
    with pytest.raises(ValueError, match="null, the origin of local files"):
        origin(text)


@pytest.mark.parametrize(
    "text", ["*", "https://*", "https://*.example.com", "chrome-extension://*", "http://localhost:*"]
)
def test_a_wildcard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="a wildcard would let any site"):
        origin(text)


def test_a_name_of_a_header_is_a_token() -> None:
    """RFC 9110 section 5.1."""
    for name in ("traceparent", "X-B3-TraceId", "sentry-trace", "x_y.z", "!#$%&'+^`|~"):
        assert field_name(name) == name
    for name in ("", "a b", "a:", "a,b", "traceparent ", "ä", "a\r\nb", "a/b", '"a"', "(a)"):
        with pytest.raises(ValueError, match="is no name of a header; list names alone"):
            field_name(name)
    with pytest.raises(ValueError, match="takes \\* for a name"):
        field_name("*")
