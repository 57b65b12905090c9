"""The only way to a verdict: pure, and facts that the host saw outrank whatever the container claimed."""

from __future__ import annotations

import signal
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from orchestrator.escape import plain
from orchestrator.records import Candidate, Claimed, Digest, Execution, Failed, Measured, Passed, Reply, Verdict, digest
from orchestrator.run import grading


@dataclass(frozen=True)
class Answers:
    """What only the host knows: the N validation labels, and the order in which their images were sent.

    `order[i]` is the index of the image that was sent as number i.
    """

    labels: npt.NDArray[np.integer]
    order: npt.NDArray[np.integer]
    classes: int


@dataclass(frozen=True)
class Terms:
    """What a verdict is stored under, a budget that is enforced, the size of an epoch, and whether a GPU is there."""

    protocol: Digest
    environment: Digest
    parameter_budget: int | None = None
    epoch: Epoch | None = None
    gpu: bool = False


def judge(
    candidate: Candidate, execution: Execution | None, reply: Reply, answers: Answers, terms: Terms
) -> tuple[Verdict, bytes | None]:
    """Return the verdict, and the predictions in the labels' own order if the candidate passed.

    `execution` is None exactly if nothing of the candidate was executed.
    """
    outcome = score(candidate, execution, reply, answers, terms)
    passed = isinstance(outcome, Passed)
    predictions = _restored(reply, answers) if passed else None
    verdict = Verdict(
        candidate_id=candidate.candidate_id,
        state="passed" if isinstance(outcome, Passed) else outcome.state,
        stage="predict" if isinstance(outcome, Passed) else outcome.stage,
        cause=None if isinstance(outcome, Passed) else outcome.cause,
        accuracy=outcome.accuracy if isinstance(outcome, Passed) else None,
        predictions=digest(predictions) if predictions is not None else None,
        protocol=terms.protocol,
        environment=terms.environment,
        claimed=Claimed(**{name: getattr(reply, name) for name in Claimed.model_fields}),
        measured=_measured(execution, reply, terms),
    )
    return verdict, predictions


def quarantined(candidate: Candidate, cause: str, terms: Terms) -> Verdict:
    """Return the verdict on a candidate whose infrastructure failed past the bound: outside every rate.

    One that has no program was not even parsed.
    """
    return Verdict(
        candidate_id=candidate.candidate_id,
        state="quarantined",
        stage="parse" if candidate.program is None else "import",
        cause=plain(cause),
        accuracy=None,
        predictions=None,
        protocol=terms.protocol,
        environment=terms.environment,
        claimed=Claimed(),
        measured=Measured(),
    )


def score(
    candidate: Candidate, execution: Execution | None, reply: Reply, answers: Answers, terms: Terms
) -> Passed | Failed:
    """Grade one candidate: an accuracy for N predictions in range, or the state, stage and cause of its failure."""
    if candidate.refusal is not None:
        refusal = candidate.refusal
        return Failed(state=refusal.state, stage=refusal.stage, cause=plain(refusal.cause))
    if execution is None:
        raise ValueError(f"{candidate.candidate_id}: a candidate that was not refused needs an execution to be judged")
    failure = _ended_badly(execution, reply) or _failed_by_itself(execution, reply, gpu=terms.gpu)
    if failure is not None:
        return failure
    if terms.parameter_budget is not None and (reply.parameters is None or reply.parameters > terms.parameter_budget):
        cause = f"{reply.parameters} parameters, more than the budget of {terms.parameter_budget}"
        return Failed(state="over_budget", stage="forward", cause=cause)
    return _graded(reply, answers)


def _ended_badly(execution: Execution, reply: Reply) -> Failed | None:
    stage = execution.stage
    death = reply.death
    if execution.ended_by == "deadline":
        return Failed(state="timeout", stage=stage, cause=plain(execution.cause or f"{stage} took too long"))
    if execution.oom_killed:
        return Failed(state="out_of_memory", stage=stage, cause="the memory limit was reached")
    if execution.ended_by == "flood" or (death is not None and death.flood):
        return Failed(state="killed", stage=stage, cause="too much output")
    if execution.ended_by == "wire" or (death is not None and death.broken is not None):
        cause = execution.cause or (death.broken if death else None) or ""
        return Failed(state="killed", stage=stage, cause=plain(f"broken wire: {cause}"))
    if execution.ended_by == "death":
        return _died(execution, reply)
    return None


def _died(execution: Execution, reply: Reply) -> Failed:
    death = reply.death
    stage = execution.stage
    if death is None:
        cause = execution.cause or f"the container ended with exit code {execution.exit_code}"
        return Failed(state="killed", stage=stage, cause=plain(cause))
    if death.signal is not None:
        return Failed(state="killed", stage=stage, cause=_signal_name(death.signal))
    return Failed(state="failed", stage=stage, cause=f"the process ended with exit code {death.exit_code}")


def _failed_by_itself(execution: Execution, reply: Reply, *, gpu: bool) -> Failed | None:
    failure = reply.failure
    if failure is None:
        return None
    cause = plain(f"{failure.kind}: {failure.text}")
    if failure.gpu_memory and gpu:
        return Failed(state="gpu_out_of_memory", stage=execution.stage, cause=cause)
    if failure.memory:
        return Failed(state="out_of_memory", stage=execution.stage, cause=cause)
    return Failed(state="failed", stage=execution.stage, cause=cause)


def _graded(reply: Reply, answers: Answers) -> Passed | Failed:
    try:
        predictions = _restored(reply, answers)
        accuracy = grading.accuracy(predictions, labels=answers.labels, classes=answers.classes)
    except ValueError as error:
        return Failed(state="failed", stage="predict", cause=str(error))
    return Passed(accuracy=accuracy)


def _restored(reply: Reply, answers: Answers) -> bytes:
    """Return the predictions in the order of the labels; those of another number stay in their own."""
    said = reply.predictions or b""
    if len(said) != 2 * len(answers.order):
        return said
    sent = np.frombuffer(said, dtype="<u2")
    restored = np.empty_like(sent)
    restored[answers.order] = sent
    return restored.tobytes()


def _measured(execution: Execution | None, reply: Reply, terms: Terms) -> Measured:
    if execution is None:
        return Measured()
    seen = execution.model_dump(include=set(Measured.model_fields))
    if terms.epoch is None:
        return Measured(**seen)
    cost = training_cost(execution, terms.epoch)
    return Measured(**seen, training_cost=cost, flags=flags(execution, reply, terms.epoch))


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"


PASSES_PER_STEP = 3  # a training step costs about three forward passes: forward, and backward at twice its price

OUTLIER = 1.75  # thirty honest programs of one cycle lay between 0.96 and 1.25


@dataclass(frozen=True)
class Epoch:
    """How many images one pass of the training split and one pass of the validation split hold."""

    train: int
    validation: int


def training_cost(execution: Execution, epoch: Epoch) -> float | None:
    """Return the CPU time of training over that of as many honest steps, judged by the prediction stage; or None.

    Both times are the kernel's, read by the host. Honest programs lie around 1; a second hidden epoch doubles it.
    """
    cpu = execution.stage_cpu_seconds
    if "train" not in cpu or not cpu.get("predict"):
        return None
    honest = cpu["predict"] / epoch.validation * PASSES_PER_STEP * epoch.train
    return round(cpu["train"] / honest, 3)


def flags(execution: Execution, reply: Reply, epoch: Epoch) -> tuple[str, ...]:
    """Return what a person should look at; a flag decides nothing."""
    found = []
    if reply.samples is not None and reply.samples < epoch.train:
        found.append(f"consumed {reply.samples} of {epoch.train} training images")
    cost = training_cost(execution, epoch)
    if cost is not None and cost > OUTLIER:
        found.append(f"training took {cost:g} times the CPU time of one honest epoch")
    return tuple(found)
