"""Bytes to send: real text and real compressed files from this machine, and random bytes."""

import functools
import os
import sysconfig
from pathlib import Path

_PLACES = (sysconfig.get_path("stdlib"), "/usr/lib/python3", "/usr/share/perl", "/usr/share/common-licenses",
           "/usr/include", "/usr/share/doc")
_COMPRESSED = {".gz", ".xz", ".bz2", ".zst", ".zip", ".whl", ".png", ".jpg"}
_TEXT = {"", ".pm", ".pod", ".py", ".txt", ".rst", ".md", ".html", ".h"}


@functools.cache
def text(size):
    """So many bytes of real text, of as many different files as there are; repeated only if they run out."""
    return _filled(size, _texts(), "text")


@functools.cache
def compressed(size):
    """So many bytes of files that are compressed already, with their names' suffixes; repeated only if they run out."""
    return _filled(size, (path.read_bytes()[:1 << 20] for path in _files(["/usr"], _COMPRESSED)), "compressed files")


@functools.cache
def random(size):
    return os.urandom(size)


def _texts():
    for path in _files(_PLACES, _TEXT):
        piece = path.read_bytes()
        if b"\0" not in piece[:4096]:
            yield piece


def _files(places, suffixes):
    for place in places:
        for folder, folders, names in os.walk(place):
            folders.sort()
            for name in sorted(names):
                path = Path(folder, name)
                if path.suffix in suffixes and path.is_file() and not path.is_symlink():
                    yield path


def _filled(size, pieces, what):
    found, kept = 0, []
    for piece in pieces:
        kept.append(piece)
        found += len(piece)
        if found >= size:
            break
    assert found > 1 << 20, f"no {what} to send on this machine"
    whole = b"".join(kept)
    return (whole * (size // len(whole) + 1))[:size]
