"""`gatewayctl top` in a terminal of 80 by 24: what it shows, its keys, and that it leaves the terminal as it was."""

import os
import pathlib
import re
import shlex
import signal
import subprocess
import tempfile

import pytest

from lab import Lab, link, wait_until
from lab.gateway import GATEWAYCTL

pytestmark = pytest.mark.fast


class Terminal:
    """A shell in tmux, on a server of its own."""

    def __init__(self, directory, width=80, height=24):
        folder = pathlib.Path(tempfile.mkdtemp(dir=directory))
        self.socket, self.before, self.after = folder / "tmux", folder / "before", folder / "after"
        self.tmux("-f", "/dev/null", "new-session", "-d", "-x", width, "-y", height, "env", "PS1=$ ", "LC_ALL=C.UTF-8", "sh")

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-u", "-S", self.socket, *map(str, arguments)], capture_output=True, text=True,
                              check=True).stdout

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def press(self, key):
        self.tmux("send-keys", key)

    @property
    def screen(self):
        return self.tmux("capture-pane", "-p")

    def ask(self, what):
        return self.tmux("display-message", "-p", what).strip()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], check=False, capture_output=True)


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab, link(lab, compression="auto", a={"peer": ("#: Name = far",)}) as lab.gateways:
        yield lab


@pytest.fixture
def shell(lab):
    with Terminal(lab.directory) as shell:
        wait_until(lambda: "$" in shell.screen, "there is a prompt")
        yield shell


def begin(shell, one):
    run = f"GATEWAY_RUN_DIR={shlex.quote(str(one.run_directory))} {shlex.quote(str(GATEWAYCTL))} top {one.name}"
    shell.type(f"stty -g >{shell.before}; {run}; echo ended $?.; stty -g >{shell.after}\n")
    wait_until(lambda: "q quit" in shell.screen, "it draws")


def end(shell):
    """The exit code; the terminal is as it was: its settings, the shell's screen, a cursor."""
    code = wait_until(lambda: re.search(r"^ended (\d+)\.", shell.screen, re.M), "it has ended")[1]
    wait_until(lambda: shell.after.exists() and shell.after.read_text(), "its settings are known")
    assert shell.before.read_text() == shell.after.read_text()
    assert (shell.ask("#{alternate_on}"), shell.ask("#{cursor_flag}")) == ("0", "1")
    return int(code)


def test_it_shows_the_peers_on_80_by_24_and_leaves_the_terminal_as_it_was(lab, shell):
    ours = lab.gateways[0]
    begin(shell, ours)
    assert (shell.ask("#{alternate_on}"), shell.ask("#{cursor_flag}")) == ("1", "0")
    with subprocess.Popen(lab.a.host.command("ping", "-q", "-i", "0.01", "-s", "1000", lab.b.v4), stdout=subprocess.DEVNULL) as ping:
        rates = wait_until(lambda: re.search(r"> +\d+ kbit/s +.*[▁-█].* < +\d+ kbit/s .*[▁-█]", shell.screen), "rates and graphs")
        ping.kill()
    assert rates
    lines = shell.screen.splitlines()
    assert len(lines) == 24 and max(map(len, lines)) <= 80
    assert lines[0].startswith(f"{ours.name}  up ") and "1 peer " in lines[0] and lines[3].startswith("far")
    assert re.match(r"  ratio \d", lines[5])
    shell.press("q")
    assert end(shell) == 0


def test_keys_sort_and_what_is_too_small_or_grows_is_drawn_anew(lab, shell):
    begin(shell, lab.gateways[0])
    assert "by traffic" in shell.screen
    shell.press("s")
    wait_until(lambda: "by name" in shell.screen, "it sorts by name")
    shell.tmux("resize-window", "-x", "100", "-y", "30")
    wait_until(lambda: shell.screen.splitlines()[-1].startswith("q quit") and len(shell.screen.splitlines()) == 30,
               "it is drawn to the new size")
    shell.tmux("resize-window", "-x", "10", "-y", "3")
    wait_until(lambda: "too small" in shell.screen, "there is no room")
    shell.tmux("resize-window", "-x", "80", "-y", "24")
    wait_until(lambda: "q quit" in shell.screen, "there is room again")
    shell.press("C-c")
    assert end(shell) == 0


def test_a_signal_ends_it_and_the_terminal_is_as_it_was(lab, shell):
    begin(shell, lab.gateways[0])
    pane = shell.ask("#{pane_pid}")
    (process,) = pathlib.Path(f"/proc/{pane}/task/{pane}/children").read_text().split()
    os.kill(int(process), signal.SIGTERM)
    assert end(shell) == 0


def test_a_daemon_that_ends_ends_it_with_its_reason_on_the_shells_screen():
    with Lab(ipv6=False) as lab, link(lab) as (ours, _), Terminal(lab.directory) as shell:
        wait_until(lambda: "$" in shell.screen, "there is a prompt")
        begin(shell, ours)
        ours.stop()
        assert end(shell) == 69
        assert "no gateway named" in shell.screen


def test_without_a_terminal_it_says_what_to_use(lab):
    done = lab.gateways[0].ctl("top", lab.gateways[0].name, check=False)
    assert done.returncode == 64 and "stats --json" in done.stderr
