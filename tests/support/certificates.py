"""Certificate authorities of the tests' own, made with the openssl command."""

import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

_CONFIG = """
[ca]
default_ca = own
[own]
database = {folder}/index
new_certs_dir = {folder}
default_md = sha256
policy = any
serial = {folder}/serial
unique_subject = no
copy_extensions = copy
[any]
commonName = supplied
"""
_KEY = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes"
_DAY_SECONDS = 86_400.0


class Issued(NamedTuple):
    """A certificate and its key, in PEM."""

    certificate: str
    key: str

    def encrypted(self, password: str) -> "Issued":
        """Return the same with the key behind a password."""
        how = "-v2 aes-256-cbc -passout"
        return self._replace(key=_run(f"openssl pkcs8 -topk8 {how} pass:{password}", self.key))

    def put(self, folder: Path) -> "Files":
        """Write both into a folder, one after the other; return where they lie."""
        files = Files(folder / "certificate.pem", folder / "key.pem")
        files.certificate.write_text(self.certificate)
        files.key.write_text(self.key)
        return files


class Files(NamedTuple):
    """Where a certificate and its key lie."""

    certificate: Path
    key: Path


class Authority:
    """Signs what it is asked for; ``path`` is its own certificate."""

    def __init__(self, folder: Path) -> None:
        need_openssl()
        self._folder = folder
        folder.mkdir(parents=True)
        (folder / "index").touch()
        (folder / "serial").write_text("01\n")
        (folder / "config").write_text(_CONFIG.format(folder=folder))
        self.path = folder / "authority.pem"
        self._key = folder / "authority.key"
        _run(
            f"openssl req -x509 {_KEY} -days 2 -subj /CN=tests -keyout {self._key} -out {self.path}"
        )

    @property
    def certificate(self) -> str:
        """Its own certificate in PEM."""
        return self.path.read_text()

    def issue(
        self, name: str, *, seconds: float = _DAY_SECONDS, host: str = "IP:127.0.0.1"
    ) -> Issued:
        """Return a certificate for a host that is over in so many seconds, or since then."""
        key, request, made = (self._folder / f"{name}.{each}" for each in ("key", "csr", "crt"))
        address = f"-addext subjectAltName={host}"
        _run(f"openssl req {_KEY} -subj /CN={name} {address} -keyout {key} -out {request}")
        now = time.time()
        dates = f"-startdate {_date(now - 2 * _DAY_SECONDS)} -enddate {_date(now + seconds)}"
        signer = f"-config {self._folder}/config -cert {self.path} -keyfile {self._key}"
        _run(f"openssl ca -batch -notext {signer} {dates} -in {request} -out {made}")
        return Issued(made.read_text(), key.read_text())


def need_openssl() -> None:
    """Skip the test where there is no openssl command."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl command; to get it: apt-get install openssl, or the like")


def _date(seconds: float) -> str:
    return time.strftime("%Y%m%d%H%M%SZ", time.gmtime(seconds))


def _run(command: str, given: str = "") -> str:
    done = subprocess.run(command.split(), input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"
    return done.stdout
