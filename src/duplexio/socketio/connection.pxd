"""Types for compiling connection.py."""

from .client cimport Client
from .dispatcher cimport Dispatcher
from .hub cimport Hub
from .party cimport Party


cdef class Connection(Dispatcher):
    cdef readonly Hub server_hub
    cdef readonly Client root
    cdef readonly dict others
    cdef public double due
    cdef public long slot
    cdef public int place

    cpdef list clients(self)
    cpdef object connect(self, str namespace, object auth)
    cdef object _know(self, Client client, object auth)
    cdef object _make_sid(self, str namespace)
    cpdef object _connected(self, Client client, object task)
    cdef object _judge(self, Client client, object verdict)
    cdef object _accept(self, Client client)
    cdef object _not_connected(self, Client client, object exc)
    cdef object _refuse(self, str namespace, object exc)
    cdef object _expect_connect(self)
    cdef object _cancel_timer(self)
    cpdef object dismiss(self, Client client)
    cpdef object leave(self, Client client, str reason)
    cpdef object _ended(self, Client client, object task)
    cdef object _forget_name(self, Client client)
    cdef object _forget(self, Client client)
