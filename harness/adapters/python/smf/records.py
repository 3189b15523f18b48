"""The four records of the format: fields, sizes, and codes. Little-endian, in C layout."""

import struct
from dataclasses import dataclass

HEADER_SIZE = 72


@dataclass(frozen=True, slots=True)
class Header:
    at: int  # of every record: absolute offset of its first byte
    magic: bytes
    version_major: int
    version_minor: int
    platform: int
    arch: int
    flags: int
    section_count: int
    section_table_offset: int
    symbol_table_offset: int
    symbol_count: int
    exported_count: int
    entry_point: int
    module_hash: int
    source_hash: int
    reserved: bytes


@dataclass(frozen=True, slots=True)
class Section:
    at: int
    type: int
    flags: int
    offset: int
    size: int
    virtual_size: int
    alignment: int
    name: bytes


@dataclass(frozen=True, slots=True)
class Symbol:
    at: int
    name_offset: int
    name_hash: int
    type: int
    binding: int
    visibility: int
    flags: int
    padding: bytes
    value: int
    size: int
    type_id: int
    version: int

    @property
    def is_defined(self) -> bool:
        """Whether the module has it itself; else it is an import."""
        return self.binding == LOCAL or self.value != 0 or self.size != 0

    @property
    def is_exported(self) -> bool:
        return self.binding == GLOBAL and self.is_defined

    @property
    def is_address(self) -> bool:
        """Whether its value leads into an image."""
        return self.type in ADDRESSES


@dataclass(frozen=True, slots=True)
class Relocation:
    at: int
    offset: int
    symbol_index: int
    type: int
    addend: int

    @property
    def width(self) -> int:
        """Bytes that it writes."""
        return WIDTHS[self.type]


class Layout:
    """How the fields of a record follow each other."""

    def __init__(self, record: type, codes: str):
        self.record = record
        self.names = [name for name in record.__dataclass_fields__ if name != "at"]
        self.struct = struct.Struct("<" + codes.replace(" ", ""))
        widths = [struct.calcsize("<" + code) for code in codes.split()]
        starts = [sum(widths[:index]) for index in range(len(widths))]
        self.fields = dict(zip(self.names, zip(starts, widths), strict=True))

    @property
    def size(self) -> int:
        return self.struct.size

    def read(self, data: bytes, at: int):
        return self.record(at, *self.struct.unpack_from(data, at))

    def place(self, record, field: str) -> int:
        """The absolute offset of a field."""
        return record.at + self.fields[field][0]

    def first_cut(self, at: int, end: int) -> int:
        """Where the first field starts that a record at `at` has no room for before `end`."""
        return next(at + start for start, width in self.fields.values() if at + start + width > end)


HEADER = Layout(Header, "4s B B B B I I Q Q I I Q Q Q 8s")
SECTION = Layout(Section, "I I Q Q Q Q 16s")
SYMBOL = Layout(Symbol, "I I B B B B 4s Q Q I I")
RELOCATION = Layout(Relocation, "Q I I q")

MAGIC = b"SMF\0"
PLATFORMS = {0: "any", 1: "linux", 2: "windows", 3: "macos"}
LOADED_PLATFORMS = ("any", "linux")
ARCHITECTURES = {0: "x86_64", 1: "arm64"}
EXECUTABLE, COMPRESSED = 0x01, 0x10
HEADER_FLAGS = 0x1F
CODE, DATA, BSS, RODATA, RELOC = 1, 2, 3, 4, 6
SECTION_TYPES = range(1, 10)
FUNCTION, DATA_SYMBOL, CONSTANT = 1, 2, 6
ADDRESSES = (FUNCTION, DATA_SYMBOL, CONSTANT)
SYMBOL_TYPES = range(1, 7)
LOCAL, GLOBAL, WEAK = 0, 1, 2
BINDINGS = range(3)
NONE, ABS64, PC32, PLT32, GOTPCREL = range(5)
WIDTHS = {NONE: 0, ABS64: 8, PC32: 4, PLT32: 4, GOTPCREL: 4}
