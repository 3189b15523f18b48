"""The decoded file as the harness compares it: raw numbers, bytes as hexadecimal digits."""

from dataclasses import asdict

from .decode import Module
from .records import Symbol

NOT_REPORTED = ("at", "padding")


def model(module: Module) -> dict:
    """The model of a file that breaks no rule."""
    return {
        "header": plain(module.header),
        "sections": [plain(section) for section in module.sections],
        "relocations": [[plain(entry) for entry in entries] for entries in module.relocation_lists],
        "symbols": [symbol_model(module, symbol) for symbol in module.symbols],
    }


def symbol_model(module: Module, symbol: Symbol) -> dict:
    return plain(symbol) | {"name": module.name(symbol).decode("utf-8")}


def plain(record) -> dict:
    fields = asdict(record).items()
    return {
        name: value.hex() if isinstance(value, bytes) else value
        for name, value in fields
        if name not in NOT_REPORTED
    }
