"""Relocation: what is written where, once it is known at which addresses everything lies.

S is the address of the symbol, A the addend, P the place's address, G the address of a slot that holds S.
Nothing here touches memory, so that it can be computed for any addresses.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from blob.violation import Violation

from . import records
from .decode import Module
from .records import Relocation, Symbol

SLOT_SIZE = 8
STUB_SIZE = 16
# A jump to the address that follows: jmp [rip]; ldr x16, [pc + 8] and br x16.
JUMPS = {"x86_64": bytes.fromhex("ff2500000000"), "arm64": bytes.fromhex("5000005800021fd6")}

Resolve = Callable[[bytes], int | None]


@dataclass(frozen=True)
class Bases:
    """Addresses of the images and of what the loader adds to them."""

    code: int
    data: int
    stubs: int
    slots: int


@dataclass
class Linked:
    """Bytes to write: into the code image by offset, and the stubs and slots whole."""

    patches: list[tuple[int, bytes]]
    stubs: bytearray
    slots: bytearray


def room(module: Module) -> tuple[int, int]:
    """Bytes that stubs and slots take at most. What the module defines itself is near, and needs no stub."""
    stubs = {index for index in used_by(module, records.PLT32) if not module.symbols[index].is_defined}
    slots = used_by(module, records.GOTPCREL)
    return STUB_SIZE * len(stubs), SLOT_SIZE * len(slots)


def used_by(module: Module, kind: int) -> set[int]:
    """The symbols that relocations of one type name."""
    return {entry.symbol_index for entry in module.relocations() if entry.type == kind}


def find_imports(module: Module, resolve: Resolve) -> dict[int, int | None]:
    """The addresses of the imports that relocations use, by index of the symbol. A weak one may be 0.

    Raises Violation for the first relocation in the file whose symbol nobody defines.
    """
    found: dict[int, int | None] = {}
    undefined = []
    for entry in module.relocations():
        symbol = module.symbols[entry.symbol_index]
        if entry.type == records.NONE or symbol.is_defined:
            continue
        if entry.symbol_index not in found:
            absent = 0 if symbol.binding == records.WEAK else None
            address = resolve(module.name(symbol))
            found[entry.symbol_index] = absent if address is None else address
        if found[entry.symbol_index] is None:
            message = f"nobody defines `{module.name(symbol).decode()}`"
            undefined.append(Violation("unresolvable", "SMF-IMPORT", entry.at, message))
    raise_first(undefined)
    return found


def raise_first(violations: list[Violation]) -> None:
    """Reloc sections may stand in another order than their bytes."""
    if violations:
        raise min(violations, key=lambda violation: violation.offset)


def address_of(symbol: Symbol, bases: Bases) -> int:
    """The address of a symbol that the module defines; of what is not an address, its value."""
    match symbol.type:
        case records.FUNCTION:
            return bases.code + symbol.value
        case records.DATA_SYMBOL | records.CONSTANT:
            return bases.data + symbol.value
        case _:
            return symbol.value


def link(module: Module, bases: Bases, imports: dict[int, int]) -> Linked:
    """Computes every relocation.

    Raises Violation for the first one in the file whose value does not fit its 32 bits.
    """
    linker = Linker(module, bases, imports)
    too_far = []
    for entry in module.relocations():
        try:
            if entry.type != records.NONE:
                linker.add(entry)
        except Violation as violation:
            too_far.append(violation)
    raise_first(too_far)
    return linker.linked


class Linker:
    def __init__(self, module: Module, bases: Bases, imports: dict[int, int]):
        self.module = module
        self.bases = bases
        self.imports = imports
        self.stubs: dict[int, int] = {}  # address by symbol index
        self.slots: dict[int, int] = {}
        self.linked = Linked([], bytearray(), bytearray())

    def add(self, entry: Relocation) -> None:
        target = self.target(entry.symbol_index)
        if entry.type == records.ABS64:
            value = struct.pack("<Q", (target + entry.addend) % (1 << 64))
        else:
            value = struct.pack("<i", self.relative(entry, target))
        self.linked.patches.append((entry.offset, value))

    def target(self, index: int) -> int:
        symbol = self.module.symbols[index]
        return address_of(symbol, self.bases) if symbol.is_defined else self.imports[index]

    def relative(self, entry: Relocation, target: int) -> int:
        """What a 32-bit place holds: the way from it to the symbol, its stub or its slot."""
        if entry.type == records.GOTPCREL:
            target = self.slot(entry.symbol_index, target)
        distance = self.distance(entry, target)
        if not fits_i32(distance) and entry.type == records.PLT32 and entry.symbol_index in self.imports:
            distance = self.distance(entry, self.stub(entry.symbol_index, target))
        if not fits_i32(distance):
            message = f"{distance:#x} does not fit 32 bits"
            raise Violation("unresolvable", "SMF-RELOC-RANGE", entry.at, message)
        return distance

    def distance(self, entry: Relocation, target: int) -> int:
        """target + A - P as a signed 64-bit number."""
        unsigned = (target + entry.addend - self.bases.code - entry.offset) % (1 << 64)
        return unsigned - (unsigned >> 63 << 64)

    def slot(self, index: int, target: int) -> int:
        if index not in self.slots:
            self.slots[index] = self.bases.slots + len(self.linked.slots)
            self.linked.slots += struct.pack("<Q", target)
        return self.slots[index]

    def stub(self, index: int, target: int) -> int:
        if index not in self.stubs:
            self.stubs[index] = self.bases.stubs + len(self.linked.stubs)
            jump = JUMPS[self.module.architecture] + struct.pack("<Q", target)
            self.linked.stubs += jump.ljust(STUB_SIZE, b"\xcc")
        return self.stubs[index]


def fits_i32(number: int) -> bool:
    return -(1 << 31) <= number < 1 << 31
