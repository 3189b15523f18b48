/*
 * The C interface of a loader that is a shared library.
 *
 * A library that exports these four functions can be tested without a protocol of its own: the harness
 * loads it into a host process of its own (`harness` does so for any implementation whose file is a
 * shared library), and a crash costs one case, not the run.
 *
 * Rules that hold for all four functions:
 *   - They are called from one thread.
 *   - Nothing is printed to standard output, which carries the host's frames. Standard error is free.
 *   - Text is UTF-8 and ends with a NUL inside its array.
 *
 * The one call sequence is
 *
 *     blob_describe                             once
 *     blob_load → [blob_entry] → blob_unload    per case; blob_unload only when a module was given out
 *
 * with at most one module at a time.
 */
#ifndef BLOB_LOADER_H
#define BLOB_LOADER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BLOB_EXPORT __attribute__((visibility("default")))

/* How far the harness wants the loader to go. */
enum blob_want {
    BLOB_WANT_VALIDATE = 0, /* decode and validate; a good file is BLOB_VALID */
    BLOB_WANT_LOAD = 1,     /* also map it; a good file is BLOB_LOADED */
    BLOB_WANT_CALL = 2,     /* as BLOB_WANT_LOAD; a function of it will be called through its address */
};

/* How far the loader got. When several things are wrong with a file, the smallest of these is the answer. */
enum blob_stage {
    BLOB_MALFORMED = 0,    /* the bytes do not decode */
    BLOB_INVALID = 1,      /* they decode, but break a rule of the format */
    BLOB_UNSUPPORTED = 2,  /* nothing is wrong, but it is not for this loader */
    BLOB_UNRESOLVABLE = 3, /* an import, a dependency or a relocation cannot be resolved */
    BLOB_UNMAPPABLE = 4,   /* the operating system refused memory */
    BLOB_VALID = 5,        /* validated, not mapped */
    BLOB_LOADED = 6,       /* mapped; may be called */
};

/* What the loader tells beside the stage. The host hands it over zero-filled with offset -1; a loader
   fills in what it knows. */
struct blob_report {
    char rule[64];       /* id of the violated rule (SCP-HEADER-MAGIC), or empty */
    int64_t offset;      /* absolute offset of the violation in the file, or -1 */
    char message[256];   /* for people, or empty */
    uint64_t image_base; /* BLOB_LOADED: address of the code image, 0 when nothing is mapped */
    uint64_t image_size; /* BLOB_LOADED: bytes of the image, before rounding to pages */
};

/*
 * The loader's description as JSON, valid as long as the library is loaded. It is the answer to the
 * protocol's hello:
 *
 *     {"protocol": 1, "name": "my-loader", "version": "1.0", "language": "C",
 *      "formats": ["scp"], "architectures": [], "wants": ["validate", "load", "call"],
 *      "choices": {"scp.magic-order": "text"}}
 *
 * architectures: those whose files are accepted, empty for all. choices: the readings this loader has
 * chosen where the document is silent; those it leaves out are taken to be the defaults.
 */
BLOB_EXPORT const char *blob_describe(void);

/*
 * Judges the `size` bytes at `bytes` and goes as far as `want` (an enum blob_want) says. Returns an enum
 * blob_stage. The bytes are readable only until blob_load returns.
 *
 * A good file whose code this process cannot run (another architecture) is BLOB_UNSUPPORTED for
 * BLOB_WANT_CALL, without a rule; the harness counts it as skipped, with the message as the reason.
 *
 * At BLOB_LOADED, `*module` is the loader's handle of what it has mapped, not NULL; at any other stage it
 * is NULL and nothing stays mapped.
 */
BLOB_EXPORT int32_t blob_load(const uint8_t *bytes, size_t size, int32_t want, void **module,
                              struct blob_report *report);

/*
 * The address of the function named `function` in a loaded module, or NULL when it has none. The harness
 * calls it by the C convention of the platform with the declared types.
 */
BLOB_EXPORT const void *blob_entry(void *module, const char *function);

/* Unmaps a module and frees its handle. */
BLOB_EXPORT void blob_unload(void *module);

#ifdef __cplusplus
}
#endif

#endif
