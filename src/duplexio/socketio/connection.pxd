"""Types for compiling connection.py."""

from ..engineio.channel cimport SessionHandler
from ..engineio.session cimport Session
from .client cimport Client
from .handlers cimport Handler, Routes
from .hub cimport Hub
from .packets cimport Head


cdef class Connection(SessionHandler):
    cdef readonly Hub hub
    cdef readonly Session session
    cdef readonly Client root
    cdef readonly dict others
    cdef object assembler
    cdef object waiting
    cdef list rates
    cdef public double due
    cdef public long slot
    cdef readonly int pending
    cdef public int place
    cdef readonly unsigned char protocol

    cpdef Client find(self, str namespace)
    cpdef list clients(self)
    cdef object _receive(self, int kind, Head head, str text, list attachments)
    cdef object _decode(self, str text)
    cdef object _receive_message(self, object message)
    cdef object _receive_other(self, int kind, str namespace, long long id, object data)
    cdef object _stray(self, str namespace)
    cdef object _receive_event(
        self, Client client, long long ack, str text, Py_ssize_t offset, list attachments
    )
    cdef object _receive_decoded(
        self, Client client, object name, list data, long long ack
    )
    cdef object _refuse_payload(self, Client client, object exc, long long ack)
    cdef object _call(self, Client client, Handler handler, object name, list data, long long ack)
    cpdef object dispatch(self, Client client, Handler handler, list data, long long ack)
    cdef object _pause(self)
    cdef object _start(self, Client client, Handler handler, list data, long long ack)
    cdef object _suspended(self, Client client, Handler handler, long long ack, object task)
    cdef object _blame(self, Handler handler, double began)
    cdef object _acknowledge(self, Client client, Handler handler, long long ack, object result)
    cpdef object _finished(self, Client client, Handler handler, long long ack, object task)
    cpdef object _next(self)
    cpdef object connect(self, str namespace, object auth)
    cdef object _make_sid(self, str namespace)
    cpdef object _connected(self, Client client, object task)
    cdef object _judge(self, Client client, object verdict)
    cdef object _accept(self, Client client)
    cdef object _not_connected(self, Client client, object exc)
    cdef object _refuse(self, str namespace, object exc)
    cdef object _expect_connect(self)
    cdef object _cancel_timer(self)
    cpdef object leave(self, Client client, str reason)
    cdef object _end(self, Client client, str reason)
    cpdef object _ended(self, Client client, object task)
    cdef object _forget_name(self, Client client)
    cdef object _forget(self, Client client)
    cpdef object fail(self, object exc)
    cdef bint _admit(self, Py_ssize_t size) except -1
