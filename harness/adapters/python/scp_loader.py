#!/usr/bin/env python3
"""The Python loader as an implementation under test: speaks the harness's pipe protocol.

A frame is a little-endian 32-bit length and that many bytes of JSON. The harness says hello, then sends
cases, each answered with the same sequence number; what a case left mapped is unmapped when the next frame
has arrived. Standard error is free for people.
"""

import json
import os
import platform
import struct
import sys
from typing import BinaryIO

from scp import call as calls
from scp.decode import Module, decode
from scp.image import Image, Unmappable
from scp.model import model
from scp.rules import architecture_name, check, find_function
from scp.violation import Violation

PROTOCOL = 1
MAX_FRAME = 16 << 20
DESCRIPTION = {
    "type": "hello",
    "protocol": PROTOCOL,
    "name": "python-scp-loader",
    "version": "0.1.0",
    "language": "Python",
    "formats": ["scp"],
    "architectures": [],
    "wants": ["validate", "load", "call"],
    "choices": {},
}
HOST = {"x86_64": "x86_64", "AMD64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}.get(
    platform.machine()
)


class Loader:
    """Judges files; keeps the last image mapped until it is released."""

    def __init__(self):
        self.image: Image | None = None

    def release(self) -> None:
        if self.image is not None:
            self.image.unmap()
        self.image = None

    def judge(self, case: dict) -> dict:
        """The reply to a case, without its sequence number."""
        if case["format"] != "scp":
            return {"skip": f"format {case['format']} is not read by this loader"}
        try:
            module = decode(bytes.fromhex(case["bytes"]))
            check(module)
            return self.go_on(module, case)
        except Violation as violation:
            return {
                "stage": violation.stage,
                "rule": violation.rule,
                "offset": violation.offset,
                "message": str(violation),
            }
        except Unmappable as error:
            return {"stage": "unmappable", "message": str(error)}

    def go_on(self, module: Module, case: dict) -> dict:
        """Goes as far with a valid file as the harness wants."""
        if case["want"] == "validate":
            return {"stage": "valid", "model": model(module)}
        if case["want"] == "call" and architecture_name(module) != HOST:
            return {"skip": f"code of {architecture_name(module)} is not called on this machine"}
        self.image = Image(module.code)
        reply = {"stage": "loaded", "model": model(module), "images": self.images()}
        if case["want"] == "call":
            reply |= self.call(module, case["call"])
        return reply

    def images(self) -> list[dict]:
        if not self.image.base:
            return []
        return [{"name": "code", "base": self.image.base, "size": self.image.size}]

    def call(self, module: Module, wanted: dict) -> dict:
        """Calls a function if it exists and has the types that the harness says it has."""
        function = find_function(module, wanted["function"])
        if function is None:
            return {"stage": "unresolvable", "message": f"no function `{wanted['function']}`"}
        declared = [param.value for param in function.params] + [function.return_type.value]
        types = [argument["type"] for argument in wanted["args"]] + [wanted["returns"]]
        if declared != [calls.TYPE_CODES[name] for name in types]:
            return {"stage": "unresolvable", "message": "the call's types are not the function's"}
        address = self.image.base + function.entry_offset.value
        result, buffers = calls.call(address, self.image, wanted["args"], wanted["returns"])
        return {"stage": "returned", "result": result, "buffers": buffers}


def serve(source: BinaryIO, sink: BinaryIO) -> None:
    loader = Loader()
    while (message := read_frame(source)) is not None:
        loader.release()
        match message["type"]:
            case "hello":
                write_frame(sink, DESCRIPTION)
            case "case":
                write_frame(sink, {"type": "result", "seq": message["seq"], **loader.judge(message)})
            case "bye":
                return
            case other:
                sys.exit(f"scp_loader: message `{other}` is not of this protocol")


def read_frame(source: BinaryIO) -> dict | None:
    """The next message; None when the stream ends between two frames."""
    prefix = source.read(4)
    if not prefix:
        return None
    length = struct.unpack("<I", prefix)[0] if len(prefix) == 4 else 0
    body = source.read(length) if length <= MAX_FRAME else b""
    if len(prefix) != 4 or len(body) != length:
        sys.exit("scp_loader: the input ends inside a frame, or is none")
    return json.loads(body)


def write_frame(sink: BinaryIO, message: dict) -> None:
    body = json.dumps(message, separators=(",", ":")).encode()
    sink.write(struct.pack("<I", len(body)) + body)
    sink.flush()


def main() -> None:
    # Frames go to a descriptor of their own: a stray print of called code or a library lands on stderr.
    with os.fdopen(os.dup(1), "wb") as sink:
        os.dup2(2, 1)
        serve(sys.stdin.buffer, sink)


if __name__ == "__main__":
    main()
