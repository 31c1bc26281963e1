"""Types for compiling websocket.py."""

from ..websocket.connection cimport Connection
from ..websocket.driver cimport Driver
from ..websocket.kernel cimport Output
from .channel cimport Wire
from .encoded cimport Encoded
from .session cimport Session


cdef class Turns:
    cdef readonly object loop
    cdef long count
    cdef bint counting

    cdef object keep_counting(self)
    cpdef object next(self)


cdef class DriverWire(Wire):
    cdef readonly EngineConnection driver
    cdef long turn

    cpdef object send_text(self, str packet)
    cpdef object send_utf8(self, bytes packet)
    cpdef object send_binary(self, bytes data)
    cpdef object send_encoded(self, Encoded encoded, int protocol, bint b64)
    cpdef Py_ssize_t buffered(self) except? -1
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cpdef object close(self, int code, str reason)
    cpdef object abort(self)


cdef class EngineConnection(Driver):
    cdef Turns turns
    cdef readonly Session session
    cdef readonly str packet
    cdef readonly DriverWire wire

    cpdef object admit(self, Session session, str packet)
    cpdef object leave(self, str reason)
