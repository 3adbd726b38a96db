"""The package in a Debian 12 that has nothing but what it depends on: `make deb-test`."""

import contextlib
import pathlib
import shutil
import subprocess
import zlib

import pytest

from lab import Daemon, Namespace, wait_until

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
OUT = REPOSITORY / "out"
LIBRARIES = ["libsodium23", "libb2-1", "libzstd1", "libisal2", "libseccomp2", "libstdc++6", "libgomp1", "procps"]
SMALL = ["systemd-standalone-sysusers", "systemd-standalone-tmpfiles", *LIBRARIES]
BOOTING = ["systemd", "systemd-sysv", "dbus", "iproute2", "nftables", "openresolv", *LIBRARIES]
MOST = 24_000_000
"""Bytes of the daemon, as in scripts/dist, which also says what the goal is."""


@pytest.fixture(scope="module")
def package():
    (package,) = OUT.glob("gateway_*.deb")
    return package


@pytest.fixture
def host(tmp_path):
    """Makes machines: folders with a system."""
    return lambda name, packages=SMALL: Host(name, system(packages), tmp_path / name)


def system(packages):
    """A tar file of a Debian 12 with these packages; made once, of what the mirror has."""
    file = REPOSITORY / f".build-dist/bookworm-{zlib.crc32(' '.join(packages).encode())}.tar"
    if not file.exists():
        new = file.with_suffix(".new.tar")
        subprocess.run(["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(packages)}", "bookworm", new],
                       check=True, timeout=300)
        new.rename(file)
    return file


def test_the_programs_run_where_swift_is_not_and_say_their_version():
    swift = pathlib.Path(shutil.which("swift")).resolve()
    home = next(folder for folder in swift.parents if (folder / "lib").is_dir())
    (OUT / "empty").mkdir(exist_ok=True)
    for program in ("gateway", "gatewayctl"):
        words = f"mount --bind {OUT}/empty {home} && exec {OUT}/{program} --version"
        done = subprocess.run(["unshare", "--mount", "sh", "-c", words], capture_output=True, text=True)
        assert (done.returncode, done.stderr) == (0, ""), done.stderr
    assert (OUT / "gateway").stat().st_size <= MOST
    libraries = subprocess.run(["ldd", OUT / "gateway"], capture_output=True, text=True, check=True).stdout
    assert "swift" not in libraries.lower() and "Foundation" not in libraries


def test_symbols_are_beside_the_programs_and_found_by_them():
    for program in ("gateway", "gatewayctl"):
        sections = subprocess.run(["readelf", "-SW", OUT / program], capture_output=True, text=True, check=True).stdout
        assert ".symtab" not in sections and ".debug_info" not in sections and ".gnu_debuglink" in sections
        symbols = subprocess.run(
            ["readelf", "-SW", OUT / f"debug/{program}.debug"], capture_output=True, text=True, check=True).stdout
        assert ".symtab" in symbols and ".debug_info" in symbols


def test_two_hosts_install_it_and_ping_each_other_and_a_purge_leaves_nothing(package, host):
    with Namespace("pa") as left, Namespace("pb") as right, contextlib.ExitStack() as stack:
        left.run("ip", "link", "add", "wire", "type", "veth", "peer", "name", "wire", "netns", right.name)
        hosts = []
        for number, (namespace, name) in enumerate(((left, "hq"), (right, "branch")), 1):
            namespace.run("ip", "address", "add", f"192.0.2.{number}/24", "dev", "wire")
            namespace.run("ip", "link", "set", "wire", "up")
            one = host(name)
            hosts.append(one)
            one.before = one.state()
            one.run("dpkg", "--install", one.bring(package))
            assert one.state() != one.before
            # It brings nothing that runs: whoever writes a file starts it.
            assert (one.root / "etc/gateway").stat().st_mode & 0o777 == 0o750
            assert "gateway" in one.run("getent", "passwd", "gateway")
            assert "gateway.conf" in one.run("find", "/usr/lib/tmpfiles.d", "-name", "gateway*")
            one.run("gatewayctl", "keygen", name, "--dir", "/etc/gateway")
        hq, branch = hosts
        shutil.copy(branch.root / "etc/gateway/branch.pub", hq.root / "etc/gateway")
        hq.run("gatewayctl", "link", "hq", "branch", "--dir", "/etc/gateway", "--endpoint-a", "192.0.2.1:51820",
               "--net-a", "10.1.0.0/24", "--net-b", "10.2.0.0/24")
        shutil.move(hq.root / "etc/gateway/branch.conf", branch.root / "etc/gateway/branch.conf")
        for namespace, one, address in ((left, hq, "10.1.0.1/24"), (right, branch, "10.2.0.1/24")):
            namespace.run("ip", "address", "add", address, "dev", "lo")
            stack.enter_context(one.daemon(namespace))
        wait_until(lambda: not left.run("ping", "-c", 1, "-W", 1, "-I", "10.1.0.1", "10.2.0.1", check=False).returncode,
                   "a ping goes from hq to branch and back", timeout=20)
        (group,) = [line.split(":")[2] for line in hq.run("getent", "group", "gateway").splitlines()]
        assert str(hq.socket.stat().st_gid) == group

        text = (hq.root / "etc/gateway/hq.conf").read_bytes()
        hq.run("dpkg", "--install", hq.bring(package))
        assert (hq.root / "etc/gateway/hq.conf").read_bytes() == text
        assert left.run("ping", "-c", 1, "-W", 2, "-I", "10.1.0.1", "10.2.0.1").returncode == 0
        stack.close()
        hq.run("dpkg", "--remove", "gateway")
        assert (hq.root / "etc/gateway/hq.conf").read_bytes() == text
        for one in hosts:
            one.run("dpkg", "--purge", "gateway")
            assert one.state() == one.before


def test_systemd_starts_reloads_watches_upgrades_and_purges_it(package, host):
    one = host("vm", BOOTING)
    one.bring(package)
    (one.root / "root/steps").write_text(STEPS)
    (one.root / "etc/systemd/system/steps.service").write_text(BOOT)
    wants = one.root / "etc/systemd/system/multi-user.target.wants"
    wants.mkdir(exist_ok=True)
    (wants / "steps.service").symlink_to("../steps.service")
    said = one.boot()
    said.pop("key")
    assert said == {
        "start": "0", "hook": "/var/lib/up", "resolver": "nameserver 10.9.0.53", "socket": "gateway:660", "mark": "1",
        "tables": "table ip gateway-t0 table ip6 gateway-t0", "capabilities": "0000000000000000", "user": "gateway", "reload": "0",
        "bad_reload": "1", "upgraded": "0", "took_over": "1 0", "after_upgrade": "active", "file": "same", "watchdog": "1 running",
        "result": "success", "resolver_after": "nameserver 192.0.2.53", "tables_after": "", "after_purge": "inactive",
        "user_after": "", "left": "", "status": said["status"]}
    assert "in touch with 0 of 1 peer" in said["status"]


BOOT = """[Unit]
After=multi-user.target
[Service]
Type=oneshot
ExecStart=/bin/bash /root/steps
"""

STEPS = """
exec >/root/said 2>/root/errors
note() { echo "$1=$(cat)"; }
unit() { systemctl show --property "$1" --value gateway@t0; }
trap 'systemctl poweroff' EXIT
ip link set lo up
rm -f /etc/resolv.conf; echo nameserver 192.0.2.53 >/etc/resolv.conf
dpkg --install /root/*.deb
cat >/etc/gateway/t0.conf <<END
[Interface]
PrivateKey = $(gatewayctl genkey)
Address = 10.9.0.1/24, fd09::1/64
DNS = 10.9.0.53
PostUp = echo hook >/var/lib/hook; sleep 0.5; touch /var/lib/up
PreDown = rm /var/lib/up
[Peer]
PublicKey = $(gatewayctl genkey | gatewayctl pubkey)
AllowedIPs = 0.0.0.0/0, ::/0
Endpoint = 192.0.2.1:51820
END
chmod 600 /etc/gateway/t0.conf
systemctl start gateway@t0; echo $? | note start
ls /var/lib/up | note hook
systemctl show --property StatusText --value gateway@t0 | note status
grep nameserver /etc/resolv.conf | note resolver
stat --format %G:%a /run/gateway/t0.sock | note socket
cat /proc/sys/net/ipv4/conf/all/src_valid_mark | note mark
nft list tables | tr '\n' ' ' | note tables
grep CapBnd /proc/$(unit MainPID)/status | cut -f 2 | note capabilities
ps -o user= -p $(unit MainPID) | note user
systemctl reload gateway@t0; echo $? | note reload
echo nonsense >>/etc/gateway/t0.conf
systemctl reload gateway@t0; echo $? | note bad_reload
sed -i '$d' /etc/gateway/t0.conf
gatewayctl genkey | gatewayctl key set t0 - | note key
cp /etc/gateway/t0.conf /root/before
before=$(unit MainPID)
dpkg --install /root/*.deb
[ "$(unit MainPID)" != "$before" ]; echo $? | note upgraded
echo "$(journalctl --unit gateway@t0 | grep -c 'took over') $(unit NRestarts)" | note took_over
systemctl is-active gateway@t0 | note after_upgrade
cmp /etc/gateway/t0.conf /root/before && echo same | note file
pid=$(unit MainPID)
kill -STOP $pid
for _ in $(seq 400); do [ "$(unit NRestarts)" = 1 ] && [ "$(unit SubState)" = running ] && break; sleep 0.1; done
echo "$(unit NRestarts) $(unit SubState)" | note watchdog
systemctl stop gateway@t0
unit Result | note result
grep nameserver /etc/resolv.conf | note resolver_after
nft list tables | note tables_after
systemctl enable --now gateway@t0
dpkg --purge gateway
systemctl is-active gateway@t0 | note after_purge
getent passwd gateway | note user_after
find / /run -xdev -name '*gateway*' -not -path '/run/systemd/*' -not -path '/root/*' | tr '\\n' ' ' | note left
"""


class Host:
    """A machine: a folder with a system, entered by chroot."""

    # What dpkg and the tools for users write down for themselves, and what the test itself brought.
    EXPECTED = ("var/lib/dpkg/", "var/log/", "var/cache/", "var/lib/systemd", "dev/", "proc/", "etc/passwd-", "etc/group-",
                "etc/shadow-", "etc/gshadow-", "root/")

    def __init__(self, name, system, root):
        self.name, self.root = name, root
        root.mkdir()
        subprocess.run(["tar", "--extract", "--file", system, "--directory", root, "--exclude=./dev/*"], check=True)

    def bring(self, file):
        shutil.copy(file, self.root / "root")
        return f"/root/{file.name}"

    def run(self, *words):
        """What a command in it says."""
        done = subprocess.run(self.command(*words), capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, f"{words}: {done.stdout}{done.stderr}"
        return done.stdout

    def command(self, *words):
        mounts = f"mount --bind /dev {self.root}/dev && mount -t proc proc {self.root}/proc"
        return ["unshare", "--mount", "sh", "-c", f'{mounts} && exec env DEBIAN_FRONTEND=noninteractive LC_ALL=C '
                f'PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot {self.root} "$@"', "sh", *map(str, words)]

    def boot(self):
        """Starts it as a machine with a network of its own, waits for its end, and gives what was noted in it."""
        words = (f"mount -t tmpfs tmpfs /run/systemd && mkdir /run/systemd/nspawn && exec script --quiet --return --command "
                 f"'systemd-nspawn --quiet --directory={self.root} --boot --register=no --keep-unit --private-network "
                 f"--capability=CAP_NET_ADMIN --bind=/dev/net/tun' /dev/null")
        done = subprocess.run(["unshare", "--mount", "sh", "-c", words], capture_output=True, text=True, timeout=150,
                              stdin=subprocess.DEVNULL)
        said = self.root / "root/said"
        assert said.exists(), done.stdout + done.stderr
        lines = [line for line in said.read_text().splitlines() if "=" in line]
        assert lines and lines[-1].startswith("left="), (self.root / "root/errors").read_text()
        return {name.strip(): value.strip() for name, _, value in (line.partition("=") for line in lines)}

    def daemon(self, namespace):
        """The gateway in that namespace."""
        return Daemon(namespace, self.root.with_suffix(".log"), self.command(
            "gateway", "run", "--config", f"/etc/gateway/{self.name}.conf"))

    @property
    def socket(self):
        return self.root / f"run/gateway/{self.name}.sock"

    def state(self):
        """Every file, and the users and groups."""
        files = {str(path.relative_to(self.root)) for path in self.root.rglob("*")}
        lists = ["passwd", "group", "shadow", "gshadow"]
        return ({file for file in files if not f"{file}/".startswith(self.EXPECTED)},
                [(self.root / "etc" / name).read_text() for name in lists])
