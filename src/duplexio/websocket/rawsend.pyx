# cython: language_level=3, boundscheck=False, wraparound=False, binding=False
"""Write an output straight to a socket's descriptor; see ``rawsend.py`` for what it promises."""

from .kernel cimport Output

cdef extern from *:
    """
    #include <errno.h>
    #include <stddef.h>
    #ifdef _WIN32
    #define DIRECT 0
    static Py_ssize_t direct_write(int fd, const void *a, size_t n, const void *b, size_t m) {
        (void) fd; (void) a; (void) n; (void) b; (void) m; errno = ENOSYS; return -1;
    }
    #else
    #include <string.h>
    #include <sys/socket.h>
    #include <sys/uio.h>
    #define DIRECT 1
    #ifndef MSG_NOSIGNAL
    #define MSG_NOSIGNAL 0
    #endif
    static Py_ssize_t direct_write(int fd, const void *a, size_t n, const void *b, size_t m) {
        struct iovec parts[2];
        struct msghdr message;
        if (!m)
            return send(fd, a, n, MSG_NOSIGNAL | MSG_DONTWAIT);
        parts[0].iov_base = (void *) a;
        parts[0].iov_len = n;
        parts[1].iov_base = (void *) b;
        parts[1].iov_len = m;
        memset(&message, 0, sizeof message);
        message.msg_iov = parts;
        message.msg_iovlen = 2;
        return sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
    }
    #endif
    """
    const int DIRECT
    int EAGAIN, EWOULDBLOCK, EINTR, errno
    Py_ssize_t direct_write(int fd, const void *a, size_t n, const void *b, size_t m) nogil

AVAILABLE = bool(DIRECT)


cpdef bint write_output(Output output, int fd) except *:
    cdef Py_ssize_t done, length
    while True:
        length = output.stop - output.start
        if length + output.tail_length == 0:
            output.clear()
            return True
        done = direct_write(fd, output.buffer + output.start, length, output.tail_data, output.tail_length)
        if done < 0:
            if errno == EINTR:
                continue
            if errno == EAGAIN or errno == EWOULDBLOCK:
                return False
            raise OSError(errno, "the connection cannot be written to")
        if done >= length:
            output.start = output.stop
            output.tail_data += done - length
            output.tail_length -= done - length
        else:
            output.start += done


cpdef Py_ssize_t write_bytes(bytes data, int fd) except -1:
    cdef Py_ssize_t done
    while True:
        done = direct_write(fd, <const char *> data, len(data), NULL, 0)
        if done >= 0:
            return done
        if errno == EINTR:
            continue
        if errno == EAGAIN or errno == EWOULDBLOCK:
            return 0
        raise OSError(errno, "the connection cannot be written to")
