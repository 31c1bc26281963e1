# cython: language_level=3, binding=False, cdivision=True
"""What a packet or a response consists of, in one; see ``concat.py`` for what it promises."""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.string cimport memcpy


cpdef bytes concat(bytes head, long long number, bytes body, bytes rest=b""):
    cdef char digits[20]
    cdef int first = 20
    cdef Py_ssize_t before = PyBytes_GET_SIZE(head), after = PyBytes_GET_SIZE(body)
    cdef Py_ssize_t last = PyBytes_GET_SIZE(rest)
    cdef unsigned long long left
    cdef char *target
    if number >= 0:
        left = <unsigned long long> number
        while True:
            first -= 1
            digits[first] = <char> (48 + left % 10)
            left //= 10
            if not left:
                break
    result = PyBytes_FromStringAndSize(NULL, before + (20 - first) + after + last)
    target = PyBytes_AS_STRING(result)
    memcpy(target, PyBytes_AS_STRING(head), before)
    memcpy(target + before, digits + first, 20 - first)
    memcpy(target + before + (20 - first), PyBytes_AS_STRING(body), after)
    memcpy(target + before + (20 - first) + after, PyBytes_AS_STRING(rest), last)
    return result
