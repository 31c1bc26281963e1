"""Types for compiling driver.py."""

from .connection cimport Connection, ConnectionHandler
from .kernel cimport Output
from .loopstate cimport LoopState

cdef int _OPEN, _CORK_LIMIT, _FAIR_COUNT, _NO_FD, _SECOND_WRITE, _FIRST_WRITE


cdef class Driver(ConnectionHandler):
    cdef readonly LoopState loop_state
    cdef readonly object options
    cdef public object owner
    cdef public object opening
    cdef public object head
    cdef public object subprotocol
    cdef readonly object transport
    cdef readonly Connection connection
    cdef Output pending
    cdef object backlog
    cdef public double due
    cdef double ping_sent
    cdef readonly double latency
    cdef public object complaint
    cdef object closers
    cdef int fd
    cdef public long slot
    cdef public int place
    cdef public int seat
    cdef int budget
    cdef unsigned char filling
    cdef unsigned char write_blocked
    cdef unsigned char read_paused
    cdef unsigned char hold_reading
    cdef unsigned char yielding
    cdef unsigned char closing
    cdef unsigned char lost
    cdef unsigned char was_paused
    cdef unsigned char extensions

    cdef object read(self, object data, Py_ssize_t end)
    cdef object read_done(self)
    cdef object spend(self)
    cpdef object feed(self, object data)
    cpdef object read_backlog(self)
    cdef object pause_transport(self)
    cdef object resume_transport(self)
    cdef bint cork(self)
    cdef object uncork(self)
    cdef Output out(self)
    cdef object sent(self, Output output)
    cpdef object send_raw(self, object data)
    cpdef object send_shared(self, bytes data)
    cpdef object send_alone(self, int opcode, bytes payload)
    cpdef object flush_pending(self)
    cdef object write(self, Output output)
    cdef object find_descriptor(self)
    cdef Py_ssize_t buffered(self)
    cpdef object start(self, Connection connection, object rest=*)
    cpdef object begin_close(self, int code, object reason)
    cdef object await_end(self)
    cpdef object close_transport(self)
    cdef object hand_over(self)
    cdef object finish_closing(self)
    cpdef object refuse(self)
    cpdef object abort(self)
    cpdef object check_buffered(self)
    cpdef object schedule(self, double delay)
    cpdef object on_due(self, double now, double lag)
    cdef object send_keepalive(self, double now)
    cdef object on_pong(self, object payload)
    cdef object on_close_frame(self, int code, object reason)
    cdef object on_failure(self, int code, object reason)
    cpdef object keep_response(self, object head)
    cdef object on_started(self)
    cdef object on_drained(self)
    cdef object on_lost(self, object exc)
    cpdef bint busy_sending(self)
