/*
 * Real input: ordinary C functions, compiled by a real compiler, packed and called.
 *
 * Freestanding and position-independent; nothing here needs constants in .rodata, at any optimisation
 * level (tables.c has those). Wrapping arithmetic is unsigned inside, so that every result is defined.
 * Compile with: -O0 or -O2 -fPIC -ffreestanding -fno-stack-protector -fcf-protection=none
 *               -fno-asynchronous-unwind-tables -g
 * (-fno-pic instead of -fPIC for 32-bit x86, whose -fPIC goes through a table of addresses; calls are
 * relative there anyway).
 */
#include <stdint.h>

#define NOINLINE __attribute__((noinline, noclone))

/* --- integers of every width --- */

int8_t add8(int8_t a, int8_t b) {
    return (int8_t)((unsigned)a + (unsigned)b);
}

int16_t mul16(int16_t a, int16_t b) {
    return (int16_t)((unsigned)a * (unsigned)b);
}

int32_t add(int32_t a, int32_t b) {
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

int32_t divide(int32_t a, int32_t b) {
    return b == 0 || (a == INT32_MIN && b == -1) ? 0 : a / b;
}

int64_t sub64(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* The result depends on the sign extension of all four. */
int64_t widen(int8_t a, int16_t b, int32_t c, int64_t d) {
    return (int64_t)((uint64_t)(int64_t)a + (uint64_t)(int64_t)b * 3 + (uint64_t)(int64_t)c * 5 +
                     (uint64_t)d * 7);
}

/* Unsigned parameters are declared as the signed type of their width. */
uint32_t rotate(uint32_t value, uint8_t count) {
    count &= 31;
    return count == 0 ? value : value << count | value >> (32 - count);
}

/* --- floating point --- */

float scale(float a, float b) {
    return a * b;
}

double determinant(double a, double b, double c, double d) {
    return a * d - b * c;
}

/* Integers, floats and doubles mixed, more of each than there are argument registers on some machine. */
double mixed(int32_t a, double b, int8_t c, float d, int64_t e, double f, int16_t g, float h, int32_t i,
             double j, int64_t k) {
    double sum = (double)(a + c + g + i);
    sum += (double)e + (double)k;
    return sum + b + (double)d + f + (double)h + j;
}

/* --- buffers --- */

int64_t sum_bytes(const uint8_t *bytes, int32_t size) {
    int64_t sum = 0;
    for (int32_t i = 0; i < size; i++)
        sum += bytes[i];
    return sum;
}

int32_t sum_words(const int32_t *words, int32_t count) {
    uint32_t sum = 0;
    for (int32_t i = 0; i < count; i++)
        sum += (uint32_t)words[i];
    return (int32_t)sum;
}

static NOINLINE void swap(uint8_t *a, uint8_t *b) {
    uint8_t kept = *a;
    *a = *b;
    *b = kept;
}

void reverse(uint8_t *bytes, int32_t size) {
    for (int32_t i = 0; i < size / 2; i++)
        swap(bytes + i, bytes + (size - 1 - i));
}

/* Bubble sort: calls swap from a nested loop. */
void sort(uint8_t *bytes, int32_t size) {
    for (int32_t i = 0; i + 1 < size; i++)
        for (int32_t j = 0; j + 1 < size - i; j++)
            if (bytes[j] > bytes[j + 1])
                swap(bytes + j, bytes + j + 1);
}

/* --- strings --- */

int64_t length(const char *text) {
    int64_t count = 0;
    while (text[count] != 0)
        count++;
    return count;
}

/* An address inside the buffer, or null. */
const char *find(const char *text, int8_t wanted) {
    for (; *text != 0; text++)
        if (*text == wanted)
            return text;
    return 0;
}

static NOINLINE int is_lower(char letter) {
    return letter >= 'a' && letter <= 'z';
}

void to_upper(char *text) {
    for (; *text != 0; text++)
        if (is_lower(*text))
            *text = (char)(*text - 'a' + 'A');
}

/* --- structures, by reference --- */

struct Point {
    int32_t x;
    int32_t y;
};

typedef struct {
    struct Point low;
    struct Point high;
    double weight;
} Rectangle;

int32_t distance(const struct Point *a, const struct Point *b) {
    int32_t x = a->x > b->x ? a->x - b->x : b->x - a->x;
    int32_t y = a->y > b->y ? a->y - b->y : b->y - a->y;
    return x + y;
}

void move_by(struct Point *point, int32_t x, int32_t y) {
    point->x = add(point->x, x);
    point->y = add(point->y, y);
}

int64_t area(const Rectangle *rectangle) {
    int64_t width = (int64_t)rectangle->high.x - rectangle->low.x;
    int64_t height = (int64_t)rectangle->high.y - rectangle->low.y;
    return width * height;
}

/* An address inside the structure. */
struct Point *upper_corner(Rectangle *rectangle) {
    return &rectangle->high;
}

/* --- calls among themselves --- */

int64_t fibonacci(int32_t n) {
    return n < 2 ? n : fibonacci(n - 1) + fibonacci(n - 2);
}

int32_t ackermann(int32_t m, int32_t n) {
    if (m == 0)
        return n + 1;
    return ackermann(m - 1, n == 0 ? 1 : ackermann(m, n - 1));
}

static NOINLINE int is_odd(uint32_t n);

static NOINLINE int is_even(uint32_t n) {
    return n == 0 ? 1 : is_odd(n - 1);
}

static NOINLINE int is_odd(uint32_t n) {
    return n == 0 ? 0 : is_even(n - 1);
}

int8_t parity(uint32_t n) {
    return (int8_t)is_odd(n & 0xff);
}

/* CRC-32, bit by bit. */
uint32_t crc32(const uint8_t *bytes, int32_t size) {
    uint32_t crc = 0xffffffff;
    for (int32_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320 & -(crc & 1));
    }
    return ~crc;
}

void nothing(void) {
}
