"""Mappings, through the C library: Python's own `mmap` cannot reserve, protect, or say an address."""

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
MAP_NORESERVE = 0x4000  # Linux; not among the names of the `mmap` module
MAP_FIXED_NOREPLACE = 0x100000  # Linux 4.17; older kernels take it for a hint

NONE = 0
PROTECTIONS = {
    "r": mmap.PROT_READ,
    "rw": mmap.PROT_READ | mmap.PROT_WRITE,
    "rx": mmap.PROT_READ | mmap.PROT_EXEC,
}


class Unmappable(Exception):
    """The operating system refused memory or its protection."""


def map_pages(size: int, protection: int, at: int = 0) -> int:
    """Maps fresh zeros and gives their address: `at`, or where the system likes if `at` is 0."""
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
    flags |= MAP_NORESERVE if protection == NONE else 0
    flags |= MAP_FIXED_NOREPLACE if at else 0
    base = LIBC.mmap(at or None, size, protection, flags, -1, 0)
    if base is None or base == MAP_FAILED:
        raise Unmappable(f"mmap: {last_error()}")
    if at and base != at:
        LIBC.munmap(base, size)
        raise Unmappable(f"mmap: {at:#x} is taken")
    return base


def protect(address: int, size: int, protection: int) -> None:
    if LIBC.mprotect(address, size, protection) != 0:
        raise Unmappable(f"mprotect: {last_error()}")


def unmap(address: int, size: int) -> None:
    LIBC.munmap(address, size)


def last_error() -> str:
    return os.strerror(ctypes.get_errno())
