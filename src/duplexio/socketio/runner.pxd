"""Types for compiling runner.py."""

cdef object _current_task, _enter_task, _leave_task, _references
cdef bint _EAGER


cdef class Runner:
    cdef readonly object loop
    cdef public object task
    cdef list parked

    cpdef object start(self, object coroutine, bint suspends)
    cdef object _borrow(self, object coroutine)
