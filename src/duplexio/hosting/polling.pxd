"""Types for compiling polling.py."""

cimport cython

from ..engineio.polling cimport PostRequest, Responder
from ..engineio.request cimport HeadRequest


cdef class Exchange(Responder)


cdef class HeadBlock:
    cdef bytes data
    cdef object fields
    cdef Py_ssize_t length
    cdef bint keep_alive
    cdef bint upgrade


cdef class NativeEngine:
    cdef readonly object app
    cdef readonly object front_door
    cdef readonly object engine
    cdef readonly tuple prefixes
    cdef dict rendered

    cdef bytes lines(self, tuple headers)
    @cython.locals(known=HeadBlock, line=Py_ssize_t, end=Py_ssize_t, stop=Py_ssize_t, parts=list,
                   target=str, exchange=Exchange)
    cpdef bytes receive(self, object protocol, bytes data)
    cdef HeadBlock read(self, bytes head, bytes block)


cdef class Exchange(Responder):
    cdef object protocol
    cdef NativeEngine native
    cdef bint keep_alive
    cdef HeadRequest request
    cdef object turn
    cdef bint done

    @cython.locals(post=PostRequest)
    cdef object begin(self, HeadRequest request, bytes body)
    cpdef object respond(self, int status, tuple headers, bytes body)
    cdef object log(self, int status)
    cpdef object close_after(self)
    cpdef object lost(self)


cdef class EngineOwner(HeadRequest):
    cdef public object driver
