#!/usr/bin/env python3
"""The Python loader of SMF as an implementation under test: speaks the harness's pipe protocol."""

from blob.memory import Unmappable
from blob.pipe import serve_standard_streams
from blob.violation import Violation
from smf import scenario
from smf.decode import Module, decode
from smf.loaded import Loaded
from smf.model import model
from smf.rules import check
from smf.scenario import Scenario, encoded


class Loader:
    """Judges files; keeps what the last case mapped until it is released."""

    description = {
        "name": "python-smf-loader",
        "version": "0.1.0",
        "language": "Python",
        "formats": ["smf"],
        "architectures": [],
        "wants": ["validate", "load", "call", "scenario"],
        "choices": {},
        "places": True,
    }

    def __init__(self):
        self.loaded: Loaded | None = None
        self.scenario: Scenario | None = None

    def release(self) -> None:
        if self.loaded is not None:
            self.loaded.unmap()
        if self.scenario is not None:
            self.scenario.close()
        self.loaded = self.scenario = None

    def judge(self, case: dict) -> dict:
        """The reply to a case, without its sequence number."""
        if case["format"] != "smf":
            return {"skip": f"format {case['format']} is not read by this loader"}
        if case["want"] == "scenario":
            self.scenario = Scenario(offered(case))
            return {"stage": "returned", "steps": self.scenario.run(case["steps"])}
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
        loaded = Loaded(module, case.get("base"))
        loaded.link(offered(case).get)
        self.loaded = loaded
        reply = {
            "stage": "loaded",
            "model": model(module),
            "images": scenario.images(loaded),
            "exports": exports(loaded),
        }
        if case["want"] == "call":
            reply |= scenario.call(loaded, case["call"])
        return reply


def offered(case: dict) -> dict[bytes, int]:
    """What the host offers to imports, by name."""
    return {encoded(name): address for name, address in case.get("imports", {}).items()}


def exports(loaded: Loaded) -> list[dict]:
    return [{"name": name.decode(), "address": address} for name, address in loaded.exports()]


if __name__ == "__main__":
    serve_standard_streams(Loader())
