"""Virtual time: events in order, and threads of which exactly one runs at a time.

The code under test blocks where it likes, so each simulated process has a thread of its own. Who
blocks runs the events that come before its own moment and hands over to whomever one of them wakes;
so who runs when depends on the events alone, and a run can be repeated.
"""

import heapq
import itertools
import threading
from collections.abc import Callable


class Killed(BaseException):
    """Unwinds a thread whose process was killed; no ``except Exception`` stops it."""


class Event:
    """Something that happens at a moment: an action, or a task that goes on."""

    __slots__ = ("action", "task")

    def __init__(self, action: Callable[[], object] | None, task: "Task | None" = None) -> None:
        self.action = action
        self.task = task

    def cancel(self) -> None:
        """Let it not happen."""
        self.action = self.task = None


class Task:
    """A thread that runs when it is its turn."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.turn = threading.Lock()
        self.turn.acquire()
        self.thread: threading.Thread | None = None
        self.wake: Event | None = None
        self.is_pokable = False
        self.is_frozen = False
        self.has_missed_its_turn = False
        self.is_killed = False
        self.is_over = False


class Scheduler:
    """All events. ``now`` is the world's time in seconds."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Event]] = []
        self._number = itertools.count()
        self._main = Task("main")
        self._running = self._main
        self._tasks: list[Task] = []
        self._failure: BaseException | None = None
        self._is_stopped = False
        self._is_closing = False

    # -- events -----------------------------------------------------------------------------------

    def at(self, when: float, action: Callable[[], object]) -> Event:
        """Let ``action`` happen at ``when``."""
        return self._push(when, Event(action))

    def after(self, seconds: float, action: Callable[[], object]) -> Event:
        """Let ``action`` happen in so many seconds."""
        return self._push(self.now + seconds, Event(action))

    def stop(self) -> None:
        """Let `run` return."""
        self._is_stopped = True

    def run(self) -> None:
        """Let everything happen until `stop`. Raises what an action or a task raised."""
        self._is_stopped = False
        self._hand_over(self._main)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """End all threads."""
        self._is_closing = True
        for task in self._tasks:
            if not task.is_over and task.thread is not None:
                task.is_killed = True
                task.turn.release()
                task.thread.join()

    # -- tasks ------------------------------------------------------------------------------------

    def spawn(self, name: str, body: Callable[[], None]) -> Task:
        """Begin a thread."""
        task = Task(name)
        task.thread = threading.Thread(target=self._live, args=(task, body), daemon=True)
        task.thread.start()
        self._tasks.append(task)
        task.wake = self._push(self.now, Event(None, task))
        return task

    def block(self, until: float, *, is_pokable: bool = False) -> None:
        """Let the running task wait for a moment; if it may be poked, until that."""
        task = self._running
        task.is_pokable = is_pokable
        task.wake = self._push(until, Event(None, task))
        self._hand_over(task)
        task.is_pokable = False
        if task.is_killed:
            raise Killed

    def poke(self, task: Task) -> None:
        """Wake a task that waits for that."""
        if task.is_pokable and task.wake is not None:
            task.wake.cancel()
            task.wake = self._push(self.now, Event(None, task))
            task.is_pokable = False

    def kill(self, task: Task) -> None:
        """End a task as soon as it runs, which is now."""
        if task.is_over:
            return
        task.is_killed = True
        task.is_frozen = False
        if task.wake is not None:
            task.wake.cancel()
        task.wake = self._push(self.now, Event(None, task))

    def freeze(self, task: Task) -> None:
        """Let a task miss its turns from now on."""
        task.is_frozen = True

    def thaw(self, task: Task) -> None:
        """Let a task go on."""
        task.is_frozen = False
        if task.has_missed_its_turn:
            task.has_missed_its_turn = False
            task.wake = self._push(self.now, Event(None, task))

    # -- whose turn it is -------------------------------------------------------------------------

    def _push(self, when: float, event: Event) -> Event:
        heapq.heappush(self._events, (max(when, self.now), next(self._number), event))
        return event

    def _hand_over(self, task: Task) -> None:
        following = self._advance()
        if following is not task:
            self._running = following
            following.turn.release()
            task.turn.acquire()

    def _advance(self) -> Task:
        """Let events happen until one wakes a task, and return that."""
        events = self._events
        try:
            while events and self._failure is None and not self._is_stopped:
                when, _, event = heapq.heappop(events)
                self.now = when
                if event.action is not None:
                    event.action()
                elif (task := event.task) is not None and not task.is_over:
                    if not task.is_frozen:
                        return task
                    task.has_missed_its_turn = True
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that called `run`
            self._failure = error
        return self._main

    def _live(self, task: Task, body: Callable[[], None]) -> None:
        task.turn.acquire()
        try:
            if not task.is_killed:
                body()
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that called `run`
            self._failure = self._failure or error
        task.is_over = True
        if not self._is_closing:
            following = self._advance()
            self._running = following
            following.turn.release()
