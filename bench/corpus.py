#!/usr/bin/env -S /usr/bin/python3 -B
"""Builds the payloads of bench/compression from packages of Debian, and says what they are.

  bench/corpus.py                  all of them, 256 MB each, in .build/corpus; a second time it only prints
  bench/corpus.py --size 64 text logs

Packages are fetched with apt-get and unpacked in memory, never installed. Files stand in an order that their names
decide by a hash, each content once; nothing is repeated to fill up. Prints for each payload its size, its ratio with
zstd -1 in independent blocks of 32 KB, and its SHA-256.
"""

import argparse
import contextlib
import gzip
import hashlib
import io
import json
import lzma
import random
import sqlite3
import subprocess
import sys
import tarfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]
DIRECTORY = REPOSITORY / ".build/corpus"
MEGABYTE = 1_000_000
BLOCK = 32 << 10

DOCUMENTS = ["perl-modules-5.36", "perl-doc", "libpython3.11-stdlib", "python3.11-doc", "postgresql-doc-15", "emacs-common",
             "linux-doc-6.1"]
SOURCES = ["linux-source-6.1"]
PROGRAMS = ["libllvm14", "libreoffice-core", "cpp-12", "chromium"]
TEXT = {"", ".c", ".el", ".gz", ".h", ".html", ".org", ".pl", ".pm", ".pod", ".py", ".rst", ".txt"}
CONTENTS = "http://deb.debian.org/debian/dists/bookworm/main/Contents-amd64.gz"
UNSANDBOXED = ["-o", "APT::Sandbox::User=root"]  # the user _apt may not write here
SEED = 5


def text():
    """Documentation and source code: HTML, POD, Python, Perl, Lisp; C when that runs out."""
    yield from distinct(unpacked(path, data) for path, data in files(DOCUMENTS) if suffix(path) in TEXT)
    yield from distinct(data for path, data in kernel_source() if suffix(path) in TEXT)


def logs():
    """What a mirror of Debian would log, one JSON object a line; every other block lists packages, as an API answers."""
    chance, records, time = random.Random(SEED), package_records(), 1_700_000_000.0
    for paths in in_groups(file_paths(), 300):
        lines = []
        for path in paths:
            time += chance.expovariate(40)
            lines.append(json.dumps({
                "time": f"{time:.3f}", "client": f"198.51.100.{int(chance.paretovariate(0.6)) % 254}",
                "request": f"GET /debian/{path}", "status": chance.choices((200, 304, 404), (80, 15, 5))[0],
                "bytes": int(chance.lognormvariate(9, 2)), "duration": round(chance.expovariate(20), 4),
                "agent": chance.choices(("Debian APT-HTTP/1.3 (2.6.1)", "Wget/1.21.3", "curl/7.88.1"), (90, 6, 4))[0]}))
        lines += [json.dumps(record) for _, record in zip(range(20), records)]
        yield "".join(line + "\n" for line in lines).encode()


def sql():
    """`sqlite3 .dump` of two tables: packages, and the files in them."""
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE package (id INTEGER PRIMARY KEY, name TEXT, version TEXT, section TEXT, size INTEGER,"
                 " maintainer TEXT, depends TEXT, description TEXT, sha256 TEXT)")
    base.execute("CREATE TABLE file (id INTEGER PRIMARY KEY, path TEXT, bytes INTEGER, mode INTEGER, modified TEXT, owner TEXT)")
    fields = ("Package", "Version", "Section", "Size", "Maintainer", "Depends", "Description", "SHA256")
    base.executemany("INSERT INTO package VALUES (NULL,?,?,?,?,?,?,?,?)",
                     ([record.get(field) for field in fields] for record in package_records()))
    chance = random.Random(SEED)
    base.executemany("INSERT INTO file VALUES (NULL,?,?,?,?,?)", (
        (path, int(chance.lognormvariate(9, 2)), chance.choice((420, 420, 493)),
         f"2025-{chance.randint(1, 12):02}-{chance.randint(1, 28):02} {chance.randint(0, 23):02}:{chance.randint(0, 59):02}",
         chance.choice(("root", "root", "www-data"))) for path in file_paths()))
    # Alternating, so that every part of the file holds both.
    tables = [(line + "\n" for line in base.iterdump() if f'INTO "{table}"' in line) for table in ("package", "file")]
    for paths in in_groups(tables[1], 300):
        yield "".join([*paths, *(line for _, line in zip(range(20), tables[0]))]).encode()


def programs():
    """Executables and shared libraries."""
    yield from distinct(data for _, data in files(PROGRAMS) if data[:4] == b"\x7fELF")


def compressed():
    """The packages themselves: xz, without the few bytes at the head of each."""
    for name in SOURCES + PROGRAMS + DOCUMENTS:
        yield package(name).read_bytes()[4096:]


def tls():
    """Random bytes in records of TLS 1.3, as a download over HTTPS looks."""
    chance = random.Random(SEED)
    while True:
        length = chance.choice((16_401, 16_401, 16_401, 4113, 1400))
        yield b"\x17\x03\x03" + length.to_bytes(2, "big") + chance.randbytes(length)


def mix(size):
    """Pieces of 256 KB of all the others in turn."""
    with contextlib.ExitStack() as stack:
        others = [stack.enter_context(open(build(name, size), "rb")) for name in PAYLOADS if name != "mix"]
        while True:
            for other in others:
                yield other.read(256 << 10)


PAYLOADS = {"text": text, "logs": logs, "sql": sql, "programs": programs, "compressed": compressed, "tls": tls, "mix": mix}


def build(name, size, directory=None):
    """The file of that payload, made if it is not there yet."""
    directory = directory or DIRECTORY
    file = directory / f"{name}-{size // MEGABYTE}"
    if file.exists():
        return file
    directory.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".part")
    with open(half, "wb") as out:
        for piece in PAYLOADS[name](*([size] if name == "mix" else [])):
            out.write(piece[:size - out.tell()])
            if out.tell() == size:
                break
        if out.tell() < size * 0.9:
            raise SystemExit(f"corpus: there is only {out.tell() / MEGABYTE:.0f} MB of {name}; ask for less with --size")
    half.rename(file)
    return file


def describe(file):
    """Size, ratio in blocks and SHA-256, kept beside the file."""
    kept = file.with_suffix(".json")
    if not kept.exists():
        kept.write_text(json.dumps({"bytes": file.stat().st_size, "ratio": block_ratio(file), "sha256": digest(file)}))
    return json.loads(kept.read_text())


def block_ratio(file):
    """What zstd -1 makes of independent blocks of 32 KB, stored where they do not shrink."""
    import zstandard
    compressor, plain, small = zstandard.ZstdCompressor(level=1), 0, 0
    with open(file, "rb") as data:
        while block := data.read(BLOCK):
            plain += len(block)
            small += min(len(block), len(compressor.compress(block)))
    return round(plain / small, 3)


def digest(file):
    with open(file, "rb") as data:
        return hashlib.file_digest(data, "sha256").hexdigest()


# ---- What it is made of


def package(name):
    """The .deb of that name, of the version that apt would install."""
    folder = DIRECTORY / "packages"
    if not list(folder.glob(f"{name}_*.deb")):
        folder.mkdir(parents=True, exist_ok=True)
        say(f"fetching {name}")
        done = subprocess.run(["apt-get", *UNSANDBOXED, "download", "-qq", name], cwd=folder, stderr=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise SystemExit(f"corpus: {done.stderr.splitlines()[-1]}; does `apt-get update` help?")
    return max(folder.glob(f"{name}_*.deb"))


def files(names):
    """Path and content of every file in these packages, in the order of their hashes."""
    found = []
    for name in names:
        content = subprocess.run(["dpkg-deb", "--fsys-tarfile", package(name)], capture_output=True, check=True).stdout
        with tarfile.open(fileobj=io.BytesIO(content)) as archive:
            found += [(one.name, archive.extractfile(one).read()) for one in archive if one.isreg()]
    return sorted(found, key=lambda file: hash_of(file[0].encode()))


def kernel_source():
    """Path and content of the files of the kernel's source, as they stand in the archive."""
    for path, data in files(SOURCES):
        if path.endswith(".tar.xz"):
            with tarfile.open(fileobj=lzma.open(io.BytesIO(data)), mode="r|") as archive:
                for one in archive:
                    if one.isreg():
                        yield one.name, archive.extractfile(one).read()


def package_records():
    """What apt knows of each package, as dictionaries."""
    process = subprocess.Popen(["apt-cache", "dumpavail"], stdout=subprocess.PIPE, text=True, errors="replace")
    record = {}
    with process:
        for line in process.stdout:
            name, colon, value = line.rstrip("\n").partition(": ")
            if line == "\n":
                yield record
                record = {}
            elif colon and not line.startswith(" "):
                record[name] = value


def file_paths():
    """Path and package of every file of Debian's main section: its list of contents."""
    kept = DIRECTORY / "packages/Contents-amd64.gz"
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        say("fetching the list of contents")
        subprocess.run(["/usr/lib/apt/apt-helper", *UNSANDBOXED, "download-file", CONTENTS, kept],
                       check=True, stdout=subprocess.DEVNULL)
    chance = random.Random(SEED)
    with gzip.open(kept, "rt", errors="replace") as lines:
        for group in in_groups(lines, 2000):
            # A mirror is not read in the order of the alphabet, but a directory often is.
            starts = list(range(0, len(group), 20))
            chance.shuffle(starts)
            for start in starts:
                yield from (line.split()[0] for line in group[start:start + 20])


def unpacked(path, data):
    return gzip.decompress(data) if path.endswith(".gz") else data


def distinct(contents):
    """Each content once."""
    seen = set()
    for data in contents:
        key = hash_of(data)
        if key not in seen:
            seen.add(key)
            yield data


def in_groups(things, size):
    things = iter(things)
    while group := [one for _, one in zip(range(size), things)]:
        yield group


def suffix(path):
    return Path(path).suffix


def hash_of(data):
    return hashlib.blake2b(data, digest_size=16).digest()


def say(what):
    print(f"  {what} …", file=sys.stderr, flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("payloads", nargs="*", metavar="PAYLOAD", help=f"some of: {' '.join(PAYLOADS)}")
    parser.add_argument("--size", type=int, default=256, metavar="MB", help="of each; default 256")
    options = parser.parse_args()
    for name in options.payloads or PAYLOADS:
        if name not in PAYLOADS:
            parser.error(f"{name} is none of: {' '.join(PAYLOADS)}")
    print(f"  {'payload':12}{'MB':>6}{'zstd -1, 32 KB':>17}  SHA-256")
    for name in options.payloads or PAYLOADS:
        facts = describe(build(name, options.size * MEGABYTE))
        print(f"  {name:12}{facts['bytes'] / MEGABYTE:6.0f}{facts['ratio']:17.2f}  {facts['sha256']}", flush=True)


if __name__ == "__main__":
    main()
