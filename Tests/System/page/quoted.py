"""Values that a page quotes: hexadecimal, in blocks of text, each behind its name."""

from pathlib import Path

_ROOT = Path(__file__).parents[3]


def quoted(page="docs/protocol.md"):
    """The values by their names."""
    values, name, inside = {}, None, False
    for line in (_ROOT / page).read_text().splitlines():
        if line.startswith("```"):
            inside = line == "```text"
        elif inside and line.startswith("    "):
            values[name] = values.get(name, "") + line.strip()
        elif inside and line.endswith(":"):
            name = line[:-1]
    return {name: bytes.fromhex(value) for name, value in values.items() if _is_hex(value)}


def _is_hex(value):
    return all(digit in "0123456789abcdef" for digit in value)
