"""Programs that say little at a time, from one host of a lab to the other: each says, of its own accord, what programs of its kind do."""

import contextlib
import http.server
import json
import random
import re
import socket
import subprocess
import threading
import time

from lab import Daemon, wait_until

SECONDS = 15
"""That each takes, about."""


class Program:
    """What runs at the two hosts. `run` returns when all was said."""

    def __init__(self, place):
        self.near, self.far, self.directory = place.a, place.b, place.directory
        self.dice = random.Random(20)

    @contextlib.contextmanager
    def served(self):
        yield

    def daemon(self, site, name, *argv, environment=None):
        return Daemon(site.host, self.directory / f"{name}.log", argv, environment)

    def write(self, name, text):
        file = self.directory / name
        file.write_text(text)
        return file

    @staticmethod
    def wait_for_port(site, option, port):
        wait_until(lambda: site.host.run("ss", f"-Hln{option}", f"sport = :{port}").stdout, f"somebody listens at port {port}")

    def finish(self, processes):
        for process in processes:
            assert process.wait(SECONDS * 4) == 0, f"{process.args[4]} ended with {process.returncode}"


class Names(Program):
    """dnsmasq answers dig, which asks from another port each time."""

    title = "DNS: dnsmasq, dig"
    _COUNT = 250
    _KINDS = ("www", "mail", "api", "cdn", "static", "ns1", "ns2", "img", "login", "files")

    def __init__(self, place):
        super().__init__(place)
        words = ["north", "river", "paper", "copper", "lantern", "orchard", "harbour", "meadow", "signal", "granite"]
        domains = [f"{self.dice.choice(words)}{self.dice.choice(words)}.{self.dice.choice(['com', 'net', 'org', 'de'])}"
                   for _ in range(40)]
        self.names = [f"{kind}.{domain}" for domain in domains for kind in self._KINDS]
        self.domains = domains

    @contextlib.contextmanager
    def served(self):
        number = lambda: self.dice.randrange(1, 255)  # noqa: E731
        hosts = self.write("names", "".join(
            f"{number()}.{number()}.{number()}.{number()} {name}\n2001:db8:{number():x}::{number():x} {name}\n"
            for name in self.names))
        mail = [option for domain in self.domains for option in (
            f"--mx-host={domain},mail.{domain},10", f"--txt-record={domain},v=spf1 mx include:_spf.{domain} -all")]
        with self.daemon(self.far, "dnsmasq", "dnsmasq", "--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                         f"--addn-hosts={hosts}", "--bind-interfaces", f"--listen-address={self.far.v4}", "--pid-file=",
                         "--user=root", "--local-ttl=300", *mail):
            self.wait_for_port(self.far, "u", 53)
            yield

    def run(self):
        # A few names are asked for again and again, most of them seldom.
        asked = [self.names[min(int(self.dice.paretovariate(0.6)) - 1, len(self.names) - 1)] for _ in range(self._COUNT)]
        questions = self.write("questions", "".join(
            f"{domain} MX\n" if (domain := name.partition(".")[2]) and self.dice.random() < 0.1 else
            f"{name} {self.dice.choice(['A', 'A', 'A', 'AAAA'])}\n" for name in asked))
        said = self.near.host.run("dig", "-f", questions, f"@{self.far.v4}", "+tries=1", timeout=60).stdout
        assert said.count("status: NOERROR") > 0.9 * self._COUNT, "names were not answered"


class Logs(Program):
    """rsyslogd sends what is logged at one host to the other's."""

    title = "syslog: rsyslogd, UDP"
    _A_SECOND = 20

    def __init__(self, place):
        super().__init__(place)
        # The path of a Unix socket is short.
        self.socket = self.directory / "log"

    @contextlib.contextmanager
    def served(self):
        sender = self.write("sender.conf", f"""
            global(workDirectory="{self.directory}")
            module(load="imuxsock" SysSock.Use="off")
            input(type="imuxsock" Socket="{self.socket}" CreatePath="off" RateLimit.Interval="0")
            *.* action(type="omfwd" target="{self.far.v4}" port="514" protocol="udp")\n""")
        receiver = self.write("receiver.conf", f"""
            global(workDirectory="{self.directory}")
            module(load="imudp")
            input(type="imudp" address="{self.far.v4}" port="514")
            *.* action(type="omfile" file="{self.directory}/received")\n""")
        with self.daemon(self.far, "receiver", "rsyslogd", "-n", "-i", "NONE", "-f", receiver), \
                self.daemon(self.near, "sender", "rsyslogd", "-n", "-i", "NONE", "-f", sender):
            self.wait_for_port(self.far, "u", 514)
            wait_until(self.socket.exists, "rsyslogd listens")
            yield

    def run(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as log:
            for _ in range(self._A_SECOND * SECONDS):
                priority, tag, text = self._line()
                log.sendto(f"<{priority}>{time.strftime('%b %e %H:%M:%S')} {tag}: {text}".encode(), str(self.socket))
                time.sleep(self.dice.expovariate(self._A_SECOND))
        lines = len((self.directory / "received").read_text().splitlines())
        assert lines >= 0.9 * self._A_SECOND * SECONDS, f"{lines} lines arrived"

    def _line(self):
        dice = self.dice
        address = f"{dice.randrange(1, 224)}.{dice.randrange(256)}.{dice.randrange(256)}.{dice.randrange(256)}"
        process, port = dice.randrange(300, 99999), dice.randrange(1024, 65536)
        user = dice.choice(["root", "admin", "deploy", "backup", "git", "oracle", "test", "ubuntu"])
        unit = dice.choice(["logrotate", "apt-daily", "man-db", "fstrim", "certbot", "phpsessionclean", "sysstat-collect"])
        message = "".join(dice.choice("0123456789ABCDEF") for _ in range(10))
        return dice.choice([
            (86, f"sshd[{process}]", f"Failed password for {user} from {address} port {port} ssh2"),
            (86, f"sshd[{process}]", f"Invalid user {user} from {address} port {port}"),
            (86, f"sshd[{process}]", f"Connection closed by authenticating user {user} {address} port {port} [preauth]"),
            (78, f"CRON[{process}]", f"({user}) CMD (cd /srv/{unit} && ./run-parts --report /etc/cron.hourly)"),
            (30, "systemd[1]", f"Starting {unit}.service - {unit.title()}..."),
            (30, "systemd[1]", f"{unit}.service: Deactivated successfully."),
            (22, f"postfix/smtpd[{process}]", f"connect from unknown[{address}]"),
            (22, f"postfix/qmgr[{process}]", f"{message}: from=<{user}@example.org>, size={port}, nrcpt=1 (queue active)"),
            (4, "kernel", f"[{process}.{port}] [UFW BLOCK] IN=eth0 OUT= MAC=52:54:00:12:34:56:52:55:0a:00:02:02:08:00 SRC={address}"
                f" DST=10.0.2.15 LEN=40 TOS=0x00 PREC=0x00 TTL=242 ID={port} PROTO=TCP SPT={port} DPT=23 WINDOW=1024 RES=0x00 SYN URGP=0"),
            (30, f"dhcpd[{process}]", f"DHCPACK on 10.20.{dice.randrange(8)}.{dice.randrange(256)} to 00:16:3e:{dice.randrange(256):02x}:"
                f"{dice.randrange(256):02x}:{dice.randrange(256):02x} via eth1")])


class Sensors(Program):
    """Sensors publish to a broker, and somebody has subscribed to them all."""

    title = "MQTT: mosquitto"
    _SENSORS, _EACH = 6, 0.5

    @contextlib.contextmanager
    def served(self):
        conf = self.write("mosquitto.conf", f"listener 1883 {self.far.v4}\nallow_anonymous true\npersistence false\nuser root\n")
        with self.daemon(self.far, "mosquitto", "mosquitto", "-c", conf):
            self.wait_for_port(self.far, "t", 1883)
            with self.daemon(self.near, "subscriber", "mosquitto_sub", "-h", self.far.v4, "-t", "#", "-i", "watch"):
                time.sleep(0.5)
                yield

    def run(self):
        sensors = [subprocess.Popen(
            self.near.host.command("mosquitto_pub", "-l", "-q", number % 2, "-h", self.far.v4, "-i", f"sensor-{number}", "-t",
                                   f"plant/hall{number % 3}/line{number}/climate"), stdin=subprocess.PIPE, text=True)
                   for number in range(self._SENSORS)]
        state = [[20 + number, 40 + number, 3.3] for number in range(self._SENSORS)]
        for turn in range(int(SECONDS / self._EACH)):
            for number, sensor in enumerate(sensors):
                values = state[number] = [value + self.dice.gauss(0, spread) for value, spread in zip(state[number], (0.1, 0.3, 0.001))]
                sensor.stdin.write(json.dumps({
                    "device": f"TH-{4711 + number}", "time": 1796040000 + turn, "temperature": round(values[0], 2),
                    "humidity": round(values[1], 1), "battery": round(values[2], 3), "rssi": -self.dice.randrange(50, 80)}) + "\n")
                sensor.stdin.flush()
                time.sleep(self._EACH / self._SENSORS)
        for sensor in sensors:
            sensor.stdin.close()
        self.finish(sensors)


class Calls(Program):
    """SIPp calls SIPp."""

    title = "SIP: sipp, UDP"
    _A_SECOND = 4

    @contextlib.contextmanager
    def served(self):
        with self.daemon(self.far, "uas", "sipp", "-sn", "uas", "-i", self.far.v4, "-p", 5060, "-nostdin", environment={"TERM": "dumb"}):
            self.wait_for_port(self.far, "u", 5060)
            yield

    def run(self):
        said = self.near.host.run(
            "sipp", "-sn", "uac", f"{self.far.v4}:5060", "-i", self.near.v4, "-r", self._A_SECOND, "-m", self._A_SECOND * SECONDS,
            "-d", 500, "-nostdin", check=False, cwd=self.directory)
        made = re.findall(r"Successful call\s*\|\s*\d+\s*\|\s*(\d+)", said.stdout)
        # What is late on a busy machine is sent again, and sipp gives that call up.
        assert made and int(made[-1]) > 0.9 * self._A_SECOND * SECONDS, f"sipp ended with {said.returncode}: {made} calls"


class Orders(Program):
    """curl asks an HTTP API again and again, on connections that stay."""

    title = "HTTP: curl, small JSON"
    _CLIENTS, _A_SECOND = 4, 5
    _PORT = 8000
    each = _A_SECOND * SECONDS

    @contextlib.contextmanager
    def served(self):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_GET(self):
                body = json.dumps(order(int(self.path.rpartition("/")[2]))).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json; charset=utf-8")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer((self.far.v4, self._PORT), Handler, bind_and_activate=False)
        server.daemon_threads = True
        server.socket.close()
        server.socket = self.far.host.socket(socket.AF_INET, socket.SOCK_STREAM)
        server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.server_name, server.server_port = "api", self._PORT
        server.socket.bind(server.server_address)
        server.server_activate()
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            server.socket.close()

    def run(self):
        self.finish([subprocess.Popen(self.near.host.command(*self.command(number)), stdout=subprocess.DEVNULL)
                     for number in range(self._CLIENTS)])

    def command(self, number):
        first = 1000 * (number + 1)
        return ("curl", "-sf", "--rate", f"{self._A_SECOND}/s", "-H", "Authorization: Bearer 6f1c0e2b9d4a47d1a9ee",
                f"http://{self.far.v4}:{self._PORT}/api/v1/orders/[{first}-{first + self.each - 1}]")


class SingleOrders(Orders):
    """The same, a connection for each."""

    title = "HTTP: a connection each"

    def command(self, number):
        return super().command(number)[:1] + ("-H", "Connection: close") + super().command(number)[1:]


def order(number):
    """What the API says of an order."""
    dice = random.Random(number)
    items = [{"sku": f"{dice.choice('ABCD')}{dice.randrange(1000, 9999)}", "quantity": dice.randrange(1, 9), "price": dice.randrange(99, 9999) / 100}
             for _ in range(dice.randrange(1, 5))]
    return {"id": number, "status": dice.choice(["open", "paid", "shipped", "returned"]),
            "customer": {"id": dice.randrange(10000, 99999), "country": dice.choice(["DE", "FR", "NL", "PL"])},
            "created": f"2026-11-{dice.randrange(1, 30):02}T{dice.randrange(24):02}:{dice.randrange(60):02}:00Z", "items": items,
            "total": round(sum(one["quantity"] * one["price"] for one in items), 2)}


PROGRAMS = {"dns": Names, "syslog": Logs, "mqtt": Sensors, "sip": Calls, "http": Orders, "http1": SingleOrders}
