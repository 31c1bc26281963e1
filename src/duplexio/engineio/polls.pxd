"""Types for compiling polls.py."""


cdef class Poll:
    cpdef object answer(self, list packets)
    cpdef object refuse(self)


cdef class Post:
    cpdef object accept(self)
    cpdef object refuse(self)


cdef class Polling:
    cdef list buffer
    cdef Py_ssize_t size
    cdef Poll slot
    cdef Post post
    cdef list inbox
    cdef Py_ssize_t position
    cdef double nudge_due
    cdef bint flushing
    cdef Py_ssize_t limit

    cdef list take(self)
