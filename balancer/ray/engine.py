"""Ray engine (`balancer run --engine ray`): judges the problems of a run as tasks of Ray that share one pool.

Decides how many problems are under way, what happens when a worker dies, and how workers are stopped.
"""

import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from typing import Any, Final

from balancer.errors import BalancerError, ConfigError
from balancer.judging.executors import make_executors
from balancer.judging.trust import Trust
from balancer.opening.pool import Pool
from balancer.pipeline.progress import WorkerProgress
from balancer.pipeline.running.remote import RemoteResult, RemoteTask, run_remote_task
from balancer.plugins.extras import require
from balancer.plugins.registry import default_registry
from balancer.program import Executor
from balancer.ray.shared import SharedPool, last_line
from balancer.scratch import Scratch
from balancer.settings.config import Config

require("ray", '"balancer run --engine ray"')

import ray  # noqa: E402  # what is missing is said first

__all__ = ["ray_workers"]

_RETRIES: Final = 3
_LOOK_S: Final = 0.2
_ANSWER_S: Final = 10.0


@contextmanager
def ray_workers(config: Config) -> Iterator["_Workers"]:
    """Start the workers for a run, on the Ray cluster that `ray.init` finds (RAY_ADDRESS), or else on this machine.

    Raises ConfigError, NotConnected.
    """
    with ExitStack() as stack:
        if not ray.is_initialized():
            try:
                ray.init(include_dashboard=False, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise ConfigError(f"--engine ray: {last_line(error)}") from None
            stack.callback(ray.shutdown)
        name = f"run-{secrets.token_hex(4)}"
        # The actor ends with this process, for any reason.
        pool = stack.enter_context(SharedPool(name, config=config, detached=False))
        yield _Workers(config, pool)


class _Board:
    """An actor that passes progress from the workers to the run, and the request to stop to the workers."""

    def __init__(self) -> None:
        self._heard: list[WorkerProgress] = []
        self._stops = False

    def tell(self, heard: WorkerProgress) -> bool:
        self._heard.append(heard)
        return self._stops

    def take(self, stops: bool) -> list[WorkerProgress]:
        self._stops = self._stops or stops
        heard, self._heard = self._heard, []
        return heard


class _Workers:
    """Workers on a cluster, for one run. See `balancer.pipeline.running.remote.RemoteWorkers`."""

    def __init__(self, config: Config, pool: SharedPool) -> None:
        self.pool: Pool = pool
        self.at_once = max(1, int(ray.cluster_resources().get("CPU", 1)))
        self._shared = pool
        self._config = ray.put(config)
        actor = ray.remote(_Board).options(num_cpus=0, max_restarts=-1, max_task_retries=-1)
        self._board = actor.remote()
        self._task = ray.remote(_judge).options(
            num_cpus=1, max_retries=_RETRIES, retry_exceptions=False, scheduling_strategy="SPREAD"
        )
        self._hearing = threading.Lock()
        self._heard_s = 0.0

    def judge(
        self, sent: RemoteTask, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool]
    ) -> RemoteResult | str:
        """Have a problem judged, and wait for the result. Return the reason as text if its workers died repeatedly."""
        answer = self._task.remote(sent, self._config, self._shared, self._board)
        try:
            while not ray.wait([answer], timeout=_LOOK_S)[0]:
                self._hear(heard, stopping, every_s=_LOOK_S)
            came: RemoteResult = ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            raise BalancerError(f"{sent.problem.id}: {last_line(error.cause or error)}") from error
        except ray.exceptions.RayError as error:
            return f"its worker died {_RETRIES + 1} times, the last time: {last_line(error)}"
        self._hear(heard, stopping)  # its progress comes before its end
        return came

    def stats(self) -> Mapping[str, Any]:
        """Return the counters of the pool, over all processes, since its actor last started."""
        return self._shared.shared_stats()

    def _hear(
        self, heard: Callable[[WorkerProgress], None], stopping: Callable[[], bool], *, every_s: float = 0.0
    ) -> None:
        """Pass the request to stop to the workers, and read their progress, unless that was done since `every_s`."""
        with self._hearing, suppress(ray.exceptions.RayError):
            if time.monotonic() - self._heard_s >= every_s:
                self._heard_s = time.monotonic()
                for each in ray.get(self._board.take.remote(stopping()), timeout=_ANSWER_S):
                    heard(each)


# -- in a worker ----------------------------------------------------------------------------------------

_executors: dict[str, tuple[Scratch, dict[str, Executor], Trust]] = {}


def _judge(sent: RemoteTask, config: Config, pool: SharedPool, board: Any) -> RemoteResult:
    registry = default_registry()
    if pool.called not in _executors:  # compiled programs are kept for the next problem
        scratch = Scratch()  # deleted when this process is dead
        executors = make_executors(config, registry, scratch.path)
        _executors[pool.called] = scratch, executors, Trust(config.verify, executors)

    def tell(heard: WorkerProgress) -> bool:
        try:
            stops: bool = ray.get(board.tell.remote(heard), timeout=_ANSWER_S)
        except ray.exceptions.RayError:
            return False
        return stops

    _, executors, trust = _executors[pool.called]
    return run_remote_task(sent, config, registry, pool, executors, tell, trust)
