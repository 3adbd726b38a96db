"""Units that refer to others: streams (§3.14) and dictionaries (§3.16), at the end that decodes them and at the one that codes."""

import zlib
from collections import namedtuple

from . import codecs
from .members import with_sums, without_sums
from .records import History, Learned, Recall, Stream
from .wrong import Malformed, require

REACH = 16_384
_LARGEST, _BEHIND, _MOST_BEHIND = 4096, 8192, 32
OPEN, OPENED, CLOSED = range(3)
ENTRIES, NONE = range(2)

_Life = namedtuple("_Life", "epoch frame numbers")


class Histories:
    """What an end decodes for the other."""

    def __init__(self):
        self._streams, self._dictionaries = {}, {}

    def hear(self, what):
        """The members that a unit was decoded to, or None; and what is to be said."""
        return {History: self._hear_question, Stream: self._hear_stream, Recall: self._hear_recall}[type(what)](what)

    def _hear_question(self, question):
        if question.word != OPEN:
            return None, []
        life = self._streams.get(question.stream)
        if not life or life.epoch != question.epoch:
            self._streams[question.stream] = _Life(question.epoch, codecs.frame(question.window), [0])
        return None, [question._replace(word=OPENED)]

    def _hear_stream(self, unit):
        life = self._streams.get(unit.stream)
        closed = [History(CLOSED, unit.stream, 10, unit.epoch)]
        if not life or life.epoch != unit.epoch or life.numbers[0] != unit.number:
            return None, closed
        life.numbers[0] = (unit.number + 1) % 2**16
        try:
            return _checked(life.frame(unit.coded), unit), []
        except Malformed:
            del self._streams[unit.stream]
            return None, closed

    def _hear_recall(self, unit):
        log, none = self._dictionaries.get(unit.dictionary), [Learned(NONE, unit.dictionary, unit.epoch)]
        if unit.refers and not (log and log.epoch == unit.epoch and log.has(unit.base)):
            return None, none
        decode = codecs.recalled_briefly if unit.deflated else codecs.recalled
        try:
            plain = _checked(decode(unit.coded, log.content(unit.base) if unit.refers else b""), unit)
            members = with_sums(plain) if unit.deflated else plain
        except Malformed:
            self._dictionaries.pop(unit.dictionary, None)
            return None, none
        if not unit.learn:
            return members, []
        if not log or log.epoch != unit.epoch:
            log = self._dictionaries[unit.dictionary] = Log(unit.epoch)
        if unit.refers:
            log.known = log.entries(unit.base)
        log.learn(plain, unit.number)
        return members, [log.word(unit.dictionary)]


class Log:
    """The entries of a dictionary, at either end."""

    def __init__(self, epoch):
        self.epoch, self.known, self._entries, self._numbers = epoch, 0, [], []

    def __len__(self):
        return len(self._entries)

    def __bool__(self):
        return True

    def entries(self, base):
        return len(self._entries) - (len(self._entries) - base) % 256

    def has(self, base):
        return (len(self._entries) - base) % 256 < min(len(self._entries), 128)

    def content(self, base):
        return b"".join(self._entries[:self.entries(base)])[-REACH:]

    def learn(self, plain, number):
        behind = self._entries[self.known:] + [plain]
        if len(plain) <= _LARGEST and len(behind) <= _MOST_BEHIND and sum(map(len, behind)) <= _BEHIND:
            self._entries.append(plain)
            self._numbers.append(number)

    def word(self, dictionary):
        return Learned(ENTRIES, dictionary, self.epoch, len(self._entries) % 256, bytes(self._numbers[self.known:]))

    def recall(self, plain, dictionary, number, base=None):
        """A unit of its sender's, who has heard that so many entries are there."""
        coded = codecs.recalling(plain, b"" if base is None else self.content(base))
        return Recall(dictionary, self.epoch, base or 0, number, len(plain), zlib.crc32(plain), coded,
                      refers=base is not None)

    def recall_briefly(self, plain, dictionary, number, base=None, told=None):
        """The same in the short form, and what becomes an entry."""
        bare = without_sums(plain)
        coded = codecs.recalling_briefly(bare, b"" if base is None else self.content(base))
        unit = Recall(dictionary, self.epoch, base or 0, number, _LARGEST, zlib.crc32(bare), coded,
                      refers=base is not None, deflated=True, told=told)
        return unit, bare


class OutgoingStream:
    """A stream, at the end that codes."""

    def __init__(self, stream, epoch, window):
        self.question = History(OPEN, stream, window, epoch)
        self._frame, self._number = codecs.unending(window), 0

    def unit(self, plain):
        self._number += 1
        return Stream(self.question.stream, self.question.epoch, self._number - 1, len(plain), zlib.crc32(plain),
                      self._frame(plain))


def _checked(plain, unit):
    is_short = isinstance(unit, Recall) and unit.deflated
    require(0 < len(plain) <= unit.size if is_short else len(plain) == unit.size, "not of its size")
    require(zlib.crc32(plain) == unit.check, "not what it says it is")
    return plain
