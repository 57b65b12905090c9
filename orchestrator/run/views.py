"""What SQL sees of a run: the columns read from each ledger, and the documented views over them."""

from __future__ import annotations

from dataclasses import dataclass

NEIGHBOUR = "STRUCT(entry_id VARCHAR, estimate DOUBLE, exact DOUBLE)"
INTERVAL = "STRUCT(low DOUBLE, high DOUBLE, n BIGINT)"
ENTRY = {
    "entry_id": "VARCHAR",
    "origin": "VARCHAR",
    "task": "VARCHAR",
    "source": "VARCHAR",
    "shingles": "VARCHAR",
    "accuracy": "DOUBLE",
    "protocol": "VARCHAR",
    "messages": "STRUCT(role VARCHAR, content VARCHAR)[]",
    "fingerprint": "VARCHAR",
}
LEDGERS: dict[str, dict[str, str]] = {
    "completions": {
        "candidate_id": "VARCHAR",
        "index": "BIGINT",
        "chunk": "BIGINT",
        "seed": "BIGINT",
        "text": "VARCHAR",
        "tokens": "BIGINT",
        "finish": "VARCHAR",
        "measured": "STRUCT(seconds DOUBLE)",
    },
    "candidates": {
        "candidate_id": "VARCHAR",
        "source": "VARCHAR",
        "program": "STRUCT(runs VARCHAR, completed VARCHAR[], imports VARCHAR[], hyperparameters VARCHAR[],"
        " tokens BIGINT, shingles VARCHAR)",
    },
    "verdicts": {
        "candidate_id": "VARCHAR",
        "state": "VARCHAR",
        "stage": "VARCHAR",
        "cause": "VARCHAR",
        "accuracy": "DOUBLE",
        "predictions": "VARCHAR",
        "protocol": "VARCHAR",
        "environment": "VARCHAR",
        "claimed": "STRUCT(failure STRUCT(stage VARCHAR, kind VARCHAR, text VARCHAR),"
        " parameters BIGINT, fingerprint VARCHAR, layers BIGINT, operations BIGINT, batches BIGINT, samples BIGINT,"
        " passes BIGINT)",
        "measured": "STRUCT(seconds MAP(VARCHAR, DOUBLE), stage_cpu_seconds MAP(VARCHAR, DOUBLE), training_cost DOUBLE,"
        " flags VARCHAR[], peak_memory BIGINT, cpu_seconds DOUBLE, container_id VARCHAR, exit_code BIGINT,"
        " oom_killed BOOLEAN, log_bytes BIGINT, truncated BOOLEAN, stdout VARCHAR, stderr VARCHAR,"
        " limits MAP(VARCHAR, VARCHAR))",
    },
    "novelty": {
        "candidate_id": "VARCHAR",
        "train": NEIGHBOUR,
        "generation": NEIGHBOUR,
        "decision": "VARCHAR",
        "rejection_count": "BIGINT",
    },
    "entries": ENTRY,
    "corpus": ENTRY,
    "summary": {
        "generated": "BIGINT",
        "states": "MAP(VARCHAR, BIGINT)",
        "valid": "BIGINT",
        "valid_rate": "DOUBLE",
        "valid_interval": INTERVAL,
        "accuracy_mean": "DOUBLE",
        "accuracy_median": "DOUBLE",
        "accuracy_best": "DOUBLE",
        "accuracy_std": "DOUBLE",
        "accuracy_interval": INTERVAL,
        "above_threshold": "BIGINT",
        "above_rate": "DOUBLE",
        "above_interval": INTERVAL,
        "admitted": "BIGINT",
        "rejected_duplicates": "BIGINT",
        "functional_duplicates": "BIGINT",
        "fingerprinted": "BIGINT",
        "corpus_before": "BIGINT",
        "corpus_after": "BIGINT",
        "chance": "DOUBLE",
        "majority": "DOUBLE",
        "threshold": "DOUBLE",
        "protocol": "VARCHAR",
        "measured": "MAP(VARCHAR, DOUBLE)",
    },
}


@dataclass(frozen=True)
class Column:
    """One column of a view: its name, the expression that gives it, and what it means."""

    name: str
    expression: str
    meaning: str


@dataclass(frozen=True)
class View:
    """A view that SQL may select from, and what one row of it is."""

    name: str
    row: str
    columns: tuple[Column, ...]
    source: str

    @property
    def sql(self) -> str:
        """The SELECT behind the view."""
        wanted = ", ".join(f'{column.expression} AS "{column.name}"' for column in self.columns)
        return f"SELECT {wanted} FROM {self.source}"  # noqa: S608 - made of this file's own words


def _columns(table: str) -> tuple[Column, ...]:
    """Read lines of `name | meaning` or `name | expression | meaning`."""
    found = []
    for line in table.strip().splitlines():
        name, *expression, meaning = (part.strip() for part in line.split("|"))
        found.append(Column(name, expression[0] if expression else name, meaning))
    return tuple(found)


TWINS = (  # as in `orchestrator.run.functional_duplicates`; seeds stand in cycle 0, before all candidates
    "SELECT run, cycle, name AS candidate_id, nullif(first_value(name) OVER"
    " (PARTITION BY run, fingerprint ORDER BY cycle, name), name) AS name"
    " FROM (SELECT run, cycle, candidate_id AS name, claimed.fingerprint AS fingerprint FROM ledger_verdicts"
    " WHERE state = 'passed' UNION ALL SELECT run, cycle, entry_id, fingerprint FROM ledger_corpus)"
    " WHERE fingerprint IS NOT NULL"
)
CANDIDATES = View(
    name="candidates",
    row="one completion of the model, and what became of it",
    source="ledger_completions AS written"
    " LEFT JOIN ledger_candidates AS read USING (run, cycle, candidate_id)"
    " LEFT JOIN ledger_verdicts AS judged USING (run, cycle, candidate_id)"
    " LEFT JOIN ledger_novelty AS decided USING (run, cycle, candidate_id)"
    f" LEFT JOIN ({TWINS}) AS twins USING (run, cycle, candidate_id)",
    columns=_columns("""
        run | the run, as it was named on the command line
        cycle | the cycle, from 1
        candidate_id | the candidate's name
        state | coalesce(decided.decision, judged.state, 'pending') | the terminal state, or pending
        stage | judged.stage | the stage that it ended in
        cause | judged.cause | why it failed
        accuracy | judged.accuracy | first-epoch accuracy of a valid candidate
        tokens | written.tokens | tokens that the model wrote
        finish | written.finish | how the completion ended: code, eos or length
        chunk | written.chunk | the chunk that it was sampled in
        seed | written.seed | the seed of that chunk
        generation_seconds | written.measured.seconds | what sampling it took
        text | written.text | all that the model wrote
        source | read.source | SHA-256 of the program as written
        runs | read.program.runs | SHA-256 of the program as it ran
        completed | read.program.completed | the parts of the contract that were restored
        imports | read.program.imports | the modules that it imports
        hyperparameters | read.program.hyperparameters | the hyperparameters that it names
        program_tokens | read.program.tokens | Python tokens of the program
        corpus_name | decided.train.entry_id | the nearest program of the corpus
        corpus_estimate | decided.train.estimate | estimated Jaccard index with it
        corpus_exact | decided.train.exact | exact Jaccard index with it
        cycle_name | decided.generation.entry_id | the nearest earlier program of the cycle
        cycle_estimate | decided.generation.estimate | estimated Jaccard index with it
        cycle_exact | decided.generation.exact | exact Jaccard index with it
        rejections | decided.rejection_count | duplicates met before this one was admitted
        functional_twin | twins.name | claimed: the first earlier valid program or seed that computes the same
    """),
)
VERDICTS = View(
    name="verdicts",
    row="one evaluated candidate: what the host measured, and what was claimed (claimed_...)",
    source="ledger_verdicts",
    columns=_columns("""
        run | the run, as it was named on the command line
        cycle | the cycle, from 1
        candidate_id | the candidate's name
        state | what it ended in before novelty: passed, or how it failed
        stage | the stage that it ended in
        cause | why it failed
        accuracy | first-epoch accuracy of a valid candidate
        seconds | list_sum(map_values(measured.seconds)) | of the host's clock, all stages together
        train_seconds | measured.seconds['train'] | of the host's clock, for training
        stage_seconds | measured.seconds | of the host's clock, a map by stage
        cpu_seconds | measured.cpu_seconds | CPU time of its container
        stage_cpu_seconds | measured.stage_cpu_seconds | CPU time, a map by stage
        training_cost | measured.training_cost | CPU time of training over that of one honest epoch
        flags | measured.flags | what a person should look at
        peak_memory | measured.peak_memory | bytes
        exit_code | measured.exit_code | of its container
        oom_killed | measured.oom_killed | whether the memory limit was reached
        log_bytes | measured.log_bytes | bytes of its output that were stored
        truncated | measured.truncated | whether its output reached the end of what is stored
        stdout | measured.stdout | SHA-256 of what was stored
        stderr | measured.stderr | SHA-256 of what was stored
        container_id | measured.container_id | the container that it ran in
        limits | measured.limits | the limits that held, a map by name
        predictions | SHA-256 of its predictions
        protocol | SHA-256 of what defines the accuracy
        environment | SHA-256 of the description of where it ran
        claimed_parameters | claimed.parameters | claimed: parameters of the network
        claimed_fingerprint | claimed.fingerprint | claimed: SHA-256 of what its forward pass executes
        claimed_layers | claimed.layers | claimed: modules without children that were executed
        claimed_operations | claimed.operations | claimed: operations that the logits came from
        claimed_batches | claimed.batches | claimed: batches taken
        claimed_images | claimed.samples | claimed: training images taken
        claimed_passes | claimed.passes | claimed: passes over the training split
        claimed_stage | claimed.failure.stage | claimed: stage of the exception
        claimed_exception | claimed.failure.kind | claimed: its type
        claimed_text | claimed.failure.text | claimed: its text
    """),
)
CYCLES = View(
    name="cycles",
    row="one whole cycle, as in its summary; rates and accuracies are shares, low and high bound 95 % intervals",
    source="ledger_summary",
    columns=_columns("""
        run | the run, as it was named on the command line
        cycle | the cycle, from 1
        generated | completions
        states | how many ended in each state, a map
        valid | candidates that trained and predicted
        valid_rate | valid over generated, without what infrastructure failed on
        valid_low | valid_interval.low | Wilson
        valid_high | valid_interval.high | Wilson
        accuracy_mean | over valid candidates
        accuracy_low | accuracy_interval.low | of the mean, t
        accuracy_high | accuracy_interval.high | of the mean, t
        accuracy_median | over valid candidates
        accuracy_best | over valid candidates
        accuracy_std | over valid candidates
        above_threshold | valid candidates above the threshold
        above_rate | above_threshold over valid
        above_low | above_interval.low | Wilson
        above_high | above_interval.high | Wilson
        threshold | the accuracy threshold
        chance | the accuracy of guessing
        majority | the accuracy of always naming the most frequent class
        admitted | candidates that entered the corpus
        rejected_duplicates | valid candidates above the threshold that were near-duplicates
        functional_duplicates | claimed: of the textually novel admitted ones, functionally equal to an earlier program
        fingerprinted | of the same ones, those whose fingerprint is known
        corpus_before | entries before the cycle
        corpus_after | entries after it
        protocol | SHA-256 of what defines an accuracy
        measured | seconds spent, a map
    """),
)
CORPUS = View(
    name="corpus",
    row="one entry of the corpus: cycle 0 holds the seeds",
    source="(FROM ledger_corpus UNION ALL SELECT entry.* REPLACE (judged.claimed.fingerprint AS fingerprint)"
    " FROM ledger_entries AS entry LEFT JOIN ledger_verdicts AS judged"
    " ON entry.run = judged.run AND entry.cycle = judged.cycle AND entry.entry_id = judged.candidate_id)",
    columns=_columns("""
        run | the run, as it was named on the command line
        cycle | the cycle that added it, 0 for seeds
        entry_id | its name
        origin | where the program came from
        task | the task that its prompt describes
        accuracy | first-epoch accuracy, if it is known
        source | SHA-256 of the program
        shingles | SHA-256 of its shingle set
        protocol | SHA-256 of what defines the accuracy
        fingerprint | claimed: SHA-256 of what its forward pass executes; of seeds if they were qualified
        prompt | list_filter(messages, lambda message: message.role <> 'assistant')[-1].content | what was asked
        text | list_filter(messages, lambda message: message.role = 'assistant')[-1].content | what is trained on
    """),
)
VIEWS = (CANDIDATES, VERDICTS, CYCLES, CORPUS)
