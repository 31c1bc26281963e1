"""Socket.IO beside Django."""

import django
from django.conf import settings
from django.http import HttpResponse
from django.urls import path

from duplexio import socketio
from tests.deployment.socketio_apps import sio


def django_hello(request):
    return HttpResponse("hello")


urlpatterns = [path("hello", django_hello)]
if not settings.configured:
    settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="tests")
    django.setup()

from django.core.asgi import get_asgi_application  # noqa: E402 - after the setup

django_site = get_asgi_application()

#: Django is behind it, as in its documentation of ASGI.
before = socketio.ASGIApp(sio, other_asgi_app=django_site)

_beside = socketio.ASGIApp(sio)


async def routed(scope, receive, send):
    """Choose between Django and the server by the path."""
    if scope["type"] == "lifespan" or scope["path"].startswith("/socket.io/"):
        await _beside(scope, receive, send)
    else:
        await django_site(scope, receive, send)
