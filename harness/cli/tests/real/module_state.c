/* Weak and hidden functions, variables that start as zero, common storage, recursion, an entry point. */
#include "module.h"

static int64_t histogram[257];
static uint8_t odd_byte;
static int64_t aligned __attribute__((aligned(64)));

static int64_t step(int64_t value) { return value - 13; }

/* Gives way to the one of module_arithmetic.c. */
__attribute__((weak)) int64_t policy(int64_t value) { return value - 1; }

/* Nobody overrides it. */
__attribute__((weak)) int64_t lenient(int64_t value) { return value * 2 + step(value); }

int64_t inside(int64_t value) { return step(value) ^ 0x5a; }

int64_t count_bytes(const uint8_t *bytes, int64_t count) {
    for (int64_t i = 0; i < count; i++) histogram[bytes[i]]++, odd_byte ^= bytes[i];
    aligned += odd_byte;
    return aligned;
}

int64_t counted(int32_t byte) { return histogram[(uint8_t)byte]; }

int64_t aligned_place(void) { return (int64_t)((uintptr_t)&aligned & 63); }

int64_t zeros(void) {
    int64_t sum = 0;
    for (int i = 0; i < 257; i++) sum |= histogram[i];
    return sum;
}

int64_t common_counter(void) { return shared_counter; }

int64_t ackermann(int64_t m, int64_t n) {
    if (m == 0) return n + 1;
    if (n == 0) return ackermann(m - 1, 1);
    return ackermann(m - 1, ackermann(m, n - 1));
}

int32_t start(void) {
    static const uint8_t text[] = "one file, three objects";
    return (int32_t)(crc(text, sizeof text - 1) ^ (uint32_t)apply(2, 1234567, 89) ^ (uint32_t)policy(5));
}
