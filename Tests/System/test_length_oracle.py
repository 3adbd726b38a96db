"""What the sizes on the wire give away when what is inside is compressed: CRIME and VORACLE against our own link.

The attacker sees the sizes of the datagrams between the gateways, and has a page that makes a browser send requests
with text of his choice. He wants the cookie that the browser sends along over plaintext HTTP. docs/security.md says in
words what is shown here.
"""

import random
import socket
import string
import time

import pytest

from lab import Lab, link, wait_until, wait_until_path_known
from lab.browser import Browser
from lab.small_packets import stopped

ALPHABET = "0123456789abcdef"
EVERY_PORT_BUT_9 = ("#: CompressionSkip = tcp/9",)


def text(seed):
    """A packet with a secret that compresses, and is too large for a bundle, whatever the secret is."""
    secret = "".join(random.Random(seed).choices(string.ascii_letters, k=64))
    return f"secret={secret}".encode() + b" and other words" * 40


RIGHT, WRONG = text(1), text(2)


@pytest.fixture(scope="module")
def lab():
    with Lab(rate="20mbit") as lab:
        yield lab


# `auto` leaves packets plain when others take the processor.
@pytest.mark.parametrize("compression", [pytest.param("auto", marks=pytest.mark.alone), "zstd"])
def test_without_the_default_skip_a_cookie_is_guessed_letter_by_letter(lab, compression):
    secret = "".join(random.Random(5).choices(ALPHABET, k=8))
    with lab.record() as wire, link(lab, compression=compression, peer=EVERY_PORT_BUT_9) as gateways, \
            Browser(lab.a.host, lab.b.host, lab.b.v4, 80, secret) as browser:
        wait_until_path_known(lab, *gateways)
        attacker = Attacker(browser, wire, lab.a.outer)
        known = ""
        while len(known) < len(secret):
            known += attacker.next_letter(known)
    print(f"{attacker.requests} requests")
    assert known == secret
    # Guessing whole secrets would take 2,147,483,648 requests on average.
    assert attacker.requests < 40_000


@pytest.mark.fast
@pytest.mark.parametrize("compression", ["auto", "zstd"])
def test_with_the_defaults_every_guess_looks_the_same(lab, compression):
    secret = "".join(random.Random(6).choices(ALPHABET, k=8))
    with lab.record() as wire, link(lab, compression=compression) as gateways:
        wait_until_path_known(lab, *gateways)
        for port in (80, 3128, 8080):
            with Browser(lab.a.host, lab.b.host, lab.b.v4, port, secret) as browser:
                attacker = Attacker(browser, wire, lab.a.outer)
                for known in ("", secret[:4], secret[:-1]):
                    for padding in range(16):
                        guesses = [guess for letter in ALPHABET for guess in attacker.guesses(known, letter, padding)]
                        assert len({attacker.size(guess) for guess in guesses}) == 1


@pytest.mark.fast
def test_what_two_flows_send_at_once_has_the_sizes_that_they_have_alone(lab):
    with lab.record() as wire, link(lab, compression="deflate") as gateways:
        wait_until_path_known(lab, *gateways)
        drain = Drain(lab, wire, gateways[0])
        victim, attacker = drain.flow(5000), drain.flow(5001)
        for guess in (RIGHT, WRONG):
            alone = drain.sizes((victim, RIGHT)) + drain.sizes((attacker, guess))
            assert sorted(drain.sizes((victim, RIGHT), (attacker, guess))) == sorted(alone)


@pytest.mark.parametrize("scope, port", [("flow", 5000), ("peer", 5001)])
def test_a_right_guess_in_the_same_flow_or_scope_shows(lab, scope, port):
    with lab.record() as wire, link(lab, compression="deflate", peer=(f"#: CompressionScope = {scope}",)) as gateways:
        wait_until_path_known(lab, *gateways)
        drain = Drain(lab, wire, gateways[0])
        victim, attacker = drain.flow(5000), drain.flow(port)
        right, wrong = (sum(drain.sizes((victim, RIGHT), (attacker, guess))) for guess in (RIGHT, WRONG))
        assert right <= wrong - 48


class Attacker:
    """Guesses a cookie with what he has: `browser.get` with his text, and the sizes of datagrams from one address."""

    LEAD = 8
    ROUNDS = 100

    def __init__(self, browser, wire, address):
        self.browser, self.wire, self.address = browser, wire, address
        self.requests = 0

    def next_letter(self, known):
        """The letter that follows what is known: the first to lead all others by so many sizes."""
        edge = self.edge(known)
        score = dict.fromkeys(ALPHABET, 0)
        for _ in range(self.ROUNDS):
            for letter in score:
                for padding in range(edge - 2, edge + 2):
                    together, apart = self.guesses(known, letter, padding % 16)
                    # A guess that is right saves a step of the padding at most; more is a packet that was left plain.
                    score[letter] += max(-1, min(1, (self.size(apart) - self.size(together)) // 16))
            best = max(score.values())
            score = {letter: points for letter, points in score.items() if points > best - self.LEAD}
            if len(score) == 1:
                break
        return max(score, key=score.get)

    def guesses(self, known, letter, padding):
        """Two texts of the same letters. The first repeats what stands in the cookie, if the guess is right; the second
        never does. All else that makes one letter cheaper than another is in both."""
        # What repeats itself costs nothing and makes any request worth compressing.
        ballast, gap, filler = "+" * 400, "~" * 12, string.ascii_uppercase[:padding]
        return f"{ballast}session={known}{letter}{gap}{filler}", f"{ballast}session={known}{gap}{letter}{filler}"

    def edge(self, known):
        """How much filler fills the padding of a datagram to 16: one byte more or less shows there."""
        sizes = []
        for padding in range(17):
            wrong, _ = self.guesses(known, ".", padding)
            sizes.append(sorted(self.size(wrong) for _ in range(5))[2])
        return next((padding for padding in range(1, 17) if sizes[padding] > sizes[padding - 1]), 0)

    def size(self, text):
        """The size of the datagram that a request with this text becomes: acknowledgements are smaller than 128."""
        self.requests += 1
        seen = len(self.wire.datagrams)
        self.browser.get(text)
        deadline = time.monotonic() + 10
        while time.monotonic() < deadline:
            for datagram in self.wire.datagrams[seen:]:
                if datagram.source == self.address and datagram.size > 128:
                    return datagram.size
            time.sleep(0.0001)
        raise AssertionError("a request was answered and never seen on the wire")


class Drain:
    """Packets that a gateway finds at once."""

    def __init__(self, lab, wire, gateway):
        self.lab, self.wire, self.gateway = lab, wire, gateway
        self.sockets = {}

    def flow(self, port):
        """The UDP flow from a port of host A to the same port of host B."""
        if port not in self.sockets:
            self.sockets[port] = self.lab.a.host.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sockets[port].bind((self.lab.a.v4, port))
        return self.sockets[port], (self.lab.b.v4, port)

    def sizes(self, *packets):
        """The sizes of the datagrams from A that these packets, each a flow and its text, become."""
        self.wire.settle(quiet=0.1)
        seen = len(self.wire.datagrams)
        with stopped(self.gateway):
            for (flow, target), payload in packets:
                flow.sendto(payload, target)
        sent = lambda: [d.size for d in self.wire.datagrams[seen:] if d.source == self.lab.a.outer]
        wait_until(sent, "packets come out of the gateway")
        self.wire.settle(quiet=0.1)
        return sent()
