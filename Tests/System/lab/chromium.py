"""A headless browser, driven over its debugging pipe."""

import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
import tempfile

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


class Chromium:
    """One page."""

    def __init__(self, width=1200, height=900, dark=False):
        # Its processes may write there still while they are ended.
        self._home = tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True)
        to_us, to_it = os.pipe(), os.pipe()

        def place():
            os.dup2(to_it[0], 3)
            os.dup2(to_us[1], 4)

        self._process = subprocess.Popen(
            [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe", "--disable-dev-shm-usage",
             "--no-first-run", "--disable-background-networking", f"--user-data-dir={self._home.name}", "about:blank"],
            preexec_fn=place, close_fds=False, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to_it[0])
        os.close(to_us[1])
        self._out, self._in = os.fdopen(to_it[1], "wb", 0), os.fdopen(to_us[0], "rb", 0)
        self._numbers, self._rest, self.errors = itertools.count(1), b"", []
        target = next(one for one in self.call("Target.getTargets", session=None)["targetInfos"] if one["type"] == "page")
        self._session = self.call("Target.attachToTarget", session=None, targetId=target["targetId"], flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Accessibility"):
            self.call(f"{domain}.enable")
        self.size(width, height)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        # All of its processes.
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._home.cleanup()

    def call(self, method, session="page", **parameters):
        number = next(self._numbers)
        message = {"id": number, "method": method, "params": parameters}
        if session == "page":
            message["sessionId"] = self._session
        self._out.write(json.dumps(message).encode() + b"\0")
        while True:
            while b"\0" not in self._rest:
                part = self._in.read(1 << 16)
                assert part, "the browser has ended"
                self._rest += part
            one, _, self._rest = self._rest.partition(b"\0")
            said = json.loads(one)
            if said.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.errors.append(said["params"])
            if said.get("id") == number:
                assert "error" not in said, said
                return said["result"]

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, address):
        self.call("Page.navigate", url=address)

    def ask(self, expression):
        """What an expression is on the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)["result"].get("value")

    def picture(self, file):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        file.write_bytes(base64.b64decode(data))

    def spoken(self):
        """Roles and names of what a screen reader finds."""
        nodes = self.call("Accessibility.getFullAXTree")["nodes"]
        return [(one["role"]["value"], one.get("name", {}).get("value", "")) for one in nodes if not one.get("ignored")]
