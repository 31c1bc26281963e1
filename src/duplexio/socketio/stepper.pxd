"""C-level interface of stepper.pyx."""

cpdef double clock()
cpdef Py_ssize_t references(object value)


cdef class Stepper:
    cdef readonly bint suspended
    cdef readonly object context

    cpdef object start(self, object coroutine)

