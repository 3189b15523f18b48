#!/usr/bin/env python3
"""The Python loader of SCP as an implementation under test: speaks the harness's pipe protocol."""

from blob import calls, host
from blob.memory import Unmappable
from blob.pipe import serve_standard_streams
from blob.violation import Violation
from scp.decode import Module, decode
from scp.image import Image
from scp.model import model
from scp.rules import architecture_name, check, find_function

# The type codes of SCP, by the names of the protocol.
TYPE_CODES = {
    "void": 0,
    "int8": 1,
    "int16": 2,
    "int32": 3,
    "int64": 4,
    "float32": 5,
    "float64": 6,
    "pointer": 10,
    "struct_ref": 11,
}


class Loader:
    """Judges files; keeps the last image mapped until it is released."""

    description = {
        "name": "python-scp-loader",
        "version": "0.1.0",
        "language": "Python",
        "formats": ["scp"],
        "architectures": [],
        "wants": ["validate", "load", "call"],
        "choices": {},
    }

    def __init__(self):
        self.image: Image | None = None

    def release(self) -> None:
        if self.image is not None:
            self.image.unmap()
        self.image = None

    def judge(self, case: dict) -> dict:
        """The reply to a case, without its sequence number."""
        if case["format"] != "scp":
            return {"skip": f"format {case['format']} is not read by this loader"}
        try:
            module = decode(bytes.fromhex(case["bytes"]))
            check(module)
            return self.go_on(module, case)
        except Violation as violation:
            return violation.reply()
        except Unmappable as error:
            return {"stage": "unmappable", "message": str(error)}

    def go_on(self, module: Module, case: dict) -> dict:
        """Goes as far with a valid file as the harness wants."""
        if case["want"] == "validate":
            return {"stage": "valid", "model": model(module)}
        if case["want"] == "call" and architecture_name(module) != host.ARCHITECTURE:
            return {"skip": f"code of {architecture_name(module)} is not called on this machine"}
        self.image = Image(module.code)
        reply = {"stage": "loaded", "model": model(module), "images": self.images()}
        if case["want"] == "call":
            reply |= self.call(module, case["call"])
        return reply

    def images(self) -> list[dict]:
        if not self.image.base:
            return []
        return [{"name": "code", "base": self.image.base, "size": self.image.size}]

    def call(self, module: Module, wanted: dict) -> dict:
        """Calls a function if it exists and has the types that the harness says it has."""
        function = find_function(module, wanted["function"])
        if function is None:
            return {"stage": "unresolvable", "message": f"no function `{wanted['function']}`"}
        declared = [param.value for param in function.params] + [function.return_type.value]
        types = [argument["type"] for argument in wanted["args"]] + [wanted["returns"]]
        if declared != [TYPE_CODES[name] for name in types]:
            return {"stage": "unresolvable", "message": "the call's types are not the function's"}
        address = self.image.base + function.entry_offset.value
        result, buffers = calls.call(address, self.image, wanted["args"], wanted["returns"])
        return {"stage": "returned", "result": result, "buffers": buffers}


if __name__ == "__main__":
    serve_standard_streams(Loader())
