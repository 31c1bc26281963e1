"""C-level interface of rawsend.pyx."""

from .kernel cimport Output

cpdef bint write_output(Output output, int fd) except *
cpdef Py_ssize_t write_bytes(bytes data, int fd) except -1
