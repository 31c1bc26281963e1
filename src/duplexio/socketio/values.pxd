"""Types for compiling values.py."""

cdef object _encode, _decode

cpdef bytes encode_json(object value)
cpdef object decode_json(str text)
cpdef int scan(object value, int depth=*) except -1
cdef int _scan_other(object value, int depth) except -1
cpdef object insert_binary(object value, list attachments)
cpdef bint check_depth(str text, Py_ssize_t start, Py_ssize_t limit) except -1
