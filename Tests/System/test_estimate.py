"""`gatewayctl estimate` runs a capture through the daemon's own chain and says what that comes to."""

import json
import random
import struct
import subprocess

import pytest

from lab import capture, payload
from lab.gateway import GATEWAYCTL, gatewayctl
from page import codecs, members
from page.history import Log

pytestmark = pytest.mark.fast

OUTSIDE = 28
MTU = 1500
HISTORY = ("unitsBytes", "historyBytes", "hostsHistoryBytes")


@pytest.fixture(scope="module")
def office():
    return capture.office()


@pytest.fixture(scope="module")
def report(office, tmp_path_factory):
    path = capture.pcap(tmp_path_factory.mktemp("captures") / "office.pcap",
                        capture.spread([capture.ethernet(packet) for packet in office]))
    return estimate(path)


def test_plain_wireguard_is_what_its_formula_says(office, report):
    assert report["total"]["packets"] == len(office) == report["frames"]
    assert report["total"]["plainBytes"] == sum(map(len, office))
    assert rows(report, "wireGuardBytes") == {
        "postgres": wireguard(office, 5432), "https": wireguard(office, 443, tcp=True), "mysql": wireguard(office, 3306),
        "dns": wireguard(office, 53), "syslog": wireguard(office, 514), "quic": wireguard(office, 443, tcp=False),
        "http": wireguard(office, 80), "icmp": wireguard_size(office[-1])}


def test_text_is_saved_and_random_costs_nothing(report):
    gained = {row["name"]: 1 - row["gatewayBytes"] / row["wireGuardBytes"] for row in report["protocols"]}
    assert gained["postgres"] > 0.3 and gained["mysql"] > 0.3 and gained["syslog"] > 0.3
    assert gained["https"] > -0.01 and gained["quic"] > -0.01


def test_it_says_why_something_was_left_plain(report):
    reasons = {row["name"]: row["leftPlain"] for row in report["protocols"]}
    packets = rows(report, "packets")
    # The end of the stream may be too small to be looked at.
    assert reasons["https"]["encrypted"] + reasons["https"]["small"] == packets["https"]
    assert reasons["https"]["small"] <= 1
    assert reasons["quic"]["encrypted"] == packets["quic"]
    assert reasons["http"]["exposed"] == packets["http"]
    assert reasons["dns"]["exposed"] == 0


def test_the_rows_add_up(report):
    for column in ("packets", "plainBytes", "wireGuardBytes", "gatewayBytes", *HISTORY):
        parts = sum(row[column] for row in report["protocols"] + [report["tunnel"]])
        assert report["total"][column] == parts
    for link in report["links"]:
        rate = link["megabitsPerSecond"] * 1e6
        assert link["wireGuardSeconds"] == pytest.approx(report["total"]["wireGuardBytes"] * 8 / rate)
        assert link["gatewaySeconds"] == pytest.approx(report["total"]["gatewayBytes"] * 8 / rate)
    assert [link["megabitsPerSecond"] for link in report["links"]] == [2, 20, 200]


def test_pcapng_with_tags_is_the_same(office, report, tmp_path):
    path = capture.pcapng(tmp_path / "office.pcapng", capture.spread([capture.ethernet(one, vlan=7) for one in office]))
    same = estimate(path)
    for column in ("packets", "wireGuardBytes", "gatewayBytes"):
        assert rows(same, column) == rows(report, column)


def test_standard_input_is_a_file_as_well(office, report, tmp_path):
    path = capture.pcap(tmp_path / "office.pcap", capture.spread(office), link=101)
    with open(path, "rb") as file:
        done = subprocess.run([GATEWAYCTL, "estimate", "--json", "-"], stdin=file, capture_output=True, check=True)
    assert rows(json.loads(done.stdout), "gatewayBytes") == rows(report, "gatewayBytes")


def test_rules_and_codec_are_the_users(office, tmp_path):
    path = capture.pcap(tmp_path / "office.pcap", capture.spread(office), link=101)
    only = estimate(path, "--compression", "deflate", "--only", "tcp/3306, 10.3.0.0/16")
    assert only["compression"] == "deflate"
    assert {row["name"] for row in only["protocols"] if row["gatewayBytes"] < row["wireGuardBytes"]} == {"mysql"}
    skip = estimate(path, "--skip", "tcp/5432")
    saved = {row["name"] for row in skip["protocols"] if row["gatewayBytes"] < 0.9 * row["wireGuardBytes"]}
    assert "postgres" not in saved and {"mysql", "http"} <= saved


def test_over_ipv6_each_datagram_is_20_bytes_longer(office, report, tmp_path):
    path = capture.pcap(tmp_path / "office.pcap", capture.spread(office), link=101)
    longer = estimate(path, "--ipv6")
    for name, packets in rows(report, "packets").items():
        assert rows(longer, "wireGuardBytes")[name] == rows(report, "wireGuardBytes")[name] + 20 * packets


def test_what_the_network_card_would_cut_is_cut(tmp_path):
    data = payload.text(2 << 20)[:40_000]
    frames = [capture.tcp(capture.SERVER, capture.CLIENT, (5432, 40000), data),
              capture.tcp("fd02::2", "fd01::2", (5432, 40000), data)]
    report = estimate(capture.pcap(tmp_path / "tso.pcap", capture.spread(frames), link=101))
    packets = [-(-len(data) // (MTU - headers)) for headers in (40, 60)]
    assert report["total"]["packets"] == sum(packets)
    assert report["total"]["plainBytes"] == 2 * len(data) + 40 * packets[0] + 60 * packets[1]


def test_hours_of_silence_change_nothing(office, tmp_path):
    """Sessions end and are made again; every packet still comes out as it went in."""
    path = capture.pcap(tmp_path / "slow.pcap", capture.spread(office[:300], every=47), link=101)
    report = estimate(path)
    assert report["seconds"] == 299 * 47
    assert report["total"]["packets"] == 300


def test_what_no_tunnel_carries_is_left_out_and_counted(office, tmp_path):
    good = capture.ethernet(office[0])
    frames = capture.spread([good, bytes(12) + b"\x08\x06" + bytes(28), good, good,
                             capture.ethernet(capture.udp("10.1.0.2", "224.0.0.251", (5353, 5353), b"x")),
                             capture.ethernet(capture.ip("10.1.0.2", "10.2.0.2", 47, bytes(3000)))])
    frames[2] = (frames[2][0], good[:96], len(good))
    report = estimate(capture.pcap(tmp_path / "mixed.pcap", frames))
    assert report["total"]["packets"] == 2 and report["frames"] == 6
    assert report["leftOut"] == {"cut": 1, "notIP": 1, "local": 1, "tooLong": 1, "unknownLink": 0}


def test_a_capture_that_ends_early_is_read_up_to_there(office, tmp_path):
    path = capture.pcap(tmp_path / "short.pcap", capture.spread(office[:10]), link=101)
    path.write_bytes(path.read_bytes()[:-1])
    # By its name alone: a path that is long is shown cut.
    done = gatewayctl("estimate", path.name, "--json", directory=tmp_path)
    assert json.loads(done.stdout)["frames"] == 9 and json.loads(done.stdout)["isTruncated"]
    assert len(done.stderr.splitlines()) == 1 and "short.pcap ends inside a frame" in done.stderr


def test_for_people_it_is_a_table(office, tmp_path):
    path = capture.pcap(tmp_path / "office.pcap", capture.spread(office), link=101)
    text = gatewayctl("estimate", path).stdout
    for word in ("WireGuard", "gateway", "saved", "postgres", "encrypted", "total", "20 Mbit/s", "s per GB", "by hosts"):
        assert word in text
    assert max(map(len, text.splitlines())) <= 80


def test_small_messages_of_a_flow_take_with_history_what_the_page_says(tmp_path):
    """Each is a unit that refers to all before it; the figure is that of another implementation's units."""
    packets = [capture.udp(capture.CLIENT, capture.SERVER, (40000, 4000), message(number)) for number in range(300)]
    path = capture.pcap(tmp_path / "messages.pcap", capture.spread(packets, every=0.15), link=101)
    log, model = Log(0), 3 * wireguard_size(packets[0])
    for number, packet in enumerate(packets[3:]):
        plain = members.encode([members.Member(packet)])
        unit, entry = log.recall_briefly(plain, 0, number % 256, len(log) % 256 if len(log) else None)
        if unit.refers:
            log.known = len(log)
        log.learn(entry, number % 256)
        model += wireguard_size(unit.encode())
    row, = estimate(path)["protocols"]
    assert row["historyBytes"] == pytest.approx(model, rel=0.05)
    assert row["historyBytes"] < 0.65 * row["unitsBytes"]
    assert row["hostsHistoryBytes"] == pytest.approx(row["historyBytes"], rel=0.02)


def test_flows_of_one_message_gain_by_hosts_alone(tmp_path):
    packets = [capture.udp(capture.CLIENT, capture.SERVER, (40000 + number, 4000), message(number)) for number in range(300)]
    path = capture.pcap(tmp_path / "messages.pcap", capture.spread(packets, every=0.15), link=101)
    row, = estimate(path)["protocols"]
    assert row["historyBytes"] == row["unitsBytes"] and row["hostsHistoryBytes"] < 0.65 * row["unitsBytes"]


def test_a_bulk_flow_takes_with_history_what_one_stream_takes(tmp_path):
    data = payload.text(3 << 20)
    packets = capture.stream(capture.SERVER, capture.CLIENT, (5432, 40000), data)
    path = capture.pcap(tmp_path / "bulk.pcap", capture.spread(packets, every=0.0005), link=101)
    total = estimate(path)["total"]
    # As one piece and in pieces of 4 KB, in datagrams of 1500 bytes.
    least, most = (in_datagrams(streamed(data, size)) for size in (len(data), 4096))
    assert 0.98 * least < total["historyBytes"] < 1.02 * most
    # Each unit alone, of 64 KB at most.
    assert total["historyBytes"] < in_datagrams(sum(len(codecs.zstandarded(data[at:at + 65_000])) for at in range(0, len(data), 65_000)))
    assert total["historyBytes"] < 0.85 * total["unitsBytes"]
    assert total["hostsHistoryBytes"] == pytest.approx(total["historyBytes"], rel=0.01)


def test_history_is_estimated_for_the_link_that_is_asked_for(office, report, tmp_path):
    assert report["history"] == {"bitsPerSecond": 20_000_000, "roundTripMilliseconds": 40}
    path = capture.pcap(tmp_path / "office.pcap", capture.spread(office), link=101)
    thin = estimate(path, "--rate", "2mbit", "--round-trip-ms", "300")
    assert thin["history"] == {"bitsPerSecond": 2_000_000, "roundTripMilliseconds": 300}
    assert thin["total"]["historyBytes"] < thin["total"]["unitsBytes"]
    fast = estimate(path, "--rate", "200mbit")
    assert rows(fast, "historyBytes") == rows(fast, "hostsHistoryBytes") == rows(fast, "unitsBytes")


@pytest.mark.parametrize("flow", ["beats", "lookups", "log_lines"])
def test_sparse_traffic_costs_at_most_three_percent_more_than_wireguard(flow, tmp_path):
    frames = [(1_700_000_000 + at, packet, len(packet)) for at, packet in FLOWS[flow](3600)]
    total = estimate(capture.pcap(tmp_path / "sparse.pcap", frames, link=101))["total"]
    assert total["gatewayBytes"] <= 1.03 * total["wireGuardBytes"], total["gatewayBytes"] / total["wireGuardBytes"]


@pytest.mark.parametrize("content, code, words", [
    (None, 66, ["nowhere.pcap"]),
    (b"", 65, ["too short"]),
    (b"PK\3\4 is another kind of file", 65, ["neither pcap nor pcapng"]),
    (struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1), 65, ["nothing to estimate", "0 frames"]),
    (struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1) + b"\xff" * 32, 65, ["byte 24", "4294967295 bytes"]),
    (struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 127) + struct.pack("<IIII", 0, 0, 4, 4) + bytes(4), 65,
     ["nothing to estimate", "link type"]),
])
def test_what_cannot_be_read_is_said_in_one_line(content, code, words, tmp_path):
    path = tmp_path / "nowhere.pcap"
    if content is not None:
        path.write_bytes(content)
    done = gatewayctl("estimate", path.name, check=False, directory=tmp_path)
    assert done.returncode == code and done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert all(word in done.stderr for word in words), done.stderr


@pytest.mark.parametrize("arguments", [
    ["--rate", "5"], ["--round-trip-ms", "-1"], ["--mtu", "12"], ["--drain-ms", "-1"], ["--compression", "lzo"], ["--skip", "http"], ["--only", "tcp/0"],
])
def test_wrong_options_are_usage_errors(arguments, tmp_path):
    done = gatewayctl("estimate", *arguments, tmp_path / "any.pcap", check=False)
    assert done.returncode == 64 and len(done.stderr.splitlines()) == 1, done.stderr


def beats(seconds):
    """A packet of 60 bytes every 20 seconds, one way."""
    return [(at, capture.udp(capture.CLIENT, capture.SERVER, (40000, 40001), bytes(32)))
            for at in range(0, seconds, 20)]


def lookups(seconds):
    """A name a minute, and its answer after 30 ms."""
    frames = []
    for number, at in enumerate(range(0, seconds, 60)):
        labels = (b"host-%x" % number * (1 + number % 3), b"example", b"com", b"")
        name = b"".join(bytes([len(label)]) + label for label in labels)
        asked = name + struct.pack(">HH", 1, 1)
        head = struct.pack(">H", number * 7919 & 0xffff)
        address = b"\xc0\x0c" + struct.pack(">HHIH", 1, 1, 300, 4) + bytes([192, 0, 2, number])
        addresses, port = 1 + number % 4, 40000 + number * 37 % 20000
        question = head + struct.pack(">5H", 0x0100, 1, 0, 0, 0) + asked
        answer = head + struct.pack(">5H", 0x8180, 1, addresses, 0, 0) + asked + address * addresses
        frames += [(at, capture.udp(capture.CLIENT, capture.SERVER, (port, 53), question)),
                   (at + 0.03, capture.udp(capture.SERVER, capture.CLIENT, (53, port), answer))]
    return frames


def log_lines(seconds):
    """A line of syslog now and then, after 3 to 40 seconds, and at times two at once."""
    chance, at, frames = random.Random(5), 0.0, []
    lines = payload.text(1 << 20).split(b"\n")
    while at < seconds:
        for _ in range(chance.choice([1, 1, 1, 2])):
            line = b"<30>" + chance.choice(lines)[:180]
            frames.append((at, capture.udp(capture.CLIENT, capture.SERVER, (514, 514), line)))
        at += chance.uniform(3, 40)
    return frames


def message(number):
    chance = random.Random(number)
    return json.dumps({"id": chance.randrange(10**5), "name": f"user{chance.randrange(1000)}", "active": True,
                       "email": f"user{chance.randrange(1000)}@example.com", "balance": chance.randrange(10**6) / 100,
                       "tags": [f"a{chance.randrange(20)}", f"b{chance.randrange(20)}"]}).encode()


def streamed(data, size):
    code = codecs.unending(18)
    return sum(len(code(data[at:at + size])) for at in range(0, len(data), size))


def in_datagrams(size):
    return size * 1500 / (1500 - 20 - 8 - 32 - 16)


FLOWS = {"beats": beats, "lookups": lookups, "log_lines": log_lines}


def estimate(path, *arguments):
    done = gatewayctl("estimate", "--json", *arguments, path)
    assert done.stderr == ""
    return json.loads(done.stdout)


def rows(report, column):
    return {row["name"]: row[column] for row in report["protocols"]}


def wireguard_size(packet):
    return max(len(packet), min(-(-len(packet) // 16) * 16, MTU)) + 32 + OUTSIDE


def wireguard(packets, port, tcp=None):
    """What WireGuard makes of those with this port."""
    return sum(wireguard_size(packet) for packet in packets
               if port in ports(packet) and tcp in (None, transport(packet) == 6))


def transport(packet):
    return packet[6] if packet[0] >> 4 == 6 else packet[9]


def ports(packet):
    return struct.unpack_from(">HH", packet, 40 if packet[0] >> 4 == 6 else 20) if transport(packet) in (6, 17) else ()
