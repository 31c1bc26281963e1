/* A non-blocking byte stream: a TCP socket, with TLS over it when built with -DWITH_TLS. */
#ifndef BENCH_STREAM_H
#define BENCH_STREAM_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <unistd.h>

#ifdef WITH_TLS
#include <openssl/ssl.h>
#else
typedef struct ssl_ctx_absent SSL_CTX;   /* so that callers can hold a NULL context */
#endif

struct stream {
    int fd;
#ifdef WITH_TLS
    SSL *tls;            /* NULL on plain TCP */
#endif
};

enum { STREAM_AGAIN = -1, STREAM_FAILED = -2 };

/* Contexts for one side; they print why and return NULL when they cannot be made. */
SSL_CTX *stream_server_context(const char *certificate, const char *key);
SSL_CTX *stream_client_context(void);

/* Attach a connected (or connecting) socket; `context` is NULL for plain TCP. */
void stream_open(struct stream *s, int fd, SSL_CTX *context, bool is_server);
void stream_close(struct stream *s);

#ifdef WITH_TLS
ssize_t stream_tls_receive(struct stream *s, void *to, size_t count);
ssize_t stream_tls_send(struct stream *s, const void *from, size_t count);
#endif

/* Whether received bytes wait inside TLS, where epoll cannot see them. */
static inline bool stream_pending(const struct stream *s) {
#ifdef WITH_TLS
    if (s->tls) return SSL_has_pending(s->tls);
#else
    (void)s;
#endif
    return false;
}

/* Up to `count` bytes; 0 at the end of the stream, or STREAM_AGAIN, or STREAM_FAILED (errno). */
static inline ssize_t stream_receive(struct stream *s, void *to, size_t count) {
#ifdef WITH_TLS
    if (s->tls) return stream_tls_receive(s, to, count);
#endif
    ssize_t got = recv(s->fd, to, count, 0);
    if (got >= 0) return got;
    return errno == EAGAIN || errno == EINTR ? STREAM_AGAIN : STREAM_FAILED;
}

static inline ssize_t stream_send(struct stream *s, const void *from, size_t count) {
#ifdef WITH_TLS
    if (s->tls) return stream_tls_send(s, from, count);
#endif
    ssize_t sent = send(s->fd, from, count, MSG_NOSIGNAL);
    if (sent >= 0) return sent;
    return errno == EAGAIN || errno == EINTR ? STREAM_AGAIN : STREAM_FAILED;
}

#endif
