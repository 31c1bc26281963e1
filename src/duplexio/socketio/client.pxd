"""Types for compiling client.py."""

from .adapter cimport Adapter, Member
from .hub cimport Hub


cdef class Client(Member):
    cdef readonly Hub hub
    cdef readonly object connection
    cdef readonly Adapter adapter
    cdef public str reason
    cdef public dict data
    cdef list held
    cdef list early
    cdef public dict acks
    cdef long long last_ack
    cdef readonly unsigned char state
    cdef readonly unsigned char protocol
    cdef readonly unsigned char told

    cpdef object transmit(self, object packet)
    cpdef object send(self, int kind, long long id, object data, bint absent=*)
    cpdef object emit(self, list data, object callback=*)
    cpdef long long expect_ack(self, object callback) except -2
    cpdef object forget_ack(self, object callback)
    cdef object _give_up(self, object callback)
    cpdef object acknowledge(self, long long id, object result)
    cpdef object resolve(self, long long id, list data)
    cpdef list accepted(self)
    cpdef object tell(self)
    cpdef object vanish(self)
    cpdef str label(self)


cpdef bint is_coroutine(object result) except -1
