"""Types for compiling client_session.py."""

# Under another name, since client_session.py has the Python class under its own.
from .channel cimport Channel, SessionHost as CSessionHost, Wire as CWire
from .encoded cimport Encoded


cdef class Requests:
    cpdef object get(self)
    cpdef object post(self, list packets)
    cpdef object stop(self)


cdef class Opener:
    cpdef object greeted(self, object handshake)
    cpdef object said(self, object packet)
    cpdef object failed(self, str reason)


cdef class ClientPolling:
    cdef Requests requests
    cdef list buffer
    cdef Py_ssize_t size
    cdef bint getting
    cdef bint posting
    cdef bint flushing
    cdef list inbox
    cdef Py_ssize_t position
    cdef Py_ssize_t limit

    cdef list take(self, Py_ssize_t max_payload)


cdef Py_ssize_t packet_size(object packet) except -1


cdef class ClientSession(Channel):
    cdef ClientPolling polling
    cdef Opener opener
    cdef readonly tuple upgrades
    cdef readonly Py_ssize_t max_payload
    cdef Py_ssize_t safe_length
    cdef readonly double ping_interval
    cdef readonly double ping_timeout
    cdef list watchers
    cdef int holders
    cdef unsigned char heard
    cdef unsigned char greeted
    cdef readonly bint closed_by_server
    cdef readonly bint upgrade_pending

    cdef Py_ssize_t _kept_bytes(self) except? -1
    cdef Py_ssize_t _kept_packets(self) except? -1
    cpdef object hold(self)
    cpdef object release(self)
    cdef object _changed(self)
    cpdef object await_open(self, CWire wire, Opener opener)
    cpdef object open_websocket(self, object handshake)
    cpdef object open_polling(self, Requests requests, object handshake, list packets)
    cpdef object choose_protocol(self, int protocol)
    cdef object _opened(self, object handshake)
    cpdef object send_packet(self, str packet)
    cpdef object send_utf8(self, bytes packet)
    cpdef object send_binary(self, bytes data)
    cpdef object send_encoded(self, Encoded encoded)
    cdef object _check_text(self, str packet)
    cdef object _check_binary(self, bytes data)
    cdef object _check_size(self, Py_ssize_t size)
    cdef object _check_room(self, Py_ssize_t size)
    cdef object _check_kept(self, ClientPolling polling, Py_ssize_t size, Py_ssize_t count)
    cdef object _full(self)
    cdef object _put(self, object packet, Py_ssize_t size)
    cpdef object flush(self)
    cpdef object posted(self, bytes answer)
    cpdef object wire_drained(self, CWire wire)
    cpdef object check_message(self, object message)
    cpdef object receive_text(self, CWire wire, str text)
    cpdef object receive_binary(self, CWire wire, bytes data)
    cpdef object receive_packets(self, list packets)
    cdef object _deliver_inbox(self, ClientPolling polling)
    cdef object _next_get(self)
    cpdef object request_failed(self)
    cpdef object request_malformed(self)
    cdef object _receive(self, str text)
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cdef object _pinged(self, str text)
    cdef object _ponged(self)
    cdef object _ping_due(self, double now, double lag)
    cpdef object on_due(self, double now, double lag)
    cdef object _arm(self)
    cpdef bint begin_upgrade(self, CWire wire) except -1
    cpdef object upgrade_failed(self)
    cdef object _receive_candidate(self, CWire wire, str text)
    cdef object _greet(self, str text)
    cdef object _try_upgrade(self)
    cdef object _drop_candidate(self)
    cdef object _candidate_gone(self)
    cpdef object wire_lost(self, CWire wire, str reason)
    cpdef object close(self, str reason=*)
    cpdef object abort(self)
    cpdef object end(self, str reason)
    cdef object _finish(self, str reason)
    cdef object _move(self, str event)
