"""The harness's pipe protocol.

A frame is a little-endian 32-bit length and that many bytes of JSON. The harness says hello, then sends
cases, each answered with the same sequence number; what a case left mapped is unmapped when the next frame
has arrived. Standard error is free for people.
"""

import json
import os
import struct
import sys
from typing import BinaryIO, Protocol

PROTOCOL = 1
MAX_FRAME = 16 << 20


class Loader(Protocol):
    """A loader under test."""

    description: dict
    """What hello says, without `type` and `protocol`."""

    def judge(self, case: dict) -> dict:
        """The reply to a case, without its sequence number."""

    def release(self) -> None:
        """Unmaps what the last case left mapped."""


def serve(loader: Loader, source: BinaryIO, sink: BinaryIO) -> None:
    """Answers until bye or the end of the input."""
    while (message := read_frame(source)) is not None:
        loader.release()
        match message["type"]:
            case "hello":
                hello = {"type": "hello", "protocol": PROTOCOL, **loader.description}
                write_frame(sink, hello)
            case "case":
                reply = {"type": "result", "seq": message["seq"], **loader.judge(message)}
                write_frame(sink, reply)
            case "bye":
                return
            case other:
                sys.exit(f"message `{other}` is not of this protocol")


def serve_standard_streams(loader: Loader) -> None:
    """Answers on the standard streams, the way a program under test does."""
    # Frames go to a descriptor of their own: a stray print of called code or a library lands on stderr.
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        serve(loader, sys.stdin.buffer, sink)


def read_frame(source: BinaryIO) -> dict | None:
    """The next message; None when the stream ends between two frames."""
    prefix = source.read(4)
    if not prefix:
        return None
    length = struct.unpack("<I", prefix)[0] if len(prefix) == 4 else 0
    body = source.read(length) if length <= MAX_FRAME else b""
    if len(prefix) != 4 or len(body) != length:
        sys.exit("the input ends inside a frame, or is none")
    return json.loads(body)


def write_frame(sink: BinaryIO, message: dict) -> None:
    body = json.dumps(message, separators=(",", ":")).encode()
    sink.write(struct.pack("<I", len(body)) + body)
    sink.flush()
