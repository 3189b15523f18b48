/* What the parts of the SCP loader tell each other. All offsets are absolute in the file, in bytes. */
#ifndef SCP_H
#define SCP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SCP_HEADER_SIZE = 32 };

/* Where the fixed fields lie that rules report. */
enum {
    SCP_AT_MAGIC = 0,
    SCP_AT_MAJOR = 4,
    SCP_AT_MINOR = 6,
    SCP_AT_HEADER_SIZE = 8,
    SCP_AT_BLOB_SIZE = 12,
    SCP_AT_ARCHITECTURE = 20,
    SCP_AT_CONVENTION = 21,
    SCP_AT_FLAGS = 22,
    SCP_AT_CHECKSUM = 24,
    SCP_AT_RESERVED = 28,
};

enum scp_architecture { SCP_X86_64 = 0, SCP_ARM64 = 1, SCP_X86_32 = 2 };
enum scp_convention { SCP_CDECL = 0, SCP_STDCALL = 1, SCP_SYSTEM = 2 };
enum scp_header_flag { SCP_THREAD_SAFE = 1, SCP_REQUIRES_GC = 2 };
enum scp_function_flag { SCP_PURE = 1 };

enum scp_type_code {
    SCP_VOID = 0,
    SCP_INT8 = 1,
    SCP_INT16 = 2,
    SCP_INT32 = 3,
    SCP_INT64 = 4,
    SCP_FLOAT32 = 5,
    SCP_FLOAT64 = 6,
    SCP_POINTER = 10,
    SCP_STRUCT_REF = 11,
};

/* A decoded table: its entries start after the count, at `first`, and end before `end`. */
struct scp_table {
    uint32_t count;
    size_t first;
    size_t end;
};

/* A file whose bounds have been established by scp_decode; only then may the rest look into it. */
struct scp_file {
    const uint8_t *bytes;
    size_t size;
    size_t header_size; /* at most size */
    size_t blob_size;   /* at most size - header_size */
    uint8_t architecture;
    struct scp_table functions;
    struct scp_table types;
    struct scp_table dependencies;
    struct scp_table strings;
};

/* Sizes of the entries' fixed parts, and where their fields lie. */
enum {
    SCP_FUNCTION_FIXED = 13, /* then params, return_type, flags */
    SCP_FUNCTION_ENTRY = 4,
    SCP_FUNCTION_PARAM_COUNT = 12,
    SCP_FUNCTION_TAIL = 2,
    SCP_TYPE_FIXED = 11, /* then fields */
    SCP_TYPE_NAME = 2,
    SCP_TYPE_SIZE = 6,
    SCP_TYPE_FIELD_COUNT = 10,
    SCP_FIELD_SIZE = 5,
    SCP_FIELD_CODE = 4,
    SCP_DEPENDENCY_SIZE = 8,
};

/* A broken rule. */
struct scp_violation {
    int32_t stage; /* an enum blob_stage */
    const char *rule;
    size_t offset;
};

static inline uint16_t scp_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t scp_u32(const uint8_t *at) {
    return (uint32_t)scp_u16(at) | (uint32_t)scp_u16(at + 2) << 16;
}

static inline uint64_t scp_u64(const uint8_t *at) {
    return (uint64_t)scp_u32(at) | (uint64_t)scp_u32(at + 4) << 32;
}

/* Bytes of the function entry at `at`. */
static inline size_t scp_function_size(const struct scp_file *file, size_t at) {
    return SCP_FUNCTION_FIXED + (size_t)file->bytes[at + SCP_FUNCTION_PARAM_COUNT] +
           SCP_FUNCTION_TAIL;
}

/* Bytes of the type entry at `at`. */
static inline size_t scp_type_size(const struct scp_file *file, size_t at) {
    return SCP_TYPE_FIXED + SCP_FIELD_SIZE * (size_t)file->bytes[at + SCP_TYPE_FIELD_COUNT];
}

/* The string at a name_offset that the rules have found to be good. */
static inline const char *scp_name(const struct scp_file *file, uint32_t name_offset) {
    return (const char *)file->bytes + file->strings.first + name_offset;
}

/* Establishes the bounds of everything; false with the first violation in file order. */
bool scp_decode(const uint8_t *bytes, size_t size, struct scp_file *file,
                struct scp_violation *violation);

/* Checks the rules of a decoded file; false with the first in the order of the spec. */
bool scp_check(const struct scp_file *file, struct scp_violation *violation);

/* An address range with the code, readable and executable. Base NULL: a module without code. */
struct scp_image {
    void *base;
    size_t size; /* bytes of code */
};

/* Maps `size` bytes of code; false when the operating system refuses. */
bool scp_map(const uint8_t *code, size_t size, struct scp_image *image);

void scp_unmap(const struct scp_image *image);

#endif
