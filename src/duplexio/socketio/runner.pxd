"""Types for compiling runner.py."""

cimport cython

from .stepper cimport Stepper, references, weak_references

cdef dict _running
cdef bint _EAGER


cdef class Slot:
    cdef object parked
    cdef object task
    cdef object woken
    cdef Py_ssize_t weak


cdef class Runner:
    cdef readonly object loop
    cdef public object task
    cdef list slots
    cdef Stepper stepper

    cpdef object start(self, object coroutine, bint suspends)
    @cython.locals(slot=Slot, kept=Py_ssize_t, suspended=bint)
    cdef object _borrow(self, object coroutine)
