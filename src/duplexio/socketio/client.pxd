"""Types for compiling client.py."""

cimport cython

from .adapter cimport Adapter, Member
from .handlers cimport Routes
from .hub cimport Hub


cdef class Client(Member):
    cdef readonly object connection
    cdef readonly Adapter adapter
    cdef public str reason
    cdef public dict data
    cdef readonly object delivery
    cdef list held
    cdef readonly unsigned char protocol
    cdef readonly unsigned char told

    @cython.locals(hub=Hub)
    cpdef Routes routes(self)
    cpdef object send(self, int kind, long long id, object data, bint absent=*)
    cpdef object emit(self, list data, object callback=*)
    cpdef object remember(self, object delivery)
    cpdef list accepted(self)
    cpdef object tell(self)
    cpdef object vanish(self)
