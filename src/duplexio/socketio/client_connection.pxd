"""Types for compiling client_connection.py."""

from .client_space cimport ClientHub, Space
from .dispatcher cimport Dispatcher
from .party cimport Party


cdef class ClientConnection(Dispatcher):
    cdef readonly ClientHub client_hub
    cdef readonly object owner
    cdef readonly int unanswered
    cdef readonly list told
    cdef public str closing

    cpdef object start(self, object auth)
    cdef object _connected(self, Space space, object data)
    cdef object _refused(self, Space space, object data)
    cdef object _disconnected(self, Space space)
    cdef object _told(self, object future)
    cdef object _answered(self)
    cpdef object part(self, Space space, str reason)
    cpdef object close(self, str reason)
