#include "process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static bool read_proc(pid_t pid, const char *name, char *to, size_t size) {
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return false;
    ssize_t got = read(fd, to, size - 1);
    close(fd);
    if (got < 0) return false;
    to[got] = 0;
    return true;
}

bool process_cpu(pid_t pid, struct process_cpu *cpu) {
    clockid_t clock;
    struct timespec used;
    char text[1024];
    *cpu = (struct process_cpu){0};
    if (clock_getcpuclockid(pid, &clock) || clock_gettime(clock, &used)) return false;
    cpu->used_ns = (uint64_t)used.tv_sec * 1000000000u + (uint64_t)used.tv_nsec;

    unsigned long long waited, user, system;
    if (read_proc(pid, "schedstat", text, sizeof text) && sscanf(text, "%*u %llu", &waited) == 1)
        cpu->waited_ns = waited;
    /* utime and stime are fields 14 and 15; the second field, a name in brackets, may hold spaces. */
    if (!read_proc(pid, "stat", text, sizeof text)) return false;
    const char *after_name = strrchr(text, ')');
    if (after_name && sscanf(after_name + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu",
                             &user, &system) == 2) {
        cpu->user_ticks = user;
        cpu->system_ticks = system;
    }
    return true;
}

static long field_in_kib(const char *text, const char *name) {
    const char *at = strstr(text, name);
    return at ? strtol(at + strlen(name), NULL, 10) * 1024 : -1;
}

bool process_memory(pid_t pid, struct process_memory *memory) {
    char text[8192];
    *memory = (struct process_memory){-1, -1};
    if (read_proc(pid, "smaps_rollup", text, sizeof text)) {
        memory->resident = field_in_kib(text, "\nRss:");
        memory->proportional = field_in_kib(text, "\nPss:");
    } else if (read_proc(pid, "status", text, sizeof text)) {
        /* Less exact: this counter is gathered from all CPUs only now and then. */
        memory->resident = field_in_kib(text, "VmRSS:");
    }
    return memory->resident >= 0;
}
