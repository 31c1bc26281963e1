"""nginx and HAProxy, with the configurations of the deployment guide."""

import re
import shutil
import socket
import subprocess
from contextlib import contextmanager

from tests.hosting.programs import ROOT

GUIDE = ROOT / "docs" / "guides" / "deploying.md"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Site:
    """One site of a proxy.

    Args:
        address: Of the server behind it: ``127.0.0.1:8000`` or ``unix:/path``.
        name: A name that no other site has.
        changes: What is different from the configuration in the guide.

    Attributes:
        plain: The port for HTTP.
        port: The port for HTTPS.
    """

    def __init__(self, address, name="app", changes=()):
        self.address = address
        self.name = name
        self.changes = dict(changes)
        self.plain, self.port = free_port(), free_port()

    @property
    def http(self):
        return f"https://localhost:{self.port}"

    def uri(self, path):
        return f"wss://localhost:{self.port}{path}"


def configuration(language, replacements):
    """Return a configuration of the guide, with some things replaced."""
    text = GUIDE.read_text()
    found = re.search(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert found is not None
    text = found[1]
    for old, new in replacements.items():
        assert old in text, old
        text = text.replace(old, new)
    return text


def _nginx_site(site, certificates):
    return configuration(
        "nginx",
        {
            **site.changes,
            "server 127.0.0.1:8000;": f"server {site.address};",
            "listen 80;": f"listen 127.0.0.1:{site.plain};",
            "listen 443 ssl;": f"listen 127.0.0.1:{site.port} ssl;",
            "server_name chat.example;": "server_name localhost;",
            "/etc/letsencrypt/live/chat.example/fullchain.pem": str(certificates.cert),
            "/etc/letsencrypt/live/chat.example/privkey.pem": str(certificates.key),
            "upstream app": f"upstream {site.name}",
            "http://app": f"http://{site.name}",
            "$connection_upgrade": f"$connection_upgrade_{site.name}",
        },
    )


@contextmanager
def nginx(folder, certificates, *sites):
    """Run nginx with some sites."""
    folders = "".join(
        f"{name}_temp_path {folder}/{name};\n"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    text = "\n".join(_nginx_site(site, certificates) for site in sites)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nmaster_process off;\npid {folder}/pid;\nerror_log stderr;\n"
        f"events {{}}\nhttp {{\naccess_log off;\n{folders}\n{text}\n}}\n"
    )
    assert NGINX is not None
    with _running([NGINX, "-p", str(folder), "-c", str(config), "-e", "stderr"], sites):
        yield


@contextmanager
def haproxy(folder, certificates, *sites):
    """Run HAProxy with some sites, each of which is a process of its own."""
    bundle = folder / "haproxy.pem"
    bundle.write_text(certificates.cert.read_text() + certificates.key.read_text())
    files = []
    for site in sites:
        text = configuration(
            "text",
            {
                **site.changes,
                "server app 127.0.0.1:8000": f"server app {site.address}",
                "bind :80": f"bind 127.0.0.1:{site.plain}",
                "bind :443": f"bind 127.0.0.1:{site.port}",
                "/etc/haproxy/chat.example.pem": str(bundle),
                "frontend site": f"frontend {site.name}_site",
                "default_backend app": f"default_backend {site.name}",
                "backend app": f"backend {site.name}",
            },
        )
        files.append(folder / f"{site.name}.cfg")
        files[-1].write_text(text)
    assert HAPROXY is not None
    arguments = [argument for file in files for argument in ("-f", str(file))]
    with _running([HAPROXY, "-db", "-q", *arguments], sites):
        yield


@contextmanager
def _running(command, sites):
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        for site in sites:
            _wait_until_it_accepts(process, site.port)
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


def _wait_until_it_accepts(process, port):
    while True:
        assert process.poll() is None, process.stderr.read()
        try:
            socket.create_connection(("127.0.0.1", port), timeout=5).close()
            return
        except ConnectionRefusedError:
            pass
