/* What the files of the load generator share: its options, its connections and its workloads.
 *
 *     load.c      options, the loop, the phases of a run, what is printed
 *     client.c    sockets, and the client's side of WebSocket
 *     polling.c   Engine.IO over HTTP long polling, in place of a WebSocket
 *     echo.c      the workload of plain WebSocket messages
 *     socketio.c  the workloads of Socket.IO
 */
#ifndef BENCH_LOAD_H
#define BENCH_LOAD_H

#include "accept_key.h"
#include "bytes.h"
#include "frame.h"
#include "stream.h"

enum mode { ECHO, CONNECT, IDLE, ACK, BROADCAST, ROOMS };
enum role { WEBSOCKET, POLL, POST };
enum state { CLOSED, HANDSHAKE, JOINING, OPEN, CLOSING, CLOSE_ANSWERED };

/* A socket. A client is one of them on WebSocket; on long polling it is the one with the role POLL,
 * and `post` is its second. */
struct connection {
    struct stream stream;
    enum role role;
    enum state state;
    uint32_t id;
    uint32_t sent, received;      /* messages; the difference is in flight */
    uint8_t message_opcode;       /* of the fragmented message that is being gathered, else 0 */
    bool waiting;                 /* epoll watches for room to send */
    bool attachment_due;          /* a binary message belongs to the text before it */
    size_t needs;                 /* bytes that what lies in `input` still lacks, 0 if unknown */
    struct bytes input, output, message;
    uint64_t opened_at;
    uint64_t *sent_at;            /* ring of `option.ring` times */
    char accept[ACCEPT_KEY_LENGTH];

    /* Long polling only. */
    struct connection *client, *post;
    struct bytes packets;         /* Engine.IO packets that wait for the next POST */
    bool posting;
    char sid[64];
};

/* What is sent, and what is to come back. */
struct workload {
    void (*prepare)(void);
    void (*opened)(struct connection *c);      /* the WebSocket's handshake is done */
    void (*send)(struct connection *c, uint64_t at);
    void (*message)(struct connection *c, unsigned opcode, const uint8_t *body, size_t length);
};

extern const struct workload echo_workload, socketio_workload;

struct options {
    enum mode mode;
    const char *mode_name, *path;
    int port, pid, connections, talking, depth, base;
    int binary, tls, block, socketio, polling;
    uint32_t ring;
    size_t size;
    double seconds, warm, timeout, rate;
};

extern struct options option;
extern const struct workload *workload;
extern struct connection *connections;
extern int epoll_fd, open_count, opening_count;
extern SSL_CTX *tls_context;
extern bool sending;              /* whether a reply triggers the next message */
extern uint64_t now;              /* when the current event was read */

/* load.c */
void fail(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));
uint64_t random_bits(void);
void completed_one(uint64_t begun_at);

/* client.c */
void start(struct connection *c);
void queue_text(struct connection *c, const void *body, size_t length);
void queue_binary(struct connection *c, const void *body, size_t length);
void flush(struct connection *c);
void socket_open(struct connection *c);
void opened(struct connection *c);
void receive(struct connection *c);
const char *header_value(const char *head, const char *end, const char *name, size_t *length);
void write_tag(uint8_t *to, uint32_t id, uint32_t sequence);

/* polling.c */
void polling_start(struct connection *c);
void polling_queue(struct connection *c, const void *packet, size_t length);
void polling_flush(struct connection *c);
size_t polling_read(struct connection *c, const uint8_t *input, size_t count);

static inline uint32_t in_flight(const struct connection *c) { return c->sent - c->received; }

enum { TAG = 16 };                /* hexadecimal digits that say which message it is, and whose */

#endif
