# cython: language_level=3, binding=False
"""The first steps of coroutines; see ``stepper.py`` for what it promises."""

cdef extern from *:
    """
    static Py_ssize_t count_weak(PyObject *value) {
    #if PY_VERSION_HEX < 0x030C0000
        PyObject **list = PyObject_GET_WEAKREFS_LISTPTR(value);
        return *list ? _PyWeakref_GetWeakrefCount((PyWeakReference *) *list) : 0;
    #else
        (void) value;
        return 0;
    #endif
    }

    #ifdef _WIN32
    #define WIN32_LEAN_AND_MEAN
    #include <windows.h>
    static double read_clock(void) {
        LARGE_INTEGER now, rate;
        QueryPerformanceCounter(&now);
        QueryPerformanceFrequency(&rate);
        return (double) now.QuadPart / (double) rate.QuadPart;
    }
    #else
    #include <time.h>
    static double read_clock(void) {
        struct timespec now;
        clock_gettime(CLOCK_MONOTONIC, &now);
        return (double) now.tv_sec + 1e-9 * (double) now.tv_nsec;
    }
    #endif

    /* Unlike send(), this makes no StopIteration of what a coroutine returns. */
    static PyObject *send_none(PyObject *coroutine, PyObject *context, int *suspended) {
        PyObject *result = NULL;
        *suspended = 0;
        if (PyContext_Enter(context))
            return NULL;
        *suspended = PyIter_Send(coroutine, Py_None, &result) == PYGEN_NEXT;
        if (PyContext_Exit(context))
            Py_CLEAR(result);
        return result;
    }
    """
    double read_clock() nogil
    Py_ssize_t count_weak(object value) except -1
    object send_none(object coroutine, object context, int *suspended)

cdef extern from "Python.h":
    object PyContext_CopyCurrent()
    Py_ssize_t Py_REFCNT(object value)


cpdef double clock():
    return read_clock()


cpdef Py_ssize_t references(object value):
    return Py_REFCNT(value)


cpdef Py_ssize_t weak_references(object value) except -1:
    return count_weak(value)


cdef class Stepper:
    def __cinit__(self):
        self.suspended = False
        self.context = None

    cpdef object start(self, object coroutine):
        cdef int suspended
        context = PyContext_CopyCurrent()
        result = send_none(coroutine, context, &suspended)
        self.suspended = suspended
        if suspended:
            self.context = context
        return result
