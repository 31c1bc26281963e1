/* A growable byte buffer, and the few words that every file here shares. */
#ifndef BENCH_BYTES_H
#define BENCH_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct bytes {
    uint8_t *data;
    size_t start, end;   /* data[start..end) is the content */
    size_t capacity;
};

static inline size_t bytes_length(const struct bytes *b) { return b->end - b->start; }

/* Make room for `more` bytes behind the content and return where they go. */
static inline uint8_t *bytes_reserve(struct bytes *b, size_t more) {
    if (b->start == b->end) b->start = b->end = 0;
    if (b->capacity - b->end >= more) return b->data + b->end;
    if (b->start) {
        memmove(b->data, b->data + b->start, b->end - b->start);
        b->end -= b->start;
        b->start = 0;
    }
    if (b->capacity - b->end < more) {
        size_t wanted = b->end + more, capacity = b->capacity ? b->capacity : 256;
        while (capacity < wanted) capacity += capacity / 2;
        b->data = realloc(b->data, capacity);
        if (!b->data) {
            fprintf(stderr, "out of memory\n");
            exit(1);
        }
        b->capacity = capacity;
    }
    return b->data + b->end;
}

static inline void bytes_append(struct bytes *b, const void *from, size_t count) {
    memcpy(bytes_reserve(b, count), from, count);
    b->end += count;
}

static inline void bytes_free(struct bytes *b) {
    free(b->data);
    *b = (struct bytes){0};
}

static inline uint64_t monotonic_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

#endif
