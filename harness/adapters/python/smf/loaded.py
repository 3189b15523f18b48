"""A module in memory: one reservation that nobody can touch, with the images as islands in it.

    guard | code | guard | stubs | guard | data | guard | slots | guard

All of it lies within the reach of a 32-bit displacement. Every page is written while it is not executable
and gets its permissions once it is whole; pages without bytes of the file are never touched.
"""

import ctypes
from contextlib import suppress

from blob import host, memory
from blob.memory import PROTECTIONS, Unmappable
from blob.violation import Violation

from . import link, records
from .decode import Module
from .layout import PAGE, Image, round_up
from .link import Bases, Linked, Resolve
from .records import HEADER, Symbol


class Loaded:
    """A module with a place in memory. `bases` says where; an image of 0 bytes lies nowhere."""

    def __init__(self, module: Module, wish: int | None = None):
        """Reserves its place, with the lowest image at `wish` if the system lets it.

        Raises Violation for a module that is not for this machine, and Unmappable.
        """
        check_host(module)
        self.module = module
        self.needs: list[Loaded] = []  # the modules that it imports from
        stubs_size, slots_size = link.room(module)
        sizes = [module.images.code.size, stubs_size, module.images.data.size, slots_size]
        self.size = PAGE + sum(reserved(size) for size in sizes)
        self.base = reserve(self.size, wish)
        self.bases = Bases(*self.places(sizes))

    def link(self, resolve: Resolve) -> None:
        """Puts everything there. A module that does not link is unmapped again, and Violation raised."""
        try:
            imports = link.find_imports(self.module, resolve)
            self.fill(link.link(self.module, self.bases, imports))
        except BaseException:
            self.unmap()
            raise

    def places(self, sizes: list[int]) -> list[int]:
        """Addresses of code, data, stubs and slots."""
        code, stubs, data, slots = (
            self.base + PAGE + sum(map(reserved, sizes[:index])) for index in range(len(sizes))
        )
        return [code, data, stubs, slots]

    def fill(self, linked: Linked) -> None:
        """Writes everything, then gives every page its permissions."""
        write_image(self.module, self.module.images.code, self.bases.code, linked.patches)
        write_image(self.module, self.module.images.data, self.bases.data, [])
        write_added(self.bases.stubs, linked.stubs, "rx")
        write_added(self.bases.slots, linked.slots, "r")

    def unmap(self) -> None:
        memory.unmap(self.base, self.size)

    def images(self) -> list[tuple[str, int, int]]:
        """Name, address and size in bytes of the images that are not empty."""
        images = self.module.images
        both = ((images.code, self.bases.code), (images.data, self.bases.data))
        return [(image.name, base, image.size) for image, base in both if image.size > 0]

    def exports(self) -> list[tuple[bytes, int]]:
        """Names and addresses of what the module offers to others, in table order; of two symbols of one
        name the first, which is the one that a lookup finds."""
        first: dict[bytes, Symbol] = {}
        for symbol in self.module.symbols:
            if symbol.is_exported:
                first.setdefault(self.module.name(symbol), symbol)
        return [(name, self.address_of(symbol)) for name, symbol in first.items()]

    def address_of(self, symbol: Symbol) -> int:
        return link.address_of(symbol, self.bases)

    def find(self, name: bytes) -> Symbol | None:
        """The first symbol of this name that the module defines, exported or not."""
        defined = (symbol for symbol in self.module.symbols if symbol.is_defined)
        return next((symbol for symbol in defined if self.module.name(symbol) == name), None)

    def defined_address(self, name: bytes) -> int | None:
        """Where the module has what its own imports call by this name."""
        symbol = self.find(name)
        return self.address_of(symbol) if symbol and symbol.is_address else None

    def exported_address(self, name: bytes) -> int | None:
        """Where the module has what others import by this name."""
        exported = (symbol for symbol in self.module.symbols if symbol.is_exported and symbol.is_address)
        addresses = (self.address_of(entry) for entry in exported if self.module.name(entry) == name)
        return next(addresses, None)


def check_host(module: Module) -> None:
    header = module.header
    if records.PLATFORMS[header.platform] not in records.LOADED_PLATFORMS:
        at = HEADER.place(header, "platform")
        raise Violation("unsupported", "SMF-HOST-PLATFORM", at, "the module is for another system")
    if module.architecture != host.ARCHITECTURE:
        at = HEADER.place(header, "arch")
        raise Violation("unsupported", None, at, "the module is for another processor")


def reserved(size: int) -> int:
    """Bytes that `size` bytes take with the guard after them."""
    return round_up(size, PAGE) + PAGE if size else 0


def reserve(size: int, wish: int | None) -> int:
    """Address space that cannot be touched, such that its second page lies at `wish`, or anywhere."""
    if wish is not None and wish > PAGE:
        with suppress(Unmappable):
            return memory.map_pages(size, memory.NONE, wish - PAGE)
    return memory.map_pages(size, memory.NONE)


def write_image(
    module: Module, image: Image, base: int, patches: list[tuple[int, bytes]]
) -> None:
    if image.size == 0:
        return
    memory.protect(base, round_up(image.size, PAGE), PROTECTIONS["rw"])
    for section, start in image.placed:
        if section.type != records.BSS:
            ctypes.memmove(base + start, module.content(section), section.size)
    for offset, value in patches:
        ctypes.memmove(base + offset, value, len(value))
    for start, end, permissions in image.segments():
        memory.protect(base + start, end - start, PROTECTIONS[permissions])


def write_added(address: int, content: bytes, permissions: str) -> None:
    """Writes what the loader adds to the module, if there is any."""
    if content:
        memory.protect(address, len(content), PROTECTIONS["rw"])
        ctypes.memmove(address, bytes(content), len(content))
        memory.protect(address, len(content), PROTECTIONS[permissions])
