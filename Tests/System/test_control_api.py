"""The API of the control socket: what docs/control-api.md says of it, and what hostile clients get."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.parse

import pytest

from lab import Lab, link, wait_until
from lab.api import Events, ask, connect, raw
from lab.gateway import GATEWAYCTL, config, gateway, write_config

pytestmark = pytest.mark.fast


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab, link(lab, a={"peer": ("#: Name = far",)}) as lab.gateways:
        yield lab


@pytest.fixture
def ours(lab):
    return lab.gateways[0]


REFUSED = {
    "no such path": ("GET", "/v2/stats", None, 404, "notFound"),
    "no such method": ("DELETE", "/v1/stats", None, 405, "methodNotAllowed"),
    "no such peer": ("GET", "/v1/peers/nobody", None, 404, "noPeer"),
    "a body that is no JSON": ("PUT", "/v1/key", "[", 400, "badBody"),
    "a number that is none": ("GET", "/v1/events?since=-1", None, 400, "badQuery"),
    "more than there can be": ("GET", "/v1/events?limit=10001", None, 400, "badQuery"),
    "a body without end": ("PUT", "/v1/psk", "x" * 70_000, 413, "bodyTooLarge"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_has_a_code_and_a_text_as_json(ours, what):
    method, path, body, status, code = REFUSED[what]
    answer = ask(ours, method, path, body)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json["text"] and "\n" not in answer.json["text"]
    if status == 405:
        assert answer.headers["Allow"] == "GET"


def test_a_gatewayctl_of_before_gets_its_line_of_text(ours):
    answer = ask(ours, "GET", "/v9", headers={"Accept": "application/json"})
    assert answer.text == "there is no /v9; see docs/control-api.md\n"
    assert ask(ours, "GET", "/v9", headers={"Accept": "text/plain", "User-Agent": "x"}).text == answer.text


def test_peers_are_found_by_name_and_by_key(ours, lab):
    listed = ask(ours, "GET", "/v1/peers").json
    assert listed["interface"] == ours.name and [peer["name"] for peer in listed["peers"]] == ["far"]
    for name in ("far", urllib.parse.quote(lab.b.keys.public, safe="")):
        assert ask(ours, "GET", f"/v1/peers/{name}").json["publicKey"] == lab.b.keys.public


def test_a_user_of_the_group_may_read_and_not_write(ours):
    ours.control.chmod(0o666)
    for folder in ours.control.parents:
        folder.stat().st_mode & 0o001 or folder.chmod(folder.stat().st_mode | 0o011)
    asked = """
import http.client, socket, sys
for method, path in (("GET", "/v1/stats"), ("PUT", "/v1/key"), ("POST", "/v1/reload")):
    one = http.client.HTTPConnection("x"); one.sock = socket.socket(socket.AF_UNIX); one.sock.connect(sys.argv[1])
    one.request(method, path); answer = one.getresponse(); print(answer.status, answer.read()[:200])
"""
    done = subprocess.run(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", sys.executable, "-c", asked,
                           ours.control], capture_output=True, text=True)
    ours.control.chmod(0o660)
    read, *written = done.stdout.splitlines()
    assert read.startswith("200 "), done.stdout + done.stderr
    for line in written:
        assert line.startswith("403 ") and "group gateway" in line, done.stdout + done.stderr


def test_events_say_what_happened_to_whom(ours, lab):
    wait_until(ours.has_handshake, "a handshake")
    page = ask(ours, "GET", "/v1/events?kind=handshake&peer=far").json
    (first, *_), numbers = page["events"], [event["id"] for event in page["events"]]
    assert first["peer"] == "far" and first["publicKey"] == lab.b.keys.public and first["level"] == "info"
    assert "handshake done with" in first["text"] and numbers == sorted(numbers)
    assert ask(ours, "GET", f"/v1/events?since={page['next']}&kind=handshake").json["events"] == []
    some = ask(ours, "GET", "/v1/events?since=0&limit=2").json
    assert [event["id"] for event in some["events"]] == [0, 1] and some["next"] == 2 and some["lost"] == 0


def test_who_follows_the_events_hears_of_a_reload_at_once(ours):
    with Events(ours) as events:
        answer = ask(ours, "POST", "/v1/reload")
        assert answer.status == 200 and "reloaded: 0 peers new or changed, 0 removed" in answer.json["messages"]
        kind, event = events.next()
        assert kind == event["kind"] == "reload" and "reloaded" in event["text"]


def test_a_reload_of_a_file_with_an_error_says_so_and_changes_nothing(ours, lab):
    text = ours.config.read_text()
    try:
        write_config(lab, lab.a, text.replace("AllowedIPs = ", "AllowedIPs = 10.0.0.0/99, "))
        answer = ask(ours, "POST", "/v1/reload")
        assert (answer.status, answer.json["code"]) == (422, "configuration"), answer.text
        assert "10.0.0.0/99" in answer.json["text"] and "nothing was changed" in answer.json["text"]
    finally:
        write_config(lab, lab.a, text)


def test_gatewayctl_prints_events_for_people_and_as_json(ours):
    done = ours.ctl("events", ours.name)
    line = next(line for line in done.stdout.splitlines() if "handshake done" in line)
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  info +handshake +far: handshake done with ", line), line
    for text in ours.ctl("events", ours.name, "--json", "--peer", "far").stdout.splitlines():
        assert json.loads(text)["peer"] == "far"


def test_gatewayctl_follows_events(ours):
    with subprocess.Popen([GATEWAYCTL, "events", ours.name, "--follow", "--json", "--kind", "reload"],
                          stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "GATEWAY_RUN_DIR": str(ours.run_directory)}) as process:
        before = json.loads(process.stdout.readline())
        ask(ours, "POST", "/v1/reload")
        after = json.loads(process.stdout.readline())
        process.terminate()
    assert before["kind"] == after["kind"] == "reload" and after["id"] > before["id"]


# What hostile clients get. All of them may connect: they are root, or of the group.


@pytest.fixture
def undisturbed(lab, ours):
    """While the test runs, a ping passes every ten milliseconds; none of them is lost, and the daemon is as large as it was."""
    ask(ours, "GET", "/v1/stats")
    memory, done = ours.resident, []
    ping = threading.Thread(target=lambda: done.append(
        lab.a.host.run("ping", "-n", "-q", "-i", "0.01", "-c", "300", "-W", "2", lab.b.v4, check=False).stdout))
    ping.start()
    yield
    ping.join()
    assert " 0% packet loss" in done[0], done[0]
    wait_until(lambda: ask(ours, "GET", "/v1/stats").status == 200, "it answers again", timeout=30)
    assert ours.resident - memory < 30e6
    ours.check_alive()


def test_garbage_is_refused_and_an_endless_head_and_body_are_cut(ours, undisturbed):
    for garbage in (b"\0" * 100, os.urandom(4096), b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01"):
        answer = raw(ours, garbage + b"\r\n\r\n")
        assert not answer or answer.startswith(b"HTTP/1.1 400 "), answer[:100]
    for head in (b"GET /v1/stats HTTP/1.1\r\n" + b"A: b\r\n" * 100_000,
                 b"GET /v1/stats HTTP/1.1\r\nA: " + b"a" * 5_000_000, b"GET /" + b"a" * 5_000_000):
        answer = raw(ours, head)
        assert not answer or answer.startswith((b"HTTP/1.1 431 ", b"HTTP/1.1 400 ")), answer[:100]
    for length in (b"Content-Length: 99999999999", b"Transfer-Encoding: chunked"):
        answer = raw(ours, b"PUT /v1/key HTTP/1.1\r\n" + length + b"\r\n\r\n" + b"10000\r\n" + b"x" * 10_000_000)
        assert not answer or answer.startswith((b"HTTP/1.1 413 ", b"HTTP/1.1 400 ")), answer[:100]


def test_a_thousand_connections_of_which_none_says_anything_are_let_go(ours, undisturbed):
    opened = []
    for _ in range(1000):
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        try:
            one.connect(str(ours.control))
        except BlockingIOError:
            # The kernel's queue is full: so is ours.
            one.close()
            break
        opened.append(one)
    assert len(opened) >= 64
    assert threads_and_descriptors(ours) < 64 + 100
    for one in opened:
        one.close()


def test_half_a_request_and_one_that_never_reads_do_not_keep_others_waiting(ours, undisturbed):
    half = [connect(ours) for _ in range(20)]
    for one in half:
        one.sendall(b"GET /v1/stats HTTP/1.1\r\nHost: ga")
    deaf = [connect(ours) for _ in range(20)]
    for one in deaf:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        one.sendall(b"GET /v1/events?limit=10000 HTTP/1.1\r\n\r\n")
    for _ in range(20):
        assert ask(ours, "GET", "/v1/stats").status == 200
    for one in half + deaf:
        one.close()


def test_sixteen_may_follow_the_events_whether_they_read_or_not(ours, undisturbed):
    followers = [Events(ours) for _ in range(16)]
    assert {one.status for one in followers} == {200}
    with Events(ours) as one_more:
        assert one_more.status == 503
    for _ in range(300):
        assert ask(ours, "GET", "/v1/key").status == 200
    for one in followers:
        one.__exit__()

    def there_is_room():
        with Events(ours) as one:
            return one.status == 200

    wait_until(there_is_room, "one may follow again")


def test_the_last_ten_thousand_events_are_kept_and_the_loss_of_older_ones_is_told():
    with Lab(ipv6=False) as lab, gateway(lab, lab.a) as ours:
        # A reload says a line of each of these.
        write_config(lab, lab.a, config(lab, lab.a) + "".join(f"Nonsense{n} = 1\n" for n in range(200)))
        while ask(ours, "GET", "/v1/events?limit=1").json["next"] < 10_050:
            assert ask(ours, "POST", "/v1/reload").status == 422
        page = ask(ours, "GET", "/v1/events?since=0&limit=10000").json
        assert page["lost"] == page["events"][0]["id"] > 0 and len(page["events"]) == 10_000


def threads_and_descriptors(daemon):
    return len(os.listdir(f"/proc/{daemon.process.pid}/fd"))
