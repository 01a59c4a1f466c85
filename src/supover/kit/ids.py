"""Identifiers: UUID version 7 (RFC 9562), made here so that any PostgreSQL from 16 on will do."""

import os
import threading
import time
from uuid import UUID

_lock = threading.Lock()
_last_ms = 0
_counter = 0
_random = b""
_used = 0


def _forget() -> None:
    """A fork must not make its parent's ids."""
    global _lock, _random, _used
    _lock, _random, _used = threading.Lock(), b"", 0


os.register_at_fork(after_in_child=_forget)


def new() -> UUID:
    """A new id; within this process each is greater than the one before.

    48 bits of Unix milliseconds, then a 12-bit counter within the millisecond, then 62 random bits.
    """
    global _last_ms, _counter, _random, _used
    with _lock:
        ms = time.time_ns() // 1_000_000
        if ms > _last_ms:
            _last_ms, _counter = ms, 0
        else:
            _counter += 1
            if _counter > 0xFFF:
                _last_ms, _counter = _last_ms + 1, 0
            ms = _last_ms
        if _used >= len(_random):
            _random, _used = os.urandom(4096), 0
        tail = int.from_bytes(_random[_used : _used + 8]) & 0x3FFF_FFFF_FFFF_FFFF
        _used += 8
        high = (ms << 80) | (0x7000 | _counter) << 64
    return UUID(int=high | 0x8000_0000_0000_0000 | tail)
