"""What a supervisor such as systemd hears over NOTIFY_SOCKET: ready, reloading, stopping, that the loop is not stuck."""

import contextlib
import ctypes
import os
import signal
import socket
import sys
import time

import pytest

from lab import Daemon, Lab, wait_until
from lab.gateway import gateway

PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207


@pytest.fixture
def lab():
    with Lab() as lab:
        yield lab


@pytest.fixture
def supervisor(lab):
    with Supervisor(lab.directory / "notify") as supervisor:
        yield supervisor


@pytest.mark.fast
def test_it_is_ready_when_post_up_is_done_and_not_before_and_stopping_before_pre_down(lab, supervisor):
    up, heard = lab.directory / "up", lab.directory / "heard"
    os.mkfifo(up)
    hooks = [f"PostUp = cat {up}", f"PreDown = sleep 0.2; touch {heard}", f"PostUp = env >{lab.directory}/environment"]
    with supervised(lab, supervisor, interface=hooks) as a:
        assert "READY=1" not in supervisor.words
        up.write_text("")
        supervisor.wait_for("READY=1")
        assert not heard.exists()
        a.process.send_signal(signal.SIGTERM)
        supervisor.wait_for("STOPPING=1")
        assert a.process.wait(10) == 0
    assert "NOTIFY_SOCKET" not in (lab.directory / "environment").read_text()
    assert supervisor.words.index("READY=1") < supervisor.words.index("STOPPING=1")


def test_what_fails_is_never_ready(lab, supervisor):
    with supervised(lab, supervisor, interface=["PostUp = false"], start=False) as a:
        Daemon.start(a)
        assert a.process.wait(10) == 69
    supervisor.read()
    assert "READY=1" not in supervisor.words


@pytest.mark.fast
def test_a_reload_is_told_with_the_time_and_ready_follows_also_when_the_file_is_bad(lab, supervisor):
    with supervised(lab, supervisor) as a:
        supervisor.wait_for("READY=1")
        for text in (a.config.read_text(), "[Interface]\nnonsense\n"):
            a.config.write_text(text)
            supervisor.words.clear()
            before = time.monotonic_ns() // 1000
            a.process.send_signal(signal.SIGHUP)
            supervisor.wait_for("READY=1")
            words = [word for word in supervisor.words if not word.startswith("STATUS=")]
            assert words[0] == "RELOADING=1" and words[-1] == "READY=1"
            (moment,) = [int(word.partition("=")[2]) for word in words if word.startswith("MONOTONIC_USEC=")]
            assert before <= moment <= time.monotonic_ns() // 1000


def test_the_status_says_with_how_many_peers_it_is_in_touch(lab, supervisor):
    with supervised(lab, supervisor), gateway(lab, lab.b):
        supervisor.wait_for("STATUS=UDP port 51820, in touch with 0 of 1 peer")
        assert lab.ping(lab.a, lab.b.v4, count=1)
        supervisor.wait_for("STATUS=UDP port 51820, in touch with 1 of 1 peer")


def test_a_loop_that_hangs_gives_no_sign_of_life_while_the_other_threads_go_on(lab, supervisor):
    with supervised(lab, supervisor, WATCHDOG_USEC="400000") as a:
        for _ in range(3):
            supervisor.words.clear()
            supervisor.wait_for("WATCHDOG=1")
        with held_thread(a.process.pid):
            supervisor.words.clear()
            time.sleep(1)
            supervisor.read()
            assert "WATCHDOG=1" not in supervisor.words
            # The threads beside it answer.
            assert a.request("GET", "/v1/nothing")[0] == 404
        supervisor.wait_for("WATCHDOG=1")


def test_signs_of_life_come_twice_in_the_time_and_only_to_who_asked_this_process(lab, supervisor):
    with supervised(lab, supervisor, WATCHDOG_USEC="1000000"):
        supervisor.wait_for("WATCHDOG=1")
        supervisor.moments.clear()
        wait_until(lambda: supervisor.read() or len(supervisor.moments) == 4, "four signs of life")
        # The loop may be woken late, never early.
        gaps = [b - a for a, b in zip(supervisor.moments, supervisor.moments[1:])]
        assert min(gaps) > 0.25
    supervisor.words.clear()
    with supervised(lab, supervisor, WATCHDOG_USEC="100000", WATCHDOG_PID="1"):
        supervisor.wait_for("READY=1")
        time.sleep(0.5)
        supervisor.read()
        assert "WATCHDOG=1" not in supervisor.words


def test_a_supervisor_may_have_a_name_without_a_file(lab):
    # Such names are of a network namespace.
    with Supervisor(f"\0{lab.a.name}-notify", lab.a.gateway.socket) as supervisor, supervised(lab, supervisor):
        supervisor.wait_for("READY=1")


@pytest.mark.parametrize("path", ["/nowhere/notify", "nonsense", "@nobody-there", ""])
def test_a_supervisor_that_is_not_there_keeps_nothing_from_running(lab, path):
    a = gateway(lab, lab.a)
    a.environment["NOTIFY_SOCKET"] = path
    with a:
        assert a.stop() == 0


class Supervisor:
    """Listens for datagrams at a path and keeps the words in them, in order, and when each sign of life came."""

    def __init__(self, path, make_socket=socket.socket):
        self.path, self.words, self.moments = path, [], []
        self.socket = make_socket(socket.AF_UNIX, socket.SOCK_DGRAM)

    def __enter__(self):
        self.socket.bind(str(self.path))
        self.socket.setblocking(False)
        return self

    def __exit__(self, *_):
        self.socket.close()

    def read(self):
        """Takes what has come."""
        with contextlib.suppress(BlockingIOError):
            while True:
                words = self.socket.recv(4096).decode().splitlines()
                self.words += words
                self.moments += [time.monotonic()] * ("WATCHDOG=1" in words)

    def wait_for(self, word):
        def has_come():
            self.read()
            return word in self.words

        wait_until(has_come, f"the supervisor hears {word}")


@contextlib.contextmanager
def supervised(lab, supervisor, start=True, interface=(), **environment):
    """Our daemon at the first site, under the supervisor."""
    a = gateway(lab, lab.a, interface=interface)
    a.environment.update(NOTIFY_SOCKET=str(supervisor.path).replace("\0", "@"), **environment)
    if start:
        a.start()
    try:
        yield a
    finally:
        if a.process:
            a.__exit__(*sys.exc_info())


@contextlib.contextmanager
def held_thread(thread):
    """Holds one thread, and no other of its process."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
    os.waitpid(thread, 0x40000000)
    try:
        yield
    finally:
        libc.ptrace(PTRACE_DETACH, thread, None, None)
