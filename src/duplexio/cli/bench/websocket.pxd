"""Types for compiling websocket.py."""

from ...websocket.driver cimport Driver
from .recorder cimport Recorder


cdef class WebSocketLoad(Driver):
    cdef Recorder recorder
    cdef object message
    cdef bint ordered
    cdef readonly object waiting
    cdef public object gone

    cpdef object send(self, double started)
    cdef object answered(self)
