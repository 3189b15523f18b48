"""A loader that does one thing wrong: `saboteur.py MODE`, a pipe connection on stdin and stdout.

It knows the right answer: the first byte of a file is 1 when the file is to be accepted. The second
byte is the vector's number. What it does with that is up to the mode; `good` does it right.
"""

import json
import mmap
import os
import signal
import struct
import sys
import time

MODE = sys.argv[1]
DESCRIBE = {"type": "hello", "protocol": 1, "name": "saboteur", "formats": ["t"],
            "wants": ["validate", "load"]}


def read():
    prefix = sys.stdin.buffer.read(4)
    if len(prefix) < 4:
        sys.exit(0)
    return json.loads(sys.stdin.buffer.read(struct.unpack("<I", prefix)[0]))


def frame(message):
    body = json.dumps(message).encode()
    return struct.pack("<I", len(body)) + body


def write(raw):
    sys.stdout.buffer.write(raw)
    sys.stdout.buffer.flush()


def die():
    os.kill(os.getpid(), signal.SIGSEGV)


def hang():
    while True:
        time.sleep(1000)


def right(case):
    accepted = {"validate": "valid", "load": "loaded"}[case["want"]]
    stage = accepted if case["bytes"].startswith("01") else "invalid"
    return {"type": "result", "seq": case["seq"], "stage": stage}


# What the modes do with a case. Each returns what is written.

def accept_all(case):
    return frame({**right(case), "stage": "valid"})


def reject_all(case):
    return frame({**right(case), "stage": "invalid"})


def crash_on_reject(case):
    if right(case)["stage"] == "invalid":
        sys.stderr.write("about to read one byte too far\n")
        sys.stderr.flush()
        die()
    return frame(right(case))


def crash_on_two(case):
    if case["bytes"][2:4] == "02":
        die()
    return frame(right(case))


def crash_after_two(case):
    """Answers, then dies of it."""
    write(frame(right(case)))
    if case["bytes"][2:4] == "02":
        die()
    return b""


def exit_on_reject(case):
    if right(case)["stage"] == "invalid":
        sys.exit(1)
    return frame(right(case))


def hang_third(case):
    if COUNT == 3:
        hang()
    return frame(right(case))


def hang_on_two(case):
    if case["bytes"][2:4] == "02":
        hang()
    return frame(right(case))


def crash_third(case):
    if COUNT == 3:
        die()
    return frame(right(case))


def wrong_third(case):
    return frame({**right(case), "stage": "unmappable"} if COUNT == 3 else right(case))


def twice(case):
    return frame(right(case)) * 2


def two_twice(case):
    return frame(right(case)) * (2 if case["bytes"][2:4] == "02" else 1)


def stale(case):
    global LAST
    seq, LAST = LAST, case["seq"]
    return frame({**right(case), "seq": seq})


def stale_third(case):
    global LAST
    seq = LAST if COUNT == 3 else case["seq"]
    LAST = case["seq"]
    return frame({**right(case), "seq": seq})


def counts_itself(case):
    return frame({**right(case), "seq": COUNT})


def neighbour(case):
    return frame({**right(case), "seq": case["seq"] + 1})


def noise(case):
    return b"loading...\n" + frame(right(case))


def skip_all(case):
    return frame({"type": "result", "seq": case["seq"], "skip": "not today"})


def skip_silently(case):
    return frame({"type": "result", "seq": case["seq"], "skip": ""})


def garbage(case):
    return bytes(range(200, 256)) * 9


def exit_at_once(case):
    sys.exit(0)


def close_stdin(case):
    os.close(0)
    hang()


def close_stdout(case):
    os.close(1)
    hang()


def flood_stderr(case):
    sys.stderr.write("x" * 100_000 + "\n")
    return frame(right(case))


def half_a_frame(case):
    write(frame(right(case))[:-3])
    hang()


def half_a_frame_and_exit(case):
    write(frame(right(case))[:-3])
    os._exit(0)


def neither(case):
    return frame({"type": "result", "seq": case["seq"]})


def both(case):
    return frame({**right(case), "skip": "why not"})


def unsupported_all(case):
    return frame({**right(case), "stage": "unsupported"})


def long_frame(case):
    return struct.pack("<I", 1 << 30) + b"x" * 100


def no_json(case):
    return struct.pack("<I", 5) + b"valid"


def hello_again(case):
    return frame(DESCRIBE)


def talkative(case):
    return frame({**right(case), "message": "m" * 100_000})


def fork_and_exit(case):
    """A grandchild keeps the pipes open."""
    if os.fork() == 0:
        hang()
    os._exit(7)


def writable_code(case):
    if right(case)["stage"] == "loaded":
        MAPPINGS.append(mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC))
    return frame(right(case))


def image_elsewhere(case):
    return frame({**right(case), "images": [{"name": "code", "base": 4096, "size": 16}]})


def follows_value(case):
    """Takes the other reading: what is to be accepted is rejected and the reverse."""
    stage = "invalid" if right(case)["stage"] == "valid" else "valid"
    return frame({**right(case), "stage": stage})


def hungry(case):
    """Believes a hostile count."""
    try:
        bytearray(64 << 30)
    except MemoryError:
        return frame({**right(case), "message": "no memory"})
    return frame({**right(case), "stage": "exhausted"})


def good(case):
    return frame(right(case))


def in_batches(case):
    """Answers only when nothing more is to be read for the moment, last case first."""
    BATCH.insert(0, crash_on_two(case))
    os.set_blocking(0, False)
    more = sys.stdin.buffer.peek(1)
    os.set_blocking(0, True)
    if more:
        return b""
    answers = b"".join(BATCH)
    BATCH.clear()
    return answers


# Of calls: what the code does must show, and nothing else.

def call(case):
    """Runs the code, which traps."""
    die()


def call_in_one_process(case):
    """Trusts that no case came before."""
    if COUNT > 1:
        return call_rejecting(case)
    die()


def call_aborting(case):
    os.abort()


def call_exiting_as_a_shell(case):
    os._exit(128 + signal.SIGSEGV)


def call_answering_first(case):
    write(call_returning(case))
    die()


def call_rejecting(case):
    return frame({"type": "result", "seq": case["seq"], "stage": "invalid"})


def call_returning(case):
    return frame({"type": "result", "seq": case["seq"], "stage": "returned", "result": {"type": "void"}})


def call_trapping(case):
    trap = {"cause": "unmapped", "access": "read", "address": {"into": "null"}}
    return frame({"type": "result", "seq": case["seq"], "stage": "trap", "trap": trap})


def call_trapping_elsewhere(case):
    trap = {"cause": "unmapped", "access": "read", "address": {"into": "stack"}}
    return frame({"type": "result", "seq": case["seq"], "stage": "trap", "trap": trap})


def call_breaking(case):
    return frame({"type": "result", "seq": case["seq"], "stage": "returned", "result": {"type": "void"},
                  "breaches": ["rbx"]})


COUNT = 0
LAST = 1
MAPPINGS = []
BATCH = []

if MODE == "dies-at-handshake":
    sys.stderr.write("no licence found\n")
    sys.exit(3)
if MODE == "silent":
    hang()
if MODE == "garbage-at-handshake":
    write(b"Welcome to the loader!\n")
    hang()
read()
if MODE == "other-version":
    DESCRIBE["protocol"] = 99
if "call" in MODE:
    DESCRIBE["wants"] = ["call"]
    DESCRIBE["contains"] = MODE.startswith("contained-")
    MODE = MODE.removeprefix("contained-")
write(frame(DESCRIBE))
while True:
    message = read()
    if message["type"] == "bye":
        if MODE == "crash-at-bye":
            die()
        if MODE == "flood-after-bye":
            while True:
                write(frame(DESCRIBE) * 1000)
        if MODE == "exit-code-at-bye":
            sys.exit(23)
        break
    COUNT += 1
    mode = "good" if MODE.endswith(("-at-bye", "-after-bye")) else MODE.replace("-", "_")
    write(globals()[mode](message))
