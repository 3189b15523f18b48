"""A loader for SCP 0.1 in plain Python.

Written from the SCP document and the register of decisions, in the default reading of each:

    decode  bytes -> Module, or the first place where they do not decode
    rules   Module -> the first rule that it breaks, if any
    model   Module -> the JSON that the harness compares
    image   code -> memory that is never writable and executable at once
"""
