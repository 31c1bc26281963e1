"""Types for compiling loopstate.py."""

from .kernel cimport Output


cdef class LoopState:
    cdef readonly object loop
    cdef readonly bytearray buffer
    cdef readonly bint outstanding
    cdef readonly Output cork
    cdef public object corked
    cdef readonly object timers
    cdef list unflushed
    cdef readonly long turn

    cpdef object flush_soon(self, object driver)
