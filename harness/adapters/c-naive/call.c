/*
 * The C calling conventions of 64-bit Linux hand out integer registers, floating-point registers and
 * 8-byte stack slots independently of each other. One call that fills all of them therefore reaches a
 * function of any signature: the callee picks what its own signature names and ignores the rest.
 * Floats travel as bits in doubles that are only ever moved, never converted, so NaNs stay as they are.
 */
#include "call.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__)
enum { INTEGER_REGISTERS = 6 };
#elif defined(__aarch64__)
enum { INTEGER_REGISTERS = 8 };
#else
enum { INTEGER_REGISTERS = 0 };
#endif
enum { FLOAT_REGISTERS = 8, STACK_SLOTS = 16, MAX_BUFFERS = 32 };

struct buffer {
    char *bytes;
    size_t size;
};

struct arguments {
    uint64_t integers[8];
    double floats[FLOAT_REGISTERS];
    uint64_t stack[STACK_SLOTS];
    int integer_count, float_count, stack_count;
    struct buffer buffers[MAX_BUFFERS]; /* of the non-null pointer arguments, in order */
    int buffer_count;
};

static bool starts_with(const char *text, const char *prefix, const char **rest) {
    size_t length = strlen(prefix);
    *rest = text + length;
    return strncmp(text, prefix, length) == 0;
}

static bool push_on_stack(struct arguments *to, uint64_t word) {
    if (to->stack_count == STACK_SLOTS)
        return false;
    to->stack[to->stack_count++] = word;
    return true;
}

static bool push_integer(struct arguments *to, uint64_t word) {
    if (to->integer_count == INTEGER_REGISTERS)
        return push_on_stack(to, word);
    to->integers[to->integer_count++] = word;
    return true;
}

static bool push_float(struct arguments *to, uint64_t bits) {
    if (to->float_count == FLOAT_REGISTERS)
        return push_on_stack(to, bits);
    memcpy(&to->floats[to->float_count++], &bits, sizeof bits);
    return true;
}

static bool parse_hex_bytes(const char *text, struct buffer *buffer) {
    size_t digits = strlen(text);
    if (digits % 2 != 0 || strspn(text, "0123456789abcdefABCDEF") != digits)
        return false;
    buffer->size = digits / 2;
    buffer->bytes = malloc(buffer->size + 1); /* an empty buffer has an address too */
    if (buffer->bytes == NULL)
        return false;
    for (size_t i = 0; i < buffer->size; i++) {
        char pair[3] = {text[2 * i], text[2 * i + 1], 0};
        buffer->bytes[i] = (char)strtoul(pair, NULL, 16);
    }
    return true;
}

static enum call_outcome push_pointer(struct arguments *to, const char *value) {
    if (strcmp(value, "null") == 0)
        return push_integer(to, 0) ? CALL_RETURNED : CALL_UNSUPPORTED;
    if (to->buffer_count == MAX_BUFFERS)
        return CALL_UNSUPPORTED;
    struct buffer *buffer = &to->buffers[to->buffer_count];
    if (!parse_hex_bytes(value, buffer))
        return CALL_BAD_WORD;
    to->buffer_count++;
    return push_integer(to, (uint64_t)(uintptr_t)buffer->bytes) ? CALL_RETURNED : CALL_UNSUPPORTED;
}

/* Reads one word and gives it its place. */
static enum call_outcome push_word(struct arguments *to, const char *word) {
    const char *value;
    char *end = NULL;
    bool pushed;

    if (starts_with(word, "pointer:", &value) || starts_with(word, "struct_ref:", &value))
        return push_pointer(to, value);

    errno = 0;
    if (starts_with(word, "int8:", &value) || starts_with(word, "int16:", &value) ||
        starts_with(word, "int32:", &value) || starts_with(word, "int64:", &value))
        pushed = push_integer(to, (uint64_t)strtoll(value, &end, 10)); /* sign-extended to 64 bits */
    else if (starts_with(word, "float32:", &value) || starts_with(word, "float64:", &value))
        pushed = push_float(to, strtoull(value, &end, 16));
    else
        return CALL_BAD_WORD;
    if (end == value || *end != 0 || errno != 0)
        return CALL_BAD_WORD;
    return pushed ? CALL_RETURNED : CALL_UNSUPPORTED;
}

#if defined(__x86_64__)
#define INTEGER_TYPES uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
#define INTEGER_WORDS(i) i[0], i[1], i[2], i[3], i[4], i[5]
#else
#define INTEGER_TYPES \
    uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t
#define INTEGER_WORDS(i) i[0], i[1], i[2], i[3], i[4], i[5], i[6], i[7]
#endif
#define EIGHT(type) type, type, type, type, type, type, type, type
#define EIGHT_OF(a, from) \
    (a)[from], (a)[from + 1], (a)[from + 2], (a)[from + 3], (a)[from + 4], (a)[from + 5], \
        (a)[from + 6], (a)[from + 7]
#define ALL_TYPES INTEGER_TYPES, EIGHT(double), EIGHT(uint64_t), EIGHT(uint64_t)
#define ALL_WORDS(a) \
    INTEGER_WORDS((a)->integers), EIGHT_OF((a)->floats, 0), EIGHT_OF((a)->stack, 0), \
        EIGHT_OF((a)->stack, 8)

static uint64_t call_for_integer(void *entry, const struct arguments *a) {
    return ((uint64_t(*)(ALL_TYPES))entry)(ALL_WORDS(a));
}

static uint64_t call_for_float(void *entry, const struct arguments *a) {
    double result = ((double (*)(ALL_TYPES))entry)(ALL_WORDS(a));
    uint64_t bits;
    memcpy(&bits, &result, sizeof bits);
    return bits;
}

/* Addresses are said relative to something the harness knows. */
static void print_address(const char *type, uint64_t address, struct image image,
                          const struct arguments *a) {
    printf("{\"type\":\"%s\",", type);
    if (address == 0) {
        printf("\"into\":\"null\"}");
        return;
    }
    for (int i = 0; i < a->buffer_count; i++) {
        uint64_t offset = address - (uint64_t)(uintptr_t)a->buffers[i].bytes;
        if (offset <= a->buffers[i].size) {
            printf("\"into\":\"buffer\",\"index\":%d,\"offset\":%" PRIu64 "}", i, offset);
            return;
        }
    }
    uint64_t offset = address - (uint64_t)(uintptr_t)image.base;
    if (offset < image.size)
        printf("\"into\":\"image\",\"offset\":%" PRIu64 "}", offset);
    else
        printf("\"into\":\"other\",\"address\":%" PRIu64 "}", address);
}

/* Calls and prints the result; false when `returns` is no type. */
static bool call_and_print(void *entry, struct image image, const char *returns,
                           const struct arguments *a) {
    if (strcmp(returns, "float32") == 0)
        printf("{\"type\":\"float32\",\"bits\":%" PRIu32 "}", (uint32_t)call_for_float(entry, a));
    else if (strcmp(returns, "float64") == 0)
        printf("{\"type\":\"float64\",\"bits\":%" PRIu64 "}", call_for_float(entry, a));
    else if (strcmp(returns, "int8") == 0)
        printf("{\"type\":\"int8\",\"value\":%d}", (int8_t)call_for_integer(entry, a));
    else if (strcmp(returns, "int16") == 0)
        printf("{\"type\":\"int16\",\"value\":%d}", (int16_t)call_for_integer(entry, a));
    else if (strcmp(returns, "int32") == 0)
        printf("{\"type\":\"int32\",\"value\":%" PRId32 "}", (int32_t)call_for_integer(entry, a));
    else if (strcmp(returns, "int64") == 0)
        printf("{\"type\":\"int64\",\"value\":%" PRId64 "}", (int64_t)call_for_integer(entry, a));
    else if (strcmp(returns, "pointer") == 0 || strcmp(returns, "struct_ref") == 0)
        print_address(returns, call_for_integer(entry, a), image, a);
    else if (strcmp(returns, "void") == 0) {
        call_for_integer(entry, a);
        printf("{\"type\":\"void\"}");
    } else
        return false;
    return true;
}

static void print_buffers(const struct arguments *a) {
    printf(",\"buffers\":[");
    for (int i = 0; i < a->buffer_count; i++) {
        printf(i == 0 ? "\"" : ",\"");
        for (size_t k = 0; k < a->buffers[i].size; k++)
            printf("%02x", (unsigned char)a->buffers[i].bytes[k]);
        printf("\"");
    }
    printf("]}\n");
}

enum call_outcome call_words(void *entry, struct image image, const char *returns, int count,
                             char *const *words) {
    struct arguments arguments = {0};

    if (INTEGER_REGISTERS == 0) {
        fprintf(stderr, "naive-loader: calls are for x86_64 and ARM64 hosts\n");
        return CALL_UNSUPPORTED;
    }
    for (int i = 0; i < count; i++) {
        enum call_outcome outcome = push_word(&arguments, words[i]);
        if (outcome != CALL_RETURNED) {
            fprintf(stderr, "naive-loader: cannot pass `%s`\n", words[i]);
            return outcome;
        }
    }
    printf("{\"stage\":\"returned\",\"result\":");
    if (!call_and_print(entry, image, returns, &arguments)) {
        fprintf(stderr, "naive-loader: `%s` is not a type\n", returns);
        return CALL_BAD_WORD;
    }
    print_buffers(&arguments);
    return CALL_RETURNED;
}
