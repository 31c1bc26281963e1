"""Types for compiling encoded.py."""

from ..websocket.kernel cimport Output


cpdef str base64_packet(int protocol, object data)
cpdef bytes wire_frames(int protocol, bint b64, str packet, tuple attachments=*)
cdef object _write_frames(Output output, int protocol, bint b64, str packet, tuple attachments)
cpdef Py_ssize_t utf16_length(str text)


cdef class Encoded:
    cdef readonly str text
    cdef readonly tuple attachments
    cdef readonly str packet
    cdef dict forms
    cdef bytes plain
    cdef dict pieces
    cdef dict compressed

    cpdef bytes frames(self, int protocol, bint b64=*)
    cpdef bint is_large_and_new(self) except -1
    cpdef object write_once(self, Output output, int protocol, bint b64)
    cpdef bytes deflated(self, int protocol, bint b64, object deflate)
    cpdef list messages(self, int protocol, bint b64)
    cpdef list base64(self, int protocol)
    cpdef str piece(self, int protocol)
    cpdef Py_ssize_t size(self)
