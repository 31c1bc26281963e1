"""Types for compiling hub.py."""

from .adapter cimport Adapter
from .handlers cimport Routes
from .runner cimport Runner


cdef class Message:
    cdef readonly object data


cdef class Hub:
    cdef readonly object server
    cdef readonly object engine
    cdef readonly object registry
    cdef readonly object limits
    cdef readonly dict adapters
    cdef readonly dict counters
    cdef readonly Py_ssize_t max_pending
    cdef readonly Py_ssize_t max_attachments
    cdef readonly Py_ssize_t max_depth
    cdef readonly bint rated
    cdef public bint serial
    cdef public bint always_connect
    cdef public double connect_timeout
    cdef public object serializer
    cdef public object encode
    cdef public object decode
    cdef public tuple incoming
    cdef public tuple outgoing
    cdef public object logger
    cdef readonly object loop
    cdef readonly Runner runner

    cpdef Routes routes_of(self, Adapter adapter)
    cpdef object packet(self, int kind, str namespace, long long id, object data, bint absent=*)
    cpdef object shared_packet(self, str namespace, list data)
    cpdef object emit(
        self,
        object event,
        object data,
        object to,
        object skip_sid,
        str namespace,
        object callback,
        object skip_room,
    )
    cpdef object count(self, str name)


cpdef list make_arguments(object event, object data)
cdef object _as_list(object value)
