"""What carries the messages of one session: the seam between the protocol and a network.

A new transport is a subclass that sends a body, receives one, and closes. The other methods have
a default that is true for a peer which is reached by a call, or whose session ends with its
connection; override those that say more of yours.
"""

from __future__ import annotations

from typing import Protocol

from openenv_gym.errors import ConnectionLostError, ProtocolError
from openenv_gym.protocol import Body
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES


class Transport(Protocol):
    """Carries bodies, in order, to one peer and back.

    Attributes:
        takes_bytes: The longest body that may be sent: the peer takes no longer one.
        max_message_bytes: The longest body that is received.
    """

    takes_bytes: int = MAX_MESSAGE_BYTES
    max_message_bytes: int = MAX_MESSAGE_BYTES

    def send(self, body: Body, timeout_s: float | None = None) -> None:
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
            InvalidRequestError: a message was longer than its receiver takes, which ended the
                connection.
        """

    def bound_replies(self, max_bytes: int) -> None:
        """Take no longer message from now on, unless the caller has said how long one may be.

        Args:
            max_bytes: The longest reply that the environment needs.
        """
        return  # a peer that is a process of one's own is trusted

    def close(self) -> None:
        """Close the connection; may be called twice, and never raises."""

    @property
    def can_resume(self) -> bool:
        """Whether the session may be there still when the connection is lost."""
        return False

    def resume(self, since_s: float) -> None:
        """Connect again to the same session, where that can be.

        Args:
            since_s: When the connection was lost first, by ``time.monotonic``.

        Raises:
            ConnectionLostError: the session is gone, or was not reached in time.
        """
        raise ConnectionLostError("the session has ended with its connection")

    def has_hung_up(self) -> bool:
        """Whether the idle peer is known to be gone; nothing is read."""
        return False

    def fileno(self) -> int:
        """The descriptor of the socket, to wait for several connections at once.

        Raises:
            ProtocolError: there is no socket.
        """
        raise ProtocolError(f"{type(self).__name__} has no socket to wait for")

    def sleep_at_once(self) -> None:
        """Sleep while nothing comes, and do not look again first: others need the core."""
        return  # a default, and no method to be written

    def see_off_peer(self) -> None:
        """Wait a moment for a process of ours that ends with the session, which is over."""
        return

    def kill_peer(self) -> None:
        """Kill the process that owes a reply, where it is a child of this process."""
        return
