"""TLS trusts whom it is told to, proves us by the certificate it is given, and sends nothing to anybody else."""

import os
import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption

from refresher import tls
from refresher.core.errors import TransportError, UnreadableReferenceError
from refresher.core.model import Channel, HttpRequest
from refresher.http import REFUSED
from tests.fakes.authority import Authority
from tests.fakes.peer import peer


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path / "ca")


def request(server):
    return HttpRequest(url=server.url(scheme="https"), body=b"client_secret=s")


async def test_a_certificate_of_the_file_is_trusted(wired, authority):
    async with peer(tls=authority.server()) as server:
        reply = await wired(channel=Channel(ca_file=authority.ca_file)).send(request(server))

    assert reply.status == 200


UNTRUSTED = {
    "unknown authority": {},
    "another host": {"host": "127.0.0.2"},
    "expired": {"until": timedelta(days=-1)},
}


@pytest.mark.fault("F45")
@pytest.mark.parametrize("fault", UNTRUSTED)
@pytest.mark.answer("V37")
@pytest.mark.leak("L24")
async def test_a_certificate_that_is_not_trusted_gets_no_request(wired, authority, fault, measured):
    channel = None if fault == "unknown authority" else Channel(ca_file=authority.ca_file)
    async with peer(tls=authority.server(**UNTRUSTED[fault])) as server:
        with pytest.raises(TransportError) as caught:
            await wired(channel=channel).send(request(server))

    measured(f"{fault}: {len(server.read)} bytes of the request")
    assert (caught.value.why, caught.value.sent) == ("TLS: certificate not trusted", False)
    assert (server.connections, server.requests) == (0, [])


@pytest.mark.fault("F45")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # naming old versions warns: it is what is tested
@pytest.mark.parametrize("version", ["TLSv1", "TLSv1_1"])
@pytest.mark.leak("L24")
async def test_tls_before_1_2_gets_no_request(wired, authority, version, measured):
    context = authority.server()
    context.set_ciphers("DEFAULT@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
    wire = wired(channel=Channel(ca_file=authority.ca_file))
    async with peer(tls=context) as server:
        with pytest.raises(TransportError) as caught:
            await wire.send(request(server))

    measured(f"{version}: {len(server.read)} bytes of the request")
    assert caught.value.sent is False
    assert (server.connections, server.requests) == (0, [])
    assert (wire._tls.minimum_version, wire._tls.keylog_filename) == (ssl.TLSVersion.TLSv1_2, None)


@pytest.mark.answer("V40")
@pytest.mark.leak("L24")
async def test_a_server_without_tls_gets_no_request(wired):
    async with peer() as server:
        with pytest.raises(TransportError) as caught:
            await wired(deadline=0.5).send(request(server))

    assert caught.value.sent is False
    assert server.requests == []


async def test_the_clients_certificate_is_shown(wired, authority):
    cert_file, key_file = authority.issue("refresher")
    channel = Channel(ca_file=authority.ca_file, cert_file=cert_file, key_file=key_file)
    async with peer(tls=authority.server(wants_client=True)) as server:
        reply = await wired(channel=channel).send(request(server))

    assert reply.status == 200


async def test_certificate_and_key_may_stand_in_one_file(wired, authority):
    cert_file, key_file = authority.issue("refresher")
    key_file.write_bytes(cert_file.read_bytes() + key_file.read_bytes())
    async with peer(tls=authority.server(wants_client=True)) as server:
        wire = wired(channel=Channel(ca_file=authority.ca_file, cert_file=key_file))
        assert (await wire.send(request(server))).status == 200


@contextmanager
def gatekeeper(context):
    """A server that shakes hands in its own thread, as it takes to say why it refuses; it never answers."""
    listener = socket.create_server(("127.0.0.1", 0))
    came = []

    def serve():
        caller, _ = listener.accept()
        with caller.dup() as below:
            with caller, suppress(ssl.SSLError):
                came.append(context.wrap_socket(caller, server_side=True))
            while below.recv(4096):  # what is not read at the end would make the kernel drop what was said
                pass

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}/", came
    finally:
        thread.join()
        listener.close()


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
@pytest.mark.parametrize("shown", ["none", "another authority's"])
async def test_a_server_that_wants_another_client_certificate_is_understood(wired, authority, tmp_path, shown, version):
    channel = Channel(ca_file=authority.ca_file)
    if shown != "none":
        cert_file, key_file = Authority(tmp_path / "other", "another").issue("refresher")
        channel = Channel(ca_file=authority.ca_file, cert_file=cert_file, key_file=key_file)
    context = authority.server(wants_client=True)
    context.maximum_version = version
    with gatekeeper(context) as (url, came), pytest.raises(TransportError) as caught:
        await wired(channel=channel).send(HttpRequest(url=url, body=b"client_secret=s"))

    assert caught.value.why == REFUSED
    assert came == []


@dataclass
class Files:
    """What a channel is made of; each fault spoils one of them."""

    authority: Authority
    ca_file: Path
    cert_file: Path
    key_file: Path | None


def nowhere(files):
    files.ca_file = files.ca_file.with_name("nowhere.pem")
    return f"ca_file {files.ca_file}: there is no such file"


def below_a_file(files):
    files.ca_file = files.key_file / "ca.pem"
    return f"ca_file {files.ca_file}: there is no such file"


def a_ring(files):
    files.ca_file = files.ca_file.with_name("ring")
    files.ca_file.symlink_to(files.ca_file)
    return f"ca_file {files.ca_file}: it cannot be read"


def a_pipe(files):
    files.ca_file = files.ca_file.with_name("pipe")
    os.mkfifo(files.ca_file)
    return f"ca_file {files.ca_file}: this is no regular file"


def no_certificate(files):
    files.ca_file = files.key_file
    return f"ca_file {files.ca_file}: holds no certificates in PEM form"


def another_key(files):
    _, files.key_file = files.authority.issue("other")
    return f"key_file {files.key_file}: the private key is not that of the certificate in {files.cert_file}"


def an_open_key(files):
    files.key_file.chmod(0o640)
    return f"key_file {files.key_file}: it holds a private key and others may use it (mode 0640); run: chmod 0600"


def an_open_pair(files):
    files.key_file = None
    files.cert_file.chmod(0o604)
    return f"cert_file {files.cert_file}: it holds a private key and others may use it (mode 0604); run: chmod 0600"


def an_encrypted_key(files):
    files.authority.issue("refresher", encryption=BestAvailableEncryption(b"passphrase"))
    return f"key_file {files.key_file}: the private key is encrypted; store it without a passphrase, mode 0600"


def no_key(files):
    files.key_file = None
    return f"cert_file {files.cert_file}: this and {files.cert_file} are no certificate and its private key in PEM form"


def text(files):
    files.key_file.write_text("CANARY")
    return f"key_file {files.key_file}: this and {files.cert_file} are no certificate and its private key in PEM form"


FAULTS = [
    nowhere,
    below_a_file,
    a_ring,
    a_pipe,
    no_certificate,
    another_key,
    an_open_key,
    an_open_pair,
    an_encrypted_key,
    no_key,
    text,
]


@pytest.mark.parametrize("spoil", FAULTS)
@pytest.mark.answer("V38")
def test_a_file_that_can_not_be_used_is_told_in_one_line(authority, spoil):
    files = Files(authority, authority.ca_file, *authority.issue("refresher"))
    told = spoil(files)

    with pytest.raises(UnreadableReferenceError) as caught:
        tls.context(Channel(ca_file=files.ca_file, cert_file=files.cert_file, key_file=files.key_file))

    assert str(caught.value) == told
    assert (caught.value.__cause__, caught.value.__suppress_context__) == (None, True)


def test_a_file_that_we_may_not_read_is_told(authority, monkeypatch):
    def denied(*_args: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "open", denied)  # root, who may run this test, reads everything

    with pytest.raises(UnreadableReferenceError, match=f"user {os.geteuid()} may not read it"):
        tls.context(Channel(ca_file=authority.ca_file))


def test_a_credential_of_systemd_may_be_a_groups(authority, monkeypatch):
    cert_file, key_file = authority.issue("refresher")
    key_file.chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(key_file.parent))

    assert tls.context(Channel(cert_file=cert_file, key_file=key_file))


def test_what_is_mounted_for_a_container_has_the_modes_of_its_mounter(authority, monkeypatch):
    cert_file, key_file = authority.issue("refresher")
    key_file.chmod(0o644)
    with pytest.raises(UnreadableReferenceError, match="others may use it"):
        tls.context(Channel(cert_file=cert_file, key_file=key_file))
    monkeypatch.setattr(tls, "is_mounted", lambda path: path == key_file)  # which tests/host sees for real

    assert tls.context(Channel(cert_file=cert_file, key_file=key_file))


def test_a_context_is_made_once_and_again_when_a_file_changes(authority):
    channel = Channel(ca_file=authority.ca_file)
    first = tls.context(channel)
    again = tls.context(channel)
    authority.ca_file.write_bytes(authority.ca_file.read_bytes())

    assert again is first
    assert tls.context(channel) is not first
