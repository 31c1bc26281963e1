"""Types for compiling packets.py."""


cdef class Head:
    cdef readonly int kind
    cdef readonly str namespace
    cdef readonly long long id
    cdef readonly Py_ssize_t offset
    cdef readonly long long attachments


cpdef Head parse_head(str text, Py_ssize_t start)
cdef Py_ssize_t _skip_digits(str text, Py_ssize_t position, Py_ssize_t end) except -1
cpdef object check_event(object data)
cpdef object encode_packet(
    int kind, str namespace, long long id, object data, object encode=*, bint absent=*
)
