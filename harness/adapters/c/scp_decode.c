/*
 * Decoding: finds out where everything lies without looking past the end of anything. Each read goes
 * through a cursor that knows its limit, so a count of four billion costs no more than the bytes there are.
 */
#include <string.h>

#include "blob_loader.h"
#include "scp.h"

struct cursor {
    const uint8_t *bytes;
    size_t at;
    size_t limit;
};

/* Steps over one primitive of `size` bytes; false, without moving, when it does not fit. */
static bool step(struct cursor *cursor, size_t size) {
    if (cursor->limit - cursor->at < size)
        return false;
    cursor->at += size;
    return true;
}

static bool step_u8(struct cursor *cursor, uint8_t *value) {
    if (!step(cursor, 1))
        return false;
    *value = cursor->bytes[cursor->at - 1];
    return true;
}

static bool step_u32(struct cursor *cursor, uint32_t *value) {
    if (!step(cursor, 4))
        return false;
    *value = scp_u32(cursor->bytes + cursor->at - 4);
    return true;
}

/* name_offset, entry_offset, param_count, params, return_type, flags */
static bool step_function(struct cursor *cursor) {
    uint8_t params;
    if (!step(cursor, 4) || !step(cursor, 8) || !step_u8(cursor, &params))
        return false;
    for (size_t i = 0; i < (size_t)params + SCP_FUNCTION_TAIL; i++)
        if (!step(cursor, 1))
            return false;
    return true;
}

/* id, name_offset, size, field_count, fields of {offset, type_code} */
static bool step_type(struct cursor *cursor) {
    uint8_t fields;
    if (!step(cursor, 2) || !step(cursor, 4) || !step(cursor, 4) || !step_u8(cursor, &fields))
        return false;
    for (size_t i = 0; i < fields; i++)
        if (!step(cursor, 4) || !step(cursor, 1))
            return false;
    return true;
}

/* name_offset, required_version */
static bool step_dependency(struct cursor *cursor) {
    return step(cursor, 4) && step(cursor, 4);
}

static bool step_string(struct cursor *cursor) {
    const uint8_t *start = cursor->bytes + cursor->at;
    const uint8_t *end = memchr(start, 0, cursor->limit - cursor->at);
    return end != NULL && step(cursor, (size_t)(end - start) + 1);
}

/* Decodes a count and that many entries. On failure the cursor stands on what does not fit. */
static bool step_table(struct cursor *cursor, bool (*step_entry)(struct cursor *),
                       struct scp_table *table) {
    if (!step_u32(cursor, &table->count))
        return false;
    table->first = cursor->at;
    for (uint32_t i = 0; i < table->count; i++)
        if (!step_entry(cursor))
            return false;
    table->end = cursor->at;
    return true;
}

static bool fail(struct scp_violation *violation, int32_t stage, const char *rule, size_t offset) {
    *violation = (struct scp_violation){.stage = stage, .rule = rule, .offset = offset};
    return false;
}

/* The start of the first header field that a file of `size` bytes cuts off. */
static size_t first_missing_field(size_t size) {
    static const uint8_t ENDS[] = {4, 6, 8, 12, 20, 21, 22, 24, 28, 32};
    size_t start = 0;
    for (size_t i = 0; i < sizeof ENDS && ENDS[i] <= size; i++)
        start = ENDS[i];
    return start;
}

static bool decode_header(struct scp_file *file, struct scp_violation *violation) {
    static const uint8_t MAGIC[4] = {'S', 'C', 'P', 0};
    const uint8_t *bytes = file->bytes;

    if (file->size < SCP_HEADER_SIZE)
        return fail(violation, BLOB_MALFORMED, "SCP-HEADER-BOUNDS",
                    first_missing_field(file->size));
    if (memcmp(bytes + SCP_AT_MAGIC, MAGIC, sizeof MAGIC) != 0)
        return fail(violation, BLOB_MALFORMED, "SCP-HEADER-MAGIC", SCP_AT_MAGIC);
    /* The versions come before all else: what follows is this version's layout. */
    if (scp_u16(bytes + SCP_AT_MAJOR) != 0)
        return fail(violation, BLOB_UNSUPPORTED, "SCP-HEADER-MAJOR", SCP_AT_MAJOR);
    if (scp_u16(bytes + SCP_AT_MINOR) != 1)
        return fail(violation, BLOB_UNSUPPORTED, "SCP-HEADER-MINOR", SCP_AT_MINOR);
    file->header_size = scp_u32(bytes + SCP_AT_HEADER_SIZE);
    if (file->header_size > file->size)
        return fail(violation, BLOB_MALFORMED, "SCP-HEADER-SIZE", SCP_AT_HEADER_SIZE);
    file->architecture = bytes[SCP_AT_ARCHITECTURE];
    return true;
}

static bool decode_tables(struct scp_file *file, struct scp_violation *violation) {
    struct cursor cursor = {.bytes = file->bytes, .at = SCP_HEADER_SIZE, .limit = file->header_size};
    const struct {
        bool (*step_entry)(struct cursor *);
        struct scp_table *table;
        const char *rule;
    } tables[] = {
        {step_function, &file->functions, "SCP-FUNC-TABLE-BOUNDS"},
        {step_type, &file->types, "SCP-TYPE-TABLE-BOUNDS"},
        {step_dependency, &file->dependencies, "SCP-DEP-TABLE-BOUNDS"},
        {step_string, &file->strings, "SCP-STR-TABLE-BOUNDS"},
    };

    if (cursor.limit < cursor.at) /* a header_size that does not even cover the fixed part */
        return fail(violation, BLOB_MALFORMED, tables[0].rule, cursor.at);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (!step_table(&cursor, tables[i].step_entry, tables[i].table))
            return fail(violation, BLOB_MALFORMED, tables[i].rule, cursor.at);
    return true;
}

static bool decode_code(struct scp_file *file, struct scp_violation *violation) {
    uint64_t blob_size = scp_u64(file->bytes + SCP_AT_BLOB_SIZE);
    if (blob_size > file->size - file->header_size)
        return fail(violation, BLOB_MALFORMED, "SCP-CODE-BOUNDS", file->header_size);
    file->blob_size = (size_t)blob_size;
    return true;
}

bool scp_decode(const uint8_t *bytes, size_t size, struct scp_file *file,
                struct scp_violation *violation) {
    *file = (struct scp_file){.bytes = bytes, .size = size};
    return decode_header(file, violation) && decode_tables(file, violation) &&
           decode_code(file, violation);
}
