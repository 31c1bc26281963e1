"""Types for compiling stream.py."""

from .driver cimport Driver
from .wakeup cimport Wakeup

cdef int _OPEN


cdef class Fragment:
    cdef readonly int opcode
    cdef readonly object payload
    cdef readonly bint fin


cdef class StreamConnection(Driver):
    cdef object messages
    cdef Wakeup receiver
    cdef bint receiving
    cdef object sending
    cdef object drainers
    cdef object cause
    cdef object pings
    cdef int sends
    cdef readonly object response_head
    cdef long unsent
    cdef bint discarding
    cdef object failing
    cdef Py_ssize_t high
    cdef Py_ssize_t low

    cdef object busy(self)
    cdef object next_message(self)
    cdef object refill(self)
    cdef object closed(self)
    cdef object send_whole(self, object message, object text)
    cdef object send_piece(self, int opcode, object piece, bint fin)
    cpdef object close_soon(self, int code, object reason)
    cdef object enqueue(self, object message)
    cdef object fail_now(self)
