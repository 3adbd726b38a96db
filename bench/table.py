"""The results for a person: medians, then ratios to the reference."""

from itertools import groupby

_WIDTH = 8
_NONE = "–"


def table(results, reference):
    """The lines of the whole report. reference: the tunnel to compare with, or None."""
    width = max(len(tunnel.label) for tunnel in results.tunnels) + 2
    lines = ["", *_head(results.columns, width)]
    lines += [_row(tunnel.label, width, _values(results, tunnel)) for tunnel in results.tunnels]
    if reference:
        lines += ["", f"  times {reference.label}"]
        lines += [_row(tunnel.label, width, _ratios(results, tunnel, reference))
                  for tunnel in results.tunnels if tunnel is not reference]
    return lines + _failures(results)


def _head(columns, width):
    groups = [(group, len(list(cells))) for group, cells in groupby(columns, lambda cell: cell.group)]
    above = "".join(group.rjust(_WIDTH * count) for group, count in groups)
    below = "".join(cell.title.rjust(_WIDTH) for cell in columns)
    return [" " * (width + 2) + above, " " * (width + 2) + below, "  " + "─" * (width + _WIDTH * len(columns))]


def _row(label, width, texts):
    return "  " + label.ljust(width) + "".join(text.rjust(_WIDTH) for text in texts)


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
            what = "all" if len(cells) == len(results.columns) else ", ".join(
                f"{cell.group} {cell.title}" for cell in cells)
            lines.append(f"  {tunnel.label}: {what}: {why}")
    return ["", "  not measured:", *lines] if lines else []
