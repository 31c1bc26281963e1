/* WebSocket frames (RFC 6455 section 5.2): reading and writing the header, and masking. */
#ifndef BENCH_FRAME_H
#define BENCH_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

enum { OP_CONTINUATION = 0, OP_TEXT = 1, OP_BINARY = 2, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10 };

#define FRAME_MAX_HEADER 14
#define FRAME_MAX_LENGTH ((uint64_t)1 << 30)   /* nothing here sends more: a larger one is an error */

struct frame {
    uint8_t opcode;
    bool fin, masked;
    uint8_t header;      /* length of the header in bytes, masking key included */
    uint64_t length;     /* length of the payload in bytes */
};

enum frame_state { FRAME_INCOMPLETE, FRAME_HEADER_READ, FRAME_BAD };

/* Read the header of the frame that starts at p; the payload may not have arrived yet. */
static inline enum frame_state frame_read(const uint8_t *p, size_t available, struct frame *f) {
    if (available < 2) return FRAME_INCOMPLETE;
    unsigned short_length = p[1] & 0x7f;
    unsigned extended = short_length == 127 ? 8 : short_length == 126 ? 2 : 0;
    f->fin = p[0] >> 7;
    f->opcode = p[0] & 0x0f;
    f->masked = p[1] >> 7;
    f->header = (uint8_t)(2 + extended + (f->masked ? 4 : 0));
    f->length = short_length;
    if (p[0] & 0x70) return FRAME_BAD;                        /* reserved bits: no extension agreed */
    if ((f->opcode & 0x07) > 2) return FRAME_BAD;             /* reserved opcodes */
    if (f->opcode >= OP_CLOSE && (!f->fin || extended)) return FRAME_BAD;   /* section 5.5 */
    if (available < f->header) return FRAME_INCOMPLETE;
    if (extended == 2) {
        f->length = (uint64_t)p[2] << 8 | p[3];
        if (f->length < 126) return FRAME_BAD;                /* not the shortest encoding */
    } else if (extended == 8) {
        memcpy(&f->length, p + 2, 8);
        f->length = __builtin_bswap64(f->length);
        if (f->length < 65536 || f->length > FRAME_MAX_LENGTH) return FRAME_BAD;
    }
    return FRAME_HEADER_READ;
}

static inline size_t frame_header_length(uint64_t length, bool masked) {
    return (length < 126 ? 2u : length < 65536 ? 4u : 10u) + (masked ? 4u : 0u);
}

/* Write the header of an unfragmented frame; a client's masking key is written by the caller. */
static inline size_t frame_write(uint8_t *p, unsigned opcode, uint64_t length, bool masked) {
    uint8_t mask_bit = masked ? 0x80 : 0;
    p[0] = (uint8_t)(0x80 | opcode);
    if (length < 126) {
        p[1] = (uint8_t)(mask_bit | length);
        return 2;
    }
    if (length < 65536) {
        p[1] = mask_bit | 126;
        p[2] = (uint8_t)(length >> 8);
        p[3] = (uint8_t)length;
        return 4;
    }
    p[1] = mask_bit | 127;
    uint64_t big_endian = __builtin_bswap64(length);
    memcpy(p + 2, &big_endian, 8);
    return 10;
}

typedef uint64_t lanes __attribute__((vector_size(32)));

/* to[i] = from[i] ^ key[i % 4], front to back, so `to` may overlap `from` from below: unmasking a
 * frame and moving it to its place in the reply is one pass. Returns whether every result is
 * ASCII, which is nearly free here and spares the UTF-8 check of most text. */
static inline bool mask_copy(uint8_t *to, const uint8_t *from, size_t count, uint32_t key) {
    uint64_t key64 = (uint64_t)key << 32 | key, word, seen = 0;
    size_t i = 0;
    if (count >= sizeof(lanes)) {
        lanes keys = {key64, key64, key64, key64}, all = {0, 0, 0, 0}, v;
        for (; i + sizeof v <= count; i += sizeof v) {
            memcpy(&v, from + i, sizeof v);
            v ^= keys;
            all |= v;
            memcpy(to + i, &v, sizeof v);
        }
        seen = all[0] | all[1] | all[2] | all[3];
    }
    for (; i + 8 <= count; i += 8) {
        memcpy(&word, from + i, 8);
        word ^= key64;
        seen |= word;
        memcpy(to + i, &word, 8);
    }
    for (unsigned shift = 0; i < count; i++, shift += 8) {
        to[i] = (uint8_t)(from[i] ^ (uint8_t)(key64 >> shift));
        seen |= to[i];
    }
    return !(seen & 0x8080808080808080u);
}

#endif
