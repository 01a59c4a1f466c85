"""Child processes that never outlive their parent, whatever way it ends.

On Linux the kernel tells the child (PR_SET_PDEATHSIG). Elsewhere a shell waits for the end of a pipe that only the
parent holds. The kernel's way is bound to the thread that started the child, so start children from the main thread.
"""

import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Final, Literal

PR_SET_PDEATHSIG: Final = 1

# The program runs without the pipe; a shell beside it reads the pipe to its end and then asks the program to stop.
# FD stands for a number that the program does not inherit.
WATCH: Final = """
    exec FD<&0
    signal=$1; shift
    "$@" </dev/null FD<&- &
    program=$!
    (cat <&FD >/dev/null; kill -"$signal" $program) 2>/dev/null &
    exec FD<&-
    trap '' "$signal"
    wait $program"""

Way = Literal["kernel", "pipe"]
WAY: Final[Way] = "kernel" if sys.platform == "linux" else "pipe"


class Child:
    """A program that was started, and is asked to stop by `farewell` when this process ends or says so."""

    def __init__(
        self,
        words: Sequence[str | Path],
        *,
        farewell: signal.Signals,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        output: IO[bytes] | None = None,
        user: int | None = None,
        group: int | None = None,
        keep: Sequence[int] = (),
        way: Way = WAY,
    ) -> None:
        """Starts the program in a session of its own, so that Ctrl-C at the terminal reaches only its parent.

        `output` takes both streams (None: ours), `keep` are the file descriptors that it inherits.
        """
        self._way: Way = way
        self._farewell = farewell
        line = [str(word) for word in words]
        if way == "pipe":
            free = next(str(number) for number in range(3, 10) if number not in keep)
            line = ["/bin/sh", "-c", WATCH.replace("FD", free), "sh", farewell.name.removeprefix("SIG"), *line]
        self._process = subprocess.Popen(
            line,
            stdin=subprocess.PIPE if way == "pipe" else subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            cwd=cwd,
            user=user,
            group=group,
            extra_groups=[] if user is not None else None,
            pass_fds=tuple(keep),
            start_new_session=True,
            preexec_fn=_tied(os.getpid(), farewell) if way == "kernel" else None,
        )

    @property
    def pid(self) -> int:
        """The program's process id; that of the shell beside it where the kernel does not help."""
        return self._process.pid

    def ended(self) -> int | None:
        """The exit status, negative for a signal, or None while it runs."""
        status = self._process.poll()
        if status is not None:
            self._close()
        return status

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended within this time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return self.ended() is not None

    def ask(self) -> None:
        """Asks it to stop; an ended one is left alone."""
        self._close()
        if self._way == "kernel":
            self._process.send_signal(self._farewell)

    def force(self, how: signal.Signals = signal.SIGKILL) -> None:
        """Stops it without asking."""
        if self.ended() is None:
            if self._way == "kernel":
                self._process.send_signal(how)
            else:
                os.killpg(self._process.pid, how)

    def stop(self, patience_s: float, how: signal.Signals = signal.SIGKILL) -> None:
        """Asks, waits, and then forces."""
        self.ask()
        if not self.wait(patience_s):
            self.force(how)
            self.wait(5)

    def _close(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()


def tie_forks(farewell: signal.Signals) -> None:
    """Ties every process that this one forks from now on to its parent. A fork does not inherit our own tie."""
    if sys.platform == "linux":
        parents = [os.getpid()]

        def after() -> None:
            tie = _tied(parents[0], farewell)
            parents[0] = os.getpid()
            tie()

        os.register_at_fork(after_in_child=after)


def _tied(parent: int, farewell: signal.Signals) -> Callable[[], None]:
    libc = ctypes.CDLL(None)  # here, because little is safe between fork and exec

    def tie() -> None:
        libc.prctl(PR_SET_PDEATHSIG, int(farewell), 0, 0, 0)
        if os.getppid() != parent:  # it ended before we asked to be told
            os.kill(os.getpid(), signal.SIGKILL)

    return tie
