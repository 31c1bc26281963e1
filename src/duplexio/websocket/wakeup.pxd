"""Types for compiling wakeup.py."""


cdef class Wakeup:
    cdef object loop
    cdef public bint _asyncio_future_blocking
    cdef object callback
    cdef object context
    cdef bint asked
    cdef bint finished
    cdef bint was_cancelled

    cpdef object wake(self, bint at_once)
    cpdef object result(self)
