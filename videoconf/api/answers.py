"""Write answers: turn plain values into JSON in one place, and long answers in bounded memory."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from itertools import islice
from tempfile import TemporaryFile
from typing import IO, Any

import orjson
from flask import Response
from flask.json.provider import JSONProvider

KEPT_IN_MEMORY_BYTES = 1024 * 1024
"""How much of an answer is kept in memory; the rest waits in a temporary file."""
BLOCK_BYTES = 64 * 1024
ENCODED_AT_ONCE = 100
"""Items that become JSON in one go: one by one takes twice as long, and all at once any amount of memory."""

JsonText = orjson.Fragment
"""A value for :func:`json_bytes` that is JSON already."""

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_PASSTHROUGH_DATACLASS  # a dataclass may hold a secret


def json_bytes(value: Any, **options: Any) -> bytes:
    """Write plain values as JSON: members in their order, times as :func:`videoconf.formats.utc_text` has them.

    By orjson, in a tenth of the time of the standard library, which writes what orjson refuses: integers beyond 64 bits
    and unpaired surrogates.
    """
    try:
        return orjson.dumps(value, option=_OPTIONS, **options)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), **options).encode()


class JsonAnswers(JSONProvider):
    """The application's JSON."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return json_bytes(obj, **kwargs).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return json.loads(s, **kwargs)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        value = kwargs or (args[0] if len(args) == 1 else args or None)
        return Response(json_bytes(value), content_type="application/json")


def json_array(items: Iterable[Any]) -> Iterator[bytes]:
    """Write any number of items as a JSON array, part by part."""
    items, separator = iter(items), b"["
    while block := list(islice(items, ENCODED_AT_ONCE)):
        yield separator + json_bytes(block)[1:-1]
        separator = b","
    yield b"[]" if separator == b"[" else b"]"


def spooled(parts: Iterable[bytes], content_type: str) -> Response:
    """Answer with what may be long, in bounded memory.

    It is written in full before the first byte is sent: the database's connection does not wait for a slow reader, and
    a failure on the way is an error, not the first half of an answer.
    """
    kept, parts = bytearray(), iter(parts)
    for part in parts:
        kept += part
        if len(kept) > KEPT_IN_MEMORY_BYTES:
            break
    else:
        return Response(bytes(kept), content_type=content_type)
    with ExitStack() as closing:
        file = closing.enter_context(TemporaryFile())
        file.write(kept)
        file.writelines(parts)
        response = Response(_blocks(file), content_type=content_type)
        response.content_length = file.tell()
        file.seek(0)
        response.call_on_close(closing.pop_all().close)  # for a reader who goes away before the end
        return response


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        yield from iter(partial(file.read, BLOCK_BYTES), b"")
