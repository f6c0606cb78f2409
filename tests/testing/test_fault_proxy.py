"""What the proxy does, seen by raw sockets at both ends of it."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections.abc import Iterator

import psutil
import pytest

from openenv_gym.errors import AddressError, InvalidRequestError
from openenv_gym.testing import FaultProxy
from tests.support.waiting import wait_until

WAIT_S = 30.0
SILENCE_S = 0.2


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(WAIT_S)
        yield listener


@pytest.fixture
def proxy(listener) -> Iterator[FaultProxy]:
    with FaultProxy(f"127.0.0.1:{listener.getsockname()[1]}") as proxy:
        yield proxy


@pytest.fixture
def pair(proxy, listener) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and, through the proxy, its server."""
    client, server = connect(proxy, listener)
    with client, server:
        yield client, server


def connect(proxy: FaultProxy, listener: socket.socket) -> tuple[socket.socket, socket.socket]:
    client = socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S)
    server, _ = listener.accept()
    server.settimeout(WAIT_S)
    return client, server


def receive(sock: socket.socket, count: int) -> bytes:
    data = b""
    while len(data) < count and (more := sock.recv(count - len(data))):
        data += more
    return data


def says_nothing(sock: socket.socket) -> bool:
    sock.settimeout(SILENCE_S)
    try:
        return sock.recv(1) is None
    except TimeoutError:
        return True
    finally:
        sock.settimeout(WAIT_S)


def is_reset(proxy: FaultProxy) -> None:
    """A new connection is reset: during the connect already, or right after it."""
    with socket.socket() as sock, pytest.raises(ConnectionResetError):
        sock.settimeout(WAIT_S)
        sock.connect(("127.0.0.1", proxy.port))
        sock.recv(1)


def test_normally_it_is_as_good_as_a_direct_connection(proxy, pair):
    client, server = pair
    client.sendall(b"ask")
    assert receive(server, 3) == b"ask"
    server.sendall(b"answer")
    assert receive(client, 6) == b"answer"
    assert (proxy.passed("to_server"), proxy.passed("to_client")) == (3, 6)
    assert (proxy.accepted, proxy.open_connections) == (1, 1)


def test_much_goes_through_unchanged_in_both_directions_at_once(pair):
    data = bytes(range(256)) * 20_000
    senders = [threading.Thread(target=sock.sendall, args=(data,)) for sock in pair]
    for sender in senders:
        sender.start()
    received = [None, None]

    def take(number: int) -> None:
        received[number] = receive(pair[number], len(data))

    takers = [threading.Thread(target=take, args=(number,)) for number in (0, 1)]
    for thread in takers:
        thread.start()
    for thread in [*senders, *takers]:
        thread.join(WAIT_S)
    assert received[0] == data and received[1] == data


def test_an_end_is_passed_on_and_the_other_direction_stays_open(pair):
    client, server = pair
    client.sendall(b"last")
    client.shutdown(socket.SHUT_WR)
    assert receive(server, 99) == b"last"
    server.sendall(b"reply")
    server.close()
    assert receive(client, 99) == b"reply"


def test_a_reset_is_passed_on(pair):
    client, server = pair
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    with pytest.raises(ConnectionResetError):
        server.recv(1)


def test_a_delay_is_of_each_byte_and_order_stays(proxy, pair):
    client, server = pair
    proxy.delay(0.3, "to_server")
    began = time.monotonic()
    client.sendall(b"1")
    client.sendall(b"2")
    assert receive(server, 2) == b"12"
    assert time.monotonic() - began >= 0.3
    server.sendall(b"now")  # the other direction is not delayed
    assert receive(client, 3) == b"now"


def test_what_is_delayed_goes_at_once_when_it_heals(proxy, pair):
    client, server = pair
    proxy.delay(3600)
    client.sendall(b"late")
    assert says_nothing(server)
    proxy.heal()
    assert receive(server, 4) == b"late"


def test_a_rate_is_kept(proxy, pair):
    client, server = pair
    proxy.limit_rate(10_000, "to_client")
    began = time.monotonic()
    server.sendall(bytes(5_000))
    assert len(receive(client, 5_000)) == 5_000
    assert time.monotonic() - began >= 0.4
    proxy.limit_rate(None)
    sender = threading.Thread(target=server.sendall, args=(bytes(2_000_000),))  # more than fits
    sender.start()
    assert len(receive(client, 2_000_000)) == 2_000_000
    sender.join()


@pytest.mark.parametrize("count", [0, 1, 4, 7])
@pytest.mark.parametrize("direction", ["to_server", "to_client"])
def test_a_cut_comes_after_exactly_that_many_bytes(proxy, pair, direction, count):
    source, sink = pair if direction == "to_server" else reversed(pair)
    source.sendall(b"before")
    assert receive(sink, 6) == b"before"
    proxy.cut_after(count, direction)
    source.sendall(b"1234567")
    assert receive(sink, 99) == b"1234567"[:count]
    assert receive(source, 99) == b""


def test_a_cut_happens_once_and_to_one_connection(proxy, listener, pair):
    other_client, other_server = connect(proxy, listener)
    with other_client, other_server:
        proxy.cut_after(2, "to_server")
        pair[0].sendall(b"123")
        assert receive(pair[1], 9) == b"12"
        other_client.sendall(b"123")
        assert receive(other_server, 3) == b"123"
        wait_until(lambda: proxy.open_connections == 1)


def test_a_cut_by_reset_is_a_reset_on_both_sides(proxy, pair):
    proxy.cut_after(0, "to_server", "reset")
    pair[0].sendall(b"1")
    for sock in pair:
        with pytest.raises(ConnectionResetError):
            sock.recv(1)


def test_a_cut_by_half_close_ends_one_direction(proxy, pair):
    client, server = pair
    proxy.cut_after(2, "to_client", "half_close")
    server.sendall(b"1234")
    assert receive(client, 9) == b"12"
    client.sendall(b"still heard")
    assert receive(server, 11) == b"still heard"


def test_a_cut_into_a_black_hole_loses_nothing(proxy, pair):
    client, server = pair
    proxy.cut_after(2, "to_client", "black_hole")
    server.sendall(b"1234")
    assert receive(client, 2) == b"12"
    assert says_nothing(client)
    client.sendall(b"ask")
    assert says_nothing(server)
    proxy.heal()
    assert receive(client, 2) == b"34"
    assert receive(server, 3) == b"ask"


def test_a_black_hole_holds_bytes_ends_and_new_connections(proxy, pair):
    proxy.black_hole()
    client, server = pair
    client.sendall(b"held")
    client.shutdown(socket.SHUT_WR)
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=WAIT_S) as new:
        new.sendall(b"held too")
        assert says_nothing(server)
        assert says_nothing(new)
        proxy.heal()
        assert receive(server, 9) == b"held"


def test_a_black_hole_of_one_direction_leaves_the_other(proxy, pair):
    client, server = pair
    proxy.black_hole("to_client")
    client.sendall(b"ask")
    assert receive(server, 3) == b"ask"
    server.sendall(b"answer")
    assert says_nothing(client)


def test_a_sender_into_a_black_hole_has_to_wait_instead_of_filling_memory(proxy, pair):
    client, _ = pair
    proxy.black_hole("to_server")
    client.settimeout(0.5)
    before = psutil.Process().memory_info().rss
    with pytest.raises(TimeoutError):
        client.sendall(bytes(256 << 20))
    client.settimeout(WAIT_S)
    # The test's own 256 MB were freed; what the proxy holds is one MiB and the kernel's buffers.
    assert psutil.Process().memory_info().rss - before < 64 << 20


def test_cut_now_closes_and_reset_now_resets(proxy, listener, pair):
    proxy.cut()
    assert [receive(sock, 1) for sock in pair] == [b"", b""]
    assert proxy.open_connections == 0
    client, server = connect(proxy, listener)
    with client, server:
        proxy.reset()
        for sock in (client, server):
            with pytest.raises(ConnectionResetError):
                sock.recv(1)


def test_a_cut_with_bytes_on_their_way_is_an_end_and_no_reset(proxy, pair):
    proxy.black_hole()
    pair[0].sendall(b"unread")
    assert says_nothing(pair[1])  # and meanwhile it has come to the proxy
    proxy.cut()
    assert [receive(sock, 1) for sock in pair] == [b"", b""]


def test_a_half_close_now_ends_one_direction(proxy, pair):
    client, server = pair
    proxy.half_close("to_client")
    assert receive(client, 1) == b""
    client.sendall(b"ask")
    assert receive(server, 3) == b"ask"
    server.sendall(b"nobody hears this")
    client.sendall(b"more")
    assert receive(server, 4) == b"more"


def test_refused_connections_are_reset_until_it_heals(proxy, listener, pair):
    proxy.refuse()
    is_reset(proxy)
    pair[0].sendall(b"lives")
    assert receive(pair[1], 5) == b"lives"
    proxy.heal()
    client, server = connect(proxy, listener)
    with client, server:
        client.sendall(b"hello")
        assert receive(server, 5) == b"hello"


def test_without_a_server_a_connection_is_reset(listener):
    port = listener.getsockname()[1]
    listener.close()
    with FaultProxy(f"http://127.0.0.1:{port}") as proxy:
        is_reset(proxy)


def open_sockets() -> set[str]:
    """Those of this process, each with a name that no other one has."""
    names = set()
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # that of the folder itself
            names.add(os.readlink(f"/proc/self/fd/{descriptor}"))
    return {name for name in names if name.startswith("socket:")}


def test_it_leaves_no_thread_and_no_socket(listener):
    # What others left may end meanwhile: so what is new counts, and not how much there is.
    threads, sockets = set(threading.enumerate()), open_sockets()
    descriptors = psutil.Process().num_fds()
    for _ in range(5):
        with FaultProxy(f"127.0.0.1:{listener.getsockname()[1]}") as proxy:
            client, server = connect(proxy, listener)
            proxy.black_hole()
            client.sendall(b"held")
            assert says_nothing(server)  # and meanwhile it has come to the proxy
            proxy.close()
            assert receive(client, 1) == b""
            client.close(), server.close()
        with pytest.raises(InvalidRequestError, match="closed"):
            proxy.heal()
    assert set(threading.enumerate()) <= threads and open_sockets() <= sockets
    assert psutil.Process().num_fds() <= descriptors


@pytest.mark.parametrize("target", ["localhost", "http://localhost", ":80", ""])
def test_a_target_needs_a_host_and_a_port(target):
    with pytest.raises(AddressError, match="expected http://host:port or host:port"):
        FaultProxy(target)


def test_arguments_that_make_no_sense_are_refused(proxy):
    with pytest.raises(InvalidRequestError, match="direction: expected one of to_server, to_cl"):
        proxy.cut_after(1, "both")
    with pytest.raises(InvalidRequestError, match="how: expected one of close, reset"):
        proxy.cut_after(1, "to_client", "snip")
    with pytest.raises(InvalidRequestError, match="seconds: expected a number from 0, got -1"):
        proxy.delay(-1)
    with pytest.raises(InvalidRequestError, match="bytes_per_s: expected a number above 0, got 0"):
        proxy.limit_rate(0)
