"""The steps of a scenario: modules as files in a scratch folder, loaded, asked, called and unloaded."""

import tempfile
from pathlib import Path

from blob import calls
from blob.memory import Unmappable
from blob.violation import Violation

from . import records
from .loaded import Loaded
from .registry import Registry

Reply = dict


class Scenario:
    """A fresh registry and the handles that steps have given to its modules."""

    def __init__(self, offered: dict[bytes, int]):
        self.registry = Registry(offered)
        self.handles: dict[str, Loaded] = {}

    def run(self, steps: list[dict]) -> list[Reply]:
        with tempfile.TemporaryDirectory(prefix="smf-") as folder:
            return [self.step(Path(folder), step) for step in steps]

    def close(self) -> None:
        """Unmaps everything."""
        self.registry.registered.clear()
        self.registry.sweep([])

    def step(self, folder: Path, step: dict) -> Reply:
        reply = self.do(folder, step)
        self.registry.sweep(self.handles.values())
        return reply

    def do(self, folder: Path, step: dict) -> Reply:
        match step:
            case {"do": "load", "path": path, "handle": handle}:
                return self.load(self.registry.load, file(folder, path, step), handle)
            case {"do": "reload", "path": path, "handle": handle}:
                return self.load(self.registry.reload, file(folder, path, step), handle)
            case {"do": "unload", "path": path}:
                unloaded = self.registry.unload(inside(folder, path))
                return {} if unloaded else unresolvable(f"nothing is loaded from `{path}`")
            case {"do": "release", "handle": handle}:
                given = self.handles.pop(handle, None)
                return {} if given else nothing_loaded_as(handle)
            case {"do": "resolve", "symbol": symbol}:
                return found(symbol, self.registry.resolve(encoded(symbol)))
            case {"do": "find", "handle": handle, "symbol": symbol}:
                return found(symbol, self.find(handle, symbol))
            case {"do": "call", "handle": handle, "call": call}:
                return self.call(handle, call)
            case {"do": other}:
                raise ValueError(f"step `{other}` is not of this protocol")

    def load(self, load, path: Path, handle: str) -> Reply:
        """Loads with the registry's `load` and gives the module to a handle."""
        try:
            loaded = load(path)
        except Violation as violation:
            reply = violation.reply()
            del reply["offset"]
            return reply
        except Unmappable as error:
            return {"stage": "unmappable", "message": str(error)}
        except OSError as error:
            return unresolvable(str(error))
        self.handles[handle] = loaded
        return {"stage": "loaded", "images": images(loaded)}

    def find(self, handle: str, name: str) -> int | None:
        loaded = self.handles.get(handle)
        symbol = loaded and loaded.find(encoded(name))
        return loaded.address_of(symbol) if symbol else None

    def call(self, handle: str, wanted: dict) -> Reply:
        if handle not in self.handles:
            return nothing_loaded_as(handle)
        reply = call(self.handles[handle], wanted)
        return {key: value for key, value in reply.items() if key != "buffers"}


def file(folder: Path, path: str, step: dict) -> Path:
    """The file that a step loads, with the bytes that the step brings."""
    place = inside(folder, path)
    if step.get("bytes") is not None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(bytes.fromhex(step["bytes"]))
    return place


def inside(folder: Path, path: str) -> Path:
    place = folder / path
    if not place.resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"`{path}` leads out of the scratch folder")
    return place


def call(loaded: Loaded, wanted: dict) -> Reply:
    """Calls a function of a module. SMF has no signatures: the types are those of the call."""
    symbol = loaded.find(encoded(wanted["function"]))
    if symbol is None or symbol.type != records.FUNCTION:
        return unresolvable(f"no function `{wanted['function']}`")
    code = calls.Range(loaded.bases.code, loaded.module.images.code.size)
    address = loaded.address_of(symbol)
    result, buffers = calls.call(address, code, wanted["args"], wanted["returns"])
    return {"stage": "returned", "result": result, "buffers": buffers}


def images(loaded: Loaded) -> list[dict]:
    return [{"name": name, "base": base, "size": size} for name, base, size in loaded.images()]


def found(symbol: str, address: int | None) -> Reply:
    return unresolvable(f"no symbol `{symbol}`") if address is None else {"address": address}


def nothing_loaded_as(handle: str) -> Reply:
    return unresolvable(f"nothing is loaded as `{handle}`")


def unresolvable(message: str) -> Reply:
    return {"stage": "unresolvable", "message": message}


def encoded(name: str) -> bytes:
    """A name in JSON as it stands in a file; one that no file can have is found nowhere."""
    return name.encode("utf-8", "surrogatepass")
