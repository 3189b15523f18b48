#!/usr/bin/env python3
"""Tests of the Python loader of SMF by itself: `python3 -m unittest` in this folder.

The vectors test it against the spec; here is what they cannot say: relocations at chosen addresses, stubs,
and what becomes of mappings when modules come and go.
"""

import struct
import unittest

from blob import host
from smf import link
from smf.decode import decode
from smf.layout import lay_out
from smf.link import Bases
from smf.records import (
    ABS64,
    BSS,
    CODE,
    CONSTANT,
    DATA,
    DATA_SYMBOL,
    FUNCTION,
    GLOBAL,
    GOTPCREL,
    LOCAL,
    NONE,
    PC32,
    PLT32,
    RELOC,
    RODATA,
    WEAK,
    Section,
)
from smf.rules import fnv1a
from smf_loader import Loader

RET = bytes.fromhex("c3")
ADD = bytes.fromhex("8d0437c3")  # lea eax, [rdi + rsi]; ret
TABLE_AT = 72
X86_64 = unittest.skipUnless(host.ARCHITECTURE == "x86_64", "the code of these tests is x86_64")


def section(kind: int, content: bytes = b"", memory: int | None = None, align: int = 16) -> tuple:
    return kind, content, len(content) if memory is None else memory, align


def symbol(name: str, kind: int, value: int = 0, size: int = 0, binding: int = GLOBAL) -> tuple:
    return name, kind, value, size, binding


def relocations(*entries: tuple) -> tuple:
    """A Reloc section; an entry is (offset, symbol index, type, addend)."""
    return section(RELOC, b"".join(struct.pack("<QIIq", *entry) for entry in entries))


def build(sections: list[tuple], symbols: list[tuple] = (), **header: int) -> bytes:
    """A file: header, section table, contents, symbols, strings."""
    contents_at = TABLE_AT + 56 * len(sections)
    table = contents = b""
    for kind, content, memory, align in sections:
        at = contents_at + len(contents)
        table += struct.pack("<IIQQQQ16s", kind, 0, at, len(content), memory, align, b"")
        contents += content
    records = strings = b""
    for name, kind, value, size, binding in symbols:
        text = name.encode()
        records += struct.pack("<IIBBBB4x", len(strings), fnv1a(text), kind, binding, 0, 0)
        records += struct.pack("<QQII", value, size, 0, 0)
        strings += text + b"\0"
    exported = sum(entry[4] == GLOBAL and (entry[2] or entry[3]) != 0 for entry in symbols)
    fields = {"major": 1, "minor": 0, "platform": 0, "arch": 0, "flags": 0, "entry": 0} | header
    head = struct.pack(
        "<4sBBBBIIQQIIQQQ8s",
        b"SMF\0",
        *(fields[name] for name in ("major", "minor", "platform", "arch", "flags")),
        len(sections),
        TABLE_AT,
        contents_at + len(contents),
        len(symbols),
        exported,
        fields["entry"],
        0,
        0,
        bytes(8),
    )
    return head + table + contents + records + strings


def judge(data: bytes, want: str = "validate", **case) -> dict:
    loader = Loader()
    try:
        return loader.judge({"format": "smf", "want": want, "bytes": data.hex(), **case})
    finally:
        loader.release()


def refusal(data: bytes, want: str = "validate", **case) -> tuple:
    reply = judge(data, want, **case)
    return reply["stage"], reply.get("rule"), reply.get("offset")


class Judging(unittest.TestCase):
    def test_a_good_file_is_told_in_full(self):
        data = build([section(CODE, RET), relocations((1, 0, NONE, -1))], [symbol("f", FUNCTION, 0, 1)])
        reply = judge(data)
        self.assertEqual(reply["stage"], "valid")
        model = reply["model"]
        self.assertEqual(model["header"]["magic"], "534d4600")
        self.assertEqual(model["sections"][0]["name"], "00" * 16)
        self.assertEqual(
            model["relocations"], [[{"offset": 1, "symbol_index": 0, "type": 0, "addend": -1}]]
        )
        self.assertEqual(model["symbols"][0]["name"], "f")
        self.assertNotIn("padding", model["symbols"][0])

    def test_no_cut_of_a_file_is_accepted(self):
        good = build([section(CODE, RET)], [symbol("f", FUNCTION, 0, 1)])
        for length in range(len(good)):
            self.assertIn(judge(good[:length])["stage"], ("malformed", "invalid"), length)

    def test_the_field_that_is_cut_off_is_named(self):
        good = build([section(CODE, RET)])
        self.assertEqual(refusal(good[:17]), ("malformed", "SMF-HEADER-BOUNDS", 16))
        self.assertEqual(refusal(good[: 72 + 55]), ("malformed", "SMF-SECTION-TABLE-BOUNDS", 72 + 40))

    def test_a_huge_count_reserves_nothing(self):
        data = bytearray(build([]))
        struct.pack_into("<I", data, 12, 0xFFFFFFFF)
        self.assertEqual(refusal(bytes(data)), ("malformed", "SMF-SECTION-TABLE-BOUNDS", 72))

    def test_bytes_past_the_end_also_by_wrapping_around(self):
        data = bytearray(build([section(CODE, RET)]))
        struct.pack_into("<QQ", data, TABLE_AT + 8, 1 << 63, 1 << 63)
        self.assertEqual(refusal(bytes(data)), ("malformed", "SMF-SECTION-BOUNDS", 1 << 63))

    def test_the_overlapping_relocation_that_stands_first_is_named(self):
        # By place, the second record begins inside the first; the third inside the second.
        entries = relocations((8, 0, ABS64, 0), (4, 0, ABS64, 0), (0, 0, ABS64, 0))
        data = build([section(CODE, bytes(16)), entries], [symbol("f", FUNCTION, 0, 1)])
        first = TABLE_AT + 2 * 56 + 16
        self.assertEqual(refusal(data), ("invalid", "SMF-RELOC-OVERLAP", first))

    def test_image_size_names_the_section_that_is_too_much(self):
        half = 1 << 29
        fits = [section(CODE, RET, half), section(BSS, memory=half)]
        self.assertEqual(judge(build(fits))["stage"], "valid")
        data = build([*fits, section(BSS, memory=1, align=1)])
        self.assertEqual(refusal(data), ("unsupported", "SMF-IMAGE-SIZE", TABLE_AT + 2 * 56))

    def test_a_module_for_another_system_is_valid_and_not_loaded(self):
        data = build([section(CODE, RET)], platform=2)
        self.assertEqual(judge(data)["stage"], "valid")
        self.assertEqual(refusal(data, "load"), ("unsupported", "SMF-HOST-PLATFORM", 6))


class LayingOut(unittest.TestCase):
    def lay_out(self, *sections: tuple) -> tuple:
        records = [
            Section(0, kind, 0, 0, 0, memory, align, b"") for kind, memory, align in sections
        ]
        images = lay_out(records)
        starts = {image.name: [start for _, start in image.placed] for image in (images.code, images.data)}
        return starts, images

    def test_each_image_has_its_own_offsets(self):
        starts, images = self.lay_out((CODE, 5, 16), (DATA, 3, 1), (CODE, 1, 8), (DATA, 1, 4))
        self.assertEqual(starts, {"code": [0, 8], "data": [0, 4]})
        self.assertEqual((images.code.size, images.data.size), (9, 5))

    def test_constants_have_pages_of_their_own(self):
        starts, images = self.lay_out((DATA, 10, 16), (RODATA, 5, 16), (RODATA, 1, 1), (BSS, 0, 1))
        self.assertEqual(starts["data"], [0, 4096, 4101, 8192])
        self.assertEqual(
            list(images.data.segments()), [(0, 4096, "rw"), (4096, 8192, "r")]
        )

    def test_sums_saturate(self):
        huge = (1 << 64) - 1
        _, images = self.lay_out((BSS, huge, 1), (BSS, huge, 4096))
        self.assertEqual(images.data.size, huge)


class Linking(unittest.TestCase):
    BASES = Bases(code=0x10000, data=0x20000, stubs=0x11000, slots=0x30000)
    SYMBOLS = [
        symbol("f", FUNCTION, 0x20, 1),
        symbol("d", DATA_SYMBOL, 4, 1, LOCAL),
        symbol("near", FUNCTION),
        symbol("far", FUNCTION),
        symbol("weak", FUNCTION, binding=WEAK),
    ]
    OFFERED = {b"near": 0x12000, b"far": 1 << 40}

    def link(self, *entries: tuple) -> link.Linked:
        sections = [section(CODE, bytes(64)), section(DATA, bytes(8)), relocations(*entries)]
        module = decode(build(sections, self.SYMBOLS))
        return link.link(module, self.BASES, link.find_imports(module, self.OFFERED.get))

    def value(self, entry: tuple) -> int:
        ((_, patch),) = self.link(entry).patches
        return int.from_bytes(patch, "little", signed=True)

    def test_each_formula(self):
        self.assertEqual(self.value((8, 0, ABS64, -1)), 0x10020 - 1)
        self.assertEqual(self.value((8, 1, PC32, -4)), 0x20004 - 4 - 0x10008)
        self.assertEqual(self.value((8, 2, PLT32, -4)), 0x12000 - 4 - 0x10008)
        self.assertEqual(self.value((8, 4, ABS64, 7)), 7)

    def test_a_slot_holds_the_address(self):
        linked = self.link((0, 3, GOTPCREL, -4), (8, 3, GOTPCREL, 0))
        self.assertEqual(linked.slots, struct.pack("<Q", 1 << 40))
        values = [int.from_bytes(patch, "little", signed=True) for _, patch in linked.patches]
        self.assertEqual(values, [0x30000 - 4 - 0x10000, 0x30000 - 0x10008])

    def test_a_far_function_is_called_through_a_stub(self):
        linked = self.link((0, 3, PLT32, -4), (8, 3, PLT32, -4))
        self.assertEqual(linked.stubs[:14], bytes.fromhex("ff2500000000") + struct.pack("<Q", 1 << 40))
        self.assertEqual(len(linked.stubs), link.STUB_SIZE)

    def test_what_does_not_fit_is_refused(self):
        data = build([section(CODE, bytes(8)), relocations((0, 0, PC32, 0))], [symbol("far", FUNCTION)])
        record = TABLE_AT + 2 * 56 + 8
        self.assertEqual(
            refusal(data, "load", imports={"far": 1}), ("unresolvable", "SMF-RELOC-RANGE", record)
        )
        self.assertEqual(refusal(data, "load"), ("unresolvable", "SMF-IMPORT", record))

    def test_nothing_resolves_for_none(self):
        data = build([section(CODE, bytes(8)), relocations((0, 0, NONE, 0))], [symbol("x", FUNCTION)])
        self.assertEqual(judge(data, "load")["stage"], "loaded")


@X86_64
class Mapping(unittest.TestCase):
    def test_every_page_has_its_permissions_and_a_guard(self):
        data = build(
            [section(CODE, RET), section(DATA, b"d"), section(RODATA, b"c"), section(BSS, memory=1)],
            [symbol("c", CONSTANT, 4096, 1)],
        )
        loader = Loader()
        reply = loader.judge({"format": "smf", "want": "load", "bytes": data.hex()})
        bases = {image["name"]: image["base"] for image in reply["images"]}
        self.assertEqual(reply["exports"], [{"name": "c", "address": bases["data"] + 4096}])
        self.assertEqual(protection(bases["code"]), "r-xp")
        self.assertEqual(
            [protection(bases["data"] + page * 4096) for page in range(-1, 4)],
            ["---p", "rw-p", "r--p", "rw-p", "---p"],
        )
        for name in bases:
            self.assertEqual(protection(bases[name] - 1), "---p")
        loader.release()
        self.assertIsNone(protection(bases["code"]))

    def test_an_image_lies_where_it_is_wished(self):
        base = 0x5A5A0000000
        reply = judge(build([section(CODE, RET)]), "load", base=base)
        self.assertEqual(reply["images"], [{"name": "code", "base": base, "size": 1}])

    def test_a_module_without_code_loads(self):
        reply = judge(build([section(DATA, b"d")]), "load")
        self.assertEqual([image["name"] for image in reply["images"]], ["data"])
        self.assertEqual(judge(build([]), "load")["images"], [])


def protection(address: int) -> str | None:
    with open("/proc/self/maps", encoding="utf-8") as maps:
        for line in maps:
            start, end = (int(part, 16) for part in line.split()[0].split("-"))
            if start <= address < end:
                return line.split()[1]
    return None


def caller(name: str, addend: int = 0) -> bytes:
    """A module whose `run` calls what it imports: sub rsp, 8; call; add eax, …; add rsp, 8; ret."""
    code = bytes.fromhex("4883ec08e80000000005") + struct.pack("<i", addend) + bytes.fromhex("4883c408c3")
    return build(
        [section(CODE, code), relocations((5, 1, PLT32, -4))],
        [symbol("run", FUNCTION, 0, len(code)), symbol(name, FUNCTION)],
    )


def constant(name: str, value: int) -> bytes:
    """A module whose function gives a number: mov eax, …; ret."""
    code = b"\xb8" + struct.pack("<i", value) + RET
    return build([section(CODE, code)], [symbol(name, FUNCTION, 0, len(code))])


@X86_64
class Calling(unittest.TestCase):
    def test_a_function_is_called_with_the_types_of_the_call(self):
        data = build([section(CODE, ADD)], [symbol("add", FUNCTION, 0, 4)])
        args = [{"type": "int32", "value": 40}, {"type": "int32", "value": 2}]
        wanted = {"function": "add", "args": args, "returns": "int32"}
        reply = judge(data, "call", call=wanted)
        self.assertEqual((reply["stage"], reply["result"]), ("returned", {"type": "int32", "value": 42}))


@X86_64
class Scenarios(unittest.TestCase):
    def setUp(self):
        self.loader = Loader()
        self.addCleanup(self.loader.release)

    def run_steps(self, *steps: dict, imports: dict | None = None) -> list[dict]:
        case = {"format": "smf", "want": "scenario", "bytes": "", "imports": imports or {}}
        return self.loader.judge(case | {"steps": list(steps)})["steps"]

    def test_a_module_is_loaded_once_whichever_path_leads_to_it(self):
        first, second, third = self.run_steps(
            load("a.smf", constant("one", 1)), load("x/../a.smf", None, "again"), load("./a.smf", None, "b")
        )
        self.assertEqual(second["stage"], "unresolvable")  # there is no folder x
        self.assertEqual(first["images"], third["images"])

    def test_imports_find_exports_and_never_imports(self):
        replies = self.run_steps(
            load("a.smf", constant("one", 1)),
            load("b.smf", constant("one", 2)),
            load("run.smf", caller("one", 10)),
            {"do": "call", "handle": "run.smf", "call": CALL_RUN},
            load("other.smf", caller("run", 100)),
            load("none.smf", caller("nobody")),
            {"do": "resolve", "symbol": "nobody"},
        )
        self.assertEqual(replies[3]["result"], {"type": "int32", "value": 11})
        self.assertEqual(replies[4]["stage"], "loaded")
        self.assertEqual(replies[5]["rule"], "SMF-IMPORT")
        self.assertEqual(replies[6]["stage"], "unresolvable")

    def test_an_import_finds_the_modules_own_definition_then_modules_then_the_host(self):
        # mov rax, imm64; ret, and the number is the address of an import
        code = bytes.fromhex("48b8") + bytes(8) + RET
        entries = relocations((2, 1, ABS64, 0))
        asks = [symbol("ask", FUNCTION, 0, 11), symbol("one", FUNCTION)]
        own = [*asks, symbol("one", FUNCTION, 10, 1, LOCAL)]
        load_both = [
            load("own.smf", build([section(CODE, code), entries], own)),
            load("asks.smf", build([section(CODE, code), entries], asks)),
        ]
        questions = [
            {"do": "call", "handle": handle, "call": {"function": "ask", "args": [], "returns": "int64"}}
            for handle in ("own.smf", "asks.smf")
        ]
        find = {"do": "find", "handle": "own.smf", "symbol": "one"}
        replies = self.run_steps(*load_both, *questions, find, imports={"one": 77})
        answers = [reply["result"]["value"] for reply in replies[2:4]]
        self.assertEqual(answers, [replies[4]["address"], 77])
        self.loader.release()
        one = load("a.smf", constant("one", 1))
        resolve = {"do": "resolve", "symbol": "one"}
        replies = self.run_steps(one, *load_both, *questions, resolve, imports={"one": 77})
        self.assertEqual(replies[4]["result"]["value"], replies[5]["address"])
        self.assertNotEqual(replies[5]["address"], 77)

    def test_code_stays_mapped_while_it_can_be_reached(self):
        replies = self.run_steps(
            load("a.smf", constant("one", 1)),
            load("run.smf", caller("one")),
            {"do": "unload", "path": "a.smf"},
            {"do": "release", "handle": "a.smf"},
            {"do": "call", "handle": "run.smf", "call": CALL_RUN},
            {"do": "unload", "path": "run.smf"},
            {"do": "call", "handle": "run.smf", "call": CALL_RUN},
            {"do": "unload", "path": "run.smf"},
            {"do": "release", "handle": "run.smf"},
        )
        self.assertEqual(replies[4]["result"]["value"], 1)
        self.assertEqual(replies[6]["result"]["value"], 1)
        self.assertEqual(replies[7]["stage"], "unresolvable")
        self.assertEqual(self.loader.scenario.registry.mapped, [])

    def test_a_reload_that_fails_leaves_what_was_there(self):
        replies = self.run_steps(
            load("a.smf", constant("one", 1)),
            load("a.smf", b"broken", "new") | {"do": "reload"},
            load("a.smf", constant("one", 2), "newer") | {"do": "reload"},
            {"do": "call", "handle": "a.smf", "call": CALL_RUN | {"function": "one"}},
            {"do": "find", "handle": "newer", "symbol": "one"},
            {"do": "resolve", "symbol": "one"},
        )
        self.assertEqual(replies[1]["stage"], "malformed")
        self.assertEqual(replies[3]["result"]["value"], 1)
        self.assertEqual(replies[4], replies[5])
        self.assertNotEqual(replies[0]["images"], replies[2]["images"])


CALL_RUN = {"function": "run", "args": [], "returns": "int32"}


def load(path: str, content: bytes | None, handle: str | None = None) -> dict:
    return {"do": "load", "path": path, "bytes": content and content.hex(), "handle": handle or path}


if __name__ == "__main__":
    unittest.main()
