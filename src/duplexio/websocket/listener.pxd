"""Types for compiling listener.py."""

from .driver cimport Driver


cdef class ListenerConnection(Driver):
    cdef object factory
    cdef readonly object listener

    cdef object callback_failed(self, object exc)
