/* load: a WebSocket load generator, one thread on epoll, for servers on this machine.
 *
 *     load echo    --port N --pid P [--connections 100] [--depth 1] [--size 32] [--binary]
 *     load connect --port N --pid P [--connections 64]
 *     load idle    --port N --pid P [--connections 5000] [--base 100]
 *     common:      [--seconds 1] [--warm 0.3] [--path /] [--tls] [--block] [--timeout 30]
 *
 * echo     each connection keeps `depth` messages in flight: a reply triggers the next message
 *          (closed loop), and the messages that one read triggers leave in one send
 * connect  open, handshake, closing handshake, end of stream, and again, `connections` abreast
 * idle     opens `base` connections, then the rest, and holds them for `seconds`; memory per
 *          connection is what the server grew between the two, `warm` seconds after the last
 *
 * Everything is verified: accept key, frames, every byte and the order of the echoes, the closing
 * handshake. Any deviation ends the run with a message on stderr and status 1. The result is one
 * line of JSON on stdout. The server's CPU time is read from outside, from the clock of process P.
 * The generator polls epoll without sleeping, so that the server does not pay for waking it up;
 * --block makes it sleep. Pin server and generator to different CPUs. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "accept_key.h"
#include "bytes.h"
#include "frame.h"
#include "process.h"
#include "stream.h"

enum { SHARED_BUFFER = 1 << 20, MAX_HEAD = 16 << 10, MAX_EVENTS = 256, OPENING_AT_ONCE = 64, TAG = 16 };
enum mode { ECHO, CONNECT, IDLE };
enum state { CLOSED, HANDSHAKE, OPEN, CLOSING, CLOSE_ANSWERED };

struct connection {
    struct stream stream;
    enum state state;
    uint32_t id;
    uint32_t sent, received;      /* messages; the difference is in flight */
    uint8_t message_opcode;       /* of the fragmented message that is being gathered, else 0 */
    bool waiting;                 /* epoll watches for room to send */
    size_t frame_needs;           /* bytes that the frame in `input` still lacks, 0 if unknown */
    struct bytes input, output, message;
    uint64_t opened_at;
    uint64_t *sent_at;            /* ring of `depth` times */
    char accept[ACCEPT_KEY_LENGTH];
};

static struct {
    enum mode mode;
    const char *mode_name, *path;
    int port, pid, connections, depth, base;
    int binary, tls, block;
    size_t size;
    double seconds, warm, timeout;
} option = {.path = "/", .depth = 1, .base = 100, .size = 32, .seconds = 1, .warm = 0.3, .timeout = 30};

static int epoll_fd;
static struct connection *connections;
static int open_count, opening_count;
static uint8_t *shared_buffer, *payload;
static SSL_CTX *tls_context;
static bool sending, recording;
static uint64_t completed;            /* echoes or, in connect mode, closed connections */
static uint64_t now;                  /* when the current event was read */
static uint64_t idle_ns;              /* time the generator found nothing to do */

static void fail(const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "load %s: ", option.mode_name);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    exit(1);
}

/* ---- latency: 32 buckets for each power of two of nanoseconds, so within 3 % ---- */

static uint64_t latency_counts[64 * 32], latency_total, latency_max;

static void latency_add(uint64_t ns) {
    unsigned power = 63 - (unsigned)__builtin_clzll(ns | 32);   /* at least 5 */
    latency_counts[power * 32 + (ns >> (power - 5) & 31)]++;
    latency_total++;
    if (ns > latency_max) latency_max = ns;
}

static double latency_us(double quantile) {
    uint64_t rank = (uint64_t)(quantile * (double)latency_total), below = 0;
    for (unsigned i = 0; i < 64 * 32; i++) {
        below += latency_counts[i];
        if (below > rank) return (double)((uint64_t)(32 + i % 32) << (i / 32 - 5)) / 1e3;
    }
    return (double)latency_max / 1e3;
}

/* ---- random masking keys, unpredictable enough for a load generator (xorshift64*) ---- */

static uint64_t random_state;

static uint64_t random_bits(void) {
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return random_state * 0x2545F4914F6CDD1Du;
}

/* ---- sending ---- */

static void flush(struct connection *c) {
    bool waiting = false;
    while (bytes_length(&c->output) && !waiting) {
        ssize_t sent = stream_send(&c->stream, c->output.data + c->output.start, bytes_length(&c->output));
        if (sent >= 0) c->output.start += (size_t)sent;
        else if (sent == STREAM_AGAIN) waiting = true;
        else fail("connection %u: send: %s", c->id, strerror(errno));
    }
    if (waiting == c->waiting) return;
    c->waiting = waiting;
    struct epoll_event event = {.events = EPOLLIN | (waiting ? (uint32_t)EPOLLOUT : 0), .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->stream.fd, &event);
}

static void queue_frame(struct connection *c, unsigned opcode, const void *body, size_t length) {
    uint8_t *frame = bytes_reserve(&c->output, length + FRAME_MAX_HEADER);
    size_t header = frame_write(frame, opcode, length, true);
    uint32_t key = (uint32_t)(random_bits() >> 32);
    memcpy(frame + header, &key, 4);
    mask_copy(frame + header + 4, body, length, key);
    c->output.end += header + 4 + length;
}

/* Make `payload` message number `sequence` of the connection: its first bytes say which it is. */
static void stamp_payload(const struct connection *c, uint32_t sequence) {
    char tag[TAG + 1];
    uint64_t value = (uint64_t)c->id << 32 | sequence;
    for (int i = TAG; i--; value >>= 4) tag[i] = "0123456789abcdef"[value & 15];
    size_t used = option.size < TAG ? option.size : TAG;
    memcpy(payload, tag + TAG - used, used);
}

static void queue_message(struct connection *c) {
    stamp_payload(c, c->sent);
    queue_frame(c, option.binary ? OP_BINARY : OP_TEXT, payload, option.size);
    c->sent_at[c->sent++ % (uint32_t)option.depth] = now;
}

/* ---- opening and closing ---- */

static void start(struct connection *c) {
    struct sockaddr_in server = {.sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)option.port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    static const int yes = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) fail("socket: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    /* Use 127.0.0.2 to .17 in turn: one source address has but 28,000 ports, and closed ones rest. */
    static unsigned turn;
    struct sockaddr_in source = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000002u + turn++ % 16)};
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    if (bind(fd, (struct sockaddr *)&source, sizeof source)) fail("bind: %s", strerror(errno));
    if (connect(fd, (struct sockaddr *)&server, sizeof server) && errno != EINPROGRESS)
        fail("connect: %s", strerror(errno));
    stream_open(&c->stream, fd, tls_context, false);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);

    c->state = HANDSHAKE;
    c->opened_at = monotonic_ns();
    c->sent = c->received = 0;
    c->waiting = false;
    c->frame_needs = 0;
    opening_count++;

    uint64_t nonce[2] = {random_bits(), random_bits()};
    char key[CLIENT_KEY_LENGTH], request[1024];
    base64_encode((uint8_t *)nonce, sizeof nonce, key);
    accept_key(key, c->accept);
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: %.*s\r\nSec-WebSocket-Version: 13\r\n\r\n",
                          option.path, option.port, CLIENT_KEY_LENGTH, key);
    bytes_append(&c->output, request, (size_t)length);
    flush(c);
}

/* The value of a header in a response's head (between its start line and `end`), or NULL. */
static const char *header_value(const char *head, const char *end, const char *name, size_t *length) {
    size_t name_length = strlen(name);
    for (const char *line = head; (line = memmem(line, (size_t)(end - line), "\r\n", 2));) {
        line += 2;
        if ((size_t)(end - line) <= name_length) break;
        if (strncasecmp(line, name, name_length) || line[name_length] != ':') continue;
        const char *value = line + name_length + 1, *stop = memmem(value, (size_t)(end + 2 - value), "\r\n", 2);
        while (*value == ' ' || *value == '\t') value++;
        *length = (size_t)(stop - value);
        return value;
    }
    return NULL;
}

static size_t read_handshake(struct connection *c, const uint8_t *input, size_t count) {
    const char *head = (const char *)input, *end = memmem(input, count, "\r\n\r\n", 4), *value;
    size_t length;
    if (!end) {
        if (count > MAX_HEAD) fail("connection %u: the response has no end", c->id);
        return 0;
    }
    if (count < 13 || memcmp(head, "HTTP/1.1 101 ", 13))
        fail("connection %u: refused: %.*s", c->id, (int)strcspn(head, "\r"), head);
    value = header_value(head, end, "Sec-WebSocket-Accept", &length);
    if (!value || length != ACCEPT_KEY_LENGTH || memcmp(value, c->accept, length))
        fail("connection %u: wrong or missing Sec-WebSocket-Accept", c->id);
    value = header_value(head, end, "Upgrade", &length);
    if (!value || length != 9 || strncasecmp(value, "websocket", 9))
        fail("connection %u: the response has no 'Upgrade: websocket'", c->id);
    if (header_value(head, end, "Sec-WebSocket-Extensions", &length))
        fail("connection %u: an extension that was not offered", c->id);

    opening_count--;
    open_count++;
    c->state = OPEN;
    if (option.mode == CONNECT) {
        static const uint8_t normal_closure[2] = {1000 >> 8, 1000 & 0xff};
        queue_frame(c, OP_CLOSE, normal_closure, sizeof normal_closure);
        c->state = CLOSING;
    }
    return (size_t)(end + 4 - head);
}

static void end_of_stream(struct connection *c, bool failed) {
    if (c->state != CLOSE_ANSWERED)
        fail("connection %u: %s in state %d", c->id, failed ? strerror(errno) : "end of stream", (int)c->state);
    if (recording) latency_add(now - c->opened_at);
    stream_close(&c->stream);
    c->input.start = c->input.end = c->output.start = c->output.end = 0;
    c->state = CLOSED;
    open_count--;
    completed++;
    start(c);
}

/* ---- receiving ---- */

static void on_message(struct connection *c, unsigned opcode, const uint8_t *body, size_t length) {
    if (option.mode != ECHO || c->sent == c->received) fail("connection %u: a message that answers none of ours", c->id);
    if (opcode != (option.binary ? OP_BINARY : OP_TEXT)) fail("connection %u: echo has opcode %u", c->id, opcode);
    if (length != option.size) fail("connection %u: echo of %zu bytes, sent %zu", c->id, length, option.size);
    stamp_payload(c, c->received);
    if (memcmp(body, payload, length)) fail("connection %u: echo %u differs from what was sent", c->id, c->received);
    if (recording) latency_add(now - c->sent_at[c->received % (uint32_t)option.depth]);
    c->received++;
    completed++;
    if (sending) queue_message(c);
}

static void on_frame(struct connection *c, const struct frame *f, const uint8_t *body) {
    if (f->opcode == OP_PING) queue_frame(c, OP_PONG, body, f->length);
    else if (f->opcode == OP_CLOSE) {
        unsigned code = f->length >= 2 ? (unsigned)body[0] << 8 | body[1] : 1005;
        if (c->state != CLOSING || code != 1000) fail("connection %u: closed by the server, code %u", c->id, code);
        c->state = CLOSE_ANSWERED;
    } else if (f->opcode == OP_PONG) {
    } else if (f->opcode && f->fin && !c->message_opcode) on_message(c, f->opcode, body, f->length);
    else {
        if ((f->opcode == OP_CONTINUATION) != (c->message_opcode != 0)) fail("connection %u: bad fragments", c->id);
        if (f->opcode) c->message_opcode = f->opcode;
        bytes_append(&c->message, body, f->length);
        if (!f->fin) return;
        on_message(c, c->message_opcode, c->message.data, bytes_length(&c->message));
        c->message_opcode = 0;
        c->message.start = c->message.end = 0;
    }
}

static size_t read_frames(struct connection *c, const uint8_t *input, size_t count) {
    size_t used = 0;
    struct frame f;
    while (used < count) {
        enum frame_state state = frame_read(input + used, count - used, &f);
        if (state == FRAME_INCOMPLETE) break;
        if (state == FRAME_BAD || f.masked) fail("connection %u: bad frame", c->id);
        if (count - used < f.header + f.length) {
            c->frame_needs = f.header + f.length - (count - used);
            break;
        }
        on_frame(c, &f, input + used + f.header);
        used += f.header + f.length;
    }
    return used;
}

/* Read once; false when nothing came, or the connection ended. */
static bool receive(struct connection *c) {
    size_t held = bytes_length(&c->input), room = SHARED_BUFFER;
    uint8_t *at = shared_buffer;
    if (held) {   /* the rest of a large frame is read straight behind its beginning */
        room = c->frame_needs > 65536 ? c->frame_needs : 65536;
        at = bytes_reserve(&c->input, room) - held;
    }
    ssize_t got = stream_receive(&c->stream, at + held, room);
    now = monotonic_ns();
    if (got == STREAM_AGAIN) return false;
    if (got <= 0) {
        end_of_stream(c, got < 0);
        return false;
    }
    size_t count = held + (size_t)got, used = 0;
    if (c->frame_needs > (size_t)got) c->frame_needs -= (size_t)got;
    else {
        c->frame_needs = 0;
        if (c->state == HANDSHAKE) used = read_handshake(c, at, count);
        if (c->state != HANDSHAKE) used += read_frames(c, at + used, count - used);
    }
    if (held) {
        c->input.start += used;
        c->input.end += (size_t)got;
    } else if (used < count) {
        bytes_reserve(&c->input, count - used + c->frame_needs);
        bytes_append(&c->input, at + used, count - used);
    }
    return true;
}

/* ---- the loop and its phases ---- */

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
        if (events[i].events & ~(uint32_t)EPOLLOUT)
            while (receive(c) && stream_pending(&c->stream)) {}
        if (bytes_length(&c->output)) flush(c);
    }
    turn_ended = monotonic_ns();
}

static void run_for(double seconds, bool may_sleep) {
    for (uint64_t end = monotonic_ns() + (uint64_t)(seconds * 1e9); monotonic_ns() < end;) turn(may_sleep);
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

static void run_loaded(void) {
    if (option.mode == CONNECT)
        for (int i = 0; i < option.connections; i++) start(&connections[i]);
    else open_until(option.connections);
    sending = true;
    now = monotonic_ns();
    for (int i = 0; option.mode == ECHO && i < option.connections; i++) {
        for (int k = 0; k < option.depth; k++) queue_message(&connections[i]);
        flush(&connections[i]);
    }
    run_for(option.warm, option.block);

    struct process_cpu before = cpu_now(), self_before, self;
    process_cpu(getpid(), &self_before);
    uint64_t begun = monotonic_ns(), completed_before = completed;
    idle_ns = 0;
    recording = true;
    run_for(option.seconds, option.block);
    recording = false;
    struct process_cpu after = cpu_now();
    double wall = (double)(monotonic_ns() - begun), used = (double)(after.used_ns - before.used_ns);
    double count = (double)(completed - completed_before);
    process_cpu(getpid(), &self);
    if (completed == completed_before) fail("nothing was completed in %g s", option.seconds);

    double user = (double)(after.user_ticks - before.user_ticks), system = (double)(after.system_ticks - before.system_ticks);
    print_common(wall / 1e9);
    if (option.mode == ECHO)
        printf(", \"depth\": %d, \"size\": %zu, \"binary\": %s", option.depth, option.size, option.binary ? "true" : "false");
    printf(", \"count\": %.0f, \"per_second\": %.1f, \"cpu_us\": %.4f, \"system_share\": %.3f, \"server_busy\": %.3f, "
           "\"server_waited\": %.3f, \"generator_busy\": %.3f, \"generator_waited\": %.3f, "
           "\"latency_us\": {\"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}}\n",
           count, count / wall * 1e9, used / count / 1e3, user + system > 0 ? system / (user + system) : 0, used / wall,
           (double)(after.waited_ns - before.waited_ns) / wall, 1 - (double)idle_ns / wall,
           (double)(self.waited_ns - self_before.waited_ns) / wall,
           latency_us(0.50), latency_us(0.99), (double)latency_max / 1e3);
}

/* ---- setting up ---- */

static void parse_options(int argc, char **argv) {
    static const char *const names[] = {[ECHO] = "echo", [CONNECT] = "connect", [IDLE] = "idle"};
    static const int usual[] = {[ECHO] = 100, [CONNECT] = 64, [IDLE] = 5000};
    static const struct option known[] = {
        {"port", 1, 0, 'p'}, {"pid", 1, 0, 'P'}, {"connections", 1, 0, 'c'}, {"depth", 1, 0, 'd'},
        {"size", 1, 0, 's'}, {"base", 1, 0, 'b'}, {"seconds", 1, 0, 't'}, {"warm", 1, 0, 'w'},
        {"path", 1, 0, 'u'}, {"timeout", 1, 0, 'T'}, {"binary", 0, &option.binary, 1},
        {"tls", 0, &option.tls, 1}, {"block", 0, &option.block, 1}, {0}};
    option.mode_name = argc > 1 ? argv[1] : "(no mode)";
    int mode = 0;
    while (mode <= IDLE && strcmp(option.mode_name, names[mode])) mode++;
    if (mode > IDLE) fail("the modes are echo, connect and idle");
    option.mode = (enum mode)mode;
    option.connections = usual[mode];
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
        default: exit(2);
    }
    if (optind < argc) fail("unexpected argument '%s'", argv[optind]);
    if (option.port < 1 || option.port > 65535 || option.pid < 1) fail("--port and --pid are needed");
    if (option.connections < 1 || option.depth < 1 || option.size < 1 || option.size > FRAME_MAX_LENGTH || option.seconds <= 0)
        fail("--connections, --depth, --size and --seconds must be positive (and --size at most 1 GiB)");
    if (option.mode == IDLE && (option.base < 0 || option.base >= option.connections))
        fail("--base must be less than --connections");
}

static void make_payload(void) {
    payload = malloc(option.size);
    for (size_t i = 0; i < option.size; i++)
        payload[i] = option.binary ? (uint8_t)(i * 131 + (i >> 8) * 17) : (uint8_t)(' ' + (i * 37 + i / 95) % 95);
}

int main(int argc, char **argv) {
    parse_options(argc, argv);
    if (option.tls && !(tls_context = stream_client_context())) return 1;
    signal(SIGPIPE, SIG_IGN);   /* OpenSSL writes without MSG_NOSIGNAL */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    if (files.rlim_cur < (rlim_t)option.connections + 16)
        fail("%d connections need more than the %lu open files allowed (ulimit -Hn)", option.connections, (unsigned long)files.rlim_cur);
    if (getrandom(&random_state, sizeof random_state, 0) < 0 || !random_state) random_state = monotonic_ns();

    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    shared_buffer = malloc(SHARED_BUFFER);
    connections = calloc((size_t)option.connections, sizeof *connections);
    for (int i = 0; i < option.connections; i++) {
        connections[i].id = (uint32_t)i;
        connections[i].sent_at = calloc((size_t)option.depth, sizeof(uint64_t));
    }
    make_payload();
    if (option.mode == IDLE) run_idle();
    else run_loaded();
    return 0;
}
