/* The key of the opening handshake (RFC 6455 section 4.2.2). */
#ifndef BENCH_ACCEPT_KEY_H
#define BENCH_ACCEPT_KEY_H

#include <stddef.h>
#include <stdint.h>

#define CLIENT_KEY_LENGTH 24
#define ACCEPT_KEY_LENGTH 28

/* Base64 of `count` bytes; `to` takes 4 characters per 3 bytes begun, and no terminator. */
void base64_encode(const uint8_t *from, size_t count, char *to);

/* The Sec-WebSocket-Accept value for a Sec-WebSocket-Key value. */
void accept_key(const char client_key[CLIENT_KEY_LENGTH], char accept[ACCEPT_KEY_LENGTH]);

#endif
