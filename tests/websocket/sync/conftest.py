"""Servers that the tests of the blocking API share."""

import ssl

import pytest
import trustme

from tests.websocket.sync.peers import echo, websockets_server


@pytest.fixture(scope="session")
def echo_url():
    with websockets_server(echo, max_size=None) as url:
        yield url


@pytest.fixture(scope="session")
def authority():
    return trustme.CA()


@pytest.fixture(scope="session")
def server_context(authority):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    return context


@pytest.fixture(scope="session")
def ca_file(authority, tmp_path_factory):
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return str(path)


@pytest.fixture(scope="session")
def secure_echo_url(server_context):
    with websockets_server(echo, ssl=server_context, max_size=None) as url:
        yield url


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch):
    for name in ("http_proxy", "https_proxy", "no_proxy", "REQUEST_METHOD"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
