/* SHA-1 (RFC 3174) and base64 (RFC 4648), as far as the opening handshake needs them. */
#include "accept_key.h"

#include <string.h>

static uint32_t rotate_left(uint32_t x, unsigned bits) { return x << bits | x >> (32 - bits); }

static void sha1_block(uint32_t state[5], const uint8_t block[64]) {
    uint32_t w[80];
    for (int t = 0; t < 16; t++) {
        memcpy(&w[t], block + 4 * t, 4);
        w[t] = __builtin_bswap32(w[t]);
    }
    for (int t = 16; t < 80; t++) w[t] = rotate_left(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);

    uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
#define ROUNDS(from, to, function, constant)                                           \
    for (int t = from; t < to; t++) {                                                  \
        uint32_t next = rotate_left(a, 5) + (function) + e + w[t] + (constant);        \
        e = d, d = c, c = rotate_left(b, 30), b = a, a = next;                         \
    }
    ROUNDS(0, 20, d ^ (b & (c ^ d)), 0x5A827999u)
    ROUNDS(20, 40, b ^ c ^ d, 0x6ED9EBA1u)
    ROUNDS(40, 60, (b & c) | (d & (b | c)), 0x8F1BBCDCu)
    ROUNDS(60, 80, b ^ c ^ d, 0xCA62C1D6u)
#undef ROUNDS
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

void base64_encode(const uint8_t *from, size_t count, char *to) {
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < count; i += 3) {
        size_t left = count - i;
        uint32_t group = (uint32_t)from[i] << 16;
        if (left > 1) group |= (uint32_t)from[i + 1] << 8;
        if (left > 2) group |= from[i + 2];
        *to++ = alphabet[group >> 18];
        *to++ = alphabet[group >> 12 & 63];
        *to++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
        *to++ = left > 2 ? alphabet[group & 63] : '=';
    }
}

void accept_key(const char client_key[CLIENT_KEY_LENGTH], char accept[ACCEPT_KEY_LENGTH]) {
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    enum { MESSAGE = CLIENT_KEY_LENGTH + sizeof guid - 1 };   /* 60 bytes: two blocks with the padding */
    uint8_t padded[128] = {0}, digest[20];
    uint32_t state[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};

    memcpy(padded, client_key, CLIENT_KEY_LENGTH);
    memcpy(padded + CLIENT_KEY_LENGTH, guid, sizeof guid - 1);
    padded[MESSAGE] = 0x80;
    padded[126] = MESSAGE * 8 >> 8;
    padded[127] = MESSAGE * 8 & 0xff;
    sha1_block(state, padded);
    sha1_block(state, padded + 64);
    for (int i = 0; i < 5; i++) {
        uint32_t big_endian = __builtin_bswap32(state[i]);
        memcpy(digest + 4 * i, &big_endian, 4);
    }
    base64_encode(digest, sizeof digest, accept);
}
