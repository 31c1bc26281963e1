"""Types for compiling socketio.py."""

from ...engineio.channel cimport Channel, SessionHandler
from .recorder cimport Recorder


cdef class SocketIOLoad(SessionHandler):
    cdef object plan
    cdef Recorder recorder
    cdef int kind
    cdef str prefix
    cdef str event
    cdef str text
    cdef str body
    cdef tuple attachments
    cdef readonly Channel session
    cdef long next_id
    cdef dict sent_at
    cdef object order
    cdef readonly object connected
    cdef public object gone

    cpdef object send(self, double started)
    cpdef object on_open(self, Channel session)
    cpdef object on_text(self, Channel session, str text, Py_ssize_t start)
    cpdef object on_close(self, Channel session, str reason)
    cdef object acknowledged(self, str text, Py_ssize_t start)
    cdef object answered(self, double started)
    cdef object delivered(self, str text)
