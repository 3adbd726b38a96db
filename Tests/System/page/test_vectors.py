"""The vectors of RFC 7748, RFC 8439 and draft-irtf-cfrg-xchacha; and of the page, those of repair, parity and packs."""

import pytest

from .fragments import Assembly, fragments
from .parity import Rows, parities
from .primitives import extended, seal, unseal, x25519
from .quoted import quoted
from .history import Histories
from .members import Member, encode as members
from .records import BRIEF, HISTORIES, PACKS, PARITIES, Gone, Learned, Pack, Receipt, decode

pytestmark = pytest.mark.fast

PLAIN = (b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
         b"sunscreen would be it.")
AD, KEY = bytes.fromhex("50515253c0c1c2c3c4c5c6c7"), bytes(range(0x80, 0xA0))


def test_x25519_gives_the_vector_of_a_thousand_rounds():
    k = u = (9).to_bytes(32, "little")
    for _ in range(1000):
        k, u = x25519(k, u), k
    assert k.hex() == "684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"


def test_the_text_of_the_rfcs_is_sealed_and_opened():
    for keys, tag in (((KEY, bytes.fromhex("070000004041424344454647")), "1ae10b594f09e26a7e902ecbd0600691"),
                      (extended(KEY, bytes(range(0x40, 0x58))), "c0875924c1c7987947deafd8780acf49")):
        sealed = seal(*keys, PLAIN, AD)
        assert sealed[-16:].hex() == tag and unseal(*keys, sealed, AD) == PLAIN


def test_repair_parity_and_packs_are_read_and_written_as_the_page_quotes_them():
    page = quoted()
    assert decode(page["RECEIPT, payload"], PARITIES) == Receipt(
        120, 112, 158_720, 0x1234_5678, 350, lost=9, runs=3, regained=1, ranges=(range(110, 113), range(101, 106)))
    assert decode(page["GONE, payload"], PARITIES) == Gone(113, (range(110, 113),))
    for name in ("RECEIPT, payload", "GONE, payload"):
        assert decode(page[name], PARITIES).encode() == page[name]
    kept = {4 + n: page[name] for n, name in enumerate(
        ("bundle, datagram", "first fragment, datagram", "second fragment, datagram"))}
    assert [one.encode() for one in parities(kept, 2)] == [page["row 0, payload"], page["row 1, payload"]]
    rows = Rows(int.from_bytes(kept[4][4:8], "little"))
    rows.note(4, kept[4])
    assert rows.take(decode(page["row 0, payload"], PARITIES)) == []
    assert sorted(rows.take(decode(page["row 1, payload"], PARITIES))) == sorted([kept[5], kept[6]])


def test_the_pieces_of_the_pack_that_the_page_quotes_are_its_packets():
    page, assembly = quoted(), Assembly()
    pieces = [decode(page[f"{which} piece of the pack, payload"], PACKS) for which in ("first", "second", "third")]
    assert [piece.encode() for piece in fragments(0, page["pack"], 3)] == [piece.encode() for piece in pieces]
    *_, (whole, _) = [assembly.take(piece, piece.index, False, 0) for piece in pieces]
    assert whole == page["pack"]
    assert decode(whole, PACKS) == Pack([page["first of two packets"], page["second of two packets"]], None)


def test_units_that_refer_to_others_are_read_as_the_page_quotes_them():
    page, histories = quoted(), Histories()
    first, second = ([members([Member(page[f"{which} of two packets"])])] for which in ("first", "second"))

    def hear(name):
        what = decode(page[f"{name}, payload"], HISTORIES)
        assert what.encode() == page[f"{name}, payload"]
        plain, words = histories.hear(what)
        return [plain] * (plain is not None), [word.encode() for word in words]

    assert hear("open") == ([], [page["opened, payload"]])
    assert hear("first STREAM") == (first, []) and hear("second STREAM") == (second, [])
    assert hear("first RECALL") == (first, [page["LEARNED, payload"]])
    assert hear("second RECALL")[0] == second
    assert hear("first short RECALL")[0] == first and hear("second short RECALL")[0] == second
    assert decode(page["second short RECALL, payload"], BRIEF).told == Learned(0, 9, 1, 2, b"\x04\x05")
