"""Types for compiling payload.py."""


cpdef object encode_payload(object packets, int protocol, bint binary=*)
cpdef bytes encode_text(str text)
cpdef str encode_script(str index, str text)
cpdef list decode_payload(bytes body, int protocol, bint binary=*, Py_ssize_t max_packets=*)
cpdef list decode_text(str text, int protocol, Py_ssize_t max_packets=*)
cpdef bytes decode_form(bytes body)
