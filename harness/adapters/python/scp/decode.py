"""Decoding: bytes to tables. Knows sizes and bounds, and nothing about what values mean.

The document's layout: a fixed part of 32 bytes, then the tables of functions, types, dependencies and
strings without padding between them, all within header_size, then the code.
"""

import struct
from dataclasses import dataclass

from blob.violation import Violation

HEADER_FIELDS = (
    ("magic", "4s"),
    ("version_major", "H"),
    ("version_minor", "H"),
    ("header_size", "I"),
    ("code_blob_size", "Q"),
    ("architecture", "B"),
    ("calling_convention", "B"),
    ("flags", "H"),
    ("checksum", "I"),
    ("reserved", "4s"),
)
MAGIC = b"SCP\0"


@dataclass(frozen=True)
class Field:
    """A decoded value and its absolute offset."""

    value: object
    offset: int


@dataclass(frozen=True)
class Function:
    name_offset: Field
    entry_offset: Field
    param_count: Field
    params: list[Field]
    return_type: Field
    flags: Field


@dataclass(frozen=True)
class TypeField:
    offset: Field
    type_code: Field


@dataclass(frozen=True)
class Type:
    id: Field
    name_offset: Field
    size: Field
    field_count: Field
    fields: list[TypeField]


@dataclass(frozen=True)
class Dependency:
    name_offset: Field
    required_version: Field


@dataclass(frozen=True)
class Module:
    """A decoded file."""

    data: bytes
    header: dict[str, Field]
    functions: list[Function]
    types: list[Type]
    dependencies: list[Dependency]
    strings: dict[int, bytes]  # by offset from the first byte after the table's count
    strings_start: int
    strings_end: int

    @property
    def code_start(self) -> int:
        return self.header["header_size"].value

    @property
    def code_end(self) -> int:
        return self.code_start + self.header["code_blob_size"].value

    @property
    def code(self) -> bytes:
        return self.data[self.code_start : self.code_end]

    def name(self, name_offset: Field) -> bytes:
        """The string that a name_offset refers to; the rules have found that there is one."""
        return self.strings[name_offset.value]


class OutOfBounds(Exception):
    """A primitive does not fit. Carries the offset of its first byte."""

    def __init__(self, offset: int):
        super().__init__(offset)
        self.offset = offset


class Cursor:
    """Reads primitives one after another, never past `limit`."""

    def __init__(self, data: bytes, position: int, limit: int):
        self.data = data
        self.position = position
        self.limit = limit

    def read(self, code: str) -> Field:
        """The next primitive, by its `struct` code."""
        size = struct.calcsize("<" + code)
        if self.position + size > self.limit:
            raise OutOfBounds(self.position)
        (value,) = struct.unpack_from("<" + code, self.data, self.position)
        field = Field(value, self.position)
        self.position += size
        return field

    def read_string(self) -> bytes:
        """The bytes up to a NUL, which is stepped over."""
        end = self.data.find(b"\0", self.position, self.limit)
        if end < 0:
            raise OutOfBounds(self.position)
        text = self.data[self.position : end]
        self.position = end + 1
        return text


def decode(data: bytes) -> Module:
    """Decodes a file.

    Raises Violation for the first thing in file order that does not decode. A version that this loader
    does not know counts as one: what follows it is laid out as nobody here can tell.
    """
    header = decode_header(data)
    cursor = Cursor(data, 32, header["header_size"].value)
    functions = decode_table(cursor, decode_function, "SCP-FUNC-TABLE-BOUNDS")
    types = decode_table(cursor, decode_type, "SCP-TYPE-TABLE-BOUNDS")
    dependencies = decode_table(cursor, decode_dependency, "SCP-DEP-TABLE-BOUNDS")
    strings_start = cursor.position + 4
    strings = decode_table(cursor, decode_string, "SCP-STR-TABLE-BOUNDS")
    check_code_bounds(data, header)
    return Module(
        data=data,
        header=header,
        functions=functions,
        types=types,
        dependencies=dependencies,
        strings={at - strings_start: text for at, text in strings},
        strings_start=strings_start,
        strings_end=cursor.position,
    )


def decode_header(data: bytes) -> dict[str, Field]:
    cursor = Cursor(data, 0, len(data))
    try:
        header = {name: cursor.read(code) for name, code in HEADER_FIELDS}
    except OutOfBounds as error:
        raise malformed("SCP-HEADER-BOUNDS", error.offset, "the header is cut off") from None
    check_header(header, len(data))
    return header


def check_header(header: dict[str, Field], file_size: int) -> None:
    """What must be true of the header before the tables can be read."""
    magic, major, minor, size = (
        header[name] for name in ("magic", "version_major", "version_minor", "header_size")
    )
    if magic.value != MAGIC:
        raise malformed("SCP-HEADER-MAGIC", magic.offset, "the magic is not 'SCP\\0'")
    if major.value != 0:
        raise unsupported("SCP-HEADER-MAJOR", major.offset, f"major version {major.value}, not 0")
    if minor.value != 1:
        raise unsupported("SCP-HEADER-MINOR", minor.offset, f"minor version {minor.value}, not 1")
    if size.value > file_size:
        message = f"header_size is {size.value}, the file has {file_size} bytes"
        raise malformed("SCP-HEADER-SIZE", size.offset, message)


def check_code_bounds(data: bytes, header: dict[str, Field]) -> None:
    start, size = header["header_size"].value, header["code_blob_size"].value
    if start + size > len(data):
        message = f"{size} bytes of code announced, {len(data) - start} left"
        raise malformed("SCP-CODE-BOUNDS", start, message)


def decode_table(cursor: Cursor, decode_entry, rule: str) -> list:
    """A count and that many entries. Stops at the first that does not fit, so the count needs no trust."""
    try:
        count = cursor.read("I").value
        return [decode_entry(cursor) for _ in range(count)]
    except OutOfBounds as error:
        raise malformed(rule, error.offset, "the table runs past header_size") from None


def decode_function(cursor: Cursor) -> Function:
    name_offset = cursor.read("I")
    entry_offset = cursor.read("Q")
    param_count = cursor.read("B")
    params = [cursor.read("B") for _ in range(param_count.value)]
    return_type = cursor.read("B")
    flags = cursor.read("B")
    return Function(name_offset, entry_offset, param_count, params, return_type, flags)


def decode_type(cursor: Cursor) -> Type:
    id_ = cursor.read("H")
    name_offset = cursor.read("I")
    size = cursor.read("I")
    field_count = cursor.read("B")
    fields = [TypeField(cursor.read("I"), cursor.read("B")) for _ in range(field_count.value)]
    return Type(id_, name_offset, size, field_count, fields)


def decode_dependency(cursor: Cursor) -> Dependency:
    return Dependency(cursor.read("I"), cursor.read("I"))


def decode_string(cursor: Cursor) -> tuple[int, bytes]:
    return cursor.position, cursor.read_string()


def malformed(rule: str, offset: int, message: str) -> Violation:
    return Violation("malformed", rule, offset, message)


def unsupported(rule: str, offset: int, message: str) -> Violation:
    return Violation("unsupported", rule, offset, message)
