"""How a file is refused."""


class Violation(Exception):
    """A broken rule: how far the loader got, which rule if it has an id, and the absolute offset of what
    broke it."""

    def __init__(self, stage: str, rule: str | None, offset: int, message: str):
        super().__init__(f"{message} (at offset {offset:#x})")
        self.stage = stage
        self.rule = rule
        self.offset = offset

    def reply(self) -> dict:
        """What the harness is told."""
        return {
            "stage": self.stage,
            "rule": self.rule,
            "offset": self.offset,
            "message": str(self),
        }
