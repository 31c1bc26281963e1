"""Types for compiling channel.py."""

from ..connection cimport Connection, ConnectionHandler
from ..kernel cimport MaskKeys


cdef class Channel(ConnectionHandler):
    cdef readonly object transport
    cdef readonly Connection connection
    cdef object compressed
    cdef object receive_into
    cdef object write_some
    cdef object events
    cdef object buffer
    cdef bint peeks
    cdef Py_ssize_t peeked
    cdef bytes unsent
    cdef object failing
    cdef public bint ended
    cdef readonly object reading
    cdef readonly object sending
    cdef readonly object guard

    cpdef object receive(self)
    cdef object next(self)
    cpdef object message(self)
    cpdef object receive_within(self, object timeout)
    cpdef object drain(self, double timeout)
    cpdef bint waiting(self)
    cpdef object read(self)
    cdef object fill(self)
    cdef Py_ssize_t read_some(self) except -1
    cdef object take_peeked(self)
    cpdef object feed(self, bytes data)
    cpdef object send_text(self, object message)
    cpdef object send_binary(self, object message)
    cpdef object send_frame(self, int first, object payload)
    cpdef object send_close(self, int code, object reason)
    cdef Py_ssize_t begin(self) except -1
    cpdef object flush(self)
    cpdef object settle(self)
    cdef object write(self, bytes data)
    cpdef object use_mask_keys(self, MaskKeys mask_keys)
