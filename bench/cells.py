"""The columns: what they are called, how several samples become one number, and which way is better."""

import statistics
from enum import Enum

MEASURES = ("idle", "tcp1", "tcp4", "loaded", "udp")
"""What can be asked for. Memory always comes along."""


class Cell(Enum):
    TCP1_THERE = ("tcp1", "1 →", "TCP Gbit/s", 2)
    TCP1_BACK = ("tcp1", "1 ←", "TCP Gbit/s", 2)
    TCP4_THERE = ("tcp4", "4 →", "TCP Gbit/s", 2)
    TCP4_BACK = ("tcp4", "4 ←", "TCP Gbit/s", 2)
    COST1 = ("tcp1", "1", "CPU s/GB", 2)
    COST4 = ("tcp4", "4", "CPU s/GB", 2)
    UDP = ("udp", "kpps", "UDP 64 B", 0)
    IDLE = ("idle", "idle", "ping ms", 3)
    LOADED = ("loaded", "load", "ping ms", 1)
    LOADED_P95 = ("loaded", "p95", "ping ms", 1)
    MEMORY = ("memory", "MB", "peak", 0)

    def __init__(self, measure, title, group, digits):
        self.measure, self.title, self.group, self.digits = measure, title, group, digits

    @property
    def unit(self):
        return f"{self.group} {self.title}"

    @staticmethod
    def of(measures):
        """The columns that these measures fill, and memory."""
        return [cell for cell in Cell if cell.measure in measures or cell is Cell.MEMORY]

    def combine(self, samples):
        """The median; of idle pings the lower quartile, since what is above it is a core that slept."""
        if self is Cell.IDLE and len(samples) > 1:
            return statistics.quantiles(samples, n=4, method="inclusive")[0]
        return statistics.median(samples)

    def text(self, value):
        return f"{value:.{self.digits}f}"
