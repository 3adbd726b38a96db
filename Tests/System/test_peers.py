"""`gatewayctl peer list|set|remove`: the file and the gateway that runs by it change together, or not at all."""

import json

import pytest

from lab import Keys, Lab, link, wait_until
from lab.api import ask
from lab.gateway import config, gatewayctl, write_config

pytestmark = pytest.mark.fast

COMMENTS = "# Anna knows the password of the router.\n"


@pytest.fixture
def lab():
    with Lab(ipv6=False) as lab, link(lab, a={"peer": ("#: Name = far",)}) as lab.gateways:
        yield lab


def peer(lab, *arguments, check=True):
    ours = lab.gateways[0]
    return gatewayctl("peer", *arguments, "--dir", lab.directory, check=check, run_directory=ours.run_directory)


def test_the_peers_are_listed_a_line_each(lab):
    ours = lab.gateways[0]
    (line,) = ours.ctl("peer", "list", ours.name).stdout.splitlines()
    assert line.split()[:3] == ["far", lab.b.keys.public, lab.b.endpoint] and line.endswith("ago") or line.endswith("Now")
    assert json.loads(ours.ctl("peer", "list", ours.name, "--json").stdout)["peers"][0]["name"] == "far"


def test_a_key_is_set_in_the_file_and_in_the_gateway_and_the_session_stays(lab):
    ours = lab.gateways[0]
    before, handshake = ours.config.read_text(), ours.peer()["latestHandshake"]
    done = peer(lab, "set", ours.name, "far", "persistentkeepalive=7", "Endpoint=")
    assert "far" in done.stdout
    wait_until(lambda: ours.peer()["persistentKeepalive"] == 7, "it holds")
    assert ours.peer()["latestHandshake"] == handshake and lab.ping(lab.a, lab.b.v4)
    # Compression that is no longer off is told in a new session.
    peer(lab, "set", ours.name, "far", "Compression=auto")
    wait_until(lambda: ours.peer()["compression"]["configured"] == "auto", "it holds, too")
    after = ours.config.read_text()
    assert "PersistentKeepalive = 7\n" in after and "#: Compression = auto\n" in after and "Endpoint" not in after
    assert [line for line in before.splitlines() if "Endpoint" not in line] == [
        line for line in after.splitlines() if "Keepalive" not in line and "Compression" not in line]
    assert lab.ping(lab.a, lab.b.v4)


def test_over_the_api_a_peer_is_made_changed_and_taken_out_in_file_and_gateway(lab):
    ours = lab.gateways[0]
    write_config(lab, lab.a, COMMENTS + ours.config.read_text())
    before, key = ours.config.read_text(), Keys().public
    made = ask(ours, "PUT", "/v1/peers/new", {"PublicKey": key, "AllowedIPs": "10.5.0.0/24", "Compression": "auto"})
    assert made.status == 200, made.text
    assert ask(ours, "GET", "/v1/peers/new").json["allowedIPs"] == ["10.5.0.0/24"]
    assert "#: Name = new\n" in ours.config.read_text() and ours.config.read_text().startswith(before)
    assert ask(ours, "PATCH", "/v1/peers/new", {"AllowedIPs": "10.6.0.0/24", "Compression": None}).status == 200
    new = ask(ours, "GET", "/v1/peers/new").json
    assert (new["allowedIPs"], new["compression"]["configured"]) == (["10.6.0.0/24"], "off")
    assert ask(ours, "PUT", "/v1/peers/new", {"PersistentKeepalive": "9"}).status == 200
    new = ask(ours, "GET", "/v1/peers/new").json
    assert (new["allowedIPs"], new["persistentKeepalive"], new["publicKey"]) == ([], 9, key)
    assert ask(ours, "DELETE", "/v1/peers/new").status == 200
    assert ask(ours, "GET", "/v1/peers/new").status == 404 and ours.config.read_text() == before


def test_over_the_api_what_could_not_be_read_changes_neither(lab):
    ours = lab.gateways[0]
    before = ours.config.read_text()
    for method, path, body, status in (
            ("PUT", "new", {"PublicKey": "x"}, 422), ("PUT", "new", {"AllowedIPs": "10.5.0.0/24"}, 422),
            ("PUT", "new", {"PublicKey": lab.b.keys.public}, 422), ("PATCH", "far", {"AllowedIPs": "10.0.0.0/99"}, 422),
            ("PATCH", "far", {"PostUp": "reboot"}, 422), ("PATCH", "far", {"Endpoint": "1.2.3.4:5\n[Interface]\nPostUp = reboot"}, 400),
            ("PATCH", "far", ["x"], 400), ("PATCH", "nobody", {"AllowedIPs": ""}, 404), ("DELETE", "nobody", None, 404)):
        answer = ask(ours, method, f"/v1/peers/{path}", body)
        assert answer.status == status, (method, path, body, answer.text)
    assert ours.config.read_text() == before and lab.ping(lab.a, lab.b.v4)


def test_what_the_file_could_not_be_read_with_changes_nothing(lab):
    ours = lab.gateways[0]
    before = ours.config.read_text()
    for wrong, code in (("AllowedIPs=10.0.0.0/99", 78), ("Colour=blue", 64), ("PresharedKey=x", 64), ("nonsense", 64)):
        done = peer(lab, "set", ours.name, "far", wrong, check=False)
        assert done.returncode == code and len(done.stderr.splitlines()) == 1, done.stderr
    assert peer(lab, "remove", ours.name, "nobody", check=False).returncode == 65
    assert ours.config.read_text() == before and ours.ctl("reload", ours.name).stdout == "nothing changed in the file\n"


def test_a_peer_goes_from_file_and_gateway_and_comments_stay(lab):
    ours = lab.gateways[0]
    text = config(lab, lab.a, peer=("#: Name = far",))
    write_config(lab, lab.a, COMMENTS + text + COMMENTS)
    peer(lab, "remove", ours.name, "far")
    assert ours.stats()["peers"] == []
    assert ours.config.read_text() == COMMENTS + text[:text.index("\n[Peer]")] + COMMENTS


def test_a_gateway_that_refuses_the_reload_leaves_the_file_as_it_was(lab):
    ours = lab.gateways[0]
    # What only the daemon notices: the key's file is gone.
    text = ours.config.read_text().replace(f"PrivateKey = {lab.a.keys.private}", "#: PrivateKeyFile = gone.key")
    ours.config.write_text(text)
    done = peer(lab, "set", ours.name, "far", "PersistentKeepalive=9", check=False)
    assert done.returncode != 0 and "is as it was" in done.stderr, done.stderr
    assert ours.config.read_text() == text and ours.peer()["persistentKeepalive"] == 0


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_key_is_set_where_it_stands_further_lines_of_it_go_and_all_else_stays(tmp_path, end):
    one, two = Keys().public, Keys().public
    lines = ["[Interface]", "PrivateKeyFile = hq.key", "", "# first", "[Peer]", "Name=one # who", f"PublicKey = {one}",
             "AllowedIPs =  10.2.0.0/24   # LAN", "allowedips = 10.3.0.0/24", "# behind", "", "[Peer]",
             f"PublicKey = {two}", "AllowedIPs = 10.4.0.0/24", ""]
    file = tmp_path / "hq.conf"
    file.write_bytes(end.join(lines).encode())
    gatewayctl("peer", "set", "hq", "one", "allowedIPs=10.5.0.0/24", "Compression=auto", "--dir", tmp_path,
               run_directory=tmp_path)
    changed = [*lines[:7], "AllowedIPs =  10.5.0.0/24   # LAN", "#: Compression = auto", *lines[9:]]
    assert file.read_bytes() == end.join(changed).encode()
    gatewayctl("peer", "remove", "hq", two, "--dir", tmp_path, run_directory=tmp_path)
    assert file.read_bytes() == end.join([*changed[:10], ""]).encode()
