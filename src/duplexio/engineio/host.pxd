"""Types for compiling host.py."""

from ..websocket.loopstate cimport LoopState
from .channel cimport Channel, SessionHost


cdef class LoopHost(SessionHost):
    cdef readonly object logger
    cdef LoopState shared
    cdef object monitor
    cdef list unflushed
    cdef bint reading

    cpdef object bind(self)
    cpdef double now(self) except? -1
    cpdef double lag(self) except? -1
    cpdef object schedule(self, Channel session, double due)
    cpdef object cancel(self, Channel session)
    cpdef object flush_soon(self, Channel session)
    cpdef object flush_all(self)
    cpdef object begin_read(self)
    cpdef object end_read(self)
