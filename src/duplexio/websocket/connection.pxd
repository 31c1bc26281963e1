"""Types for compiling connection.py."""

from .kernel cimport FrameReader, FrameSink, MaskKeys, Output

cdef int _OPEN, _CLOSING, _CLOSED


cdef class ConnectionHandler:
    cdef object on_text(self, object message)
    cdef object on_binary(self, object message)
    cdef object on_fragment(self, int opcode, object payload, bint fin)
    cdef object on_ping(self, object payload)
    cdef object on_pong(self, object payload)
    cdef object on_close_frame(self, int code, object reason)
    cdef object on_failing(self, int code, object reason)
    cdef object on_failure(self, int code, object reason)


cdef class _Delegate(ConnectionHandler):
    cdef object target


cdef class Connection(FrameSink):
    cdef ConnectionHandler handler
    cdef public Output output
    cdef FrameReader reader
    cdef public bint client
    cdef public bint can_ping
    cdef readonly MaskKeys mask_keys
    cdef readonly object max_size
    cdef readonly object deflate
    cdef object decoder
    cdef public int state
    cdef public object close_rcvd
    cdef public object close_sent
    cdef public object rcvd_then_sent

    cpdef object deliver_text(self, object message)
    cpdef object deliver_close(self, int code, object reason)
    cpdef object deliver_failure(self, int code, object reason)
    cpdef Py_ssize_t receive(self, object data, Py_ssize_t start=*, Py_ssize_t end=*) except -1
    cpdef object fill_buffer(self)
    cpdef object filled(self, Py_ssize_t count)
    cpdef object receive_eof(self)
    cpdef object pause(self)
    cpdef object resume(self)
    cpdef object set_fragments(self, bint fragments)
    cdef object _inflate(self, object payload, bint fin)
    cdef object _close_arrived(self, object payload)
    cpdef object fail(self, int code, object reason)
    cpdef object send_text(self, object message)
    cpdef object send_binary(self, object message)
    cpdef object send_fragment(self, int opcode, object payload, bint fin)
    cdef object _send_compressed(self, int opcode, object payload, bint fin)
    cpdef object send_ping(self, object payload=*)
    cpdef object send_pong(self, object payload=*)
    cdef object _send_control(self, int first, object payload)
    cpdef object send_close(self, int code=*, object reason=*)
    cdef object _put_close(self, object close)
    cdef object _control(self, int first, object payload)
    cdef object _put(self, int first, object payload)
    cpdef object closed_error(self)
