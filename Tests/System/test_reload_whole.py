"""A reload applies every key that can be applied, while packets flow, and says of each whether it holds."""

import contextlib
import json

import pytest

from lab import Keys, Lab, link, wait_until
from lab.gateway import gateway
from lab.no_loss import no_loss


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def linked(lab):
    with link(lab, compression="auto") as (a, b):
        yield a, b


def test_addresses_come_and_go(lab, linked):
    a, _ = linked
    with no_loss(lab):
        assert reload(a, "Address = 10.9.0.1/32", "Address = 10.9.0.3/24, fd09::3/64") == [
            "Address 10.9.0.1/32 → 10.9.0.3/24, fd09::3/64"]
    said = lab.a.gateway.run("ip", "-oneline", "address", "show", a.name).stdout
    assert "10.9.0.3/24" in said and "fd09::3/64" in said and "10.9.0.1" not in said


def test_the_port_changes_and_what_is_on_its_way_to_the_old_one_arrives(lab, linked):
    a, b = linked
    with no_loss(lab), no_loss(lab, lab.b):
        assert reload(a, "ListenPort = 51820", "ListenPort = 7000") == ["ListenPort 51820 → 7000"]
    assert a.stats()["listenPort"] == 7000
    wait_until(lambda: b.peer()["endpoint"].endswith(":7000"), "the peer knows the new port")


def test_a_port_that_is_taken_is_said_and_the_old_one_stays_until_it_is_free(lab, linked):
    a, _ = linked
    rewrite(a, "ListenPort = 51820", "ListenPort = 7000")
    with contextlib.closing(lab.a.gateway.socket(2, 2)) as taken:
        taken.bind(("0.0.0.0", 7000))
        done = a.ctl("reload", check=False)
        assert done.returncode == 69 and "ListenPort 51820 → 7000: not changed" in done.stdout and "in use" in done.stdout
        assert a.stats()["listenPort"] == 51820
    assert a.ctl("reload").stdout.splitlines() == ["ListenPort 51820 → 7000"]
    assert a.stats()["listenPort"] == 7000


def test_the_mark_changes(lab, linked):
    a, _ = linked
    with no_loss(lab):
        assert reload(a, "[Peer]", "FwMark = 0x7\n[Peer]") == ["FwMark (default) → 0x7"]
    assert a.stats()["fwmark"] == 7


def test_the_mtu_changes_and_goes_back_to_what_the_path_takes(lab, linked):
    a, _ = linked
    with no_loss(lab):
        assert reload(a, "[Peer]", "MTU = 1300\n[Peer]") == ["MTU (default) → 1300"]
        assert "mtu 1300" in lab.a.gateway.run("ip", "link", "show", a.name).stdout
        assert reload(a, "MTU = 1300\n", "") == ["MTU 1300 → (default)"]
        assert "mtu 1420" in lab.a.gateway.run("ip", "link", "show", a.name).stdout


def test_routes_move_to_another_table_and_back(lab, linked):
    a, _ = linked
    reload(a, "[Peer]", "Table = 77\n[Peer]")
    assert lab.b.networks[0] in lab.a.gateway.run("ip", "route", "show", "table", "77").stdout
    assert lab.b.networks[0] not in lab.a.gateway.run("ip", "route").stdout
    reload(a, "Table = 77\n", "")
    assert lab.b.networks[0] in lab.a.gateway.run("ip", "route").stdout
    assert lab.ping(lab.a, lab.b.v4)


def test_offloads_and_rates_change(lab, linked):
    a, _ = linked
    with no_loss(lab):
        assert reload(a, "[Peer]", "Offload = off\nRate = 50mbit\n[Peer]") == [
            "Offload (default) → off", "Rate (default) → 50mbit"]
        assert reload(a, "Offload = off\n", "") == ["Offload off → (default)"]


def test_a_default_route_comes_and_goes_beside_another_peer(lab, linked):
    a, _ = linked
    before = lab.a.gateway.state()
    text = a.config.read_text()
    other = f"[Peer]\nPublicKey = {Keys().public}\nAllowedIPs = 0.0.0.0/0, ::/0\n#: Name = out\n"
    with no_loss(lab):
        a.config.write_text(text + other)
        assert a.ctl("reload").stdout.splitlines() == ["peer out: new"]
        assert "lookup 51820" in lab.a.gateway.run("ip", "rule").stdout
        assert f"default dev {a.name}" in lab.a.gateway.run("ip", "route", "show", "table", "51820").stdout
        assert "gateway-" in lab.a.gateway.run("nft", "list", "tables").stdout
        assert a.stats()["fwmark"] == 51820
    with no_loss(lab):
        rewrite(a, "[Peer]", "FwMark = 99\n[Peer]")
        a.ctl("reload")
    assert "lookup 99" in lab.a.gateway.run("ip", "rule").stdout and "51820" not in lab.a.gateway.run("ip", "rule").stdout
    with no_loss(lab):
        a.config.write_text(text)
        assert "peer out: removed" in a.ctl("reload").stdout
    assert lab.a.gateway.state() == before
    assert "gateway-" not in lab.a.gateway.run("nft", "list", "tables").stdout
    assert a.stats()["fwmark"] == 0


def test_name_servers_are_handed_on(lab):
    noted = lab.directory / "noted"
    tool = lab.directory / "bin/resolvconf"
    tool.parent.mkdir()
    tool.write_text(f"#!/bin/sh\necho \"$@\" $(cat) >>{noted}\n")
    tool.chmod(0o755)
    a = gateway(lab, lab.a)
    a.environment["PATH"] = f"{tool.parent}:{a.environment['PATH']}"
    with a:
        assert reload(a, "[Peer]", "DNS = 10.9.0.53\n[Peer]") == ["DNS (default) → 10.9.0.53"]
        assert noted.read_text() == f"-a {a.name} -m 0 -x nameserver 10.9.0.53\n"
        assert a.stop() == 0
    assert noted.read_text().splitlines()[-1].startswith(f"-d {a.name} -f")


def test_a_new_peer_with_a_name_for_an_address_is_found(lab, linked):
    a, _ = linked
    key = Keys().public
    a.config.write_text(a.config.read_text() + f"[Peer]\nPublicKey = {key}\nEndpoint = localhost:7\n")
    a.ctl("reload")

    def endpoint():
        return next(peer for peer in a.stats()["peers"] if peer["publicKey"] == key).get("endpoint")

    wait_until(lambda: endpoint() in ("127.0.0.1:7", "[::1]:7"), "the name has an address")


def test_commands_of_the_end_are_those_of_the_last_reload(lab):
    note = lab.directory / "note"
    with gateway(lab, lab.a, interface=(f"PostDown = echo old >{note}",)) as a:
        assert reload(a, "echo old", "echo new") == ["PostDown"]
        assert a.stop() == 0
    assert note.read_text() == "new\n"


def test_what_takes_a_restart_is_named_with_the_reason_and_the_exit_code_says_so(lab, linked):
    a, _ = linked
    rewrite(a, "[Peer]", "PostUp = true\nMTU = 1300\n[Peer]")
    for words in (["reload", "--dry-run"], ["reload"], ["reload"]):
        done = a.ctl(*words, check=False)
        assert done.returncode == 69
        assert "PostUp: not changed, takes a restart: it belongs to the start, which is over" in done.stdout
    assert "MTU" not in done.stdout, "what holds is no difference any more"


def test_a_dry_run_says_what_would_change_and_changes_nothing(lab, linked):
    a, _ = linked
    before = lab.a.gateway.state()
    rewrite(a, "ListenPort = 51820", "ListenPort = 7000\nPostDown = false")
    assert a.ctl("reload", "--dry-run").stdout.splitlines() == ["ListenPort 51820 → 7000", "PostDown"]
    assert lab.a.gateway.state() == before and a.stats()["listenPort"] == 51820
    assert a.ctl("reload").stdout.splitlines() == ["ListenPort 51820 → 7000", "PostDown"]
    assert a.ctl("reload").stdout == "nothing changed in the file\n"


def test_peers_that_wg_changed_meanwhile_are_named(lab, linked):
    a, _ = linked
    stranger = Keys().public
    lab.a.gateway.run("wg", "set", a.name, "peer", stranger, "allowed-ips", "10.88.0.0/16")
    said = a.ctl("reload").stdout
    assert f"peer {stranger}: not as in the file" in said and said.count("not as in the file") == 1
    lab.a.gateway.run("wg", "set", a.name, "peer", lab.b.keys.public, "persistent-keepalive", "9")
    answer = a.request("POST", "/v1/reload?dryRun=1")
    assert answer[0] == 200 and sorted(json.loads(answer[1])["changedMeanwhile"]) == sorted([stranger, lab.b.keys.public])


def rewrite(one, old, new):
    text = one.config.read_text()
    assert old in text
    one.config.write_text(text.replace(old, new, 1))


def reload(one, old, new):
    """Changes the file and has it read again; the lines that are said of it, all of which hold."""
    rewrite(one, old, new)
    return one.ctl("reload").stdout.splitlines()
