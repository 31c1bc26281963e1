"""Types for compiling request.py."""

cimport cython


cdef class Query:
    cdef public int protocol
    cdef public str transport
    cdef public str sid
    cdef public str script
    cdef public bint b64


@cython.locals(
    start=Py_ssize_t, stop=Py_ssize_t, equals=Py_ssize_t, length=Py_ssize_t, seen=int, bit=int,
    name=str, value=str, query=Query
)
cpdef Query parse_query(str text)
cdef object _set(Query query, int bit, str value)


cdef class HttpRequest:
    cdef readonly str method
    cdef object built_environ

    cpdef str query_string(self)
    cpdef object header(self, str name)


cdef class ScopeRequest(HttpRequest):
    cdef object given_scope


cdef class HeadRequest(HttpRequest):
    cdef public str target
    cdef public object fields
    cdef public bytes head
    cdef readonly object site
    cdef readonly object peer
    cdef readonly bint secure
    cdef object built_scope

    cdef object start(self, str method, str target, object fields, bytes head, object site,
                      object client, bint secure)
    cpdef object request(self)
    cpdef object compact(self)
    cpdef object make_scope(self)
