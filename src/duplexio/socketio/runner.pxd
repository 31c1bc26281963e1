"""Types for compiling runner.py."""

cimport cython

cdef object _current_task, _enter_task, _leave_task, _references
cdef bint _EAGER


cdef class Slot:
    cdef object parked
    cdef object task
    cdef object woken


cdef class Runner:
    cdef readonly object loop
    cdef public object task
    cdef list slots

    cpdef object start(self, object coroutine, bint suspends)
    @cython.locals(slot=Slot, references=Py_ssize_t, weak=Py_ssize_t, suspended=bint)
    cdef object _borrow(self, object coroutine)
