"""Memory for code. It is written while it is not executable, and executable once it is not writable."""

import ctypes
import mmap
import os

LIBC = ctypes.CDLL(None, use_errno=True)
LIBC.mmap.restype = ctypes.c_void_p
LIBC.mmap.argtypes = (
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
)
LIBC.mprotect.restype = ctypes.c_int
LIBC.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
LIBC.munmap.restype = ctypes.c_int
LIBC.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
MAP_FAILED = ctypes.c_void_p(-1).value


class Unmappable(Exception):
    """The operating system refused memory or its protection."""


class Image:
    """A mapped blob: `base` is the address of its first byte. Without code nothing is mapped."""

    def __init__(self, code: bytes):
        self.size = len(code)
        self.base = map_code(code) if code else 0

    def unmap(self) -> None:
        if self.base:
            LIBC.munmap(self.base, self.size)
        self.base = 0


def map_code(code: bytes) -> int:
    """Maps a copy of `code`, readable and executable; gives its address.

    The kernel makes a page that becomes executable for the first time coherent with the instruction
    fetch, so that ARM64 needs nothing more after mprotect.
    """
    read_write = mmap.PROT_READ | mmap.PROT_WRITE
    base = LIBC.mmap(None, len(code), read_write, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
    if base is None or base == MAP_FAILED:
        raise Unmappable(f"mmap: {last_error()}")
    ctypes.memmove(base, code, len(code))
    if LIBC.mprotect(base, len(code), mmap.PROT_READ | mmap.PROT_EXEC) != 0:
        reason = last_error()
        LIBC.munmap(base, len(code))
        raise Unmappable(f"mprotect: {reason}")
    return base


def last_error() -> str:
    return os.strerror(ctypes.get_errno())
