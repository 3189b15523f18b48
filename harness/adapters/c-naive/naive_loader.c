/*
 * naive-loader: the loader that the SCP document's pseudo-code describes, taken at its word.
 *
 * It is under test, not an example to copy: it exists so that the conformance vectors have something to
 * find. `load_scp` is the document's listing with the gaps filled in by the shortest code that works on a
 * well-formed file. Nothing was made wrong on purpose beyond that; every fault is a check that the listing
 * does not have. FAULTS.md beside this file says which rules each of them breaks.
 *
 *   F1  magic-value        the magic is compared as a little-endian number, so 'SCP\0' is refused
 *   F2  rwx                code is mapped readable, writable and executable at once
 *   F3  header-overread    the 32 header bytes are read without asking whether the file has them
 *   F4  blob-overread      the blob is copied without asking whether the file holds it
 *   F5  mmap-unchecked     the result of mmap is used without a look at MAP_FAILED
 *   F6  counts-trusted     the tables are walked as far as their counts say, past header and file
 *   F7  version-ignored    any version is taken for 0.1
 *   F8  checksum-ignored   the checksum is never computed
 *   F9  machine-ignored    architecture and calling convention are never looked at
 *   F10 flags-ignored      reserved bits, reserved bytes and requires_gc mean nothing
 *   F11 names-trusted      name offsets are added to the strings' address, whatever they are
 *   F12 entries-trusted    entry offsets are added to the blob's address, whatever they are
 *   F13 type-codes-ignored parameter, return and field types are skipped unread
 *   F14 duplicates-ignored the first function of a name wins, type ids are never compared
 *   F15 types-skipped      structures are stepped over, so their fields may lie anywhere
 *   F16 remainder-ignored  slack in the header and bytes after the blob are never looked at
 *
 * One thing is better than the listing: the structures are packed. Without that, C puts code_blob_size at
 * offset 16 instead of 12 and no file at all loads.
 *
 * usage: naive-loader FILE [FUNCTION RETURNS ARG…]
 * exit:  0 accepted, 1 rejected, 89 unsupported, 2 wrong usage
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "call.h"

enum { ACCEPT = 0, REJECT = 1, USAGE = 2, UNSUPPORTED = 89 };

typedef struct __attribute__((packed)) {
    uint32_t magic_number;
    uint16_t version_major;
    uint16_t version_minor;
    uint32_t header_size;
    uint64_t code_blob_size;
    uint8_t architecture;
    uint8_t calling_convention;
    uint16_t flags;
    uint32_t checksum;
    uint8_t reserved[4];
} SCP_Header;

typedef struct __attribute__((packed)) {
    uint32_t name_offset;
    uint64_t entry_offset;
    uint8_t param_count;
    uint8_t params[]; /* then return_type and flags, a byte each */
} SCP_Function;

typedef struct __attribute__((packed)) {
    uint16_t id;
    uint32_t name_offset;
    uint32_t size;
    uint8_t field_count; /* then field_count times {offset(uint32), type_code(uint8)} */
} SCP_Type;

typedef struct {
    uint32_t name_offset;
    const char *name;
    void *entry_point;
} Function;

/* What is registered: all functions of the one module. */
static Function *functions;
static uint32_t function_count;

static uint32_t read_count(const char **cursor) {
    uint32_t count;
    memcpy(&count, *cursor, sizeof count);
    *cursor += sizeof count;
    return count; /* F6 */
}

/* Registers the functions of the table at `tables` as code of the image at `mem`. */
static void parse_functions(const char *tables, char *mem) {
    const char *cursor = tables;

    function_count = read_count(&cursor);
    functions = malloc(function_count * sizeof(Function)); /* F6 */
    for (uint32_t i = 0; i < function_count; i++) {
        const SCP_Function *function = (const SCP_Function *)cursor; /* F3, F6 */
        functions[i].name_offset = function->name_offset;
        functions[i].entry_point = mem + function->entry_offset; /* F12 */
        cursor += sizeof(SCP_Function) + function->param_count + 2; /* F10, F13 */
    }

    uint32_t type_count = read_count(&cursor);
    for (uint32_t i = 0; i < type_count; i++) {
        const SCP_Type *type = (const SCP_Type *)cursor;
        cursor += sizeof(SCP_Type) + 5 * type->field_count; /* F15 */
    }

    uint32_t dependency_count = read_count(&cursor);
    cursor += 8 * (size_t)dependency_count; /* F6 */

    read_count(&cursor); /* F6: how many strings there are does not matter to whom trusts every offset */
    for (uint32_t i = 0; i < function_count; i++)
        functions[i].name = cursor + functions[i].name_offset; /* F11 */
}

/* The document's listing. */
static void *load_scp(const void *data) {
    const SCP_Header *hdr = (const SCP_Header *)data; /* F3 */

    /* Validate magic number */
    if (hdr->magic_number != 0x53435000) /* F1; and nothing else is validated: F7 F8 F9 F10 */
        return NULL;

    /* Allocate executable memory */
    void *mem = mmap(NULL, hdr->code_blob_size, PROT_EXEC | PROT_READ | PROT_WRITE, /* F2 */
                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0); /* F5 */

    /* Copy code blob */
    memcpy(mem, (const char *)data + hdr->header_size, hdr->code_blob_size); /* F4, F16 */

    /* Parse functions and relocate entry points */
    parse_functions((const char *)data + sizeof(SCP_Header), mem);

    return mem;
}

static const Function *find_function(const char *name) {
    for (uint32_t i = 0; i < function_count; i++)
        if (strcmp(functions[i].name, name) == 0) /* F11, F14 */
            return &functions[i];
    return NULL;
}

/* The whole file in memory of exactly its size; NULL when it cannot be read. */
static char *read_file(const char *path) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0)
        return NULL;

    char *data = malloc((size_t)status.st_size);
    size_t done = 0;
    while (done < (size_t)status.st_size) {
        ssize_t count = read(file, data + done, (size_t)status.st_size - done);
        if (count <= 0)
            return NULL;
        done += (size_t)count;
    }
    close(file);
    return data;
}

int main(int argc, char **argv) {
    if (argc < 2 || argc == 3) {
        fprintf(stderr, "usage: naive-loader FILE [FUNCTION RETURNS ARG...]\n");
        return USAGE;
    }
    char *data = read_file(argv[1]);
    if (data == NULL) {
        fprintf(stderr, "naive-loader: cannot read %s\n", argv[1]);
        return USAGE;
    }
    char *mem = load_scp(data);
    if (mem == NULL)
        return REJECT;
    if (argc == 2)
        return ACCEPT;

    const Function *function = find_function(argv[2]);
    if (function == NULL) {
        fprintf(stderr, "naive-loader: no function `%s`\n", argv[2]);
        return REJECT;
    }
    struct image image = {mem, ((const SCP_Header *)data)->code_blob_size};
    switch (call_words(function->entry_point, image, argv[3], argc - 4, argv + 4)) {
    case CALL_RETURNED:
        return ACCEPT;
    case CALL_UNSUPPORTED:
        return UNSUPPORTED;
    default:
        return USAGE;
    }
}
