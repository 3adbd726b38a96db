"""Waiting for something to become true: by asking again and again, never by hoping."""

import time


def wait_until(condition, what, timeout=10.0, interval=0.05):
    """Asks `condition` until it gives something true and returns that; fails with `what` after `timeout`."""
    deadline = time.monotonic() + timeout
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {timeout:g} s in vain: {what}")
        time.sleep(interval)
