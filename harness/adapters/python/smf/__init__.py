"""A loader for SMF 1.0 in plain Python.

Written from the plan's documents and the register of decisions, in the default reading of each:

    records   what the bytes of a header, section, symbol and relocation are
    decode    bytes -> Module, or the first place where they do not decode
    layout    sections -> where each lies in the images
    rules     Module -> the first rule that it breaks, if any
    model     Module -> the JSON that the harness compares
    link      Module, bases, imports -> what the relocations write
    loaded    Module -> two images in memory that are never writable and executable at once
    registry  several modules that import from each other
    scenario  the steps of the protocol, done with a registry
"""
