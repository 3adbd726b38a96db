"""ML-KEM-768 as NIST says, and the key that comes of it as the page quotes it (§7.4)."""

import hashlib

import pytest
from kyber_py.ml_kem import ML_KEM_768

from .agreement import derive
from .keys import Answer, Offer, Question, Reply
from .noise import _Transcript
from .primitives import x25519
from .quoted import quoted
from .records import AGREES, decode

pytestmark = pytest.mark.fast

NIST = quoted("Tests/Vectors/ml-kem-768.md")


def cases(kind):
    return sorted({int(name.split()[1].rstrip(",")) for name in NIST if name.startswith(f"{kind} ")})


@pytest.mark.parametrize("case", cases("keyGen"))
def test_keys_are_those_that_nist_makes_of_their_seeds(case):
    of = {name: NIST[f"keyGen {case}, {name}"] for name in ("d", "z", "ek", "dk")}
    assert ML_KEM_768.key_derive(of["d"] + of["z"]) == (of["ek"], of["dk"])


# It is random for who uses it; with a message that is given only the library's inner function encapsulates.
@pytest.mark.parametrize("case", cases("encapsulation"))
def test_secrets_are_encapsulated_as_nist_does_it(case):
    of = {name: NIST[f"encapsulation {case}, {name}"] for name in ("ek", "m", "c", "k")}
    assert ML_KEM_768._encaps_internal(of["ek"], of["m"]) == (of["k"], of["c"])


@pytest.mark.parametrize("kind, case", [(kind, case) for kind in ("decapsulation", "rejected") for case in cases(kind)])
def test_ciphertexts_are_opened_or_rejected_as_nist_does_it(kind, case):
    key, (ciphertext, secret) = NIST["decapsulation, dk"], (NIST[f"{kind} {case}, {name}"] for name in "ck")
    assert ML_KEM_768.decaps(key, ciphertext) == secret
    # What is rejected is a hash of the ciphertext and the last part of the key (FIPS 203, algorithm 18).
    assert (secret == hashlib.shake_256(key[-32:] + ciphertext).digest(32)) == (kind == "rejected")


@pytest.mark.parametrize("case", cases("seeded"))
def test_ciphertexts_for_a_seed_are_opened_as_wycheproof_does_it(case):
    of = {name: NIST[f"seeded {case}, {name}"] for name in ("seed", "ek", "c", "K")}
    key, secret = ML_KEM_768.key_derive(of["seed"])
    assert key == of["ek"] and ML_KEM_768.decaps(secret, of["c"]) == of["K"]


def test_the_key_is_derived_as_the_page_quotes_it_step_by_step():
    page = quoted()
    assert handshake_hash(page) == page["handshake hash"]
    key, secret = ML_KEM_768.key_derive(page["seed of the decapsulation key"])
    shared, ciphertext = ML_KEM_768._encaps_internal(key, page["message of the encapsulation"])
    offer, reply = Offer(0x04030201, 0x8877665544332211, key), Reply(0x04030201, 0x8877665544332211, ciphertext)
    assert ML_KEM_768.decaps(secret, ciphertext) == shared == page["shared secret"]
    steps = derive(
        shared, page["handshake hash"], page["initiator, static public key"], page["responder, static public key"],
        offer.body, reply.body, page["preshared key"], page["key that is built on"])
    assert steps.chain == [page[f"c{number}"] for number in range(7)]
    assert (steps.key, steps.n) == (page["agreed key"], page["n"])
    for name, one in {"encapsulation key": offer, "ciphertext": reply, "question": Question(steps.number),
                      "answer": Answer(steps.number)}.items():
        assert one.encode() == page[f"KEYS {name}, payload"] and decode(page[f"KEYS {name}, payload"], AGREES) == one


def handshake_hash(page):
    """Of the handshake of §6, at its end."""
    initiator, responder = (page[f"{end}, static private key"] for end in ("initiator", "responder"))
    first, second = (page[f"{end}, ephemeral private key"] for end in ("initiator", "responder"))
    ours, theirs = x25519(initiator), x25519(responder)
    transcript = _Transcript(theirs)
    transcript.ephemeral(x25519(first))
    sealed = transcript.seal(transcript.mix(x25519(first, theirs)), ours)
    sealed += transcript.seal(transcript.mix(x25519(initiator, theirs)), page["timestamp"])
    transcript.ephemeral(x25519(second))
    transcript.mix(x25519(second, x25519(first)))
    transcript.mix(x25519(second, ours))
    empty = transcript.seal(transcript.preshared(page["preshared key"]), b"")
    assert page["initiation"][40:116] == sealed and page["response"][44:60] == empty
    return transcript.hash
