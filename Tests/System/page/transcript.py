"""What was said and heard, payload by payload."""

from typing import NamedTuple

from .keys import Answer, Offer, Question, Reply
from .records import Bundle, Confirm, Fragment, Gone, Hello, Pack, Parity, Ping, Receipt, Report, Unit
from .wrong import Malformed


class Entry(NamedTuple):
    """One payload of the transcript, or a record put together from fragments."""

    at: float
    """Monotonic seconds: when the kernel got it, or it was sent."""
    sent: bool
    what: (Hello | Unit | Bundle | Fragment | Report | Ping | Confirm | Receipt | Gone | Parity | Pack | Offer | Reply | Question
           | Answer | bytes | Malformed | None)
    """bytes: a plain packet. None: a keepalive."""
    size: int = 0
    """Bytes of the datagram; 0 if what came in it stands in entries before."""
    traffic_class: int = 0
    """Of the datagram."""
    counter: int = 0
    datagram: bytes = b""
    payload: bytes = b""
    """As it was, with what stands behind a packet."""

    @property
    def packets(self):
        if isinstance(self.what, bytes):
            return [self.what]
        return self.what.packets if isinstance(self.what, (Unit, Bundle, Pack)) else []

    def __repr__(self):
        """Short, for what an assertion says."""
        said = "sent" if self.sent else "heard"
        return f"{self.at:.4f} {said} {self.counter}: {str(self.what)[:200]} of {self.size}, class {self.traffic_class}"
