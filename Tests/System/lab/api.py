"""The control socket as a program that is not gatewayctl sees it: requests with their heads, streams, and whatever else one may send."""

import http.client
import json
import socket


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


def ask(gateway, method, path, body=None, headers=None):
    """One request over a connection of its own."""
    connection = http.client.HTTPConnection("gateway", timeout=10)
    connection.sock = connect(gateway)
    try:
        connection.request(method, path, body if body is None or isinstance(body, (str, bytes)) else json.dumps(body),
                           headers or {})
        return Answer(connection.getresponse())
    finally:
        connection.close()


def connect(gateway, timeout=10):
    """A connection on which nothing was said yet."""
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(timeout)
    one.connect(str(gateway.control))
    return one


def raw(gateway, sent, timeout=10):
    """What comes back until the other end closes; nothing if it closes at once."""
    with connect(gateway, timeout) as one:
        received = b""
        try:
            one.sendall(sent)
            while (part := one.recv(1 << 16)):
                received += part
        except (BrokenPipeError, ConnectionResetError):
            pass
        return received


class Events:
    """A stream of events: iterate over it for each as it comes, as kind and content."""

    def __init__(self, gateway, query=""):
        self._socket = connect(gateway)
        self._socket.sendall(f"GET /v1/events?follow=1{query} HTTP/1.0\r\nAccept: text/event-stream\r\n\r\n".encode())
        self._file = self._socket.makefile()
        self.status = int(self._file.readline().split()[1])
        while self._file.readline().strip():
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()
        self._socket.close()

    def next(self):
        """The next event; keepalives are passed over."""
        fields = {}
        while True:
            line = self._file.readline()
            assert line, "the stream ended"
            name, _, value = line.strip().partition(": ")
            if not line.strip() and "data" in fields:
                return fields["event"], json.loads(fields["data"])
            if name and value:
                fields[name] = value
