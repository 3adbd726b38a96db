"""Requests that schemathesis makes of docs/openapi.json: nothing ends the daemon, no answer is a 500, all have the promised form.

`make test-api` installs schemathesis and runs it long; here is what runs without it.
"""

import contextlib
import json
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from lab import Lab, link
from lab.gateway import REPOSITORY

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
    examples = os.environ.get("EXAMPLES", "100")
    with Lab(ipv6=False) as lab, link(lab, a={"peer": ("#: Name = far",)}) as (ours, _), proxy(ours) as port:
        done = subprocess.run(
            [SCHEMATHESIS, "run", OPENAPI, "--url", f"http://127.0.0.1:{port}", "--max-examples", examples, "--workers", "1",
             "--seed", "1", "--no-color", "--exclude-path-regex", "^/v1/(trace|capture)$", "--exclude-checks",
             # Keys are checked more strictly than a pattern can say; a name with %2F in it is a name.
             "positive_data_acceptance,negative_data_rejection,unsupported_method"],
            capture_output=True, text=True, cwd=lab.directory, timeout=3000)
        print(done.stdout[-3000:])
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
        ours.check_alive()


if SCHEMATHESIS:
    test_what_schemathesis_thinks_of_is_answered_as_described = \
        check_what_schemathesis_thinks_of_is_answered_as_described


@contextlib.contextmanager
def proxy(gateway):
    """A port of this machine's loopback behind which is the control socket."""
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listening:
        def accept():
            with contextlib.suppress(OSError):
                while True:
                    one, _ = listening.accept()
                    other = socket.socket(socket.AF_UNIX)
                    other.connect(str(gateway.control))
                    threading.Thread(target=carry, args=(one, other), daemon=True).start()
                    threading.Thread(target=carry, args=(other, one, one), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


def carry(source, target, *to_end):
    with contextlib.suppress(OSError):
        while (part := source.recv(1 << 16)):
            target.sendall(part)
    for one in (target, *to_end):
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_WR)
