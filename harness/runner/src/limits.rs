//! Every cap of the runner, with its reason.

use std::time::Duration;

use harness_protocol::limits::MAX_FRAME;

/// How long a program may take to answer hello. A JVM or a Python program with large imports needs a
/// second on a busy machine; a one-shot loader that waits on stdin costs this once per run.
pub const HANDSHAKE: Duration = Duration::from_secs(5);

/// How long one case may take. Loading a vector takes microseconds; two seconds pass only in a loop.
pub const DEADLINE: Duration = Duration::from_secs(2);

/// How long a process that closed its stdout, or was told bye, may take to exit before it is killed.
pub const GOODBYE: Duration = Duration::from_millis(500);

/// How often a process that fails the handshake in the middle of a run is started anew. Once can be an
/// accident of a busy machine, three times in a row is the loader.
pub const HANDSHAKE_ATTEMPTS: u32 = 3;

/// Longest wait without looking at the stop flag.
pub const TICK: Duration = Duration::from_millis(50);

/// How often an observed one-shot process is asked whether it stopped: `ptrace` stops wake no `poll`.
pub const TRACE_TICK: Duration = Duration::from_millis(1);

/// How long an answer is waited for before anything else of the process is looked at.
pub const GLANCE: Duration = Duration::from_millis(1);

/// Every so many exchanges everything is looked at, however fast the answers come: a loader that writes
/// a line to stderr per case blocks after a few hundred when nobody reads (a pipe holds 64 KiB).
pub const FULL_LOOK: usize = 16;

/// Most cases that are in flight in one process. Enough to hide the round trip; small enough that
/// repeating them one at a time after a crash costs about as much as the restart.
pub const MAX_IN_FLIGHT: usize = 64;

/// Most bytes of frames in flight in one process. Four pipe buffers: more only fills memory.
pub const MAX_IN_FLIGHT_BYTES: usize = 256 << 10;

/// Failures that wait to be run again alone before a worker turns to them. Few, so that a run that is killed
/// loses few results; several, because the pipeline must run dry first.
pub const MAX_WAITING_FAILURES: usize = 16;

/// Bytes that are read from a pipe at once: what a Linux pipe holds.
pub const READ_CHUNK: usize = 64 << 10;

/// Most bytes of stdout that are held unread while a process runs: the longest frame, and the chunk with
/// which its end comes. Frames are taken as soon as they are whole, so an honest loader stays below.
pub const MAX_UNREAD: usize = MAX_FRAME + READ_CHUNK;

/// Most bytes that are taken from each pipe after a process ended: what a Linux pipe can be made to hold
/// without privileges. More comes only from a descendant that left the group and goes on writing.
pub const MAX_REST: usize = 1 << 20;

/// What is kept of a process's stderr: the end, where the reason stands.
pub const MAX_STDERR: usize = 64 << 10;

/// What a crash record keeps of that: a sanitizer report, but not a thousand of them at 64 KiB each.
pub const MAX_CRASH_STDERR: usize = 16 << 10;

/// What is kept of a one-shot loader's stdout. Its last line may be a reply with a decoded model.
pub const MAX_STDOUT: usize = 1 << 20;

/// Most address space of a loader, in bytes: beyond what it had mapped when it said hello (pipe) or in
/// all (one-shot). A loader that believes a count of 0xFFFFFFFF entries fails to allocate instead of
/// taking the machine down; honest loaders of these formats need a few MiB.
pub const MAX_ADDRESS_SPACE: u64 = 4 << 30;

/// Most resident memory of a one-shot loader, in KiB: no vector decodes to a thousandth of 1 GiB.
pub const MAX_RSS_KIB: u64 = 1 << 20;

/// Claimed skips above this share of the vectors that apply fail the run. A loader may be unable to try
/// a vector now and then; one that turns its failures into skips is found out (a real suite printed
/// "PASSED: 29 successes, 1823 skipped").
pub const MAX_CLAIMED_SKIP_PERCENT: usize = 10;

/// Largest deviations file, in bytes. Ten thousand entries of a hundred bytes fill it, and people write them.
pub const MAX_DEVIATIONS_FILE: u64 = 1 << 20;

/// Deepest nesting of `[` and `{` in a deviations file, which needs three. The YAML library takes a time that
/// grows with the square of the depth.
pub const MAX_DEVIATIONS_DEPTH: usize = 64;

/// A deviation that matches more vectors than this must say `broad: true`: a short glob must not swallow
/// failures that its author never saw. One rule has at most a handful of vectors per field.
pub const MAX_DEVIATION_MATCHES: usize = 20;

/// Zeros of one image that are read whole, in bytes. Beyond it long stretches of zeros are sampled: a Bss of
/// hundreds of MiB in a file of 300 bytes must not cost more than the rest of the suite.
pub const MAX_WHOLE_ZEROS: u64 = 4 << 20;

/// What is read at each end of a long stretch of zeros, in bytes. Loaders that stop clearing too early or
/// begin too late are wrong there.
pub const ZEROS_AT_ENDS: u64 = 64 << 10;

/// Pages that are read between the ends of a long stretch of zeros, evenly spread: one that is not cleared
/// at all shows in any of them.
pub const MAX_ZERO_SAMPLES: u64 = 64;

/// Bytes of a loader's memory that are held at once while they are compared.
pub const LOOK_CHUNK: usize = 64 << 10;

/// Most bytes that are quoted from each side of a difference between images: a patched place, and no more
/// than fits in a line.
pub const MAX_SHOWN_BYTES: usize = 8;

/// Most instructions that are followed on the way to the target of a stub. The longest honest ones have three
/// (`endbr64`, `mov`, `jmp`); the rest is for a stub that leads to another one.
pub const MAX_STUB_INSTRUCTIONS: usize = 8;

/// Most images and steps of a reply, each, that a result keeps beside a failure. Formats have two images and
/// scenarios a dozen steps.
pub const MAX_KEPT_ITEMS: usize = 64;

/// Vectors that a choice must touch before their failures are read as another reading of it. One could
/// be a coincidence.
pub const MIN_READING_EVIDENCE: usize = 2;

/// Longest model or value that is kept in a result or quoted in a cause, in bytes.
pub const MAX_QUOTED: usize = 160;

/// Largest model that a result keeps, in bytes of JSON.
pub const MAX_KEPT_MODEL: usize = 4096;

/// Deepest model that is compared. A recursive comparison must not follow a hostile reply down.
pub const MAX_MODEL_DEPTH: usize = 64;

/// How often a process that waits for an answer gives way and looks again before it goes to sleep. A look is
/// well below a microsecond, being woken several; a loader that takes longer than a few microseconds costs
/// this many looks once.
pub(crate) const YIELDS: usize = 16;
