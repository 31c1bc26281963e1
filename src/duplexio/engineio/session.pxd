"""Types for compiling session.py."""

# Under another name, since session.py has the Python class under its own.
from .channel cimport Channel, Wire as CWire
from .encoded cimport Encoded
from .polls cimport Poll, Polling, Post


cdef class Session(Channel):
    cdef public object request
    cdef Polling polling
    cdef double lag_mark

    cpdef object open_polling(self, Poll slot, str packet)
    cpdef object open_websocket(self, CWire wire, str packet)
    cdef object _opened(self)
    cdef Py_ssize_t _kept_bytes(self) except? -1
    cdef Py_ssize_t _kept_packets(self) except? -1
    cdef object _put(self, object packet, Py_ssize_t size)
    cpdef object flush(self)
    cpdef object limit_polls(self, Py_ssize_t packets)
    cdef object _receive(self, str text)
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cdef object _heartbeat(self, str kind)
    cdef object _ping_due(self, double now, double lag)
    cpdef double silence(self) except? -2
    cpdef object on_due(self, double now, double lag)
    cdef object _arm(self)
    cpdef object poll(self, Poll slot)
    cpdef object poll_lost(self, Poll slot)
    cpdef bint begin_post(self, Post post) except -1
    cpdef object receive_post(self, Post post, list packets)
    cpdef object fail_post(self, Post post, str reason=*)
    cpdef object post_lost(self, Post post)
    cdef object _deliver_inbox(self)
    cdef object _client_closes(self, Polling polling)
    cpdef bint begin_upgrade(self, CWire wire) except -1
    cdef object _receive_candidate(self, CWire wire, str text)
    cdef object _nudge(self)
    cdef object _upgrade(self, CWire wire)
    cdef object _drop_candidate(self)
    cpdef object wire_lost(self, CWire wire, str reason)
    cpdef object close(self, str reason=*, int code=*)
    cpdef object end(self, str reason)
    cdef object _end(self, str reason, int code)
    cdef object _finish(self, str reason, int code=*)
    cdef object _move(self, str event)
