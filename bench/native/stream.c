/* TLS for the stream (OpenSSL), and what remains of it in a build without TLS. */
#include "stream.h"

#include <stdio.h>
#include <string.h>

#ifdef WITH_TLS

#include <openssl/err.h>

static SSL_CTX *configured(SSL_CTX *context) {
    SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* One recv() takes as many records as there are, instead of two calls for each record. */
    SSL_CTX_set_read_ahead(context, 1);
    SSL_CTX_set_default_read_buffer_len(context, 64 << 10);
    return context;
}

SSL_CTX *stream_server_context(const char *certificate, const char *key) {
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    if (!context || SSL_CTX_use_certificate_chain_file(context, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(context, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        return NULL;
    }
    return configured(context);
}

SSL_CTX *stream_client_context(void) {
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context) {
        ERR_print_errors_fp(stderr);
        return NULL;
    }
    /* The certificate was made a moment ago, by us, for this run: there is nothing to verify. */
    SSL_CTX_set_verify(context, SSL_VERIFY_NONE, NULL);
    return configured(context);
}

void stream_open(struct stream *s, int fd, SSL_CTX *context, bool is_server) {
    s->fd = fd;
    s->tls = NULL;
    if (!context) return;
    s->tls = SSL_new(context);
    SSL_set_fd(s->tls, fd);
    if (is_server) SSL_set_accept_state(s->tls);
    else SSL_set_connect_state(s->tls);
}

void stream_close(struct stream *s) {
    SSL_free(s->tls);
    s->tls = NULL;
    close(s->fd);
    s->fd = -1;
}

/* Both sides always have the socket registered for reading and retry a write when it is ready,
 * so that "wants to read" and "wants to write" are the same answer: later. */
static ssize_t later_or_failed(struct stream *s, int result) {
    switch (SSL_get_error(s->tls, result)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE: return STREAM_AGAIN;
    case SSL_ERROR_ZERO_RETURN: return 0;
    default: ERR_clear_error(); return STREAM_FAILED;
    }
}

ssize_t stream_tls_receive(struct stream *s, void *to, size_t count) {
    size_t total = 0, got;
    while (total < count) {   /* SSL_read returns one record at most: gather all that are here */
        int result = SSL_read_ex(s->tls, (char *)to + total, count - total, &got);
        if (result <= 0) return total ? (ssize_t)total : later_or_failed(s, result);
        total += got;
        if (!SSL_has_pending(s->tls)) break;
    }
    return (ssize_t)total;
}

ssize_t stream_tls_send(struct stream *s, const void *from, size_t count) {
    size_t sent;
    int result = SSL_write_ex(s->tls, from, count, &sent);
    return result > 0 ? (ssize_t)sent : later_or_failed(s, result);
}

#else

static SSL_CTX *absent(void) {
    fprintf(stderr, "built without TLS: install OpenSSL's headers (libssl-dev) and build again\n");
    return NULL;
}
SSL_CTX *stream_server_context(const char *certificate, const char *key) {
    (void)certificate, (void)key;
    return absent();
}
SSL_CTX *stream_client_context(void) { return absent(); }

void stream_open(struct stream *s, int fd, SSL_CTX *context, bool is_server) {
    (void)context, (void)is_server;
    s->fd = fd;
}
void stream_close(struct stream *s) {
    close(s->fd);
    s->fd = -1;
}

#endif
