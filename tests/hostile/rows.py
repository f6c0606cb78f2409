"""The catalogue: what a server may do to its clients, and the error that ends it."""

from __future__ import annotations

from tests.hostile.of_connections import HTTP, SOCKETS
from tests.hostile.of_replies import PRINTED, REPLIES
from tests.hostile.of_schemas import SCHEMAS

ROWS = {row.name: row for row in (*SCHEMAS, *HTTP, *SOCKETS, *REPLIES, *PRINTED)}
