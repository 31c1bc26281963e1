"""Types for compiling hub.py."""

cimport cython

from .adapter cimport Adapter, Member
from .core cimport Core, make_arguments
from .handlers cimport Routes


cdef class Hub(Core):
    cdef readonly object server
    cdef readonly object engine
    cdef readonly object registry
    cdef readonly dict adapters
    cdef readonly object deliveries
    cdef public bint always_connect
    cdef public double connect_timeout
    cdef public object recovery

    cpdef Routes routes_of(self, Adapter adapter)
    cpdef object shared_packet(self, str namespace, list data)
    @cython.locals(adapter=Adapter, member=Member, each=Member)
    cpdef object emit(
        self,
        object event,
        object data,
        object to,
        object skip_sid,
        str namespace,
        object callback,
        object skip_room,
        bint volatile=*,
    )


cdef object _as_list(object value)
