"""`gatewayctl dashboard`: one page for one browser, on the loopback, with live pictures of the peers."""

import http.client
import json
import os
import pathlib
import subprocess
import urllib.parse

import pytest

from lab import Lab, link, wait_until
from lab.chromium import CHROMIUM, Chromium
from lab.gateway import GATEWAYCTL

PICTURES = pathlib.Path(os.environ.get("GATEWAY_PICTURES", "/nonexistent"))
"""A folder for pictures to look at."""


@pytest.fixture(scope="module")
def lab():
    with Lab(ipv6=False) as lab, link(lab, compression="auto", a={"peer": ("#: Name = far",)}) as lab.gateways:
        yield lab


@pytest.fixture
def dashboard(lab):
    ours = lab.gateways[0]
    with subprocess.Popen([GATEWAYCTL, "dashboard", ours.name, "--json"], stdout=subprocess.PIPE, text=True,
                          env={**os.environ, "GATEWAY_RUN_DIR": str(ours.run_directory)}) as process:
        yield urllib.parse.urlsplit(json.loads(process.stdout.readline())["address"])
        process.kill()


def ask(port, path, cookie=None, method="GET", **headers):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, headers=headers | ({"Cookie": cookie} if cookie else {}))
    answer = connection.getresponse()
    answer.text = answer.read().decode()
    return answer


def enter(address):
    answer = ask(address.port, f"/?{address.query}")
    assert answer.status == 303 and answer.headers["Location"] == "/"
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie and "SameSite=Strict" in cookie
    return cookie.split(";")[0]


@pytest.mark.fast
def test_the_address_is_good_once_and_without_its_cookie_there_is_nothing(dashboard):
    port = dashboard.port
    assert dashboard.hostname == "127.0.0.1"
    for path in ("/", "/data", "/?token=", "/?token=" + "0" * 64):
        assert ask(port, path).status == 403
    cookie = enter(dashboard)
    assert ask(port, f"/?{dashboard.query}").status == 403 and ask(port, "/", "gateway=" + "0" * 64).status == 403
    page = ask(port, "/", cookie)
    assert page.status == 200 and "default-src 'none'" in page.headers["Content-Security-Policy"]
    assert "http://" not in page.text.replace("http://www.w3.org/2000/svg", "") and "https://" not in page.text
    data = json.loads(ask(port, "/data", cookie).text)
    assert data["statistics"]["peers"][0]["name"] == "far" and data["events"]


@pytest.mark.fast
def test_other_names_and_other_pages_get_nothing(dashboard):
    port, cookie = dashboard.port, enter(dashboard)
    for headers in ({"Host": f"evil.example:{port}"}, {"Host": "127.0.0.1"}, {"Host": f"127.0.0.1:{port}.evil.example"},
                    {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Sec_Fetch_Site": "cross-site"},
                    {"Sec_Fetch_Site": "same-site"}):
        assert ask(port, "/data", cookie, **headers).status == 403, headers
    assert ask(port, "/data", cookie, Origin=f"http://127.0.0.1:{port}", Sec_Fetch_Site="same-origin").status == 200
    assert ask(port, "/data", cookie, method="POST").status == 405


@pytest.mark.skipif(not CHROMIUM, reason="chromium is not installed")
@pytest.mark.parametrize("dark, width", [(False, 1200), (True, 1200), (False, 400), (True, 400)])
def test_a_browser_shows_the_peers_as_they_are_now(lab, dashboard, dark, width):
    with Chromium(width, 1000, dark=dark) as browser, subprocess.Popen(
            lab.a.host.command("ping", "-q", "-i", "0.005", "-s", "1200", "-p", "aa", lab.b.v4), stdout=subprocess.DEVNULL) as ping:
        browser.open(dashboard.geturl())
        wait_until(lambda: browser.ask("document.querySelectorAll('article.peer svg path').length") >= 12, "there are pictures", 20)
        wait_until(lambda: "bit/s" in (browser.ask("document.querySelector('.now').textContent") or ""), "and figures", 20)
        wait_until(lambda: (browser.ask("document.querySelectorAll('svg path')[1].getAttribute('d')") or "").count("L") >= 5,
                   "and some seconds of them", 20)
        wait_until(lambda: "icmp" in (browser.ask("document.querySelector('.services').textContent") or ""), "and the ratio by protocol", 20)
        spoken = browser.spoken()
        if PICTURES.is_dir():
            browser.picture(PICTURES / f"dashboard-{width}-{'dark' if dark else 'light'}.png")
        assert browser.ask("document.documentElement.scrollWidth") <= width, "it is as wide as the window"
        back = browser.ask("getComputedStyle(document.body).backgroundColor")
        ping.kill()
    assert (back == "rgb(16, 19, 22)") == dark, back
    assert not browser.errors, browser.errors
    assert ("heading", "far") in spoken and ("heading", "Events") in spoken
    assert ("heading", "Ratio by protocol, sent") in spoken
    images = [name for role, name in spoken if role in ("image", "img")]
    assert len(images) == 6 and images[0].startswith("Throughput of far: out inside ") and "bit/s" in images[0], images
    assert any("handshake done" in name for _, name in spoken)
