"""A real browser without a window, driven over its DevTools protocol."""

from __future__ import annotations

import base64
import io
import itertools
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import numpy as np
from numpy.typing import NDArray
from PIL import Image

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",  # needed by root, and every page here is our own
    "--disable-dev-shm-usage",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--no-first-run",
    "--remote-debugging-port=0",
    "--window-size=960,600",
)
PATIENCE = 80.0  # [s]: without a GPU, and on a busy machine, a frame takes seconds


class BrowserMissing(Exception):
    """There is no browser, or none that works."""


def find_browser() -> str | None:
    """Return the path of a Chromium, or None where none is installed."""
    return next((path for path in map(shutil.which, NAMES) if path), None)


class Browser:
    """One page of a browser of its own."""

    def __init__(self, url: str, folder: Path) -> None:
        from websockets.sync.client import connect

        program = find_browser()
        if program is None:
            raise BrowserMissing("no Chromium is installed: apt-get install chromium-headless-shell")
        command = [program, *FLAGS, f"--user-data-dir={folder}", "about:blank"]
        # A session of its own: Debian's program is a script, and ending that leaves the browser behind.
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, start_new_session=True
        )
        port = self._port()
        pages = json.load(urlopen(f"http://127.0.0.1:{port}/json/list", timeout=PATIENCE))
        address = next(page["webSocketDebuggerUrl"] for page in pages if page["type"] == "page")
        self._socket = connect(address, max_size=None)
        self._numbers = itertools.count(1)
        self.requested: list[str] = []
        self.call("Network.enable")
        self.call("Page.enable")
        self.open(url)

    def open(self, url: str) -> None:
        """Go to an address."""
        self.call("Page.navigate", url=url)

    def _port(self) -> int:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if "DevTools listening on" in line:
                threading.Thread(target=self._process.stderr.read, daemon=True).start()  # never let the pipe fill
                return int(line.split("127.0.0.1:")[1].split("/")[0])
        raise BrowserMissing("the browser that is installed does not start here")

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call the browser; requests the page makes meanwhile are noted."""
        number = next(self._numbers)
        self._socket.send(json.dumps({"id": number, "method": method, "params": parameters}))
        while True:
            message = json.loads(self._socket.recv(timeout=PATIENCE))
            if message.get("method") == "Network.requestWillBeSent":
                self.requested.append(message["params"]["request"]["url"])
            if message.get("method") == "Network.webSocketCreated":
                self.requested.append(message["params"]["url"])
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                return dict(message["result"])

    def evaluate(self, expression: str) -> Any:
        """Return the value of an expression in the page."""
        return self.call("Runtime.evaluate", expression=expression, returnByValue=True)["result"].get("value")

    def text(self) -> str:
        """Everything the page says."""
        return str(self.evaluate("document.body ? document.body.innerText : ''"))

    def wait_for(self, words: str) -> str:
        """Return the text of the page once it holds some words."""
        deadline = time.monotonic() + PATIENCE
        while words not in (text := self.text()):
            assert time.monotonic() < deadline, f"the page never said '{words}', but: {text}"
            time.sleep(0.1)
        return text

    def click(self, words: str) -> None:
        """Click what has a text, as a mouse does, once it is there and enabled."""
        centre = (
            "(() => { const all = [...document.querySelectorAll('body *')].filter(e => e.offsetParent"
            f" && !e.closest('button')?.disabled && (e.innerText ?? '').trim() === {json.dumps(words)});"
            "if (!all.length) return null; const r = all[all.length - 1].getBoundingClientRect();"
            "return [r.x + r.width / 2, r.y + r.height / 2];"
            "})()"
        )
        deadline = time.monotonic() + PATIENCE
        while (place := self.evaluate(centre)) is None:
            assert time.monotonic() < deadline, f"nothing to click that says '{words}' in: {self.text()}"
            time.sleep(0.1)
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=place[0], y=place[1], button="left", clickCount=1)

    def screenshot(self) -> NDArray[np.uint8]:
        """Return (H, W, 3) of what the page looks like."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def close(self) -> None:
        """End the browser."""
        self._socket.close()
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
