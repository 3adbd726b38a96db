"""What is missing and when to ask for it (§3.10, "Asking"), without socket and clock."""

TIMES, AGAIN = 3, 1.25
"""How often a counter is asked for, and after how many round trips."""
AWAY = 4096
RANGES = 8
_AT_LEAST, _SHARE = 0.002, 1 / 8


class Gaps:
    """Each arrival is noted; `ask` is asked often."""

    def __init__(self):
        self._highest, self._missing, self._late = -1, {}, 0
        self._lost = set()
        self.runs, self.regained, self.last = 0, 0, None
        """last: when something was missing last."""

    @property
    def lost(self):
        return len(self._lost)

    @property
    def missing(self):
        return sorted(self._missing)

    def note(self, counter, now, had_back=False):
        if counter > self._highest:
            jumped = range(self._highest + 1, counter)
            if 0 < len(jumped) <= AWAY:
                self._missing |= {one: _Missing(now) for one in jumped}
                self.last = now
            self._highest = counter
        elif (one := self._missing.pop(counter, None)):
            if had_back:
                self._count(counter)
                self.regained += 1
            elif not one.asked:
                self._late = max(self._late, now - one.since)

    def hear_gone(self, ranges):
        for counter in (counter for one in ranges for counter in one):
            self._missing.pop(counter, None)

    def ask(self, now, trip):
        """The ranges that are to be asked for now, the highest first."""
        patience = min(max(_AT_LEAST, trip * _SHARE, self._late), trip)
        for counter in [c for c, one in self._missing.items() if one.asked == TIMES and now >= one.since + AGAIN * trip]:
            del self._missing[counter]
        due = [counter for counter, one in self._missing.items()
               if now >= one.since + (AGAIN * trip if one.asked else patience)]
        ranges = ranges_of(due)[:RANGES]
        for counter in (counter for one in ranges for counter in one):
            self._count(counter)
            self._missing[counter] = _Missing(now, self._missing[counter].asked + 1)
        return ranges

    def _count(self, counter):
        if counter not in self._lost:
            self.runs += 1 - (counter - 1 in self._lost) - (counter + 1 in self._lost)
            self._lost.add(counter)


class _Missing:
    """since: when it was jumped over, or asked for last."""

    def __init__(self, since, asked=0):
        self.since, self.asked = since, asked


def ranges_of(counters):
    """The counters as ranges, the highest first."""
    ranges = []
    for counter in sorted(counters, reverse=True):
        if ranges and ranges[-1].start == counter + 1:
            ranges[-1] = range(counter, ranges[-1].stop)
        else:
            ranges.append(range(counter, counter + 1))
    return ranges
