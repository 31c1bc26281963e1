"""C-level interface of concat.pyx."""

cpdef bytes concat(bytes head, long long number, bytes body, bytes rest=*)
