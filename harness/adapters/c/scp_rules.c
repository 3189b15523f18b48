/*
 * The rules of a file that decodes, one function each, in the order of the spec. Each gives the offset of
 * its first violation or NONE. The first rule that is broken is the file's answer, so a check may rely on
 * those above it.
 */
#include <stdlib.h>
#include <string.h>

#include "blob_loader.h"
#include "scp.h"

#define NONE SIZE_MAX

/* --- the header says what is true --- */

/* CRC-32/ISO-HDLC, a nibble at a time. */
static uint32_t crc32_update(uint32_t crc, uint8_t byte) {
    static const uint32_t TABLE[16] = {
        0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4,
        0x4db26158, 0x5005713c, 0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c,
        0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
    };
    crc ^= byte;
    crc = crc >> 4 ^ TABLE[crc & 15];
    return crc >> 4 ^ TABLE[crc & 15];
}

static size_t checksum(const struct scp_file *file) {
    size_t end = file->header_size + file->blob_size;
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < end; i++) {
        bool own = i >= SCP_AT_CHECKSUM && i < SCP_AT_CHECKSUM + 4;
        crc = crc32_update(crc, own ? 0 : file->bytes[i]);
    }
    return ~crc == scp_u32(file->bytes + SCP_AT_CHECKSUM) ? NONE : SCP_AT_CHECKSUM;
}

static size_t architecture(const struct scp_file *file) {
    return file->architecture <= SCP_X86_32 ? NONE : SCP_AT_ARCHITECTURE;
}

static size_t convention(const struct scp_file *file) {
    return file->bytes[SCP_AT_CONVENTION] <= SCP_SYSTEM ? NONE : SCP_AT_CONVENTION;
}

static size_t header_flags(const struct scp_file *file) {
    uint16_t known = SCP_THREAD_SAFE | SCP_REQUIRES_GC;
    return (scp_u16(file->bytes + SCP_AT_FLAGS) & ~known) == 0 ? NONE : SCP_AT_FLAGS;
}

static size_t reserved(const struct scp_file *file) {
    return scp_u32(file->bytes + SCP_AT_RESERVED) == 0 ? NONE : SCP_AT_RESERVED;
}

static size_t slack(const struct scp_file *file) {
    for (size_t i = file->strings.end; i < file->header_size; i++)
        if (file->bytes[i] != 0)
            return i;
    return NONE;
}

static size_t trailing(const struct scp_file *file) {
    size_t end = file->header_size + file->blob_size;
    return end == file->size ? NONE : end;
}

/* --- strings and names --- */

/* Bytes of the UTF-8 sequence at `at`, which ends before `end`; 0 when it is none. Unicode table 3-7. */
static size_t utf8_sequence(const uint8_t *at, const uint8_t *end) {
    uint8_t lead = at[0];
    if (lead < 0x80)
        return 1;
    size_t length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
    if (length == 0 || (size_t)(end - at) < length)
        return 0;
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;  /* no overlong forms */
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf; /* no surrogates, no more than U+10FFFF */
    if (at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static size_t utf8(const struct scp_file *file) {
    const uint8_t *end = file->bytes + file->strings.end;
    const uint8_t *at = file->bytes + file->strings.first;
    while (at < end) {
        size_t length = utf8_sequence(at, end);
        if (length == 0)
            return (size_t)(at - file->bytes);
        at += length;
    }
    return NONE;
}

static bool name_within(const struct scp_file *file, size_t field) {
    return scp_u32(file->bytes + field) < file->strings.end - file->strings.first;
}

/* An entry starts at 0 and after every NUL. */
static bool name_starts_entry(const struct scp_file *file, size_t field) {
    uint32_t offset = scp_u32(file->bytes + field);
    return offset == 0 || file->bytes[file->strings.first + offset - 1] == 0;
}

/* --- functions --- */

typedef size_t (*entry_check)(const struct scp_file *file, size_t at);

static size_t each_function(const struct scp_file *file, entry_check check) {
    for (size_t at = file->functions.first; at < file->functions.end;
         at += scp_function_size(file, at)) {
        size_t violation = check(file, at);
        if (violation != NONE)
            return violation;
    }
    return NONE;
}

static size_t params_at(size_t function) {
    return function + SCP_FUNCTION_FIXED;
}

static size_t params_end(const struct scp_file *file, size_t function) {
    return params_at(function) + file->bytes[function + SCP_FUNCTION_PARAM_COUNT];
}

static bool known_type_code(uint8_t code) {
    return code <= SCP_FLOAT64 || code == SCP_POINTER || code == SCP_STRUCT_REF;
}

static size_t function_name_bounds(const struct scp_file *file, size_t at) {
    return name_within(file, at) ? NONE : at;
}

static size_t function_name_start(const struct scp_file *file, size_t at) {
    return name_starts_entry(file, at) ? NONE : at;
}

static size_t function_entry_bounds(const struct scp_file *file, size_t at) {
    size_t field = at + SCP_FUNCTION_ENTRY;
    return scp_u64(file->bytes + field) < file->blob_size ? NONE : field;
}

static size_t function_entry_align(const struct scp_file *file, size_t at) {
    size_t field = at + SCP_FUNCTION_ENTRY;
    uint64_t align = file->architecture == SCP_ARM64 ? 4 : 1;
    return scp_u64(file->bytes + field) % align == 0 ? NONE : field;
}

static size_t function_param_code(const struct scp_file *file, size_t at) {
    for (size_t i = params_at(at); i < params_end(file, at); i++)
        if (!known_type_code(file->bytes[i]))
            return i;
    return NONE;
}

/* The first parameter of this type. */
static size_t find_param(const struct scp_file *file, size_t at, uint8_t code) {
    for (size_t i = params_at(at); i < params_end(file, at); i++)
        if (file->bytes[i] == code)
            return i;
    return NONE;
}

static size_t function_param_void(const struct scp_file *file, size_t at) {
    return find_param(file, at, SCP_VOID);
}

static size_t function_return_code(const struct scp_file *file, size_t at) {
    size_t field = params_end(file, at);
    return known_type_code(file->bytes[field]) ? NONE : field;
}

static size_t function_flags(const struct scp_file *file, size_t at) {
    size_t field = params_end(file, at) + 1;
    return (file->bytes[field] & ~SCP_PURE) == 0 ? NONE : field;
}

static size_t function_param_struct(const struct scp_file *file, size_t at) {
    return file->types.count > 0 ? NONE : find_param(file, at, SCP_STRUCT_REF);
}

static size_t function_return_struct(const struct scp_file *file, size_t at) {
    size_t field = params_end(file, at);
    return file->types.count > 0 || file->bytes[field] != SCP_STRUCT_REF ? NONE : field;
}

struct named {
    const char *name;
    size_t at;
};

static int compare_positions(const struct named *a, const struct named *b) {
    return (a->at > b->at) - (a->at < b->at);
}

static int compare_addresses(const void *left, const void *right) {
    const struct named *a = left, *b = right;
    int addresses = (a->name > b->name) - (a->name < b->name);
    return addresses != 0 ? addresses : compare_positions(a, b);
}

static int compare_texts(const void *left, const void *right) {
    const struct named *a = left, *b = right;
    int texts = strcmp(a->name, b->name);
    return texts != 0 ? texts : compare_positions(a, b);
}

/* Keeps the first of each run that shares an address; gives the first of all that were dropped. */
static size_t drop_shared_addresses(struct named *names, size_t *count) {
    size_t kept = 1, first = NONE;
    for (size_t i = 1; i < *count; i++) {
        if (names[i].name != names[kept - 1].name)
            names[kept++] = names[i];
        else if (names[i].at < first)
            first = names[i].at;
    }
    *count = kept;
    return first;
}

/* The position of the first function, in file order, that has the name of an earlier one. */
static size_t first_repeated(struct named *names, size_t count) {
    qsort(names, count, sizeof *names, compare_addresses);
    size_t first = drop_shared_addresses(names, &count);
    qsort(names, count, sizeof *names, compare_texts);
    for (size_t i = 1; i < count; i++)
        if (names[i].at < first && strcmp(names[i - 1].name, names[i].name) == 0)
            first = names[i].at;
    return first;
}

/* The table can have a million entries that all name one string of megabytes. So they are sorted, first
   by address, which leaves one per string to be compared by text. */
static size_t function_unique(const struct scp_file *file) {
    size_t count = file->functions.count, i = 0;
    if (count < 2)
        return NONE;
    struct named *names = calloc(count, sizeof *names);
    if (names == NULL)
        return file->functions.first; /* what cannot be checked is not accepted */
    for (size_t at = file->functions.first; at < file->functions.end;
         at += scp_function_size(file, at))
        names[i++] = (struct named){scp_name(file, scp_u32(file->bytes + at)), at};
    size_t first = first_repeated(names, count);
    free(names);
    return first;
}

/* --- types --- */

static size_t each_type(const struct scp_file *file, entry_check check) {
    for (size_t at = file->types.first; at < file->types.end; at += scp_type_size(file, at)) {
        size_t violation = check(file, at);
        if (violation != NONE)
            return violation;
    }
    return NONE;
}

static size_t type_id_unique(const struct scp_file *file) {
    uint8_t seen[65536 / 8] = {0};
    for (size_t at = file->types.first; at < file->types.end; at += scp_type_size(file, at)) {
        uint16_t id = scp_u16(file->bytes + at);
        if (seen[id / 8] >> id % 8 & 1)
            return at;
        seen[id / 8] = (uint8_t)(seen[id / 8] | 1 << id % 8);
    }
    return NONE;
}

static size_t type_name_bounds(const struct scp_file *file, size_t at) {
    size_t field = at + SCP_TYPE_NAME;
    return name_within(file, field) ? NONE : field;
}

static size_t type_name_start(const struct scp_file *file, size_t at) {
    size_t field = at + SCP_TYPE_NAME;
    return name_starts_entry(file, field) ? NONE : field;
}

static size_t type_field_code(const struct scp_file *file, size_t at) {
    size_t end = at + scp_type_size(file, at);
    for (size_t field = at + SCP_TYPE_FIXED; field < end; field += SCP_FIELD_SIZE)
        if (!known_type_code(file->bytes[field + SCP_FIELD_CODE]))
            return field + SCP_FIELD_CODE;
    return NONE;
}

static size_t type_field_void(const struct scp_file *file, size_t at) {
    size_t end = at + scp_type_size(file, at);
    for (size_t field = at + SCP_TYPE_FIXED; field < end; field += SCP_FIELD_SIZE)
        if (file->bytes[field + SCP_FIELD_CODE] == SCP_VOID)
            return field + SCP_FIELD_CODE;
    return NONE;
}

static uint64_t size_of_code(const struct scp_file *file, uint8_t code) {
    static const uint8_t SIZES[] = {0, 1, 2, 4, 8, 4, 8};
    if (code <= SCP_FLOAT64)
        return SIZES[code];
    return file->architecture == SCP_X86_32 ? 4 : 8;
}

static size_t type_field_bounds(const struct scp_file *file, size_t at) {
    size_t end = at + scp_type_size(file, at);
    uint64_t size = scp_u32(file->bytes + at + SCP_TYPE_SIZE);
    for (size_t field = at + SCP_TYPE_FIXED; field < end; field += SCP_FIELD_SIZE) {
        uint64_t start = scp_u32(file->bytes + field);
        if (start + size_of_code(file, file->bytes[field + SCP_FIELD_CODE]) > size)
            return field;
    }
    return NONE;
}

/* --- dependencies --- */

static size_t each_dependency(const struct scp_file *file, entry_check check) {
    for (size_t at = file->dependencies.first; at < file->dependencies.end;
         at += SCP_DEPENDENCY_SIZE) {
        size_t violation = check(file, at);
        if (violation != NONE)
            return violation;
    }
    return NONE;
}

static size_t dependency_name_bounds(const struct scp_file *file, size_t at) {
    return name_within(file, at) ? NONE : at;
}

static size_t dependency_name_start(const struct scp_file *file, size_t at) {
    return name_starts_entry(file, at) ? NONE : at;
}

/* --- this loader can use it --- */

static size_t requires_gc(const struct scp_file *file) {
    return (scp_u16(file->bytes + SCP_AT_FLAGS) & SCP_REQUIRES_GC) == 0 ? NONE : SCP_AT_FLAGS;
}

/* --- all of them --- */

typedef size_t (*file_check)(const struct scp_file *file);
typedef size_t (*table_walk)(const struct scp_file *file, entry_check check);

/* A rule of the file as a whole, or of every entry of a table. */
struct rule {
    const char *id;
    int32_t stage;
    file_check whole;
    table_walk each;
    entry_check entry;
};

static const struct rule RULES[] = {
    {"SCP-HEADER-CHECKSUM", BLOB_INVALID, checksum, NULL, NULL},
    {"SCP-HEADER-ARCHITECTURE", BLOB_INVALID, architecture, NULL, NULL},
    {"SCP-HEADER-CONVENTION", BLOB_INVALID, convention, NULL, NULL},
    {"SCP-HEADER-FLAGS", BLOB_INVALID, header_flags, NULL, NULL},
    {"SCP-HEADER-RESERVED", BLOB_INVALID, reserved, NULL, NULL},
    {"SCP-HEADER-SLACK", BLOB_INVALID, slack, NULL, NULL},
    {"SCP-FILE-TRAILING", BLOB_INVALID, trailing, NULL, NULL},
    {"SCP-STR-UTF8", BLOB_INVALID, utf8, NULL, NULL},
    {"SCP-FUNC-NAME-BOUNDS", BLOB_INVALID, NULL, each_function, function_name_bounds},
    {"SCP-FUNC-NAME-START", BLOB_INVALID, NULL, each_function, function_name_start},
    {"SCP-FUNC-ENTRY-BOUNDS", BLOB_INVALID, NULL, each_function, function_entry_bounds},
    {"SCP-FUNC-ENTRY-ALIGN", BLOB_INVALID, NULL, each_function, function_entry_align},
    {"SCP-FUNC-PARAM-CODE", BLOB_INVALID, NULL, each_function, function_param_code},
    {"SCP-FUNC-PARAM-VOID", BLOB_INVALID, NULL, each_function, function_param_void},
    {"SCP-FUNC-RETURN-CODE", BLOB_INVALID, NULL, each_function, function_return_code},
    {"SCP-FUNC-FLAGS", BLOB_INVALID, NULL, each_function, function_flags},
    {"SCP-FUNC-PARAM-STRUCT", BLOB_INVALID, NULL, each_function, function_param_struct},
    {"SCP-FUNC-RETURN-STRUCT", BLOB_INVALID, NULL, each_function, function_return_struct},
    {"SCP-FUNC-UNIQUE", BLOB_INVALID, function_unique, NULL, NULL},
    {"SCP-TYPE-ID-UNIQUE", BLOB_INVALID, type_id_unique, NULL, NULL},
    {"SCP-TYPE-NAME-BOUNDS", BLOB_INVALID, NULL, each_type, type_name_bounds},
    {"SCP-TYPE-NAME-START", BLOB_INVALID, NULL, each_type, type_name_start},
    {"SCP-TYPE-FIELD-CODE", BLOB_INVALID, NULL, each_type, type_field_code},
    {"SCP-TYPE-FIELD-VOID", BLOB_INVALID, NULL, each_type, type_field_void},
    {"SCP-TYPE-FIELD-BOUNDS", BLOB_INVALID, NULL, each_type, type_field_bounds},
    {"SCP-DEP-NAME-BOUNDS", BLOB_INVALID, NULL, each_dependency, dependency_name_bounds},
    {"SCP-DEP-NAME-START", BLOB_INVALID, NULL, each_dependency, dependency_name_start},
    {"SCP-HEADER-GC", BLOB_UNSUPPORTED, requires_gc, NULL, NULL},
};

bool scp_check(const struct scp_file *file, struct scp_violation *violation) {
    for (size_t i = 0; i < sizeof RULES / sizeof RULES[0]; i++) {
        const struct rule *rule = &RULES[i];
        size_t offset = rule->whole != NULL ? rule->whole(file) : rule->each(file, rule->entry);
        if (offset != NONE) {
            *violation = (struct scp_violation){rule->stage, rule->id, offset};
            return false;
        }
    }
    return true;
}
