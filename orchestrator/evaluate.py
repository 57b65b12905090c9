"""The evaluator: it parses, runs and grades programs in containers, and yields verdicts in the order of submission."""

from __future__ import annotations

import hashlib
import hmac
import queue
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt, wait_exponential

from orchestrator.config import Config
from orchestrator.datasets import Prepared
from orchestrator.engine import connect, engine_errors
from orchestrator.errors import InfrastructureError
from orchestrator.image import image_id
from orchestrator.parsing import Parser, await_ready
from orchestrator.pool import Pool, Slot
from orchestrator.records import (
    Candidate,
    Claimed,
    Digest,
    Evaluation,
    Measured,
    Program,
    Refusal,
    Reply,
    Verdict,
    canonical,
    derived_seed,
    digest,
)
from orchestrator.sandbox import Container, Spec
from orchestrator.seams import Submission
from orchestrator.store import Store
from orchestrator.trial import Trial, Work
from orchestrator.verdict import Answers, Terms, judge, plain

SECCOMP = Path(__file__).parent.parent / "docker" / "seccomp.json"


class SandboxEvaluator:
    """Evaluates programs under one config, in containers; a context manager that leaves none behind.

    `key` is the run's host-only secret: with the candidate's id it gives the order of the validation images.
    """

    def __init__(self, *, config: Config, store: Store, prepared: Prepared, key: bytes) -> None:
        self._config = config
        self._store = store
        self._prepared = prepared
        self._key = key
        self._resources = ExitStack()

    def __enter__(self) -> Self:
        sandbox = self._config.sandbox
        with ExitStack() as stack:
            self._client = connect()
            stack.callback(self._client.close)
            self._image = image_id(sandbox.image)
            with engine_errors("reading the engine's version"):
                info = self._client.info()
            self._driver = info.get("CgroupDriver", "cgroupfs")
            if sandbox.runtime not in info.get("Runtimes", {}):
                known = ", ".join(sorted(info.get("Runtimes", {})))
                raise InfrastructureError(f"the engine has no runtime {sandbox.runtime}; it knows {known}")
            self._environment = self._describe(info)
            gpus = sandbox.gpus
            slots = [Slot(index=n, gpu=gpus[n % len(gpus)] if gpus else None) for n in range(sandbox.slots)]
            self._free: queue.SimpleQueue[Slot] = queue.SimpleQueue()
            for slot in slots:
                self._free.put(slot)
            self._pool = stack.enter_context(Pool(self._ready_container, slots=slots, needed=self._needed()))
            self._parser = stack.enter_context(self._new_parser())
            self._workers = ThreadPoolExecutor(max_workers=sandbox.slots, thread_name_prefix="trial")
            stack.callback(self._workers.shutdown, wait=True, cancel_futures=True)
            self._resources = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    def evaluate(self, submissions: Iterable[Submission]) -> Iterator[Evaluation]:
        """Yield one evaluation for each submission, in order; see `seams.Evaluator`."""
        started: queue.SimpleQueue[Future[Evaluation] | BaseException | None] = queue.SimpleQueue()
        stopped = threading.Event()
        feeder = threading.Thread(target=self._feed, args=(submissions, started, stopped), daemon=True, name="feeder")
        feeder.start()
        pending: Future[Evaluation] | None = None
        try:
            while (item := started.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                pending = item
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
        candidate, runs = self._understand(submission)
        if runs is None:
            refused: Future[Evaluation] = Future()
            verdict, _ = judge(candidate, None, Reply(), self._answers(candidate.candidate_id), self._terms())
            refused.set_result(Evaluation(candidate=candidate, verdict=verdict))
            return refused
        return self._workers.submit(self._bounded, candidate, runs)

    def _understand(self, submission: Submission) -> tuple[Candidate, bytes | None]:
        """Return the candidate, and the text that runs unless it was refused."""
        identity, source = submission.candidate_id, submission.source
        if source is None:
            refusal = Refusal(state="no_code", stage="extract", cause="the completion holds no program")
            return Candidate(candidate_id=identity, source=None, refusal=refusal), None
        stored = self._store.put(source)
        limit = self._config.sandbox.source_bytes
        if len(source) > limit:
            cause = f"the source has {len(source)} bytes, more than {limit}"
            refusal = Refusal(state="syntax_error", stage="parse", cause=cause)
            return Candidate(candidate_id=identity, source=stored, refusal=refusal), None
        parsed = self._parser.parse(source, complete=self._config.completion)
        if parsed.state != "ok":
            refusal = Refusal(state=parsed.state, stage=parsed.stage or "parse", cause=plain(parsed.cause or ""))
            return Candidate(candidate_id=identity, source=stored, refusal=refusal), None
        program = Program(
            runs=self._store.put(parsed.program),
            completed=parsed.completed,
            imports=parsed.imports,
            hyperparameters=parsed.hyperparameters,
            tokens=parsed.tokens,
            shingles=self._store.put(parsed.shingles),
        )
        return Candidate(candidate_id=identity, source=stored, program=program), parsed.program

    def _bounded(self, candidate: Candidate, runs: bytes) -> Evaluation:
        """Try again where the infrastructure failed, within bounds; past them the candidate is quarantined."""
        attempts = Retrying(
            retry=retry_if_exception_type(InfrastructureError),
            stop=stop_after_attempt(1 + self._config.retries),
            wait=wait_exponential(multiplier=0.5, max=8),
            reraise=True,
        )
        try:
            for attempt in attempts:
                with attempt:
                    return self._try(candidate, runs)
        except InfrastructureError as error:
            with engine_errors("the engine no longer answers"):
                self._client.ping()
            return self._quarantined(candidate, str(error))
        raise AssertionError("tenacity either returns or raises")

    def _try(self, candidate: Candidate, runs: bytes) -> Evaluation:
        slot = self._free.get()
        try:
            container = self._pool.claim(slot)
            answers = self._answers(candidate.candidate_id)
            images = np.ascontiguousarray(self._prepared.validation_images()[answers.order])
            work = Work(job=self._job(candidate, slot), source=runs, images=images.tobytes())
            sandbox = self._config.sandbox
            trial = Trial(container, work, deadlines=sandbox.deadlines, log_stored=sandbox.log_stored)
            execution, reply, output = trial.run()
        finally:
            self._free.put(slot)
        logs = {name: self._store.put(content) for name, content in output.items()}
        execution = execution.model_copy(update=logs)
        verdict, predictions = judge(candidate, execution, reply, answers, self._terms())
        if predictions is not None:
            self._store.put(predictions)
        return Evaluation(candidate=candidate, verdict=verdict)

    def _quarantined(self, candidate: Candidate, cause: str) -> Evaluation:
        verdict = Verdict(
            candidate_id=candidate.candidate_id,
            state="quarantined",
            stage="import",
            cause=plain(cause),
            accuracy=None,
            predictions=None,
            protocol=self._terms().protocol,
            environment=self._environment,
            claimed=Claimed(),
            measured=Measured(),
        )
        return Evaluation(candidate=candidate, verdict=verdict)

    def _answers(self, candidate_id: str) -> Answers:
        labels: npt.NDArray[Any] = self._prepared.validation_labels
        keyed = hmac.new(self._key, candidate_id.encode(), hashlib.sha256).digest()
        order = np.random.Generator(np.random.PCG64(int.from_bytes(keyed, "big"))).permutation(len(labels))
        return Answers(labels=labels, order=order, classes=self._prepared.classes)

    def _terms(self) -> Terms:
        admission = self._config.admission
        budget = admission.parameter_budget if admission.enforce_budget else None
        return Terms(protocol=self._config.protocol.hash(), environment=self._environment, parameter_budget=budget)

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

    def _needed(self) -> float:
        deadlines = self._config.sandbox.deadlines
        needed = deadlines.import_ + deadlines.instantiate + deadlines.forward + deadlines.train + deadlines.predict
        if needed >= deadlines.life:
            raise InfrastructureError(
                f"sandbox.deadlines.life is {deadlines.life:g} s, but the stages alone may take {needed:g} s; raise it"
            )
        return needed

    def _spec(self, mode: str, gpu: str | None = None) -> Spec:
        sandbox = self._config.sandbox
        return Spec(
            image=self._image,
            mode=mode,
            runtime=sandbox.runtime,
            limits=sandbox.limits,
            life=sandbox.deadlines.life,
            seccomp=SECCOMP.read_text(encoding="utf-8"),
            owner=self._owner(),
            threads=sandbox.threads,
            train=self._prepared.train_dir if mode == "supervise" else None,
            gpu=gpu,
        )

    def _owner(self) -> str:
        return hashlib.sha256(self._key).hexdigest()[:16]

    def _ready_container(self, slot: Slot) -> Container:
        container = Container.start(self._client, self._spec("supervise", slot.gpu), driver=self._driver)
        await_ready(container, seconds=self._config.sandbox.deadlines.ready)
        return container

    def _new_parser(self) -> Parser:
        sandbox = self._config.sandbox
        return Parser(
            lambda: Container.start(self._client, self._spec("parse"), driver=self._driver),
            uses=sandbox.parser_uses,
            deadline=sandbox.deadlines.parse,
            ready=sandbox.deadlines.ready,
            shingle=self._config.novelty.shingle,
        )

    def _describe(self, info: dict[str, Any]) -> Digest:
        sandbox = self._config.sandbox
        environment = {
            "image": self._image,
            "engine": info.get("ServerVersion"),
            "kernel": info.get("KernelVersion"),
            "runtime": sandbox.runtime,
            "device": list(sandbox.gpus) or "cpu",
            "threads": sandbox.threads,
            "seccomp": digest(SECCOMP.read_bytes()),
        }
        return self._store.put(canonical(environment))
