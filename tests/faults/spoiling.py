"""Ways to spoil bytes, values of JSON, chunks and compressed bodies at random."""

from __future__ import annotations

import gzip
import json
import random
import zlib
from typing import Any

_SPICES: tuple[bytes, ...] = (
    b"",
    b"\x00",
    b"\r",
    b"\n",
    b"\r\n",
    b"\xff",
    b"\xc3\x28",
    b"\xed\xa0\x80",
    b"%00",
    b"%ff",
    b"%2f",
    b"..",
    b"//",
    b"?",
    b"#",
    b"&",
    b"=",
    b"'",
    b'"',
    b";",
    b",",
    b":",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\\ud800",
    b"\\u0000",
    b"null",
    b"true",
    b"-1",
    b"1e999",
    b"NaN",
    b"9" * 400,
    b"A" * 9000,
    "ß".encode(),
    "💥".encode(),
    b"<script>",
    b"' OR 1=1 --",
    b"${x}",
    b" ",
    b"\t",
    b"%u0041",
    b"+",
    b"%",
    b"%2e%2e%2f",
    b"\xef\xbb\xbf",
    "\u202e".encode(),
    "\ufeff".encode(),
    "\u0130".encode(),
    b"\x7f",
    "e\u0301".encode(),
    "\u2028".encode(),
    "\uff0e".encode(),
    "\U000e0001".encode(),
    b"*",
    b"\\",
    b"`",
    b"|",
    b"@",
    b"@b.example",
)
_VALUES: tuple[Any, ...] = (
    None,
    True,
    False,
    0,
    -1,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    0.5,
    1e308,
    -0.0,
    60.0,
    "",
    " ",
    "\x00",
    "\ud800",
    "\udfff\ud800",
    "a\x00b",
    "💥",
    "ß" * 70,
    "x" * 5000,
    "\u202eabc",
    "Ǆ",
    "\ufb01",
    "\u0130",
    "admin",
    "customer",
    "moderator",
    "true",
    "1",
    "null",
    "../../etc",
    "' OR 1=1 --",
    "a@b",
    "a@b.example",
    "a@" + "x" * 300,
    '"@"@b.example',
    "lak\n",
    [],
    {},
    [None],
    [[]],
    {"$ref": "#"},
    {"a": {"b": []}},
    ["x"] * 200,
    {str(number): number for number in range(150)},
    "2026-11-26T08:00:00Z",
    "9999-99-99",
    "0",
    "\uff17",
    "\U0001d7df",
    "KQ4X-W2M7",
    "kq4x w2m7",
    "00000000",
    "----",
    "wwr_" + "A" * 75,
    "wwp_x",
    "wwi_x",
    "wwe_x",
    "wwf_x",
    "wws_x",
    "01990000-0000-7000-8000-00000000beef",
    "019900000000700080000000000000beef",
    "xn--a",
    "a@xn--a.example",
    "a@\u2100.example",
)


class Spoiler:
    """Takes all choices from one generator."""

    def __init__(self, generator: random.Random) -> None:
        self.random = generator
        # Whether chunks were spoilt. What comes behind them may be a part of them then.
        self.has_broken_chunks = False

    def spoil(self, text: bytes) -> bytes:
        """Cut, double, replace or season a part."""
        start = self.random.randint(0, len(text))
        end = self.random.randint(start, min(len(text), start + 8))
        kind = self.random.randrange(6)
        if kind == 0:
            return text[:start] + text[end:]
        if kind == 1:
            return text[:end] + text[start:]
        if kind == 2:
            return text[:start] + self.random.randbytes(end - start) + text[end:]
        if kind == 3 and text:
            place = self.random.randrange(len(text))
            flipped = bytes([text[place] ^ (1 << self.random.randrange(8))])
            return text[:place] + flipped + text[place + 1 :]
        return text[:start] + self.random.choice(_SPICES) + text[end:]

    def json_value(self, value: dict[str, Any]) -> dict[str, Any]:
        """An object with another value, without a member, or with one too many."""
        changed = dict(value)
        name = self.random.choice([*value, "x"])
        kind = self.random.randrange(5)
        if kind == 0:
            changed.pop(name, None)
        elif kind == 1:
            text = str(changed.get(name, "")).encode("utf-8", "surrogatepass")
            changed[name] = self.spoil(text).decode("utf-8", "surrogateescape")
        else:
            changed[name] = self.random.choice(_VALUES)
        return changed

    def document(self, body: bytes) -> bytes:
        """Another document than an object: too deep, too long, repeated members, another encoding, a form."""
        text = body.decode("utf-8", "replace") or "{}"
        depth = self.random.choice((10, 500, 5000, 30_000))
        return self.random.choice(
            (
                lambda: b"[" * depth + b"]" * self.random.choice((0, depth)),
                lambda: b'{"a":' * depth + b"1" + b"}" * depth,
                lambda: b'{"username":' + b"[" * depth,
                lambda: body[:-1] + b"," + body[1:],
                lambda: text.encode("utf-16"),
                lambda: text.encode("utf-7", "replace"),
                lambda: b"\xef\xbb\xbf" + body,
                lambda: json.dumps(text).encode(),
                lambda: b"username=admin0&password=x&%00=%ff&token=" + body,
                lambda: b'--x\r\nContent-Disposition: form-data; name="username"\r\n\r\nadmin0\r\n--x--\r\n',
                lambda: body + b" " * self.random.choice((1, 70_000)),
                lambda: body.replace(b'"', b"'"),
                lambda: b'{"uses": ' + b"9" * self.random.choice((20, 5000)) + b"}",
                lambda: b'{"' + b"x" * self.random.choice((200, 60_000)) + b'": 1}',
                lambda: b'{"a": "' + b"\\ud800" * self.random.choice((1, 500)) + b'"}',
                lambda: b"{" + b",".join(b'"%d":%d' % (number, number) for number in range(3000)) + b"}",
            )
        )()

    def compressed(self, body: bytes) -> tuple[bytes, bytes]:
        """Name of an encoding and the body in it, or in another one, or broken."""
        many = body + b" " * self.random.choice((0, 100_000))
        name, coded = self.random.choice(
            (
                (b"gzip", gzip.compress(many, mtime=0)),
                (b"deflate", zlib.compress(many)),
                (b"deflate", zlib.compress(many)[2:-4]),
                (b"br", many),
                (b"zstd", b"\x28\xb5\x2f\xfd" + many),
                (b"identity", many),
                (b"x-gzip", gzip.compress(many, mtime=0)),
            )
        )
        return name, self.spoil(coded) if self.random.random() < 0.4 else coded

    def chunks(self, body: bytes) -> bytes:
        """The body in chunks, most of the time right ones."""
        parts = []
        while body:
            size = self.random.choice((1, 7, len(body)))
            piece, body = body[:size], body[size:]
            extension = self.random.choice((b"", b"", b"", b";a=b", b';a="b\r"', b";" + b"x" * 3000))
            parts.append(b"%x%b\r\n%b\r\n" % (len(piece), extension, piece))
        parts.append(self.random.choice((b"0\r\n\r\n", b"0\r\n\r\n", b"0\r\nX: y\r\n\r\n", b"00\r\n\r\n")))
        if self.random.random() < 0.3:
            place = self.random.randrange(len(parts))
            parts[place] = self.spoil(parts[place])
            self.has_broken_chunks = True
        return b"".join(parts)
