/* The client's side of a connection: its socket, and WebSocket (RFC 6455) on it. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "load.h"

enum { SHARED_BUFFER = 1 << 20, MAX_HEAD = 16 << 10, LEAST_ROOM = 64 << 10 };

/* ---- sending ---- */

void flush(struct connection *c) {
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

void queue_text(struct connection *c, const void *body, size_t length) { queue_frame(c, OP_TEXT, body, length); }

void queue_binary(struct connection *c, const void *body, size_t length) { queue_frame(c, OP_BINARY, body, length); }

void write_tag(uint8_t *to, uint32_t id, uint32_t sequence) {
    uint64_t value = (uint64_t)id << 32 | sequence;
    for (int i = TAG; i--; value >>= 4) to[i] = (uint8_t)"0123456789abcdef"[value & 15];
}

/* ---- opening and closing ---- */

void socket_open(struct connection *c) {
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
    c->waiting = false;
    c->needs = 0;
}

void start(struct connection *c) {
    socket_open(c);
    c->state = HANDSHAKE;
    c->opened_at = monotonic_ns();
    c->sent = c->received = 0;
    c->sid[0] = 0;
    opening_count++;
    if (c->role == POLL) {
        polling_start(c);
        return;
    }
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
const char *header_value(const char *head, const char *end, const char *name, size_t *length) {
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
    workload->opened(c);
    return (size_t)(end + 4 - head);
}

/* The client has everything that it needs to talk. */
void opened(struct connection *c) {
    opening_count--;
    open_count++;
    c->state = OPEN;
    if (option.mode != CONNECT) return;
    static const uint8_t normal_closure[2] = {1000 >> 8, 1000 & 0xff};
    if (option.socketio) queue_text(c, "41", 2);
    queue_frame(c, OP_CLOSE, normal_closure, sizeof normal_closure);
    c->state = CLOSING;
}

static void end_of_stream(struct connection *c, bool failed) {
    if (c->state != CLOSE_ANSWERED)
        fail("connection %u: %s in state %d", c->id, failed ? strerror(errno) : "end of stream", (int)c->state);
    stream_close(&c->stream);
    c->input.start = c->input.end = c->output.start = c->output.end = 0;
    c->state = CLOSED;
    open_count--;
    completed_one(c->opened_at);
    start(c);
}

/* ---- receiving ---- */

static void on_frame(struct connection *c, const struct frame *f, const uint8_t *body) {
    if (f->opcode == OP_PING) queue_frame(c, OP_PONG, body, f->length);
    else if (f->opcode == OP_CLOSE) {
        unsigned code = f->length >= 2 ? (unsigned)body[0] << 8 | body[1] : 1005;
        if (c->state != CLOSING || code != 1000) fail("connection %u: closed by the server, code %u", c->id, code);
        c->state = CLOSE_ANSWERED;
    } else if (f->opcode == OP_PONG) {
    } else if (f->opcode && f->fin && !c->message_opcode) workload->message(c, f->opcode, body, f->length);
    else {
        if ((f->opcode == OP_CONTINUATION) != (c->message_opcode != 0)) fail("connection %u: bad fragments", c->id);
        if (f->opcode) c->message_opcode = f->opcode;
        bytes_append(&c->message, body, f->length);
        if (!f->fin) return;
        workload->message(c, c->message_opcode, c->message.data, bytes_length(&c->message));
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
            c->needs = f.header + f.length - (count - used);
            break;
        }
        on_frame(c, &f, input + used + f.header);
        used += f.header + f.length;
    }
    return used;
}

static size_t read_input(struct connection *c, const uint8_t *input, size_t count) {
    if (c->role != WEBSOCKET) return polling_read(c, input, count);
    size_t used = 0;
    if (c->state == HANDSHAKE) used = read_handshake(c, input, count);
    if (c->state != HANDSHAKE) used += read_frames(c, input + used, count - used);
    return used;
}

/* Read once; false when nothing came, or the connection ended. */
static bool receive_once(struct connection *c) {
    static uint8_t *shared_buffer;
    if (!shared_buffer) shared_buffer = malloc(SHARED_BUFFER);
    size_t held = bytes_length(&c->input), room = SHARED_BUFFER;
    uint8_t *at = shared_buffer;
    if (held) {   /* the rest of something large is read straight behind its beginning */
        room = c->needs > LEAST_ROOM ? c->needs : LEAST_ROOM;
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
    if (c->needs > (size_t)got) c->needs -= (size_t)got;
    else {
        c->needs = 0;
        used = read_input(c, at, count);
    }
    if (held) {
        c->input.start += used;
        c->input.end += (size_t)got;
    } else if (used < count) {
        bytes_reserve(&c->input, count - used + c->needs);
        bytes_append(&c->input, at + used, count - used);
    }
    return true;
}

void receive(struct connection *c) {
    while (receive_once(c) && stream_pending(&c->stream)) {}
}
