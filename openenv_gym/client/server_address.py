"""Where a server is, and with which token it is asked."""

from __future__ import annotations

import ipaddress
import warnings
from dataclasses import replace

from openenv_gym.address import Address, parse_address
from openenv_gym.credentials import Token, given_token, variable_token
from openenv_gym.errors import InvalidRequestError


def server_address(base_url: str, token: str | Token | None = None) -> Address:
    """Return the address in ``base_url``, with the token that opens the server.

    That is ``token``, or the password in ``base_url``, or where there is neither the value of the
    variable ``OPENENV_GYM_TOKEN``. One that would travel to another machine where everybody on the
    way can read it is warned of.

    Args:
        base_url: The URL of the server.
        token: The token; None where it is not given.

    Raises:
        AddressError: ``base_url`` has no form of an address.
        InvalidRequestError: ``token`` cannot be one, or there are two.
    """
    address = parse_address(base_url)
    if (given := given_token(token)) is not None:
        if address.token is not None:
            raise InvalidRequestError(
                f"token: expected none beside the password in the URL of {address}; leave one of "
                "them out"
            )
        address = replace(address, token=given)
    elif address.token is None:
        address = replace(address, token=variable_token())
    if address.token is not None and _can_be_read_on_the_way(address):
        warnings.warn(
            f"the token or password for {address} is sent without TLS, so that everybody on the "
            "way can read it; use https:// or wss:// (serve --tls-cert), or a tunnel that ends on "
            "this machine",
            stacklevel=2,
        )
    return address


def _can_be_read_on_the_way(address: Address) -> bool:
    return not (address.is_secure or address.socket_path or _is_this_machine(address.host))


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
