"""Types for compiling engine.py."""

cimport cython

from .channel cimport Channel
from .host cimport LoopHost
from .polling cimport Handshake, PollRequest, PostRequest, Responder, Turn
from .request cimport HttpRequest, Query, parse_query
from .session cimport Session


cdef class Engine(LoopHost):
    cdef readonly object options
    cdef public object acceptor
    cdef public object generate_id
    cdef readonly dict sessions
    cdef readonly dict refused
    cdef readonly dict counters
    cdef str packet_polling
    cdef str packet_websocket
    cdef dict addresses
    cdef list proxies
    cdef set tasks
    cdef set farewells
    cdef bint shutting_down
    cdef object watch

    @cython.locals(query=Query, session=Session, turn=Turn, post=PostRequest, poll=PollRequest)
    cpdef object begin(self, HttpRequest request, Responder responder)
    cdef Handshake _begin_session(self, Turn turn)
    @cython.locals(session=Session)
    cdef Session _find(self, HttpRequest request, Query query, bint upgrade)
    cpdef object session_ended(self, Channel session)
