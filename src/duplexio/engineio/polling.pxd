"""Types for compiling polling.py."""

from .payload cimport decode_form, decode_payload, encode_payload, encode_script, encode_text
from .polls cimport Poll, Post
from .request cimport HttpRequest, Query
from .session cimport Session


cdef class Responder:
    cpdef object respond(self, int status, tuple headers, bytes body)


cdef class Turn:
    cdef readonly object options
    cdef readonly HttpRequest request
    cdef readonly Query query
    cdef readonly tuple headers
    cdef readonly Responder responder

    cdef object start(self, object options, HttpRequest request, Query query, tuple headers,
                      Responder responder)
    cpdef object send(self, int status, tuple headers, bytes body)
    cpdef object send_packets(self, list packets, tuple extra=*)
    cpdef object send_error(self, object error)


cdef class PollRequest(Poll):
    cdef Turn turn
    cdef Session session

    cpdef object answer(self, list packets)
    cpdef object refuse(self)
    cpdef object lost(self)


cdef class Handshake(Poll):
    cdef Turn turn
    cdef Session session
    cdef bint gone

    cpdef object opened(self, Session session, str packet)
    cpdef object failed(self, object error)
    cpdef object answer(self, list packets)
    cpdef object refuse(self)
    cpdef object lost(self)


cdef class PostRequest(Post):
    cdef Turn turn
    cdef Session session
    cdef list chunks
    cdef Py_ssize_t size
    cdef bint done

    cpdef bint begin(self) except -1
    cdef object limit(self)
    cpdef bint feed(self, bytes data) except -1
    cpdef object finish(self)
    cdef object too_big(self)
    cdef object fail(self, object error)
    cpdef object accept(self)
    cpdef object refuse(self)
    cpdef object lost(self)
