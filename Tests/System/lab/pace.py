"""A steady pace, also where somebody else has the processor now and then."""

import time

CATCH_UP = 0.02
"""Seconds that are caught up. More would come in one run that fills the queues on its way."""


class Pace:
    """So many a second: `wait` after each."""

    def __init__(self, a_second):
        self._every, self._next = 1 / a_second, time.monotonic()

    def wait(self):
        self._next = max(self._next + self._every, time.monotonic() - CATCH_UP)
        time.sleep(max(0, self._next - time.monotonic()))
