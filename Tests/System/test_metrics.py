"""Metrics for Prometheus: in its format, by the names that people's boards have, read by a real Prometheus."""

import json
import re
import subprocess

import pytest

from lab import Daemon, Lab, link, wait_until
from lab.api import ask
from lab.gateway import REPOSITORY, config, gateway, write_config

pytestmark = pytest.mark.fast

LISTEN = "127.0.0.1:9586"
PACKAGING = REPOSITORY / "packaging/prometheus"


@pytest.fixture(scope="module")
def lab():
    here = {"interface": (f"#: MetricsListen = {LISTEN}",), "peer": ("#: Name = far",)}
    with Lab(ipv6=False) as lab, link(lab, compression="auto", a=here) as lab.gateways:
        assert lab.ping(lab.a, lab.b.v4, count=3)
        yield lab


@pytest.fixture(scope="module")
def metrics(lab):
    return ask(lab.gateways[0], "GET", "/metrics").text


def test_promtool_finds_no_fault(metrics):
    done = subprocess.run(["promtool", "check", "metrics"], input=metrics, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_the_names_and_labels_are_those_of_the_exporters_for_wireguard(lab, metrics):
    ours, key = lab.gateways[0], re.escape(lab.b.keys.public)
    both = f'interface="{ours.name}",public_key="{key}",allowed_ips="[^"]*10\\.[^"]*",friendly_name="[^"]+.*"'
    for name in ("wireguard_sent_bytes_total", "wireguard_received_bytes_total", "wireguard_latest_handshake_seconds"):
        assert int(re.search(rf"^{name}{{{both}}} (\d+)$", metrics, re.M)[1]) > 0
    for name in ("wireguard_peer_last_handshake_seconds", "wireguard_peer_receive_bytes_total",
                 "wireguard_peer_transmit_bytes_total"):
        assert re.search(rf'^{name}{{device="{ours.name}",public_key="{key}"}} \d+$', metrics, re.M)
    assert re.search(rf'^wireguard_device_info{{device="{ours.name}",public_key="{re.escape(lab.a.keys.public)}"}} 1$',
                     metrics, re.M)


def test_they_agree_with_the_statistics(lab):
    ours = lab.gateways[0]
    metrics, peer = ask(ours, "GET", "/metrics").text, ours.peer()
    for reason in peer["drops"]:
        assert re.search(rf'^gateway_peer_drops_total{{.*reason="{reason}"}} {peer["drops"][reason]}$', metrics, re.M)
    for reason, count in ours.stats()["drops"].items():
        if reason != "multicast":
            assert re.search(rf'^gateway_drops_total{{.*reason="{reason}"}} {count}$', metrics, re.M)
    assert re.search(rf'^gateway_peer_handshakes_total{{.*}} {peer["handshakes"]}$', metrics, re.M)


def test_over_tcp_there_is_nothing_else_and_only_for_who_asks_by_an_address_of_this_machine(lab):
    def curl(path, *options):
        return lab.a.gateway.run("curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", *options,
                                 f"http://{LISTEN}{path}").stdout

    assert curl("/metrics") == "200" and curl("/metrics", "-H", "Host: localhost:9586") == "200"
    assert curl("/v1/stats") == curl("/v1/key", "-X", "PUT", "-d", "{}") == "404"
    assert curl("/metrics", "-X", "POST") == "405"
    assert curl("/metrics", "-H", "Host: evil.example") == "403"
    # Nobody else reaches it.
    assert lab.b.gateway.run("curl", "-s", "-m", "2", f"http://{lab.a.outer}:9586/metrics", check=False).returncode == 7


def test_a_port_that_is_taken_ends_the_start_with_a_line_that_says_so(lab):
    text = config(lab, lab.a, interface=(f"#: MetricsListen = {LISTEN}",)).replace("ListenPort = 51820", "ListenPort = 51999")
    path = write_config(lab, lab.a, text)
    other = path.with_name("other.conf")
    other.write_text(text)
    other.chmod(0o600)
    done = lab.a.gateway.run(gateway(lab, lab.a).argv[0], "run", "--config", other, check=False)
    assert done.returncode == 69 and f"MetricsListen = {LISTEN} can't be had" in done.stderr, done.stderr


@pytest.mark.parametrize("value", ["0.0.0.0:9586", "192.0.2.1:9586", "127.0.0.1:0", "nonsense"])
def test_what_is_no_loopback_is_refused(lab, value):
    path = lab.directory / "refused.conf"
    path.write_text(config(lab, lab.a, interface=(f"#: MetricsListen = {value}",)))
    path.chmod(0o600)
    done = lab.a.gateway.run(gateway(lab, lab.a).argv[0], "check", "--config", path, check=False)
    assert done.returncode == 78 and "MetricsListen" in done.stderr


def test_the_alert_rules_are_right_and_rules_and_board_ask_for_nothing_that_is_not_there(metrics):
    done = subprocess.run(["promtool", "check", "rules", PACKAGING / "gateway.rules.yml"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = set(re.findall(r"^# TYPE (\w+)", metrics, re.M))
    board = json.loads((PACKAGING / "grafana.json").read_text())
    asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
    asked += re.findall(r"expr: (.*)", (PACKAGING / "gateway.rules.yml").read_text())
    # What few have is told only where it is.
    sometimes = re.compile(r"gateway_(peer_(queue|repair|round_trip|loss|last_problem)|bridge_port_trouble)")
    for expression in asked:
        for name in re.findall(r"\b(?:gateway|wireguard)_\w+", expression):
            assert name in names or sometimes.match(name), f"{name} in {expression}"
    assert len(asked) > 12


def test_a_thousand_connections_to_the_port_that_say_nothing_do_no_harm(lab):
    ours = lab.gateways[0]
    opened = []
    try:
        for _ in range(1000):
            one = lab.a.gateway.socket(2, 1)
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", 9586))
            opened.append(one)
        assert lab.ping(lab.a, lab.b.v4, count=3)
        assert ask(ours, "GET", "/metrics").status == 200
    finally:
        for one in opened:
            one.close()


def test_a_prometheus_reads_them_over_the_loopback_and_its_alert_says_that_a_peer_is_away(lab):
    folder = lab.directory / "prometheus"
    folder.mkdir()
    rules = (PACKAGING / "gateway.rules.yml").read_text()
    (folder / "rules.yml").write_text(re.sub(r"for: \w+", "for: 0s", rules))
    (folder / "prometheus.yml").write_text(
        "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
        f"rule_files: [{folder}/rules.yml]\n"
        f"scrape_configs: [{{job_name: gateway, static_configs: [{{targets: ['{LISTEN}']}}]}}]\n")
    argv = ["prometheus", f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/data",
            "--web.listen-address=127.0.0.1:9090"]
    with Daemon(lab.a.gateway, folder / "log", argv):
        def answer(query):
            done = lab.a.gateway.run("curl", "-sfG", "http://127.0.0.1:9090/api/v1/query", "--data-urlencode",
                                     f"query={query}", check=False)
            return done.returncode == 0 and json.loads(done.stdout)["data"]["result"]

        (found,) = wait_until(lambda: answer("wireguard_received_bytes_total > 0"), "Prometheus has read them", timeout=30)
        assert found["metric"]["public_key"] == lab.b.keys.public
        assert found["metric"]["friendly_name"] == "far"
        assert answer("up")[0]["value"][1] == "1"
        lab.gateways[1].stop()
        (alert,) = wait_until(lambda: answer('ALERTS{alertname="GatewayPeerProblem",alertstate="firing"}'),
                              "the alert is raised", timeout=40)
        assert alert["metric"]["interface"] == lab.gateways[0].name
