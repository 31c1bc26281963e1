"""Socket.IO beside FastAPI, in all the ways that people put them together."""

from fastapi import FastAPI
from fastapi.middleware.gzip import GZipMiddleware

from duplexio import socketio
from tests.deployment.socketio_apps import sio


def make_fastapi():
    made = FastAPI()

    @made.get("/hello")
    async def hello() -> str:
        return "hello"

    return made


#: FastAPI is behind it, and gets all other requests.
before = socketio.ASGIApp(sio, other_asgi_app=make_fastapi())

#: FastAPI is in front, and has mounted it, at the root.
mounted = make_fastapi()
mounted.mount("/", socketio.ASGIApp(sio))

#: FastAPI is in front, with middleware, and has mounted it on a path of its own.
mounted_below = make_fastapi()
mounted_below.add_middleware(GZipMiddleware, minimum_size=100)


@mounted_below.middleware("http")
async def watch(request, call_next):
    response = await call_next(request)
    response.headers["x-watched"] = "yes"
    return response


mounted_below.mount("/below", socketio.ASGIApp(sio))

#: FastAPI is in front, and the server was attached to it.
attached = make_fastapi()
sio.attach(attached)
