"""A device's web server that does nothing but move bytes: `GET /N` answers with N of them, `POST` takes a body."""

import socket

CHUNK = 1 << 18
PORT = 80


def main() -> None:
    """One request a connection, one connection after the other."""
    listener = socket.create_server(("0.0.0.0", PORT))
    print("ready", flush=True)
    while True:
        connection, _ = listener.accept()
        connection.settimeout(10)
        with connection:
            try:
                answer(connection)
            except OSError:
                continue  # who asked has gone


def answer(connection: socket.socket) -> None:
    head, _, rest = _until(connection, b"\r\n\r\n").partition(b"\r\n\r\n")
    request, *fields = head.decode("latin-1").split("\r\n")
    method, path, _ = request.split(" ")
    lengths = [int(field.partition(":")[2]) for field in fields if field.lower().startswith("content-length:")]
    buffer, left = bytearray(CHUNK), sum(lengths) - len(rest)
    while left > 0:
        left -= connection.recv_into(buffer) or left
    size = int(path.strip("/") or 0) if method == "GET" else 0
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % size)
    zeros = memoryview(bytes(CHUNK))
    while size > 0:
        piece = zeros[: min(size, CHUNK)]
        connection.sendall(piece)
        size -= len(piece)


def _until(connection: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        received = connection.recv(65536)
        if not received:
            raise ConnectionError("the request ended in its head")
        data += received
    return data


if __name__ == "__main__":
    main()
