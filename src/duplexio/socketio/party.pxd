"""Types for compiling party.py."""

from .core cimport Core
from .handlers cimport Routes

cdef object _COROUTINE


cdef class Party:
    cdef readonly Core hub
    cdef readonly str name
    cdef readonly str sid
    cdef public list early
    cdef public dict acks
    cdef public long long last_ack
    cdef readonly unsigned char state
    cdef readonly bint numbered
    cdef readonly bint deduplicated

    cpdef Routes routes(self)
    cpdef object transmit(self, object packet)
    cpdef str label(self)
    cpdef object gone(self, str why)
    cpdef object take_offset(self, list data)
    cpdef bint is_repeated(self, long long id) except -1
    cpdef object unanswered(self, long long id)
    cpdef long long expect_ack(self, object callback) except -2
    cpdef object overrun(self)
    cpdef object forget_ack(self, object callback)
    cpdef object give_up(self, object callback, str why)
    cpdef object give_up_all(self, str why)
    cpdef object resolve(self, long long id, list data)
    cpdef object acknowledge(self, long long id, object result)
    cpdef object ack_packet(self, long long id, object result)


cpdef bint is_coroutine(object result) except -1
