"""Types for compiling session.py."""

from .encoded cimport Encoded


cdef class SessionHandler:
    cpdef object on_open(self, Session session)
    cpdef object on_text(self, Session session, str text, Py_ssize_t start)
    cpdef object on_binary(self, Session session, bytes data)
    cpdef object on_close(self, Session session, str reason)
    cpdef object on_drained(self, Session session)


cdef class SessionHost:
    cpdef double now(self) except? -1
    cpdef double lag(self) except? -1
    cpdef object schedule(self, Session session, double due)
    cpdef object cancel(self, Session session)
    cpdef object flush_soon(self, Session session)
    cpdef object session_ended(self, Session session)
    cpdef object handler_failed(self, Session session, object exc)


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


cdef class Poll:
    cpdef object answer(self, list packets)
    cpdef object refuse(self)


cdef class Post:
    cpdef object accept(self)
    cpdef object refuse(self)


cdef class Polling:
    cdef list buffer
    cdef Py_ssize_t size
    cdef Poll slot
    cdef Post post
    cdef list inbox
    cdef Py_ssize_t position
    cdef double nudge_due
    cdef bint flushing
    cdef Py_ssize_t limit

    cdef list take(self)


cdef class Session:
    cdef readonly SessionHost host
    cdef readonly object options
    cdef readonly str sid
    cdef public SessionHandler handler
    cdef public object request
    cdef readonly str reason
    cdef readonly Wire wire
    cdef Wire candidate
    cdef Polling polling
    cdef double upgrade_due
    cdef double ping_due
    cdef double lag_mark
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

    cpdef object open_polling(self, Poll slot, str packet)
    cpdef object open_websocket(self, Wire wire, str packet)
    cdef object _opened(self)
    cpdef object send_text(self, str text)
    cpdef object send_packet(self, str packet)
    cpdef object send_utf8(self, bytes packet)
    cpdef object send_binary(self, bytes data)
    cpdef object send_encoded(self, Encoded encoded)
    cdef object _send_all(self, list packets)
    cdef object _put(self, object packet, Py_ssize_t size)
    cpdef object flush(self)
    cdef object _drained(self)
    cdef object _check_wire(self)
    cpdef object limit_polls(self, Py_ssize_t packets)
    cpdef object wire_drained(self, Wire wire)
    cpdef object receive_text(self, Wire wire, str text)
    cpdef object receive_binary(self, Wire wire, bytes data)
    cdef object _receive(self, str text)
    cdef object _receive_typed(self, bytes data)
    cdef object _receive_binary(self, str text)
    cdef object _deliver_binary(self, bytes data)
    cdef object _failed(self, object exc)
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cdef object _heartbeat(self, str kind)
    cdef object _ping_due(self, double now, double lag)
    cpdef object on_due(self, double now, double lag)
    cdef object _arm(self)
    cpdef object poll(self, Poll slot)
    cpdef object poll_lost(self, Poll slot)
    cpdef bint begin_post(self, Post post) except -1
    cpdef object receive_post(self, Post post, list packets)
    cpdef object fail_post(self, Post post)
    cpdef object post_lost(self, Post post)
    cdef object _deliver_inbox(self)
    cdef object _client_closes(self, Polling polling)
    cpdef bint begin_upgrade(self, Wire wire) except -1
    cdef object _receive_candidate(self, Wire wire, str text)
    cdef object _nudge(self)
    cdef object _upgrade(self, Wire wire)
    cdef object _drop_candidate(self)
    cpdef object wire_lost(self, Wire wire, str reason)
    cpdef object close(self, str reason=*, int code=*)
    cpdef object end(self, str reason)
    cdef object _end(self, str reason, int code)
    cdef object _finish(self, str reason, int code=*)
    cdef object _tell(self, str reason)
    cdef object _move(self, str event)
