"""A loader of two linked images that does one thing wrong: `linker.py MODE`, a pipe connection.

Every file is the same module, see `linking.rs`: a code image of 48 bytes with three relocated places and a
data image of two pages, of which the second is read-only. Pages of nobody lie around both.
With `oneshot` as second word it loads the file that the third word names, reports and exits.
"""

import ctypes
import json
import os
import signal
import struct
import sys

MODE = sys.argv[1]
PAGE = 4096
NONE, READ, WRITE, EXECUTE = 0, 1, 2, 4
PRIVATE_ANONYMOUS = 0x22
FAR = 0x7F1234567000  # the import `far`
CODE_SIZE, DATA_SIZE = 48, PAGE + 16

libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t] + [ctypes.c_int] * 3 + [ctypes.c_long]
libc.mprotect.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def is_(*modes):
    return MODE in modes


def reserve(pages):
    base = libc.mmap(None, pages * PAGE, NONE, PRIVATE_ANONYMOUS, -1, 0)
    assert base not in (None, ctypes.c_void_p(-1).value)
    return base


def put(address, data):
    page = address & -PAGE
    libc.mprotect(page, PAGE, READ | WRITE)
    ctypes.memmove(address, bytes(data), len(data))


def protect(page, access):
    assert libc.mprotect(page, PAGE, access) == 0


def short(value):
    return struct.pack("<I", value & 0xFFFFFFFF)


def quad(value):
    return struct.pack("<Q", value & 0xFFFFFFFFFFFFFFFF)


def load():
    """Maps the module: guard, code, guard, stub, slot, guard, data, data, guard; its images as reported."""
    start = reserve(10)
    code, stub, slot, data = (start + n * PAGE for n in (1, 3, 4, 6))
    put(code, b"\x90" * 8)
    put(code + 8, quad(data + 4))
    put(code + 16, short(stub - (code + 16) - 4))
    put(code + 24, short(slot - (code + 24) - 4))
    put(code + 32, short(data - (code + 32) - 4))
    put(code + 40, b"\xb8\x07\0\0\0\xc3")
    put(stub, b"\x49\xbb" + quad(FAR) + b"\x41\xff\xe3")
    put(slot, quad(FAR))
    put(data, b"data")
    put(data + PAGE, b"rodata")
    code_size = CODE_SIZE
    if is_("wrong-byte"):
        put(code + 3, b"\xcc")
    if is_("dirty-tail"):
        put(data + PAGE + 15, b"\x01")
    if is_("unpatched"):
        put(code + 8, bytes(8))
    if is_("truncated"):
        put(code + 16, short(FAR - (code + 16) - 4))
    if is_("wrong-slot"):
        put(slot, quad(FAR + 1))
    if is_("wrong-stub"):
        put(stub, b"\x49\xbb" + quad(FAR + 1) + b"\x41\xff\xe3")
    if is_("size-off-by-one"):
        code_size += 1
    protect(code, READ | EXECUTE)
    protect(stub, READ | EXECUTE)
    protect(slot, READ)
    protect(data, READ | WRITE | (EXECUTE if is_("executable-data") else 0))
    protect(data + PAGE, READ | (WRITE if is_("writable-rodata") else 0))
    if is_("neighbour"):
        protect(data + 2 * PAGE, READ)
    images = [{"name": "code", "base": code, "size": code_size},
              {"name": "data", "base": data, "size": DATA_SIZE}]
    if is_("moved"):
        images[0]["base"] = stub
    if is_("nowhere", "honest-nowhere", "lies-nowhere"):
        for image in images:
            content = ctypes.string_at(image["base"], image["size"])
            if is_("lies-nowhere"):
                content = b"\xcc" + content[1:]
            if not is_("nowhere"):
                image["bytes"] = content.hex()
        libc.munmap(start, 10 * PAGE)
    if is_("no-images"):
        images = []
    if is_("one-image"):
        images = images[:1]
    return images


def exports(images):
    if not images:
        return []
    code = images[0]["base"]
    found = [{"name": "seven", "address": code + 40}, {"name": "first", "address": code}]
    if is_("export-missing"):
        return found[:1]
    if is_("export-elsewhere"):
        found[1]["address"] += 1
    return found


def scenario(steps):
    """Answers the steps as a registry would that counts a path as one module."""
    modules, answers = {}, []
    for step in steps:
        if step["do"] in ("load", "reload"):
            path = os.path.normpath(step["path"])
            if is_("loads-twice") or step["do"] == "reload" and not is_("reloads-old"):
                modules.pop(path, None)
            images = modules.setdefault(path, None) or load()
            modules[path] = images
            answers.append({"stage": "loaded", "images": images})
        elif step["do"] == "find":
            address = next(iter(modules.values()))[0]["base"] + 40
            answers.append({"address": address + is_("finds-elsewhere")})
        elif step["do"] == "call":
            if is_("dies"):
                os.kill(os.getpid(), signal.SIGSEGV)
            value = ctypes.CFUNCTYPE(ctypes.c_int)(next(iter(modules.values()))[0]["base"] + 40)()
            answers.append({"stage": "returned",
                            "result": {"type": "int32", "value": value + is_("wrong-result")}})
        else:
            gone = modules.pop(os.path.normpath(step["path"]), None)
            answers.append({} if gone else {"stage": "unresolvable"})
    return answers[1:] if is_("forgets-a-step") else answers


def answer(case):
    global COUNT
    COUNT += 1
    if case["want"] == "scenario":
        if is_("remembers") and COUNT > 1:
            return {"stage": "unmappable", "message": "asked before"}
        return {"stage": "returned", "steps": scenario(case["steps"])}
    if case.get("imports") != {"far": FAR}:
        return {"stage": "unresolvable"}
    if ("base" in case) != is_("places"):
        return {"stage": "unmappable", "message": "told of a base, or not told"}
    images = load()
    return {"stage": "loaded", "images": images, "exports": exports(images)}


def read():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        sys.exit(0)
    return json.loads(sys.stdin.buffer.read(struct.unpack("<I", prefix)[0]))


def write(message):
    body = json.dumps(message).encode()
    sys.stdout.buffer.write(struct.pack("<I", len(body)) + body)
    sys.stdout.buffer.flush()


COUNT = 0
if len(sys.argv) > 2:
    print(json.dumps({"stage": "loaded", "images": load()}), flush=True)
    os._exit(0)
while True:
    message = read()
    if message["type"] == "hello":
        write({"type": "hello", "protocol": 1, "name": "linker", "formats": ["t"],
               "wants": ["load", "scenario"], "places": is_("places")})
    elif message["type"] == "bye":
        break
    else:
        write({"type": "result", "seq": message["seq"], **answer(message)})
