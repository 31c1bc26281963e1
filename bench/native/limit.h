/* What the C server is made of: limit.c, the transport and the echo, and limit_socketio.c. */
#ifndef BENCH_LIMIT_H
#define BENCH_LIMIT_H

#include "bytes.h"
#include "frame.h"
#include "stream.h"

struct connection {
    struct stream stream;
    bool upgraded, closing;      /* closing: our Close frame is sent or queued */
    bool waiting;                /* output does not fit the socket: epoll watches for room, not input */
    uint8_t message_opcode;      /* of the fragmented message that is being gathered, else 0 */
    struct bytes input;          /* what came of a frame that is not yet whole */
    struct bytes output;         /* what the socket had no room for */
    struct bytes message;        /* fragments so far */
    size_t frame_needs;          /* bytes that the frame in `input` still lacks, 0 if unknown */
    int place;                   /* among those connected to Socket.IO, plus 1; else 0 */
};

/* The replies to one read: [start, end) of the buffer that was read. */
struct reply {
    uint8_t *start, *end;
};

/* Send what is queued and then `from`; queue the rest. False when the connection failed. */
bool transmit(struct connection *c, const uint8_t *from, size_t count);

/* Begin a frame behind the replies so far, which end before `payload`, and return its body's place. */
static inline uint8_t *reply_frame(struct reply *reply, uint8_t *payload, unsigned opcode, size_t length) {
    /* The first reply ends where its payload ends; each next one begins there. */
    if (!reply->start) reply->start = reply->end = payload - frame_header_length(length, false);
    uint8_t *body = reply->end + frame_write(reply->end, opcode, length, false);
    reply->end = body + length;
    return body;
}

/* The open packet's frame; returns its length. */
size_t socketio_open_packet(const struct connection *c, uint8_t *to);

/* Answer an unmasked text message. False when the connection failed. */
bool socketio_text(struct connection *c, uint8_t *text, size_t length, struct reply *reply);

void socketio_leave(struct connection *c);

enum { SOCKETIO_OPEN_PACKET = 160 };

#endif
