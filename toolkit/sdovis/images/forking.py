"""The caller's end of the process that forks children for `isolation`: started when needed, and again if it was killed."""

from __future__ import annotations

import atexit
import contextlib
import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

from sdovis.images.children import receive, send

#: The children already share the cores; a server without threads of its own forks safely.
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class ForkServer:
    """The process that forks children, as its caller sees it. Its requests may come from several threads."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        # sys.path is passed explicitly: the working directory or a script's folder may be on it.
        code = f"import sys; sys.path[:] = {sys.path!r}\nfrom sdovis.images.children import serve; serve({theirs.fileno()})"
        self.owner = os.getpid()
        self.socket = ours
        self.lock = threading.Lock()
        self.process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            env=os.environ | ONE_THREAD,
            pass_fds=[theirs.fileno()],
            start_new_session=True,  # Ctrl-C is for the caller to handle
        )
        theirs.close()

    def fork(self, function: bytes, imports: tuple[str, ...], memory_bytes: int) -> tuple[int, socket.socket]:
        """A new child's pid and the socket to it. Raises `RuntimeError` if it cannot import its work."""
        ours, theirs = socket.socketpair()
        with theirs, self.lock:
            send(self.socket, [pickle.dumps(("fork", function, imports, memory_bytes, sys.path, str(Path.cwd())))])
            socket.send_fds(self.socket, [b"f"], [theirs.fileno()])
            pid, problem = pickle.loads(receive(self.socket)[0])
        if problem:
            ours.close()
            raise RuntimeError(f"a child process could not be started: {problem}")
        return pid, ours

    def end(self, pid: int) -> tuple[str, int]:
        """End a child. Returns why it had ended, if it had, and its peak memory; in a fork of the caller it is another's."""
        if self.owner != os.getpid():
            return "its process ended", 0
        try:
            with self.lock:
                send(self.socket, [pickle.dumps(("end", pid))])
                status, peak = pickle.loads(receive(self.socket)[0])
        except (EOFError, OSError):  # without the server the reason is unknown; an orphan ends when its socket closes
            return "its process ended", 0
        return _said(status), peak

    def close(self) -> None:
        if self.owner != os.getpid():  # a fork of the caller
            return
        with contextlib.suppress(OSError):
            # Closing is not enough: a fork of the caller may also hold the socket.
            send(self.socket, [pickle.dumps(("stop",))])
        try:
            self.process.wait(5)
        except subprocess.TimeoutExpired:
            self.process.kill()


_server: ForkServer | None = None
_server_lock = threading.Lock()


def child(function: bytes, imports: tuple[str, ...], memory_bytes: int) -> tuple[ForkServer, int, socket.socket]:
    """A new child: the server that forked it, its pid, and the socket to it. Raises as `ForkServer.fork` does."""
    global _server
    for attempt in (1, 2):
        with _server_lock:
            if _server is None or _server.owner != os.getpid():
                _server = ForkServer()
                atexit.register(_server.close)
            server = _server
        try:
            return server, *server.fork(function, imports, memory_bytes)
        except (EOFError, OSError):  # the server itself was killed
            with _server_lock:
                if _server is server:
                    _server = None
            if attempt == 2:
                raise
    raise AssertionError


def _said(status: int) -> str:
    if not os.WIFSIGNALED(status):
        return f"ended the process that read it (exit code {os.waitstatus_to_exitcode(status)})"
    name = signal.Signals(os.WTERMSIG(status)).name
    if name == "SIGKILL":
        return "the process that read it was killed, perhaps because memory ran out"
    return f"crashed the process that read it ({name})"
