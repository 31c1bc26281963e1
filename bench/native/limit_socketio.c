/* The C server's Socket.IO: what its transport costs, for no JSON is read or written, only moved.
 *
 *     40                  ->  40{"sid":..}
 *     42<id>["ack",X]     ->  43<id>[X]
 *     42["broadcast",X]   ->  the same, to everybody
 *     42["burst",X]       ->  the same, BURST times
 *     42<id>["room",X]    ->  42["room",X] to the next ROOM connections, and 43<id>[]
 *     other events        ->  sent back
 *
 * One namespace, no heartbeats, no long polling. */
#define _GNU_SOURCE
#include "limit.h"

enum { ROOM = 10, BURST = 16 };

static struct connection **everybody;
static int count, capacity;

static void join(struct connection *c) {
    if (count == capacity) {
        capacity = capacity ? 2 * capacity : 64;
        everybody = realloc(everybody, (size_t)capacity * sizeof *everybody);
    }
    everybody[count++] = c;
    c->place = count;
}

void socketio_leave(struct connection *c) {
    if (!c->place) return;
    struct connection *last = everybody[--count];
    everybody[c->place - 1] = last;
    last->place = c->place;
    c->place = 0;
}

size_t socketio_open_packet(const struct connection *c, uint8_t *to) {
    char text[SOCKETIO_OPEN_PACKET];
    size_t length = (size_t)snprintf(text, sizeof text, "0{\"sid\":\"%020d\",\"upgrades\":[],\"pingInterval\":25000,"
                                     "\"pingTimeout\":20000,\"maxPayload\":1000000}", c->stream.fd);
    size_t header = frame_write(to, OP_TEXT, length, false);
    memcpy(to + header, text, length);
    return header + length;
}

/* Send the replies gathered so far, before something that does not stand among them. */
static bool send_replies(struct connection *c, struct reply *reply) {
    bool sent = !reply->start || transmit(c, reply->start, (size_t)(reply->end - reply->start));
    reply->start = reply->end = NULL;
    return sent;
}

static bool connect_namespace(struct connection *c, struct reply *reply) {
    uint8_t frame[64];
    char text[60];
    size_t length = (size_t)snprintf(text, sizeof text, "40{\"sid\":\"%020d\"}", c->stream.fd);
    size_t header = frame_write(frame, OP_TEXT, length, false);
    memcpy(frame + header, text, length);
    if (!c->place) join(c);
    return send_replies(c, reply) && transmit(c, frame, header + length);
}

/* Send one event to `members` connections from `first` on, around the end of the list. A connection
 * that fails is found by its next event. */
static void emit(const char *type, const uint8_t *array, size_t length, int first, int members) {
    static struct bytes frame;
    frame.start = frame.end = 0;
    uint8_t *to = bytes_reserve(&frame, length + 2 + FRAME_MAX_HEADER);
    size_t header = frame_write(to, OP_TEXT, length + 2, false);
    memcpy(to + header, type, 2);
    memcpy(to + header + 2, array, length);
    for (int i = 0; i < members; i++) transmit(everybody[(first + i) % count], to, header + 2 + length);
}

/* Send an event back BURST times, at once. */
static bool burst(struct connection *c, const uint8_t *text, size_t length) {
    static struct bytes frames;
    frames.start = frames.end = 0;
    for (int i = 0; i < BURST; i++) {
        uint8_t header[FRAME_MAX_HEADER];
        bytes_append(&frames, header, frame_write(header, OP_TEXT, length, false));
        bytes_append(&frames, text, length);
    }
    return transmit(c, frames.data, bytes_length(&frames));
}

static bool begins(const uint8_t *text, size_t length, const char *name) {
    return length >= strlen(name) && !memcmp(text, name, strlen(name));
}

bool socketio_text(struct connection *c, uint8_t *text, size_t length, struct reply *reply) {
    if (begins(text, length, "40")) return connect_namespace(c, reply);
    if (begins(text, length, "41")) {
        socketio_leave(c);
        return true;
    }
    if (!begins(text, length, "42") || length < 4 || text[2] < '0' || text[2] > '9') {
        if (begins(text, length, "42[\"broadcast\"")) {
            if (!send_replies(c, reply)) return false;
            emit("42", text + 2, length - 2, 0, count);
            return true;
        }
        if (begins(text, length, "42[\"burst\"")) return send_replies(c, reply) && burst(c, text, length);
        memmove(reply_frame(reply, text, OP_TEXT, length), text, length);
        return true;
    }
    uint8_t *array = memchr(text, '[', length), *argument = memchr(text, ',', length);
    if (!array || !argument) return false;
    size_t id = (size_t)(array - text - 2), rest = (size_t)(text + length - argument - 1);
    if (begins(array, (size_t)(text + length - array), "[\"room\"")) {
        static int turn;
        if (!send_replies(c, reply)) return false;
        emit("42", array, (size_t)(text + length - array), turn = (turn + ROOM) % count, count < ROOM ? count : ROOM);
        argument = text + length - 1;
        rest = 1;
    }
    /* 43<id>[ and what follows: shorter than what came, so it fits before it. */
    uint8_t *body = reply_frame(reply, text, OP_TEXT, id + 3 + rest);
    memmove(body + 2, text + 2, id);
    memcpy(body, "43", 2);
    body[2 + id] = '[';
    memmove(body + 3 + id, argument + (*argument == ','), rest);
    return true;
}
