"""C-level interface of the compiled kernel, for the modules that are compiled against it."""

from libc.stdint cimport uint8_t, uint32_t, uint64_t


cdef class FrameSink:
    cdef object on_text(self, object message)
    cdef object on_binary(self, object message)
    cdef object on_compressed(self, int opcode, object payload)
    cdef object on_fragment(self, int opcode, object payload, bint fin, bint compressed)
    cdef object on_control(self, int opcode, object payload)
    cdef object on_violation(self, int code, object reason)


cdef class _Partial:
    cdef object message          # bytes under construction, or None
    cdef object control          # bytes of a control frame that did not arrive whole, or None
    cdef Py_ssize_t message_length
    cdef uint64_t delivered      # bytes of the current message that were delivered in pieces
    cdef Py_ssize_t offered      # how many bytes fill_buffer has promised room for
    cdef uint64_t remaining      # payload bytes of the current frame still to come
    cdef uint32_t mask           # of the current frame, rotated to the next payload byte
    cdef uint32_t utf8           # state of the incremental UTF-8 check
    cdef uint8_t head[14]
    cdef uint8_t frame           # first byte of the current frame


cdef class FrameReader:
    cdef FrameSink sink
    cdef uint64_t max_size
    cdef _Partial partial        # of what is incomplete, or None
    cdef uint8_t head_length     # of a frame's head that has not arrived whole
    cdef uint8_t opcode          # of the current message, 0 between messages
    cdef uint8_t in_payload
    cdef uint8_t compressed
    cdef uint8_t started         # a fragment of the current message was delivered
    cdef uint8_t masked
    cdef uint8_t rsv1
    cdef public bint fragments
    cdef public bint paused
    cdef readonly bint failed

    cdef Py_ssize_t feed_pointer(self, uint8_t *data, Py_ssize_t length) except -1
    cpdef Py_ssize_t feed(self, object data, Py_ssize_t start=*, Py_ssize_t end=*) except -1
    cpdef object fill_buffer(self)
    cpdef object filled(self, Py_ssize_t count)
    cpdef object release(self)
    cdef _Partial _open(self)
    cdef Py_ssize_t _head_size(self, uint8_t second)
    cdef uint64_t _long_size(self, uint8_t *data)
    cdef object _fail(self, int code, object reason)
    cdef int _check_start(self, uint8_t first, uint8_t second) except -1
    cdef int _check_size(self, uint8_t first, uint64_t length) except -1
    cdef object _whole(self, uint8_t first, uint8_t *data, Py_ssize_t length, uint32_t mask)
    cdef object _begin(self, uint8_t first, uint64_t length, uint32_t mask)
    cdef object _take(self, _Partial partial, uint8_t *data, Py_ssize_t length)
    cdef object _room(self, _Partial partial, Py_ssize_t length)
    cdef int _arrived(self, _Partial partial, uint8_t *data, Py_ssize_t length) except -1
    cdef object _end(self, _Partial partial)
    cdef object _taken(self, _Partial partial)


cdef class Output:
    cdef uint8_t *buffer
    cdef Py_ssize_t start
    cdef Py_ssize_t stop
    cdef Py_ssize_t capacity
    cdef object tail             # a large payload kept by reference, to go after the buffer's bytes
    cdef const uint8_t *tail_data
    cdef Py_ssize_t tail_length

    cpdef Py_ssize_t size(self)
    cdef uint8_t *reserve(self, Py_ssize_t count) except NULL
    cdef object _fold(self)
    cdef uint8_t *_head(self, uint8_t first, Py_ssize_t length, bint masked, Py_ssize_t room) except NULL
    cdef object frame_pointer(self, uint8_t first, const uint8_t *data, Py_ssize_t length, object key)
    cdef object _refer(self, uint8_t first, object payload, const uint8_t *data, Py_ssize_t length)
    cpdef object frame(self, int first, object payload, object key=*)
    cpdef object append(self, object data)
    cpdef object take(self)
    cpdef object clear(self)


cdef class MaskKeys:
    cdef object entropy
    cdef object pool
    cdef Py_ssize_t position
    cdef object __weakref__

    cpdef object next(self)
    cpdef object forget(self)
