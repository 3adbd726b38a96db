"""`gateway NAME` in the place of wireguard-go: how it comes, lives in the background, and goes."""

import os
import re
import subprocess
import time

import pytest

from lab import DropIn, Namespace, wait_until, watchdog
from lab.gateway import GATEWAY, GATEWAYCTL

pytestmark = pytest.mark.fast


@pytest.fixture
def namespace():
    with Namespace("here") as namespace:
        yield namespace


@pytest.fixture
def elsewhere():
    with Namespace("there") as namespace:
        yield namespace


def test_the_command_returns_when_interface_and_socket_are_ready(namespace):
    with DropIn(namespace, "d") as one:
        link = namespace.run("ip", "-oneline", "link", "show", one.name).stdout
        assert "mtu 1420" in link and "state DOWN" in link
        assert namespace.run("ip", "-oneline", "address", "show", "dev", one.name).stdout == ""
        assert re.fullmatch(r"listen_port=\d+\nerrno=0\n\n", one.ask("get=1\n\n"))
        assert os.stat(one.path).st_mode & 0o777 == 0o600
        assert os.stat(os.path.dirname(one.path)).st_mode & 0o777 == 0o755
        (process,) = one.processes()
        assert os.getsid(process) == process
        for number in (0, 1, 2):
            assert os.readlink(f"/proc/{process}/fd/{number}") == "/dev/null"


def test_an_interface_that_is_moved_the_instant_the_command_returns_works_every_time(namespace, elsewhere):
    for _ in range(20):
        with DropIn(namespace, "d") as one:
            namespace.run("ip", "link", "set", one.name, "netns", elsewhere.name)
            elsewhere.run("ip", "link", "set", one.name, "up")
            one.wg("set", "listen-port", 7000)
            assert one.wg("show", "listen-port") == "7000\n"
            elsewhere.run("ip", "link", "del", one.name)
            wait_until(one.is_gone, "the daemon ends and its socket goes", timeout=3, interval=0.005)


def test_what_fails_after_the_command_went_to_the_background_is_said_by_the_command(namespace):
    one = DropIn(namespace, "d")
    # Too few descriptors for what comes after device and socket.
    command = ["prlimit", "--nofile=17", GATEWAY, one.name]
    done = subprocess.run(namespace.command(*command), env=one.environment, capture_output=True, text=True, timeout=10)
    assert done.returncode == 69
    assert re.fullmatch(r"gateway: .*: Too many open files\n", done.stderr)
    assert one.is_gone()
    assert one.name not in namespace.run("ip", "link").stdout


def test_deleting_the_interface_in_its_new_namespace_ends_the_daemon_at_once(namespace, elsewhere):
    with DropIn(namespace, "d") as one:
        namespace.run("ip", "link", "set", one.name, "netns", elsewhere.name)
        time.sleep(0.5)
        start = time.monotonic()
        elsewhere.run("ip", "link", "del", one.name)
        wait_until(one.is_gone, "the daemon ends and its socket goes", timeout=3, interval=0.01)
        assert time.monotonic() - start < 1
        assert namespace.run("ss", "-Hnua").stdout == ""


def test_deleting_a_namespace_with_the_interface_in_it_ends_the_daemon(namespace):
    with Namespace("doomed") as doomed, DropIn(namespace, "d") as one:
        namespace.run("ip", "link", "set", one.name, "netns", doomed.name)
        subprocess.run(["ip", "netns", "delete", doomed.name], check=True)
        wait_until(one.is_gone, "the daemon ends and its socket goes")
        # For the end of the block.
        subprocess.run(["ip", "netns", "add", doomed.name], check=True)


def test_removing_the_socket_file_ends_the_daemon_and_its_interface(namespace):
    with DropIn(namespace, "d") as one:
        os.unlink(one.path)
        wait_until(one.is_gone, "the daemon ends", timeout=3)
        assert one.name not in namespace.run("ip", "link").stdout


@pytest.mark.parametrize("number", [2, 15])
def test_a_signal_ends_it(namespace, number):
    with DropIn(namespace, "d") as one:
        os.kill(one.processes()[0], number)
        wait_until(one.is_gone, "the daemon ends", timeout=3)
        assert one.name not in namespace.run("ip", "link").stdout


def test_a_killed_one_leaves_a_socket_that_the_next_replaces(namespace):
    with DropIn(namespace, "d") as one:
        os.kill(one.processes()[0], 9)
        wait_until(lambda: not one.processes(), "the daemon is dead")
        wait_until(lambda: one.name not in namespace.run("ip", "link").stdout, "its interface goes with it")
        assert os.path.exists(one.path)
        one.start()
        assert one.wg("show", "listen-port")


def test_a_second_one_of_the_same_name_is_refused_and_the_first_goes_on(namespace, elsewhere):
    with DropIn(namespace, "d") as one:
        for other in (namespace, elsewhere):
            done = subprocess.run(other.command(GATEWAY, one.name), capture_output=True, text=True, timeout=10)
            assert done.returncode != 0 and len(done.stderr.splitlines()) == 1
        assert one.wg("show", "listen-port")
        assert one.name not in elsewhere.run("ip", "link").stdout


@pytest.mark.parametrize("level, speaks", [("verbose", True), ("debug", True), ("error", False), ("silent", False)])
def test_it_logs_as_LOG_LEVEL_says(namespace, tmp_path, level, speaks):
    name = watchdog.mark() + "d"
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen(namespace.command(GATEWAY, "-f", name), stderr=log,
                                   env={**os.environ, "LOG_LEVEL": level, "GATEWAY_RUN_DIR": str(tmp_path)})
    wait_until(lambda: os.path.exists(f"/var/run/wireguard/{name}.sock"), "the socket")
    namespace.run("ip", "link", "del", name)
    assert process.wait(5) == 0
    assert bool((tmp_path / "log").read_text()) == speaks


def test_version_is_one_line():
    done = subprocess.run([GATEWAY, "--version"], capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == 1


@pytest.mark.parametrize("name", ["sixteen-letters-", "a/b", ".", ""])
def test_a_name_that_can_not_be_is_refused_in_one_line(namespace, name):
    done = subprocess.run(namespace.command(GATEWAY, name), capture_output=True, text=True, timeout=10)
    assert done.returncode == 64 and len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize("words, meant", [
    (["stats"], "gatewayctl stats"),
    (["stat"], "gatewayctl stats"),
    (["link"], "gatewayctl link"),
    (["chekc"], "gateway check --config FILE"),
    (["rum", "--config", "office.conf"], "gateway run --config FILE"),
    (["reload"], "systemctl reload gateway@NAME"),
    (["office.conf"], "gateway run --config office.conf"),
    (["./office.conf"], "gateway run --config ./office.conf"),
    (["office"], "gateway run --config office"),
    (["+"], "no name for an interface"),
    (["all"], "settings of all interfaces"),
])
def test_what_was_meant_to_be_a_command_or_a_file_makes_no_interface(namespace, tmp_path, words, meant):
    (tmp_path / "office").write_text("[Interface]\n")
    before = namespace.state()
    done = subprocess.run(namespace.command(GATEWAY, *words), capture_output=True, text=True, timeout=10, cwd=tmp_path)
    assert done.returncode == 64 and len(done.stderr.splitlines()) == 1
    assert meant in done.stderr
    assert namespace.state() == before


def test_every_command_of_gatewayctl_is_known_as_one(namespace):
    text = subprocess.run([GATEWAYCTL, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([a-z]+) {2,}", text.partition("SUBCOMMANDS:")[2], re.MULTILINE)
    assert "stats" in commands
    for command in commands:
        done = subprocess.run(namespace.command(GATEWAY, command), capture_output=True, text=True, timeout=10)
        assert done.returncode == 64 and f"gatewayctl {command}" in done.stderr


def test_a_name_that_is_meant_is_taken_although_it_looks_like_a_command(namespace):
    name = watchdog.mark() + "d.conf"
    process = subprocess.Popen(namespace.command(GATEWAY, "interface", "-f", name), stderr=subprocess.PIPE)
    wait_until(lambda: os.path.exists(f"/var/run/wireguard/{name}.sock"), "the socket")
    namespace.run("ip", "link", "del", name)
    assert process.wait(5) == 0
    process.stderr.close()


def test_a_descriptor_that_is_none_is_refused(namespace):
    done = subprocess.run(namespace.command(GATEWAY, "-f", "x"), capture_output=True, text=True, timeout=10,
                          env={**os.environ, "WG_TUN_FD": "77"})
    assert done.returncode != 0 and "WG_TUN_FD" in done.stderr
