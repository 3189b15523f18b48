"""The rules of a file that decodes, in the order in which they are reported.

Each rule is a generator of the offsets that break it. What one rule has reported, later ones need not
survive: `check` stops at the first rule that is broken, and tells its smallest offset.
"""

from collections.abc import Callable, Iterator

from blob.violation import Violation

from . import records
from .decode import Module
from .layout import no_images
from .records import HEADER, RELOCATION, SECTION, SYMBOL, Relocation, Symbol

MAX_IMAGES = 1 << 30  # bytes of both images together
MAX_NAME = 4095  # bytes; names may be tails of each other, and all are hashed
MAX_ALIGNMENT = 4096
WITH_BYTES = (records.CODE, records.DATA, records.RODATA)
MAPPED = (*WITH_BYTES, records.BSS)
IN_DATA = (records.DATA_SYMBOL, records.CONSTANT)

Offsets = Iterator[int]


def check(module: Module) -> None:
    """Raises Violation for the first broken rule, by stage, then order, then offset."""
    for rule, stage, offsets, message in RULES:
        first = min(offsets(module), default=None)
        if first is not None:
            raise Violation(stage, rule, first, message)


# --- the header ---


def header_flags(module: Module) -> Offsets:
    if module.header.flags & ~records.HEADER_FLAGS:
        yield HEADER.place(module.header, "flags")


def reserved(module: Module) -> Offsets:
    if any(module.header.reserved):
        yield HEADER.place(module.header, "reserved")


def entry(module: Module) -> Offsets:
    header = module.header
    if header.flags & records.EXECUTABLE and header.entry_point >= module.images.code.size:
        yield header.at


def no_entry(module: Module) -> Offsets:
    header = module.header
    if not header.flags & records.EXECUTABLE and header.entry_point != 0:
        yield HEADER.place(header, "entry_point")


def exported(module: Module) -> Offsets:
    if module.header.exported_count != sum(symbol.is_exported for symbol in module.symbols):
        yield HEADER.place(module.header, "exported_count")


def compressed(module: Module) -> Offsets:
    if module.header.flags & records.COMPRESSED:
        yield HEADER.place(module.header, "flags")


def platform(module: Module) -> Offsets:
    if module.header.platform not in records.PLATFORMS:
        yield HEADER.place(module.header, "platform")


def architecture(module: Module) -> Offsets:
    if module.header.arch not in records.ARCHITECTURES:
        yield HEADER.place(module.header, "arch")


# --- sections ---


def section_table_place(module: Module) -> Offsets:
    start = module.header.section_table_offset
    end = start + len(module.sections) * SECTION.size
    yield from first_meeting([(0, HEADER.size), (start, end)])


def section_overlap(module: Module) -> Offsets:
    with_bytes = (section for section in module.sections if section.type != records.BSS)
    contents = [(section.offset, section.offset + section.size) for section in with_bytes]
    yield from first_meeting([(0, HEADER.size), *contents])


def virtual_size(module: Module) -> Offsets:
    for section in module.sections:
        if section.type in WITH_BYTES and section.virtual_size < section.size:
            yield SECTION.place(section, "virtual_size")


def align_range(module: Module) -> Offsets:
    for section in module.sections:
        if section.type in MAPPED and not 1 <= section.alignment <= MAX_ALIGNMENT:
            yield SECTION.place(section, "alignment")


def align_power(module: Module) -> Offsets:
    for section in module.sections:
        if section.type in MAPPED and section.alignment.bit_count() != 1:
            yield SECTION.place(section, "alignment")


def image_size(module: Module) -> Offsets:
    images = no_images()
    for section in module.sections:
        images.add(section)
        if images.total > MAX_IMAGES:
            yield section.at
            return


# --- symbols ---


def symbol_name(module: Module) -> Offsets:
    for symbol in module.symbols:
        if module.names.length(symbol.name_offset) is None:
            yield SYMBOL.place(symbol, "name_offset")


def name_length(module: Module) -> Offsets:
    for symbol in module.symbols:
        if (module.names.length(symbol.name_offset) or 0) > MAX_NAME:
            yield SYMBOL.place(symbol, "name_offset")


def name_utf8(module: Module) -> Offsets:
    for symbol in module.symbols:
        try:
            module.name(symbol).decode("utf-8")
        except UnicodeDecodeError:
            yield SYMBOL.place(symbol, "name_offset")


def name_hash(module: Module) -> Offsets:
    for symbol in module.symbols:
        if symbol.name_hash != fnv1a(module.name(symbol)):
            yield SYMBOL.place(symbol, "name_hash")


def code_bounds(module: Module) -> Offsets:
    yield from outside(module, (records.FUNCTION,), module.images.code.size)


def data_bounds(module: Module) -> Offsets:
    yield from outside(module, IN_DATA, module.images.data.size)


def outside(module: Module, types: tuple, size: int) -> Offsets:
    for symbol in module.symbols:
        if symbol.type in types and symbol.is_defined:
            if symbol.value + max(symbol.size, 1) > size:
                yield symbol.at


# --- relocations ---


def reloc_symbol(module: Module) -> Offsets:
    for relocation in module.relocations():
        if relocation.symbol_index >= len(module.symbols):
            yield RELOCATION.place(relocation, "symbol_index")


def reloc_symbol_type(module: Module) -> Offsets:
    for relocation in module.relocations():
        if relocation.type != records.NONE and not target(module, relocation).is_address:
            yield RELOCATION.place(relocation, "symbol_index")


def reloc_bounds(module: Module) -> Offsets:
    for relocation in module.relocations():
        if relocation.offset + relocation.width > module.images.code.size:
            yield relocation.at


def reloc_overlap(module: Module) -> Offsets:
    places = sorted(
        (relocation.offset, relocation.offset + relocation.width, relocation.at)
        for relocation in module.relocations()
        if relocation.width > 0
    )
    furthest = 0
    for start, end, at in places:
        if start < furthest:
            yield at
        furthest = max(furthest, end)


def target(module: Module, relocation: Relocation) -> Symbol:
    return module.symbols[relocation.symbol_index]


# --- ways to say it ---


def first_meeting(stretches: list[tuple[int, int]]) -> Offsets:
    """Where the first stretch starts that begins before the end of another; empty ones are nowhere."""
    furthest = 0
    for start, end in sorted(stretch for stretch in stretches if stretch[0] < stretch[1]):
        if start < furthest:
            yield start
            return
        furthest = max(furthest, end)


def fnv1a(name: bytes) -> int:
    value = 2166136261
    for byte in name:
        value = (value ^ byte) * 16777619 & 0xFFFFFFFF
    return value


RULES = (
    ("SMF-HEADER-FLAGS", "invalid", header_flags, "an undefined header flag is set"),
    ("SMF-HEADER-RESERVED", "invalid", reserved, "the reserved bytes are not zero"),
    ("SMF-HEADER-ENTRY", "invalid", entry, "the entry point lies outside the code"),
    ("SMF-HEADER-NO-ENTRY", "invalid", no_entry, "an entry point in a module that is no executable"),
    ("SMF-HEADER-EXPORTED", "invalid", exported, "exported_count is not the number of exports"),
    ("SMF-SECTION-TABLE-PLACE", "invalid", section_table_place, "the section table meets the header"),
    ("SMF-SECTION-OVERLAP", "invalid", section_overlap, "a section's bytes are those of another thing"),
    ("SMF-SECTION-VIRTUAL-SIZE", "invalid", virtual_size, "more bytes in the file than in memory"),
    ("SMF-SECTION-ALIGN-RANGE", "invalid", align_range, "the alignment is not between 1 and 4096"),
    ("SMF-SECTION-ALIGN-POWER", "invalid", align_power, "the alignment is no power of two"),
    ("SMF-SYMBOL-NAME", "invalid", symbol_name, "the name does not end in the string table"),
    ("SMF-SYMBOL-NAME-LENGTH", "invalid", name_length, "the name is longer than 4095 bytes"),
    ("SMF-SYMBOL-NAME-UTF8", "invalid", name_utf8, "the name is not UTF-8"),
    ("SMF-SYMBOL-HASH", "invalid", name_hash, "the hash is not that of the name"),
    ("SMF-SYMBOL-CODE-BOUNDS", "invalid", code_bounds, "the function lies outside the code"),
    ("SMF-SYMBOL-DATA-BOUNDS", "invalid", data_bounds, "the symbol lies outside the data"),
    ("SMF-RELOC-SYMBOL", "invalid", reloc_symbol, "there is no symbol of this index"),
    ("SMF-RELOC-SYMBOL-TYPE", "invalid", reloc_symbol_type, "the symbol is not an address"),
    ("SMF-RELOC-BOUNDS", "invalid", reloc_bounds, "the place lies outside the code"),
    ("SMF-RELOC-OVERLAP", "invalid", reloc_overlap, "two relocations write the same bytes"),
    ("SMF-IMAGE-SIZE", "unsupported", image_size, "the images are larger than 1 GiB"),
    ("SMF-HEADER-COMPRESSED", "unsupported", compressed, "there is no algorithm for compressed modules"),
    ("SMF-HEADER-PLATFORM", "unsupported", platform, "the platform is unknown"),
    ("SMF-HEADER-ARCH", "unsupported", architecture, "the architecture is unknown"),
)
