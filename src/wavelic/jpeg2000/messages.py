"""What the library says: its messages are collected, and any error-level message is a failure of the call.

libopenjp2 can report an error, go on and return success with a damaged picture; the message is then the only sign.
"""

from __future__ import annotations

import ctypes
from ctypes import c_void_p

from wavelic.errors import WavelicError
from wavelic.jpeg2000.structs import MESSAGE_CALLBACK

_KEPT = 16  # a hostile file can provoke one message per packet


class MessageLog:
    """Receives the messages of one codec; must stay alive as long as the codec.

    errors, warnings: messages in order, one line each, at most 16 of each kind.
    """

    def __init__(self, api: ctypes.CDLL, codec: int) -> None:
        self.errors: list[str] = []
        self.warnings: list[str] = []
        self._callbacks = (self._collector(self.errors), self._collector(self.warnings))
        api.opj_set_error_handler(codec, self._callbacks[0], None)
        api.opj_set_warning_handler(codec, self._callbacks[1], None)

    def check(self, succeeded: object, step: str, error: type[WavelicError], remedy: str) -> None:
        """Raise ``error`` unless ``succeeded`` is true and no error-level message has come."""
        if not succeeded or self.errors:
            said = self.errors[0] if self.errors else "no reason given"
            raise error(f"libopenjp2 failed to {step}: {said}; {remedy}")

    @staticmethod
    def _collector(messages: list[str]) -> ctypes._FuncPointer:
        def collect(text: bytes | None, _user: c_void_p) -> None:
            if len(messages) < _KEPT:
                messages.append(" ".join((text or b"").decode("utf-8", "replace").split()))

        return MESSAGE_CALLBACK(collect)
