"""Types for compiling answer.py."""

from ..websocket.wakeup cimport Wakeup


cdef class Answer(Wakeup):
    cdef readonly list values
    cdef readonly object error

    cpdef object set_result(self, list values)
    cpdef object set_exception(self, object error)
