"""Memory for code. It is written while it is not executable, and executable once it is not writable."""

import ctypes

from blob import memory


class Image:
    """A mapped blob: `base` is the address of its first byte. Without code nothing is mapped."""

    def __init__(self, code: bytes):
        self.size = len(code)
        self.base = map_code(code) if code else 0

    def unmap(self) -> None:
        if self.base:
            memory.unmap(self.base, self.size)
        self.base = 0


def map_code(code: bytes) -> int:
    """Maps a copy of `code`, readable and executable; gives its address.

    The kernel makes a page that becomes executable for the first time coherent with the instruction
    fetch, so that ARM64 needs nothing more after mprotect.
    """
    base = memory.map_pages(len(code), memory.PROTECTIONS["rw"])
    ctypes.memmove(base, code, len(code))
    try:
        memory.protect(base, len(code), memory.PROTECTIONS["rx"])
    except memory.Unmappable:
        memory.unmap(base, len(code))
        raise
    return base
