"""The results for a person: medians, then ratios to the reference."""

from itertools import groupby

_NONE = "–"
_COLUMN = 7


def table(results, reference):
    """The lines of the whole report. reference: the tunnel to compare with, or None."""
    layout = _Layout(results)
    lines = ["", *layout.head]
    lines += [layout.row(tunnel.label, _values(results, tunnel)) for tunnel in results.tunnels]
    if reference and len(results.tunnels) > 1:
        lines += ["", f"  times {reference.label}"]
        lines += [layout.row(tunnel.label, _ratios(results, tunnel, reference))
                  for tunnel in results.tunnels if tunnel is not reference]
    return lines + _failures(results)


class _Layout:
    """Columns stand in groups, with a gap before each."""

    def __init__(self, results):
        self._label = max(len(tunnel.label) for tunnel in results.tunnels)
        self._widths, above = [], ""
        for title, cells in groupby(results.columns, lambda cell: cell.group):
            widths = [_COLUMN for _ in cells]
            widths[0] += max(0, len(title) - sum(widths)) + 2
            self._widths += widths
            above += title.rjust(sum(widths))
        below = self.row("", [cell.title for cell in results.columns])
        self.head = [" " * (self._label + 2) + above, below, "  " + "─" * (len(below) - 2)]

    def row(self, label, texts):
        return "  " + label.ljust(self._label) + "".join(map(str.rjust, texts, self._widths))


def _values(results, tunnel):
    for cell in results.columns:
        value = results.value(tunnel, cell)
        yield _NONE if value is None else cell.text(value)


def _ratios(results, tunnel, reference):
    for cell in results.columns:
        ratio = results.ratio(tunnel, reference, cell)
        yield _NONE if ratio is None else f"{ratio:.2f}"


def _failures(results):
    lines = []
    for tunnel in results.tunnels:
        for why, cells in results.failures(tunnel).items():
            what = "all" if len(cells) == len(results.columns) else ", ".join(cell.unit for cell in cells)
            lines.append(f"  {tunnel.label}: {what}: {why}")
    return ["", "  not measured:", *lines] if lines else []
