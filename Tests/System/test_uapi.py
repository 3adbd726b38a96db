"""What `wg` and every other client of the UAPI meets: the same as with wireguard-go, and nothing that harms anybody."""

import contextlib
import itertools
import os
import re
import socket
import time

import pytest

from lab import DropIn, Keys, Lab, Namespace, link, wait_until
from lab.gateway import gateway
from lab.site import preshared_key

pytestmark = pytest.mark.fast

PEERS = [Keys() for _ in range(4)]
OURS, OTHER, SECRET = Keys(), Keys(), preshared_key()
NOBODY = "00" * 32


@pytest.fixture
def namespace():
    with Namespace("uapi") as namespace:
        yield namespace


@pytest.fixture
def ours(namespace):
    with DropIn(namespace, "u") as ours:
        yield ours


# MARK: the same as wireguard-go


def test_every_command_of_wg_gives_what_it_gives_with_wireguard_go(tmp_path):
    with Namespace("ours") as one, Namespace("theirs") as other:
        with DropIn(one, "a") as ours, DropIn(other, "b", "wireguard-go") as theirs:
            for number, step in enumerate(steps(tmp_path)):
                answers = [normalised(one, step(one)) for one in (ours, theirs)]
                assert answers[0] == answers[1], f"step {number}"
                for shown in (("show",), ("show", "dump"), ("showconf",), ("show", "allowed-ips"),
                              ("show", "endpoints"), ("show", "preshared-keys"), ("show", "persistent-keepalive"),
                              ("show", "fwmark"), ("show", "latest-handshakes"), ("show", "transfer")):
                    answers = [normalised(one, one.wg(*shown)) for one in (ours, theirs)]
                    assert answers[0] == answers[1], f"{' '.join(shown)} after step {number}"
                answers = [normalised(one, of_all(one)) for one in (ours, theirs)]
                assert answers[0] == answers[1], f"show all dump after step {number}"
                assert answers[0] == normalised(ours, ours.wg("show", "dump"))


def of_all(one):
    """What `wg show all dump` says of this interface; others on this machine come and go."""
    done = one.namespace.run("wg", "show", "all", "dump", check=False)
    return "".join(line.removeprefix(one.name + "\t") for line in done.stdout.splitlines(keepends=True)
                   if line.startswith(one.name + "\t"))


def steps(directory):
    """One thing after the other that people do with wg."""
    def file(text):
        path = directory / f"{next(numbers)}.conf"
        path.write_text(text)
        path.chmod(0o600)
        return path

    numbers = itertools.count()
    one, two, three, four = (peer.public for peer in PEERS)
    secret = file(SECRET + "\n")
    config = file(f"""[Interface]
PrivateKey = {OURS.private}
ListenPort = 7001
FwMark = 0x1234

[Peer]
PublicKey = {one}
PresharedKey = {SECRET}
AllowedIPs = 10.1.0.0/16, fd01::/16, 10.2.3.4/32, 10.9.9.9/8
Endpoint = 192.0.2.1:1
PersistentKeepalive = 25

[Peer]
PublicKey = {two}
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = [2001:db8::1]:2

[Peer]
PublicKey = {three}
""")
    less = file(f"""[Interface]
PrivateKey = {OURS.private}
ListenPort = 7001

[Peer]
PublicKey = {two}
AllowedIPs = 10.5.0.0/16

[Peer]
PublicKey = {four}
AllowedIPs = 10.6.0.0/16
""")
    more = file(f"[Peer]\nPublicKey = {one}\nAllowedIPs = 10.77.0.0/16\n")
    broken = file(f"[Interface]\nPrivateKey = {OURS.private}\nNonsense = 1\n")

    def command(*words, check=True):
        return lambda one: one.wg(*words, check=check)

    yield command("set", "listen-port", 7000)
    yield command("set", "private-key", file(OURS.private + "\n"))
    yield command("set", "peer", one, "allowed-ips", "10.0.0.0/8,fd00::/8,10.1.0.0/24", "endpoint", "192.0.2.9:9")
    yield command("set", "peer", two, "allowed-ips", "10.1.0.0/24", "preshared-key", secret)
    yield command("set", "peer", one, "persistent-keepalive", 7)
    yield command("set", "peer", one, "persistent-keepalive", "off")
    yield command("set", "peer", two, "preshared-key", "/dev/null")
    yield command("set", "peer", one, "allowed-ips", "")
    yield command("set", "peer", two, "remove")
    yield command("set", "peer", two, "remove")
    yield command("set", "fwmark", "0xca6c")
    yield command("set", "fwmark", "0")
    yield command("setconf", config)
    yield command("addconf", more)
    yield command("syncconf", less)
    yield command("setconf", less)
    yield command("syncconf", config)
    yield command("setconf", broken, check=False)
    yield command("set", "peer", OURS.public, "allowed-ips", "10.250.0.0/16")
    yield command("set", "private-key", "/dev/null")
    yield command("set", "private-key", file(OTHER.private + "\n"))


def normalised(one, text):
    """Without the name, and with peers in one order: wireguard-go lists them in any."""
    text = text.replace(one.name, "NAME")
    blocks = text.strip("\n").split("\n\n")
    if len(blocks) == 1:
        head, *rest = text.splitlines() or [""]
        return [head, *sorted(rest)] if head.count("\t") == 3 else sorted(text.splitlines())
    return sorted(blocks)


def test_our_own_keys_ride_along_and_wg_does_not_mind(ours):
    ours.wg("set", "peer", PEERS[0].public, "allowed-ips", "10.0.0.0/8")
    answer = ours.ask("get=1\n\n")
    assert "gateway_plain_tx_bytes=0\n" in answer
    key = re.search("public_key=(.*)", answer).group(1)
    assert ours.ask(f"set=1\npublic_key={key}\nupdate_only=true\ngateway_compression=auto\n\n") == "errno=0\n\n"
    assert "gateway_compression=auto\n" in ours.ask("get=1\n\n")
    assert ours.wg("show", "allowed-ips") == f"{PEERS[0].public}\t10.0.0.0/8\n"


def test_an_allowed_ip_can_be_taken_away(ours):
    ours.wg("set", "peer", PEERS[0].public, "allowed-ips", "10.0.0.0/8,fd00::/8")
    key = re.search("public_key=(.*)", ours.ask("get=1\n\n")).group(1)
    assert ours.ask(f"set=1\npublic_key={key}\nallowed_ip=-10.0.0.0/8\nallowed_ip=-10.0.0.0/9\n\n") == "errno=0\n\n"
    assert ours.wg("show", "allowed-ips") == f"{PEERS[0].public}\tfd00::/8\n"


# MARK: bad input


@pytest.mark.parametrize("request_text, errno", [
    ("set=1\nnonsense\n\n", -71), ("put=1\n\n", -71), ("get=1\nx\n\n", -22), ("set=1\nfoo=1\n\n", -22),
    ("set=1\nprivate_key=12\n\n", -22), ("set=1\nlisten_port=65536\n\n", -22), ("set=1\nremove=true\n\n", -22),
    ("set=1\nreplace_peers=true\npublic_key=00\n\n", -22),
    (f"set=1\nreplace_peers=true\nprivate_key={NOBODY}\npublic_key={'ab' * 32}\nallowed_ip=1.2.3.4/33\n\n", -22),
    # Cut off: the reference does what it got so far.
    ("set=1\nreplace_peers=true\n", -71), ("set=1\nreplace_peers=tr", -71), ("set=1", -71), ("g", -71),
    ("set=1\nlisten_port=" + "1" * 70_000 + "\n\n", -5), ("x" * 70_000, -5),
])
def test_a_request_that_is_malformed_or_cut_off_gets_its_errno_and_changes_nothing(ours, request_text, errno):
    ours.wg("set", "listen-port", 7000, "peer", PEERS[0].public, "allowed-ips", "10.0.0.0/8")
    before = ours.ask("get=1\n\n")
    assert ours.ask(request_text) == f"errno={errno}\n\n"
    assert ours.ask("get=1\n\n") == before


def test_several_requests_on_one_connection_are_answered_in_order(ours):
    answer = ours.ask("get=1\n\nset=1\nlisten_port=7005\n\nset=1\nbad=1\n\nget=1\n\n")
    assert re.fullmatch(r"listen_port=\d+\nerrno=0\n\nerrno=0\n\nerrno=-22\n\nlisten_port=7005\nerrno=0\n\n", answer)


def test_a_port_that_is_taken_is_reported_and_the_old_one_kept(ours):
    ours.wg("set", "listen-port", 7000, "peer", PEERS[0].public)
    with ours.namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("0.0.0.0", 7001))
        assert ours.ask("set=1\nlisten_port=7001\nreplace_peers=true\n\n") == "errno=-98\n\n"
    assert ours.wg("show", "listen-port") == "7000\n"
    assert ours.wg("show", "peers") == PEERS[0].public + "\n"
    assert ":7000 " in ours.namespace.run("ss", "-Hnua").stdout


@pytest.mark.slow
def test_clients_that_say_nothing_or_never_read_harm_nobody(ours):
    ours.wg("set", "private-key", "/dev/stdin", text=OURS.private)
    many = "".join(f"public_key={os.urandom(32).hex()}\nallowed_ip=10.{n // 256}.{n % 256}.0/24\n" for n in range(4000))
    assert ours.ask("set=1\n" + many + "\n") == "errno=0\n\n"
    before = ours.resident()
    with contextlib.ExitStack() as stack:
        silent = [stack.enter_context(ours.connect()) for _ in range(50)]
        greedy = [stack.enter_context(ours.connect()) for _ in range(10)]
        for one in greedy:
            one.sendall(b"get=1\n\n" * 1000)
        halves = [stack.enter_context(ours.connect()) for _ in range(10)]
        for one in halves:
            one.sendall(b"set=1\nreplace_peers=true\n")
        start = time.monotonic()
        assert len(ours.wg("show", "peers").splitlines()) == 4000
        assert time.monotonic() - start < 2
        # Each of the greedy ones has 4000 peers' statistics, some 1.1 KB each, and their text.
        assert ours.resident() - before < 70e6
        assert is_over(halves[0]) is False
        halves[0].sendall(b"\n")
        assert halves[0].recv(100) == b"errno=0\n\n"
        wait_until(lambda: all(is_over(one) for one in greedy), "those who never read are let go", timeout=20)
        wait_until(lambda: all(is_over(one) for one in silent + halves), "those who stop are let go", timeout=40)
    assert ours.wg("show", "peers") == ""


@pytest.mark.slow
def test_a_client_that_asks_in_time_keeps_its_connection(ours):
    with ours.connect() as one:
        for _ in range(3):
            time.sleep(8)
            one.sendall(b"get=1\n\n")
            assert one.recv(1 << 20).endswith(b"errno=0\n\n")


@pytest.mark.slow
def test_more_connections_than_there_is_room_for_wait_and_then_have_their_turn(ours):
    room = 128
    # The answer has an end, so that this connection is closed.
    assert ours.ask("get=1\n\n").endswith("errno=0\n\n")
    (process,) = ours.processes()

    def descriptors():
        return len(os.listdir(f"/proc/{process}/fd"))

    before = descriptors()
    with contextlib.ExitStack() as stack:
        def connect(timeout=10):
            # The kernel's queue may be full for a moment.
            with contextlib.suppress(BlockingIOError):
                return stack.enter_context(ours.connect(timeout))

        silent = []
        while len(silent) < room + 30:
            silent += filter(None, [connect()])
        late = wait_until(lambda: connect(40), "there is room in the kernel's queue", 40)
        late.sendall(b"get=1\n\n")
        time.sleep(1)
        assert descriptors() <= before + room
        assert late.recv(1 << 20).endswith(b"errno=0\n\n")
        assert is_over(silent[0])
    wait_until(lambda: descriptors() == before, "nothing of them is left")


def test_no_text_of_a_key_stays_in_memory(ours):
    (process,) = ours.processes()
    private, secret = bytes([8]) + os.urandom(30) + bytes([64]), os.urandom(32)
    setting = (f"set=1\nprivate_key={private.hex()}\npublic_key={os.urandom(32).hex()}\npreshared_key={secret.hex()}\n\n")
    for _ in range(3):
        assert ours.ask(setting) == "errno=0\n\n"
        told = ours.ask("get=1\n\n")
        assert private.hex() in told and secret.hex() in told
    with ours.connect() as slow:
        for byte in setting.encode():
            slow.sendall(bytes([byte]))
        assert slow.recv(100) == b"errno=0\n\n"
    assert is_in_memory(process, b"tx_bytes"), "the search finds what is there"
    assert not is_in_memory(process, private.hex().encode())
    assert not is_in_memory(process, secret.hex().encode())


def is_in_memory(process, text):
    """Whether a process has these bytes anywhere that can be read."""
    with open(f"/proc/{process}/maps") as maps, open(f"/proc/{process}/mem", "rb", 0) as memory:
        for line in maps:
            start, end = (int(text, 16) for text in line.split()[0].split("-"))
            with contextlib.suppress(OSError, OverflowError):
                memory.seek(start)
                if text in memory.read(end - start):
                    return True
    return False


def is_over(connection):
    """Whether the other end has closed; what it sent stays unread."""
    import select
    poll = select.poll()
    poll.register(connection, select.POLLHUP)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def test_wg_finds_no_interface_where_there_is_none(ours):
    assert "Unable to access interface" in ours.namespace.run("wg", "show", "nosuchlink", check=False).stderr


# MARK: gateway run


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def test_wg_reads_and_changes_an_interface_of_gateway_run_and_no_session_is_lost(lab):
    with link(lab, compression="auto") as (a, b):
        def wg(*words):
            return lab.a.gateway.run("wg", *words).stdout
        handshake = wg("show", a.name, "latest-handshakes")
        assert handshake.split("\t")[0] == b.stats()["publicKey"]
        peer = lab.b.keys.public
        wg("set", a.name, "peer", peer, "persistent-keepalive", "9", "allowed-ips",
           ",".join([*lab.b.allowed_ips, "10.77.0.0/16"]))
        wg("set", a.name, "peer", Keys().public, "allowed-ips", "10.78.0.0/16")
        wg("set", a.name, "listen-port", "51999")
        assert lab.ping(lab.a, lab.b.v4, count=3)
        assert wg("show", a.name, "latest-handshakes").splitlines()[0] + "\n" == handshake
        assert a.stats()["listenPort"] == 51999 and len(a.stats()["peers"]) == 2
        assert b.peer()["endpoint"].endswith(":51999")


@pytest.mark.slow
def test_silent_clients_of_the_control_socket_are_let_go_and_the_next_are_served(lab):
    with gateway(lab, lab.a) as a, contextlib.ExitStack() as stack:
        silent = []
        for _ in range(64 + 10):
            silent.append(stack.enter_context(socket.socket(socket.AF_UNIX)))
            silent[-1].connect(str(a.control))
        silent[0].sendall(b"GET /v1/stats HTTP/1.1\r\nHost:")
        wait_until(lambda: all(is_over(one) for one in silent), "all of them are let go", timeout=40)
        assert a.stats()["listenPort"]


def test_hooks_may_ask_wg_about_the_interface(lab, tmp_path):
    hooks = ("PostUp = wg set %i fwmark 7 && wg show %i > " + str(tmp_path / "up"),
             "PreDown = wg show %i dump > " + str(tmp_path / "down"))
    with gateway(lab, lab.a, interface=hooks) as a:
        up = tmp_path / "up"
        wait_until(lambda: up.exists() and "fwmark: 0x7" in up.read_text(), "PostUp saw the interface")
        assert a.stats()["fwmark"] == 7
        assert a.stop() == 0
    assert lab.b.keys.public in (tmp_path / "down").read_text()
