"""The operator's commands around the life of an interface, and what becomes of those that hang."""

import signal
import subprocess

import pytest

from lab import Daemon, Lab, wait_until, wait_until_up
from lab.gateway import gateway

HANG = "sleep 1000; true"


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


def test_they_run_in_order_around_the_life_of_the_interface(lab):
    note = lab.directory / "note"
    told = f"; ip link show %i > /dev/null 2>&1 && echo there >> {note} || echo gone >> {note}"
    hooks = [f"{key} = echo {key} {number} >> {note}{told if number == 2 else ''}"
             for key in ("PreUp", "PostUp", "PreDown", "PostDown") for number in (1, 2)]
    with gateway(lab, lab.a, interface=hooks) as a:
        wait_until(lambda: "PostUp 2\nthere" in note.read_text(), "PostUp is done")
        assert a.stop() == 0
    assert note.read_text().splitlines() == [
        "PreUp 1", "PreUp 2", "gone", "PostUp 1", "PostUp 2", "there",
        "PreDown 1", "PreDown 2", "there", "PostDown 1", "PostDown 2", "gone"]


@pytest.mark.parametrize("key", ["PreUp", "PostUp"])
def test_one_that_fails_ends_the_start_and_leaves_nothing(lab, key):
    before = lab.a.gateway.state()
    a = gateway(lab, lab.a, interface=(f"{key} = exit 3", f"{key} = touch {lab.directory}/late"))
    Daemon.start(a)
    assert a.process.wait(10) == 69
    assert f"{key} failed with status 3: exit 3" in a.log
    assert lab.a.gateway.state() == before and not (lab.directory / "late").exists()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_hanging_postup_and_then_the_daemon_in_order(lab, number):
    before = lab.a.gateway.state()
    done = lab.directory / "done"
    hooks = (f"PostUp = {HANG}", f"PostUp = echo PostUp >> {done}",
             f"PreDown = echo PreDown >> {done}", f"PostDown = echo PostDown >> {done}")
    with gateway(lab, lab.a, interface=hooks) as a, gateway(lab, lab.b) as b:
        wait_until_up(lab, a, b)
        assert hanging(lab), "packets go while it runs"
        assert a.stop(number) == 0
        assert not hanging(lab)
    assert "PostUp was interrupted" in a.log
    assert done.read_text() == "PreDown\nPostDown\n"
    assert lab.a.gateway.state() == before


def test_a_signal_ends_a_hanging_preup_before_anything_is_made(lab):
    before = lab.a.gateway.state()
    a = gateway(lab, lab.a, interface=(f"PreUp = {HANG}", f"PostDown = touch {lab.directory}/down"))
    Daemon.start(a)
    wait_until(lambda: hanging(lab), "it hangs")
    assert a.stop() == 0
    assert not hanging(lab) and lab.a.gateway.state() == before and not (lab.directory / "down").exists()


@pytest.mark.parametrize("key", ["PreDown", "PostDown"])
def test_another_signal_ends_what_hangs_on_the_way_down_and_the_rest_follows(lab, key):
    before = lab.a.gateway.state()
    done = lab.directory / "done"
    with gateway(lab, lab.a, interface=(f"{key} = {HANG}", f"{key} = echo next >> {done}")) as a:
        a.process.send_signal(signal.SIGTERM)
        wait_until(lambda: hanging(lab), "it hangs")
        assert a.stop() == 0
    assert not hanging(lab) and done.read_text() == "next\n"
    assert f"{key} was interrupted" in a.log
    assert lab.a.gateway.state() == before


def hanging(lab):
    """Whether a command hangs in the gateway's namespace."""
    processes = subprocess.run(
        ["ip", "netns", "pids", lab.a.gateway.name], capture_output=True, text=True, check=True).stdout.split()
    return any(b"sleep" in command_line(process) for process in processes)


def command_line(process):
    try:
        with open(f"/proc/{process}/cmdline", "rb") as file:
            return file.read()
    except (FileNotFoundError, ProcessLookupError):
        return b""
