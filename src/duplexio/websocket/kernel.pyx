# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, binding=False, embedsignature=True
"""The compiled kernel: frames of RFC 6455 in and out of memory, and nothing else.

The twin of this file is ``kernel.py``: the same names, the same behaviour, the same tests. What
each class promises is written there; here stand only the remarks that concern the C code.

Rules: lengths stay ``uint64_t`` until they have been compared with the limit; no pointer into the
caller's buffer outlives the call.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.buffer cimport (
    PyBUF_SIMPLE,
    PyBUF_WRITE,
    PyBUF_WRITABLE,
    PyBuffer_Release,
    PyObject_GetBuffer,
)
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.object cimport PyObject
from cpython.unicode cimport PyUnicode_DecodeUTF8
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memmove

from ..errors import UsageError

cdef extern from "Python.h":
    int _PyBytes_Resize(PyObject **obj, Py_ssize_t size) except -1
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL
    void Py_INCREF(PyObject *)
    void Py_DECREF(PyObject *)

cdef extern from *:
    """
    /* Room that a message gets at first, whatever its frame announces. */
    #define FIRST_ROOM 65536
    /* A frame with at least this much still to come is read straight into its message. */
    #define READ_DIRECT 8192
    /* A payload at least this long that is not masked is sent from where it lies, not copied. */
    #define BY_REFERENCE 16384
    /* An empty output keeps at most this much memory. */
    #define KEEP_ROOM 262144
    #define NO_LIMIT 0x7fffffffffffffffULL
    #define COMPRESSED_EXTRA 1024

    /* A long payload is masked with the widest registers of the processor that it runs on, which
       the loader chooses; elsewhere with what the compiler may assume. */
    #define LONG 1024
    #if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__) \
        && !defined(__SANITIZE_ADDRESS__)
    __attribute__((target_clones("avx512f", "avx2", "default")))
    #endif
    static void xor_words(unsigned char *target, const unsigned char *source, size_t words, uint64_t wide) {
        uint64_t word;
        for (size_t i = 0; i < words; i++) {
            memcpy(&word, source + 8 * i, 8);
            word ^= wide;
            memcpy(target + 8 * i, &word, 8);
        }
    }
    """
    const Py_ssize_t FIRST_ROOM
    const uint64_t READ_DIRECT
    const Py_ssize_t BY_REFERENCE
    const Py_ssize_t KEEP_ROOM
    const uint64_t NO_LIMIT
    const uint64_t COMPRESSED_EXTRA
    const Py_ssize_t LONG
    void xor_words(uint8_t *target, const uint8_t *source, size_t words, uint64_t wide) noexcept nogil


BAD_TEXT = "text is not UTF-8 (RFC 6455 §8.1)"
CUT_TEXT = "text ends inside a character of UTF-8 (RFC 6455 §8.1)"


# --- masking (RFC 6455 §5.3) --------------------------------------------------------------------


cdef inline uint32_t _rotate(uint32_t mask, Py_ssize_t count) noexcept nogil:
    """The mask as it stands ``count`` bytes later (the key is kept as it lies in memory)."""
    cdef int shift = <int> (count & 3) * 8
    if shift == 0:
        return mask
    return (mask >> shift) | (mask << (32 - shift))


cdef inline void _xor(uint8_t *target, const uint8_t *source, Py_ssize_t length, uint32_t mask) noexcept nogil:
    """``target = source XOR mask``; both may be the same memory."""
    cdef uint64_t wide = (<uint64_t> mask << 32) | mask
    cdef uint64_t word
    cdef Py_ssize_t i = 0
    cdef uint8_t *key = <uint8_t *> &mask
    if length >= LONG:
        xor_words(target, source, length >> 3, wide)
        i = length & ~7
    while i + 8 <= length:
        memcpy(&word, source + i, 8)
        word ^= wide
        memcpy(target + i, &word, 8)
        i += 8
    while i < length:
        target[i] = source[i] ^ key[i & 3]
        i += 1


def apply_mask(data, mask):
    cdef Py_buffer view
    cdef uint32_t word = _mask_word(mask)
    PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
    try:
        result = PyBytes_FromStringAndSize(NULL, view.len)
        _xor(<uint8_t *> PyBytes_AS_STRING(result), <uint8_t *> view.buf, view.len, word)
    finally:
        PyBuffer_Release(&view)
    return result


cdef uint32_t _mask_word(object mask) except? 0:
    """The four bytes of a key as they lie in memory."""
    cdef uint32_t word
    if not isinstance(mask, bytes) or len(mask) != 4:
        raise UsageError(f"masking key is {mask!r}; expected 4 bytes (RFC 6455 §5.3)")
    memcpy(&word, PyBytes_AS_STRING(mask), 4)
    return word


# --- UTF-8 (RFC 3629), byte by byte across any cut ----------------------------------------------
#
# The state packs what the next byte may be: 0 between characters, else
# (continuation bytes still to come) << 16 | lowest << 8 | highest.


cdef inline uint32_t _utf8_check(uint32_t state, const uint8_t *data, Py_ssize_t length) noexcept nogil:
    """The state after ``data``, or 0xffffffff at the first byte that cannot stand there."""
    cdef Py_ssize_t i = 0
    cdef uint64_t word
    cdef uint8_t byte
    while i < length:
        if state == 0:
            while i + 8 <= length:
                memcpy(&word, data + i, 8)
                if word & <uint64_t> 0x8080808080808080:
                    break
                i += 8
            while i < length and data[i] < 0x80:
                i += 1
            if i == length:
                return 0
            byte = data[i]
            if byte < 0xc2 or byte > 0xf4:
                return 0xffffffff
            if byte < 0xe0:
                state = 0x180bf
            elif byte < 0xf0:
                state = 0x2a0bf if byte == 0xe0 else 0x2809f if byte == 0xed else 0x280bf
            else:
                state = 0x390bf if byte == 0xf0 else 0x3808f if byte == 0xf4 else 0x380bf
        else:
            byte = data[i]
            if byte < (state >> 8 & 0xff) or byte > (state & 0xff):
                return 0xffffffff
            state = ((state >> 16) - 1) << 16 | 0x80bf
            if state == 0x80bf:
                state = 0
        i += 1
    return state


# --- reading ------------------------------------------------------------------------------------


cdef class FrameSink:
    cdef object on_text(self, object message):
        raise NotImplementedError

    cdef object on_binary(self, object message):
        raise NotImplementedError

    cdef object on_compressed(self, int opcode, object payload):
        raise NotImplementedError

    cdef object on_fragment(self, int opcode, object payload, bint fin, bint compressed):
        raise NotImplementedError

    cdef object on_control(self, int opcode, object payload):
        raise NotImplementedError

    cdef object on_violation(self, int code, object reason):
        raise NotImplementedError


cdef class _PythonSink(FrameSink):
    """Passes what is read on to an object of Python's (tests and tools)."""

    cdef object target

    def __init__(self, target):
        self.target = target

    cdef object on_text(self, object message):
        self.target.on_text(message)

    cdef object on_binary(self, object message):
        self.target.on_binary(message)

    cdef object on_compressed(self, int opcode, object payload):
        self.target.on_compressed(opcode, payload)

    cdef object on_fragment(self, int opcode, object payload, bint fin, bint compressed):
        self.target.on_fragment(opcode, payload, bool(fin), bool(compressed))

    cdef object on_control(self, int opcode, object payload):
        self.target.on_control(opcode, payload)

    cdef object on_violation(self, int code, object reason):
        self.target.on_violation(code, reason)


@cython.freelist(16)
@cython.no_gc  # it holds bytes only
cdef class _Partial:
    """What has arrived of a frame or a message that is not complete.

    It exists only meanwhile: most readers wait between two messages most of the time.
    """


cdef class FrameReader:
    def __init__(self, sink, *, bint masked, max_size=None, bint rsv1=False):
        # The methods of a compiled sink cannot be seen from Python. Those that can be were written
        # in Python, and are not found by a call in C.
        direct = isinstance(sink, FrameSink) and not hasattr(sink, "on_text")
        self.sink = sink if direct else _PythonSink(sink)
        self.masked = masked
        self.rsv1 = rsv1
        if max_size is not None and max_size < 0:
            raise UsageError(f"max_size is {max_size}; expected 0 or more, or None for no limit")
        self.max_size = NO_LIMIT if max_size is None else min(max_size, NO_LIMIT)

    cpdef Py_ssize_t feed(self, object data, Py_ssize_t start=0, Py_ssize_t end=-1) except -1:
        cdef Py_buffer view
        if not isinstance(data, bytearray):
            # Payloads are unmasked where they lie, so a buffer of somebody else's is copied.
            data = bytearray(memoryview(data))
        PyObject_GetBuffer(data, &view, PyBUF_WRITABLE)
        try:
            if end < 0:
                end = view.len
            if start < 0 or start > end or end > view.len:
                raise IndexError(f"{start}:{end} is not within the {view.len} bytes given")
            return self.feed_pointer(<uint8_t *> view.buf + start, end - start)
        finally:
            PyBuffer_Release(&view)

    cdef Py_ssize_t feed_pointer(self, uint8_t *data, Py_ssize_t length) except -1:
        cdef Py_ssize_t at = 0
        cdef Py_ssize_t need, left
        cdef uint64_t size
        cdef uint8_t *head
        cdef uint8_t first, second
        cdef uint32_t mask = 0
        cdef _Partial partial = self.partial
        if partial is not None:
            partial.offered = 0
        while at < length and not self.paused and not self.failed:
            if self.in_payload:
                left = length - at
                partial = self.partial
                if <uint64_t> left > partial.remaining:
                    left = <Py_ssize_t> partial.remaining
                self._take(partial, data + at, left)
                at += left
                continue
            # The head, as it lies or gathered from several reads.
            head = data + at
            left = length - at
            if self.head_length:
                partial = self.partial
                need = 2 if self.head_length < 2 else self._head_size(partial.head[1])
                if need - self.head_length < left:
                    left = need - self.head_length
                memcpy(partial.head + self.head_length, head, left)
                at += left
                self.head_length += <uint8_t> left
                if self.head_length == 2 and need == 2:
                    if self._check_start(partial.head[0], partial.head[1]) < 0:
                        break
                    need = self._head_size(partial.head[1])
                if self.head_length < need:
                    continue
                head = partial.head
                first = head[0]
                second = head[1]
                self.head_length = 0
            else:
                if left < 2:
                    self._open().head[0] = head[0]
                    self.head_length = 1
                    at += 1
                    break
                first = head[0]
                second = head[1]
                if self._check_start(first, second) < 0:
                    at += 2
                    break
                need = self._head_size(second)
                if left < need:
                    memcpy(self._open().head, head, left)
                    self.head_length = <uint8_t> left
                    at += left
                    break
                at += need
            size = second & 0x7f
            if size == 126:
                size = <uint64_t> head[2] << 8 | head[3]
                if size < 126:
                    self._fail(1002, f"length {size} was written in 2 more bytes: RFC 6455 §5.2 asks for the shortest form")
                    break
            elif size == 127:
                size = self._long_size(head + 2)
                if size < 65536 or size > NO_LIMIT:
                    self._fail(1002, f"length {size} was written in 8 more bytes: RFC 6455 §5.2 asks for the shortest form, below 2**63")
                    break
            if not first & 0x08 and self._check_size(first, size) < 0:
                break
            if self.masked:
                memcpy(&mask, head + need - 4, 4)
            if size <= <uint64_t> (length - at) and (first & 0x08 or (first & 0x8f > 0x80 and not self.fragments)):
                # The whole message (or control frame) is here.
                self._whole(first, data + at, <Py_ssize_t> size, mask)
                at += <Py_ssize_t> size
            else:
                self._begin(first, size, mask)
        return at if not self.failed else length

    cdef _Partial _open(self):
        cdef _Partial partial = self.partial
        if partial is None:
            partial = _Partial.__new__(_Partial)
            self.partial = partial
        return partial

    cdef inline Py_ssize_t _head_size(self, uint8_t second):
        cdef uint8_t size = second & 0x7f
        return (2 if size < 126 else 4 if size == 126 else 10) + (4 if self.masked else 0)

    cdef inline uint64_t _long_size(self, uint8_t *data):
        cdef uint64_t size = 0
        cdef int i
        for i in range(8):
            size = size << 8 | data[i]
        return size

    cdef object _fail(self, int code, object reason):
        self.release()
        self.sink.on_violation(code, reason)

    cdef int _check_start(self, uint8_t first, uint8_t second) except -1:
        """What the first two bytes of a frame can break (RFC 6455 §5.2, §5.4, §5.5)."""
        cdef uint8_t opcode = first & 0x0f
        cdef bint good
        if self.rsv1:
            # RFC 7692 §6: RSV1 belongs to the first frame of a data message.
            good = not first & 0x30 and (not first & 0x40 or opcode == 1 or opcode == 2)
        else:
            good = not first & 0x70
        if not good:
            self._fail(1002, f"reserved bits {first >> 4 & 7:03b} are set: no extension was agreed that uses them here")
            return -2
        if (second & 0x80 != 0) != self.masked:
            self._fail(
                1002,
                "frame is not masked: a client must mask (RFC 6455 §5.1)"
                if self.masked
                else "frame is masked: a server must not mask (RFC 6455 §5.1)",
            )
            return -2
        if opcode & 0x08:
            if opcode > 10:
                self._fail(1002, f"unknown opcode {opcode}")
                return -2
            if not first & 0x80:
                self._fail(1002, "control frame is fragmented (RFC 6455 §5.5)")
                return -2
            if second & 0x7f > 125:
                self._fail(1002, "control frame is longer than 125 bytes (RFC 6455 §5.5)")
                return -2
        elif opcode > 2:
            self._fail(1002, f"unknown opcode {opcode}")
            return -2
        elif opcode == 0:
            if not self.opcode:
                self._fail(1002, "continuation frame without a message to continue (RFC 6455 §5.4)")
                return -2
        elif self.opcode:
            self._fail(1002, "new message inside a fragmented message (RFC 6455 §5.4)")
            return -2
        return 0

    cdef int _check_size(self, uint8_t first, uint64_t length) except -1:
        """Compared as 64-bit numbers, without a sum that could overflow."""
        cdef _Partial partial = self.partial
        cdef uint64_t before = 0
        cdef uint64_t limit = self.max_size
        if partial is not None:
            before = partial.delivered + <uint64_t> partial.message_length
        if first & 0x40 or (not first & 0x0f and self.compressed):
            # See COMPRESSED_EXTRA of the twin. max_size is below 2**63, so the sum fits.
            limit += (limit >> 3) + COMPRESSED_EXTRA
        if before > limit or length > limit - before:
            self._fail(1009, f"message of {int(before) + int(length)} bytes or more exceeds the limit of {self.max_size} bytes")
            return -2
        return 0

    cdef object _whole(self, uint8_t first, uint8_t *data, Py_ssize_t length, uint32_t mask):
        """A frame that lies whole in the buffer: a control frame, or a message of one frame."""
        cdef object result
        cdef uint8_t opcode = first & 0x0f
        if self.partial is not None and not self.opcode:
            self.partial = None  # it held the beginning of this frame's head
        if opcode == 1 and not first & 0x40:
            if mask:
                _xor(data, data, length, mask)
            try:
                result = PyUnicode_DecodeUTF8(<char *> data, length, NULL)
            except UnicodeDecodeError as exc:
                self._fail(1007, CUT_TEXT if exc.reason == "unexpected end of data" else BAD_TEXT)
                return None
            self.sink.on_text(result)
            return None
        result = PyBytes_FromStringAndSize(NULL, length)
        _xor(<uint8_t *> PyBytes_AS_STRING(result), data, length, mask)
        if opcode & 0x08:
            self.sink.on_control(opcode, result)
        elif first & 0x40:
            self.sink.on_compressed(opcode, result)
        else:
            self.sink.on_binary(result)

    cdef object _begin(self, uint8_t first, uint64_t length, uint32_t mask):
        """A frame whose payload is still on the way, or that is one of several."""
        cdef uint8_t opcode = first & 0x0f
        cdef _Partial partial = self._open()
        partial.frame = first
        partial.remaining = length
        partial.mask = mask
        self.in_payload = True
        if opcode & 0x08:
            # Control frames are short: they wait for their last byte beside the message.
            partial.control = bytearray()
        elif opcode:
            self.opcode = opcode
            self.compressed = first & 0x40 != 0
            self.started = False
            partial.utf8 = 0
        if length == 0:
            self._end(partial)

    cdef object _take(self, _Partial partial, uint8_t *data, Py_ssize_t length):
        """Payload bytes from the caller's buffer, still masked."""
        cdef uint8_t *target
        if partial.frame & 0x08:
            _xor(data, data, length, partial.mask)
            partial.mask = _rotate(partial.mask, length)
            partial.control += (<char *> data)[:length]
            partial.remaining -= <uint64_t> length
            if partial.remaining == 0:
                self._end(partial)
            return None
        self._room(partial, length)
        target = <uint8_t *> PyBytes_AS_STRING(partial.message) + partial.message_length
        memcpy(target, data, length)
        if self._arrived(partial, target, length) == 0 and partial.remaining == 0:
            self._end(partial)

    cdef object _room(self, _Partial partial, Py_ssize_t length):
        """Make ``message`` large enough; it doubles, up to what the frame announces."""
        cdef Py_ssize_t need = partial.message_length + length
        cdef Py_ssize_t have, goal
        cdef PyObject *moved
        if partial.message is None:
            goal = need if need > FIRST_ROOM else FIRST_ROOM
            if partial.remaining < <uint64_t> goal:
                goal = <Py_ssize_t> partial.remaining
            partial.message = PyBytes_FromStringAndSize(NULL, goal if goal > need else need)
            return None
        have = PyBytes_GET_SIZE(partial.message)
        if need <= have:
            return None
        goal = 2 * have
        if partial.frame & 0x80 and partial.remaining < <uint64_t> (goal - partial.message_length):
            goal = partial.message_length + <Py_ssize_t> partial.remaining
        if goal < need:
            goal = need
        # The object is ours alone, so it may be moved: its one reference is taken out and put back.
        message = partial.message
        partial.message = None
        moved = <PyObject *> message
        Py_INCREF(moved)
        message = None
        try:
            _PyBytes_Resize(&moved, goal)
        except MemoryError:
            # What had arrived is gone, and with it the place of the bytes to come.
            self.release()
            raise
        partial.message = <object> moved
        Py_DECREF(moved)

    cdef int _arrived(self, _Partial partial, uint8_t *data, Py_ssize_t length) except -1:
        """Unmask and check ``length`` new bytes at the end of ``message``."""
        if partial.mask:
            _xor(data, data, length, partial.mask)
            partial.mask = _rotate(partial.mask, length)
        if self.opcode == 1 and not self.compressed:
            partial.utf8 = _utf8_check(partial.utf8, data, length)
            if partial.utf8 == 0xffffffff:
                self._fail(1007, BAD_TEXT)
                return -2
        partial.message_length += length
        partial.remaining -= <uint64_t> length
        return 0

    cpdef object fill_buffer(self):
        cdef Py_ssize_t room
        cdef _Partial partial = self.partial
        if not self.in_payload:
            return None
        partial.offered = 0
        if partial.frame & 0x08 or partial.remaining < READ_DIRECT or self.paused or self.failed:
            return None
        self._room(partial, <Py_ssize_t> READ_DIRECT if partial.remaining > <uint64_t> FIRST_ROOM else <Py_ssize_t> partial.remaining)
        room = PyBytes_GET_SIZE(partial.message) - partial.message_length
        if <uint64_t> room > partial.remaining:
            room = <Py_ssize_t> partial.remaining
        partial.offered = room
        return PyMemoryView_FromMemory(PyBytes_AS_STRING(partial.message) + partial.message_length, room, PyBUF_WRITE)

    cpdef object filled(self, Py_ssize_t count):
        cdef uint8_t *data
        cdef _Partial partial = self.partial
        if partial is None or count < 0 or count > partial.offered or partial.message is None:
            raise UsageError(f"{count} bytes were put into memory that was not offered")
        partial.offered = 0
        data = <uint8_t *> PyBytes_AS_STRING(partial.message) + partial.message_length
        if self._arrived(partial, data, count) == 0 and partial.remaining == 0:
            self._end(partial)

    cdef object _end(self, _Partial partial):
        """The last byte of a frame that did not lie whole in the buffer."""
        cdef object payload
        cdef uint8_t opcode = partial.frame & 0x0f
        cdef bint fin = partial.frame & 0x80 != 0
        cdef bint compressed
        self.in_payload = False
        if opcode & 0x08:
            payload = bytes(partial.control)
            partial.control = None
            if not self.opcode:
                self.partial = None
            self.sink.on_control(opcode, payload)
            return None
        if not fin and not self.fragments:
            return None
        opcode = self.opcode
        compressed = self.compressed
        if fin and opcode == 1 and partial.utf8:
            self._fail(1007, CUT_TEXT)
            return None
        partial.delivered += <uint64_t> partial.message_length
        payload = self._taken(partial)
        if fin:
            self.opcode = 0
            self.partial = None
        if self.fragments or self.started:
            # Only the first piece carries the opcode, as on the wire.
            if self.started:
                opcode = 0
            self.started = not fin
            self.sink.on_fragment(opcode, payload, fin, compressed)
        elif compressed:
            self.sink.on_compressed(opcode, payload)
        elif opcode == 1:
            self.sink.on_text(PyUnicode_DecodeUTF8(PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload), NULL))
        else:
            self.sink.on_binary(payload)

    cdef object _taken(self, _Partial partial):
        """The message as it stands, cut to its length."""
        cdef object message = partial.message
        cdef PyObject *moved
        cdef Py_ssize_t length = partial.message_length
        partial.message = None
        partial.message_length = 0
        if message is None:
            return b""
        if length != PyBytes_GET_SIZE(message):
            moved = <PyObject *> message
            Py_INCREF(moved)
            message = None
            _PyBytes_Resize(&moved, length)
            message = <object> moved
            Py_DECREF(moved)
        return message

    cpdef object release(self):
        self.failed = True
        self.in_payload = False
        self.partial = None


# --- writing ------------------------------------------------------------------------------------


cdef class Output:
    def __dealloc__(self):
        free(self.buffer)

    def __len__(self):
        return self.size()

    cpdef Py_ssize_t size(self):
        return self.stop - self.start + self.tail_length

    cdef uint8_t *reserve(self, Py_ssize_t count) except NULL:
        """Memory for ``count`` more bytes; the caller writes all of them."""
        cdef Py_ssize_t goal
        cdef uint8_t *grown
        if self.tail is not None:
            self._fold()
        if self.start == self.stop:
            self.start = self.stop = 0
        if self.start and self.stop + count > self.capacity and self.start >= self.capacity // 2:
            # Most of it is sent: what is left moves to the front, lest a peer that is always a
            # little behind makes this grow for ever.
            memmove(self.buffer, self.buffer + self.start, self.stop - self.start)
            self.stop -= self.start
            self.start = 0
        if self.stop + count > self.capacity:
            goal = self.capacity * 2 if self.capacity else 512
            if goal < self.stop + count:
                goal = self.stop + count
            grown = <uint8_t *> realloc(self.buffer, goal)
            if grown == NULL:
                raise MemoryError(f"no memory for {goal} bytes of output")
            self.buffer = grown
            self.capacity = goal
        grown = self.buffer + self.stop
        self.stop += count
        return grown

    cdef object _fold(self):
        """Copy the payload kept by reference behind the other bytes."""
        cdef object tail = self.tail
        cdef uint8_t *target
        self.tail = None
        try:
            target = self.reserve(self.tail_length)
        except MemoryError:
            # Its head is written already: without it the peer would take what follows for it.
            self.tail = tail
            raise
        memcpy(target, self.tail_data, self.tail_length)
        self.tail_length = 0

    cdef uint8_t *_head(self, uint8_t first, Py_ssize_t length, bint masked, Py_ssize_t room) except NULL:
        """Write a frame's first bytes in the shortest form; ``room`` more are reserved behind."""
        cdef uint8_t *target
        cdef uint8_t bit = 0x80 if masked else 0
        cdef int i
        if length < 126:
            target = self.reserve(2 + room)
            target[1] = bit | <uint8_t> length
            target[0] = first
            return target + 2
        if length < 65536:
            target = self.reserve(4 + room)
            target[1] = bit | 126
            target[2] = <uint8_t> (length >> 8)
            target[3] = <uint8_t> length
            target[0] = first
            return target + 4
        target = self.reserve(10 + room)
        target[0] = first
        target[1] = bit | 127
        for i in range(8):
            target[2 + i] = <uint8_t> (<uint64_t> length >> (56 - 8 * i))
        return target + 10

    cdef object frame_pointer(self, uint8_t first, const uint8_t *data, Py_ssize_t length, object key):
        """One frame, its payload copied (and masked, with a key)."""
        cdef uint8_t *target
        cdef uint32_t word
        if key is None:
            target = self._head(first, length, False, length)
            memcpy(target, data, length)
            return None
        word = _mask_word(key)
        target = self._head(first, length, True, 4 + length)
        memcpy(target, &word, 4)
        _xor(target + 4, data, length, word)

    cpdef object frame(self, int first, object payload, object key=None):
        cdef Py_buffer view
        cdef const char *text
        cdef Py_ssize_t length
        if isinstance(payload, str):
            text = PyUnicode_AsUTF8AndSize(payload, &length)
            if key is None and length >= BY_REFERENCE:
                self._refer(<uint8_t> first, payload, <const uint8_t *> text, length)
            else:
                self.frame_pointer(<uint8_t> first, <const uint8_t *> text, length, key)
            return None
        if type(payload) is bytes:
            length = PyBytes_GET_SIZE(payload)
            if key is None and length >= BY_REFERENCE:
                self._refer(<uint8_t> first, payload, <const uint8_t *> PyBytes_AS_STRING(payload), length)
            else:
                self.frame_pointer(<uint8_t> first, <const uint8_t *> PyBytes_AS_STRING(payload), length, key)
            return None
        PyObject_GetBuffer(payload, &view, PyBUF_SIMPLE)
        try:
            self.frame_pointer(<uint8_t> first, <const uint8_t *> view.buf, view.len, key)
        finally:
            PyBuffer_Release(&view)

    cdef object _refer(self, uint8_t first, object payload, const uint8_t *data, Py_ssize_t length):
        """One frame of an object that cannot change: it stays where it lies until it is sent."""
        self._head(first, length, False, 0)
        self.tail = payload
        self.tail_data = data
        self.tail_length = length

    cpdef object append(self, object data):
        cdef Py_buffer view
        PyObject_GetBuffer(data, &view, PyBUF_SIMPLE)
        try:
            # Room for nothing may be no memory at all, which would be taken for an error.
            if view.len:
                memcpy(self.reserve(view.len), view.buf, view.len)
        finally:
            PyBuffer_Release(&view)

    cpdef object take(self):
        cdef Py_ssize_t length = self.stop - self.start
        cdef object result = PyBytes_FromStringAndSize(NULL, length + self.tail_length)
        cdef uint8_t *target = <uint8_t *> PyBytes_AS_STRING(result)
        if length:
            memcpy(target, self.buffer + self.start, length)
        if self.tail_length:
            memcpy(target + length, self.tail_data, self.tail_length)
        self.clear()
        return result

    cpdef object clear(self):
        self.start = self.stop = 0
        self.tail = None
        self.tail_length = 0
        if self.capacity > KEEP_ROOM:
            free(self.buffer)
            self.buffer = NULL
            self.capacity = 0


cdef class MaskKeys:
    def __init__(self, entropy):
        self.entropy = entropy

    cpdef object next(self):
        cdef Py_ssize_t at = self.position
        cdef object pool = self.pool
        if pool is None or at + 4 > PyBytes_GET_SIZE(pool):
            pool = self.entropy(256)
            if not isinstance(pool, bytes) or len(pool) < 4:
                raise UsageError("the source of masking keys must return the bytes it is asked for")
            self.pool = pool
            at = 0
        self.position = at + 4
        return PyBytes_FromStringAndSize(PyBytes_AS_STRING(pool) + at, 4)

    cpdef object forget(self):
        self.pool = None
