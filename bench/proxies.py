"""Two real proxies (nginx) with certificates and names for many customers, each of which can be broken.

They listen at addresses of the internet, which only a network of one's own can have (`bench.rota` makes one).
"""

from __future__ import annotations

import datetime
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dev.servers.packages import require
from dev.servers.process import ServerProcess

PLACES = ("9.1.1.1", "9.2.2.2")
ZONES = ("blue.example", "green.example")
LIFE = 90  # days of a certificate
NOBODY = "127.0.0.1:1"  # where nothing listens
_CONFIG = """
daemon off; pid {folder}/pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off; map_hash_bucket_size 128; variables_hash_max_size 4096; map_hash_max_size 8192;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5; proxy_connect_timeout 2s;
  map $host $upstream {{ include {folder}/hosts.map; }}
  map $host $loops {{ default ""; include {folder}/loops.map; }}
{servers}
}}
"""
_SERVER = """
  server {{
    listen {place}:443 ssl; server_name *.{zone};
    ssl_certificate {folder}/{zone}.pem; ssl_certificate_key {folder}/{zone}.key;
    location / {{
      if ($loops) {{ return 302 https://$host$request_uri; }}
      proxy_pass http://$upstream; proxy_set_header Host $host;
    }}
  }}
"""


@dataclass(frozen=True)
class Site:
    """One customer's way: his name, the proxy it leads to, and where his instance listens."""

    name: str
    place: str
    upstream: str
    host: int

    @property
    def zone(self) -> str:
        return self.name.partition(".")[2]


class Authority:
    """Signs certificates."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
        self.certificate = self._sign(
            self._name, self._key.public_key(), 3650, 3650, x509.BasicConstraints(True, None)
        )

    def write(self, file: Path, names: list[str], days_left: float) -> None:
        """A certificate for these names that ends in so many days, with its key beside it."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, names[0])])
        names_in = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = self._sign(subject, key.public_key(), days_left, LIFE, names_in)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        file.with_suffix(".key").write_bytes(key.private_bytes(*form))
        file.with_suffix(".pem").write_bytes(certificate)

    def _sign(
        self,
        subject: x509.Name,
        key: ec.EllipticCurvePublicKey,
        left: float,
        life: float,
        says: x509.ExtensionType,
    ) -> bytes:
        ends = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=left)
        builder = x509.CertificateBuilder(self._name, subject, key, x509.random_serial_number())
        builder = builder.not_valid_before(ends - datetime.timedelta(days=life)).not_valid_after(ends)
        signed = builder.add_extension(says, isinstance(says, x509.BasicConstraints)).sign(
            self._key, hashes.SHA256()
        )
        return signed.public_bytes(serialization.Encoding.PEM)


class Proxy:
    """An nginx at one address."""

    def __init__(self, folder: Path, place: str, sites: list[Site], authority: Authority) -> None:
        self.place, self.sites, self._folder, self._authority = place, sites, folder, authority
        folder.mkdir()
        self.upstreams = {site.name: site.upstream for site in sites}
        self.loops: set[str] = set()
        servers = [_SERVER.format(place=place, zone=zone, folder=folder) for zone in ZONES]
        (folder / "conf").write_text(_CONFIG.format(folder=folder, servers="".join(servers)))
        self.write()
        for zone in ZONES:
            self.certify(zone, authority)
        self.start()

    def write(self) -> None:
        pairs = [f"{name} {upstream};" for name, upstream in self.upstreams.items()]
        (self._folder / "hosts.map").write_text("\n".join(pairs))
        (self._folder / "loops.map").write_text("\n".join(f"{name} 1;" for name in self.loops))

    def certify(self, zone: str, by: Authority, days: float = LIFE, names: tuple[str, ...] = ()) -> None:
        by.write(self._folder / f"{zone}.pem", list(names or (f"*.{zone}",)), days)

    def copy_of(self, other: Proxy, zone: str) -> None:
        """Show the same certificate as another one."""
        for kind in ("pem", "key"):
            shutil.copy(other._folder / f"{zone}.{kind}", self._folder / f"{zone}.{kind}")

    def start(self) -> None:
        command = [require("nginx", "nginx-light", "nginx"), "-c", str(self._folder / "conf")]
        self._server = ServerProcess(f"nginx at {self.place}", command, self._folder / "log")
        self._server.wait_until(self._listens)

    def _listens(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex((self.place, 443)) == 0

    def stop(self) -> None:
        self._server.stop()

    def reload(self) -> None:
        self.write()
        os.kill(self._server.pid, signal.SIGHUP)

    def signal(self, number: signal.Signals) -> None:
        """To all of its processes."""
        os.killpg(self._server.pid, number)


@dataclass
class Names:
    """What the name server says; written to its file with each change."""

    file: Path
    known: dict[str, object] = field(default_factory=dict)

    def say(self, **otherwise: object) -> None:
        draft = self.file.with_suffix(".draft")
        draft.write_text(json.dumps({**self.known, **otherwise}))
        draft.rename(self.file)


@contextmanager
def proxies(folder: Path, sites: list[Site], authority: Authority) -> Iterator[list[Proxy]]:
    places = sorted({site.place for site in sites})
    found = [
        Proxy(folder / place, place, [site for site in sites if site.place == place], authority)
        for place in places
    ]
    try:
        yield found
    finally:
        for proxy in found:
            proxy.stop()
