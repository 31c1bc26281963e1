"""Types for compiling loopstate.py."""

from .kernel cimport MaskKeys, Output


cdef class LoopState:
    cdef readonly object loop
    cdef readonly bytearray buffer
    cdef readonly object view
    cdef readonly bint outstanding
    cdef readonly dict private
    cdef readonly Output cork
    cdef public object corked
    cdef readonly object timers
    cdef readonly MaskKeys mask_keys
    cdef list unflushed
    cdef double read_began

    cpdef object flush_soon(self, object driver)
