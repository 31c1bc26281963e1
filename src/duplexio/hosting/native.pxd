"""Types for compiling native.py."""

cimport cython

from ..engineio.concat cimport concat
from ..engineio.engine cimport Engine
from ..engineio.polling cimport PostRequest, Responder
from ..engineio.request cimport HeadRequest


cdef bytes _VERSION, _VISIBLE


cdef class HeadBlock:
    cdef bytes data
    cdef object fields
    cdef Py_ssize_t length
    cdef bint keep_alive
    cdef object request


cdef class Exchange(Responder)


cdef class NativeEngine:
    cdef readonly object app
    cdef readonly object front_door
    cdef readonly Engine engine
    cdef readonly tuple prefixes
    cdef bint limited
    cdef double keep_alive
    cdef object server_state
    cdef object default_headers
    cdef bytes text_head
    cdef bytes accepted_head

    cdef bytes head(self, int status, tuple headers)
    cdef bytes render(self, int status, tuple headers)
    @cython.locals(known=HeadBlock, line=Py_ssize_t, end=Py_ssize_t, stop=Py_ssize_t, path=bytes,
                   target=str, method=str, exchange=Exchange, request=HeadRequest)
    cdef bint receive(self, Entrance entrance, bytes data) except -1
    cdef HeadBlock read(self, bytes head, bytes block)


cdef class Exchange(Responder):
    cdef Entrance entrance
    cdef NativeEngine native
    cdef bint keep_alive
    cdef HeadRequest request
    cdef object turn
    cdef bint done

    cdef object start(self, Entrance entrance, NativeEngine native, bint keep_alive)
    @cython.locals(post=PostRequest, engine=Engine)
    cdef object begin(self, HeadRequest request, bytes body)
    @cython.locals(native=NativeEngine, entrance=Entrance, head=bytes)
    cpdef object respond(self, int status, tuple headers, bytes body)
    cdef object log(self, int status)
    cdef object lost(self)


cdef class Entrance:
    cdef readonly object front_door
    cdef NativeEngine native
    cdef object make_protocol
    cdef object protocol
    cdef object transport
    cdef object client
    cdef bint secure
    cdef int fd
    cdef Exchange exchange
    cdef bytes held
    cdef HeadBlock block
    cdef HeadBlock other_block
    cdef object handoff
    cdef readonly object origin
    cdef bint read_paused
    cdef bint write_blocked
    cdef Py_ssize_t unsent
    cdef public double due
    cdef public long slot
    cdef public int place

    cpdef data_received(self, bytes data)
    cdef object write(self, bytes data)
    cdef object expect(self, double timeout)
    cdef object answered(self, bint keep_alive)
    cdef object close(self)
    cpdef object receive_held(self)
    cdef object upgrade(self, object request, bytes rest)
    cdef object step_aside(self, bytes data)
    cpdef bint step_in(self, bytes data) except -1


cdef class EngineOwner(HeadRequest):
    cdef public object driver
