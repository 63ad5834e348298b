"""A request that is answered with an error status."""

from __future__ import annotations

from wavelic.errors import WavelicError


class Refusal(WavelicError):
    """An HTTP status of 400 or above and one line for the client; it never names a path outside the served folder."""

    def __init__(self, status: int, message: str, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after = retry_after
