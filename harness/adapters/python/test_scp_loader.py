#!/usr/bin/env python3
"""Tests of the Python loader by itself: `python3 -m unittest` in this folder.

The frozen vectors under conformance/ test it against the spec; here is what they cannot say: exact floats,
the framing, and what happens to a mapping.
"""

import io
import json
import struct
import unittest
import zlib

from blob import host
from blob.pipe import read_frame, serve, write_frame
from scp_loader import Loader

RET = bytes.fromhex("c3")
ADD = bytes.fromhex("8d0437c3")  # lea eax, [rdi + rsi]; ret
HEADER_SIZE_AT, CHECKSUM_AT = 8, 24


def build(code: bytes, functions: list[tuple], names: tuple = ("f",), slack: bytes = b"") -> bytes:
    """A file; a function is (name_offset, entry_offset, param codes, return code)."""
    tables = struct.pack("<I", len(functions))
    for name_offset, entry_offset, params, returns in functions:
        tables += struct.pack("<IQB", name_offset, entry_offset, len(params))
        tables += bytes(params) + bytes((returns, 0))
    tables += bytes(8) + struct.pack("<I", len(names))
    tables += b"".join(name.encode() + b"\0" for name in names) + slack
    header = b"SCP\0" + struct.pack("<HHIQBBHII", 0, 1, 32 + len(tables), len(code), 0, 0, 0, 0, 0)
    return seal(header + tables + code)


def seal(data: bytes) -> bytes:
    """With the right checksum."""
    checksum = zlib.crc32(data[:CHECKSUM_AT] + bytes(4) + data[CHECKSUM_AT + 4 :])
    return data[:CHECKSUM_AT] + struct.pack("<I", checksum) + data[CHECKSUM_AT + 4 :]


def judge(data: bytes, want: str = "validate", call: dict | None = None) -> dict:
    loader = Loader()
    try:
        return loader.judge({"format": "scp", "want": want, "bytes": data.hex(), "call": call})
    finally:
        loader.release()


def refusal(data: bytes) -> tuple:
    reply = judge(data)
    return reply["stage"], reply.get("rule"), reply.get("offset")


class Judging(unittest.TestCase):
    def test_a_good_file_is_told_in_full(self):
        reply = judge(build(ADD, [(0, 0, (3, 3), 3)], ("add",)))
        self.assertEqual(reply["stage"], "valid")
        self.assertEqual(
            reply["model"]["functions"],
            [
                {
                    "name_offset": 0,
                    "name": "add",
                    "entry_offset": 0,
                    "param_count": 2,
                    "params": [3, 3],
                    "return_type": 3,
                    "flags": 0,
                }
            ],
        )
        self.assertEqual(reply["model"]["code"], ADD.hex())

    def test_every_cut_is_malformed(self):
        good = build(RET, [(0, 0, (), 0)])
        for length in range(len(good)):
            self.assertEqual(judge(good[:length])["stage"], "malformed", length)

    def test_the_field_that_is_cut_off_is_named(self):
        self.assertEqual(refusal(b"SCP\0\0\0\1\0\x30"), ("malformed", "SCP-HEADER-BOUNDS", 8))

    def test_header_size_below_the_fixed_part(self):
        data = bytearray(build(RET, []))
        data[HEADER_SIZE_AT] = 31
        self.assertEqual(refusal(bytes(data)), ("malformed", "SCP-FUNC-TABLE-BOUNDS", 32))

    def test_the_earlier_rule_is_reported(self):
        data = build(RET, [(9, 9, (0,), 7)])
        self.assertEqual(refusal(data), ("invalid", "SCP-FUNC-NAME-BOUNDS", 36))

    def test_slack_may_be_zero_only(self):
        self.assertEqual(judge(build(RET, [], (), bytes(3)))["stage"], "valid")
        self.assertEqual(
            refusal(build(RET, [], (), b"\0\1\0")), ("invalid", "SCP-HEADER-SLACK", 49)
        )

    def test_same_name_in_two_strings(self):
        data = build(RET, [(0, 0, (), 0), (2, 0, (), 0)], ("f", "f"))
        self.assertEqual(refusal(data), ("invalid", "SCP-FUNC-UNIQUE", 51))

    def test_nothing_is_mapped_without_code(self):
        reply = judge(build(b"", []), "load")
        self.assertEqual((reply["stage"], reply["images"]), ("loaded", []))


class Mapping(unittest.TestCase):
    def test_an_image_is_never_writable_and_executable_and_goes_away(self):
        loader = Loader()
        data = build(RET, [(0, 0, (), 0)])
        reply = loader.judge({"format": "scp", "want": "load", "bytes": data.hex()})
        base = reply["images"][0]["base"]
        self.assertIn("r-xp", protection(base))
        loader.release()
        self.assertIsNone(protection(base))


def protection(address: int) -> str | None:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if start <= address < end:
                return line
    return None


@unittest.skipUnless(host.ARCHITECTURE == "x86_64", "the code of these tests is x86_64")
class Calling(unittest.TestCase):
    def call(self, code: bytes, params, returns, arguments: list[dict]) -> dict:
        names = {0: "void", 3: "int32", 5: "float32", 6: "float64", 10: "pointer"}
        call = {"function": "f", "args": arguments, "returns": names[returns]}
        return judge(build(code, [(0, 0, params, returns)]), "call", call)

    def test_integers(self):
        arguments = [{"type": "int32", "value": 40}, {"type": "int32", "value": -2}]
        reply = self.call(ADD, (3, 3), 3, arguments)
        self.assertEqual(reply["result"], {"type": "int32", "value": 38})

    def test_signalling_nans_keep_every_bit(self):
        for code, name, bits in (
            (5, "float32", 0x7FA12345),
            (6, "float64", 0xFFF4000000000001),
        ):
            reply = self.call(RET, (code,), code, [{"type": name, "bits": bits}])
            self.assertEqual(reply["result"], {"type": name, "bits": bits})

    def test_a_buffer_comes_back_changed_and_the_address_relative(self):
        code = bytes.fromhex("c60758488d4701c3")  # mov byte [rdi], 'X'; lea rax, [rdi + 1]; ret
        reply = self.call(code, (10,), 10, [{"type": "pointer", "bytes": "6162"}])
        self.assertEqual(
            reply["result"], {"type": "pointer", "into": "buffer", "index": 0, "offset": 1}
        )
        self.assertEqual(reply["buffers"], ["5862"])

    def test_types_are_checked_before_the_call(self):
        reply = self.call(RET, (3,), 0, [{"type": "float32", "bits": 0}])
        self.assertEqual(reply["stage"], "unresolvable")


class Protocol(unittest.TestCase):
    def test_a_conversation(self):
        source, sink = io.BytesIO(), io.BytesIO()
        write_frame(source, {"type": "hello", "protocol": 1, "harness": "test"})
        write_frame(
            source, {"type": "case", "seq": 7, "format": "scp", "want": "validate", "bytes": ""}
        )
        write_frame(source, {"type": "bye"})
        source.seek(0)
        serve(Loader(), source, sink)
        sink.seek(0)
        self.assertEqual(read_frame(sink)["name"], "python-scp-loader")
        answer = read_frame(sink)
        self.assertEqual((answer["seq"], answer["stage"]), (7, "malformed"))
        self.assertIsNone(read_frame(sink))

    def test_a_frame_is_length_and_json(self):
        sink = io.BytesIO()
        write_frame(sink, {"a": 1})
        self.assertEqual(sink.getvalue(), b"\x07\0\0\0" + json.dumps({"a": 1}).replace(" ", "").encode())


if __name__ == "__main__":
    unittest.main()
