/* load: a load generator for WebSocket and Socket.IO servers on this machine, one thread on epoll.
 *
 *     load echo      --port N --pid P [--connections 100] [--depth 1] [--size 32] [--binary]
 *     load ack       --port N --pid P [--connections 100] [--depth 1] [--size 64]
 *     load broadcast --port N --pid P [--connections 1000] [--size 64]
 *     load rooms     --port N --pid P [--connections 1000] [--size 64]
 *     load connect   --port N --pid P [--connections 64]
 *     load idle      --port N --pid P [--connections 5000] [--base 100]
 *     common:        [--socketio] [--polling] [--seconds 1] [--warm 0.3] [--path /] [--tls]
 *                    [--block] [--timeout 30]
 *     echo and ack:  [--talking CONNECTIONS] [--rate MESSAGES_PER_SECOND]
 *
 * echo     each connection keeps `depth` messages in flight: a reply triggers the next message
 *          (closed loop), and the messages that one read triggers leave in one send. With --rate
 *          messages are sent when they are due (open loop), whatever has come back, and latency
 *          counts from then. With --talking only the first few talk.
 * connect  open, handshake, closing handshake, end of stream, and again, `connections` abreast
 * idle     opens `base` connections, then the rest, and holds them for `seconds`; memory per
 *          connection is what the server grew between the two, `warm` seconds after the last
 *
 * --socketio sends events of Socket.IO, and --polling sends them over long polling; ack, broadcast
 * and rooms, which socketio.c describes, are always Socket.IO's.
 *
 * Everything is verified: accept key, frames, every byte and the order of the echoes, the closing
 * handshake. Any deviation ends the run with a message on stderr and status 1. The result is one
 * line of JSON on stdout. The server's CPU time is read from outside, from the clock of process P.
 * The generator polls epoll without sleeping, so that the server does not pay for waking it up;
 * --block makes it sleep. Pin server and generator to different CPUs. */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "latency.h"
#include "load.h"
#include "process.h"

enum { MAX_EVENTS = 256, OPENING_AT_ONCE = 64 };

struct options option = {.depth = 1, .base = 100, .seconds = 1, .warm = 0.3, .timeout = 30};
const struct workload *workload;
struct connection *connections;
int epoll_fd, open_count, opening_count;
SSL_CTX *tls_context;
bool sending;
uint64_t now;

static bool recording;
static uint64_t completed;            /* answers, deliveries or, in connect mode, closed connections */
static uint64_t idle_ns;              /* time the generator found nothing to do */
static int first_talking;             /* the first of those that send, `option.talking` in all */
static double due_at;                 /* open loop: when the next message is due */

void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load %s: ", option.mode_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

void completed_one(uint64_t begun_at) {
    completed++;
    if (recording) latency_add(now - begun_at);
}

/* Random masking keys, unpredictable enough for a load generator (xorshift64*). */
static uint64_t random_state;

uint64_t random_bits(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

/* Whether one connection sends to many. */
static bool one_sends(void) { return option.mode == BROADCAST || option.mode == ROOMS; }

/* ---- the loop and its phases ---- */

/* Send what the connection's events have queued. */
static void settle(struct connection *c) {
    if (c->role != WEBSOCKET) polling_flush(c);
    else if (bytes_length(&c->output)) flush(c);
}

static void turn(bool may_sleep) {
    static uint64_t turn_ended;
    struct epoll_event events[MAX_EVENTS];
    int ready = epoll_wait(epoll_fd, events, MAX_EVENTS, may_sleep ? 1 : 0);
    uint64_t begun = monotonic_ns();
    if (ready <= 0) {
        idle_ns += turn_ended ? begun - turn_ended : 0;
        turn_ended = begun;
        return;
    }
    for (int i = 0; i < ready; i++) {
        struct connection *c = events[i].data.ptr;
        if (events[i].events & ~(uint32_t)EPOLLOUT) receive(c);
        settle(c);
    }
    turn_ended = monotonic_ns();
}

/* Send what is due by now, on each connection in turn that has room in its ring. */
static void send_due(void) {
    static int turn_of;
    double until = (double)monotonic_ns();
    for (int full = 0; due_at <= until && full < option.talking; turn_of = (turn_of + 1) % option.talking) {
        struct connection *c = &connections[turn_of];
        if (in_flight(c) >= option.ring) {
            full++;
            continue;
        }
        full = 0;
        workload->send(c, (uint64_t)due_at);
        settle(c);
        due_at += 1e9 / option.rate;
    }
}

static void run_for(double seconds, bool may_sleep) {
    for (uint64_t end = monotonic_ns() + (uint64_t)(seconds * 1e9); monotonic_ns() < end;) {
        turn(may_sleep);
        if (due_at > 0) send_due();
    }
}

static void open_until(int wanted) {
    static int started;
    uint64_t deadline = monotonic_ns() + (uint64_t)(option.timeout * 1e9);
    while (open_count < wanted) {
        while (started < wanted && opening_count < OPENING_AT_ONCE) start(&connections[started++]);
        turn(option.block);
        if (monotonic_ns() > deadline) fail("only %d of %d connections are open after %g s", open_count, wanted, option.timeout);
    }
}

static struct process_cpu cpu_now(void) {
    struct process_cpu cpu;
    if (!process_cpu(option.pid, &cpu)) fail("process %d, the server, is gone", option.pid);
    return cpu;
}

static struct process_memory memory_now(void) {
    struct process_memory memory;
    if (!process_memory(option.pid, &memory)) fail("process %d, the server, is gone", option.pid);
    return memory;
}

static void print_common(double seconds) {
    printf("{\"mode\": \"%s\", \"connections\": %d, \"tls\": %s, \"seconds\": %.4f", option.mode_name,
           option.connections, option.tls ? "true" : "false", seconds);
}

static void run_idle(void) {
    open_until(option.base);
    run_for(option.warm, true);
    struct process_memory base = memory_now();
    struct process_cpu before = cpu_now();
    open_until(option.connections);
    run_for(0.02, true);   /* the clock of a process that runs may be a tick behind: let it go to sleep */
    double opening = (double)(cpu_now().used_ns - before.used_ns);
    run_for(option.warm, true);
    struct process_memory full = memory_now();
    before = cpu_now();
    run_for(option.seconds, true);
    double held = (double)(cpu_now().used_ns - before.used_ns), counted = option.connections - option.base;

    print_common(option.seconds);
    printf(", \"base\": %d, \"resident_bytes\": %.1f, \"proportional_bytes\": %.1f, \"open_cpu_us\": %.2f, "
           "\"hold_cpu_percent\": %.3f}\n",
           option.base, (double)(full.resident - base.resident) / counted,
           full.proportional < 0 ? -1.0 : (double)(full.proportional - base.proportional) / counted,
           opening / counted / 1e3, held / option.seconds / 1e7);
}

static void begin_talking(void) {
    if (option.mode == CONNECT) return;
    if (option.rate > 0) {
        due_at = (double)now;
        return;
    }
    sending = true;
    for (int i = first_talking; i < first_talking + option.talking; i++) {
        for (int k = 0; k < option.depth; k++) workload->send(&connections[i], now);
        settle(&connections[i]);
    }
}

static void run_loaded(void) {
    if (option.mode == CONNECT)
        for (int i = 0; i < option.connections; i++) start(&connections[i]);
    else open_until(option.connections);
    now = monotonic_ns();
    begin_talking();
    run_for(option.warm, option.block);

    struct process_cpu before = cpu_now(), self_before, self;
    process_cpu(getpid(), &self_before);
    uint64_t begun = monotonic_ns(), completed_before = completed;
    const struct connection *sender = &connections[option.connections - 1];
    uint32_t sent_before = sender->sent;
    idle_ns = 0;
    recording = true;
    run_for(option.seconds, option.block);
    /* What takes long is waited for: a window in which nothing was done tells nothing. */
    for (uint64_t end = begun + (uint64_t)(option.timeout * 1e9); completed == completed_before && monotonic_ns() < end;)
        turn(option.block);
    recording = false;
    struct process_cpu after = cpu_now();
    double wall = (double)(monotonic_ns() - begun), used = (double)(after.used_ns - before.used_ns);
    double count = (double)(completed - completed_before);
    process_cpu(getpid(), &self);
    if (completed == completed_before) fail("nothing was completed in %g s", option.timeout);

    double user = (double)(after.user_ticks - before.user_ticks), system = (double)(after.system_ticks - before.system_ticks);
    print_common(wall / 1e9);
    if (one_sends())
        printf(", \"emits\": %u", sender->sent - sent_before);
    if (option.rate > 0)
        printf(", \"rate\": %.1f, \"late_us\": %.1f", option.rate, ((double)monotonic_ns() - due_at) / 1e3);
    if (option.mode != CONNECT)
        printf(", \"depth\": %d, \"size\": %zu, \"binary\": %s", option.depth, option.size, option.binary ? "true" : "false");
    printf(", \"count\": %.0f, \"per_second\": %.1f, \"cpu_us\": %.4f, \"system_share\": %.3f, \"server_busy\": %.3f, "
           "\"server_waited\": %.3f, \"generator_busy\": %.3f, \"generator_waited\": %.3f, "
           "\"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}}\n",
           count, count / wall * 1e9, used / count / 1e3, user + system > 0 ? system / (user + system) : 0, used / wall,
           (double)(after.waited_ns - before.waited_ns) / wall, 1 - (double)idle_ns / wall,
           (double)(self.waited_ns - self_before.waited_ns) / wall,
           latency_us(0.50), latency_us(0.99), latency_us(0.999), latency_longest_us());
}

/* ---- setting up ---- */

static void check_options(void) {
    if (option.port < 1 || option.port > 65535 || option.pid < 1) fail("--port and --pid are needed");
    if (option.connections < 1 || option.depth < 1 || option.size < 1 || option.size > FRAME_MAX_LENGTH || option.seconds <= 0)
        fail("--connections, --depth, --size and --seconds must be positive (and --size at most 1 GiB)");
    if (option.mode == IDLE && (option.base < 0 || option.base >= option.connections))
        fail("--base must be less than --connections");
    if (option.talking < 1 || option.talking > option.connections) fail("--talking is from 1 to --connections");
    if (option.polling && (!option.socketio || option.binary || option.mode == CONNECT))
        fail("--polling is for Socket.IO, without --binary, and not for connect");
    if (option.binary && option.socketio && option.mode != ECHO) fail("--binary is for echo");
    if (option.rate < 0 || (option.rate > 0 && option.mode != ECHO && option.mode != ACK)) fail("--rate is for echo and ack");
}

static void parse_options(int argc, char **argv) {
    static const char *const names[] = {[ECHO] = "echo", [CONNECT] = "connect", [IDLE] = "idle",
                                        [ACK] = "ack", [BROADCAST] = "broadcast", [ROOMS] = "rooms"};
    static const int usual[] = {[ECHO] = 100, [CONNECT] = 64, [IDLE] = 5000, [ACK] = 100, [BROADCAST] = 1000, [ROOMS] = 1000};
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"pid", 1, 0, 'P'}, {"connections", 1, 0, 'c'}, {"depth", 1, 0, 'd'},
        {"size", 1, 0, 's'}, {"base", 1, 0, 'b'}, {"seconds", 1, 0, 't'}, {"warm", 1, 0, 'w'},
        {"path", 1, 0, 'u'}, {"timeout", 1, 0, 'T'}, {"talking", 1, 0, 'k'}, {"rate", 1, 0, 'r'},
        {"binary", 0, &option.binary, 1}, {"socketio", 0, &option.socketio, 1}, {"polling", 0, &option.polling, 1},
        {"tls", 0, &option.tls, 1}, {"block", 0, &option.block, 1}, {0}};
    option.mode_name = argc > 1 ? argv[1] : "(no mode)";
    int mode = 0;
    while (mode <= ROOMS && strcmp(option.mode_name, names[mode])) mode++;
    if (mode > ROOMS) fail("the modes are echo, ack, broadcast, rooms, connect and idle");
    option.mode = (enum mode)mode;
    option.connections = usual[mode];
    option.socketio = mode == ACK || mode == BROADCAST || mode == ROOMS;
    optind = 2;
    for (int letter; (letter = getopt_long(argc, argv, "", known, NULL)) != -1;) switch (letter) {
        case 0: break;
        case 'p': option.port = atoi(optarg); break;
        case 'P': option.pid = atoi(optarg); break;
        case 'c': option.connections = atoi(optarg); break;
        case 'd': option.depth = atoi(optarg); break;
        case 's': option.size = strtoul(optarg, NULL, 10); break;
        case 'b': option.base = atoi(optarg); break;
        case 't': option.seconds = atof(optarg); break;
        case 'w': option.warm = atof(optarg); break;
        case 'u': option.path = optarg; break;
        case 'T': option.timeout = atof(optarg); break;
        case 'k': option.talking = atoi(optarg); break;
        case 'r': option.rate = atof(optarg); break;
        default: exit(2);
    }
    if (optind < argc) fail("unexpected argument '%s'", argv[optind]);
    if (!option.size) option.size = option.socketio ? 64 : 32;
    if (one_sends()) {
        option.talking = 1;
        first_talking = option.connections - 1;
    } else if (!option.talking) option.talking = option.connections;
    check_options();
    /* Copies of a broadcast may still be under way when their sender has its own. */
    bool overtaking = option.rate > 0 || one_sends();
    option.ring = overtaking ? 4096 : (uint32_t)option.depth;
    if (!option.path && option.socketio)
        option.path = option.polling ? "/socket.io/?EIO=4&transport=polling" : "/socket.io/?EIO=4&transport=websocket";
    else if (!option.path) option.path = "/";
    workload = option.socketio ? &socketio_workload : &echo_workload;
}

static void allow_open_files(void) {
    rlim_t wanted = (rlim_t)option.connections * (option.polling ? 2 : 1) + 16;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < wanted)
        fail("%d connections need more than the %lu open files allowed (ulimit -Hn)", option.connections, (unsigned long)files.rlim_cur);
}

/* Those that send remember when. */
static void make_connections(void) {
    connections = calloc((size_t)option.connections, sizeof *connections);
    for (int i = 0; i < option.connections; i++) {
        struct connection *c = &connections[i];
        c->id = (uint32_t)i;
        c->role = option.polling ? POLL : WEBSOCKET;
        if (i >= first_talking && i < first_talking + option.talking) c->sent_at = calloc(option.ring, sizeof(uint64_t));
    }
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    if (option.tls && !(tls_context = stream_client_context())) return 1;
    signal(SIGPIPE, SIG_IGN);   /* OpenSSL writes without MSG_NOSIGNAL */
    allow_open_files();
    if (getrandom(&random_state, sizeof random_state, 0) < 0 || !random_state) random_state = monotonic_ns();
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    make_connections();
    workload->prepare();
    if (option.mode == IDLE) run_idle();
    else run_loaded();
    return 0;
}
