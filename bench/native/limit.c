/* limit: a server in C on epoll, the limit that the report measures against: a WebSocket echo, or
 * with --socketio the answers that limit_socketio.c describes.
 *
 * It does what an echo server must: the opening handshake, unmasking, UTF-8 of text, fragments,
 * ping and the closing handshake; nothing else. One thread, level-triggered epoll, one recv()
 * per event into a buffer shared by all connections, and one send() for all replies to what was
 * read. A reply is built where its message lies: the server's header is 4 bytes shorter than the
 * client's, so unmasking a payload also moves it to its place behind the reply before it.
 *
 *     limit [--port N] [--socketio] [--cert FILE --key FILE]      prints "listening on PORT"
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <malloc.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "accept_key.h"
#include "limit.h"

enum { SHARED_BUFFER = 512 << 10, MAX_HEAD = 16 << 10, MAX_EVENTS = 256 };

static int epoll_fd;
static uint8_t *shared_buffer;
static SSL_CTX *tls_context;
static int socketio;

static void watch(struct connection *c, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = c};
    epoll_ctl(epoll_fd, operation, c->stream.fd, &event);
}

static void drop(struct connection *c) {
    socketio_leave(c);
    stream_close(&c->stream);
    bytes_free(&c->input);
    bytes_free(&c->output);
    bytes_free(&c->message);
    free(c);
}

bool transmit(struct connection *c, const uint8_t *from, size_t count) {
    while (bytes_length(&c->output)) {
        ssize_t sent = stream_send(&c->stream, c->output.data + c->output.start, bytes_length(&c->output));
        if (sent == STREAM_AGAIN) break;
        if (sent < 0) return false;
        c->output.start += (size_t)sent;
    }
    while (count && !bytes_length(&c->output)) {
        ssize_t sent = stream_send(&c->stream, from, count);
        if (sent == STREAM_AGAIN) break;
        if (sent < 0) return false;
        from += sent;
        count -= (size_t)sent;
    }
    if (count) bytes_append(&c->output, from, count);
    bool waiting = bytes_length(&c->output) != 0;
    if (waiting != c->waiting) watch(c, EPOLL_CTL_MOD, waiting ? EPOLLOUT : EPOLLIN);
    c->waiting = waiting;
    if (!waiting) bytes_free(&c->output);
    return true;
}

/* Whether bytes that are not all ASCII are UTF-8 (RFC 3629, the table of section 4). */
static bool is_utf8(const uint8_t *p, size_t count) {
    for (const uint8_t *end = p + count; p < end;) {
        uint8_t lead = *p++, low = 0x80, high = 0xbf;
        unsigned more;
        if (lead < 0x80) continue;
        if (lead >= 0xc2 && lead <= 0xdf) more = 1;
        else if (lead >= 0xe0 && lead <= 0xef) more = 2;
        else if (lead >= 0xf0 && lead <= 0xf4) more = 3;
        else return false;
        if (lead == 0xe0) low = 0xa0;
        if (lead == 0xed) high = 0x9f;
        if (lead == 0xf0) low = 0x90;
        if (lead == 0xf4) high = 0x8f;
        for (; more; more--, low = 0x80, high = 0xbf)
            if (p == end || *p < low || *p++ > high) return false;
    }
    return true;
}

/* The opening handshake. Returns the length of the request's head, 0 if it is not yet whole,
 * -1 if it is not one we can answer. */
static ssize_t upgrade(struct connection *c, uint8_t *head, size_t count) {
    static const char name[] = "\r\nSec-WebSocket-Key:";
    uint8_t *end = memmem(head, count, "\r\n\r\n", 4);
    if (!end) return count > MAX_HEAD ? -1 : 0;
    *end = 0;
    const char *key = strcasestr((char *)head, name);
    if (memcmp(head, "GET ", 4) || !key) return -1;
    key += sizeof name - 1;
    key += strspn(key, " \t");
    if (strcspn(key, "\r ") < CLIENT_KEY_LENGTH || (const char *)end - key < CLIENT_KEY_LENGTH) return -1;

    char accept[ACCEPT_KEY_LENGTH], response[160 + SOCKETIO_OPEN_PACKET];
    accept_key(key, accept);
    int length = snprintf(response, sizeof response,
                          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Accept: %.*s\r\n\r\n",
                          ACCEPT_KEY_LENGTH, accept);
    c->upgraded = true;
    if (socketio) length += (int)socketio_open_packet(c, (uint8_t *)response + length);
    return transmit(c, (uint8_t *)response, (size_t)length) ? end + 4 - head : -1;
}

/* A fragment of a message: gather it, and answer the message when it is whole. Fragments are
 * rare, so the reply is sent by itself, after what is gathered of the replies before it. */
static bool fragment(struct connection *c, const struct frame *f, const uint8_t *payload, struct reply *reply) {
    if ((f->opcode == OP_CONTINUATION) != (c->message_opcode != 0)) return false;
    if (f->opcode) c->message_opcode = f->opcode;
    bytes_append(&c->message, payload, f->length);
    if (!f->fin) return true;
    size_t length = bytes_length(&c->message);
    uint8_t header[FRAME_MAX_HEADER];
    if (c->message_opcode == OP_TEXT && !is_utf8(c->message.data, length)) return false;
    bool sent = transmit(c, reply->start, (size_t)(reply->end - reply->start)) &&
                transmit(c, header, frame_write(header, c->message_opcode, length, false)) &&
                transmit(c, c->message.data, length);
    reply->start = reply->end = NULL;
    c->message_opcode = 0;
    bytes_free(&c->message);
    return sent;
}

/* Answer the whole frames in p[0..count). Returns the bytes they took, or -1 on a violation. */
static ssize_t answer(struct connection *c, uint8_t *p, size_t count, struct reply *reply) {
    uint8_t *const begin = p, *const end = p + count;
    struct frame f;
    c->frame_needs = 0;
    while (p < end && !c->closing) {
        enum frame_state state = frame_read(p, (size_t)(end - p), &f);
        if (state == FRAME_BAD) return -1;
        if (state == FRAME_INCOMPLETE) break;
        if (!f.masked) return -1;   /* RFC 6455 section 5.1 */
        if ((uint64_t)(end - p) < f.header + f.length) {
            c->frame_needs = f.header + f.length - (size_t)(end - p);
            break;
        }
        uint8_t *payload = p + f.header;
        uint32_t key;
        memcpy(&key, payload - 4, 4);
        p = payload + f.length;

        if (f.opcode == OP_PONG) continue;
        if (f.opcode == OP_CONTINUATION || !f.fin) {
            mask_copy(payload, payload, f.length, key);
            if (!fragment(c, &f, payload, reply)) return -1;
            continue;
        }
        if (f.opcode < OP_CLOSE && c->message_opcode) return -1;   /* section 5.4 */
        if (socketio && f.opcode == OP_TEXT) {
            bool ascii = mask_copy(payload, payload, f.length, key);
            if ((!ascii && !is_utf8(payload, f.length)) || !socketio_text(c, payload, f.length, reply)) return -1;
            continue;
        }
        uint8_t *body = reply_frame(reply, payload, f.opcode == OP_PING ? OP_PONG : f.opcode, f.length);
        bool ascii = mask_copy(body, payload, f.length, key);
        if (f.opcode == OP_TEXT && !ascii && !is_utf8(body, f.length)) return -1;
        c->closing = f.opcode == OP_CLOSE;
    }
    return p - begin;
}

/* Read once and answer. False when the connection is over. */
static bool receive(struct connection *c) {
    size_t held = bytes_length(&c->input);
    uint8_t *at = shared_buffer;
    size_t room = SHARED_BUFFER;
    if (held) {   /* the rest of a large frame is read straight behind its beginning */
        room = c->frame_needs > 4096 ? c->frame_needs : 4096;
        at = bytes_reserve(&c->input, room) - held;
    }
    ssize_t got = stream_receive(&c->stream, at + held, room);
    if (got == STREAM_AGAIN) return true;
    if (got <= 0) return false;

    size_t count = held + (size_t)got;
    if (c->frame_needs > (size_t)got) {
        c->frame_needs -= (size_t)got;
        c->input.end += (size_t)got;
        return true;
    }
    struct reply reply = {NULL, NULL};
    ssize_t used = 0;
    if (!c->upgraded) used = upgrade(c, at, count);
    if (used >= 0 && c->upgraded) {
        ssize_t framed = answer(c, at + used, count - (size_t)used, &reply);
        used = framed < 0 ? -1 : used + framed;
    }
    if (used < 0) return false;
    if (reply.start && !transmit(c, reply.start, (size_t)(reply.end - reply.start))) return false;
    if (c->closing && !c->waiting) return false;

    size_t left = count - (size_t)used;
    if (held) {
        c->input.start += (size_t)used;
        c->input.end += (size_t)got;
        if (!left) bytes_free(&c->input);
    } else if (left) {
        bytes_reserve(&c->input, left + c->frame_needs);
        bytes_append(&c->input, at + used, left);
    }
    return true;
}

static void on_event(struct connection *c) {
    if (c->waiting && (!transmit(c, NULL, 0) || (c->closing && !c->waiting))) {
        drop(c);
        return;
    }
    if (c->waiting) return;
    do {
        size_t before = bytes_length(&c->input);
        if (!receive(c)) {
            drop(c);
            return;
        }
        if (bytes_length(&c->input) == before && before) return;   /* TLS: only part of a record is here */
    } while (!c->waiting && stream_pending(&c->stream));
}

static void accept_all(int listener) {
    static const int yes = 1;
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
        struct connection *c = calloc(1, sizeof *c);
        stream_open(&c->stream, fd, tls_context, true);
        watch(c, EPOLL_CTL_ADD, EPOLLIN);
    }
}

static int listen_on(uint16_t port) {
    static const int yes = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(listener, (struct sockaddr *)&address, length) || listen(listener, 4096) ||
        getsockname(listener, (struct sockaddr *)&address, &length)) {
        perror("limit: cannot listen");
        exit(1);
    }
    printf("listening on %d\n", ntohs(address.sin_port));
    fflush(stdout);
    return listener;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"port", required_argument, 0, 'p'}, {"cert", required_argument, 0, 'c'}, {"key", required_argument, 0, 'k'},
        {"socketio", no_argument, &socketio, 1}, {0}};
    const char *certificate = NULL, *key = NULL;
    int port = 0;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        if (option == 'p') port = atoi(optarg);
        else if (option == 'c') certificate = optarg;
        else if (option == 'k') key = optarg;
        else if (option) return 2;
    }
    if (certificate && !(tls_context = stream_server_context(certificate, key ? key : certificate))) return 1;

    signal(SIGPIPE, SIG_IGN);   /* OpenSSL writes without MSG_NOSIGNAL */
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    /* Keep large buffers on the heap: mapping and unmapping one per message would be measured. */
    mallopt(M_MMAP_THRESHOLD, 64 << 20);
    mallopt(M_TRIM_THRESHOLD, 256 << 20);

    shared_buffer = malloc(SHARED_BUFFER);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int listener = listen_on((uint16_t)port);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[MAX_EVENTS];
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int ready = epoll_wait(epoll_fd, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c) on_event(c);
            else accept_all(listener);
        }
    }
}
