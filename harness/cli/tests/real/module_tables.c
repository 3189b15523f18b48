/* Constants: numbers, strings, tables of functions of this object and of the others. */
#include "module.h"

const uint32_t primes[16] = {2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53};

const char *const month_names[12] = {"January", "February", "March", "April", "May", "June",
                                     "July", "August", "September", "October", "November", "December"};

static int64_t subtract(int64_t a, int64_t b) { return (int64_t)((uint64_t)a - (uint64_t)b); }
static int64_t average(int64_t a, int64_t b) { return (a & b) + ((a ^ b) >> 1); }

static const operation operations[] = {add, subtract, multiply, average, host_mix};

struct named {
    const char *name;
    operation run;
    int64_t *counter;
};

static const struct named catalogue[] = {
    {"sum", add, &total},
    {"difference", subtract, &shared_counter},
    {"mix", host_mix, &total},
};

/* A table that its author put among the code. */
static const operation beside_code[2] __attribute__((section(".text.tables,\"ax\",@progbits#"))) = {average, subtract};

int64_t apply(int32_t which, int64_t a, int64_t b) {
    uint32_t count = sizeof operations / sizeof *operations;
    return operations[(uint32_t)which % count](a, b);
}

int64_t apply_beside_code(int32_t which, int64_t a, int64_t b) { return beside_code[which & 1](a, b); }

static int64_t same(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return *a == *b;
}

int64_t apply_by_name(const char *name, int64_t a, int64_t b) {
    for (uint32_t i = 0; i < sizeof catalogue / sizeof *catalogue; i++)
        if (same(catalogue[i].name, name)) {
            *catalogue[i].counter += 1;
            return catalogue[i].run(a, b) + *catalogue[i].counter;
        }
    return -1;
}

int64_t month(int32_t number, char *buffer) {
    const char *name = month_names[(uint32_t)number % 12];
    int64_t length = 0;
    for (; name[length]; length++) buffer[length] = name[length];
    buffer[length] = 0;
    return length;
}

int64_t prime(int32_t index) { return primes[index & 15]; }

static const uint32_t crc_nibbles[16] = {
    0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
    0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c};

int64_t crc(const uint8_t *bytes, int64_t count) {
    uint32_t crc = ~0u;
    for (int64_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ crc_nibbles[crc & 15];
        crc = crc >> 4 ^ crc_nibbles[crc & 15];
    }
    return (int64_t)(~crc & 0xffffffffu);
}
