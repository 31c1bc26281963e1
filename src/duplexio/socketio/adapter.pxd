"""Types for compiling adapter.py."""

from ..engineio.session cimport Session
from .party cimport Party


cdef class Member(Party):
    cdef readonly Session session
    cdef public dict rooms
    cdef public object recoverable

    cpdef object deliver(self, object packet)
    cpdef object emit(self, list data, object callback=*)


cdef class Adapter:
    cdef readonly str name
    cdef readonly dict members
    cdef readonly dict rooms
    cdef public object routes
    cdef public bint kept

    cpdef object add(self, Member member)
    cpdef object remove(self, Member member)
    cpdef object join(self, Member member, object room)
    cpdef object leave(self, Member member, object room)
    cpdef object leave_all(self, Member member)
    cpdef object close_room(self, object room)
    cpdef list rooms_of(self, Member member)
    cpdef list select(self, object rooms=*, object skip_sids=*, object skip_rooms=*)
    cdef object _collect(self, object room, dict found)
    cpdef object broadcast(
        self, object packet, object rooms=*, object skip_sids=*, object skip_rooms=*
    )
