"""The life of a HELLO on one session (§3.1), without socket and clock."""

REPETITIONS, LATER = (0.25, 0.5, 1, 2), 15


class Greeting:
    """One end's part of the exchange. Each method returns the HELLO that is to be sent now, or None.

    own: a `Hello` with what this end can receive. repeats: False for a peer that never answered.
    Times are seconds of the caller's clock.
    """

    def __init__(self, own, repeats=True):
        self._own, self._repeats = own, repeats
        self.peer = None
        """The peer's HELLO once it has come: only then may records be sent."""
        self._arrived, self._last, self._repetitions, self._data_since = False, None, 0, False

    def begin(self, now):
        """The session is confirmed, or to be confirmed by this."""
        return self._say(now) if self._last is None else None

    def leave_out(self, now):
        """What HELLO would say is said otherwise; one that asks is answered all the same."""
        self._last, self._arrived = now, True

    def hear_hello(self, hello, now):
        self.peer = hello
        self._arrived |= hello.seen
        return self._say(now) if hello.asks else None

    def hear_record(self):
        self._arrived = True

    def send_data(self):
        self._data_since = True

    def repeat(self, now):
        """To be asked often: the repetition that is due."""
        if self._last is None or self._arrived or not self._repeats:
            return None
        early = self._repetitions < len(REPETITIONS)
        if now < self._last + (REPETITIONS[self._repetitions] if early else LATER) or not (early or self._data_since):
            return None
        self._repetitions += 1
        return self._say(now)

    def _say(self, now):
        self._last, self._data_since = now, False
        return self._own._replace(seen=self.peer is not None, asks=not self._arrived)
