"""What the client library logs."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Kept(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__()
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)


@contextmanager
def logged() -> Iterator[list[logging.LogRecord]]:
    """Its records meanwhile. Helpers use it too, and caplog would have to be handed through each of them."""
    records: list[logging.LogRecord] = []
    logger, handler = logging.getLogger("watchword_client"), _Kept(records)
    logger.addHandler(handler)
    try:
        yield records
    finally:
        logger.removeHandler(handler)


def told(record: logging.LogRecord, name: str) -> str:
    """What a record says under that name; its message has it too."""
    assert isinstance(record.args, dict)
    value = record.args[name]
    assert isinstance(value, str)
    assert value in record.getMessage()
    return value
