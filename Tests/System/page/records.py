"""The records of §3, to bytes and back."""

import struct
from typing import NamedTuple

from . import codecs, keys, members
from .codecs import DEFLATE
from .framing import option, padded, record
from .keys import KEYS
from .members import ip_packet
from .wrong import Malformed, require

HELLO, UNIT, BUNDLE, FRAGMENT, REPORT, PING = range(0x10, 0x16)
CONFIRM = 0x17
RECEIPT, GONE, PARITY, PACK = range(0x18, 0x1C)
STREAM, HISTORY = 0x1D, 0x1E
RECALL, LEARNED = 0x20, 0x21
SEEN, ASKS = 0x01, 0x02
CODECS, MAXIMUM_UNIT, _SECOND_LANE, RECORDS = range(1, 5)
MEMBERS = 0x10
"""The bit of UNIT's parameter that says layout 1."""
_FRAGMENT, _REPORT = struct.Struct("<HHBB"), struct.Struct("<5Q")
_STREAM, _HISTORY, _RECALL, _LEARNED = map(struct.Struct, ("<BxHHHI", "<BBH", "<BBBBHI", "<BBB"))
_SHORT, _DEFLATED, _TELLS, _LARGEST = struct.Struct("<BBBBI"), 4, 8, 4096
_RECEIPT, _RANGE, _PARITY = struct.Struct("<3Q5I"), struct.Struct("<HH"), struct.Struct("<QQBB")
_OPTIONAL = {BUNDLE, FRAGMENT, REPORT, PING, CONFIRM, RECEIPT, GONE, PARITY, PACK, KEYS, STREAM, HISTORY,
             RECALL, LEARNED}
_SHORTEST, _RANGES = 18, 8
"""Bytes of the vector of a keepalive; ranges in one record."""


class Hello(NamedTuple):
    """What its sender can receive, and what it knows of the other's HELLO."""

    codecs: frozenset = frozenset([DEFLATE])
    maximum_unit: int = 65_535
    seen: bool = False
    asks: bool = False
    version: int = 1
    records: frozenset = frozenset()

    def encode(self):
        options = option(CODECS, bytes(self.codecs)) + option(MAXIMUM_UNIT, struct.pack("<I", self.maximum_unit))
        options += option(RECORDS, bytes(self.records)) if self.records else b""
        return record(HELLO, self.version, bytes([SEEN * self.seen | ASKS * self.asks]) + options)


EVERYTHING = Hello(codecs.KNOWN, records=frozenset([BUNDLE, FRAGMENT, REPORT, PING]))
"""All that the page has but the second lane, CONFIRM, repair, parity and keys."""
REPAIRS = EVERYTHING._replace(records=EVERYTHING.records | {RECEIPT, GONE})
PARITIES = REPAIRS._replace(records=REPAIRS.records | {PARITY})
HISTORIES = REPAIRS._replace(records=REPAIRS.records | {STREAM, HISTORY, RECALL, LEARNED})
BRIEF = HISTORIES._replace(records=HISTORIES.records | {0x2E})
"""With RECALL in its short form."""
PACKS = EVERYTHING._replace(records=EVERYTHING.records | {PACK})
AGREES = EVERYTHING._replace(records=EVERYTHING.records | {KEYS})


def digest(hello):
    """What a CONFIRM calls a HELLO, which is given as its payload (§3.9)."""
    _, version, length = struct.unpack_from("<BBH", hello)
    told, body, at = bytes([version]), hello[4:4 + length], 1
    while at < len(body):
        end = at + 2 + body[at + 1]
        told += body[at:end] if body[at] != _SECOND_LANE else b""
        at = end
    value = 0x811C9DC5
    for byte in told:
        value = (value ^ byte) * 0x01000193 % 2**32
    return value


class Confirm(NamedTuple):
    digest: int
    seen: bool = False

    def encode(self, packet=b""):
        """Alone, or behind a packet."""
        return padded(packet + struct.pack("<BBHI", CONFIRM, self.seen, 4, self.digest))

    @classmethod
    def behind(cls, payload):
        """The one behind the plain packet of a payload, or alone in it; None if there is none."""
        rest = payload[len(ip_packet(payload)):] if payload[0] >> 4 in (4, 6) else payload
        if len(rest) < 8 or rest[0] != CONFIRM:
            return None
        _, flags, length = struct.unpack_from("<BBH", rest)
        if not 4 <= length <= len(rest) - 4 or len(rest) >= 4 + length + 16:
            return None
        return cls(*struct.unpack_from("<I", rest, 4), bool(flags & SEEN))


class Unit(NamedTuple):
    """One compressed unit, decoded."""

    packets: list
    rest: Malformed | None
    """Why what follows the packets was dropped."""
    parameter: int
    size: int
    """Bytes of the payload that it came in."""

    @property
    def packet(self):
        (packet,) = self.packets
        return packet


class Bundle(NamedTuple):
    packets: list
    rest: Malformed | None


class Pack(NamedTuple):
    """Packets that are larger than a datagram, and what follows them."""

    packets: list
    rest: Malformed | None


class Fragment(NamedTuple):
    number: int
    size: int
    index: int
    count: int
    piece: bytes

    def encode(self):
        return record(FRAGMENT, 0, _FRAGMENT.pack(*self[:4]) + self.piece)


class Report(NamedTuple):
    highest: int
    bitmap: int
    datagrams: int
    bytes: int
    clock: int
    lane: int = 0

    def encode(self):
        return record(REPORT, self.lane, _REPORT.pack(*self[:5]))


class Receipt(NamedTuple):
    """What has arrived, and what is to be sent again (§3.10). The clocks are in microseconds."""

    highest: int
    datagrams: int
    bytes: int
    clock: int
    ago: int
    lost: int = 0
    runs: int = 0
    regained: int = 0
    ranges: tuple = ()
    """Of counters, as Python's `range`, the highest first; so in GONE."""
    lane: int = 0

    def encode(self):
        return record(RECEIPT, self.lane, _RECEIPT.pack(*self[:8]) + _below(self.highest, self.ranges))


class Gone(NamedTuple):
    """What will not be sent again."""

    counter: int
    ranges: tuple
    lane: int = 0

    def encode(self):
        return record(GONE, self.lane, struct.pack("<Q", self.counter) + _below(self.counter, self.ranges))


class Parity(NamedTuple):
    """A row of a block (§3.11)."""

    first: int
    block: int
    number: int
    rows: int
    row: bytes
    lane: int = 0

    @property
    def counters(self):
        return [self.first + place for place in range(64) if self.block >> place & 1]

    def encode(self):
        return record(PARITY, self.lane, _PARITY.pack(*self[:4]) + self.row)


class Stream(NamedTuple):
    """A unit of a stream (§3.14), coded as it came."""

    stream: int
    epoch: int
    number: int
    size: int
    check: int
    coded: bytes

    def encode(self):
        return record(STREAM, MEMBERS, _STREAM.pack(*self[:5]) + self.coded)


class History(NamedTuple):
    word: int
    stream: int
    window: int
    epoch: int

    def encode(self):
        return record(HISTORY, self.word, _HISTORY.pack(*self[1:]))


class Recall(NamedTuple):
    """A unit that may refer to a dictionary (§3.16), coded as it came."""

    dictionary: int
    epoch: int
    base: int
    number: int
    size: int
    check: int
    coded: bytes
    refers: bool = False
    learn: bool = True
    deflated: bool = False
    """The short form, in which `size` is the most that there may be."""
    told: NamedTuple = None
    """What LEARNED would say of a dictionary of the receiver's."""

    def encode(self):
        flags = MEMBERS | self.learn | self.refers << 1
        if not self.deflated:
            return record(RECALL, flags, _RECALL.pack(*self[:6]) + self.coded)
        tail = _LEARNED.pack(*self.told[1:4]) + self.told.numbers + bytes([len(self.told.numbers)]) if self.told else b""
        return record(RECALL, flags | _DEFLATED | _TELLS * bool(self.told),
                      _SHORT.pack(*self[:4], self.check) + self.coded + tail)


class Learned(NamedTuple):
    word: int
    dictionary: int
    epoch: int
    entries: int = 0
    numbers: bytes = b""

    def encode(self):
        return record(LEARNED, self.word, _LEARNED.pack(*self[1:4]) + self.numbers)


class Ping(NamedTuple):
    token: bytes
    answer: bool = False
    padding: bytes = b""

    def encode(self):
        return record(PING, int(self.answer), self.token + self.padding)


def unit(decoded, coded=None, *, parameter=DEFLATE, size=None):
    """A UNIT of these bytes; the rest is for units as they should not be."""
    coded = codecs.code(parameter & 15, decoded) if coded is None else coded
    return record(UNIT, parameter, struct.pack("<H", len(decoded) if size is None else size) + coded)


def decode(payload, announced):
    """What a decrypted payload is (§2): None for a keepalive, bytes for a plain packet, else a record.

    announced: the `Hello` that this end has sent, which says what may come.
    """
    if not payload:
        return None
    if payload[0] >> 4 in (4, 6):
        return ip_packet(payload)
    require(payload[0] in {HELLO, UNIT} | announced.records & _OPTIONAL, "not announced")
    require(len(payload) >= 4, "shorter than its head")
    kind, parameter, length = struct.unpack_from("<BBH", payload)
    require(4 + length <= len(payload), "ends behind the payload")
    require(len(payload) < 4 + length + 16, "followed by 16 bytes or more")
    body = payload[4:4 + length]
    if kind == UNIT:
        return _unit(parameter, body, announced, len(payload))
    if kind == CONFIRM:
        require(length >= 4, "CONFIRM cut off")
        return Confirm.behind(payload)
    return {HELLO: _hello, BUNDLE: _bundle, FRAGMENT: _fragment, REPORT: _report, PING: _ping, RECEIPT: _receipt,
            GONE: _gone, PARITY: _parity, PACK: _pack, KEYS: keys.decode, STREAM: _stream, HISTORY: _history, RECALL: _recall,
            LEARNED: _learned}[kind](parameter, body)


def _hello(version, body):
    require(body and version, "HELLO without flags, or of version 0")
    options, at = {CODECS: b"", MAXIMUM_UNIT: struct.pack("<I", 65_535), RECORDS: b""}, 1
    while at < len(body):
        end = at + 2 + body[at + 1] if at + 1 < len(body) else len(body) + 1
        require(end <= len(body), "option cut off")
        kind, value = body[at], body[at + 2:end]
        require(kind not in (MAXIMUM_UNIT, _SECOND_LANE) or len(value) == 4, "option with a length that it cannot have")
        options[kind] = options[kind] + value if kind in (CODECS, RECORDS) else value
        at = end
    (maximum,) = struct.unpack("<I", options[MAXIMUM_UNIT])
    return Hello(frozenset(options[CODECS]), min(maximum, 65_535), bool(body[0] & SEEN), bool(body[0] & ASKS), version,
                 frozenset(options[RECORDS]))


def _unit(parameter, body, announced, payload):
    require(parameter & 15 in announced.codecs & codecs.KNOWN, "codec not announced")
    require(parameter < MEMBERS or parameter < 2 * MEMBERS and BUNDLE in announced.records, "layout not announced")
    require(len(body) >= 3, "UNIT without coded bytes")
    (size,) = struct.unpack_from("<H", body)
    require(size <= announced.maximum_unit, "larger than announced")
    decoded = codecs.decode(parameter & 15, body[2:], size)
    packets = _members(decoded) if parameter & MEMBERS else ([ip_packet(decoded)], None)
    return Unit(*packets, parameter, payload)


def _bundle(parameter, body):
    require(parameter == 0, "parameter of BUNDLE")
    return Bundle(*_members(body))


def _pack(parameter, body):
    require(parameter == 0, "parameter of PACK")
    return Pack(*_members(body))


def _members(data):
    packets, rest = members.decode(data)
    if not packets:
        raise rest
    return packets, rest


def _fragment(parameter, body):
    require(parameter == 0 and len(body) >= _FRAGMENT.size, "not a head of FRAGMENT")
    fragment = Fragment(*_FRAGMENT.unpack_from(body), body[_FRAGMENT.size:])
    _, size, index, count, piece = fragment
    require(2 <= count <= 64 and index < count, "index or count of FRAGMENT")
    step = -(-size // count)
    require(0 < len(piece) == min(step, size - index * step), "piece of another size")
    return fragment


def _report(lane, body):
    require(lane < 2 and len(body) >= _REPORT.size, "cut off or of an unknown lane")
    return Report(*_REPORT.unpack_from(body), lane)


def _ping(parameter, body):
    require(parameter < 2 and len(body) >= 8, "cut off, or neither question nor answer")
    return Ping(body[:8], parameter == 1, body[8:])


def _receipt(lane, body):
    require(lane < 2 and len(body) >= _RECEIPT.size, "cut off or of an unknown lane")
    highest, *rest = _RECEIPT.unpack_from(body)
    return Receipt(highest, *rest, _ranges(highest, body[_RECEIPT.size:]), lane)


def _gone(lane, body):
    require(lane < 2 and len(body) >= 8, "cut off or of an unknown lane")
    (counter,) = struct.unpack_from("<Q", body)
    return Gone(counter, _ranges(counter, body[8:]), lane)


def _below(counter, ranges):
    """Ranges as they stand below a counter."""
    told = b""
    for one in ranges:
        told += _RANGE.pack(counter - one.stop, len(one))
        counter = one.start
    return told


def _ranges(counter, told):
    require(len(told) % _RANGE.size == 0 and len(told) <= _RANGES * _RANGE.size, "half a range, or too many")
    ranges = []
    for distance, count in _RANGE.iter_unpack(told):
        counter -= distance + count
        require(count and counter >= 0, "a range of nothing, or below counter 0")
        ranges.append(range(counter, counter + count))
    return tuple(ranges)


def _parity(lane, body):
    require(lane < 2 and len(body) >= _PARITY.size + _SHORTEST, "cut off or of an unknown lane")
    parity = Parity(*_PARITY.unpack_from(body), body[_PARITY.size:], lane)
    require(parity.block & 1, "of no block")
    require(parity.number < parity.rows <= 3, "a row that there is not")
    return parity


def _stream(parameter, body):
    require(parameter == MEMBERS and len(body) > _STREAM.size, "no members, or no coded bytes")
    unit = Stream(*_STREAM.unpack_from(body), body[_STREAM.size:])
    require(unit.size, "a STREAM of nothing")
    return unit


def _history(word, body):
    require(word < 3 and len(body) >= _HISTORY.size and 10 <= body[1] <= 21, "cut off, or says what there is not")
    return History(word, *_HISTORY.unpack_from(body))


def _recall(parameter, body):
    if parameter & _DEFLATED:
        return _short_recall(parameter, body)
    require(parameter & 0xFC == MEMBERS and len(body) > _RECALL.size, "no members, or no coded bytes")
    unit = Recall(*_RECALL.unpack_from(body), body[_RECALL.size:], bool(parameter & 2), bool(parameter & 1))
    require(unit.size, "a RECALL of nothing")
    return unit


def _short_recall(parameter, body):
    require(parameter & 0xF0 == MEMBERS, "no members")
    end, told = len(body), None
    if parameter & _TELLS:
        end -= 1 + body[-1] + _LEARNED.size
        require(end > 0 and body[-1] <= 32, "more numbers than there may be")
        told = Learned(0, *_LEARNED.unpack_from(body, end), body[end + _LEARNED.size:-1])
    require(end > _SHORT.size, "no coded bytes")
    *names, check = _SHORT.unpack_from(body)
    return Recall(*names, _LARGEST, check, body[_SHORT.size:end], bool(parameter & 2), bool(parameter & 1), True, told)


def _learned(word, body):
    require(word < 2 and _LEARNED.size <= len(body) <= _LEARNED.size + 32, "cut off, or says what there is not")
    return Learned(word, *_LEARNED.unpack_from(body), body[_LEARNED.size:])
