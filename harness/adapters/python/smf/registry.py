"""Several modules that import from each other.

A file is loaded once, whichever path leads to it. An import finds the module's own definitions first, then
the exports of the others in load order, then what the host offers; an import never satisfies an import. A
module stays mapped while it is registered, while somebody holds it, and while a module that imports from it
is mapped.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from .decode import decode
from .loaded import Loaded
from .rules import check


class Registry:
    def __init__(self, offered: dict[bytes, int]):
        """`offered`: addresses of what the host offers to imports."""
        self.offered = offered
        self.registered: dict[str, Loaded] = {}  # by real path, in load order
        self.mapped: list[Loaded] = []

    def load(self, path: Path) -> Loaded:
        """The module at `path`. Raises OSError, Violation and Unmappable."""
        real = os.path.realpath(path, strict=True)
        if real not in self.registered:
            self.registered[real] = self.map(real)
        return self.registered[real]

    def reload(self, path: Path) -> Loaded:
        """The same, anew. When it fails, what was loaded from there stays."""
        real = os.path.realpath(path, strict=True)
        self.registered[real] = self.map(real)
        return self.registered[real]

    def unload(self, path: Path) -> bool:
        """Forgets the module; whether there was one. `sweep` unmaps it once nobody holds it."""
        return self.registered.pop(os.path.realpath(path), None) is not None

    def resolve(self, name: bytes) -> int | None:
        """The address that an import of this name gets now."""
        return self.exported(self.registered.values(), name, [])

    def exported(self, modules: Iterable[Loaded], name: bytes, used: list[Loaded]) -> int | None:
        """The same, among these modules; notes in `used` which of them has it."""
        for module in modules:
            address = module.exported_address(name)
            if address is not None:
                used.append(module)
                return address
        return self.offered.get(name)

    def sweep(self, held: Iterable[Loaded]) -> None:
        """Unmaps every module that is not registered, not held, and not needed by one that is."""
        kept: dict[int, Loaded] = {}
        pending = [*self.registered.values(), *held]
        while pending:
            module = pending.pop()
            if module.base not in kept:
                kept[module.base] = module
                pending += module.needs
        for module in self.mapped:
            if module.base not in kept:
                module.unmap()
        self.mapped = list(kept.values())

    def map(self, real: str) -> Loaded:
        module = decode(Path(real).read_bytes())
        check(module)
        loaded = Loaded(module)
        others = [other for path, other in self.registered.items() if path != real]

        def resolve(name: bytes) -> int | None:
            own = loaded.defined_address(name)
            return self.exported(others, name, loaded.needs) if own is None else own

        loaded.link(resolve)
        self.mapped.append(loaded)
        return loaded
