/* Engine.IO 4 over HTTP long polling, kept alive: one connection of a client polls, the other posts.
 * What has gathered while a POST was under way leaves in the next one. */
#define _GNU_SOURCE
#include "load.h"

enum { MAX_HEAD = 16 << 10, SEPARATOR = 0x1e };

static void queue_request(struct connection *c, const char *method, const char *sid, const struct bytes *body) {
    char head[1024];
    int length = snprintf(head, sizeof head, "%s %s%s%s HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nAccept: */*\r\n", method,
                          option.path, sid[0] ? "&sid=" : "", sid, option.port);
    if (body)
        length += snprintf(head + length, sizeof head - (size_t)length,
                           "Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %zu\r\n", bytes_length(body));
    bytes_append(&c->output, head, (size_t)length);
    bytes_append(&c->output, "\r\n", 2);
    if (body) bytes_append(&c->output, body->data + body->start, bytes_length(body));
}

void polling_start(struct connection *c) {
    c->client = c;
    c->state = JOINING;
    queue_request(c, "GET", "", NULL);
    flush(c);
    c->post = calloc(1, sizeof *c->post);
    *c->post = (struct connection){.role = POST, .state = OPEN, .id = c->id, .client = c};
    socket_open(c->post);
}

void polling_queue(struct connection *c, const void *packet, size_t length) {
    if (bytes_length(&c->packets)) bytes_append(&c->packets, &(char){SEPARATOR}, 1);
    bytes_append(&c->packets, packet, length);
}

/* Post what waits, and send what was queued on both connections. */
void polling_flush(struct connection *c) {
    struct connection *client = c->client;
    if (bytes_length(&client->packets) && !client->posting) {
        queue_request(client->post, "POST", client->sid, &client->packets);
        client->packets.start = client->packets.end = 0;
        client->posting = true;
    }
    if (bytes_length(&client->output)) flush(client);
    if (bytes_length(&client->post->output)) flush(client->post);
}

static void on_response(struct connection *c, const uint8_t *body, size_t length) {
    struct connection *client = c->client;
    if (c->role == POST) {
        if (length != 2 || strncasecmp((const char *)body, "ok", 2)) fail("connection %u: POST answered with %.*s", c->id, (int)length, body);
        client->posting = false;
        return;
    }
    for (const uint8_t *end = body + length; body < end;) {
        const uint8_t *stop = memchr(body, SEPARATOR, (size_t)(end - body));
        if (!stop) stop = end;
        workload->message(client, OP_TEXT, body, (size_t)(stop - body));
        body = stop + 1;
    }
    queue_request(c, "GET", client->sid, NULL);
}

/* A chunked body (RFC 9112 section 7.1). Returns its length on the wire, 0 if it is not yet whole. */
static size_t read_chunks(struct connection *c, const uint8_t *from, size_t count, struct bytes *body) {
    const char *p = (const char *)from, *end = p + count;
    for (;;) {
        const char *line_end = memmem(p, (size_t)(end - p), "\r\n", 2);
        if (!line_end) return 0;
        size_t length = strtoul(p, NULL, 16);   /* stops at the \r */
        p = line_end + 2;
        if ((size_t)(end - p) < length + 2) return 0;
        if (p[length] != '\r') fail("connection %u: bad chunk", c->id);
        bytes_append(body, p, length);
        p += length + 2;
        if (!length) return (size_t)(p - (const char *)from);
    }
}

/* A response (RFC 9112 section 4). Returns the bytes it took, 0 if it is not yet whole. */
size_t polling_read(struct connection *c, const uint8_t *input, size_t count) {
    static struct bytes chunks;
    const char *head = (const char *)input, *end = memmem(input, count, "\r\n\r\n", 4), *value;
    size_t length, head_length;
    if (!end) {
        if (count > MAX_HEAD) fail("connection %u: the response has no end", c->id);
        return 0;
    }
    head_length = (size_t)(end + 4 - head);
    if (memcmp(head, "HTTP/1.1 200 ", 13)) fail("connection %u: refused: %.*s", c->id, (int)strcspn(head, "\r"), head);
    value = header_value(head, end, "Connection", &length);
    if (value && length == 5 && !strncasecmp(value, "close", 5)) fail("connection %u: is not kept alive", c->id);
    if ((value = header_value(head, end, "Content-Length", &length))) {
        size_t body_length = strtoul(value, NULL, 10);
        if (count - head_length < body_length) {
            c->needs = body_length - (count - head_length);
            return 0;
        }
        on_response(c, input + head_length, body_length);
        return head_length + body_length;
    }
    if (!header_value(head, end, "Transfer-Encoding", &length)) fail("connection %u: a response without a length", c->id);
    chunks.start = chunks.end = 0;
    size_t used = read_chunks(c, input + head_length, count - head_length, &chunks);
    if (!used) return 0;
    on_response(c, chunks.data, bytes_length(&chunks));
    return head_length + used;
}
