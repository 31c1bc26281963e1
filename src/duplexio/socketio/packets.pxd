"""Types for compiling packets.py."""

cimport cython

from ..engineio.concat cimport concat
from .values cimport encode_json, scan

cdef list _HEADS


cdef class Head:
    cdef readonly int kind
    cdef readonly str namespace
    cdef readonly long long id
    cdef readonly Py_ssize_t offset
    cdef readonly long long attachments


@cython.locals(
    end=Py_ssize_t, position=Py_ssize_t, dash=Py_ssize_t, comma=Py_ssize_t, after=Py_ssize_t,
    kind=int, attachments='long long', number='long long', head=Head
)
cpdef Head parse_head(str text, Py_ssize_t start)
@cython.locals(number='long long')
cdef long long _number(str text, Py_ssize_t position, Py_ssize_t end) except -1
@cython.locals(first=Py_ssize_t)
cdef Py_ssize_t _skip_digits(str text, Py_ssize_t position, Py_ssize_t end) except -1
cpdef object check_event(object data)
@cython.locals(head=bytes, found=int)
cpdef object encode_packet(
    int kind, str namespace, long long id, object data, object encode=*, bint absent=*
)
