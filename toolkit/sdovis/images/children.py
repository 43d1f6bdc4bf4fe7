"""The server side of `isolation`: a process that forks children on request, and what the children do.

Imports little, and only the standard library: it is the first thing that the server loads.
"""

from __future__ import annotations

import os
import pickle
import signal
import socket
import struct
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any


def serve(fd: int) -> None:
    """Fork children on request until the caller's end of the socket closes, then kill any that are left."""
    control = socket.socket(fileno=fd)
    children: set[int] = set()
    try:
        while True:
            kind, *request = pickle.loads(receive(control)[0])
            if kind == "fork":
                reply: tuple[Any, ...] = _fork(control, *request)
                children.add(reply[0])
            elif kind == "stop":
                return
            else:
                (pid,) = request
                children.discard(pid)
                os.kill(pid, signal.SIGKILL)  # its exit is not collected yet: the pid is its own
                _, status, usage = os.wait4(pid, 0)
                reply = status, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
            send(control, [pickle.dumps(reply)])
    except (EOFError, OSError):
        pass
    finally:
        for pid in children - {0}:
            os.kill(pid, signal.SIGKILL)


def _fork(
    control: socket.socket, function: bytes, imports: tuple[str, ...], memory_bytes: int, path: list[str], folder: str
) -> tuple[int, str]:
    """The pid of a new child, or 0 and the reason there is none."""
    _, (fd, *_), *_ = socket.recv_fds(control, 1, 1)
    try:
        sys.path[:] = path
        for name in imports:
            __import__(name)
        work = pickle.loads(function)  # imports its modules here, once for all children
        os.chdir(folder)
        pid = os.fork()
    except Exception:
        os.close(fd)
        return 0, traceback.format_exc(limit=-2)
    if pid:
        os.close(fd)
        return pid, ""
    try:
        control.close()
        _work(socket.socket(fileno=fd), work, memory_bytes)
    finally:
        os._exit(0)


def _work(caller: socket.socket, function: Callable[[Any], Any], memory_bytes: int) -> None:
    """Answer tasks until the caller is gone, within the given memory limit."""
    _die_with_the_server()
    _limit_memory(memory_bytes)
    while True:
        try:
            (payload,) = receive(caller)
        except (EOFError, OSError):
            return
        buffers: list[pickle.PickleBuffer] = []
        try:
            answer = pickle.dumps(_answer(function, payload), protocol=5, buffer_callback=buffers.append)
        except MemoryError:
            answer, buffers = pickle.dumps(("memory", None)), []
        except Exception as error:  # a result that does not pickle
            answer, buffers = pickle.dumps(("error", RuntimeError(f"a result cannot be sent: {error}"))), []
        send(caller, [answer, *(buffer.raw() for buffer in buffers)])


def _answer(function: Callable[[Any], Any], payload: bytearray) -> tuple[str, Any]:
    try:
        return "result", function(pickle.loads(payload))
    except MemoryError:
        return "memory", None
    except Exception as error:
        text = traceback.format_exc()
        try:
            error.add_note(f"in a child process:\n{text}")
            return "error", pickle.loads(pickle.dumps(error))
        except Exception:  # many exceptions cannot be unpickled
            return "error", RuntimeError(text)


def _die_with_the_server() -> None:
    """If memory is short the system may kill the server, which would leave a hanging child (Linux; prctl(2))."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def _limit_memory(memory_bytes: int) -> None:
    import resource

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    statm = Path("/proc/self/statm")
    # macOS has no /proc and ignores the limit.
    held = int(statm.read_text().split()[0]) * resource.getpagesize() if statm.exists() else 2**33
    most = resource.getrlimit(resource.RLIMIT_AS)[1]
    wanted = held + memory_bytes
    resource.setrlimit(resource.RLIMIT_AS, (wanted if most < 0 else min(wanted, most), most))


# --- messages: number of parts, their lengths, the parts ---------------------------------------------------------------


def send(to: socket.socket, parts: Sequence[Any]) -> None:
    lengths = [memoryview(part).nbytes for part in parts]
    to.sendall(struct.pack(f"<I{len(parts)}Q", len(parts), *lengths))
    for part in parts:
        to.sendall(part)


def receive(source: socket.socket) -> list[bytearray]:
    (count,) = struct.unpack("<I", _exactly(source, 4))
    return [_exactly(source, n) for n in struct.unpack(f"<{count}Q", _exactly(source, 8 * count))]


def _exactly(source: socket.socket, length: int) -> bytearray:
    data = bytearray(length)
    rest = memoryview(data)
    while rest:
        got = source.recv_into(rest, 0, socket.MSG_WAITALL)
        if not got:
            raise EOFError
        rest = rest[got:]
    return data
