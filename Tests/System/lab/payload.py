"""Bytes to send: real text from this machine, and random bytes."""

import functools
import os
import sysconfig
from pathlib import Path

_PLACES = (sysconfig.get_path("stdlib"), "/usr/lib/python3", "/usr/share/perl", "/usr/share/common-licenses",
           "/usr/include", "/usr/share/doc")
_TEXT = {"", ".pm", ".pod", ".py", ".txt", ".rst", ".md", ".html", ".h"}


@functools.cache
def text(size):
    """So many bytes of real text, of as many different files as there are; repeated only if they run out."""
    pieces, found = [], 0
    for piece in _texts():
        pieces.append(piece)
        found += len(piece)
        if found >= size:
            break
    assert found > 1 << 20, f"no text to send under {', '.join(_PLACES)}"
    whole = b"".join(pieces)
    return (whole * (size // len(whole) + 1))[:size]


@functools.cache
def random(size):
    return os.urandom(size)


def _texts():
    for place in _PLACES:
        for folder, folders, names in os.walk(place):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix in _TEXT and path.is_file() and not path.is_symlink():
                    piece = path.read_bytes()
                    if b"\0" not in piece[:4096]:
                        yield piece
