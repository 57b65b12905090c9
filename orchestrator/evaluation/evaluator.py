"""The evaluator: it parses, runs and grades programs in containers, and yields verdicts in the order of submission."""

from __future__ import annotations

import hashlib
import hmac
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from orchestrator.config import Config
from orchestrator.errors import InfrastructureError
from orchestrator.escape import plain
from orchestrator.evaluation.candidate import Intake
from orchestrator.evaluation.dataset import Prepared, check_size
from orchestrator.evaluation.retries import Attempts, QuarantineError
from orchestrator.evaluation.seam import Submission
from orchestrator.evaluation.trial import Trial, Work
from orchestrator.evaluation.verdict import Answers, Epoch, Terms, judge, quarantined
from orchestrator.machine import LOOK, Headroom, check_machine
from orchestrator.records import Candidate, Evaluation, Execution, Reply, canonical, derived_seed
from orchestrator.records.journal import Recorder, unrecorded
from orchestrator.run import Store
from orchestrator.sandbox import Pool, Sandbox
from orchestrator.sandbox.container import Container
from orchestrator.sandbox.pool import Starting
from orchestrator.sandbox.slots import Slot, Slots, broken_gpu


class SandboxEvaluator:
    """Evaluates programs under one config, in containers; a context manager that leaves none behind.

    `key` is the run's host-only secret: with the candidate's id it gives the order of the validation images.
    `record` takes what a run journals: containers, stages as they are entered, attempts that the infrastructure
    failed, and what was quarantined. `headroom` says when containers that wait may use what the machine has to spare.
    """

    def __init__(
        self,
        *,
        config: Config,
        store: Store,
        prepared: Prepared,
        key: bytes,
        record: Recorder = unrecorded,
        headroom: Headroom | None = None,
    ) -> None:
        self._config = config
        self._store = store
        self._prepared = prepared
        self._key = key
        self._record = record
        self._headroom = headroom or Headroom()
        self._resources = ExitStack()
        self._running: dict[Slot, Container] = {}
        self._attempts = Attempts(retries=config.retries, record=record, prove=self._prove)

    def __enter__(self) -> Self:
        check_size(self._prepared, self._config)
        check_machine(self._config)
        config, sandbox = self._config, self._config.sandbox
        with ExitStack() as stack:
            self._containers = stack.enter_context(
                Sandbox(sandbox, owner=hashlib.sha256(self._key).hexdigest()[:16], record=self._record)
            )
            environment = self._store.put(canonical(self._containers.describe()))
            budget = config.admission.parameter_budget if config.admission.enforce_budget else None
            self._terms = Terms(
                protocol=config.protocol.hash(),
                environment=environment,
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
                parser=stack.enter_context(self._containers.parser(shingle=config.novelty.shingle)),
                store=self._store,
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
        """Yield one evaluation for each submission, in order; see `seams.Evaluator`."""
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
        try:
            take = partial(self._intake.take, submission)
            candidate, runs = self._attempts.to_the_last(submission.candidate_id, take)
        except QuarantineError as error:
            ended.set_result(self._quarantined(self._intake.unparsed(submission), error))
            return ended
        if runs is not None:
            return self._workers.submit(self._evaluate, candidate, runs)
        verdict, _ = judge(candidate, None, Reply(), self._answers(candidate), self._terms)
        ended.set_result(Evaluation(candidate=candidate, verdict=verdict))
        return ended

    def _evaluate(self, candidate: Candidate, runs: bytes) -> Evaluation:
        try:
            ended = self._attempts.to_the_last(candidate.candidate_id, partial(self._try, candidate, runs))
        except QuarantineError as error:
            return self._quarantined(candidate, error)
        return self._graded(candidate, *ended)

    def _quarantined(self, candidate: Candidate, error: QuarantineError) -> Evaluation:
        self._record("quarantine", {"candidate_id": candidate.candidate_id, "cause": plain(str(error))})
        return Evaluation(candidate=candidate, verdict=quarantined(candidate, str(error), self._terms))

    def _prove(self) -> None:
        gpus = dict.fromkeys(slot.gpu for slot in self._slots.usable)
        self._containers.prove(train=self._prepared.train_dir, gpus=gpus)

    def _try(self, candidate: Candidate, runs: bytes) -> tuple[Execution, Reply, dict[str, bytes]]:
        slot = self._slots.take()
        try:
            work = Work(job=self._job(candidate, slot), source=runs, images=partial(self._images, candidate))
            sandbox = self._config.sandbox
            container = self._claim(slot)
            mark = partial(self._entered, candidate.candidate_id, container.id)
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
        self._containers.abandon(container)
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
            self._containers.prove(train=self._prepared.train_dir, gpus=[gpu])

        if not self._attempts.called_off and (cause := broken_gpu(slot, self._slots.usable, prove=prove)) is not None:
            self._pool.forget(slot)
            self._slots.quarantine(slot, cause=plain(cause), curable=False)

    def _entered(self, candidate_id: str, container_id: str, stage: str, seconds: float) -> None:
        entered = {"candidate_id": candidate_id, "container_id": container_id, "stage": stage}
        self._record("stage", entered | {"seconds": round(seconds, 4)}, durable=False)

    def _graded(self, candidate: Candidate, execution: Execution, reply: Reply, output: dict[str, bytes]) -> Evaluation:
        logs = {name: self._store.put(content) for name, content in output.items()}
        seen = execution.model_copy(update=logs)
        verdict, predictions = judge(candidate, seen, reply, self._answers(candidate), self._terms)
        if predictions is not None:
            self._store.put(predictions)
        return Evaluation(candidate=candidate, verdict=verdict)

    def _claim(self, slot: Slot) -> Container:
        container = self._pool.claim(slot)
        self._running[slot] = container
        if self._attempts.called_off:
            container.call_off()
        return container

    def _call_off(self) -> None:
        """End what still runs: nobody waits for its verdict, and none is recorded."""
        self._attempts.call_off()
        self._slots.close()
        self._pool.call_off()
        for container in list(self._running.values()):
            container.call_off()

    def _start(self, slot: Slot) -> Starting:
        return self._containers.starting(train=self._prepared.train_dir, gpu=slot.gpu, slot=slot.index)

    def _answers(self, candidate: Candidate) -> Answers:
        labels: npt.NDArray[Any] = self._prepared.validation_labels
        keyed = hmac.new(self._key, candidate.candidate_id.encode(), hashlib.sha256).digest()
        order = np.random.Generator(np.random.PCG64(int.from_bytes(keyed, "big"))).permutation(len(labels))
        return Answers(labels=labels, order=order, classes=self._prepared.classes)

    def _images(self, candidate: Candidate) -> bytes:
        return bytes(self._prepared.validation_images()[self._answers(candidate).order].data)

    def _job(self, candidate: Candidate, slot: Slot) -> dict[str, Any]:
        protocol, sandbox, prepared = self._config.protocol, self._config.sandbox, self._prepared
        return {
            "uid": slot.uid,
            "threads": sandbox.threads,
            "device": "cuda" if slot.gpu else "cpu",
            "seed": derived_seed(protocol.seed, candidate.source or ""),
            "in_shape": [protocol.batch, 3, protocol.resolution, protocol.resolution],
            "classes": prepared.classes,
            "batch": protocol.batch,
            "augmentation": protocol.augmentation,
            "mean": list(prepared.mean),
            "std": list(prepared.std),
            "prm": {
                "lr": protocol.lr,
                "momentum": protocol.momentum,
                "dropout": protocol.dropout,
                "batch": protocol.batch,
                "epoch": protocol.epochs,
                "transform": f"norm_{protocol.resolution}" + ("_flip" if protocol.augmentation == "crop_flip" else ""),
            },
            "log": {"stored": sandbox.log_stored, "killed": sandbox.log_killed},
        }
