"""SWPC's warehouse on 127.0.0.1: as much of FTP as a client needs that loads files (RFC 959, RFC 3659)."""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Mapping


class FtpArchive:
    """Serves ``files`` to guests. The first file is cut off after ``cut_after`` bytes; ``rests`` are where clients went on."""

    def __init__(self, files: Mapping[str, bytes], cut_after: int | None = None) -> None:
        self.files, self.cut_after, self.rests = files, cut_after, list[int]()
        handler = type("Session", (_Session,), {"archive": self})
        self._server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.address = f"ftp://127.0.0.1:{self._server.server_address[1]}/"

    def __enter__(self) -> FtpArchive:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Session(socketserver.StreamRequestHandler):
    archive: FtpArchive

    def handle(self) -> None:
        self._start = 0
        self._say("220 ready")
        while line := self.rfile.readline().decode().strip():
            verb, _, told = line.partition(" ")
            if verb.upper() == "QUIT":
                self._say("221 bye")
                return
            getattr(self, f"_{verb.lower()}", self._unknown)(told)

    def _say(self, line: str) -> None:
        self.wfile.write(f"{line}\r\n".encode())

    def _unknown(self, told: str) -> None:
        self._say("502 not here")

    def _user(self, told: str) -> None:
        self._say("331 a guest?" if told == "anonymous" else "530 no")

    def _pass(self, told: str) -> None:
        self._say("230 welcome")

    def _type(self, told: str) -> None:
        self._say("200 as it is")

    def _size(self, told: str) -> None:
        self._say(f"213 {len(self.archive.files[told])}" if told in self.archive.files else "550 no such file")

    def _mdtm(self, told: str) -> None:
        self._say("213 20120101003000")

    def _pasv(self, told: str) -> None:
        self._waiting = socket.create_server(("127.0.0.1", 0))
        port = self._waiting.getsockname()[1]
        self._say(f"227 come here (127,0,0,1,{port // 256},{port % 256})")

    def _rest(self, told: str) -> None:
        self._start = int(told)
        self.archive.rests.append(self._start)
        self._say("350 from there")

    def _retr(self, told: str) -> None:
        self._say("150 here it comes")
        data, cut = self.archive.files[told][self._start :], self.archive.cut_after
        self.archive.cut_after, self._start = None, 0
        with self._waiting, self._waiting.accept()[0] as line:
            line.sendall(data if cut is None else data[:cut])
        self._say("226 all of it" if cut is None else "426 the connection broke")
