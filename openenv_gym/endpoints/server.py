"""An environment on a server: what is served there, and how it is spoken to."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec
from gymnasium.error import NameNotFound

from openenv_gym.address import Address
from openenv_gym.client import Connection, Transport
from openenv_gym.client.server_address import server_address
from openenv_gym.client.transports import open_transport
from openenv_gym.client.websocket import WebSocketOptions
from openenv_gym.endpoints.env_info import (
    CLOSE_TIMEOUT_S,
    Answer,
    Answers,
    Described,
    Endpoint,
    EnvInfo,
    check_known,
    check_lengths,
    check_single,
    info_of,
    opened,
)
from openenv_gym.endpoints.options import AUTO, ConnectOptions, reply_timeout
from openenv_gym.errors import (
    InvalidRequestError,
    NotOpenEnvError,
    OpenEnvGymError,
    UnknownEnvironmentError,
    UnsupportedRenderModeError,
)
from openenv_gym.protocol import (
    GYMNASIUM_VIEW,
    SUBPROTOCOL,
    VIEW_PARAMETER,
    BinaryMessages,
    ClientSession,
    GetState,
    Open,
    SessionState,
    StateReply,
)
from openenv_gym.protocol.limits import MAX_MESSAGE_BYTES, most_reply_bytes, most_value_bytes
from openenv_gym.spaces import Inference, infer
from openenv_gym.spaces.budget import SpaceBudget
from openenv_gym.spaces.narrowing import schema_of_value
from openenv_gym.spaces.probing import Probed
from openenv_gym.spaces.profiles import UNKNOWN_ACTION, needs_name
from openenv_gym.spaces.tools import ListedTool
from openenv_gym.wire.arguments import ARGUMENTS_HEADER, refusal_of_arguments
from openenv_gym.wire.description import SCHEMA_KEY, Description
from openenv_gym.wire.error_codes import without_folders
from openenv_gym.wire.raised import raised_as
from openenv_gym.workers.built_env import plain_metadata


@dataclass(frozen=True, kw_only=True)
class ServerEndpoint:
    """An environment on a server.

    Attributes:
        address: Where the server is.
        request: What the server is expected to serve; an ``environment`` of None takes any. With
            ``num_envs`` a session has as many sub-environments, which only servers of ours have.
        options: How it is reached and read.
        probes: What probing resets showed, by address and schemas: a server is probed once, by
            this endpoint and by its copies.
        tools: The tools that servers listed, likewise.
    """

    address: Address
    request: Open = field(default_factory=Open)
    options: ConnectOptions = field(default_factory=ConnectOptions)
    probes: dict[tuple[str, str], Probed] = field(default_factory=dict, compare=False, repr=False)
    tools: dict[tuple[str, str], list[ListedTool]] = field(
        default_factory=dict, compare=False, repr=False
    )

    @classmethod
    def at(
        cls, base_url: str, request: Open | None = None, options: ConnectOptions | None = None
    ) -> ServerEndpoint:
        """Return the endpoint of an environment on the server at ``base_url``.

        Raises:
            AddressError: ``base_url`` has no form of an address.
            InvalidRequestError: There are two tokens, or one that can be none.
        """
        options = options or ConnectOptions()
        address = server_address(base_url, options.token)
        return cls(address=address, request=request or Open(), options=options)

    def describe(self, answers: Answers | None = None) -> Described[Connection | None]:
        """Ask for the schemas; a plain session is not opened, because there may be only one."""
        if self.request.num_envs is not None:
            return self.connect(answers=answers)
        answer = self.ask(answers)
        self._check(answer.description)
        told = answer.description
        if told is not None and self.options.codec != "json" and self._is_ours(told):
            takes = told.max_message_bytes or MAX_MESSAGE_BYTES
            check_lengths(told, (takes, self.options.websocket.longest_message))
        return Described(self._info(answer), None)

    def connect(
        self, known: EnvInfo | None = None, answers: Answers | None = None
    ) -> Described[Connection]:
        """Make a new session; the server is asked first where that says how to speak with it."""
        is_batched, codec = self.request.num_envs is not None, self.options.codec
        is_binary = codec == "binary" or (is_batched and codec == "auto")
        if is_binary and self.options.timeout_s != AUTO and (is_batched or known is None):
            return self._connect_binary(known, None)
        answer = self.ask(answers)
        if is_binary or (codec == "auto" and self._is_ours(answer.description)):
            return self._connect_binary(known, answer.description)
        if is_batched:
            return self._connect_batched_json(known, answer)
        return self._connect_json(known, answer)

    def ask(self, answers: Answers | None = None) -> Answer:
        """Return what the server says of itself.

        Args:
            answers: What servers said a moment ago; what is asked now is added.

        Raises:
            UnreachableError: nobody answers.
            AuthenticationError: who answers wants another token.
            NotOpenEnvError: who answers is no OpenEnv server.
        """
        told = {} if answers is None else answers
        if self.address not in told:
            told[self.address] = self._asked()
        return told[self.address]

    def infer(self, answer: Answer) -> Inference:
        """Return the spaces that the schemas and the caller's overrides give.

        Where the schemas leave something open, one probing reset is made.

        Raises:
            SpaceError: a field or a space is ambiguous; the message names the override.
            OpenEnvGymError: the probing reset failed.
        """
        if answer.inference is None or answer.inference[0] is not self.options:
            answer.inference = self.options, self._inferred(answer.schema)
        return answer.inference[1]

    def _is_ours(self, description: Description | None) -> bool:
        """Whether the server knows its spaces, so that nothing has to be inferred."""
        has_spaces = description is not None and description.action is not None
        return has_spaces and not self.options.has_overrides

    def _info(self, answer: Answer) -> EnvInfo:
        description = answer.description
        if description is not None:
            check_single(description, self.request)
        if description is not None and self._is_ours(description):
            is_json = self.options.codec == "json"
            told = _said_in_json(description) if is_json else description
            return info_of(told, self.request, self.options, is_binary=not is_json)
        inference = self.infer(answer)
        return EnvInfo(
            name=self.request.environment or str(self.address),
            action_space=inference.action_space,
            observation_space=inference.observation_space,
            metadata={"render_modes": []},
            has_action_masks=inference.legal_actions is not None,
            check_seeding=self.options.check_seeding,
            seeded=description is None or description.seeded,
            warnings=inference.warnings,
        )

    def _connect_binary(
        self, known: EnvInfo | None, description: Description | None
    ) -> Described[Connection]:
        is_batched = self.request.num_envs is not None
        if description is not None and not is_batched:
            told = info_of(description, self.request, self.options, is_binary=True)
            check_known(known, told, self.address)
        deadlines = {} if description is None else description.deadlines
        timeout_s = reply_timeout(self.options.timeout_s, deadlines)
        transport = self._transport(SUBPROTOCOL)
        messages = BinaryMessages(self.options.websocket.max_space_bytes)
        connection = Connection(ClientSession(messages), transport, timeout_s)
        found = opened(connection, self.request)
        try:
            info = info_of(found, self.request, self.options, is_binary=True)
            check_known(known if is_batched else None, info, self.address)
        except BaseException:
            connection.close(CLOSE_TIMEOUT_S)
            raise
        return Described(info, connection)

    def _connect_json(self, known: EnvInfo | None, answer: Answer) -> Described[Connection]:
        from openenv_gym.protocol.json_messages import JsonClientMessages
        from openenv_gym.wire.schema_view import SchemaView

        info, inference = self._info(answer), self.infer(answer)
        check_known(known, info, self.address)
        schema, done_means = answer.schema["observation"], self.options.done_means
        view = SchemaView(inference, schema, done_means=done_means)
        space = inference.observation_form.space
        messages = JsonClientMessages(
            view, not self._is_ours(answer.description), max_value_bytes=most_value_bytes(space)
        )
        session = ClientSession(messages, SessionState.READY)
        deadlines = answer.description.deadlines if answer.description else {}
        timeout_s = reply_timeout(self.options.timeout_s, deadlines)
        transport = self._transport(None, f"?{VIEW_PARAMETER}={GYMNASIUM_VIEW}")
        transport.bound_replies(most_reply_bytes(space, in_json=True))
        return Described(info, Connection(session, transport, timeout_s))

    def _connect_batched_json(self, known: EnvInfo | None, answer: Answer) -> Described[Connection]:
        """Make a session of many sub-environments in JSON, which a server of ours has."""
        from openenv_gym.protocol.json_messages import JsonClientMessages
        from openenv_gym.wire.batch_view import BatchClientView

        assert answer.description is not None
        self._check(answer.description)
        request = self.request
        view: Any = None  # the session tells what it is of
        messages = JsonClientMessages(view, False, request.num_envs)
        query = f"?{VIEW_PARAMETER}={GYMNASIUM_VIEW}&num_envs={request.num_envs}"
        query += f"&vectorization={request.vectorization}&autoreset_mode={request.autoreset_mode}"
        timeout_s = reply_timeout(self.options.timeout_s, answer.description.deadlines)
        session = ClientSession(messages, SessionState.READY)
        connection = Connection(session, self._transport(None, query), timeout_s)
        try:
            told = connection.request(GetState())
            said = told.state.get(SCHEMA_KEY) if isinstance(told, StateReply) else None
            found = msgspec.convert(said, Description)
            found = found.within(self.options.websocket.max_space_bytes)
            messages.view = BatchClientView(found)
            if (space := found.batched_observation_space) is not None:
                most = most_reply_bytes(space, in_json=True, num_envs=request.num_envs)
                connection.bound_replies(most)
                messages.max_value_bytes = most_value_bytes(space)
            info = info_of(_said_in_json(found), request, self.options, is_binary=False)
            check_known(known, info, self.address)
        except msgspec.ValidationError as exc:
            connection.abandon()
            raise NotOpenEnvError(
                f"expected the state of a batched session at {self.address} to tell its spaces: "
                f"{exc}; install the same version of openenv-gym on both sides"
            ) from exc
        except BaseException:
            connection.abandon()
            raise
        return Described(info, connection)

    def _transport(self, subprotocol: str | None, query: str = "") -> Transport:
        return open_transport(self.address, subprotocol, query, self.options.options)

    def _asking(self) -> WebSocketOptions:
        """How the schema is asked for: a server says whether it has the arguments of the caller."""
        options = self.options.websocket
        if not self.request.kwargs:
            return options
        named = json.dumps(plain_metadata(self.request.kwargs))
        return replace(options, headers={**options.headers, ARGUMENTS_HEADER: named})

    def _asked(self) -> Answer:
        from openenv_gym.client.http import NoSchema, get_schema

        try:
            schema = get_schema(self.address, self._asking())
        except NoSchema as exc:
            return Answer(schema=self._schema_of_values(exc), description=None)
        ours = schema.get(SCHEMA_KEY)
        try:
            description = None if ours is None else msgspec.convert(ours, Description)
            if description is not None:
                description = description.within(self.options.websocket.max_space_bytes)
        except msgspec.ValidationError as exc:
            raise NotOpenEnvError(
                f"the description of {self.address} is malformed: {exc}; "
                "install the same version of openenv-gym on both sides"
            ) from exc
        return Answer(schema=schema, description=description)

    def _schema_of_values(self, problem: NotOpenEnvError) -> dict[str, Any]:
        """What a probing reset tells of the schemas, where the server publishes none."""
        try:
            seen = self._probe(None)
        except OpenEnvGymError as exc:
            raise NotOpenEnvError(f"{problem}; a reset over /ws does not help: {exc}") from exc
        return {"action": UNKNOWN_ACTION, "observation": schema_of_value(seen.observation)}

    def _probe(self, schema: Any) -> Probed:
        """What a probing reset shows, of which there is one for each server and its schemas."""
        from openenv_gym.endpoints.probing import RECENT_PROBES

        key = str(self.address), json.dumps(schema, sort_keys=True)
        if key not in self.probes:
            timeout_s = reply_timeout(self.options.timeout_s, {})
            self.probes[key] = RECENT_PROBES.probe(key, lambda: self._transport(None), timeout_s)
        return self.probes[key]

    def _tools(self, schema: Any) -> list[ListedTool]:
        """The tools that the server lists, for which it is asked as for a probing reset."""
        from openenv_gym.endpoints.probing import RECENT_TOOLS

        key = str(self.address), json.dumps(schema, sort_keys=True)
        if key not in self.tools:
            timeout_s = reply_timeout(self.options.timeout_s, {})
            self.tools[key] = RECENT_TOOLS.probe(key, lambda: self._transport(None), timeout_s)
        return self.tools[key]

    def _inferred(self, schema: dict[str, Any]) -> Inference:
        from openenv_gym.client.http import get_name

        action = schema["action"]
        name = get_name(self.address, self.options.websocket) if needs_name(action) else None
        return infer(
            action,
            schema["observation"],
            **self.options.overrides(),
            probe=lambda: self._probe(None if action == UNKNOWN_ACTION else schema),
            list_tools=lambda: self._tools(schema),
            environment=name,
            budget=SpaceBudget(self.options.websocket.max_space_bytes),
        )

    def _check(self, description: Description | None) -> None:
        """Refuse what is not served there, and what cannot be said to who serves it."""
        kwargs, mode = self.request.kwargs, self.request.render_mode
        is_ours = self._is_ours(description)
        if kwargs and (self.options.codec == "json" or not is_ours):
            self._check_unsaid(description if is_ours else None)
        if self.options.codec == "binary" and not is_ours:
            raise NotOpenEnvError(
                f"codec='binary' needs one of our servers, its own spaces and no overrides, which "
                f"{self.address} or the arguments do not give; use codec='json' or 'auto'"
            )
        if description is not None and is_ours:
            self._check_ours(description)
        elif mode is not None:
            name = self.request.environment or self.address
            raise UnsupportedRenderModeError(
                f"OpenEnv's JSON protocol has no rendering, so {name} cannot be opened with "
                f"render_mode={mode!r}"
            )

    def _check_unsaid(self, description: Description | None) -> None:
        """Refuse arguments that JSON cannot say, but for those that the server has anyway."""
        kwargs = self.request.kwargs
        keywords: list[str] | None = []  # others take none
        if description is not None:
            if plain_metadata(kwargs) == kwargs and _has(description, kwargs):
                return
            keywords = description.keywords
        kind: type[OpenEnvGymError] = InvalidRequestError
        unknown = [name for name in kwargs if keywords is not None and name not in keywords]
        if unknown:
            kind = raised_as(kind, TypeError)
        said = "".join(f": got an unexpected keyword argument {name!r}" for name in unknown[:1])
        raise kind(
            f"OpenEnv's JSON protocol cannot say keyword arguments of an environment, got "
            f"{', '.join(kwargs)}; leave them out, and start the server at {self.address} "
            f"with them{said}"
        )

    def _check_ours(self, description: Description) -> None:
        wanted, kwargs = self.request.environment, self.request.kwargs
        if wanted and description.environment not in (wanted, without_folders(wanted)):
            raise raised_as(UnknownEnvironmentError, NameNotFound)(
                f"expected {wanted} at {self.address}, which serves {description.environment}; "
                "start a server for it, or use openenv/remote-v0 to take what is served"
            )
        # What JSON cannot say is compared by the server, when the session begins.
        if kwargs and not _has(description, plain_metadata(kwargs)):
            what = f"{description.environment} at {self.address}"
            raise refusal_of_arguments(kwargs, what, description)
        mode = self.request.render_mode
        modes = [] if self.options.codec == "json" else description.render_modes
        if mode is not None and mode not in modes:
            raise UnsupportedRenderModeError(
                f"render_mode: {description.environment} at {self.address} renders "
                f"{modes or 'in no mode'} with codec={self.options.codec!r}, got {mode!r}"
            )


def endpoint_of(source: str | Endpoint, token: str | None) -> Endpoint:
    """Return the endpoint that the URL of a server names; a recipe is one already.

    Raises:
        AddressError: The URL has no form of an address.
        InvalidRequestError: A token is given beside a recipe, which has its own.
    """
    if isinstance(source, str):
        return ServerEndpoint.at(source, options=ConnectOptions(token=token))
    if token is not None:
        raise InvalidRequestError(
            "token: expected one beside the URL of a server alone, got one beside a recipe; make "
            "the recipe with it"
        )
    return source


def _said_in_json(description: Description) -> Description:
    """Return a description without what JSON has no messages for."""
    said = msgspec.structs.replace(
        description, render_modes=[], attributes=[], has_all_attributes=False
    )
    vars(said).update(vars(description))  # the spaces that are made, and what is left for others
    return said


def _has(description: Description, kwargs: dict[str, Any]) -> bool:
    """Whether an environment that is made with ``kwargs`` is the one that is served."""
    defaults = description.defaults
    if description.has_other_kwargs:
        return False
    return {**defaults, **kwargs} == {**defaults, **description.kwargs}
