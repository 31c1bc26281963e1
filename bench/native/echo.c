/* Plain WebSocket messages: each is to come back as it was sent, and in order. */
#include "load.h"

static uint8_t *payload;

/* Make `payload` message number `sequence` of the connection: its first bytes say which it is. */
static void stamp(const struct connection *c, uint32_t sequence) {
    uint8_t tag[TAG];
    size_t used = option.size < TAG ? option.size : TAG;
    write_tag(tag, c->id, sequence);
    memcpy(payload, tag + TAG - used, used);
}

static void prepare(void) {
    payload = malloc(option.size);
    for (size_t i = 0; i < option.size; i++)
        payload[i] = option.binary ? (uint8_t)(i * 131 + (i >> 8) * 17) : (uint8_t)(' ' + (i * 37 + i / 95) % 95);
}

static void send_message(struct connection *c, uint64_t at) {
    stamp(c, c->sent);
    if (option.binary) queue_binary(c, payload, option.size);
    else queue_text(c, payload, option.size);
    c->sent_at[c->sent++ % option.ring] = at;
}

static void on_message(struct connection *c, unsigned opcode, const uint8_t *body, size_t length) {
    if (option.mode != ECHO || !in_flight(c)) fail("connection %u: a message that answers none of ours", c->id);
    if (opcode != (option.binary ? OP_BINARY : OP_TEXT)) fail("connection %u: echo has opcode %u", c->id, opcode);
    if (length != option.size) fail("connection %u: echo of %zu bytes, sent %zu", c->id, length, option.size);
    stamp(c, c->received);
    if (memcmp(body, payload, length)) fail("connection %u: echo %u differs from what was sent", c->id, c->received);
    completed_one(c->sent_at[c->received++ % option.ring]);
    if (sending) send_message(c, now);
}

const struct workload echo_workload = {prepare, opened, send_message, on_message};
