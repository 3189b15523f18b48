"""Typed calls through ctypes, exact for every bit pattern.

A ctypes float goes through a Python float: a conversion, which quiets a signalling NaN and loses its
payload's place. A structure whose only member is that float is copied byte by byte instead, and the C
conventions of x86_64 and ARM64 pass and return such a structure exactly like its member.
"""

import ctypes
import struct
from typing import NamedTuple, Protocol


class Image(Protocol):
    """Where code lies: the address of its first byte and its size in bytes."""

    base: int
    size: int


class Range(NamedTuple):
    """An image and nothing more."""

    base: int
    size: int


class Float32(ctypes.Structure):
    _fields_ = (("value", ctypes.c_float),)


class Float64(ctypes.Structure):
    _fields_ = (("value", ctypes.c_double),)


INTEGERS = {
    "int8": ctypes.c_int8,
    "int16": ctypes.c_int16,
    "int32": ctypes.c_int32,
    "int64": ctypes.c_int64,
}
FLOATS = {"float32": (Float32, "<I"), "float64": (Float64, "<Q")}
ADDRESSES = ("pointer", "struct_ref")
ALIGNMENT = 16  # enough for every scalar and vector


class Buffer:
    """A writable copy behind a pointer argument. One byte more than its size is reserved, so that the
    address one past the end belongs to no other buffer."""

    def __init__(self, content: bytes):
        self.size = len(content)
        self.memory = ctypes.create_string_buffer(self.size + ALIGNMENT)
        start = ctypes.addressof(self.memory)
        self.address = -(-start // ALIGNMENT) * ALIGNMENT
        ctypes.memmove(self.address, content, self.size)

    def content(self) -> bytes:
        return ctypes.string_at(self.address, self.size)


def call(address: int, image: Image, arguments: list[dict], returns: str) -> tuple[dict, list[str]]:
    """Calls the function at `address`; gives the result and the buffers, in the protocol's terms."""
    buffers: list[Buffer] = []
    values = [argument_value(argument, buffers) for argument in arguments]
    prototype = ctypes.CFUNCTYPE(c_type(returns), *(c_type(argument["type"]) for argument in arguments))
    result = prototype(address)(*values)
    returned = {"type": returns, **returned_value(returns, result, buffers, image)}
    return returned, [buffer.content().hex() for buffer in buffers]


def c_type(name: str):
    if name == "void":
        return None
    if name in FLOATS:
        return FLOATS[name][0]
    return INTEGERS.get(name, ctypes.c_void_p)


def argument_value(argument: dict, buffers: list[Buffer]):
    name = argument["type"]
    if name in FLOATS:
        structure, code = FLOATS[name]
        return structure.from_buffer_copy(struct.pack(code, argument["bits"]))
    if name in INTEGERS:
        return argument["value"]
    if argument["bytes"] is None:
        return None
    buffers.append(Buffer(bytes.fromhex(argument["bytes"])))
    return buffers[-1].address


def returned_value(returns: str, result, buffers: list[Buffer], image: Image) -> dict:
    if returns in FLOATS:
        (bits,) = struct.unpack(FLOATS[returns][1], bytes(result))
        return {"bits": bits}
    if returns in INTEGERS:
        return {"value": result}
    return relative(result or 0, buffers, image) if returns in ADDRESSES else {}


def relative(address: int, buffers: list[Buffer], image: Image) -> dict:
    """An address, said relative to something that the harness knows too."""
    if address == 0:
        return {"into": "null"}
    for index, buffer in enumerate(buffers):
        if 0 <= address - buffer.address <= buffer.size:
            return {"into": "buffer", "index": index, "offset": address - buffer.address}
    if 0 <= address - image.base < image.size:
        return {"into": "image", "offset": address - image.base}
    return {"into": "other", "address": address}
