"""One loop in a daemon thread, for blocking code."""

from __future__ import annotations

import asyncio
import multiprocessing
import threading

from openenv_gym.client.event_loop import EVENT_LOOP


async def where() -> tuple[str, asyncio.AbstractEventLoop]:
    return threading.current_thread().name, asyncio.get_running_loop()


def in_child(answers) -> None:
    answers.put(EVENT_LOOP.submit(where()).result(60)[0])


def test_coroutines_run_on_one_loop_in_one_thread():
    first, second = EVENT_LOOP.submit(where()), EVENT_LOOP.submit(where())
    assert first.result(60) == second.result(60) == ("openenv-gym-event-loop", EVENT_LOOP.loop)


def test_a_forked_child_has_its_own():
    EVENT_LOOP.submit(where()).result(60)
    context = multiprocessing.get_context("fork")
    answers = context.SimpleQueue()
    child = context.Process(target=in_child, args=(answers,))
    child.start()
    assert answers.get() == "openenv-gym-event-loop"
    child.join(60)
    assert child.exitcode == 0
