"""Types for compiling recorder.py."""

import cython


cdef class Recorder:
    cdef public bint counting
    cdef public bint running
    cdef public long sent
    cdef public long received
    cdef readonly object counts
    cdef unsigned int[::1] view
    cdef list above

    @cython.locals(latency=double)
    cpdef record(self, double started)
