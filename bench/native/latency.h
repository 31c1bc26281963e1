/* How long things took: a histogram with 32 buckets for each power of two, so within 3 %. */
#ifndef BENCH_LATENCY_H
#define BENCH_LATENCY_H

#include <stdint.h>

void latency_add(uint64_t nanoseconds);

/* The time, in microseconds, that this share of what was added did not exceed. */
double latency_us(double quantile);
double latency_longest_us(void);

#endif
