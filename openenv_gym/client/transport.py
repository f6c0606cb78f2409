"""The three methods that a client needs of a connection."""

from __future__ import annotations

from typing import Protocol

from openenv_gym.errors import ConnectionLostError
from openenv_gym.protocol import Body


class Transport(Protocol):
    """Carries bodies, in order, to one peer and back."""

    def send(self, body: bytes, timeout_s: float | None = None) -> None:
        """Send one body.

        Args:
            body: What to send.
            timeout_s: How long to wait for a peer that takes nothing, in seconds; None for ever.

        Raises:
            RequestTimeoutError: the peer took nothing in time.
            ConnectionLostError: the connection is broken.
        """

    def receive(self, timeout_s: float | None) -> Body:
        """Wait for one body.

        Args:
            timeout_s: How long to wait, in seconds; None for ever.

        Raises:
            RequestTimeoutError: nothing came in time.
            ConnectionLostError: the connection broke.
        """

    def close(self) -> None:
        """Close the connection; may be called twice, and never raises."""

    @property
    def can_resume(self) -> bool:
        """Whether the session may be there still when the connection is lost."""

    def resume(self, since_s: float) -> None:
        """Connect again to the same session, where that can be.

        Args:
            since_s: When the connection was lost first, by ``time.monotonic``.

        Raises:
            ConnectionLostError: the session is gone, or was not reached in time.
        """


class EndsWithItsConnection:
    """A transport whose session nobody keeps."""

    can_resume = False

    def resume(self, since_s: float) -> None:
        """Fail.

        Raises:
            ConnectionLostError: always.
        """
        raise ConnectionLostError("the session has ended with its connection")


class Waitable(Transport, Protocol):
    """A transport over a socket, of which several can be waited for at once."""

    def sleep_at_once(self) -> None:
        """Leave the core to others while nothing comes, where waits are not short."""

    def fileno(self) -> int:
        """The descriptor of the socket."""

    def has_hung_up(self) -> bool:
        """Whether the peer is known to be gone."""
