"""Round trips, by ping."""

import re
import statistics
from typing import NamedTuple


class RoundTrips(NamedTuple):
    sent: int
    times: list
    """Milliseconds."""

    @property
    def median(self):
        return statistics.median(self.times)

    @property
    def p95(self):
        """All but a twentieth of the pings were faster."""
        return statistics.quantiles(self.times, n=20, method="inclusive")[-1]


def ping(bed, count, interval):
    """Pings from a to b, one every `interval` seconds; an answer that takes more than a second is lost."""
    done = bed.a.gateway.run(
        "ping", "-n", "-c", count, "-i", interval, "-W", 1, bed.b.tunnel_address, check=False)
    times = [float(time) for time in re.findall(r"time=([0-9.]+) ms", done.stdout)]
    assert len(times) >= count * 0.9, f"{count - len(times)} of {count} pings were not answered"
    return RoundTrips(count, times)
