"""The rules of a file that decodes, in the order in which they are reported.

Each rule is a generator of the offsets that break it, in file order. What one rule has reported, later
ones need not survive: `check` stops at the first.
"""

import zlib
from collections.abc import Callable, Iterator

from .decode import Field, Function, Module
from blob.violation import Violation

ARCHITECTURES = {0: "x86_64", 1: "arm64", 2: "x86_32"}
CONVENTIONS = {0: "cdecl", 1: "stdcall", 2: "system"}
THREAD_SAFE, REQUIRES_GC = 1, 2
PURE = 1
VOID, POINTER, STRUCT_REF = 0, 10, 11
TYPE_SIZES = {0: 0, 1: 1, 2: 2, 3: 4, 4: 8, 5: 4, 6: 8}
TYPE_CODES = {*TYPE_SIZES, POINTER, STRUCT_REF}

Offsets = Iterator[int]


def check(module: Module) -> None:
    """Raises Violation for the first broken rule, by stage, then order, then offset."""
    for rule, stage, offsets, message in RULES:
        for offset in offsets(module):
            raise Violation(stage, rule, offset, message)


# --- the header says what is true ---


def checksum(module: Module) -> Offsets:
    """CRC-32 over header and code, with the checksum's own four bytes read as zero."""
    field = module.header["checksum"]
    covered = bytearray(module.data[: module.code_end])
    covered[field.offset : field.offset + 4] = bytes(4)
    if zlib.crc32(covered) != field.value:
        yield field.offset


def architecture(module: Module) -> Offsets:
    yield from unless(module.header["architecture"], lambda value: value in ARCHITECTURES)


def convention(module: Module) -> Offsets:
    yield from unless(module.header["calling_convention"], lambda value: value in CONVENTIONS)


def header_flags(module: Module) -> Offsets:
    yield from unless(module.header["flags"], lambda value: not value & ~(THREAD_SAFE | REQUIRES_GC))


def reserved(module: Module) -> Offsets:
    yield from unless(module.header["reserved"], lambda value: value == bytes(4))


def slack(module: Module) -> Offsets:
    gap = module.data[module.strings_end : module.code_start]
    yield from (module.strings_end + at for at, byte in enumerate(gap) if byte != 0)


def trailing(module: Module) -> Offsets:
    if len(module.data) > module.code_end:
        yield module.code_end


# --- strings and names ---


def utf8(module: Module) -> Offsets:
    for offset, text in module.strings.items():
        try:
            text.decode("utf-8")
        except UnicodeDecodeError as error:
            yield module.strings_start + offset + error.start


def name_bounds(module: Module, entries: list) -> Offsets:
    size = module.strings_end - module.strings_start
    for entry in entries:
        yield from unless(entry.name_offset, lambda value: value < size)


def name_start(module: Module, entries: list) -> Offsets:
    for entry in entries:
        yield from unless(entry.name_offset, lambda value: value in module.strings)


# --- functions ---


def entry_bounds(module: Module) -> Offsets:
    size = module.header["code_blob_size"].value
    for function in module.functions:
        yield from unless(function.entry_offset, lambda value: value < size)


def entry_align(module: Module) -> Offsets:
    align = 4 if architecture_name(module) == "arm64" else 1
    for function in module.functions:
        yield from unless(function.entry_offset, lambda value: value % align == 0)


def param_code(module: Module) -> Offsets:
    for param in all_params(module):
        yield from unless(param, lambda value: value in TYPE_CODES)


def param_void(module: Module) -> Offsets:
    for param in all_params(module):
        yield from unless(param, lambda value: value != VOID)


def return_code(module: Module) -> Offsets:
    for function in module.functions:
        yield from unless(function.return_type, lambda value: value in TYPE_CODES)


def function_flags(module: Module) -> Offsets:
    for function in module.functions:
        yield from unless(function.flags, lambda value: not value & ~PURE)


def param_struct(module: Module) -> Offsets:
    for param in all_params(module):
        yield from unless(param, lambda value: value != STRUCT_REF or module.types)


def return_struct(module: Module) -> Offsets:
    for function in module.functions:
        yield from unless(function.return_type, lambda value: value != STRUCT_REF or module.types)


def function_unique(module: Module) -> Offsets:
    yield from repeated(
        (module.name(function.name_offset), function.name_offset.offset)
        for function in module.functions
    )


def all_params(module: Module) -> Iterator[Field]:
    for function in module.functions:
        yield from function.params


# --- types ---


def type_id_unique(module: Module) -> Offsets:
    yield from repeated((entry.id.value, entry.id.offset) for entry in module.types)


def field_code(module: Module) -> Offsets:
    for _, field in all_fields(module):
        yield from unless(field.type_code, lambda value: value in TYPE_CODES)


def field_void(module: Module) -> Offsets:
    for _, field in all_fields(module):
        yield from unless(field.type_code, lambda value: value != VOID)


def field_bounds(module: Module) -> Offsets:
    pointer_size = 4 if architecture_name(module) == "x86_32" else 8
    for entry, field in all_fields(module):
        length = TYPE_SIZES.get(field.type_code.value, pointer_size)
        yield from unless(field.offset, lambda value: value + length <= entry.size.value)


def all_fields(module: Module) -> Iterator[tuple]:
    for entry in module.types:
        for field in entry.fields:
            yield entry, field


# --- this loader can use it ---


def requires_gc(module: Module) -> Offsets:
    yield from unless(module.header["flags"], lambda value: not value & REQUIRES_GC)


# --- ways to say it ---


def unless(field: Field, good: Callable[[object], object]) -> Offsets:
    if not good(field.value):
        yield field.offset


def repeated(keys: Iterator[tuple[object, int]]) -> Offsets:
    seen = set()
    for key, offset in keys:
        if key in seen:
            yield offset
        seen.add(key)


def architecture_name(module: Module) -> str | None:
    return ARCHITECTURES.get(module.header["architecture"].value)


def find_function(module: Module, name: str) -> Function | None:
    wanted = name.encode("utf-8", "surrogatepass")
    for function in module.functions:
        if module.name(function.name_offset) == wanted:
            return function
    return None


def of_functions(rule):
    return lambda module: rule(module, module.functions)


def of_types(rule):
    return lambda module: rule(module, module.types)


def of_dependencies(rule):
    return lambda module: rule(module, module.dependencies)


NO_NAME = "the name lies outside the strings table"
NO_START = "the name is not the first byte of a string"
NO_TYPE = "the type code is reserved"
VOID_VALUE = "void is no type of a value"
NO_STRUCTS = "struct_ref in a file without types"

RULES = (
    ("SCP-HEADER-CHECKSUM", "invalid", checksum, "the checksum does not match"),
    ("SCP-HEADER-ARCHITECTURE", "invalid", architecture, "the architecture is unknown"),
    ("SCP-HEADER-CONVENTION", "invalid", convention, "the calling convention is unknown"),
    ("SCP-HEADER-FLAGS", "invalid", header_flags, "an undefined header flag is set"),
    ("SCP-HEADER-RESERVED", "invalid", reserved, "the reserved bytes are not zero"),
    ("SCP-HEADER-SLACK", "invalid", slack, "a byte between strings and code is not zero"),
    ("SCP-FILE-TRAILING", "invalid", trailing, "the file goes on after the code"),
    ("SCP-STR-UTF8", "invalid", utf8, "a string is not UTF-8"),
    ("SCP-FUNC-NAME-BOUNDS", "invalid", of_functions(name_bounds), NO_NAME),
    ("SCP-FUNC-NAME-START", "invalid", of_functions(name_start), NO_START),
    ("SCP-FUNC-ENTRY-BOUNDS", "invalid", entry_bounds, "the entry lies outside the code"),
    ("SCP-FUNC-ENTRY-ALIGN", "invalid", entry_align, "the entry is not a multiple of 4"),
    ("SCP-FUNC-PARAM-CODE", "invalid", param_code, NO_TYPE),
    ("SCP-FUNC-PARAM-VOID", "invalid", param_void, VOID_VALUE),
    ("SCP-FUNC-RETURN-CODE", "invalid", return_code, NO_TYPE),
    ("SCP-FUNC-FLAGS", "invalid", function_flags, "an undefined function flag is set"),
    ("SCP-FUNC-PARAM-STRUCT", "invalid", param_struct, NO_STRUCTS),
    ("SCP-FUNC-RETURN-STRUCT", "invalid", return_struct, NO_STRUCTS),
    ("SCP-FUNC-UNIQUE", "invalid", function_unique, "two functions share a name"),
    ("SCP-TYPE-ID-UNIQUE", "invalid", type_id_unique, "two types share an id"),
    ("SCP-TYPE-NAME-BOUNDS", "invalid", of_types(name_bounds), NO_NAME),
    ("SCP-TYPE-NAME-START", "invalid", of_types(name_start), NO_START),
    ("SCP-TYPE-FIELD-CODE", "invalid", field_code, NO_TYPE),
    ("SCP-TYPE-FIELD-VOID", "invalid", field_void, VOID_VALUE),
    ("SCP-TYPE-FIELD-BOUNDS", "invalid", field_bounds, "a field does not fit into its structure"),
    ("SCP-DEP-NAME-BOUNDS", "invalid", of_dependencies(name_bounds), NO_NAME),
    ("SCP-DEP-NAME-START", "invalid", of_dependencies(name_start), NO_START),
    ("SCP-HEADER-GC", "unsupported", requires_gc, "this loader has no garbage collector"),
)
