"""Requests that schemathesis makes of docs/openapi.json: nothing ends the daemon, no answer is a 500, all have the promised form.

`make test-api` installs schemathesis and runs it long; here is what runs without it.
"""

import collections
import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading
import time

import pytest

from lab import Lab, link
from lab.gateway import REPOSITORY

ENDLESS, WAITING = "^/v1/(trace|capture|upgrade)$", "/(ping|rotate)$"
"""Paths with answers without an end, or a new process for each; and those that wait for a peer."""
OPENAPI = REPOSITORY / "docs/openapi.json"
SCHEMATHESIS = os.environ.get("SCHEMATHESIS") or shutil.which("schemathesis")


@pytest.fixture(scope="module")
def described():
    return json.loads(OPENAPI.read_text())


@pytest.mark.fast
def test_the_page_and_the_description_have_the_same_requests(described):
    page = (REPOSITORY / "docs/control-api.md").read_text()
    told = {(method, path.replace("PEER", "{peer}")) for method, path in re.findall(r"^\| `([A-Z]+) (/\S+)`", page, re.M)}
    assert told == {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}


def check_what_schemathesis_thinks_of_is_answered_as_described():
    wanted = int(os.environ.get("REQUESTS", "1000"))
    end = time.monotonic() + 540
    with Lab(ipv6=False) as lab, link(lab, compression="auto", a={"peer": ("#: Name = far",)}) as (ours, _), \
            proxy(ours) as (port, answers):
        # These wait for the peer, which does not know us any more once a key was put.
        ask(0, port, lab.directory, 240, "--include-path-regex", WAITING, examples=50)
        seed = 0
        while (count := sum(answers.values())) < wanted:
            seed += 1
            left = end - time.monotonic()
            assert left > 0, f"only {count} of {wanted} requests in nine minutes: {summary(answers)}"
            ask(seed, port, lab.directory, left, "--exclude-path-regex", f"{ENDLESS}|{WAITING}")
            ours.check_alive()
        print(f"{count} requests in {seed} rounds: {summary(answers)}")
        assert not [status for status in answers if status >= 500 and status != 503], summary(answers)


def ask(seed, port, directory, seconds, *paths, examples=100):
    """A round of schemathesis, which ends: by itself, or as a failure that says how far it was."""
    said = directory / f"schemathesis-{seed}"
    with said.open("w") as output:
        process = subprocess.Popen(
            [SCHEMATHESIS, "run", OPENAPI, "--url", f"http://127.0.0.1:{port}", *paths, "--max-examples", str(examples),
             "--workers", "1",
             "--phases", "examples,coverage,fuzzing", "--request-timeout", "20", "--seed", str(seed), "--no-color",
             "--suppress-health-check", "all",
             "--generation-database", "none",
             "--exclude-checks",
             # Keys are checked more strictly than a pattern can say; a name with %2F in it is a name.
             "positive_data_acceptance,negative_data_rejection,unsupported_method"],
            stdout=output, stderr=subprocess.STDOUT, cwd=directory)
        try:
            status = process.wait(min(seconds, 240))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = "no end"
    assert status == 0, f"schemathesis, seed {seed}: {status}\n{said.read_text()[-6000:]}"


def summary(answers):
    return ", ".join(f"{count} × {status}" for status, count in sorted(answers.items()))


if SCHEMATHESIS:
    test_what_schemathesis_thinks_of_is_answered_as_described = \
        check_what_schemathesis_thinks_of_is_answered_as_described


@contextlib.contextmanager
def proxy(gateway):
    """A port of this machine's loopback behind which is the control socket, and how often each status was answered."""
    answers = collections.Counter()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    one, _ = listening.accept()
                    threading.Thread(target=serve, args=(one,), daemon=True).start()

        def serve(one):
            with one, socket.socket(socket.AF_UNIX) as other, contextlib.suppress(OSError):
                other.connect(str(gateway.control))
                there = threading.Thread(target=carry, args=(one, other), daemon=True)
                there.start()
                answer = carry(other, one)
                # It must not read any more when the number of the socket is another connection's.
                one.shutdown(socket.SHUT_RDWR)
                there.join()
                if answer.startswith(b"HTTP/1.1 "):
                    answers[int(answer[9:12])] += 1

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], answers


def carry(source, target):
    """Carries bytes until there are no more; the first of them."""
    first = b""
    with contextlib.suppress(OSError):
        while (part := source.recv(1 << 16)):
            first = first or part
            target.sendall(part)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
    return first
