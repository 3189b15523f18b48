"""What the loaders of both formats share: nothing here knows a format.

    pipe       the frames of the harness's pipe protocol
    memory     mappings, through the C library
    host       the architecture of this machine
    calls      typed calls of native code
    violation  how a file is refused
"""
