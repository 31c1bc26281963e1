"""Types for compiling client_space.py."""

from ..engineio.channel cimport Channel
from .core cimport Core
from .handlers cimport Routes
from .party cimport Party


cdef class ClientHub(Core):
    cdef readonly object registry
    cdef readonly Py_ssize_t max_early
    cdef readonly object wall_clock
    cdef readonly dict spaces
    cdef public str offline
    cdef public int retries
    cdef public object ack_timeout
    cdef public bint recovery
    cdef public str delivery
    cdef readonly object budget
    cdef readonly set tasks

    cpdef object run(self, object coroutine)


cdef class Space(Party):
    cdef readonly ClientHub client_hub
    cdef readonly object connection
    cdef readonly Channel session
    cdef readonly object outbox
    cdef readonly object reliable
    cdef readonly str pid
    cdef readonly str offset
    cdef str new_offset
    cdef int kind
    cdef readonly bint recovered
    cdef public object refusal
    cdef public Routes known_routes
    cdef object timer

    cpdef long long emit(self, list data, object callback=*, bint volatile=*) except -2
    cpdef object emit_packet(self, object packet, bint volatile)
    cpdef object check_size(self, object packet)
    cdef long long _emit_reliably(self, list data, object callback) except -2
    cpdef bint is_congested(self) except -1
    cdef object _drop(self, object callback)
    cpdef object forget(self, long long id)
    cpdef object pump(self)
    cdef object _arm(self)
    cdef object _give_up_ids(self, object ids, str why)
    cdef object _send_kept(self, object packet, long long id)
    cpdef object connect_payload(self, object auth)
    cpdef object begin(self, object connection, Channel session)
    cpdef object connected(self, str sid, object pid, object window)
    cpdef object lost(self, str why)
    cdef bint _is_retried(self, long long id)
    cpdef object leave(self, str why)
    cpdef object say_goodbye(self)
