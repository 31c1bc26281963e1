"""Types for compiling client_websocket.py."""

from ..websocket.connection cimport Connection
from ..websocket.driver cimport Driver
from ..websocket.kernel cimport Output
from .channel cimport Wire
from .client_session cimport ClientSession, Opener
from .encoded cimport Encoded


cdef class ClientWire(Wire):
    cdef readonly ClientConnection driver

    cpdef object send_text(self, str packet)
    cpdef object send_utf8(self, bytes packet)
    cpdef object send_binary(self, bytes data)
    cpdef object send_encoded(self, Encoded encoded, int protocol, bint b64)
    cpdef Py_ssize_t buffered(self) except? -1
    cpdef object pause_reading(self)
    cpdef object resume_reading(self)
    cpdef object close(self, int code, str reason)
    cpdef object abort(self)


cdef class ClientConnection(Driver):
    cdef readonly ClientSession session
    cdef ClientSession holder
    cdef Opener begin
    cdef readonly ClientWire wire

    cpdef object leave(self, str reason)
