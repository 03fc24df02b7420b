"""Tasks that take turns, one at a time, and the virtual clock that says whose turn is next.

The product's code blocks where it likes: in a pause, in an engine, before a transaction. Here each such place hands the
turn to the agenda, which moves the clock to whatever comes next. Each task has a thread, of which one alone ever runs.
Knows threads and nothing of eat.
"""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from threading import Lock, Thread

Action = Callable[[], object]


# No Exception: no handler of the product's may see what kill -9 does.
class Killed(BaseException):
    """The task's process is gone."""


class Agenda:
    """What happens when. Equal instants keep the order in which they were asked for, so that a seed replays."""

    def __init__(self, start: float) -> None:
        self.now = start
        self.current: Task | None = None  # whose turn it is; None in the hub
        self._entries: list[tuple[float, int, Action]] = []
        self._numbers = count()

    def after(self, seconds: float, action: Action) -> None:
        """Call `action` from the hub, so many seconds from now."""
        heappush(self._entries, (self.now + seconds, next(self._numbers), action))

    def run(self, until: float, is_over: Callable[[], bool]) -> bool:
        """Let things happen until `is_over`, or to the instant `until`; whether it was over. The caller is the hub."""
        entries = self._entries
        while entries and entries[0][0] <= until:
            self.now, _, action = heappop(entries)
            action()
            if is_over():
                return True
        return is_over()


class Task:
    """One thread of a process, as far as the product can tell. It begins at once; `on_end` hears how it ended."""

    def __init__(
        self, agenda: Agenda, name: str, function: Action, on_end: Callable[[Task, BaseException | None], None]
    ) -> None:
        self.name = name
        self._agenda = agenda
        self._function = function
        self._on_end = on_end
        self._frozen = False
        self._missed: Action | None = None
        self._turn = 0  # grows with every wait: whoever wakes the task names the wait that is meant
        self._thread: _Thread | None = None  # while it lasts
        self._is_killed = False
        agenda.after(0.0, self.waker())

    def sleep(self, seconds: float) -> None:
        """Let `seconds` pass. Called by the task itself."""
        self._agenda.after(seconds, self.waker())
        self.wait()

    def wait(self) -> None:
        """Stand still until somebody calls what `waker` gave before. Called by the task itself."""
        assert self._thread is not None
        self._thread.give_turn_back()
        if self._is_killed:
            raise Killed

    def waker(self) -> Action:
        """What ends the next wait, called from the hub; called again it does nothing."""
        turn = self._turn
        return lambda: self._wake(turn)

    def freeze(self) -> None:
        """As SIGSTOP: whatever wakes the task waits until `thaw`."""
        self._frozen = True

    def thaw(self) -> None:
        """As SIGCONT."""
        self._frozen = False
        if self._missed is not None:
            self._agenda.after(0.0, self._missed)
            self._missed = None

    def kill(self) -> None:
        """Never let it do anything again; Killed is raised where it stands. The caller may be another task."""
        self._is_killed = True
        self._turn += 1
        if self._thread is not None:
            self._agenda.after(0.0, self._have_turn)

    def _wake(self, turn: int) -> None:
        if turn != self._turn:
            return
        if self._frozen:
            self._missed = lambda: self._wake(turn)
            return
        self._turn += 1
        if self._thread is None:
            self._thread = _Thread.that_is_free()
            self._thread.work = self._run
        self._have_turn()

    def _have_turn(self) -> None:
        assert self._thread is not None
        self._agenda.current = self
        self._thread.have_turn()
        self._agenda.current = None

    def _run(self) -> None:
        error: BaseException | None = None
        try:
            self._function()
        except Killed:
            pass
        except BaseException as raised:  # noqa: BLE001 - reported by `on_end`
            error = raised
        self._turn += 1
        self._on_end(self, error)
        self._thread = None


class _Thread:
    """A thread that does one work after the other, each as far as its next wait whenever it has the turn."""

    _free: list[_Thread] = []  # noqa: RUF012 - shared on purpose: a thread costs more than most works

    def __init__(self) -> None:
        self.work: Action = lambda: None
        self._turn, self._end_of_turn = Lock(), Lock()
        self._turn.acquire()
        self._end_of_turn.acquire()
        Thread(target=self._work_for_ever, daemon=True).start()

    @classmethod
    def that_is_free(cls) -> _Thread:
        """One that has no work."""
        return cls._free.pop() if cls._free else cls()

    def have_turn(self) -> None:
        """Let it work until it gives the turn back. Called by the hub."""
        self._turn.release()
        self._end_of_turn.acquire()

    def give_turn_back(self) -> None:
        """Stand still until the next turn. Called by the work."""
        self._end_of_turn.release()
        self._turn.acquire()

    def _work_for_ever(self) -> None:
        self._turn.acquire()
        while True:
            self.work()
            self._free.append(self)
            self.give_turn_back()


class Event:
    """What `threading.Event` is to threads."""

    def __init__(self, agenda: Agenda) -> None:
        self._agenda = agenda
        self._is_set = False
        self._wakers: list[Action] = []

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    def set(self) -> None:
        """It has happened: whoever waits goes on."""
        self._is_set = True
        wakers, self._wakers = self._wakers, []
        for wake in wakers:
            self._agenda.after(0.0, wake)

    def clear(self) -> None:
        """It has not happened yet."""
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for it, at most `timeout` seconds; whether it has happened."""
        task = self._agenda.current
        if self._is_set or task is None:
            return self._is_set
        wake = task.waker()
        self._wakers.append(wake)
        if timeout is not None:
            self._agenda.after(timeout, wake)
        task.wait()
        if wake in self._wakers:
            self._wakers.remove(wake)
        return self._is_set
