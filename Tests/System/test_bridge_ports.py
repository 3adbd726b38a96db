"""Ports of the office's bridge that don't take large frames: what arrives there all the same, and who says what is lost."""

import json
import os
import subprocess

import pytest

from lab import payload, wait_until
from lab.api import ask
from lab.ethernet import Offices
from lab.gateway import GATEWAYCTL
from lab.traffic import send_tcp

NOTHING = ("tso", "gso", "sg", "tx")


@pytest.fixture
def lan():
    with Offices(2) as lan, lan.tunnel(compression="off") as ends:
        lan.wait_until_pinged(*lan.sites)
        lan.ends = ends
        yield lan


def test_a_port_that_takes_no_large_frames_gets_all_of_them_and_is_named(lan):
    near, far = lan.sites
    switch(near, "off")
    send_tcp(far.host, near.host, near.v4, payload.random(4 << 20))
    send_tcp(near.host, far.host, far.v4, payload.random(4 << 20))
    log = told(lan.ends[0], "lan, a port of br0, takes no large frames (sg, tx, tso, gso off)")
    found = lan.ends[0].stats()["bridgeTroubles"]
    assert [(one["port"], one["bridge"], one["kind"], one["losesFrames"]) for one in found] == [("lan", "br0", "offloads", False)]
    assert found[0]["cure"].startswith("ethtool -K lan sg on tx on tso on gso on")
    assert "ethtool -K lan sg on tx on tso on gso on" in log
    said = steps(lan.ends[0], "offload")
    assert any("takes no large frames (sg, tx, tso, gso off)" in step["text"] and step["status"] == "note" for step in said)
    # It is said once, and again when it comes again.
    switch(near, "on")
    wait_until(lambda: not any("large frames" in step["text"] for step in steps(lan.ends[0], "offload")), "nothing is off")
    wait_until(lambda: lan.ends[0].stats()["bridgeTroubles"] == [], "nor in the statistics", timeout=15)
    assert "large frames" not in lan.ends[1].log and lan.ends[1].stats()["bridgeTroubles"] == []


def test_a_port_with_a_small_mtu_loses_large_frames_and_is_named(lan):
    near, far = lan.sites
    assert pings(far, near, 1472)
    assert not steps(lan.ends[0], "bridge")
    near.gateway.run("ip", "link", "set", "lan", "mtu", 1400)
    assert not pings(far, near, 1472) and pings(far, near, 1300)
    log = told(lan.ends[0], "frames that carry more than 1400 bytes get lost at lan, a port of br0")
    assert log.count("get lost at lan") == 1
    (found,) = lan.ends[0].stats()["bridgeTroubles"]
    assert (found["port"], found["kind"], found["losesFrames"]) == ("lan", "mtu", True) and found["text"] in log
    sample = f'gateway_bridge_port_trouble{{interface="{lan.ends[0].name}",bridge="br0",port="lan",kind="mtu"}} 1'
    assert sample in ask(lan.ends[0], "GET", "/metrics").text
    assert found["text"] in shown(lan.ends[0])
    (step,) = steps(lan.ends[0], "bridge")
    assert step["status"] == "warning" and "ip link set lan mtu 1500" in step["cure"]
    near.gateway.run("ip", "link", "set", "lan", "mtu", 1500)
    assert pings(far, near, 1472)
    assert not steps(lan.ends[0], "bridge")


def test_a_port_that_comes_later_is_looked_at_too(lan):
    gateway = lan[0].gateway
    gateway.run("ip", "link", "add", "eth7", "mtu", 1300, "type", "veth", "peer", "name", "eth8")
    gateway.run("ip", "link", "set", "eth7", "master", "br0", "up")
    told(lan.ends[0], "get lost at eth7, a port of br0")
    gateway.run("ip", "link", "set", "eth7", "nomaster")
    assert not steps(lan.ends[0], "bridge")


def switch(site, way):
    site.gateway.run("ethtool", "-K", "lan", *[word for name in NOTHING for word in (name, way)])


def told(end, words):
    """The log, when these words stand there."""
    wait_until(lambda: words in end.log, f"the log says: {words}", timeout=15)
    return end.log


def shown(end):
    """The statistics for people."""
    return subprocess.run(
        [GATEWAYCTL, "stats", end.name], capture_output=True, text=True, timeout=60,
        env={**os.environ, "GATEWAY_RUN_DIR": str(end.run_directory)}).stdout


def steps(end, name):
    done = subprocess.run(
        [GATEWAYCTL, "diagnose", end.name, "--json"], capture_output=True, text=True, timeout=60,
        env={**os.environ, "GATEWAY_RUN_DIR": str(end.run_directory)})
    return [step for step in json.loads(done.stdout)["steps"] if step["step"] == name]


def pings(sender, receiver, size):
    done = sender.host.run("ping", "-q", "-n", "-c", 3, "-i", 0.05, "-W", 1, "-M", "do", "-s", size, receiver.v4, check=False)
    return " 0 received" not in done.stdout
