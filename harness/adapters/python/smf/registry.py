"""Several modules that import from each other.

A file is loaded once, whichever path leads to it. An import finds the module's own exports first, then those
of the others in load order, then what the host offers; an import never satisfies an import. A module stays
mapped while it is registered, while somebody holds it, and while a module that imports from it is mapped.
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

    def resolve(self, name: bytes, asking: Loaded | None = None) -> int | None:
        """The address that an import of this name gets."""
        others = [module for module in self.registered.values() if module is not asking]
        for module in [asking, *others] if asking else others:
            address = module.export(name)
            if address is not None:
                if asking and module is not asking:
                    asking.needs.append(module)
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
        loaded.link(lambda name: self.resolve(name, loaded))
        self.mapped.append(loaded)
        return loaded
