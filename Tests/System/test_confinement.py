"""What the daemon may do once it carries packets: little. And its helper process, which does the rest."""

import contextlib
import errno
import os
import re
import shutil
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from lab import DropIn, Lab, Namespace, link, wait_until, wait_until_up
from lab.gateway import REPOSITORY, gateway
from lab.inside import IS_POSSIBLE, inside

CAP_NET_BIND_SERVICE, CAP_NET_ADMIN = 1 << 10, 1 << 12


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def namespace():
    with Namespace("here") as namespace:
        yield namespace


@pytest.mark.fast
def test_every_thread_keeps_one_capability_no_privileges_and_a_filter(lab):
    with link(lab, compression="auto") as (a, _):
        check_confined(a.process.pid, CAP_NET_ADMIN)
        assert "confined: " in a.log and "CAP_NET_ADMIN" in a.log
        # The helper has what the daemon was given, and no thread that the daemon has.
        (helper,) = children(a.process.pid)
        assert status(helper)["Name"] == "gateway-helper"
        assert status(helper)["CapEff"] == status(os.getpid())["CapEff"]


def test_it_becomes_the_user_gateway_where_there_is_one_and_all_goes_on_as_before(lab, user):
    before = lab.a.gateway.state()
    with link(lab, compression="auto") as (a, b):
        check_confined(a.process.pid, CAP_NET_ADMIN, user)
        assert "user gateway" in a.log
        assert a.control.stat().st_gid == user
        (helper,) = children(a.process.pid)
        assert status(helper)["Uid"].split()[0] == "0"
        lab.a.gateway.run("wg", "set", a.name, "listen-port", 7000)
        a.config.write_text(a.config.read_text().replace("AllowedIPs = ", "AllowedIPs = 10.77.0.0/16, "))
        a.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded: " in a.log, "the file was read again")
        assert "10.77.0.0/16" in lab.a.gateway.run("ip", "route").stdout
        a.control.unlink()
        wait_until(a.control.exists, "the socket is back")
        assert lab.ping(lab.a, lab.b.v4, wait=5)
        assert a.stop() == 0
        assert lab.a.gateway.state() == before
        assert not a.control.exists() and not os.path.exists(f"/var/run/wireguard/{a.name}.sock")


def test_a_low_port_keeps_the_right_to_low_ports(lab):
    a = gateway(lab, lab.a)
    a.config.write_text(a.config.read_text().replace("ListenPort = 51820", "ListenPort = 443"))
    with a:
        check_confined(a.process.pid, CAP_NET_ADMIN | CAP_NET_BIND_SERVICE)


@pytest.mark.fast
def test_the_drop_in_form_is_confined_too_and_takes_a_low_port_later(namespace):
    with DropIn(namespace, "d") as one:
        (process,) = one.processes()
        check_confined(process, CAP_NET_ADMIN | CAP_NET_BIND_SERVICE)
        one.wg("set", "listen-port", 443)
        assert one.wg("show", "listen-port") == "443\n"


@pytest.mark.skipif(not IS_POSSIBLE, reason="written for x86-64")
@pytest.mark.parametrize("attack", [
    "open /etc/shadow", "write a file", "make a file", "execute", "fork", "clone3 a process", "ptrace", "look into memory",
    "mount", "a TCP socket", "a Unix socket", "a packet socket", "a raw socket", "another netlink", "signal init",
    "set the clock", "load a module", "another namespace", "executable memory", "io_uring", "bpf", "userfaultfd",
    "become root", "more capabilities", "open by handle", "chroot", "keys", "a terminal's input"])
def test_no_thread_can_be_made_to(attacked, attack):
    number, *arguments = ATTACKS[attack]
    process = attacked.process.pid
    for thread in map(int, os.listdir(f"/proc/{process}/task")):
        with inside(process, thread) as victim:
            result = victim.call(number, *arguments)
        assert -result in (errno.EPERM, errno.EACCES, errno.ENOSYS), f"{attack} by thread {thread}: {result}"


@pytest.mark.skipif(not IS_POSSIBLE, reason="written for x86-64")
def test_a_daemon_that_was_attacked_goes_on(attacked, lab_of_attacked):
    assert attacked.process.poll() is None
    assert lab_of_attacked.ping(lab_of_attacked.a, lab_of_attacked.b.v4, count=2)


@pytest.mark.skipif(not IS_POSSIBLE, reason="written for x86-64")
def test_without_the_sandbox_the_same_attacks_succeed_and_that_is_said_loudly(lab):
    a = gateway(lab, lab.a)
    a.argv.append("--no-sandbox")
    with a:
        assert "--no-sandbox" in a.log
        process = a.process.pid
        for thread in map(int, os.listdir(f"/proc/{process}/task")):
            with inside(process, thread) as victim:
                file = victim.call(*ATTACKS["open /etc/shadow"])
                assert file > 0 and victim.call(3, file) == 0
        found = status(process)
        assert found["NoNewPrivs"] == "0" and found["Seccomp"] == "0"


def test_the_calls_that_are_left_are_those_that_are_made(lab):
    """All that a busy daemon calls is on the list, and what is on the list and not called stands there as such."""
    text = (REPOSITORY / "Sources/CConfine/confine.c").read_text()
    table = re.search(r"free_calls\[\] = \{(.*?)\};", text, re.DOTALL).group(1)
    used_here, _, elsewhere = table.partition("// elsewhere")
    listed, others = (set(re.findall(r'"(\w+)"', part)) for part in (used_here, elsewhere))
    assert listed and others and not listed & others
    limited = {"socket", "ioctl", "fcntl", "prctl", "clone", "clone3", "mmap", "mprotect", "tgkill", "setpriority"}
    assert limited == set(re.findall(r"SCMP_SYS\((\w+)\)", text))
    seen = lab.directory / "calls"
    a = gateway(lab, lab.a, compression="auto")
    a.argv = ["strace", "-D", "-ff", "-qq", "-o", seen, *a.argv]
    with a, gateway(lab, lab.b, compression="auto") as b:
        wait_until_up(lab, a, b)
        lab.ping(lab.a, lab.b.v4, count=3)
        a.ctl("stats")
        lab.a.gateway.run("wg", "show", a.name)
        lab.a.gateway.run("wg", "set", a.name, "listen-port", 7000)
        a.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "reloaded: " in a.log, "the file was read again")
        threads = os.listdir(f"/proc/{a.process.pid}/task")
        assert a.stop() == 0
    # strace may still write.
    wait_until(lambda: "exit_group(" in (seen.parent / f"calls.{a.process.pid}").read_text(), "all was noted")
    made = set()
    for thread in threads:
        text = (seen.parent / f"calls.{thread}").read_text()
        if int(thread) == a.process.pid:
            text = text[text.rindex("seccomp(SECCOMP_SET_MODE_FILTER"):].partition("\n")[2]
        made |= set(re.findall(r"^(\w+)\(", text, re.MULTILINE))
    unlisted, misplaced, needless = made - listed - others - limited, made & others, listed - made - RARE
    assert (unlisted, misplaced, needless) == (set(), set(), set())


RARE = {"accept4", "pread64", "mremap", "madvise", "sched_getaffinity", "brk", "recvfrom", "shutdown", "wait4", "lseek", "fstat",
        "newfstatat", "readv", "restart_syscall", "sendmmsg", "sched_yield", "gettid", "getpid", "getuid", "geteuid", "getgid",
        "getegid", "exit", "sigaltstack", "signalfd4", "epoll_create", "epoll_create1"}
"""What a test of a few seconds need not bring about: datagrams in numbers, an interface in another namespace, large tables."""


def test_a_helper_that_is_killed_ends_the_daemon_which_says_why_and_leaves_nothing(lab):
    before = lab.a.gateway.state()
    with gateway(lab, lab.a, interface=("PostDown = true",)) as a:
        (helper,) = children(a.process.pid)
        os.kill(helper, signal.SIGKILL)
        assert a.process.wait(10) == 69
    assert "the helper process has ended" in a.log
    assert lab.a.gateway.state() == before


def test_a_killed_daemon_takes_its_helper_and_the_command_that_runs_along(lab):
    a = gateway(lab, lab.a, interface=("PostUp = sleep 1000; true",))
    with a:
        wait_until(lambda: sleeping(lab), "the command runs")
        (helper,) = children(a.process.pid)
        a.process.kill()
        a.process.wait()
        wait_until(lambda: not os.path.exists(f"/proc/{helper}"), "the helper ends")
        assert not sleeping(lab)


def test_a_helper_that_hangs_holds_up_no_packet_and_no_end(lab):
    with link(lab) as (a, _):
        (helper,) = children(a.process.pid)
        os.kill(helper, signal.SIGSTOP)
        try:
            a.process.send_signal(signal.SIGHUP)
            assert lab.ping(lab.a, lab.b.v4, count=3, wait=5)
            check_confined(a.process.pid, CAP_NET_ADMIN)
        finally:
            os.kill(helper, signal.SIGCONT)
        wait_until(lambda: "reloaded: " in a.log or a.process.poll() is not None, "the file is read, or the daemon ended")


def test_nothing_is_left_of_both_when_the_daemon_has_ended(lab):
    with gateway(lab, lab.a) as a:
        (helper,) = children(a.process.pid)
        assert a.stop() == 0
        assert not os.path.exists(f"/proc/{helper}")


# Numbers of x86-64, and what they are given.
ATTACKS = {
    "open /etc/shadow": (2, "/etc/shadow", 0),
    "write a file": (257, -100, "/etc/hostname", 1),
    "make a file": (257, -100, "/tmp/gateway-was-here", 0o101, 0o600),
    "execute": (59, "/bin/true", 0, 0),
    "fork": (57,),
    "clone3 a process": (435, b"\0" * 88, 88),
    "ptrace": (101, 0x4206, 1, 0, 0),
    "look into memory": (310, 1, 0, 0, 0, 0, 0),
    "mount": (165, "none", "/mnt", "tmpfs", 0, 0),
    "a TCP socket": (41, socket.AF_INET, socket.SOCK_STREAM, 0),
    "a Unix socket": (41, socket.AF_UNIX, socket.SOCK_DGRAM, 0),
    "a packet socket": (41, 17, socket.SOCK_RAW, 0x300),
    "a raw socket": (41, socket.AF_INET, socket.SOCK_RAW, 1),
    "another netlink": (41, 16, socket.SOCK_RAW, 12),
    "signal init": (62, 1, 0),
    "set the clock": (227, 0, b"\0" * 16),
    "load a module": (313, 0, "", 0),
    "another namespace": (272, 0x10000000),
    "executable memory": (9, 0, 4096, 7, 0x22, -1, 0),
    "io_uring": (425, 1, b"\0" * 120),
    "bpf": (321, 0, 0, 0),
    "userfaultfd": (323, 0),
    "become root": (117, 0, 0, 0),
    "more capabilities": (126, b"\x22\x05\x08\x20\0\0\0\0", b"\xff" * 24),
    "open by handle": (304, -100, b"\0" * 32, 0),
    "chroot": (161, "/"),
    "keys": (250, 0, 0, 0, 0),
    "a terminal's input": (16, 0, 0x5412, "x"),
}


@pytest.fixture(scope="module")
def lab_of_attacked():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="module")
def attacked(lab_of_attacked):
    with link(lab_of_attacked) as (a, _):
        yield a


@pytest.fixture
def user(lab):
    """The number of a user `gateway`, which is known in the gateway's namespace alone: `ip netns exec` lays these files over
    those of /etc."""
    folder = Path("/etc/netns") / lab.a.gateway.name
    folder.mkdir(parents=True)
    try:
        for name, line in (("passwd", "gateway:x:64321:64321::/:/bin/false"), ("group", "gateway:x:64321:")):
            (folder / name).write_text(f"{Path('/etc', name).read_text()}{line}\n")
        yield 64321
    finally:
        shutil.rmtree(folder)


def check_confined(process, capabilities, user=0):
    for thread in os.listdir(f"/proc/{process}/task"):
        found = status(f"{process}/task/{thread}")
        wanted = {"CapPrm": capabilities, "CapEff": capabilities, "CapInh": 0, "CapAmb": 0, "CapBnd": 0}
        assert {name: int(found[name], 16) for name in wanted} == wanted, f"{found['Name']} has more"
        assert set(found["Uid"].split() + found["Gid"].split()) == {str(user)}, found["Name"]
        assert found["NoNewPrivs"] == "1" and found["Seccomp"] == "2", found["Name"]


def status(process):
    with open(f"/proc/{process}/status") as file:
        return {name: value.strip() for name, _, value in (line.partition(":") for line in file)}


def children(process):
    with open(f"/proc/{process}/task/{process}/children") as file:
        return list(map(int, file.read().split()))


def sleeping(lab):
    """Whether a command hangs in the gateway's namespace."""
    processes = subprocess.run(
        ["ip", "netns", "pids", lab.a.gateway.name], capture_output=True, text=True, check=True).stdout.split()
    for process in processes:
        with contextlib.suppress(OSError), open(f"/proc/{process}/cmdline", "rb") as file:
            if b"sleep" in file.read():
                return True
    return False
