"""Decoding: bytes to tables. Knows sizes, bounds and codes, and nothing about what values mean.

The header comes first; section table and symbols lie where it says, the bytes of sections where the table
says, and the strings go from the end of the symbols to the end of the file.
"""

import bisect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from blob.violation import Violation

from . import records
from .layout import Images, lay_out
from .records import HEADER, RELOCATION, SECTION, SYMBOL, Header, Relocation, Section, Symbol


class Names:
    """The string table. Knows where its NULs are, so that long names cost nothing until they are read."""

    def __init__(self, data: bytes, start: int):
        self.data = data
        self.start = start
        self.ends = [match.start() for match in re.compile(b"\0").finditer(data, start)]

    def length(self, name_offset: int) -> int | None:
        """Bytes of the name at an offset in the table; None when no NUL ends it."""
        at = self.start + name_offset
        index = bisect.bisect_left(self.ends, at)
        return self.ends[index] - at if index < len(self.ends) else None

    def __getitem__(self, name_offset: int) -> bytes:
        """The name at an offset; the rules have found that there is one."""
        at = self.start + name_offset
        return self.data[at : at + self.length(name_offset)]


@dataclass(frozen=True)
class Module:
    """A decoded file."""

    data: bytes
    header: Header
    sections: list[Section]
    relocation_lists: list[list[Relocation]]  # one for each Reloc section, in table order
    symbols: list[Symbol]
    names: Names
    images: Images

    def relocations(self) -> Iterator[Relocation]:
        return chain.from_iterable(self.relocation_lists)

    def content(self, section: Section) -> bytes:
        return self.data[section.offset : section.offset + section.size]

    def name(self, symbol: Symbol) -> bytes:
        return self.names[symbol.name_offset]

    @property
    def architecture(self) -> str | None:
        return records.ARCHITECTURES.get(self.header.arch)


def decode(data: bytes) -> Module:
    """Decodes a file.

    Raises Violation for the first thing that does not decode. A version that this loader does not know
    counts as one: what follows it is laid out as nobody here can tell.
    """
    header = decode_header(data)
    sections = decode_sections(data, header)
    relocation_lists = decode_relocations(data, sections)
    symbols = decode_symbols(data, header)
    names_start = header.symbol_table_offset + len(symbols) * SYMBOL.size
    return Module(
        data=data,
        header=header,
        sections=sections,
        relocation_lists=relocation_lists,
        symbols=symbols,
        names=Names(data, names_start),
        images=lay_out(sections),
    )


def decode_header(data: bytes) -> Header:
    if len(data) < HEADER.size:
        raise malformed("SMF-HEADER-BOUNDS", HEADER.first_cut(0, len(data)), "the header is cut off")
    header = HEADER.read(data, 0)
    if header.magic != records.MAGIC:
        raise malformed("SMF-HEADER-MAGIC", 0, "the magic is not 'SMF\\0'")
    for field, rule, known in (
        ("version_major", "SMF-HEADER-MAJOR", 1),
        ("version_minor", "SMF-HEADER-MINOR", 0),
    ):
        if (value := getattr(header, field)) != known:
            message = f"{field} is {value}, not {known}"
            raise Violation("unsupported", rule, HEADER.place(header, field), message)
    return header


def decode_table(data: bytes, layout: records.Layout, at: int, count: int, rule: str) -> list:
    """`count` records at `at`. Asks for room before it reads, so the count needs no trust."""
    if at > len(data):
        raise malformed(rule, at, "the table starts past the end of the file")
    whole = (len(data) - at) // layout.size
    if whole < count:
        cut = layout.first_cut(at + whole * layout.size, len(data))
        raise malformed(rule, cut, f"{count} records announced, {whole} fit")
    return [layout.read(data, at + index * layout.size) for index in range(count)]


def decode_sections(data: bytes, header: Header) -> list[Section]:
    at, count = header.section_table_offset, header.section_count
    sections = decode_table(data, SECTION, at, count, "SMF-SECTION-TABLE-BOUNDS")
    check_codes(SECTION, sections, "type", records.SECTION_TYPES, "SMF-SECTION-TYPE")
    for section in sections:
        if section.type == records.RELOC and section.size % RELOCATION.size != 0:
            message = f"{section.size} bytes are no whole relocations"
            raise malformed("SMF-RELOC-SECTION-SIZE", SECTION.place(section, "size"), message)
    for section in sections:
        if section.type != records.BSS and section.offset + section.size > len(data):
            message = f"{section.size} bytes at {section.offset:#x} are not in the file"
            raise malformed("SMF-SECTION-BOUNDS", section.offset, message)
    return sections


def decode_relocations(data: bytes, sections: list[Section]) -> list[list[Relocation]]:
    lists = [
        [RELOCATION.read(data, at) for at in range(start, start + size, RELOCATION.size)]
        for start, size in (
            (section.offset, section.size) for section in sections if section.type == records.RELOC
        )
    ]
    relocations = chain.from_iterable(lists)
    check_codes(RELOCATION, relocations, "type", records.WIDTHS, "SMF-RELOC-TYPE")
    return lists


def decode_symbols(data: bytes, header: Header) -> list[Symbol]:
    at, count = header.symbol_table_offset, header.symbol_count
    symbols = decode_table(data, SYMBOL, at, count, "SMF-SYMBOL-TABLE-BOUNDS")
    check_codes(SYMBOL, symbols, "type", records.SYMBOL_TYPES, "SMF-SYMBOL-TYPE")
    check_codes(SYMBOL, symbols, "binding", records.BINDINGS, "SMF-SYMBOL-BINDING")
    return symbols


def check_codes(layout: records.Layout, table, field: str, known, rule: str) -> None:
    for record in table:
        if (code := getattr(record, field)) not in known:
            raise malformed(rule, layout.place(record, field), f"{field} {code} is unknown")


def malformed(rule: str, offset: int, message: str) -> Violation:
    return Violation("malformed", rule, offset, message)
