"""C-level interface of stepper.pyx."""

cpdef double clock()
cpdef Py_ssize_t references(object value)
cpdef Py_ssize_t weak_references(object value) except -1


cdef class Stepper:
    cdef readonly bint suspended
    cdef readonly object context

    cpdef object start(self, object coroutine)

