"""Types for compiling dispatcher.py."""

from ..engineio.channel cimport Channel, SessionHandler
from .core cimport Core
from .handlers cimport Handler, Routes
from .stepper cimport clock
from .packets cimport Head, check_event, parse_head
from .party cimport Party, is_coroutine
from .values cimport check_depth, decode_json, insert_binary, is_json


cdef class Dispatcher(SessionHandler):
    cdef readonly Core hub
    cdef readonly Channel session
    cdef object assembler
    cdef object waiting
    cdef list rates
    cdef object throttle
    cdef readonly int pending
    cdef readonly bint exact
    cdef readonly unsigned char protocol

    cdef str _read_old(self, str text)
    cpdef Party find(self, str namespace)
    cpdef object receive_other(self, int kind, str namespace, long long id, object data)
    cpdef object stray(self, str namespace)
    cpdef object unhandled(self, Party party, long long ack)
    cpdef object finish(self, Party party, str reason)
    cpdef object finish_in_turn(self, Party party, str reason)
    cpdef bint may_run(self, Party party) except -1
    cpdef object kept_early(self, Py_ssize_t count)
    cdef object _receive(self, int kind, Head head, str text, list attachments)
    cdef object _decode(self, str text)
    cdef object _receive_message(self, object message)
    cdef object _receive_event(
        self, Party party, long long ack, str text, Py_ssize_t offset, list attachments
    )
    cdef bint _is_unread(
        self, Party party, Routes routes, str text, Py_ssize_t offset, list attachments
    ) except -1
    cdef object _receive_decoded(self, Party party, object name, list data, long long ack)
    cdef object _refuse_payload(self, Party party, object exc, long long ack)
    cdef object _call(self, Party party, Handler handler, object name, list data, long long ack)
    cpdef object dispatch(self, Party party, Handler handler, list data, long long ack)
    cpdef object pause(self)
    cdef object _start(self, Party party, Handler handler, list data, long long ack)
    cdef object _suspended(self, Party party, Handler handler, long long ack, object task)
    cdef object _blame(self, Handler handler, double began)
    cpdef object answer(self, Party party, Handler handler, long long ack, object result)
    cpdef object _finished(self, Party party, Handler handler, long long ack, object task)
    cpdef object worked(self, int count)
    cpdef object go_on(self)
    cpdef object fail(self, object exc)
    cdef bint _admit(self, Py_ssize_t size) except -1
    cpdef object _catch_up(self)
    cpdef object let_go(self)
