"""Where sections lie in memory: two images, code and data.

Sections follow each other in table order, each at the next multiple of its alignment, and take their virtual
size. Where the permissions change, the next section starts on a page of its own. Sums saturate at 64 bits:
what is too large is refused by a rule, not here.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby

from .records import BSS, CODE, DATA, RODATA, Section

PAGE = 4096  # the format's page, whatever the machine's
MAX_U64 = (1 << 64) - 1
PERMISSIONS = {CODE: "rx", DATA: "rw", BSS: "rw", RODATA: "r"}


@dataclass
class Image:
    """One image before it is mapped. `size` is not rounded to pages."""

    name: str
    placed: list[tuple[Section, int]] = field(default_factory=list)  # with the offset in the image
    size: int = 0

    def add(self, section: Section) -> None:
        align = max(section.alignment, 1)
        if self.placed and permissions(self.placed[-1][0]) != permissions(section):
            align = max(align, PAGE)
        start = min(round_up(self.size, align), MAX_U64)
        self.placed.append((section, start))
        self.size = min(start + section.virtual_size, MAX_U64)

    def segments(self) -> Iterator[tuple[int, int, str]]:
        """Stretches with one kind of permissions: start and end in whole pages, and the permissions."""
        runs = groupby(self.placed, lambda placed: permissions(placed[0]))
        changes = [(next(run)[1], kind) for kind, run in runs]
        ends = [start for start, _ in changes[1:]] + [round_up(self.size, PAGE)]
        for (start, kind), end in zip(changes, ends, strict=True):
            if start < end:
                yield start, end, kind


@dataclass(frozen=True)
class Images:
    code: Image
    data: Image

    def add(self, section: Section) -> None:
        """Puts a section into the image that it is part of, if any."""
        if section.type == CODE:
            self.code.add(section)
        elif section.type in PERMISSIONS:
            self.data.add(section)

    @property
    def total(self) -> int:
        return min(self.code.size + self.data.size, MAX_U64)


def no_images() -> Images:
    return Images(Image("code"), Image("data"))


def lay_out(sections: list[Section]) -> Images:
    images = no_images()
    for section in sections:
        images.add(section)
    return images


def permissions(section: Section) -> str:
    return PERMISSIONS[section.type]


def round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
