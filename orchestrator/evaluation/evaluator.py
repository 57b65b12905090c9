"""The evaluator: it parses, runs and grades programs in containers, and yields verdicts in the order of submission."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

from orchestrator.config import Config
from orchestrator.errors import InfrastructureError, refuse
from orchestrator.escape import plain
from orchestrator.evaluation.candidate import Intake
from orchestrator.evaluation.dataset import Prepared, excesses
from orchestrator.evaluation.dossier import Dossier
from orchestrator.evaluation.exam import Exam
from orchestrator.evaluation.retries import Attempts, QuarantineError
from orchestrator.evaluation.seam import Submission
from orchestrator.evaluation.trial import Trial, Work
from orchestrator.evaluation.verdict import Epoch, Terms, judge, quarantined
from orchestrator.machine import LOOK, Headroom, shortages
from orchestrator.records import (
    Candidate,
    Evaluation,
    Execution,
    Occurrence,
    Recorder,
    Reply,
    canonical,
    digest,
    unrecorded,
)
from orchestrator.sandbox import Engine, Pool, Sandbox
from orchestrator.sandbox.container import Container
from orchestrator.sandbox.pool import Starting
from orchestrator.sandbox.slots import Slot, Slots, broken_gpu


class SandboxEvaluator:
    """Evaluates programs under one config, in containers; a context manager that leaves none behind.

    `key` is the run's host-only secret: with the candidate's id it gives the order of the validation images. An
    evaluation carries what happened to its candidate: its containers, the stages as it entered them, attempts that the
    infrastructure failed, and its quarantine. `record` takes what belongs to no candidate: slots, containers that were
    reaped or that parse, and in the end those that no candidate claimed. `engine` is an open session with the engine,
    which stays open. `headroom` says when containers that wait may use what the machine has to spare.
    """

    def __init__(
        self,
        *,
        config: Config,
        prepared: Prepared,
        key: bytes,
        engine: Engine | None = None,
        record: Recorder = unrecorded,
        headroom: Headroom | None = None,
    ) -> None:
        self._config = config
        self._prepared = prepared
        self._key = key
        self._engine = engine
        self._exam = Exam(config, prepared, key)
        self._record = record
        self._headroom = headroom or Headroom()
        self._resources = ExitStack()
        self._running: dict[Slot, Container] = {}
        self._unclaimed: dict[str, Occurrence] = {}  # how containers were started that no candidate has claimed yet
        self._attempts = Attempts(retries=config.retries, prove=self._prove)

    def __enter__(self) -> Self:
        refuse((*excesses(self._prepared, self._config), *shortages(self._config.sandbox)))
        config, sandbox = self._config, self._config.sandbox
        with ExitStack() as stack:
            owner = digest(self._key)[:16]
            self._sandbox = stack.enter_context(
                Sandbox(sandbox, owner=owner, record=self._started, engine=self._engine)
            )
            stack.callback(self._record_unclaimed)
            self._environment = canonical(self.describe())
            budget = config.admission.parameter_budget if config.admission.enforce_budget else None
            self._terms = Terms(
                protocol=config.protocol.hash(),
                environment=digest(self._environment),
                parameter_budget=budget,
                epoch=Epoch(train=self._prepared.train_count, validation=len(self._prepared.validation_labels)),
                gpu=bool(sandbox.gpus),
            )
            slots = [
                Slot(index=number, gpu=sandbox.gpus[number % len(sandbox.gpus)] if sandbox.gpus else None)
                for number in range(sandbox.slots)
            ]
            self._slots = Slots(slots, record=self._record, patience=sandbox.deadlines.ready)
            self._pool = stack.enter_context(
                Pool(
                    self._start,
                    slots=slots,
                    needed=sandbox.deadlines.claimed(),
                    ahead=sandbox.ahead,
                    headroom=self._headroom,
                )
            )
            self._intake = Intake(
                parser=stack.enter_context(self._sandbox.parser(shingle=config.novelty.shingle)),
                source_bytes=sandbox.source_bytes,
                complete=config.completion,
            )
            self._workers = ThreadPoolExecutor(max_workers=sandbox.slots, thread_name_prefix="trial")
            stack.callback(self._workers.shutdown, wait=True, cancel_futures=True)
            stack.callback(self._call_off)
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.__exit__(kind, error, trace)

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        """Yield one evaluation for each submission, in order; see `seam.Evaluator`."""
        started: queue.SimpleQueue[Future[Evaluation] | BaseException | None] = queue.SimpleQueue()
        stopped = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(submissions, started, stopped), daemon=True, name="feeder")
        feeder.start()
        try:
            while (item := started.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item.result()
        finally:
            stopped.set()

    def _feed(
        self,
        submissions: Iterable[Submission],
        started: queue.SimpleQueue[Future[Evaluation] | BaseException | None],
        stopped: threading.Event,
    ) -> None:
        try:
            for submission in submissions:
                if stopped.is_set():
                    return
                started.put(self._begin(submission))
        except BaseException as error:  # noqa: BLE001 - handed over to the thread that iterates
            started.put(error)
        else:
            started.put(None)

    def _begin(self, submission: Submission) -> Future[Evaluation]:
        ended: Future[Evaluation] = Future()
        dossier = Dossier(submission.candidate_id)
        dossier.put(self._environment)
        try:
            candidate, runs = self._attempts.to_the_last(dossier, partial(self._intake.take, submission, dossier))
        except QuarantineError as error:
            ended.set_result(self._quarantined(self._intake.unparsed(submission, dossier), error, dossier))
            return ended
        if runs is not None:
            return self._workers.submit(self._evaluate, candidate, runs, dossier)
        verdict, _ = judge(candidate, None, Reply(), self._exam.answers(candidate), self._terms)
        ended.set_result(dossier.closed(candidate, verdict))
        return ended

    def _evaluate(self, candidate: Candidate, runs: bytes, dossier: Dossier) -> Evaluation:
        try:
            ended = self._attempts.to_the_last(dossier, partial(self._try, candidate, runs, dossier))
        except QuarantineError as error:
            return self._quarantined(candidate, error, dossier)
        return self._graded(candidate, dossier, *ended)

    def _quarantined(self, candidate: Candidate, error: QuarantineError, dossier: Dossier) -> Evaluation:
        dossier.note("quarantine", {"cause": plain(str(error))})
        return dossier.closed(candidate, quarantined(candidate, str(error), self._terms))

    def _prove(self) -> None:
        gpus = dict.fromkeys(slot.gpu for slot in self._slots.usable)
        self._sandbox.prove(train=self._prepared.train_dir, gpus=gpus)

    def _try(self, candidate: Candidate, runs: bytes, dossier: Dossier) -> tuple[Execution, Reply, dict[str, bytes]]:
        slot = self._slots.take()
        try:
            exam, sandbox = self._exam, self._config.sandbox
            work = Work(job=exam.job(candidate, slot), source=runs, images=partial(exam.images, candidate))
            container = self._claim(slot, dossier)
            mark = partial(_entered, dossier, container.id)
            trial = Trial(container, work, deadlines=sandbox.deadlines, log_stored=sandbox.log_stored, mark=mark)
            return trial.run()
        except InfrastructureError:
            self._look_at_gpu(slot)
            raise
        finally:
            last = self._running.pop(slot, None)
            if last is not None and last.stuck:
                self._quarantine_stuck(slot, last)
            self._slots.give_back(slot)

    def _quarantine_stuck(self, slot: Slot, container: Container) -> None:
        """Use a slot no more until its container is gone, which the kernel may take minutes to take apart."""
        self._sandbox.abandon(container)
        self._pool.forget(slot)
        cause = f"container {container.id[:12]} runs on although it was killed"
        self._slots.quarantine(slot, cause=cause, curable=True)

        def watch() -> None:
            with suppress(InfrastructureError):  # then the slot stays where it is
                while not self._attempts.called_off_within(LOOK):
                    if container.vanished():
                        self._slots.restore(slot)
                        return

        threading.Thread(target=watch, name=f"stuck-{container.id[:12]}", daemon=True).start()

    def _look_at_gpu(self, slot: Slot) -> None:
        """Quarantine a slot whose GPU has broken."""

        def prove(gpu: str | None) -> None:
            self._sandbox.prove(train=self._prepared.train_dir, gpus=[gpu])

        if not self._attempts.called_off and (cause := broken_gpu(slot, self._slots.usable, prove=prove)) is not None:
            self._pool.forget(slot)
            self._slots.quarantine(slot, cause=plain(cause), curable=False)

    def _graded(
        self, candidate: Candidate, dossier: Dossier, execution: Execution, reply: Reply, output: dict[str, bytes]
    ) -> Evaluation:
        seen = execution.model_copy(update={name: dossier.put(content) for name, content in output.items()})
        verdict, predictions = judge(candidate, seen, reply, self._exam.answers(candidate), self._terms)
        if predictions is not None:
            dossier.put(predictions)
        return dossier.closed(candidate, verdict)

    def _claim(self, slot: Slot, dossier: Dossier) -> Container:
        container = self._pool.claim(slot)
        dossier.add(self._unclaimed.pop(container.id))
        self._running[slot] = container
        if self._attempts.called_off:
            container.connection.call_off()
        return container

    def _call_off(self) -> None:
        """End what still runs: nobody waits for its verdict, and none is recorded."""
        self._attempts.call_off()
        self._slots.close()
        self._pool.call_off()
        for container in list(self._running.values()):
            container.connection.call_off()

    def _start(self, slot: Slot) -> Starting:
        return self._sandbox.starting(train=self._prepared.train_dir, gpu=slot.gpu, slot=slot.index)

    def describe(self) -> dict[str, Any]:
        """Return where candidates run; see `Sandbox.describe`."""
        return self._sandbox.describe()

    def components(self) -> dict[str, str]:
        """Return the versions of the engine's parts; see `Sandbox.components`."""
        return self._sandbox.components()

    def _started(self, event: str, data: Mapping[str, Any], *, durable: bool = True) -> None:
        """Hold back how a container was started that a candidate may claim: it belongs to that candidate's events."""
        if event == "container" and data["mode"] == "supervise":
            self._unclaimed[data["container_id"]] = Occurrence.now(event, data)
        else:
            self._record(event, data, durable=durable)

    def _record_unclaimed(self) -> None:
        while self._unclaimed:
            _, occurrence = self._unclaimed.popitem()
            self._record(occurrence.event, occurrence.data)


def _entered(dossier: Dossier, container_id: str, stage: str, seconds: float) -> None:
    dossier.note("stage", {"container_id": container_id, "stage": stage, "seconds": round(seconds, 4)})
