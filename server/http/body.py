"""Reads JSON bodies and query strings into models, whatever bytes the client sent.

aiohttp's own `request.json()` raises six kinds of exception on hostile bodies, accepts text/plain, NaN and UTF-7, and
waits for a body without a limit. So this module reads bodies itself, with limits for size and time.
"""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any, TypeVar

import orjson
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError

from server.core.errors import InvalidRequest
from server.http.errors import InvalidJson, MalformedRequest, PayloadTooLarge, RequestTimeout, UnsupportedMediaType
from server.http.leftovers import forget
from watchword_client.encoding import strict_json

Model = TypeVar("Model", bound=BaseModel)

# No valid request has so many members. An error message about thousands of unknown ones would delay other requests.
MAXIMUM_MEMBERS = 100
# Nor so many objects, each of which costs the strict parser a call. Signs in a password count too.
MAXIMUM_BRACES = 4500
# The white space of JSON (RFC 8259 section 2).
_WHITE_SPACE = b" \t\n\r"
# "utf8" is not a registered name, but many clients write it.
_MEDIA_TYPE = re.compile(
    r"[ \t]*application/json[ \t]*(?:;[ \t]*(?:charset[ \t]*=[ \t]*(\"?)utf-?8\1[ \t]*(?:;[ \t]*)?)?)?",
    re.IGNORECASE | re.ASCII,
)


async def read_json(
    request: web.Request, model: type[Model], *, limit: int, timeout_seconds: float, optional: bool = False
) -> Model:
    """The body as `model`. With `optional` an empty body counts as an empty object, whatever the headers say.

    Raises UnsupportedMediaType, PayloadTooLarge, RequestTimeout, MalformedRequest, InvalidJson or InvalidRequest.
    """
    if not optional:
        _check_media_type(request)
    body = await _read(request, limit, timeout_seconds)
    if optional:
        # The headers do not tell this: some proxies send an empty body as chunked, with only the last, empty chunk.
        if not body.strip(_WHITE_SPACE):
            return validate(model, {})
        _check_media_type(request)
    return validate(model, _parse(body))


def _check_media_type(request: web.Request) -> None:
    """Require one Content-Type, application/json, with no charset or UTF-8 (RFC 8259 section 8.1), and no encoding."""
    declared = request.headers.getall(hdrs.CONTENT_TYPE, [])
    if len(declared) != 1 or not _MEDIA_TYPE.fullmatch(declared[0]):
        raise UnsupportedMediaType
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() != "identity":
        raise UnsupportedMediaType


async def _read(request: web.Request, limit: int, timeout_seconds: float) -> bytes:
    if (request.content_length or 0) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    try:
        if request.content.is_eof():
            # A short body came with the headers, so there is nothing to wait for.
            return _read_at_once(request, limit)
        async with asyncio.timeout(timeout_seconds):
            return await _read_at_most(request, limit)
    except TimeoutError:
        raise RequestTimeout(f"The body did not arrive within {timeout_seconds:g} seconds.") from None
    except (web.RequestPayloadError, HttpProcessingError) as error:
        # The body keeps the error, and its frames the request: only a collection of garbage would free them.
        forget(error)
        raise MalformedRequest("The body could not be read as HTTP.") from None


def _read_at_once(request: web.Request, limit: int) -> bytes:
    body: bytes = request.content.read_nowait()
    if len(body) > limit:
        raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
    return body


async def _read_at_most(request: web.Request, limit: int) -> bytes:
    parts = []
    size = 0
    async for chunk in request.content.iter_any():
        size += len(chunk)
        if size > limit:
            raise PayloadTooLarge(f"The body is larger than {limit} bytes.")
        parts.append(chunk)
        if not request.content.is_eof():
            # Let other tasks run: reading all received data in one go takes long if its chunks are tiny.
            await asyncio.sleep(0)
    return b"".join(parts)


def _parse(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
        if text.count("{") > MAXIMUM_BRACES:
            # A quick parser, which does not see repeated members.
            orjson.loads(text)
            raise InvalidRequest([("body", f"There are more than {MAXIMUM_BRACES} opening braces.")])
        value = strict_json(text)
        if "\\u" in text:
            # A lone surrogate, written as an escape, is not a character: it can be neither stored nor hashed.
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise InvalidJson from None
    if not isinstance(value, dict):
        raise InvalidJson
    if len(value) > MAXIMUM_MEMBERS:
        raise InvalidRequest([("body", f"There are more than {MAXIMUM_MEMBERS} fields.")])
    return value


def validate(model: type[Model], value: dict[str, Any]) -> Model:
    """Check a JSON object against a model. Raises InvalidRequest with an entry for each field."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise InvalidRequest(_field_errors(error)) from None


def _field_errors(error: ValidationError) -> list[tuple[str, str]]:
    errors = []
    for part in error.errors(include_url=False, include_context=False, include_input=False)[:20]:
        field = ".".join(str(step) for step in part["loc"])[:100]
        message = {"extra_forbidden": "There is no such field.", "missing": "This field is required."}.get(part["type"])
        errors.append((field, message or part["msg"].removeprefix("Value error, ") + "."))
    return errors


def read_query(request: web.Request, model: type[Model]) -> Model:
    """The query string as `model`. Raises InvalidRequest, also for repeated and unknown parameters."""
    value: dict[str, Any] = {}
    for name, text in request.query.items():
        if name in value:
            raise InvalidRequest([(name[:100].encode("utf-8", "replace").decode(), "Give this parameter once.")])
        value[name] = text
    try:
        "".join([*value, *value.values()]).encode("utf-8")
    except UnicodeEncodeError:
        raise InvalidRequest([("query", "The query is not UTF-8.")]) from None
    return validate(model, value)
