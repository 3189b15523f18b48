/* What the three objects of the module know of each other and of their host. */
#include <stdint.h>

typedef int64_t (*operation)(int64_t, int64_t);

/* The host's. */
int64_t host_mix(int64_t value, int64_t salt);
int64_t host_absent(int64_t value) __attribute__((weak));

/* module_arithmetic.c */
extern int64_t total;
int64_t add(int64_t a, int64_t b);
int64_t multiply(int64_t a, int64_t b);
int64_t policy(int64_t value);
int64_t shared_counter __attribute__((common));

/* module_tables.c */
extern const char *const month_names[12];
extern const uint32_t primes[16];
int64_t apply(int32_t which, int64_t a, int64_t b);
int64_t crc(const uint8_t *bytes, int64_t count);

/* module_state.c */
int64_t lenient(int64_t value);
int64_t inside(int64_t value) __attribute__((visibility("hidden")));
