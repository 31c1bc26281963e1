"""Types for compiling handlers.py."""


cdef class Handler:
    cdef readonly object function
    cdef readonly int style
    cdef readonly int arity
    cdef readonly object payload
    cdef public bint suspends
    cdef public bint direct

    cpdef list arguments(self, object event, str namespace, str sid, list data)


cdef class Routes:
    cdef readonly dict events
    cdef public Handler fallback
    cdef public Handler connect
    cdef public Handler connect_error
    cdef public Handler disconnect
    cdef public bint typed
    cdef public tuple event_middleware
    cdef public tuple connect_middleware

    cpdef Handler find(self, object event)
