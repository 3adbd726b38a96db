"""GF(2⁸), rows of parity and what is had back from them (§3.11), without a socket."""

import itertools
import random

import pytest

from . import parity
from .fragments import Assembly, fragments
from .parity import Rows, had_back, inverse, parities, power, product, rows, vector
from .records import PARITIES, Parity, decode

pytestmark = pytest.mark.fast

INDEX = 0x01020304


def test_the_field_is_that_of_the_polynomial():
    assert [power(n) for n in (0, 1, 7, 8, 9, 255)] == [1, 2, 0x80, 0x1D, 0x3A, 1]
    assert sorted(map(power, range(255))) == list(range(1, 256))
    assert product(0x80, 2) == 0x1D and product(3, 3) == 5 and product(0, 7) == 0
    for value in range(1, 256):
        assert product(value, inverse(value)) == 1 == product(inverse(value), value)
        assert product(value, 3) == product(value, 2) ^ value


def test_a_vector_is_length_and_what_is_sealed():
    assert vector(datagram(5, 20)) == b"\x14\0" + datagram(5, 20)[16:]
    assert vector(datagram(5, 2046 - 16))[:2] == b"\xee\x07"


def test_row_0_is_the_exclusive_or_and_the_others_count_places_in_powers_of_two():
    vectors = {0: b"\x01\x02", 3: b"\x10\x80\xff", 9: b"\x01"}
    zero, one, two = rows(vectors, 3)
    assert zero == bytes([1 ^ 0x10 ^ 1, 2 ^ 0x80, 0xFF])
    assert one == bytes([1 ^ 0x80 ^ 0x3A, 2 ^ product(0x80, 8), product(0xFF, 8)])
    assert two == bytes([1 ^ product(0x10, 0x40) ^ power(18), 2 ^ product(0x80, 0x40), product(0xFF, 0x40)])


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_datagrams_follow_from_as_many_rows_and_all_others(count):
    chance = random.Random(count)
    places = sorted({0, 63, *chance.sample(range(64), 10)})
    vectors = {place: chance.randbytes(chance.randrange(18, 90)) for place in places}
    made = dict(enumerate(rows(vectors, 3)))
    for missing in itertools.combinations(places, count):
        left = {place: one for place, one in vectors.items() if place not in missing}
        for numbers in itertools.combinations(made, count):
            had = had_back(left, {number: made[number] for number in numbers}, missing)
            assert all(one.rstrip(b"\0") == vectors[place].rstrip(b"\0") for place, one in had.items())
            assert list(had) == list(missing)


@pytest.mark.parametrize("lost", [1, 2, 3])
def test_lost_datagrams_come_back_byte_for_byte_in_whatever_order_the_rest_comes(lost):
    chance = random.Random(lost)
    kept = {counter: datagram(counter, chance.randrange(16, 1400))
            for counter in (100, 101, 102, 105, 110, 163)}
    for missing in itertools.combinations(kept, lost):
        arriving = [kept[counter] for counter in kept if counter not in missing] + parities(kept, lost)
        chance.shuffle(arriving)
        taken, had = Rows(INDEX), []
        for one in arriving:
            had += taken.take(decode(one.encode(), PARITIES)) if isinstance(one, Parity) else taken.note(
                int.from_bytes(one[8:16], "little"), one)
        assert sorted(had) == sorted(kept[counter] for counter in missing)


def test_a_row_of_large_datagrams_travels_in_fragments():
    kept = {counter: datagram(counter, 1424) for counter in range(7, 30)}
    (row,) = parities(kept, 1)
    whole, assembly = row.encode(), Assembly()
    assert len(whole) > 1408
    *_, (record, _) = [assembly.take(decode(piece.encode(), PARITIES), piece.index, False, 0)
                       for piece in fragments(3, whole, 2)]
    assert decode(record, PARITIES) == row


def test_a_record_of_parity_is_these_bytes():
    kept = {5: datagram(5, 16), 7: datagram(7, 17)}
    one, two = parities(kept, 2)
    sealed = [kept[counter][16:] for counter in (5, 7)]
    assert one.encode() == b"\x1a\0\x25\0" + b"\5" + bytes(7) + b"\5" + bytes(7) + b"\0\2" + b"\x01\0" + bytes(
        a ^ b for a, b in zip(*sealed)) + sealed[1][16:] + bytes(7)
    assert two.number == 1 and two.row[:2] == bytes([0x10 ^ product(0x11, 4), 0])


def test_blocks_that_are_given_up_take_no_room():
    taken = Rows(INDEX)
    for first in range(0, 64 * 1000, 64):
        kept = {first + place: datagram(first + place, 16) for place in (0, 1)}
        assert taken.take(*parities(kept, 1)) == []
    assert len(taken._blocks) == parity.PLACES


def datagram(counter, size):
    """A transport message with so many bytes behind its header."""
    return (b"\4\0\0\0" + INDEX.to_bytes(4, "little") + counter.to_bytes(8, "little") +
            random.Random(counter).randbytes(size))
