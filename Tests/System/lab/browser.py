"""A client with a secret cookie that any page can make send requests, and a web server: plaintext HTTP between the hosts."""

import socket
import threading

from .traffic import tcp_socket

# The fewer other headers, the fewer requests the attacker needs.
_REQUEST = "GET /{text} HTTP/1.1\r\nHost: shop.example\r\nAccept: */*\r\nCookie: session={secret}\r\n\r\n"
_ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"


class Browser:
    """Connected to a server of its own at `address` and `port` while the block runs."""

    def __init__(self, host, server, address, port, secret):
        self._secret = secret
        self._listener = _socket(server, address)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind((address, port))
        self._listener.listen(1)
        self._server = threading.Thread(target=self._serve, daemon=True)
        self._server.start()
        self._connection = _socket(host, address)
        self._connection.connect((address, port))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()
        self._server.join(10)
        self._listener.close()

    def get(self, text):
        """Asks for a page with that text in its address, sends the cookie along, and waits for the answer."""
        self._connection.sendall(_REQUEST.format(text=text, secret=self._secret).encode())
        assert self._connection.recv(4096) == _ANSWER

    def _serve(self):
        connection, _ = self._listener.accept()
        with connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            request = b""
            while piece := connection.recv(65_536):
                request += piece
                if request.endswith(b"\r\n\r\n"):
                    connection.sendall(_ANSWER)
                    request = b""


def _socket(namespace, address):
    made = tcp_socket(namespace, address, timeout=10)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made
