"""Types for compiling core.py."""

from ..engineio.channel cimport Channel
from .packets cimport encode_packet
from .runner cimport Runner


cdef class Message:
    cdef readonly object data


cdef class Core:
    cdef readonly object limits
    cdef readonly dict counters
    cdef readonly Py_ssize_t max_pending
    cdef readonly Py_ssize_t max_attachments
    cdef readonly Py_ssize_t max_depth
    cdef readonly bint rated
    cdef public bint serial
    cdef public object serializer
    cdef public object encode
    cdef public object decode
    cdef public tuple incoming
    cdef public tuple outgoing
    cdef public object logger
    cdef readonly object loop
    cdef readonly Runner runner
    cdef public object workers

    cpdef object bind_loop(self, object loop)
    cpdef object packet(self, int kind, str namespace, long long id, object data, bint absent=*)
    cpdef object count(self, str name)
    cpdef double now(self) except? -1
    cpdef object keep_task(self, object task)
    cpdef object blame(self, str name, double seconds)


cpdef list make_arguments(object event, object data)
cpdef object transmit(Channel session, object packet)
