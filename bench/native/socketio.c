/* The workloads of Socket.IO (protocol 5 on Engine.IO 4), over WebSocket or long polling.
 *
 *     echo       ["echo",{..}] comes back as the same event; with --binary ["echo",<bytes>] does
 *     ack        ["ack",{..}] is acknowledged with [{..}]
 *     broadcast  the last client's ["broadcast",{..}] comes back to all; it emits again when its
 *                own copy is here
 *     rooms      the last client's ["room",{..}] goes to a room of the server's choice and is
 *                acknowledged, which triggers the next
 *
 * All that comes back is compared with what was sent, byte by byte and in order. What counts as
 * done is each answer, or with broadcast and rooms each delivery. */
#define _GNU_SOURCE
#include "load.h"

enum { FRONT = 16, ROWS_FROM = 1024, LONGEST_SHOWN = 200 };

/* ["name",{..}] with FRONT bytes before it for the type and the id, so that a packet is one piece. */
static uint8_t *front, *array;
static size_t array_length, argument_at, tag_at;
static uint8_t *attachment;
static char placeholder[64];
static size_t placeholder_length;

static void build_array(const char *name) {
    static const char head[] = "{\"id\":\"0123456789abcdef\",\"n\":12345,\"ok\":true,", tail[] = "\"}]";
    static const char row[] = "{\"name\":\"Ada\",\"at\":1763668800,\"share\":0.25,\"open\":false,\"note\":null}";
    size_t least = sizeof head - 1 + sizeof "\"text\":" + 2;
    if (option.size < least) fail("--size must be at least %zu", least);

    front = malloc(FRONT + option.size + 64);
    array = front + FRONT;
    char *p = (char *)array;
    p += argument_at = (size_t)sprintf(p, "[\"%s\",", name);
    const char *end = p + option.size - (sizeof tail - 2);
    tag_at = argument_at + sizeof "{\"id\":\"" - 1;
    p = stpcpy(p, head);
    if (option.size >= ROWS_FROM) {
        p = stpcpy(p, "\"rows\":[");
        while (p + 2 * sizeof row < end) p += sprintf(p, "%s%s", p[-1] == '}' ? "," : "", row);
        p = stpcpy(p, "],");
    }
    p = stpcpy(p, "\"text\":\"");
    for (char c = 'a'; p < end; c = c == 'z' ? 'a' : (char)(c + 1)) *p++ = c;
    array_length = (size_t)(stpcpy(p, tail) - (char *)array);
}

static void build_attachment(void) {
    if (option.size < TAG) fail("--size must be at least %d", TAG);
    attachment = malloc(option.size);
    for (size_t i = 0; i < option.size; i++) attachment[i] = (uint8_t)(i * 131 + (i >> 8) * 17);
    placeholder_length = (size_t)sprintf(placeholder, "451-[\"echo\",{\"_placeholder\":true,\"num\":0}]");
}

static void prepare(void) {
    static const char *const names[] = {[ACK] = "ack", [BROADCAST] = "broadcast", [ROOMS] = "room"};
    const char *name = names[option.mode];
    if (option.binary && option.mode == ECHO) build_attachment();
    else build_array(name ? name : "echo");
}

static struct connection *sender(void) { return &connections[option.connections - 1]; }

/* ---- sending ---- */

static void queue_packet(struct connection *c, const void *packet, size_t length) {
    if (c->role == POLL) polling_queue(c, packet, length);
    else queue_text(c, packet, length);
}

static void on_websocket(struct connection *c) { c->state = JOINING; }

static void send_event(struct connection *c, uint64_t at) {
    uint32_t sequence = c->sent++;
    c->sent_at[sequence % option.ring] = at;
    if (attachment) {
        write_tag(attachment, c->id, sequence);
        queue_packet(c, placeholder, placeholder_length);
        queue_binary(c, attachment, option.size);
        return;
    }
    char type[FRONT] = "42";
    size_t length = 2;
    if (option.mode == ACK || option.mode == ROOMS) length = (size_t)snprintf(type, sizeof type, "42%u", sequence);
    write_tag(array + tag_at, c->id, sequence);
    memcpy(array - length, type, length);
    queue_packet(c, array - length, array_length + length);
}

/* ---- receiving ---- */

static void wrong(const struct connection *c, const char *what, const uint8_t *packet, size_t length) {
    fail("connection %u: %s: %.*s", c->id, what, (int)(length < LONGEST_SHOWN ? length : LONGEST_SHOWN), packet);
}

/* The answer to the client's oldest message in flight is here. */
static void answered(struct connection *c) {
    uint64_t begun_at = c->sent_at[c->received++ % option.ring];
    if (option.mode != ROOMS) completed_one(begun_at);
    if (sending) send_event(c, now);
}

static void on_broadcast(struct connection *c, const uint8_t *packet, size_t length) {
    struct connection *from = sender();
    uint32_t sequence = c == from ? c->received : c->sent++;   /* others count in `sent` what they got */
    write_tag(array + tag_at, from->id, sequence);
    if (sequence >= from->sent || length != array_length + 2 || memcmp(packet + 2, array, array_length))
        wrong(c, "not the broadcast that is due", packet, length);
    if (c == from) answered(c);
    else completed_one(from->sent_at[sequence % option.ring]);
}

/* A member of some rooms gets some of the events, in their order. */
static void on_room_event(struct connection *c, const uint8_t *packet, size_t length) {
    struct connection *from = sender();
    if (length != array_length + 2) wrong(c, "not the event of a room", packet, length);
    char digits[9] = {0};
    memcpy(digits, packet + 2 + tag_at + TAG - 8, 8);
    uint32_t sequence = (uint32_t)strtoul(digits, NULL, 16);
    write_tag(array + tag_at, from->id, sequence);
    if (sequence >= from->sent || memcmp(packet + 2, array, array_length)) wrong(c, "not the event of a room", packet, length);
    completed_one(from->sent_at[sequence % option.ring]);
}

static void on_event(struct connection *c, const uint8_t *packet, size_t length) {
    if (option.mode == BROADCAST) {
        on_broadcast(c, packet, length);
        return;
    }
    if (option.mode == ROOMS) {
        on_room_event(c, packet, length);
        return;
    }
    if (option.mode != ECHO || !in_flight(c)) wrong(c, "an event that answers none of ours", packet, length);
    write_tag(array + tag_at, c->id, c->received);
    if (length != array_length + 2 || memcmp(packet + 2, array, array_length)) wrong(c, "the echo differs", packet, length);
    answered(c);
}

static void on_ack(struct connection *c, const uint8_t *packet, size_t length) {
    char head[FRONT];
    size_t known = (size_t)snprintf(head, sizeof head, "43%u[", c->received);
    if (!in_flight(c) || length < known || memcmp(packet, head, known)) wrong(c, "not the ack that is due", packet, length);
    if (option.mode == ACK) {
        const uint8_t *argument = packet + known;
        write_tag(array + tag_at, c->id, c->received);
        if (length - known != array_length - argument_at || memcmp(argument, array + argument_at, length - known))
            wrong(c, "the ack differs", packet, length);
    } else if (option.mode != ROOMS) wrong(c, "an ack that was not asked for", packet, length);
    answered(c);
}

static void on_binary_event(struct connection *c, const uint8_t *packet, size_t length) {
    if (!attachment || !in_flight(c) || length != placeholder_length || memcmp(packet, placeholder, length))
        wrong(c, "not the echo of a binary event", packet, length);
    c->attachment_due = true;
}

static void on_attachment(struct connection *c, const uint8_t *body, size_t length) {
    if (!c->attachment_due) fail("connection %u: bytes that belong to no event", c->id);
    write_tag(attachment, c->id, c->received);
    if (length != option.size || memcmp(body, attachment, length)) fail("connection %u: the bytes differ", c->id);
    c->attachment_due = false;
    answered(c);
}

static void on_open_packet(struct connection *c, const uint8_t *packet, size_t length) {
    static const char name[] = "\"sid\":\"";
    const char *sid = memmem(packet, length, name, sizeof name - 1);
    if (c->state != JOINING || !sid) wrong(c, "unexpected open packet", packet, length);
    sid += sizeof name - 1;
    const char *end = memchr(sid, '"', (size_t)((const char *)packet + length - sid));
    if (!end || (size_t)(end - sid) >= sizeof c->sid) wrong(c, "a session id of no use", packet, length);
    memcpy(c->sid, sid, (size_t)(end - sid));
    c->sid[end - sid] = 0;
    queue_packet(c, "40", 2);
}

static void on_packet(struct connection *c, const uint8_t *packet, size_t length) {
    if (c->state == CLOSING || c->state == CLOSE_ANSWERED) return;
    char type = length ? (char)packet[0] : 0, inner = length > 1 ? (char)packet[1] : 0;
    if (type == '4' && inner == '2' && c->state == OPEN) on_event(c, packet, length);
    else if (type == '4' && inner == '3' && c->state == OPEN) on_ack(c, packet, length);
    else if (type == '4' && inner == '5' && c->state == OPEN) on_binary_event(c, packet, length);
    else if (type == '4' && inner == '0' && c->state == JOINING && c->sid[0]) opened(c);
    else if (type == '0') on_open_packet(c, packet, length);
    else if (type == '2') queue_packet(c, "3", 1);
    else if (type != '6') wrong(c, "unexpected packet", packet, length);
}

static void on_message(struct connection *c, unsigned opcode, const uint8_t *body, size_t length) {
    if (opcode == OP_BINARY) on_attachment(c, body, length);
    else on_packet(c, body, length);
}

const struct workload socketio_workload = {prepare, on_websocket, send_event, on_message};
