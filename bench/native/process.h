/* What another process costs, read from outside: its CPU clock and its memory (Linux). */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct process_cpu {
    uint64_t used_ns;     /* user and system time of all threads; a tick behind at most while it runs */
    uint64_t waited_ns;   /* time the main thread could have run but another process had its CPU */
    uint64_t user_ticks, system_ticks;   /* the same time by clock ticks: good for the shares only */
};

struct process_memory {
    long resident, proportional;   /* bytes; proportional is -1 where it cannot be read */
};

/* Both return false when the process is gone. */
bool process_cpu(pid_t pid, struct process_cpu *cpu);
bool process_memory(pid_t pid, struct process_memory *memory);

#endif
