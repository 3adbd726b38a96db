"""The vectors of RFC 7748, RFC 8439 and draft-irtf-cfrg-xchacha."""

import pytest

from .primitives import extended, seal, unseal, x25519

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
