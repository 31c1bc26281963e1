"""Types for compiling values.py."""

cimport cython

cdef object _encode, _decode, _skip

cpdef bytes encode_json(object value)
cpdef object decode_json(str text)
cpdef bint is_json(str text) except -1
@cython.locals(found=int)
cpdef int scan(object value, int depth=*) except -1
@cython.locals(found=int)
cdef int _scan_other(object value, int depth) except -1
cpdef bint is_deep(object value, Py_ssize_t limit) except -1
cpdef object insert_binary(object value, list attachments)
@cython.locals(depth=Py_ssize_t, quoted=bint, escaped=bint, character=Py_UCS4)
cpdef bint check_depth(str text, Py_ssize_t start, Py_ssize_t limit) except -1
