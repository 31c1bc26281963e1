"""Types for compiling channel.py."""

from .encoded cimport Encoded


cdef class SessionHandler:
    cpdef object on_open(self, Channel session)
    cpdef object on_text(self, Channel session, str text, Py_ssize_t start)
    cpdef object on_binary(self, Channel session, bytes data)
    cpdef object on_close(self, Channel session, str reason)
    cpdef object on_drained(self, Channel session)


cdef class SessionHost:
    cpdef double now(self) except? -1
    cpdef double lag(self) except? -1
    cpdef object schedule(self, Channel session, double due)
    cpdef object cancel(self, Channel session)
    cpdef object flush_soon(self, Channel session)
    cpdef object session_ended(self, Channel session)
    cpdef object session_cut(self, Channel session)
    cpdef object handler_failed(self, Channel session, object exc)


cdef class Wire:
    cdef public bint congested

    cpdef object send_text(self, str packet)
    cpdef object send_utf8(self, bytes packet)
    cpdef object send_binary(self, bytes data)
    cpdef object send_encoded(self, Encoded encoded, int protocol, bint b64)
    cpdef Py_ssize_t buffered(self) except? -1
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cpdef object close(self, int code, str reason)
    cpdef object abort(self)


cdef class Channel:
    cdef readonly SessionHost host
    cdef readonly object options
    cdef readonly str sid
    cdef public SessionHandler handler
    cdef readonly str reason
    cdef readonly Wire wire
    cdef Wire candidate
    cdef double upgrade_due
    cdef double ping_due
    cdef Py_ssize_t waiting
    cdef public double due
    cdef public long slot
    cdef public int place
    cdef readonly unsigned char protocol
    cdef readonly unsigned char phase
    cdef readonly unsigned char b64
    cdef unsigned char awaiting_pong
    cdef readonly unsigned char upgraded
    cdef unsigned char paused
    cdef unsigned char extensions

    cdef Py_ssize_t _kept_bytes(self) except? -1
    cdef Py_ssize_t _kept_packets(self) except? -1
    cdef object _put(self, object packet, Py_ssize_t size)
    cdef object _receive(self, str text)
    cdef object _receive_candidate(self, Wire wire, str text)
    cdef object _drop_candidate(self)
    cpdef object end(self, str reason)
    cpdef object send_text(self, str text)
    cpdef object send_packet(self, str packet)
    cpdef object send_utf8(self, bytes packet)
    cpdef object send_binary(self, bytes data)
    cpdef object send_encoded(self, Encoded encoded)
    cdef object _send_all(self, list packets)
    cdef object _drained(self)
    cdef object _check_wire(self)
    cpdef object wire_drained(self, Wire wire)
    cpdef object receive_text(self, Wire wire, str text)
    cpdef object receive_binary(self, Wire wire, bytes data)
    cdef object _receive_binary(self, str text)
    cdef object _receive_typed(self, bytes data)
    cdef object _deliver_binary(self, bytes data)
    cdef object _failed(self, object exc)
    cdef object _tell(self, str reason)
