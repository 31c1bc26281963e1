#include "latency.h"

enum { STEPS = 32, BUCKETS = 64 * STEPS };

static uint64_t counts[BUCKETS], total, longest;

void latency_add(uint64_t ns) {
    unsigned power = 63 - (unsigned)__builtin_clzll(ns | STEPS);   /* at least 5 */
    counts[power * STEPS + (ns >> (power - 5) & (STEPS - 1))]++;
    total++;
    if (ns > longest) longest = ns;
}

double latency_us(double quantile) {
    uint64_t rank = (uint64_t)(quantile * (double)total), below = 0;
    for (unsigned i = 0; i < BUCKETS; i++) {
        below += counts[i];
        if (below > rank) return (double)((uint64_t)(STEPS + i % STEPS) << (i / STEPS - 5)) / 1e3;
    }
    return (double)longest / 1e3;
}

double latency_longest_us(void) { return (double)longest / 1e3; }
