"""Types for compiling asgi.py."""

from ..websocket.stream cimport StreamConnection


cdef class AsgiConnection(StreamConnection):
    cdef readonly object site
    cdef object offer
    cdef object scope
    cdef object early
    cdef int phase
    cdef bint announced
    cdef object heir
    cdef object waiters
    cdef object denial

    cdef object finish(self, bint failed)
    cdef object pass_turn(self)
    cdef object accept(self, object message)
    cdef object deny(self, int status, object text)
    cdef object log(self, object outcome)
    cdef object wake_receiver(self)
