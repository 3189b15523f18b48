/*
 * Calls a function with the arguments of a one-shot command line and prints the reply.
 *
 * This half is the harness's contract, not the document's loader; it is meant to be right.
 */
#ifndef NAIVE_CALL_H
#define NAIVE_CALL_H

#include <stddef.h>

enum call_outcome {
    CALL_RETURNED,    /* it returned, and the reply is printed */
    CALL_UNSUPPORTED, /* more arguments than this caller passes, or a processor it does not know */
    CALL_BAD_WORD,    /* a word is not an argument; said on stderr */
};

/* The mapped module, to name returned addresses by. */
struct image {
    const char *base;
    size_t size;
};

/*
 * Calls `entry` with `count` words of the form TYPE:VALUE and prints the reply as one line of JSON.
 * `returns` names the return type.
 */
enum call_outcome call_words(void *entry, struct image image, const char *returns, int count,
                             char *const *words);

#endif
