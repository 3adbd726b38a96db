"""WireGuard's handshake and transport, for either end (§1 of the page; whitepaper §5.4). Replays pass."""

import contextlib
import hashlib
import hmac
import os
import struct
import time
from base64 import b64decode
from copy import copy
from typing import NamedTuple

from .primitives import Forged, extended, seal, unseal, x25519

INITIATION, RESPONSE, COOKIE_REPLY, TRANSPORT = 1, 2, 3, 4
_CONSTRUCTION = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
_IDENTIFIER = b"WireGuard v1 zx2c4 Jason@zx2c4.com"
_MAC1, _COOKIE = b"mac1----", b"cookie--"


class Keys(NamedTuple):
    """What one end has: its private key, the other's public key, and the secret on top."""

    private: bytes
    peer: bytes
    preshared: bytes = bytes(32)

    @classmethod
    def from_base64(cls, *keys):
        return cls(*map(b64decode, keys))

    @property
    def public(self):
        return x25519(self.private)


class Session:
    """The two transport keys. Payloads go in and come out as they are: padding is the caller's.

    hash: that of the handshake, at its end. preshared: the secret that it was made with. begun: whether this end was the initiator.
    """

    def __init__(self, index, remote, send, receive, hash=b"", preshared=bytes(32), begun=True):
        self.index, self._remote, self._send, self._receive, self.counter = index, remote, send, receive, 0
        self.hash, self.preshared, self.begun = hash, preshared, begun

    def seal(self, payload, counter=None):
        """A message with the next counter, or with one that is given."""
        if counter is None:
            counter, self.counter = self.counter, self.counter + 1
        head = struct.pack("<IIQ", TRANSPORT, self._remote, counter)
        return head + seal(self._send, bytes(4) + head[8:], payload)

    def open(self, datagram):
        return unseal(self._receive, bytes(4) + datagram[8:16], datagram[16:])


class Initiation:
    """A handshake begun: `datagram` is to be sent, `finish` takes the response."""

    def __init__(self, keys, index, cookie=None):
        self.keys, self.index, self._ephemeral = keys, index, os.urandom(32)
        self._transcript = transcript = _Transcript(keys.peer)
        public = transcript.ephemeral(x25519(self._ephemeral))
        static = transcript.seal(transcript.mix(x25519(self._ephemeral, keys.peer)), keys.public)
        stamp = transcript.seal(transcript.mix(x25519(keys.private, keys.peer)), _tai64n())
        head = struct.pack("<II", INITIATION, index)
        self.datagram = with_macs(head + public + static + stamp, keys.peer, cookie)

    def finish(self, response, candidates=()):
        """The session. candidates: the secrets that the response may be made with, if there are others than that of the keys."""
        _check(response, 92, self.keys.public)
        remote, index = struct.unpack_from("<II", response, 4)
        if index != self.index:
            raise Forged
        mixed, theirs = copy(self._transcript), response[12:44]
        mixed.ephemeral(theirs)
        mixed.mix(x25519(self._ephemeral, theirs))
        mixed.mix(x25519(self.keys.private, theirs))
        for secret in candidates or [self.keys.preshared]:
            transcript = copy(mixed)
            with contextlib.suppress(Forged):
                transcript.open(transcript.preshared(secret), response[44:60])
                return Session(index, remote, *kdf(transcript.chain, b"", 2), transcript.hash, secret)
        raise Forged

    def cookie(self, reply):
        """The cookie of a cookie reply, for another initiation."""
        return unseal(*extended(blake2s(_COOKIE, self.keys.peer), reply[8:32]), reply[32:], self.datagram[116:132])


def respond(keys, initiation, index, preshared=None):
    """The response to an initiation, and the session that it makes. preshared: another secret than that of the keys."""
    secret = keys.preshared if preshared is None else preshared
    _check(initiation, 148, keys.public)
    (remote,), theirs, ephemeral = struct.unpack_from("<I", initiation, 4), initiation[8:40], os.urandom(32)
    transcript = _Transcript(keys.public)
    transcript.ephemeral(theirs)
    static = transcript.open(transcript.mix(x25519(keys.private, theirs)), initiation[40:88])
    if static != keys.peer:
        raise Forged
    transcript.open(transcript.mix(x25519(keys.private, static)), initiation[88:116])
    public = transcript.ephemeral(x25519(ephemeral))
    transcript.mix(x25519(ephemeral, theirs))
    transcript.mix(x25519(ephemeral, static))
    empty = transcript.seal(transcript.preshared(secret), b"")
    receive, send = kdf(transcript.chain, b"", 2)
    response = with_macs(struct.pack("<III", RESPONSE, index, remote) + public + empty, static)
    return response, Session(index, remote, send, receive, transcript.hash, secret, begun=False)


class _Transcript:
    """The chaining key and the hash of one handshake."""

    def __init__(self, responder):
        self.chain = blake2s(_CONSTRUCTION)
        self.hash = blake2s(blake2s(self.chain, _IDENTIFIER), responder)

    def ephemeral(self, public):
        (self.chain,), self.hash = kdf(self.chain, public, 1), blake2s(self.hash, public)
        return public

    def mix(self, secret):
        self.chain, key = kdf(self.chain, secret, 2)
        return key

    def preshared(self, secret):
        self.chain, mixed, key = kdf(self.chain, secret, 3)
        self.hash = blake2s(self.hash, mixed)
        return key

    def seal(self, key, plain):
        sealed = seal(key, bytes(12), plain, self.hash)
        self.hash = blake2s(self.hash, sealed)
        return sealed

    def open(self, key, sealed):
        plain, self.hash = unseal(key, bytes(12), sealed, self.hash), blake2s(self.hash, sealed)
        return plain


def kdf(key, data, count):
    secret, outputs = hmac.digest(key, data, hashlib.blake2s), [b""]
    for number in range(1, count + 1):
        outputs.append(hmac.digest(secret, outputs[-1] + bytes([number]), hashlib.blake2s))
    return outputs[1:]


def blake2s(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def _mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def with_macs(body, receiver, cookie=None):
    """A handshake message that lacks only its MACs, with them; `receiver` is a public key."""
    body += _mac(blake2s(_MAC1, receiver), body)
    return body + (_mac(cookie, body) if cookie else bytes(16))


def _check(datagram, size, receiver):
    if len(datagram) != size or _mac(blake2s(_MAC1, receiver), datagram[:-32]) != datagram[-32:-16]:
        raise Forged


def _tai64n():
    seconds, nanoseconds = divmod(time.time_ns(), 10**9)
    return struct.pack(">QI", 2**62 + 10 + seconds, nanoseconds)
