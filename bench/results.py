"""All samples of a run: gathered visit by visit, combined, and kept as JSON."""

import json
import re
import statistics

from cells import Cell

_LISTS, _OBJECTS = re.compile(r"\[[^][{}]*\]"), re.compile(r"\{[^{}]*\}")
"""What holds nothing of its own kind is written on one line."""


class Results:
    def __init__(self, tunnels, measures):
        self.tunnels, self.measures = tunnels, measures
        self.columns = Cell.of(measures)
        self._samples, self._failures = {}, {}

    def add(self, visit):
        for cell, values in visit.samples.items():
            self._samples.setdefault((visit.tunnel.name, cell), []).extend(values)
        for cell, why in visit.failures.items():
            self._failures.setdefault((visit.tunnel.name, cell), why)

    def fail(self, tunnel, why):
        """The tunnel could not even be tried."""
        for cell in self.columns:
            self._failures[tunnel.name, cell] = why

    def value(self, tunnel, cell):
        """None where any of its measurements failed: what is left of them says nothing."""
        key = (tunnel.name, cell)
        if key in self._failures or key not in self._samples:
            return None
        return cell.combine(self._samples[key])

    def ratio(self, tunnel, reference, cell):
        own, other = self.value(tunnel, cell), self.value(reference, cell)
        return own / other if own is not None and other else None

    def spreads(self):
        """How far the samples of a cell lie apart: greatest less smallest, as a part of its value. By group of columns, the
        median of all tunnels.
        """
        spreads = {}
        for (_, cell), samples in self._samples.items():
            if len(samples) > 1:
                spreads.setdefault(cell.group, []).append((max(samples) - min(samples)) / cell.combine(samples))
        return {group: statistics.median(values) for group, values in spreads.items()}

    def failures(self, tunnel):
        """Each reason, once, with the columns that it spoilt."""
        reasons = {}
        for cell in self.columns:
            if why := self._failures.get((tunnel.name, cell)):
                reasons.setdefault(why, []).append(cell)
        return reasons

    def json(self, **more):
        tunnels = {tunnel.name: self._tunnel(tunnel) for tunnel in self.tunnels}
        text = json.dumps({**more, "tunnels": tunnels}, indent=1, ensure_ascii=False)
        for inner in (_LISTS, _OBJECTS):
            text = inner.sub(lambda match: " ".join(match[0].split()), text)
        return text

    def _tunnel(self, tunnel):
        return {"label": tunnel.label, "cells": {cell.name.lower(): self._cell(tunnel, cell) for cell in self.columns}}

    def _cell(self, tunnel, cell):
        value = self.value(tunnel, cell)
        return {
            "unit": cell.unit, "value": None if value is None else _rounded(value),
            "samples": [_rounded(sample) for sample in self._samples.get((tunnel.name, cell), [])],
            **({"failure": why} if (why := self._failures.get((tunnel.name, cell))) else {}),
        }


def _rounded(value):
    return float(f"{value:.4g}")
